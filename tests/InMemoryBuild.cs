using System.Reflection;
using System.Runtime.Loader;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace LoraScratch.Tests;

/// <summary>
/// Compiles C# files against the product as it is built, without a build: what learners would
/// write, and programs of one file.
/// </summary>
internal static class InMemoryBuild
{
    private static readonly CSharpParseOptions Options = new CSharpParseOptions(LanguageVersion.Preview)
        .WithFeatures([new("FileBasedProgram", "true")]);       // lines that begin with #:

    private static readonly Lazy<MetadataReference[]> References = new(() =>
    [
        .. SourceCode.Platform(),
        .. new[]
        {
            "LoraScratch.Kernels", "LoraScratch.Engine", "LoraScratch.Lora", "LoraScratch.Embeddings",
            "LoraScratch.ML",
        }.Select(name =>
            MetadataReference.CreateFromFile(Path.Combine(AppContext.BaseDirectory, $"{name}.dll"))),
    ]);

    /// <summary>What a project of Microsoft.NET.Sdk.Web lets every file use besides.</summary>
    public static string[] WebUsings { get; } =
    [
        "System.Net.Http.Json", "Microsoft.AspNetCore.Builder", "Microsoft.AspNetCore.Hosting",
        "Microsoft.AspNetCore.Http", "Microsoft.AspNetCore.Routing", "Microsoft.Extensions.Configuration",
        "Microsoft.Extensions.DependencyInjection", "Microsoft.Extensions.Hosting", "Microsoft.Extensions.Logging",
    ];

    /// <summary>Compiles and loads.</summary>
    /// <param name="name">The assembly's.</param>
    /// <param name="kind">A program or a library.</param>
    /// <param name="files">Paths and texts.</param>
    /// <param name="usings">Namespaces that every file uses, besides the usual ones.</param>
    public static Assembly Load(string name, OutputKind kind, IEnumerable<(string Path, string Text)> files,
        params string[] usings)
    {
        string[] all = [.. SourceCode.ImplicitUsings, .. usings];
        SyntaxTree[] trees =
        [
            .. files.Select(file => CSharpSyntaxTree.ParseText(file.Text, Options, file.Path)),
            CSharpSyntaxTree.ParseText(string.Concat(all.Select(used => $"global using global::{used};\n")), Options),
        ];
        using var image = new MemoryStream();
        var result = CSharpCompilation.Create(name, trees, References.Value, new CSharpCompilationOptions(kind,
            nullableContextOptions: NullableContextOptions.Enable, optimizationLevel: OptimizationLevel.Release))
            .Emit(image);
        Assert.That(result.Success, string.Join('\n', result.Diagnostics
            .Where(found => found.Severity == DiagnosticSeverity.Error)));
        image.Position = 0;
        return new AssemblyLoadContext(name).LoadFromStream(image);
    }
}
