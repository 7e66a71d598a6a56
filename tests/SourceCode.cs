using System.Runtime.CompilerServices;
using System.Xml.Linq;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace LoraScratch.Tests;

/// <summary>
/// The source of the product as the compiler sees it: what tests about the code itself ask.
/// </summary>
internal static class SourceCode
{
    private static readonly string[] Projects =
    [
        "kernels/managed/LoraScratch.Kernels.csproj",
        "kernels/gpu/LoraScratch.Kernels.Gpu.csproj",
        "engine/LoraScratch.Engine.csproj",
        "lora/LoraScratch.Lora.csproj",
        "lora/cli/LoraScratch.Cli.csproj",
    ];

    private static readonly Lazy<IReadOnlyList<CSharpCompilation>> LazyCompilations = new(Compile);

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

    private static CSharpCompilation[] Compile()
    {
        var folders = Projects.Select(project => Path.GetDirectoryName(project)!.Replace('\\', '/')).ToList();
        var platform = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator)
            .Where(file => !Path.GetFileName(file).StartsWith("LoraScratch.", StringComparison.Ordinal)
                && Path.GetFileName(file) != "lora.dll")
            .Select(MetadataReference (file) => MetadataReference.CreateFromFile(file)).ToList();
        var done = new List<CSharpCompilation>();
        foreach (var (project, folder) in Projects.Zip(folders))
        {
            var description = XDocument.Load(Path.Combine(Root, project));
            var inner = folders.Where(other => other.StartsWith($"{folder}/", StringComparison.Ordinal)).ToList();
            var files = Files(folder)
                .Where(file => !inner.Exists(other => Relative(file)
                    .StartsWith($"{other}/", StringComparison.Ordinal)));
            var trees = files.Select(file => Parse(File.ReadAllText(file), file))
                .Append(Parse(ImplicitCode(description), ""));
            done.Add(CSharpCompilation.Create(description.Descendants("AssemblyName").Single().Value, trees,
                [.. platform, .. done.Select(other => other.ToMetadataReference())],
                new CSharpCompilationOptions(OutputKind.ConsoleApplication, allowUnsafe: true,
                    nullableContextOptions: NullableContextOptions.Enable)));
        }
        return [.. done];
    }

    private static SyntaxTree Parse(string text, string path) =>
        CSharpSyntaxTree.ParseText(text, new CSharpParseOptions(LanguageVersion.Preview), path);

    /// <summary>
    /// What the build adds: the usings of every file, and who may see the internals.
    /// </summary>
    private static string ImplicitCode(XDocument project) =>
        string.Concat(new[] { "System", "System.Collections.Generic", "System.IO", "System.Linq", "System.Threading",
            "System.Threading.Tasks" }
            .Select(name => $"global using global::{name};\n"))
        + string.Concat(project.Descendants("InternalsVisibleTo").Select(friend =>
            "[assembly: "
                + $"System.Runtime.CompilerServices.InternalsVisibleTo(\"{friend.Attribute("Include")!.Value}\")]\n"));

    private static string ThisFile([CallerFilePath] string path = "") => path;
}
