namespace LoraScratch.Tests;

/// <summary>
/// No test asks a hub but one that it runs itself, or sees the cache of whoever runs the tests:
/// the processes that tests start neither. These, too, do without the runtime's profiles, which
/// only longer runs gain by.
/// </summary>
[SetUpFixture]
public sealed class OwnMachine
{
    private static readonly string[] Cleared =
    [
        "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH",
        "HF_ENDPOINT", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_IMPLICIT_TOKEN", "HF_HUB_DOWNLOAD_TIMEOUT",
    ];

    private TemporaryFolder? home;

    [OneTimeSetUp]
    public void AskNobodyElse()
    {
        home = new TemporaryFolder();
        foreach (var name in Cleared)
        {
            Environment.SetEnvironmentVariable(name, null);
        }
        Environment.SetEnvironmentVariable("HF_HOME", home.Root);
        Environment.SetEnvironmentVariable("HF_HUB_OFFLINE", "1");
        Environment.SetEnvironmentVariable("DOTNET_TieredPGO", "0");
    }

    [OneTimeTearDown]
    public void DeleteFolder() => home?.Dispose();
}
