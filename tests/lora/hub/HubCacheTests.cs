using LoraScratch.Engine;
using LoraScratch.Lora.Hub;

namespace LoraScratch.Tests.Hub;

/// <summary>What the cache holds, whoever wrote it; names, and what the environment says.</summary>
[Parallelizable]
public sealed class HubCacheTests
{
    private const string Commit = "0123456789abcdef0123456789abcdef01234567";

    [Test]
    public void What_Python_has_downloaded_is_found_without_asking_the_hub()
    {
        using var test = new HubTestCase();
        Write(test, "org/tiny", HubTestCase.Model(), "main");
        var snapshot = test.Pull("org/tiny");
        Assert.That(snapshot.Folder, Is.EqualTo(test.Cache.SnapshotOf(HubName.Parse("org/tiny")!, Commit)));
        Assert.That(test.Pull($"org/tiny@{Commit}").Folder, Is.EqualTo(snapshot.Folder));
        Assert.That(test.Hub.Requests, Is.Empty);
        Assert.That(HubFiles.Doubt(test.Cache, snapshot), Is.Null);
    }

    [Test]
    public void What_Python_has_downloaded_in_part_is_completed()
    {
        using var test = new HubTestCase();
        var files = HubTestCase.Model();
        var commit = test.Hub.Add("org/tiny", files);
        Write(test, "org/tiny", new() { ["config.json"] = files["config.json"] }, "main", commit);
        var snapshot = test.Pull("org/tiny");
        Assert.That(snapshot.Commit, Is.EqualTo(commit));
        Assert.That(test.Hub.Requests.Select(request => request.Path), Has.None.EndsWith("/config.json").And
            .Some.EndsWith("/vocab.txt"));
        Assert.That(File.Exists(Path.Combine(snapshot.Folder, "model.safetensors")));
    }

    [Test]
    public void What_may_be_missing_and_would_change_an_answer_is_told()
    {
        using var test = new HubTestCase();
        var files = HubTestCase.Model();
        files.Remove("tokenizer_config.json");
        Write(test, "org/tiny", files, "main");
        var snapshot = test.Pull("org/tiny");
        Assert.That(HubFiles.Doubt(test.Cache, snapshot), Does.Contain("tokenizer_config.json"));
        test.Cache.WriteAbsent(snapshot.Name, Commit, ["tokenizer_config.json"]);
        Assert.That(HubFiles.Doubt(test.Cache, snapshot), Is.Null, "as Python notes it");

        Write(test, "org/adapter", new()
        {
            ["adapter_config.json"] = [1],
            ["adapter_model.safetensors"] = [2],
        }, "main");
        Assert.That(HubFiles.Doubt(test.Cache, test.Pull("org/adapter")), Does.Contain("config.json").And
            .Contain("classes"));
    }

    [Test]
    public void The_cache_is_listed_and_emptied_by_model_and_by_revision()
    {
        using var test = new HubTestCase();
        var listing = new HubCacheListing(test.Cache);
        Assert.That(listing.Models(), Is.Empty, "there is no folder yet");
        var files = HubTestCase.Model(bytes: 5000);
        var old = test.Hub.Add("org/tiny", files);
        test.Pull("org/tiny");
        test.Hub.Add("org/tiny", new Dictionary<string, byte[]>(files) { ["vocab.txt"] = new byte[100] }, "next");
        var next = test.Pull("org/tiny@next");
        test.Hub.Add("a-first/one", HubTestCase.Model(bytes: 10));
        test.Pull("a-first/one");
        File.WriteAllBytes(test.Cache.BlobOf(next.Name, "0.incomplete"), new byte[7]);
        Directory.CreateDirectory(Path.Combine(test.Cache.Root, "datasets--org--data"));

        var models = listing.Models();
        Assert.That(models.Select(model => model.Name), Is.EqualTo(new[] { "a-first/one", "org/tiny" }));
        var tiny = models[1];
        Assert.That(tiny.Revisions.Select(revision => (revision.Commit, string.Join(',', revision.References))),
            Is.EquivalentTo(new[] { (old, "main"), (next.Commit, "next") }));
        Assert.That(tiny.UnfinishedBytes, Is.EqualTo(7));
        Assert.That(tiny.Bytes, Is.EqualTo(tiny.Revisions.Single(revision => revision.Commit == old).Bytes + 100 + 7),
            "what is shared is on the disk once");
        Assert.That(tiny.LastUsed, Is.EqualTo(DateTime.Now).Within(TimeSpan.FromHours(1)));

        Assert.That(listing.Remove(HubName.Parse("org/tiny@next")!, revision: true), Is.EqualTo(100));
        Assert.That(Directory.Exists(next.Folder), Is.False);
        Assert.That(test.Pull("org/tiny").DownloadedBytes, Is.Null, "the other revision is whole");
        Assert.That(() => listing.Remove(HubName.Parse("org/tiny@next")!, revision: true), Throws
            .InstanceOf<InputException>().With.Message.Contains("has no revision 'next'").And.Message.Contains("main"));
        listing.Remove(HubName.Parse("org/tiny")!, revision: false);
        Assert.That(listing.Models().Select(model => model.Name), Is.EqualTo(new[] { "a-first/one" }));
        Assert.That(() => listing.Remove(HubName.Parse("org/tiny")!, revision: false), Throws
            .InstanceOf<InputException>().With.Message.Contains("does not have it"));
    }

    [Test]
    public void What_is_being_downloaded_is_not_removed()
    {
        using var test = new HubTestCase();
        var files = HubTestCase.Model();
        test.Hub.Add("org/tiny", files);
        var snapshot = test.Pull("org/tiny");
        using (HubLock.TryTake(test.Cache.LockOf(snapshot.Name, FakeHub.HashOf("vocab.txt", files["vocab.txt"]))))
        {
            Assert.That(() => new HubCacheListing(test.Cache).Remove(snapshot.Name, revision: false), Throws
                .InstanceOf<InputException>().With.Message.Contains("another process downloads it"));
        }
        new HubCacheListing(test.Cache).Remove(snapshot.Name, revision: false);
    }

    [Test]
    public void Names_with_and_without_a_revision_are_read()
    {
        Assert.That(HubName.Parse("org/name"), Is.EqualTo(new HubName("org/name", "main")));
        Assert.That(HubName.Parse("org/name@v1.0"), Is.EqualTo(new HubName("org/name", "v1.0")));
        Assert.That(HubName.Parse("bert-base-uncased@refs/pr/1")!.Revision, Is.EqualTo("refs/pr/1"));
        Assert.That(new[] { "org/name", "org/name@v1.0" }.Select(text => HubName.Parse(text)!.ToString()),
            Is.EqualTo(new[] { "org/name", "org/name@v1.0" }));
        foreach (var wrong in (string[])["", "a/b/c", "/a", "../a", "a/..", "a--b/c", "a b", "a/b@", "a/b@../x",
            "a/b@x/", "a/b@/x", "a/b@x//y", "a/b@.x", "a/b@x\\y", "a/b@c:d", "a/b@x\ny",
            "lorascratch-base:0123", "./a", "~/a"])
        {
            Assert.That(HubName.Parse(wrong), Is.Null, wrong);
        }
    }

    [Test]
    public void Hub_token_and_offline_are_what_the_environment_says_as_in_Python()
    {
        using var folder = new TemporaryFolder();
        HubSettings Of(params (string Name, string Value)[] set) => HubSettings.Of(name =>
            set.Append(("HF_HOME", folder.Root)).FirstOrDefault(entry => entry.Item1 == name) is { Item2: { } value }
                ? value : null);
        Assert.That((Of().Address, Of().Token, Of().IsOffline, Of().CacheRoot),
            Is.EqualTo(("https://huggingface.co", (string?)null, false, folder.File("hub"))));
        folder.Write("token", "hf_file\n");
        Assert.That(Of().Token, Is.EqualTo("hf_file"));
        Assert.That(Of(("HF_TOKEN", " hf_set\n")).Token, Is.EqualTo("hf_set"));
        Assert.That(Of(("HF_TOKEN_PATH", folder.Write("other", "hf_other"))).Token, Is.EqualTo("hf_other"));
        Assert.That(Of(("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")).Token, Is.Null);
        Assert.That(Of(("HF_HUB_OFFLINE", "True")).IsOffline && Of(("TRANSFORMERS_OFFLINE", "1")).IsOffline);
        Assert.That(Of(("HF_HUB_OFFLINE", "0")).IsOffline, Is.False);
        Assert.That(Of(("HF_ENDPOINT", "http://localhost:8080/hf/")).Address, Is.EqualTo("http://localhost:8080/hf"));
        Assert.That(Of(("HF_HUB_DOWNLOAD_TIMEOUT", "2.5")).Timeout, Is.EqualTo(TimeSpan.FromSeconds(2.5)));
        foreach (var (name, value) in new[] { ("HF_ENDPOINT", "huggingface.co"), ("HF_ENDPOINT", "ftp://x"),
            ("HF_ENDPOINT", "https://me:secret@x"), ("HF_HUB_DOWNLOAD_TIMEOUT", "soon"), ("HF_TOKEN", "two words") })
        {
            Assert.That(() => Of((name, value)), Throws.InstanceOf<InputException>().With.Message.Contains(name));
        }
    }

    /// <summary>As huggingface_hub lays a download out.</summary>
    private static void Write(HubTestCase test, string name, Dictionary<string, byte[]> files, string revision,
        string commit = Commit)
    {
        var folder = $"cache/models--{name.Replace("/", "--", StringComparison.Ordinal)}";
        test.Folder.Write($"{folder}/refs/{revision}", commit);
        foreach (var (file, bytes) in files)
        {
            var hash = FakeHub.HashOf(file, bytes);
            test.Folder.Write($"{folder}/blobs/{hash}", bytes);
            var pointer = test.Folder.File($"{folder}/snapshots/{commit}/{file}");
            Directory.CreateDirectory(Path.GetDirectoryName(pointer)!);
            File.CreateSymbolicLink(pointer, $"../../blobs/{hash}");
        }
    }
}
