using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Tests.IO;

/// <summary>
/// A file or a folder is written whole or not at all, whatever breaks on the way.
/// </summary>
public sealed class AtomicFileTests
{
    /// <summary>A file on a disk that is full after <paramref name="capacity"/> bytes.</summary>
    private sealed class FullDisk(string path, long capacity) : FileStream(path, FileMode.CreateNew)
    {
        // FileStream sends the spans of a derived class here too.
        public override void Write(byte[] buffer, int offset, int count)
        {
            var space = (int)Math.Min(count, capacity - Position);
            base.Write(buffer, offset, space);
            if (space < count)
            {
                throw new IOException("No space left on device.");
            }
        }
    }

    private static TensorToWrite[] Tensors(int count)
        => [TensorToWrite.Floats("w", [count], new float[count]), TensorToWrite.Integers("i", [3], new long[3])];

    [Test]
    public void A_disk_that_is_full_at_any_byte_leaves_the_old_file_and_no_other()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("adapter.safetensors");
        SafeTensorsWriter.Write(path, Tensors(8));
        var size = new FileInfo(path).Length;
        var old = folder.Write("old.safetensors", [1, 2, 3]);
        for (var capacity = 0; capacity < size; capacity++)
        {
            var refusal = Assert.Throws<InputException>(() =>
                SafeTensorsWriter.Write(old, Tensors(8), null, name => new FullDisk(name, capacity)))!;
            Assert.That(refusal.Message,
                Does.StartWith(old).And.Contain("No space left").And.Contain("Nothing was changed"));
            Assert.That(File.ReadAllBytes(old), Is.EqualTo([1, 2, 3]), $"disk full at byte {capacity}");
            Assert.That(folder.Names, Is.EqualTo(["adapter.safetensors", "old.safetensors"]),
                $"disk full at byte {capacity}");
        }
        SafeTensorsWriter.Write(old, Tensors(8), null, name => new FullDisk(name, size));
        Assert.That(File.ReadAllBytes(old), Is.EqualTo(File.ReadAllBytes(path)), "a disk with just enough space");
    }

    [Test]
    public void A_smaller_file_over_a_larger_one_leaves_no_rest_of_it()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("x");
        SafeTensorsWriter.Write(path, Tensors(1000));
        SafeTensorsWriter.Write(path, Tensors(1));
        SafeTensorsWriter.Write(folder.File("y"), Tensors(1));

        Assert.That(File.ReadAllBytes(path), Is.EqualTo(File.ReadAllBytes(folder.File("y"))));
        Assert.That(folder.Names, Is.EqualTo(["x", "y"]));
    }

    [Test]
    public void A_source_that_throws_passes_its_exception_on_and_leaves_the_old_file()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("x", [9]);
        FloatSource source = (first, destination) =>
        {
            if (first > 0)
            {
                throw new InvalidOperationException("device lost");
            }
        };

        Assert.That(() => SafeTensorsWriter.Write(path, [TensorToWrite.Floats("w", [100_000], source)]),
            Throws.InvalidOperationException.With.Message.EqualTo("device lost"));
        Assert.That(File.ReadAllBytes(path), Is.EqualTo([9]));
        Assert.That(folder.Names, Is.EqualTo(["x"]));
    }

    [Test]
    public void A_file_that_is_open_can_be_replaced_by_a_changed_copy_of_itself()
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Ignore("Windows does not rename over a file that is mapped.");
        }
        using var folder = new TemporaryFolder();
        var path = folder.File("x");
        SafeTensorsWriter.Write(path, Tensors(8));
        using (var file = SafeTensorsFile.Open(path))
        {
            SafeTensorsWriter.Write(path, [TensorToWrite.Copy(file, "w", "v")]);
        }

        using var changed = SafeTensorsFile.Open(path);
        Assert.That(changed.Tensors.Keys, Is.EqualTo(["v"]));
    }

    [Test]
    public void A_missing_folder_and_a_folder_of_that_name_are_refused()
    {
        using var folder = new TemporaryFolder();
        var missing = Path.Combine(folder.Root, "none", "x.json");

        Assert.That(() => AtomicFile.WriteText(missing, "{}"),
            Throws.TypeOf<InputException>().With.Message.StartsWith(missing));
        Assert.That(() => AtomicFile.WriteText(folder.Root, "{}"),
            Throws.TypeOf<InputException>().With.Message.Contains("a folder of that name"));
    }

    [Test]
    public void A_read_only_folder_is_refused_and_keeps_its_file()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("x", [1]);
        if (OperatingSystem.IsWindows())
        {
            Assert.Ignore("Windows folders have no such permission.");
            return;                                         // tells the compiler what Ignore does
        }
        File.SetUnixFileMode(folder.Root, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        try
        {
            if (Environment.IsPrivilegedProcess)
            {
                Assert.Ignore("A privileged process may write into a read-only folder.");
            }
            Assert.That(() => AtomicFile.WriteText(path, "{}"),
                Throws.TypeOf<InputException>().With.Message.StartsWith(path));
            Assert.That(File.ReadAllBytes(path), Is.EqualTo([1]));
        }
        finally
        {
            File.SetUnixFileMode(folder.Root,
                UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    [Test]
    public void Text_is_UTF8_without_a_byte_order_mark()
    {
        using var folder = new TemporaryFolder();
        AtomicFile.WriteText(folder.File("x"), "ä");
        Assert.That(File.ReadAllBytes(folder.File("x")), Is.EqualTo([0xC3, 0xA4]));
    }

    [Test]
    public void A_folder_appears_whole_and_replaces_only_what_is_ours()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("adapter");
        bool IsOurs(string name) => name is "config.json" or "weights";
        AtomicFolder.Write(path, target =>
        {
            File.WriteAllText(Path.Combine(target, "config.json"), "1");
            File.WriteAllText(Path.Combine(target, "weights"), "1");
            Assert.That(Directory.Exists(path), Is.False, "nothing is seen before it is whole");
        });
        Assert.That(() => AtomicFolder.Write(path, _ => Assert.Fail("must be refused first"), IsOurs),
            Throws.TypeOf<InputException>().With.Message.StartsWith(path).And.Message.Contains("config.json, weights"));
        AtomicFolder.Write(
            path, target => File.WriteAllText(Path.Combine(target, "config.json"), "2"), IsOurs, overwrite: true);

        Assert.That(Directory.GetFiles(path).Select(Path.GetFileName), Is.EqualTo(["config.json"]));
        Assert.That(File.ReadAllText(Path.Combine(path, "config.json")), Is.EqualTo("2"));
        Assert.That(folder.Names, Is.EqualTo(["adapter"]));

        File.WriteAllText(Path.Combine(path, "thesis.docx"), "years of work");
        Assert.That(() => AtomicFolder.Write(path, _ => Assert.Fail("must be refused first"), IsOurs, overwrite: true),
            Throws.TypeOf<InputException>().With.Message.StartsWith(path).And.Message.Contains("'thesis.docx'"));
        Assert.That(Directory.GetFiles(path), Has.Length.EqualTo(2));
    }

    [Test]
    public void A_folder_that_fails_halfway_leaves_the_old_one()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("adapter");
        AtomicFolder.Write(path, target => File.WriteAllText(Path.Combine(target, "a"), "1"));

        Assert.That(() => AtomicFolder.Write(path, target =>
        {
            File.WriteAllText(Path.Combine(target, "a"), "2");
            throw new IOException("No space left on device.");
        }, _ => true, overwrite: true), Throws.TypeOf<InputException>().With.Message.Contains("No space left"));
        Assert.That(File.ReadAllText(Path.Combine(path, "a")), Is.EqualTo("1"));
        Assert.That(folder.Names, Is.EqualTo(["adapter"]));
    }

    [Test]
    public void A_folder_is_refused_where_a_file_stands_or_no_parent_is()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("x", [1]);
        Assert.That(() => AtomicFolder.Check(file),
            Throws.TypeOf<InputException>().With.Message.Contains("found a file"));
        Assert.That(() => AtomicFolder.Check(Path.Combine(folder.Root, "a", "b")),
            Throws.TypeOf<InputException>().With.Message.Contains("there is no folder"));
        Assert.That(() => AtomicFolder.Check(folder.File("new")), Throws.Nothing);
    }
}
