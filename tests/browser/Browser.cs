using Deque.AxeCore.Commons;
using Microsoft.Playwright;

namespace LoraScratch.BrowserTests;

/// <summary>
/// Starts the browser once for all tests, and skips them, saying so, where there is none.
/// </summary>
[SetUpFixture]
public sealed class Browser
{
    private static readonly string[] Candidates =
        ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

    private static IPlaywright? playwright;
    private static IBrowser? browser;
    private static DirectoryInfo? folder;

    /// <summary>What axe is to look for: not, at length, what it has nothing against.</summary>
    internal static AxeRunOptions Violations { get; } = new() { ResultTypes = [ResultType.Violations] };

    /// <summary>The built-in example's page.</summary>
    public static string ExamplePath { get; private set; } = "";

    [OneTimeSetUp]
    public async Task Start()
    {
        if (Array.Find(Candidates, File.Exists) is not { } program)
        {
            Assert.Ignore($"There is no browser: none of {string.Join(", ", Candidates)}. Install Debian's package "
                + "chromium to test the pages.");
            return;
        }
        folder = Directory.CreateTempSubdirectory("lorascratch-pages-");
        ExamplePath = Write("example.html", Pages.Example.Build());
        playwright = await Playwright.CreateAsync();
        browser = await playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions
        {
            ExecutablePath = program,
            Args = ["--no-sandbox", "--disable-gpu"],       // the pages are this program's own; root has no sandbox
        });
    }

    [OneTimeTearDown]
    public async Task Stop()
    {
        if (browser is not null)
        {
            await browser.CloseAsync();
        }
        playwright?.Dispose();
        folder?.Delete(recursive: true);
    }

    /// <summary>Writes a page into the tests' folder.</summary>
    public static string Write(string name, string page)
    {
        var path = Path.Combine(folder!.FullName, name);
        File.WriteAllText(path, page);
        return path;
    }

    /// <summary>Opens a page of a file in a context of its own.</summary>
    internal static async Task<OpenPage> Open(string path, string fragment = "", int width = 1280,
        ColorScheme scheme = ColorScheme.Light, bool hasScript = true)
    {
        var context = await browser!.NewContextAsync(new BrowserNewContextOptions
        {
            ViewportSize = new ViewportSize { Width = width, Height = 900 },
            ColorScheme = scheme,
            JavaScriptEnabled = hasScript,
            ReducedMotion = ReducedMotion.Reduce,
        });
        var page = new OpenPage(context, await context.NewPageAsync());
        await page.Page.GotoAsync($"file://{path}{fragment}");
        return page;
    }
}

/// <summary>An open page, and everything that it said or asked for.</summary>
internal sealed class OpenPage : IAsyncDisposable
{
    private readonly IBrowserContext context;

    public OpenPage(IBrowserContext context, IPage page)
    {
        (this.context, Page) = (context, page);
        page.Console += (_, message) => Complaints.Add($"console: {message.Text}");
        page.PageError += (_, error) => Complaints.Add($"error: {error}");
        page.Dialog += (_, dialog) => Complaints.Add($"dialog: {dialog.Message}");
        page.Request += (_, request) =>
        {
            if (request.ResourceType != "document")
            {
                Complaints.Add($"request: {request.Url}");
            }
        };
    }

    public IPage Page { get; }

    /// <summary>Messages, errors, dialogs and requests besides the file itself.</summary>
    public List<string> Complaints { get; } = [];

    public ILocator Badge => Page.Locator("#badge");

    public async Task<bool> IsGood() => (await Badge.GetAttributeAsync("class"))!.Split(' ').Contains("good");

    public async ValueTask DisposeAsync() => await context.CloseAsync();
}
