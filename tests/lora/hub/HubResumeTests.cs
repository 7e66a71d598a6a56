using LoraScratch.Lora.Hub;

namespace LoraScratch.Tests.Hub;

/// <summary>Downloads that were cut, and go on from what is there.</summary>
[Parallelizable]
public sealed class HubResumeTests
{
    private const string Weights = "model.safetensors";

    [Test]
    public void A_connection_that_is_cut_is_taken_up_where_it_ended()
    {
        using var test = new HubTestCase();
        var files = HubTestCase.Model(bytes: 100_000);
        test.Hub.Add("org/tiny", files);
        var cuts = 0;
        test.Hub.Instead = request => request.Path.StartsWith("/blobs/", StringComparison.Ordinal) && cuts++ < 7
            ? test.Hub.AnswerOfCdn(request) with { CutAfter = 10_000 } : null;
        var seen = new List<HubProgress>();
        var snapshot = test.Pull("org/tiny", progress: new Told(seen.Add));
        Assert.That(File.ReadAllBytes(Path.Combine(snapshot.Folder, Weights)), Is.EqualTo(files[Weights]));
        Assert.That(test.Hub.CdnRequests.Select(request => request["Range"]), Is.EqualTo(
            Enumerable.Range(0, 8).Select(i => i == 0 ? null : $"bytes={i}0000-")));
        Assert.That(test.Waits, Has.Count.EqualTo(7).And.All.EqualTo(TimeSpan.FromSeconds(1)),
            "each brought something");
        Assert.That(snapshot.DownloadedBytes, Is.EqualTo(snapshot.Bytes), "nothing twice");
        Assert.That(seen.Select(told => told.Bytes), Is.Ordered);
        Assert.That(seen[^1].Bytes, Is.EqualTo(seen[^1].TotalBytes).And.EqualTo(snapshot.Bytes));
    }

    [Test]
    public void A_connection_that_brings_nothing_any_more_is_given_up_and_what_is_there_is_kept()
    {
        using var test = new HubTestCase();
        var files = HubTestCase.Model(bytes: 100_000);
        test.Hub.Add("org/tiny", files);
        test.Hub.Instead = request => !request.Path.StartsWith("/blobs/", StringComparison.Ordinal) ? null
            : test.Hub.AnswerOfCdn(request) with { CutAfter = request["Range"] is null ? 30_000 : 0 };
        test.Refuse("org/tiny", "cannot be reached", "ended prematurely", "the next try goes on from there");
        Assert.That(test.Waits.Select(wait => wait.TotalSeconds), Is.EqualTo(new[] { 1, 2, 4, 8 }));
        Assert.That(Directory.Exists(Path.Combine(test.Cache.FolderOf("org/tiny"), "refs")), Is.False,
            "no revision leads to what is not whole");

        test.Hub.Instead = _ => null;
        test.Hub.CdnRequests.Clear();
        var snapshot = test.Pull("org/tiny");
        Assert.That(test.Hub.CdnRequests.Single()["Range"], Is.EqualTo("bytes=30000-"));
        Assert.That(snapshot.DownloadedBytes, Is.EqualTo(70_000));
        Assert.That(File.ReadAllBytes(Path.Combine(snapshot.Folder, Weights)), Is.EqualTo(files[Weights]));
    }

    [TestCase(true, TestName = "A beginning of another file is found out by the hash, and all is downloaded once more")]
    [TestCase(false, TestName = "A beginning that is longer than the file is thrown away")]
    public void A_wrong_beginning(bool isShorter)
    {
        using var test = new HubTestCase();
        var files = HubTestCase.Model();
        test.Hub.Add("org/tiny", files);
        Begin(test, files, new byte[isShorter ? 100 : 5001]);
        var snapshot = test.Pull("org/tiny");
        Assert.That(File.ReadAllBytes(Path.Combine(snapshot.Folder, Weights)), Is.EqualTo(files[Weights]));
        Assert.That(test.Hub.CdnRequests.Select(request => request["Range"]),
            Is.EqualTo(isShorter ? new[] { "bytes=100-", null } : [null]));
    }

    [Test]
    public void A_beginning_that_is_the_whole_file_is_taken_without_a_request()
    {
        using var test = new HubTestCase();
        var files = HubTestCase.Model();
        test.Hub.Add("org/tiny", files);
        Begin(test, files, files[Weights]);
        test.Pull("org/tiny");
        Assert.That(test.Hub.CdnRequests, Is.Empty);
    }

    [Test]
    public void A_server_without_ranges_gives_the_whole_file() => RequireWholeFile((request, weights) =>
        request.Path.StartsWith("/blobs/", StringComparison.Ordinal) ? new HubAnswer(200, weights) : null);

    [Test]
    public void A_server_that_does_not_have_the_range_is_asked_for_the_whole_file() =>
        RequireWholeFile((request, _) => request["Range"] is not null ? new HubAnswer(416, []) : null);

    [Test]
    public void A_server_that_gives_another_range_is_none()
    {
        using var test = new HubTestCase();
        var files = HubTestCase.Model();
        test.Hub.Add("org/tiny", files);
        Begin(test, files, files[Weights][..100]);
        test.Hub.Instead = request => request["Range"] is not null
            ? new HubAnswer(206, files[Weights][200..], ("Content-Range", "bytes 200-4999/5000")) : null;
        test.Refuse("org/tiny", "is no Hugging Face hub", "another part of model.safetensors");
    }

    [Test]
    public void Who_cancels_keeps_what_is_there()
    {
        using var test = new HubTestCase();
        var files = HubTestCase.Model(bytes: 1_000_000);
        test.Hub.Add("org/tiny", files);
        using var gate = new ManualResetEventSlim();
        test.Hub.Instead = request => request.Path.StartsWith("/blobs/", StringComparison.Ordinal)
            ? test.Hub.AnswerOfCdn(request) with { Gate = gate } : null;
        using var stop = new CancellationTokenSource();
        Assert.That(() => test.Pull("org/tiny", cancellation: stop.Token, progress: new Told(told =>
        {
            if (told.File == Weights && told.Bytes > 400_000)
            {
                stop.Cancel();
            }
        })), Throws.InstanceOf<OperationCanceledException>());
        gate.Set();
        test.Hub.Instead = _ => null;
        test.Hub.CdnRequests.Clear();
        test.Pull("org/tiny");
        Assert.That(test.Hub.CdnRequests.Single()["Range"], Does.Match("^bytes=[0-9]{6}-$"));
    }

    /// <summary>What a hub answers in place of the rest, all of the file comes.</summary>
    private static void RequireWholeFile(Func<HubRequest, byte[], HubAnswer?> instead)
    {
        using var test = new HubTestCase();
        var files = HubTestCase.Model();
        test.Hub.Add("org/tiny", files);
        Begin(test, files, files[Weights][..100]);
        test.Hub.Instead = request => instead(request, files[Weights]);
        var snapshot = test.Pull("org/tiny");
        Assert.That(File.ReadAllBytes(Path.Combine(snapshot.Folder, Weights)), Is.EqualTo(files[Weights]));
    }

    /// <summary>As a download that was cut in another process leaves it.</summary>
    private static void Begin(HubTestCase test, Dictionary<string, byte[]> files, byte[] bytes)
    {
        var blob = test.Cache.BlobOf(HubName.Parse("org/tiny")!, FakeHub.HashOf(Weights, files[Weights]));
        Directory.CreateDirectory(Path.GetDirectoryName(blob)!);
        File.WriteAllBytes(blob + ".incomplete", bytes);
    }
}
