using LoraScratch.Engine;
using LoraScratch.Lora.Hub;

namespace LoraScratch.Tests.Hub;

/// <summary>A hub, an empty cache, and whoever pulls from the one into the other.</summary>
internal sealed class HubTestCase : IDisposable
{
    public HubTestCase()
    {
        Hub = new FakeHub();
        Cache = new HubCache(Folder.File("cache"));
        Settings = new HubSettings(new Uri(Hub.Address), Cache.Root)
        {
            Token = "hf_secret",
            Wait = (time, _) =>
            {
                Waits.Add(time);
                return Task.CompletedTask;
            },
        };
    }

    public FakeHub Hub { get; }

    public TemporaryFolder Folder { get; } = new();

    public HubCache Cache { get; }

    public HubSettings Settings { get; set; }

    /// <summary>How long was waited between attempts.</summary>
    public List<TimeSpan> Waits { get; } = [];

    /// <summary>The files of a model of no use: what matters is that they arrive.</summary>
    public static Dictionary<string, byte[]> Model(int bytes = 5000, int seed = 1)
    {
        var weights = new byte[bytes];
        new Random(seed).NextBytes(weights);
        return new()
        {
            ["config.json"] = "{\"model_type\": \"bert\"}"u8.ToArray(),
            ["vocab.txt"] = "[PAD]\n[UNK]\n"u8.ToArray(),
            ["tokenizer_config.json"] = "{}"u8.ToArray(),
            ["model.safetensors"] = weights,
            ["pytorch_model.bin"] = weights,
            ["README.md"] = "words"u8.ToArray(),
        };
    }

    public HubSnapshot Pull(string name, bool refresh = false, IProgress<HubProgress>? progress = null,
        CancellationToken cancellation = default) => new HubPull(Settings, progress)
            .Get(HubName.Parse(name)!, refresh, cancellation).GetAwaiter().GetResult();

    /// <summary>The message of a refusal, which has these words.</summary>
    public string Refuse(string name, params string[] words)
    {
        var message = Assert.Throws<InputException>(() => Pull(name))!.Message;
        foreach (var word in words)
        {
            Assert.That(message, Does.Contain(word));
        }
        Assert.That(message, Does.Not.Contain("hf_secret"));
        return message;
    }

    /// <summary>Files with what they lead to or hold, by their paths in the cache.</summary>
    public string[] Layout(string below) =>
        [.. new DirectoryInfo(Path.Combine(Cache.Root, below)).EnumerateFiles("*", SearchOption.AllDirectories)
            .Select(file => $"{Path.GetRelativePath(Cache.Root, file.FullName)}"
                + (file.LinkTarget is { } target ? $" -> {target}" : "")).Order(StringComparer.Ordinal)];

    public void Dispose()
    {
        Hub.Dispose();
        Folder.Dispose();
    }
}

/// <summary>Is told where it is reported, and not later as <see cref="Progress{T}"/>.</summary>
internal sealed class Told(Action<HubProgress> action) : IProgress<HubProgress>
{
    public void Report(HubProgress value) => action(value);
}
