using System.Net;
using System.Net.Sockets;
using System.Text;
using LoraScratch.Engine;
using LoraScratch.Lora.Hub;

namespace LoraScratch.Tests.Hub;

/// <summary>
/// What a hub refuses, or gives that is not to be trusted: a sentence each, and nothing written.
/// </summary>
[Parallelizable]
public sealed class HubRefusalTests
{
    private const string Listing = "/api/models/";

    [TestCase(401, "RepoNotFound", "has no such model, or it is private", "HF_TOKEN")]
    [TestCase(404, "RepoNotFound", "has no such model, or it is private", "HF_TOKEN")]
    [TestCase(401, null, "has no such model, or it is private", "HF_TOKEN")]
    [TestCase(403, "GatedRepo", "is gated", "Ask for it at")]
    [TestCase(401, "GatedRepo", "is gated", "HF_TOKEN")]
    [TestCase(403, null, "refuses access (403)", "HF_TOKEN")]
    [TestCase(404, "RevisionNotFound", "has no revision 'main'", "a tag or a commit")]
    [TestCase(404, null, "not as a Hugging Face hub", "HF_ENDPOINT")]
    [TestCase(418, null, "answers 418", "HF_ENDPOINT")]
    public void A_refusal_is_told_by_name(int status, string? code, string what, string remedy)
    {
        using var test = new HubTestCase();
        foreach (var token in new[] { null, "hf_secret" })
        {
            test.Settings = test.Settings with { Token = token };
            test.Hub.Instead = _ => HubAnswer.Refusal(status, code);
            var message = test.Refuse("org/tiny", "org/tiny: ", what, remedy);
            Assert.That(message.Contains("may be wrong, expired"), Is.EqualTo(
                token is not null && message.Contains("HF_TOKEN")), "who has a token is not told to get one");
        }
        Assert.That(test.Hub.Requests, Has.Count.EqualTo(2), "it is not asked again and again");
        Assert.That(Directory.Exists(test.Cache.Root), Is.False);
    }

    [Test]
    public void A_gated_model_lists_its_files_and_refuses_them()
    {
        using var test = new HubTestCase();
        test.Hub.Add("org/tiny", HubTestCase.Model());
        test.Hub.Instead = request => request.Path.StartsWith(Listing, StringComparison.Ordinal) ? null
            : HubAnswer.Refusal(403, "GatedRepo", ("X-Error-Message", "Access to model org/tiny is restricted."));
        test.Refuse("org/tiny", "is gated", "Access to model org/tiny is restricted.");
    }

    [TestCase(429)]
    [TestCase(503)]
    public void A_busy_hub_is_asked_again_when_it_says(int status)
    {
        using var test = new HubTestCase();
        test.Hub.Add("org/tiny", HubTestCase.Model());
        var refusals = new Dictionary<string, int>();
        test.Hub.Instead = request =>
        {
            var count = refusals[request.ToString()] = refusals.GetValueOrDefault(request.ToString()) + 1;
            return count > 2 ? null : HubAnswer.Refusal(status, null, ("Retry-After", "7"));
        };
        test.Pull("org/tiny");
        Assert.That(test.Waits, Has.Count.GreaterThan(10).And.All.EqualTo(TimeSpan.FromSeconds(7)));
    }

    [Test]
    public void A_hub_that_stays_busy_or_wants_hours_is_given_up()
    {
        using var test = new HubTestCase();
        test.Hub.Instead = _ => HubAnswer.Refusal(503);
        test.Refuse("org/tiny", "is out of order (503)", "Try again later");
        Assert.That(test.Waits.Select(wait => wait.TotalSeconds), Is.EqualTo(new[] { 1, 2, 4, 8 }));
        test.Waits.Clear();
        test.Hub.Instead = _ => HubAnswer.Refusal(429, null, ("Retry-After", "3600"));
        test.Refuse("org/tiny", "too many requests (429) and wants to be asked again in 3600 s");
        Assert.That(test.Waits, Is.Empty);
    }

    [TestCase("<!DOCTYPE html><html></html>")]
    [TestCase("{}")]
    [TestCase("[]")]
    [TestCase("{\"sha\": \"main\", \"siblings\": []}")]
    [TestCase("{\"sha\": \"../../../../tmp/0123456789012345678901234\", \"siblings\": []}")]
    [TestCase("{\"sha\": \"0123456789abcdef0123456789abcdef01234567\", \"siblings\": \"config.json\"}")]
    public void An_address_where_something_else_answers_is_named(string answer)
    {
        using var test = new HubTestCase();
        test.Hub.Instead = _ => new HubAnswer(200, Encoding.UTF8.GetBytes(answer));
        test.Refuse("org/tiny", $"{test.Hub.Address}: is no Hugging Face hub", "HF_ENDPOINT");
    }

    [TestCase("X-Repo-Commit", null)]
    [TestCase("X-Repo-Commit", "0000000000000000000000000000000000000000")]
    [TestCase("ETag", null)]
    [TestCase("ETag", "\"../../../../etc/passwd-of-forty-letters---\"")]
    [TestCase("ETag", "W/\"abc\"")]
    public void A_file_without_commit_and_hash_is_refused(string header, string? value)
    {
        using var test = new HubTestCase();
        test.Hub.Add("org/tiny", HubTestCase.Model());
        test.Hub.Instead = request => request.Method == "HEAD" && test.Hub.Answer(request) is var usual
            ? usual with
            {
                Headers = [.. usual.Headers.Where(entry => entry.Name != header),
                    .. value is null ? [] : new[] { (header, value) }]
            } : null;
        test.Refuse("org/tiny", "is no Hugging Face hub", "commit, size and hash of config.json");
        Assert.That(Directory.Exists(test.Cache.Root), Is.False);
    }

    [Test]
    public void Redirects_that_do_not_end_or_lead_astray_are_not_followed()
    {
        using var test = new HubTestCase();
        test.Hub.Instead = request => new HubAnswer(307, [], ("Location", request.Path));
        test.Refuse("org/tiny", "redirects again and again");
        test.Hub.Instead = _ => new HubAnswer(307, [], ("Location", "file:///etc/passwd"));
        test.Refuse("org/tiny", "redirects to 'file'");
    }

    [Test]
    public void Names_that_lead_out_of_the_cache_are_never_followed()
    {
        using var test = new HubTestCase();
        var files = HubTestCase.Model();
        foreach (var hostile in (string[])["../../../evil.safetensors", "/tmp/evil", "..\\..\\evil", "C:\\evil",
            "a/../b"])
        {
            files[hostile] = [1];
        }
        test.Hub.Add("org/tiny", files);
        test.Pull("org/tiny");
        Assert.That(test.Folder.Names, Is.EqualTo(new[] { "cache" }));
        Assert.That(Directory.GetFiles(test.Folder.Root, "*evil*", SearchOption.AllDirectories), Is.Empty);
        Assert.That(test.Hub.Requests.Select(request => request.Path), Has.None.Contains("evil"));
    }

    [TestCase("../../../evil.safetensors")]
    [TestCase("/tmp/evil.safetensors")]
    [TestCase("..")]
    [TestCase("a:b.safetensors")]
    [TestCase("pytorch_model.bin")]
    [TestCase("not-there.safetensors")]
    public void An_index_that_names_such_shards_is_refused(string shard)
    {
        using var test = new HubTestCase();
        var files = HubTestCase.Model();
        files.Remove("model.safetensors");
        files["../../../evil.safetensors"] = [1];
        files["a:b.safetensors"] = [1];
        files["model.safetensors.index.json"] =
            Encoding.UTF8.GetBytes($"{{\"weight_map\": {{\"a\": \"{shard}\"}}}}");
        test.Hub.Add("org/tiny", files);
        test.Refuse("org/tiny", "model.safetensors.index.json", shard);
        Assert.That(test.Folder.Names, Is.EqualTo(new[] { "cache" }));
    }

    [TestCase("blobs")]
    [TestCase("snapshots")]
    [TestCase("refs")]
    [TestCase(".no_exist")]
    public void A_link_in_the_cache_is_not_written_through(string folder)
    {
        using var test = new HubTestCase();
        test.Hub.Add("org/tiny", HubTestCase.Model());
        var outside = Directory.CreateDirectory(test.Folder.File("outside")).FullName;
        Directory.CreateDirectory(test.Cache.FolderOf("org/tiny"));
        Directory.CreateSymbolicLink(Path.Combine(test.Cache.FolderOf("org/tiny"), folder), outside);
        test.Refuse("org/tiny", $"{Path.DirectorySeparatorChar}{folder}: is a link to", "Delete it");
        Assert.That(Directory.GetFileSystemEntries(outside), Is.Empty);
    }

    [Test]
    public void A_link_in_place_of_a_beginning_or_a_lock_is_not_written_through()
    {
        using var test = new HubTestCase();
        var files = HubTestCase.Model();
        test.Hub.Add("org/tiny", files);
        var outside = test.Folder.Write("outside", "mine");
        var (name, hash) = (HubName.Parse("org/tiny")!, FakeHub.HashOf("config.json", files["config.json"]));
        foreach (var path in new[] { test.Cache.BlobOf(name, hash) + ".incomplete", test.Cache.LockOf(name, hash),
            test.Cache.BlobOf(name, hash) })
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.Delete(path);
            File.CreateSymbolicLink(path, outside);
            test.Refuse("org/tiny", $"{path}: is a link to");
            File.Delete(path);
        }
        Assert.That(File.ReadAllText(outside), Is.EqualTo("mine"));
    }

    [TestCase("config.json,pytorch_model.bin", "pytorch_model.bin, a pickled file of PyTorch, and no model.safetensors",
        "import torch")]
    [TestCase("config.json,pytorch_model.bin.index.json", "pytorch_model.bin.index.json", "torch.load")]
    [TestCase("adapter_config.json,adapter_model.bin", "adapter_model.bin", "adapter_model.safetensors")]
    [TestCase("config.json,tf_model.h5", "has no model.safetensors", "'tf_model.h5'")]
    [TestCase("model.gguf", "is neither a model (config.json) nor an adapter", "'model.gguf'")]
    [TestCase("", "is neither a model", "it has no files")]
    [TestCase("config.json,model.safetensors,sentencepiece.bpe.model", "sentencepiece.bpe.model and no tokenizer.json",
        "AutoTokenizer")]
    public void What_cannot_be_read_here_is_not_downloaded(string files, string what, string more)
    {
        using var test = new HubTestCase();
        test.Hub.Add("org/tiny", files.Split(',', StringSplitOptions.RemoveEmptyEntries)
            .ToDictionary(file => file, _ => new byte[10]));
        test.Refuse("org/tiny", what, more);
        Assert.That(test.Hub.Requests, Has.Count.EqualTo(1));
    }

    [Test]
    public void Where_nobody_answers_it_is_said_at_once()
    {
        using var test = new HubTestCase();
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        var address = $"http://127.0.0.1:{((IPEndPoint)silent.LocalEndpoint).Port}";
        silent.Stop();
        test.Settings = test.Settings with { Endpoint = new Uri(address) };
        test.Refuse("org/tiny", $"{address} cannot be reached", "Check the network");
        Assert.That(test.Waits, Is.Empty);
    }

    [Test]
    public void A_hub_that_is_silent_is_not_waited_for_without_end()
    {
        using var test = new HubTestCase();
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        test.Settings = test.Settings with
        {
            Endpoint = new Uri($"http://127.0.0.1:{((IPEndPoint)silent.LocalEndpoint).Port}"),
            Timeout = TimeSpan.FromMilliseconds(50),
        };
        test.Refuse("org/tiny", "there was no answer within 0.05 s");
        Assert.That(test.Waits, Has.Count.EqualTo(4));
    }

    [Test]
    public void Offline_the_cache_alone_is_asked()
    {
        using var test = new HubTestCase();
        test.Hub.Add("org/tiny", HubTestCase.Model());
        test.Settings = test.Settings with { IsOffline = true };
        test.Refuse("org/tiny", test.Cache.FolderOf("org/tiny"), "HF_HUB_OFFLINE", "HubModel.Get(\"org/tiny\")");
        Assert.That(test.Hub.Requests, Is.Empty);
        test.Settings = test.Settings with { IsOffline = false };
        test.Pull("org/tiny");
        test.Settings = test.Settings with { IsOffline = true };
        Assert.That(test.Pull("org/tiny").DownloadedBytes, Is.Null);
        Assert.That(() => test.Pull("org/tiny", refresh: true), Throws.InstanceOf<InputException>());
    }
}
