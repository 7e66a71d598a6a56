using System.Text.RegularExpressions;

namespace LoraScratch.Tests.Packages;

/// <summary>
/// What 'dotnet pack' makes of the solution: what is in each package, and an application and the
/// tool that have nothing else.
/// </summary>
[Category(Categories.Packages)]
[Parallelizable]
public sealed partial class PackageTests
{
    private const string Tool = "LoraScratch.Cli", Base = "LoraScratch.Base", Gpu = "LoraScratch.Kernels.Gpu";
    private const string Embeddings = "LoraScratch.Embeddings", Pipelines = "LoraScratch.ML";
    private const string Question = "Not what I expected, but I like it.";
    private const int KiB = 1024, MiB = 1024 * KiB;

    private static readonly string Version = VersionTests.Current.ToString();

    private static readonly string[] Libraries = [.. PublicApiTests.Libraries, Base];

    private static readonly Dictionary<string, string> Folders = new()
    {
        ["LoraScratch.Kernels"] = "kernels/managed",
        [Gpu] = "kernels/gpu",
        ["LoraScratch.Engine"] = "engine",
        ["LoraScratch.Lora"] = "lora",
        [Base] = "lora/base",
        [Embeddings] = "lora/embeddings",
        [Pipelines] = "lora/ml",
        [Tool] = "lora/cli",
    };

    private readonly PackedSolution packed = new();

    [OneTimeSetUp]
    public void Pack() => packed.Pack();

    [OneTimeTearDown]
    public void Delete() => packed.Dispose();

    [Test]
    public void The_libraries_their_symbols_and_the_tool_are_packed_and_nothing_else() =>
        Assert.That(packed.Names, Is.EquivalentTo(Libraries.SelectMany(library =>
            new[] { $"{library}.{Version}.nupkg", $"{library}.{Version}.snupkg" }).Append($"{Tool}.{Version}.nupkg")));

    [Test]
    public void A_library_has_its_assembly_documentation_readme_and_licence([ValueSource(nameof(Libraries))] string id)
    {
        string[] own = id == Base ? ["ORIGIN.md"] : [];
        Assert.That(Files($"{id}.{Version}.nupkg"), Is.EquivalentTo(
            new[] { "LICENSE", "README.md", $"lib/net10.0/{id}.dll", $"lib/net10.0/{id}.xml" }.Concat(own)));
        Assert.That(Files($"{id}.{Version}.snupkg"), Is.EqualTo(new[] { $"lib/net10.0/{id}.pdb" }));
    }

    [Test]
    public void The_tool_has_all_that_it_runs_with_and_the_licences_of_what_is_not_ours()
    {
        const string folder = "tools/net10.0/any/";
        var files = Files($"{Tool}.{Version}.nupkg");
        string[] ours = [.. PublicApiTests.OfTheTool, Base, "lora"];
        var foreign = files.Where(file => file.EndsWith(".dll", StringComparison.Ordinal))
            .Select(file => Path.GetFileNameWithoutExtension(file)).Except(ours).ToList();
        string[] around = ["DotnetToolSettings.xml", "lora.deps.json", "lora.runtimeconfig.json"];
        Assert.That(files, Is.EquivalentTo(
            new[] { "LICENSE", "README.md", "THIRD-PARTY-NOTICES.txt" }.Concat(around
                .Concat(ours.SelectMany(name => new[] { $"{name}.dll", $"{name}.pdb" }))
                .Concat(foreign.Select(name => $"{name}.dll")).Select(name => folder + name))));
        Assert.That(foreign, Is.Not.Empty);
        var notices = Read($"{Tool}.{Version}.nupkg", "THIRD-PARTY-NOTICES.txt");
        foreach (var name in foreign)
        {
            Assert.That(notices, Does.Match($@"\b{Regex.Escape(name)}\b(?!\.\w)"), $"{name} has no licence there");
        }
    }

    [Test]
    public void A_package_says_what_it_is([ValueSource(nameof(Folders))] KeyValuePair<string, string> package)
    {
        var (id, folder) = package;
        var description = packed.Describe($"{id}.{Version}.nupkg");
        string Field(string name) => description.Elements().Single(element => element.Name.LocalName == name).Value;
        Assert.That((Field("id"), Field("version"), Field("license"), Field("readme"), Field("authors")),
            Is.EqualTo((id, Version, "MIT", "README.md", "The LoraScratch authors")));
        Assert.That(Field("description"), Has.Length.GreaterThan(50));
        Assert.That(Field("tags").Split(' '), Has.Member("lora"));
        Assert.That(Field("releaseNotes").ReplaceLineEndings("\n"), Is.EqualTo(Source("lora/RELEASE-NOTES.md").Trim()));
        Assert.That(Read($"{id}.{Version}.nupkg", "README.md"), Is.EqualTo(Source($"{folder}/package.md")));
        Assert.That(Source($"{folder}/package.md"), Does.Contain("```"), "the lines that matter");
    }

    /// <summary>
    /// Who computes on the CPU does not get ILGPU, and who brings a model not the built-in one.
    /// CsvHelper, whose version is pinned, is named by what needs it through another package too.
    /// </summary>
    [TestCase("LoraScratch.Kernels")]
    [TestCase(Gpu, "LoraScratch.Kernels", "ILGPU", "ILGPU.Algorithms")]
    [TestCase("LoraScratch.Engine", "LoraScratch.Kernels")]
    [TestCase("LoraScratch.Lora", "LoraScratch.Engine", "CsvHelper")]
    [TestCase(Base)]
    [TestCase(Embeddings, "LoraScratch.Lora", "Microsoft.Extensions.AI.Abstractions", "CsvHelper")]
    [TestCase(Pipelines, "LoraScratch.Lora", "Microsoft.ML", "CsvHelper")]
    [TestCase(Tool)]
    public void A_package_needs_little_and_its_own_version_of_ours(string id, params string[] needed)
    {
        var found = Dependencies(id);
        Assert.That(found.Select(dependency => dependency.Id), Is.EquivalentTo(needed));
        Assert.That(found.Where(dependency => IsOurs(dependency.Id)).Select(dependency => dependency.Version),
            Is.All.EqualTo($"[{Version}]"), "they see each other's internals");
    }

    [TestCase("LoraScratch.Kernels", 0, 256 * KiB)]
    [TestCase(Gpu, 0, 256 * KiB)]
    [TestCase("LoraScratch.Engine", 0, 384 * KiB)]
    [TestCase("LoraScratch.Lora", 0, 1 * MiB)]
    [TestCase(Base, 5 * MiB, 7 * MiB)]
    [TestCase(Embeddings, 0, 64 * KiB)]
    [TestCase(Pipelines, 0, 64 * KiB)]
    [TestCase(Tool, 7 * MiB, 12 * MiB)]
    public void The_built_in_base_makes_its_package_large_and_the_tool_and_no_other(string id, int least, int most) =>
        Assert.That(packed.Size($"{id}.{Version}.nupkg"), Is.InRange(least, most));

    /// <summary>
    /// The program is the readmes' examples; its adapter, of the built-in base, is the tool's
    /// input.
    /// </summary>
    [Test]
    public void An_application_of_packages_alone_trains_and_the_installed_tool_predicts_with_its_adapter()
    {
        RequireOtherPackages();
        var strangers = UserPackages();
        CreateApplication("app", "LoraScratch.Lora", Base, Gpu, Embeddings, Pipelines);
        var printed = packed.Run("app", ChildProcess.Host, "run", "-c", "Release").TrimEnd().Split('\n');
        Assert.That(printed, Has.Some.StartsWith("CPU, ").And.Some.EqualTo("1, 2"));
        Assert.That(printed[^1], Is.AnyOf("good", "bad"));
        Assert.That(Directory.Exists(Path.Combine(packed.Root, "restored", "lorascratch.lora", Version)));
        Assert.That(RunWithoutBase(), Does.Contain("InvalidOperationException").And.Contain($"add the package {Base}"));

        var commands = ReadmeTests.Blocks("sh").Single(block => block.Contains("dotnet tool install",
            StringComparison.Ordinal)).Split('\n').Select(line => Comment().Replace(line, "")
                // not on the path of whoever runs the tests
                .Replace("--global", "--tool-path tools", StringComparison.Ordinal)).ToList();
        Assert.That(commands[0], Is.EqualTo("dotnet pack -c Release -o packages"), "is what was done here");
        var outputs = commands.Skip(1).Select(command => command.Split(' '))
            .Select(words => Words(words[0], words[1..])).ToList();
        Assert.That(outputs[^1], Does.Match("^cpu +usable "));
        Assert.That(Words("tools/lora", "--version"), Does.StartWith(Version));
        Assert.That(Words("tools/lora", "predict", "--adapter", "app/my-adapter", "--text", Question),
            Does.StartWith($"{printed[^1]}  "));
        Assert.That(UserPackages(), Is.EqualTo(strangers), "the user's own packages are left alone");
    }

    /// <summary>
    /// As if it had not been referenced: without the list of its assemblies a program has those
    /// that lie beside it.
    /// </summary>
    private string RunWithoutBase()
    {
        var folder = Path.Combine(packed.Root, "app", "bin", "Release", "net10.0");
        File.Delete(Path.Combine(folder, "app.deps.json"));
        File.Delete(Path.Combine(folder, $"{Base}.dll"));
        var output = ChildProcess.Run(ChildProcess.Host, folder, out var exitCode, ["app.dll"]);
        Assert.That(exitCode, Is.Not.Zero);
        return output;
    }

    private string Words(string program, params string[] arguments) => packed.Run("",
        program == "dotnet" ? ChildProcess.Host
            : Path.Combine(packed.Root, program == "lora" ? "tools/lora" : program), arguments);

    private void CreateApplication(string name, params string[] packages)
    {
        var folder = Directory.CreateDirectory(Path.Combine(packed.Root, name)).FullName;
        packed.Configure(name);
        File.WriteAllText(Path.Combine(folder, "app.csproj"), $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <Nullable>enable</Nullable>
                <ImplicitUsings>enable</ImplicitUsings>
                <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
                <UseAppHost>false</UseAppHost>
              </PropertyGroup>
              <ItemGroup>
                {string.Concat(packages.Select(id => $"<PackageReference Include=\"{id}\" Version=\"{Version}\" />"))}
              </ItemGroup>
            </Project>
            """);
        File.WriteAllText(Path.Combine(folder, "Program.cs"), Program());
        File.WriteAllLines(Path.Combine(folder, "reviews.csv"), Enumerable.Range(0, 20).SelectMany(i => new[]
        {
            $"a lovely and funny film {i},good", $"a dull and boring film {i},bad",
        }).Prepend("text,label"));
    }

    /// <summary>Each example in a block of its own, that of LoraScratch.Lora last.</summary>
    private static string Program()
    {
        var lines = Folders.Where(entry => entry.Key != Tool).OrderBy(entry => entry.Key == "LoraScratch.Lora")
            .Select(entry => ReadmeTests.Blocks("csharp", Source($"{entry.Value}/package.md")).Single().Split('\n'))
            .ToList();
        static bool IsUsing(string line) => Using().IsMatch(line);
        return string.Join('\n', lines.SelectMany(block => block.Where(IsUsing)).Distinct()
            .Concat(lines.SelectMany(block => (string[])["{", .. block.Where(line => !IsUsing(line)), "}"])));
    }

    private static bool IsOurs(string id) => id.StartsWith("LoraScratch.", StringComparison.Ordinal);

    private void RequireOtherPackages()
    {
        foreach (var (id, version) in Libraries.SelectMany(Dependencies).Where(dependency =>
            !IsOurs(dependency.Id)))
        {
            if (!PackedSolution.Caches.Any(cache =>
                Directory.Exists(Path.Combine(cache, id.ToLowerInvariant(), version))))
            {
                Assert.Ignore($"The package {id} {version} is not in {string.Join(", ", PackedSolution.Caches)} any "
                    + "more: an application cannot be restored here.");
            }
        }
    }

    private static string[] UserPackages() => [.. PackedSolution.Caches.SelectMany(cache =>
        Directory.EnumerateDirectories(cache, "lorascratch.*").SelectMany(Directory.EnumerateDirectories)).Order()];

    private List<(string Id, string Version)> Dependencies(string id) =>
        [.. packed.Describe($"{id}.{Version}.nupkg").Descendants()
            .Where(element => element.Name.LocalName == "dependency")
            .Select(element => (element.Attribute("id")!.Value, element.Attribute("version")!.Value))];

    /// <summary>The files that are not the format's own.</summary>
    private List<string> Files(string package)
    {
        using var archive = packed.Open(package);
        return [.. archive.Entries.Select(entry => entry.FullName).Where(name => !OfTheFormat().IsMatch(name))];
    }

    private string Read(string package, string file)
    {
        using var archive = packed.Open(package);
        using var reader = new StreamReader(archive.GetEntry(file)!.Open());
        return reader.ReadToEnd();
    }

    private static string Source(string path) => File.ReadAllText(Path.Combine(SourceCode.Root, path));

    [GeneratedRegex(@"^\[Content_Types\]\.xml$|\.nuspec$|^_rels/|^package/")]
    private static partial Regex OfTheFormat();

    [GeneratedRegex(@"^using [\w.]+;$")]
    private static partial Regex Using();

    [GeneratedRegex(@"\s+#.*$")]
    private static partial Regex Comment();
}
