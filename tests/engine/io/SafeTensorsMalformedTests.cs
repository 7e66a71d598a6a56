using System.Text;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using static LoraScratch.Tests.IO.SafeTensorsBytes;

namespace LoraScratch.Tests.IO;

/// <summary>
/// Every malformed file is refused, and the message names the file, the tensor, what was expected
/// and what was found.
/// </summary>
public sealed class SafeTensorsMalformedTests
{
    private static IEnumerable<TestCaseData> MalformedFiles()
    {
        // The vectors of the reference implementation's own tests, under its names.
        yield return Case("header too small: an empty file", [], "has 0 bytes");
        yield return Case("header too small: seven bytes", new byte[7], "has 7 bytes");
        yield return Case("header too large: 2^64 - 2^40 + 60",
            [0x3C, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, .. Encoding.UTF8.GetBytes(Header())],
            "header is too large", "100000000");
        yield return Case("header too large: the largest number", Enumerable.Repeat((byte)0xFF, 8).ToArray(),
            "header is too large",
            "18446744073709551615");
        yield return Case("header too large: 100,000,001", [.. BitConverter.GetBytes(100_000_001UL), .. "{}"u8],
            "header is too large");
        yield return Case("invalid header length: nothing follows", [0x3C, 0, 0, 0, 0, 0, 0, 0], "header is cut",
            "claim 60 bytes", "only 0 follow");
        yield return Case("invalid header length: 100,000,000 in ten bytes",
            [.. BitConverter.GetBytes(100_000_000UL), .. "{}"u8], "header is cut");
        yield return Case("invalid header: not UTF-8", Build([0xFF]), "not valid UTF-8");
        yield return Case("invalid header: half of a two-byte letter in a name",
            Build([.. "{\""u8, 0xC3, .. "\":1}"u8]), "not valid UTF-8");
        yield return Case("invalid header: not JSON", Build("{"), "not valid JSON");
        yield return Case("invalid header: no bytes", Build(""), "not valid JSON");
        yield return Case("json attack: ten tensors share sixteen bytes",
            Build(Header([.. Enumerable.Range(0, 10).Select(i => Entry($"weight_{i}", "F32", "[2,2]", "[0,16]"))]), 16),
            "tensor 'weight_1'", "overlap tensor 'weight_0'");
        yield return Case("incomplete buffer: bytes after the last tensor",
            Build(Header(Entry("x", "I32", "[2,2]", "[0,16]")), 16 + 34),
            "34 bytes follow the last tensor", "promises 16", "has 50");
        yield return Case("incomplete buffer: two bytes are missing",
            Build(Header(Entry("x", "I32", "[2,2]", "[0,16]")), 14),
            "truncated", "promises 16", "has 14");
        yield return Case("invalid info: four bytes for four integers",
            Build(Header(Entry("x", "I32", "[2,2]", "[0,4]")), 4),
            "tensor 'x'", "[2, 2] of I32 takes 16 bytes", "[0, 4] hold 4");
        yield return Case("validation overflow: the shape",
            Build(Header(Entry("x", "I32", "[2,18446744073709551614]", "[0,16]")), 16),
            "tensor 'x'", "overflows");
        yield return Case("validation overflow: shape times element size",
            Build(Header(Entry("x", "I32", "[2,9223372036854775807]", "[0,16]")), 16),
            "tensor 'x'", "overflows");

        // The other rules of the format.
        yield return Case("overflow of a product that a later zero would hide",
            Build(Header(Entry("x", "U8", "[4294967296,4294967296,0]", "[0,0]"))),
            "tensor 'x'", "overflows");
        yield return Case("first tensor does not begin at zero", Build(Header(Entry("x", "U8", "[2]", "[2,4]")), 4),
            "tensor 'x'", "hole of 2 bytes", "0, the first byte");
        yield return Case("a hole between two tensors",
            Build(Header(Entry("x", "U8", "[2]", "[0,2]"), Entry("y", "U8", "[2]", "[3,5]")), 5),
            "tensor 'y'", "hole of 1 bytes", "2, where tensor 'x' ends");
        yield return Case("an overlap of one byte",
            Build(Header(Entry("y", "U8", "[2]", "[1,3]"), Entry("x", "U8", "[2]", "[0,2]")), 3),
            "tensor 'y'", "overlap tensor 'x'");
        yield return Case("end before begin", Build(Header(Entry("x", "U8", "[0]", "[4,0]")), 4), "tensor 'x'",
            "end before they begin");
        yield return Case("offsets beyond the file", Build(Header(Entry("x", "U8", "[1000]", "[0,1000]")), 10),
            "truncated",
            "promises 1000", "has 10");
        yield return Case("offsets beyond 63 bits",
            Build(Header(Entry("x", "U8", "[1]", "[0,18446744073709551615]")), 1), "tensor 'x'",
            "data_offsets");
        yield return Case("three 4-bit numbers", Build(Header(Entry("x", "F4", "[3]", "[0,1]")), 1), "tensor 'x'",
            "12 bits",
            "no whole number of bytes");
        yield return Case("three 6-bit numbers", Build(Header(Entry("x", "F6_E2M3", "[3]", "[0,3]")), 3), "tensor 'x'",
            "18 bits");
        yield return Case("unknown dtype", Build(Header(Entry("x", "F42", "[1]", "[0,4]")), 4), "tensor 'x'",
            "unknown dtype 'F42'", "BF16");
        yield return Case("dtype in lower case", Build(Header(Entry("x", "f32", "[1]", "[0,4]")), 4),
            "unknown dtype 'f32'");
        yield return Case("dtype by its number", Build(Header(Entry("x", "17", "[1]", "[0,4]")), 4),
            "unknown dtype '17'");
        yield return Case("dtype is no string", Build("""{"x":{"dtype":17,"shape":[1],"data_offsets":[0,4]}}""", 4),
            "tensor 'x'",
            "dtype must be a string");
        yield return Case("no dtype", Build("""{"x":{"shape":[1],"data_offsets":[0,4]}}""", 4), "tensor 'x'",
            "has no dtype");
        yield return Case("no shape", Build("""{"x":{"dtype":"F32","data_offsets":[0,4]}}""", 4), "tensor 'x'",
            "has no shape");
        yield return Case("no offsets", Build("""{"x":{"dtype":"F32","shape":[1]}}""", 4), "tensor 'x'",
            "has no data_offsets");
        yield return Case("one offset", Build(Header(Entry("x", "F32", "[1]", "[4]")), 4), "tensor 'x'", "two numbers",
            "found 1");
        yield return Case("three offsets", Build(Header(Entry("x", "F32", "[1]", "[0,4,8]")), 4), "two numbers",
            "found 3");
        yield return Case("a negative dimension", Build(Header(Entry("x", "F32", "[-1]", "[0,4]")), 4), "tensor 'x'",
            "shape", "'-1'");
        yield return Case("a fractional dimension", Build(Header(Entry("x", "F32", "[1.0]", "[0,4]")), 4), "shape",
            "'1.0'");
        yield return Case("a dimension with an exponent", Build(Header(Entry("x", "F32", "[1e0]", "[0,4]")), 4),
            "shape", "'1e0'");
        yield return Case("a dimension beyond 64 bits",
            Build(Header(Entry("x", "F32", "[99999999999999999999]", "[0,4]")), 4), "shape");
        yield return Case("a dimension in quotes", Build(Header(Entry("x", "F32", "[\"1\"]", "[0,4]")), 4), "shape",
            "a string");
        yield return Case("a shape that is no array", Build(Header(Entry("x", "F32", "1", "[0,4]")), 4),
            "shape must be an array", "a number");
        yield return Case("a name twice",
            Build(Header(Entry("x", "U8", "[1]", "[0,1]"), Entry("x", "U8", "[1]", "[1,2]")), 2), "names 'x' twice");
        yield return Case("a name twice, once escaped",
            Build(Header(Entry("x", "U8", "[1]", "[0,1]"), Entry("\\u0078", "U8", "[1]", "[1,2]")), 2), "twice");
        yield return Case("a field twice",
            Build("""{"x":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}""", 1),
            "tensor 'x'", "dtype twice");
        yield return Case("metadata twice", Build("""{"__metadata__":{},"__metadata__":{}}"""), "'__metadata__' twice");
        yield return Case("a metadata key twice", Build("""{"__metadata__":{"a":"1","a":"2"}}"""), "'a' twice");
        yield return Case("metadata that is no string", Build("""{"__metadata__":{"a":1}}"""), "'a' must be a string",
            "a number");
        yield return Case("metadata that is no object", Build("""{"__metadata__":[]}"""),
            "must be an object of strings", "an array");
        yield return Case("an entry that is no object", Build("""{"x":[]}"""), "tensor 'x'", "must be an object");
        yield return Case("a header that is an array", Build("[]"), "must be a JSON object", "an array");
        yield return Case("text after the header's object", Build("{}x"), "not valid JSON");
        yield return Case("two objects", Build("{}{}"), "not valid JSON");
        yield return Case("a NUL after the object", Build("{}\0"), "not valid JSON");
        yield return Case("a byte order mark", Build([0xEF, 0xBB, 0xBF, .. "{}"u8]), "not valid JSON");
        yield return Case("a trailing comma", Build(Header(Entry("x", "U8", "[0]", "[0,0]"), "")), "not valid JSON");
        yield return Case("half a surrogate pair",
            Build("""{"\ud800":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"""), "surrogate");
        yield return Case("arrays a million deep", Build("{\"x\":{\"extra\":" + new string('[', 1_000_000)),
            "not valid JSON");

        // Files that are often mistaken for safetensors files.
        yield return Case("a Git LFS pointer", "version https://git-lfs.github.com/spec/v1\n"u8.ToArray(),
            "git lfs pull");
        yield return Case("a PyTorch archive", [0x50, 0x4B, 3, 4, 0, 0, 8, 8, 0, 0], "PyTorch");
        yield return Case("an error page", "<!DOCTYPE html>"u8.ToArray(), "HTML");
    }

    private static TestCaseData Case(string name, byte[] bytes, params string[] expected)
        => new TestCaseData(bytes, expected).SetArgDisplayNames(name);

    [TestCaseSource(nameof(MalformedFiles))]
    public void A_malformed_file_is_refused_with_a_message_that_names_the_file_and_the_trouble(byte[] bytes,
        string[] expected)
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("broken.safetensors", bytes);

        var refusal = Assert.Throws<InputException>(() => SafeTensorsFile.Open(path).Dispose())!;
        var memory = InMemory(bytes);
        var inMemory = Assert.Throws<InputException>(() => SafeTensorsFile.Open(path, memory).Dispose())!;

        Assert.That(inMemory.Message, Is.EqualTo(refusal.Message),
            "the same bytes in memory are refused for the same reason");
        Assert.That(memory.CanRead, Is.False, "the memory was given back");
        Assert.That(refusal.Message, Does.StartWith(path));
        foreach (var part in expected)
        {
            Assert.That(refusal.Message, Does.Contain(part));
        }
    }

    [Test]
    public void A_missing_file_and_a_folder_are_refused_by_name()
    {
        using var folder = new TemporaryFolder();
        var missing = folder.File("none.safetensors");

        Assert.That(() => SafeTensorsFile.Open(missing),
            Throws.TypeOf<InputException>().With.Message.Contains(missing).And.Message.Contains("no such file"));
        Assert.That(() => SafeTensorsFile.Open(folder.Root),
            Throws.TypeOf<InputException>().With.Message.Contains("found a folder"));
    }

    [Test]
    public void A_name_in_a_message_is_cut_and_cannot_steer_the_terminal()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("x.safetensors",
            Build(Header(Entry("\\u001b[31m" + new string('n', 10_000), "U8", "[1]", "[0,2]")), 2));

        var refusal = Assert.Throws<InputException>(() => SafeTensorsFile.Open(path))!;

        Assert.That(refusal.Message, Does.Not.Contain("\u001b").And.Contain("\\u001B[31mnnn"));
        Assert.That(refusal.Message, Has.Length.LessThan(600 + path.Length));
    }

    [Test]
    public void A_header_that_claims_much_makes_the_reader_allocate_little()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("x.safetensors", [.. BitConverter.GetBytes(99_999_999UL), .. new byte[64]]);
        var huge = folder.Write("y.safetensors",
            Build(Header(Entry("x", "U8", "[1000000000000]", "[0,1000000000000]")), 8));
        // once, so that the code is compiled
        Assert.That(() => SafeTensorsFile.Open(path), Throws.TypeOf<InputException>());
        Assert.That(() => SafeTensorsFile.Open(huge), Throws.TypeOf<InputException>());

        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.That(() => SafeTensorsFile.Open(path), Throws.TypeOf<InputException>());
        Assert.That(() => SafeTensorsFile.Open(huge), Throws.TypeOf<InputException>());

        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(200_000));
    }
}
