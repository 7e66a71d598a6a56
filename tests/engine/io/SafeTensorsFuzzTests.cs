using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Tests.IO;

/// <summary>
/// Random damage: a file is read, or refused with an InputException, and never costs more memory
/// than a small multiple of itself.
/// </summary>
public sealed class SafeTensorsFuzzTests
{
    private static byte[] ValidFile(TemporaryFolder folder)
    {
        var path = folder.File("valid");
        SafeTensorsWriter.Write(path,
        [
            TensorToWrite.Floats("encoder.weight", [2, 3], new float[] { 1, 2, 3, 4, 5, 6 }),
            TensorToWrite.Floats("encoder.bias", [3], new float[] { 1, 2, 3 }, DType.F16),
            TensorToWrite.Integers("ids", [2, 0, 1], Array.Empty<long>()),
            TensorToWrite.Integers("scalar", [], new long[] { 7 }, DType.U8),
        ], new Dictionary<string, string> { ["format"] = "pt" });
        return File.ReadAllBytes(path);
    }

    private static void OpenAndReadAll(string path)
    {
        using var file = SafeTensorsFile.Open(path);
        var sum = 0;
        foreach (var name in file.Tensors.Keys)
        {
            foreach (var value in file.Bytes(name))
            {
                sum += value;
            }
        }
        Assert.That(sum, Is.GreaterThanOrEqualTo(0));
    }

    private static bool IsRead(string path, byte[] bytes)
    {
        File.WriteAllBytes(path, bytes);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var read = true;
        try
        {
            OpenAndReadAll(path);
        }
        catch (InputException refusal)
        {
            read = false;
            Assert.That(refusal.Message, Does.StartWith(path));
        }
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        if (allocated > 200_000)
        {
            Assert.Fail($"{allocated} bytes allocated for a file of {bytes.Length}: {Convert.ToHexString(bytes)}");
        }
        return read;
    }

    [Test]
    public void Every_truncation_of_a_valid_file_is_refused()
    {
        using var folder = new TemporaryFolder();
        var valid = ValidFile(folder);
        Assert.That(IsRead(folder.File("x"), valid));
        for (var length = 0; length < valid.Length; length++)
        {
            Assert.That(IsRead(folder.File("x"), valid[..length]), Is.False, $"{length} of {valid.Length} bytes");
        }
    }

    [Test]
    public void Random_damage_is_read_or_refused_and_nothing_else()
    {
        using var folder = new TemporaryFolder();
        var valid = ValidFile(folder);
        var headerEnd = 8 + BitConverter.ToInt32(valid);
        byte[] letters = [.. "0123456789-.eE{}[]\":,\\u \t\0"u8, 0x80, 0xFF];
        var random = new Random(11);
        var (read, refused) = (0, 0);
        for (var i = 0; i < 3000; i++)
        {
            var bytes = (byte[])valid.Clone();
            for (var change = random.Next(1, 5); change > 0; change--)
            {
                var place = random.Next(i % 2 == 0 ? headerEnd : bytes.Length);
                bytes[place] = random.Next(3) switch
                {
                    0 => (byte)random.Next(256),
                    1 => (byte)(bytes[place] ^ 1 << random.Next(8)),
                    _ => letters[random.Next(letters.Length)],
                };
            }
            if (random.Next(8) == 0)
            {
                bytes = bytes[..random.Next(bytes.Length)];
            }
            if (IsRead(folder.File("x"), bytes))
            {
                read++;
            }
            else
            {
                refused++;
            }
        }
        Assert.That(read, Is.GreaterThan(50), "damage to data, names and white space is read");
        Assert.That(refused, Is.GreaterThan(500));
    }
}
