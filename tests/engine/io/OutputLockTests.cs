using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Tests.IO;

/// <summary>
/// One process at a time writes a folder or a file; what keeps the others out goes with it.
/// </summary>
public sealed class OutputLockTests
{
    [Test]
    public void It_is_given_once_and_again_when_it_was_given_back()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("result");
        using (OutputLock.Take(path))
        {
            Assert.That(folder.Names, Is.EqualTo([".result.lora.lock"]));
            RequireBusy(path + Path.DirectorySeparatorChar, "this process");
            Assert.That(() => OutputLock.Take(folder.File("another")).Dispose(), Throws.Nothing);
        }
        Assert.That(folder.Names, Is.Empty);
        OutputLock.Take(path).Dispose();
    }

    [Test]
    public void A_check_that_refuses_gives_it_back()
    {
        using var folder = new TemporaryFolder();
        Assert.That(() => OutputLock.Take(folder.File("result"), () => throw new InputException("no")),
            Throws.TypeOf<InputException>().With.Message.EqualTo("no"));
        Assert.That(folder.Names, Is.Empty);
        OutputLock.Take(folder.File("result")).Dispose();
    }

    [Test]
    public void Another_spelling_of_the_path_is_the_same_file_to_the_system()
    {
        using var folder = new TemporaryFolder();
        var parent = Directory.CreateDirectory(folder.File("parent")).FullName;
        var result = Directory.CreateDirectory(Path.Combine(parent, "result")).FullName;
        Link(folder.File("link to the parent"), parent);
        Link(folder.File("link to it"), result);
        using var taken = OutputLock.Take(result);
        // The first is told by the system's lock alone.
        var other = $"another process (id {Environment.ProcessId})";
        RequireBusy(Path.Combine(folder.File("link to the parent"), "result"), other);
        RequireBusy(folder.File("link to it"), "this process");
        RequireBusy(Path.GetRelativePath(".", result), "this process");
    }

    [Test]
    public void What_a_killed_process_left_keeps_nobody_out_and_goes()
    {
        using var folder = new TemporaryFolder();
        folder.Write(".result.lora.lock", new byte[12345]);
        using (OutputLock.Take(folder.File("result")))
        {
            Assert.That(new FileInfo(folder.File(".result.lora.lock")).Length, Is.EqualTo(Environment.ProcessId));
        }
        Assert.That(folder.Names, Is.Empty);
    }

    [Test]
    public void A_link_in_the_place_of_the_lock_file_is_not_followed()
    {
        using var folder = new TemporaryFolder();
        var precious = folder.Write("precious", [1, 2, 3]);
        Link(folder.File(".result.lora.lock"), precious);
        Assert.That(() => OutputLock.Take(folder.File("result")),
            Throws.TypeOf<InputException>().With.Message.Contains("is a link to"));
        Assert.That(File.ReadAllBytes(precious), Is.EqualTo([1, 2, 3]));
    }

    [Test]
    public void A_save_within_a_run_needs_no_second_lock_and_a_save_alone_takes_one()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("result");
        using (AtomicFolder.Reserve(path))
        {
            AtomicFolder.Write(path, target => File.WriteAllText(Path.Combine(target, "a"), "1"));
            Assert.That(OutputLock.TakeUnlessHeld(Path.Combine(path, "in it")), Is.Null, "it covers what is in it");
        }
        AtomicFolder.Write(path, _ => RequireBusy(path, "this process"), _ => true, overwrite: true);
        Assert.That(folder.Names, Is.EqualTo(["result"]));
    }

    private static void RequireBusy(string path, string who) => Assert.That(() => OutputLock.Take(path),
        Throws.TypeOf<InputException>().With.Message.EqualTo(
            $"{path}: {who} writes to it at this moment. Wait until that has ended, or choose another name."));

    private static void Link(string path, string target)
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Ignore("Links need a privilege on Windows.");
        }
        File.CreateSymbolicLink(path, target);
    }
}
