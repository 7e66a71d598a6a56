using System.IO.Compression;
using System.Reflection;
using System.Text.Json;
using System.Xml.Linq;

namespace LoraScratch.Tests.Packages;

/// <summary>
/// The packages of the solution as it is built, in a folder of their own that is a source for
/// NuGet. What is restored from it goes to another one there, never to the packages of the user:
/// those may be of the same version and are others.
/// </summary>
internal sealed class PackedSolution : IDisposable
{
    private static readonly string Configuration = typeof(PackedSolution).Assembly
        .GetCustomAttribute<AssemblyConfigurationAttribute>()!.Configuration;

    private readonly TemporaryFolder folder = new();

    /// <summary>Packs.</summary>
    public void Pack()
    {
        var output = ChildProcess.Dotnet(out var exitCode, "pack", "-c", Configuration, "--no-build", "-o", Packages);
        Assert.That(exitCode, Is.Zero, output);
        // Only what a command names itself, or a nuget.config further in.
        File.WriteAllText(folder.File("nuget.config"), Config("<packageSources><clear /></packageSources>"));
    }

    /// <summary>A folder with the folders of the packages and of what is made of them.</summary>
    public string Root => folder.Root;

    /// <summary>The names of all packages.</summary>
    public IEnumerable<string> Names => Directory.EnumerateFiles(Packages).Select(file => Path.GetFileName(file));

    /// <summary>Where the build of these tests took its packages from.</summary>
    public static IReadOnlyList<string> Caches { get; } = [.. JsonDocument
        .Parse(File.ReadAllText(Path.Combine(SourceCode.Root, "tests", "obj", "project.assets.json"))).RootElement
        .GetProperty("packageFolders").EnumerateObject().Select(entry => entry.Name)];

    private string Packages => folder.File("packages");

    /// <summary>Opens a package.</summary>
    /// <param name="name">Of its file.</param>
    public ZipArchive Open(string name) => ZipFile.OpenRead(Path.Combine(Packages, name));

    /// <summary>Bytes of a package.</summary>
    public long Size(string name) => new FileInfo(Path.Combine(Packages, name)).Length;

    /// <summary>What a package says about itself.</summary>
    public XElement Describe(string name)
    {
        using var package = Open(name);
        using var stream = package.Entries.Single(entry => entry.FullName.EndsWith(".nuspec", StringComparison.Ordinal))
            .Open();
        return XDocument.Load(stream).Root!.Elements().Single();
    }

    /// <summary>
    /// Lets a folder restore our packages from here and all others from where the build has them:
    /// no server is asked.
    /// </summary>
    public void Configure(string subfolder)
    {
        var caches = Caches.Select((path, i) => (Key: $"cache{i}", Path: path)).ToList();
        File.WriteAllText(Path.Combine(Root, subfolder, "nuget.config"), Config($"""
            <packageSources>
              <clear />
              <add key="packed" value="{Packages}" />
              {string.Concat(caches.Select(cache => $"<add key=\"{cache.Key}\" value=\"{cache.Path}\" />"))}
            </packageSources>
            <packageSourceMapping>
              <clear />
              <packageSource key="packed"><package pattern="LoraScratch.*" /></packageSource>
              {string.Concat(caches.Select(cache =>
                  $"<packageSource key=\"{cache.Key}\"><package pattern=\"*\" /></packageSource>"))}
            </packageSourceMapping>
            """));
    }

    /// <summary>Runs a program with packages of its own, and fails unless it succeeds.</summary>
    /// <param name="subfolder">Where.</param>
    /// <param name="program">Its path.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <returns>What it printed.</returns>
    public string Run(string subfolder, string program, params string[] arguments)
    {
        var output = ChildProcess.Run(program, Path.Combine(Root, subfolder), out var exitCode, arguments,
            ("NUGET_PACKAGES", folder.File("restored")));
        Assert.That(exitCode, Is.Zero, output);
        return output.ReplaceLineEndings("\n");
    }

    /// <inheritdoc/>
    public void Dispose() => folder.Dispose();

    private static string Config(string content) => $"<configuration>{content}</configuration>";
}
