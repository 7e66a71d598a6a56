using System.Reflection;
using System.Runtime.Loader;
using LoraScratch.Kernels.Cpu;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Text;
using NUnit.Framework.Interfaces;

namespace LoraScratch.Tests.Mutations;

/// <summary>What became of a formula with a mistake in it.</summary>
/// <param name="Line">Where the formula stands in its file, from 1.</param>
/// <param name="Was">The lines of the file that changed.</param>
/// <param name="Is">What they became.</param>
/// <param name="CompilerErrors">Not empty: the compiler refused it, and no test ran.</param>
/// <param name="Tests">Every test that ran.</param>
internal sealed record MutationOutcome(int Line, string[] Was, string[] Is, IReadOnlyList<string> CompilerErrors,
    IReadOnlyList<NestedResult> Tests)
{
    /// <summary>The tests that noticed.</summary>
    public IReadOnlyList<NestedResult> Failures { get; } =
        [.. Tests.Where(test => test.Outcome == TestStatus.Failed)];

    /// <summary>Whether anything noticed.</summary>
    public bool IsCaught => CompilerErrors.Count > 0 || Failures.Count > 0;
}

/// <summary>
/// Runs this assembly's tests against a product with one formula changed. The project that the file
/// belongs to is compiled in memory and takes the place of the built one in a load context of its
/// own, where these tests are loaded once more: nothing is written, and the product has no switch
/// for it.
/// </summary>
internal static class MutatedRun
{
    private static readonly string BestPath = InstructionSets.Best.Name();

    /// <summary>Compiles and tests a mutation.</summary>
    /// <param name="mutation">The formula and what to put in its place.</param>
    /// <param name="stopAtFirst">True: the first test that notices ends the run.</param>
    /// <exception cref="ArgumentException">
    /// The file is not the product's, or does not hold the formula exactly once.
    /// </exception>
    public static MutationOutcome Of(Mutation mutation, bool stopAtFirst = false)
    {
        var path = Path.Combine(SourceCode.Root, mutation.File);
        if (!File.Exists(path))
        {
            throw new ArgumentException($"There is no file {mutation.File} below the root of the solution.");
        }
        var source = File.ReadAllText(path);
        var at = Place(mutation, source);
        var text = string.Concat(source.AsSpan(0, at), mutation.After, source.AsSpan(at + mutation.Before.Length));
        var (image, errors) = Compile(SourceCode.ProjectOf(path), path, text, out var name);
        return new MutationOutcome(source.AsSpan(0, at).Count('\n') + 1, Lines(source, at, mutation.Before.Length),
            Lines(text, at, mutation.After.Length), errors,
            image is null ? [] : Test(name, image, mutation.Fixtures, stopAtFirst));
    }

    private static int Place(Mutation mutation, string source)
    {
        var at = source.IndexOf(mutation.Before, StringComparison.Ordinal);
        if (at >= 0 && source.IndexOf(mutation.Before, at + 1, StringComparison.Ordinal) < 0)
        {
            return at;
        }
        throw new ArgumentException($"{mutation.File} holds '{mutation.Before}' "
            + (at < 0 ? "nowhere: copy it from the file, spaces included." : "more than once: give more of the line."));
    }

    /// <summary>The whole lines around a part of a text.</summary>
    private static string[] Lines(string text, int at, int length)
    {
        var start = text.LastIndexOf('\n', at) + 1;
        var end = text.IndexOf('\n', at + length);
        return text[start..(end < 0 ? text.Length : end)].Split('\n');
    }

    private static (byte[]? Image, string[] Errors) Compile(CSharpCompilation project, string file, string text,
        out string name)
    {
        name = project.AssemblyName!;
        var tree = project.SyntaxTrees.Single(tree => tree.FilePath == file);
        var built = Assembly.Load(name);                        // has the embedded resources
        using var image = new MemoryStream();
        var mutated = SourceCode.WithGeneratedCode(
            project.ReplaceSyntaxTree(tree, tree.WithChangedText(SourceText.From(text))));
        var result = mutated.Emit(image,
            manifestResources: built.GetManifestResourceNames().Select(resource =>
                new ResourceDescription(resource, () => built.GetManifestResourceStream(resource)!, isPublic: true)));
        return (result.Success ? image.ToArray() : null,
            [.. result.Diagnostics.Where(found => found.Severity == DiagnosticSeverity.Error)
                .Select(found => $"{found.Id}: {found.GetMessage()}")]);
    }

    private static IReadOnlyList<NestedResult> Test(string name, byte[] image, string[] fixtures, bool stopAtFirst)
    {
        var tests = new MutatedContext(name, image).LoadFromAssemblyPath(AssemblyFile.Of(typeof(MutatedRun)));
        var chosen = fixtures.Select(fixture => $"LoraScratch.Tests.{fixture}:".Split(':')).ToList();
        return NestedTests.Run(tests, [.. chosen.Select(parts => parts[0])],
            test => IsQuick(test) && chosen.Exists(parts => test.StartsWith(parts[0], StringComparison.Ordinal)
                && test.Contains(parts[1], StringComparison.Ordinal)), stopAtFirst);
    }

    /// <summary>
    /// One device is enough for a formula: not the narrower instruction sets, no GPU.
    /// </summary>
    private static bool IsQuick(string test) => !test.Contains("simulated", StringComparison.Ordinal)
        && !Gpus.Real.Any(gpu => test.Contains($"{gpu}", StringComparison.Ordinal))
        && (!test.Contains("CPU, ", StringComparison.Ordinal)
            || test.Contains($"CPU, {BestPath}, 2 threads", StringComparison.Ordinal));

    /// <summary>The product and its tests once more, one assembly of it another one.</summary>
    private sealed class MutatedContext(string name, byte[] image) : AssemblyLoadContext($"{name}, mutated")
    {
        protected override Assembly? Load(AssemblyName assembly)
        {
            if (assembly.Name == name)
            {
                return LoadFromStream(new MemoryStream(image));
            }
            var file = Path.Combine(AppContext.BaseDirectory, $"{assembly.Name}.dll");
            var isOurs = assembly.Name == "lora"
                || assembly.Name!.StartsWith("LoraScratch.", StringComparison.Ordinal);
            return isOurs && File.Exists(file) ? LoadFromAssemblyPath(file) : null;
        }
    }
}
