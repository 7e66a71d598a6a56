using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using static LoraScratch.Tests.IO.SafeTensorsBytes;

namespace LoraScratch.Tests.IO;

/// <summary>What is written is read again, and lies in the file as the format says.</summary>
internal sealed class SafeTensorsRoundTripTests
{
    [Test]
    public void A_file_of_one_tensor_has_exactly_the_bytes_of_the_format()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("x.safetensors");

        SafeTensorsWriter.Write(path, [TensorToWrite.Floats("w", [1, 2], new float[] { 1, -2 })]);

        var header = Header(Entry("w", "F32", "[1,2]", "[0,8]"));
        byte[] expected = [.. Build(header.PadRight((header.Length + 7) / 8 * 8)), 0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0];
        Assert.That(File.ReadAllBytes(path), Is.EqualTo(expected));
    }

    [Test]
    public void Metadata_comes_first_and_the_header_is_padded_with_spaces_to_a_multiple_of_eight()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("x.safetensors");
        for (var length = 0; length < 9; length++)
        {
            var metadata = new Dictionary<string, string> { ["b"] = new string('v', length), ["a"] = "ä\"\\\n<&>" };

            SafeTensorsWriter.Write(path, [], metadata);

            var bytes = File.ReadAllBytes(path);
            Assert.That(bytes, Has.Length.EqualTo(8 + BitConverter.ToInt64(bytes)));
            Assert.That(bytes.Length % 8, Is.Zero);
            var text = System.Text.Encoding.UTF8.GetString(bytes.AsSpan(8));
            Assert.That(text, Does.StartWith("{\"__metadata__\":{\"a\":").And.Match("}} *$"));
            using var file = SafeTensorsFile.Open(path);
            Assert.That(file.Metadata, Is.EquivalentTo(metadata));
            Assert.That(file.Tensors, Is.Empty);
        }
    }

    [Test]
    public void Tensors_are_sorted_by_type_then_by_the_bytes_of_their_name_whatever_order_they_come_in()
    {
        using var folder = new TemporaryFolder();
        TensorToWrite[] tensors =
        [
            TensorToWrite.Integers("flag", [1], new long[] { 1 }, DType.BOOL),
                TensorToWrite.Floats("z", [1], new float[] { 1 }),
            TensorToWrite.Floats("\uFF5E", [1], new float[] { 2 }),
                TensorToWrite.Floats("\U0001F600", [1], new float[] { 3 }),
            TensorToWrite.Floats("h", [1], new float[] { 4 }, DType.F16),
                TensorToWrite.Integers("ids", [1], new long[] { 5 }),
            TensorToWrite.Floats("Z", [1], new float[] { 6 }),
                TensorToWrite.Floats("b", [1], new float[] { 7 }, DType.BF16),
        ];

        SafeTensorsWriter.Write(folder.File("a"), tensors);
        SafeTensorsWriter.Write(folder.File("b"), tensors.Reverse());

        Assert.That(File.ReadAllBytes(folder.File("b")), Is.EqualTo(File.ReadAllBytes(folder.File("a"))));
        using var file = SafeTensorsFile.Open(folder.File("a"));
        // In UTF-16 the emoji would come before the full-width tilde; the format sorts UTF-8.
        Assert.That(file.Tensors.Keys, Is.EqualTo(["ids", "Z", "z", "\uFF5E", "\U0001F600", "b", "h", "flag"]));
        Assert.That(file.Tensors.Values.Select(tensor => tensor.Begin * 8 % tensor.DType.Bits()), Has.All.Zero,
            "every tensor is aligned");
    }

    [Test]
    public void Every_type_and_shape_survives_byte_for_byte(
        [Values] DType dtype, [Values("", "0", "4", "3,0,2", "2,1,4", "1,1,1,1,8")] string dimensions)
    {
        using var folder = new TemporaryFolder();
        long[] shape = [.. dimensions.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(long.Parse)];
        var bits = shape.Aggregate(1L, (product, dimension) => product * dimension) * dtype.Bits();
        if (bits % 8 != 0)
        {
            Assert.That(() => TensorToWrite.Bytes("x", dtype, shape, new byte[bits / 8]), Throws.ArgumentException);
            return;
        }
        var bytes = Enumerable.Range(1, (int)bits / 8).Select(i => (byte)(i * 37)).ToArray();

        SafeTensorsWriter.Write(folder.File("x"), [TensorToWrite.Bytes("x", dtype, shape, bytes)]);

        using var file = SafeTensorsFile.Open(folder.File("x"));
        var tensor = file.Tensors["x"];
        Assert.That(tensor.DType, Is.EqualTo(dtype));
        Assert.That(tensor.Shape, Is.EqualTo(shape));
        Assert.That(tensor.ElementCount, Is.EqualTo(bits / dtype.Bits()));
        Assert.That(file.Bytes("x").ToArray(), Is.EqualTo(bytes));
    }

    [TestCase(DType.F32, new[] { 0f, -0f, 1.5f, float.MaxValue, float.Epsilon, float.NaN, float.NegativeInfinity })]
    [TestCase(DType.F64, new[] { 0f, -0f, 1.5f, float.MaxValue, float.Epsilon, float.NaN, float.NegativeInfinity })]
    [TestCase(DType.F16, new[] { 0f, -0f, 1.5f, 65504f, 6.103515625e-05f, float.NaN, float.PositiveInfinity })]
    [TestCase(DType.BF16, new[] { 0f, -0f, 1.5f, -256f, 1.1754944E-38f, float.NaN, float.PositiveInfinity })]
    public void Floats_that_the_type_can_hold_survive_bit_for_bit(DType dtype, float[] values)
    {
        using var folder = new TemporaryFolder();
        SafeTensorsWriter.Write(folder.File("x"), [TensorToWrite.Floats("x", [values.Length], values, dtype)]);

        using var file = SafeTensorsFile.Open(folder.File("x"));
        var read = new float[values.Length];
        file.Read("x", read);

        Assert.That(read.Select(BitConverter.SingleToUInt32Bits),
            Is.EqualTo(values.Select(BitConverter.SingleToUInt32Bits)));
    }

    [TestCase(DType.BOOL, 0, 1)]
    [TestCase(DType.U8, 0, 255)]
    [TestCase(DType.I8, -128, 127)]
    [TestCase(DType.U16, 0, 65535)]
    [TestCase(DType.I16, -32768, 32767)]
    [TestCase(DType.U32, 0, 4294967295)]
    [TestCase(DType.I32, -2147483648, 2147483647)]
    [TestCase(DType.I64, long.MinValue, long.MaxValue)]
    [TestCase(DType.U64, 0, long.MaxValue)]
    public void Integers_survive_to_the_ends_of_their_range_and_are_refused_beyond(DType dtype, long low, long high)
    {
        using var folder = new TemporaryFolder();
        long[] values = [low, 0, 1, high];
        SafeTensorsWriter.Write(folder.File("x"), [TensorToWrite.Integers("x", [4], values, dtype)]);

        using var file = SafeTensorsFile.Open(folder.File("x"));
        var read = new long[4];
        file.ReadInt64("x", read);
        Assert.That(read, Is.EqualTo(values));

        if (low > long.MinValue)
        {
            Assert.That(() => SafeTensorsWriter.Write(folder.File("y"),
                [TensorToWrite.Integers("y", [1], new[] { low - 1 }, dtype)]),
                Throws.TypeOf<InputException>().With.Message.Contains("tensor 'y'"));
        }
        if (high < long.MaxValue)
        {
            Assert.That(() => SafeTensorsWriter.Write(folder.File("y"),
                [TensorToWrite.Integers("y", [1], new[] { high + 1 }, dtype)]),
                Throws.TypeOf<InputException>().With.Message.Contains($"{high + 1}"));
        }
    }

    [Test]
    public void Values_that_would_silently_become_others_are_refused_with_their_index()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("x");
        SafeTensorsWriter.Write(path,
        [
            TensorToWrite.Integers("long", [3], new long[] { 1, 1 << 24, (1 << 24) + 1 }),
            TensorToWrite.Bytes("double", DType.F64, [2],
                (byte[])[.. BitConverter.GetBytes(1.0), .. BitConverter.GetBytes(1e300)]),
            TensorToWrite.Bytes("unsigned", DType.U64, [1], BitConverter.GetBytes(ulong.MaxValue)),
            TensorToWrite.Bytes("f8", DType.F8_E4M3, [1], new byte[1]),
            TensorToWrite.Floats("float", [1], new float[1]),
        ]);
        using var file = SafeTensorsFile.Open(path);

        void Refuses(Action read, params string[] parts)
        {
            var message = Assert.Throws<InputException>(read)!.Message;
            foreach (var part in parts.Append(path))
            {
                Assert.That(message, Does.Contain(part));
            }
        }
        Refuses(() => file.Read("long", new float[3]), "tensor 'long' I64 [3]", "element 2");
        Refuses(() => file.Read("double", new float[2]), "tensor 'double' F64 [2]", "element 1");
        Refuses(() => file.ReadInt64("unsigned", new long[1]), "tensor 'unsigned'", "element 0");
        Refuses(() => file.ReadInt32("unsigned", new int[1]), "element 0");
        Refuses(() => file.Read("f8", new float[1]), "tensor 'f8'", "F8_E4M3 is listed, not decoded");
        Refuses(() => file.ReadInt64("float", new long[1]), "expected integers, found F32");
        Refuses(() => file.Read("float", new float[2]), "has 1 elements, 2 were expected");
        Refuses(() => file.Read("model.float", new float[1]), "no tensor 'model.float'", "among them 'float'");
        foreach (var dtype in new[] { DType.F16, DType.BF16 })
        {
            Assert.That(() => SafeTensorsWriter.Write(folder.File("y"),
                [TensorToWrite.Floats("y", [2], new[] { 1, float.MaxValue }, dtype)]),
                Throws.TypeOf<InputException>().With.Message
                    .Contains($"tensor 'y' {dtype} [2]: element 1 is 3.4028235E+38"));
        }
    }

    [Test]
    public void A_large_tensor_is_fetched_in_pieces_and_read_back_whole_and_in_parts()
    {
        using var folder = new TemporaryFolder();
        const int count = 300_007;
        var largest = 0;
        void Source(long first, Span<float> destination)
        {
            largest = Math.Max(largest, destination.Length);
            for (var i = 0; i < destination.Length; i++)
            {
                destination[i] = first + i;
            }
        }
        SafeTensorsWriter.Write(folder.File("x"),
            [TensorToWrite.Floats("x", [count], Source), TensorToWrite.Floats("y", [count], Source, DType.F64)]);
        Assert.That(largest, Is.LessThan(count));

        using var file = SafeTensorsFile.Open(folder.File("x"));
        SafeTensorsWriter.Write(folder.File("copy"),
            [TensorToWrite.Copy(file, "x", "renamed"), TensorToWrite.Copy(file, "y")]);
        using var copy = SafeTensorsFile.Open(folder.File("copy"));
        var whole = new float[count];
        foreach (var name in new[] { "renamed", "y" })
        {
            copy.Read(name, whole);
            Assert.That(whole.SequenceEqual(Enumerable.Range(0, count).Select(i => (float)i)), name);
        }
        var part = new float[5];
        file.Read("y", 299_999, part);
        Assert.That(part, Is.EqualTo([299_999f, 300_000f, 300_001f, 300_002f, 300_003f]));
        Assert.That(() => file.Read("y", count - 4, part), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => { file.Bytes("x", 4 * count - 4, 5); }, Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void White_space_around_the_header_unknown_fields_null_metadata_and_unaligned_data_are_read()
    {
        using var folder = new TemporaryFolder();
        const string json =
            """{"__metadata__":null,"x":{"later":{"a":[1]},"shape":[2],"dtype":"F32","data_offsets":[0,8]}}""";
        const string header = "\t\n " + json + "\r\n ";
        var odd = header.Length % 2 == 0 ? header + " " : header;      // the data begins at an odd byte
        var path = folder.Write("x", Build(odd, 8));

        using var file = SafeTensorsFile.Open(path);
        var values = new float[2];
        file.Read("x", values);

        Assert.That(values, Is.EqualTo([BitConverter.ToSingle([0, 1, 2, 3]), BitConverter.ToSingle([4, 5, 6, 7])]));
        Assert.That(file.Metadata, Is.Empty);
    }

    [Test]
    public void A_file_in_memory_is_read_in_place_as_from_the_disk()
    {
        using var folder = new TemporaryFolder();
        SafeTensorsWriter.Write(folder.File("x"),
        [
            TensorToWrite.Floats("weight", [2, 3], new float[] { 1, -2, 3, 0.5f, 5, 6 }, DType.F16),
            TensorToWrite.Integers("ids", [3], new long[] { 7, 8, 9 }, DType.U8),
        ], new Dictionary<string, string> { ["format"] = "pt" });
        var memory = InMemory(File.ReadAllBytes(folder.File("x")));
        memory.Position = 5;
        var file = SafeTensorsFile.Open("the name", memory);
        var weight = new float[6];
        file.Read("weight", weight);

        Assert.That(weight, Is.EqualTo(new float[] { 1, -2, 3, 0.5f, 5, 6 }));
        Assert.That(file.Bytes("ids").ToArray(), Is.EqualTo(new byte[] { 7, 8, 9 }));
        Assert.That((file.Path, file.Metadata["format"], file.Tensors.Count), Is.EqualTo(("the name", "pt", 2)));
        Assert.That(() => file.Read("bias", weight),
            Throws.TypeOf<InputException>().With.Message.StartsWith("the name: no tensor 'bias'"));
        using (var checkpoint = Checkpoint.Of(file))
        {
            Assert.That(checkpoint.Tensors.Keys, Is.EquivalentTo(file.Tensors.Keys));
        }
        Assert.That(() => { file.Bytes("ids"); }, Throws.TypeOf<ObjectDisposedException>());
        Assert.That(memory.CanRead, Is.False);
    }

    [Test]
    public void Reading_after_dispose_is_an_error_and_disposing_twice_is_none()
    {
        using var folder = new TemporaryFolder();
        var file = SafeTensorsFile.Open(folder.Write("x", Build(Header(Entry("x", "U8", "[4]", "[0,4]")), 4)));
        file.Dispose();
        file.Dispose();

        Assert.That(() => { file.Bytes("x"); }, Throws.TypeOf<ObjectDisposedException>());
    }

    [Test]
    public void Names_that_the_format_cannot_hold_are_refused_before_anything_is_written()
    {
        using var folder = new TemporaryFolder();
        var one = new float[1];
        void Refuses(string part, params TensorToWrite[] tensors)
            => Assert.That(() => SafeTensorsWriter.Write(folder.File("x"), tensors),
                Throws.ArgumentException.With.Message.Contains(part));

        Refuses("Two tensors are named 'a'", TensorToWrite.Floats("a", [1], one),
            TensorToWrite.Floats("a", [1], one, DType.F16));
        Refuses("__metadata__", TensorToWrite.Floats("__metadata__", [1], one));
        Refuses("surrogate", TensorToWrite.Floats("\uD800", [1], one));
        Assert.That(() => TensorToWrite.Floats("a", [2], one),
            Throws.ArgumentException.With.Message.Contains("[2] has 2 elements, got 1"));
        Assert.That(folder.Names, Is.Empty);
    }
}
