using LoraScratch.Lora.Hub;

namespace LoraScratch.Tests.Hub;

/// <summary>From a hub into the cache: what is asked for, and what of it is kept.</summary>
[Parallelizable]
public sealed class HubDownloadTests
{
    private const string Weights = "model.safetensors";

    [Test]
    public void What_is_read_here_is_laid_out_as_Python_does()
    {
        using var test = new HubTestCase();
        var files = HubTestCase.Model();
        var commit = test.Hub.Add("org/tiny", files);
        var snapshot = test.Pull("org/tiny");
        Assert.That(snapshot.Folder, Is.EqualTo(
            Path.Combine(test.Cache.Root, "models--org--tiny", "snapshots", commit)));
        Assert.That(snapshot.DownloadedBytes, Is.EqualTo(snapshot.Bytes));
        Assert.That(File.ReadAllText(Path.Combine(test.Cache.FolderOf("org/tiny"), "refs", "main")),
            Is.EqualTo(commit), "without a line break");
        var taken = files.Keys.Except(["pytorch_model.bin", "README.md"]).Order(StringComparer.Ordinal).ToArray();
        Assert.That(test.Layout("models--org--tiny/snapshots"), Is.EqualTo(taken.Select(file =>
            $"models--org--tiny/snapshots/{commit}/{file} -> ../../blobs/{FakeHub.HashOf(file, files[file])}")));
        foreach (var file in taken)
        {
            Assert.That(File.ReadAllBytes(Path.Combine(snapshot.Folder, file)), Is.EqualTo(files[file]));
        }
        Assert.That(test.Layout("models--org--tiny/blobs"), Is.EquivalentTo(taken.Select(file =>
            $"models--org--tiny/blobs/{FakeHub.HashOf(file, files[file])}")), "nothing else is left");
        Assert.That(test.Layout(".locks"), Is.EquivalentTo(taken.Select(file =>
            $".locks/models--org--tiny/{FakeHub.HashOf(file, files[file])}.lock")));
        Assert.That(test.Layout("models--org--tiny/.no_exist"),
            Does.Contain($"models--org--tiny/.no_exist/{commit}/tokenizer.json"));
        Assert.That(test.Hub.Requests.Select(request => request.Path), Has.None.Contains("pytorch_model.bin"));
    }

    [Test]
    public void What_the_cache_has_is_not_asked_for_again()
    {
        using var test = new HubTestCase();
        test.Hub.Add("org/tiny", HubTestCase.Model());
        var first = test.Pull("org/tiny");
        test.Hub.Requests.Clear();
        var second = test.Pull("org/tiny");
        Assert.That(test.Hub.Requests, Is.Empty);
        Assert.That((second.Folder, second.DownloadedBytes), Is.EqualTo((first.Folder, (long?)null)));

        var third = test.Pull("org/tiny", refresh: true);
        Assert.That(test.Hub.Requests.Select(request => request.ToString()),
            Is.EqualTo(new[] { "GET /api/models/org/tiny/revision/main" }), "one question, and nothing is new");
        Assert.That(third.DownloadedBytes, Is.Null);
    }

    [Test]
    public void The_newest_commit_shares_the_files_that_are_the_same()
    {
        using var test = new HubTestCase();
        var files = HubTestCase.Model();
        test.Hub.Add("org/tiny", files);
        var old = test.Pull("org/tiny");
        test.Hub.Add("org/tiny", new Dictionary<string, byte[]>(files) { ["vocab.txt"] = "[PAD]\nnew\n"u8.ToArray() });
        Assert.That(test.Pull("org/tiny").Commit, Is.EqualTo(old.Commit), "the cache comes first");
        test.Hub.CdnRequests.Clear();
        var updated = test.Pull("org/tiny", refresh: true);
        Assert.That(updated.Commit, Is.Not.EqualTo(old.Commit));
        Assert.That(updated.DownloadedBytes, Is.EqualTo("[PAD]\nnew\n".Length));
        Assert.That(test.Hub.CdnRequests, Is.Empty, "the weights are there");
        Assert.That(test.Pull("org/tiny").Commit, Is.EqualTo(updated.Commit));
        Assert.That(test.Pull($"org/tiny@{old.Commit}").Folder, Is.EqualTo(old.Folder), "and the old one still is");
    }

    [Test]
    public void A_revision_is_a_branch_a_tag_a_reference_or_a_commit()
    {
        using var test = new HubTestCase();
        var commit = test.Hub.Add("org/tiny", HubTestCase.Model(), "v1.0");
        var request = test.Hub.Add("org/tiny", HubTestCase.Model(seed: 2), "refs/pr/1");
        Assert.That(test.Pull("org/tiny@v1.0").Commit, Is.EqualTo(commit));
        Assert.That(test.Pull("org/tiny@refs/pr/1").Commit, Is.EqualTo(request));
        Assert.That(File.ReadAllText(Path.Combine(test.Cache.FolderOf("org/tiny"), "refs", "refs", "pr", "1")),
            Is.EqualTo(request));
        Assert.That(test.Pull($"org/tiny@{commit}").Commit, Is.EqualTo(commit));
        Assert.That(test.Layout("models--org--tiny/refs"), Has.Length.EqualTo(2), "a commit needs no reference");
        test.Refuse("org/tiny", "has no revision 'main'", test.Hub.Address);
    }

    [Test]
    public void The_shards_of_an_index_are_downloaded()
    {
        using var test = new HubTestCase();
        var files = HubTestCase.Model();
        files.Remove(Weights);
        files["model-00001-of-00002.safetensors"] = [1, 2, 3];
        files["model-00002-of-00002.safetensors"] = [4, 5];
        files["model.safetensors.index.json"] = """
            {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
            """u8.ToArray();
        test.Hub.Add("org/tiny", files);
        var snapshot = test.Pull("org/tiny");
        Assert.That(File.ReadAllBytes(Path.Combine(snapshot.Folder, "model-00002-of-00002.safetensors")),
            Is.EqualTo(new byte[] { 4, 5 }));
        File.Delete(Path.Combine(snapshot.Folder, "model-00001-of-00002.safetensors"));
        Assert.That(new HubPull(test.Settings).InCache(HubName.Parse("org/tiny")!), Is.Null, "a shard is missing");
    }

    [Test]
    public void The_token_goes_to_the_hub_and_to_nobody_else()
    {
        using var test = new HubTestCase();
        test.Hub.Add("org/tiny", HubTestCase.Model());
        test.Pull("org/tiny");
        Assert.That(test.Hub.Requests.Select(request => request["Authorization"]),
            Is.All.EqualTo("Bearer hf_secret"));
        Assert.That(test.Hub.CdnRequests, Is.Not.Empty);
        Assert.That(test.Hub.CdnRequests.Select(request => request["Authorization"]), Is.All.Null);
    }

    [Test]
    public void A_renamed_model_is_followed_within_the_hub_with_the_token()
    {
        using var test = new HubTestCase();
        test.Hub.Add("new/name", HubTestCase.Model());
        test.Hub.Instead = request => request.Path.Contains("old/name", StringComparison.Ordinal)
            ? new HubAnswer(307, [], ("Location", request.Path.Replace("old/name", "new/name"))) : null;
        var snapshot = test.Pull("old/name");
        Assert.That(snapshot.Folder, Does.Contain("models--old--name"), "as Python has it");
        Assert.That(test.Hub.Requests.Select(request => request["Authorization"]), Is.All.Not.Null);
    }

    [TestCase(Weights, "SHA-256")]
    [TestCase("vocab.txt", "SHA-1")]
    public void A_file_with_another_hash_is_refused_and_deleted(string file, string kind)
    {
        using var test = new HubTestCase();
        var files = HubTestCase.Model();
        test.Hub.Add("org/tiny", files);
        var (right, wrong) = (FakeHub.HashOf(file, files[file]), (byte[])[.. files[file][..^1], 0x55]);
        test.Hub.Instead = request => request.Method == "GET"
            && request.Path.EndsWith(file == Weights ? right : file, StringComparison.Ordinal)
            ? new HubAnswer(200, wrong) : null;
        test.Refuse("org/tiny", $"{file} has arrived damaged", kind, right, FakeHub.HashOf(file, wrong));
        Assert.That(test.Layout("models--org--tiny"), Has.None.Contains(right));
        Assert.That(Directory.Exists(Path.Combine(test.Cache.FolderOf("org/tiny"), "refs")), Is.False);
    }

    [Test]
    public void A_file_that_is_longer_than_the_hub_says_is_refused()
    {
        using var test = new HubTestCase();
        var files = HubTestCase.Model();
        test.Hub.Add("org/tiny", files);
        test.Hub.Instead = request => request.Path.StartsWith("/blobs/", StringComparison.Ordinal)
            ? new HubAnswer(200, [.. files[Weights], 1]) : null;
        test.Refuse("org/tiny", "longer than the 5,000 bytes");
    }

    [Test]
    public void A_file_that_the_disk_has_no_room_for_is_not_begun()
    {
        using var test = new HubTestCase();
        test.Hub.Add("org/tiny", HubTestCase.Model());
        test.Hub.Instead = request => request.Method != "HEAD"
            || !request.Path.EndsWith(Weights, StringComparison.Ordinal) || test.Hub.Answer(request) is not { } usual
            ? null
            : usual with
            {
                Headers = [.. usual.Headers.Where(header => header.Name != "X-Linked-Size"),
                    ("X-Linked-Size", $"{long.MaxValue / 2}")],
            };
        test.Refuse("org/tiny", "cannot be written", "and the disk has", "HF_HUB_CACHE");
        Assert.That(test.Hub.CdnRequests, Is.Empty);
    }

    [Test]
    public void Of_two_at_a_time_one_downloads_and_the_other_waits()
    {
        using var test = new HubTestCase();
        test.Hub.Add("org/tiny", HubTestCase.Model(bytes: 100_000));
        using var gate = new ManualResetEventSlim();
        test.Hub.Instead = request => request.Path.StartsWith("/blobs/", StringComparison.Ordinal)
            ? test.Hub.AnswerOfCdn(request) with { Gate = gate } : null;
        var waited = new ConcurrentCount();
        var both = Enumerable.Range(0, 2).Select(_ => Task.Run(() => test.Pull("org/tiny", progress: new Told(told =>
        {
            if (told is { File: Weights, IsWaiting: true })
            {
                waited.Add();
                gate.Set();
            }
        })))).ToArray();
        var (first, second) = (both[0].Result, both[1].Result);
        Assert.That(first.Folder, Is.EqualTo(second.Folder));
        Assert.That(waited.Value, Is.EqualTo(1));
        Assert.That(test.Hub.CdnRequests, Has.Count.EqualTo(1));
    }

    [Test]
    public void Where_there_are_no_links_files_take_their_place()
    {
        using var test = new HubTestCase();
        var files = HubTestCase.Model();
        var commit = test.Hub.Add("org/tiny", files);
        test.Settings = test.Settings with
        {
            Link = (_, _) => throw new IOException("A required privilege is not held by the client."),
        };
        var snapshot = test.Pull("org/tiny");
        Assert.That(test.Layout("models--org--tiny/snapshots"), Does.Contain(
            $"models--org--tiny/snapshots/{commit}/{Weights}"));
        Assert.That(test.Layout("models--org--tiny/blobs"), Is.Empty, "moved, and not there twice");
        Assert.That(File.ReadAllBytes(Path.Combine(snapshot.Folder, Weights)), Is.EqualTo(files[Weights]));
        Assert.That(test.Pull("org/tiny").DownloadedBytes, Is.Null);

        // contents that another commit may lead to are copied
        Directory.CreateDirectory(Path.Combine(test.Cache.FolderOf("org/tiny"), "blobs"));
        var blob = test.Cache.BlobOf(HubName.Parse("org/tiny")!, FakeHub.HashOf(Weights, files[Weights]));
        File.WriteAllBytes(blob, files[Weights]);
        test.Hub.Add("org/tiny", files, "next");
        test.Hub.CdnRequests.Clear();
        var next = test.Pull("org/tiny@next");
        Assert.That(File.ReadAllBytes(Path.Combine(next.Folder, Weights)), Is.EqualTo(files[Weights]));
        Assert.That((File.Exists(blob), test.Hub.CdnRequests.Count), Is.EqualTo((true, 0)));
    }

    private sealed class ConcurrentCount
    {
        private int value;

        public int Value => Volatile.Read(ref value);

        public void Add() => Interlocked.Increment(ref value);
    }
}
