namespace LoraScratch.Tests.Hub;

/// <summary>
/// A hub that commands and programs use, here and in processes of their own, with an empty cache;
/// afterwards all is as before. For fixtures that run alone.
/// </summary>
internal sealed class HubEnvironment : IDisposable
{
    private readonly Dictionary<string, string?> before = [];
    private readonly TemporaryFolder home = new();

    public HubEnvironment()
    {
        Set("HF_ENDPOINT", Hub.Address);
        Set("HF_HOME", home.Root);
        Set("HF_HUB_OFFLINE", null);
        Set("HF_TOKEN", "hf_secret");
    }

    public FakeHub Hub { get; } = new();

    /// <summary>Where the cache is.</summary>
    public string Cache => home.File("hub");

    /// <summary>Sets an environment variable until the end.</summary>
    public void Set(string name, string? value)
    {
        before.TryAdd(name, Environment.GetEnvironmentVariable(name));
        Environment.SetEnvironmentVariable(name, value);
    }

    public void Dispose()
    {
        foreach (var (name, value) in before)
        {
            Environment.SetEnvironmentVariable(name, value);
        }
        Hub.Dispose();
        home.Dispose();
    }
}
