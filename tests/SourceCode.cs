using System.Collections.Concurrent;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Xml.Linq;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Diagnostics;

namespace LoraScratch.Tests;

/// <summary>
/// The source of the product as the compiler sees it: what tests about the code itself ask. Without
/// the analysis of nulls, which warns alone and takes half of the time; the build does it.
/// </summary>
internal static class SourceCode
{
    private static readonly string[] Projects =
    [
        "kernels/managed/LoraScratch.Kernels.csproj",
        "kernels/gpu/LoraScratch.Kernels.Gpu.csproj",
        "engine/LoraScratch.Engine.csproj",
        "lora/LoraScratch.Lora.csproj",
        "lora/embeddings/LoraScratch.Embeddings.csproj",
        "lora/ml/LoraScratch.ML.csproj",
        "lora/cli/LoraScratch.Cli.csproj",
    ];

    private static readonly Lazy<IReadOnlyList<CSharpCompilation>> LazyCompilations = new(Compile);

    private static readonly Lazy<ISourceGenerator[]> Generators = new(FindGenerators);

    private static readonly ConcurrentDictionary<string, CSharpCompilation> Libraries = new();

    private static readonly CSharpParseOptions Options = new(LanguageVersion.Preview);

    /// <summary>What the SDK lets every file use.</summary>
    public static IReadOnlyList<string> ImplicitUsings { get; } =
    [
        "System", "System.Collections.Generic", "System.IO", "System.Linq", "System.Net.Http", "System.Threading",
        "System.Threading.Tasks",
    ];

    /// <summary>The folder of the solution.</summary>
    public static string Root { get; } = Path.GetDirectoryName(Path.GetDirectoryName(ThisFile()))!;

    /// <summary>The product's projects, each after those that it refers to.</summary>
    public static IReadOnlyList<CSharpCompilation> Compilations => LazyCompilations.Value;

    /// <summary>The path of a file below the solution, with slashes.</summary>
    public static string Relative(string path) => Path.GetRelativePath(Root, path).Replace('\\', '/');

    /// <summary>Every source file below some folders, generated ones left out.</summary>
    public static IEnumerable<string> Files(params string[] folders) => folders
        .SelectMany(folder => Directory.EnumerateFiles(Path.Combine(Root, folder), "*.cs", SearchOption.AllDirectories))
        .Where(file => !Relative(file).Split('/').Any(part => part is "bin" or "obj")).Order(StringComparer.Ordinal);

    /// <summary>
    /// The project that a file belongs to, ready to be emitted as a library: optimised, and on top
    /// of the assemblies that these tests run with.
    /// </summary>
    /// <exception cref="ArgumentException">No project of the product holds the file.</exception>
    public static CSharpCompilation ProjectOf(string path)
    {
        var owner = Array.FindIndex(Projects, project => FilesOf(project).Contains(path));
        if (owner < 0)
        {
            throw new ArgumentException($"{Relative(path)} is no source file of the product.");
        }
        return Libraries.GetOrAdd(Projects[owner], _ => Library(owner));
    }

    private static CSharpCompilation Library(int owner)
    {
        var earlier = Projects[..owner].Select(project => $"{NameOf(Describe(project))}.dll");
        return CSharpCompilation.Create(NameOf(Describe(Projects[owner])), Trees(Projects[owner]),
            [.. Platform(), .. earlier.Select(name => MetadataReference.CreateFromFile(
                Path.Combine(AppContext.BaseDirectory, name)))],
            new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, allowUnsafe: true,
                optimizationLevel: OptimizationLevel.Release));
    }

    /// <summary>
    /// A project with what its source generators add, such as the marshalling of native calls.
    /// </summary>
    public static CSharpCompilation WithGeneratedCode(CSharpCompilation project)
    {
        CSharpGeneratorDriver.Create(Generators.Value, parseOptions: Options)
            .RunGeneratorsAndUpdateCompilation(project, out var whole, out _);
        return (CSharpCompilation)whole;
    }

    /// <summary>
    /// The libraries that everything is compiled against, the product's own left out.
    /// </summary>
    public static IEnumerable<MetadataReference> Platform() =>
        ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator)
            .Where(file => !Path.GetFileName(file).StartsWith("LoraScratch.", StringComparison.Ordinal)
                && Path.GetFileName(file) != "lora.dll")
            .Select(MetadataReference (file) => MetadataReference.CreateFromFile(file));

    private static CSharpCompilation[] Compile()
    {
        var platform = Platform().ToList();
        var done = new List<CSharpCompilation>();
        foreach (var project in Projects)
        {
            done.Add(CSharpCompilation.Create(NameOf(Describe(project)), Trees(project),
                [.. platform, .. done.Select(other => other.ToMetadataReference())],
                new CSharpCompilationOptions(OutputKind.ConsoleApplication, allowUnsafe: true)));
        }
        return [.. done];
    }

    private static XDocument Describe(string project) => XDocument.Load(Path.Combine(Root, project));

    private static string NameOf(XDocument description) => description.Descendants("AssemblyName").Single().Value;

    private static IEnumerable<SyntaxTree> Trees(string project) =>
        FilesOf(project).Select(file => Parse(File.ReadAllText(file), file))
            .Append(Parse(ImplicitCode(Describe(project)), ""));

    /// <summary>
    /// The files below a project's folder, but for those that it excludes: other projects have
    /// them.
    /// </summary>
    private static IEnumerable<string> FilesOf(string project)
    {
        var folder = Path.GetDirectoryName(project)!.Replace('\\', '/');
        var excluded = Describe(project).Descendants("DefaultItemExcludes")
            .SelectMany(excludes => excludes.Value.Split(';'))
            .Where(pattern => pattern.EndsWith("/**", StringComparison.Ordinal))
            .Select(pattern => $"{folder}/{pattern[..^2]}").ToList();
        return Files(folder).Where(file => !excluded.Exists(start => Relative(file)
            .StartsWith(start, StringComparison.Ordinal)));
    }

    private static SyntaxTree Parse(string text, string path) => CSharpSyntaxTree.ParseText(text, Options, path);

    /// <summary>
    /// Those of the SDK that the product needs: native calls, regular expressions.
    /// </summary>
    private static ISourceGenerator[] FindGenerators()
    {
        var sdk = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "packs",
            "Microsoft.NETCore.App.Ref"));
        var folder = Directory.EnumerateDirectories(sdk, $"{Environment.Version.Major}.*")
            .Select(version => Path.Combine(version, "analyzers", "dotnet", "cs")).Last();
        return [.. new[] { "Microsoft.Interop.LibraryImportGenerator", "System.Text.RegularExpressions.Generator" }
            .SelectMany(file => new AnalyzerFileReference(Path.Combine(folder, $"{file}.dll"), Loader.Instance)
                .GetGenerators(LanguageNames.CSharp))];
    }

    private sealed class Loader : IAnalyzerAssemblyLoader
    {
        public static Loader Instance { get; } = new();

        public void AddDependencyLocation(string fullPath)
        {
        }

        public Assembly LoadFromPath(string fullPath) => Assembly.LoadFrom(fullPath);
    }

    /// <summary>
    /// What the build adds: the usings of every file, and who may see the internals.
    /// </summary>
    private static string ImplicitCode(XDocument project) =>
        string.Concat(ImplicitUsings.Select(name => $"global using global::{name};\n"))
        + string.Concat(project.Descendants("InternalsVisibleTo").Select(friend =>
            "[assembly: "
                + $"System.Runtime.CompilerServices.InternalsVisibleTo(\"{friend.Attribute("Include")!.Value}\")]\n"));

    private static string ThisFile([CallerFilePath] string path = "") => path;
}
