using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace LoraScratch.Tests;

/// <summary>
/// The map of the house: which room may use which. A room is a folder; what a file uses is what the compiler binds its names
/// to. A new arrow is red: draw it here if it points down, or put the code where it belongs.
/// </summary>
public class ArchitectureTests
{
    /// <summary>Every room, each below those that use it, with what it uses.</summary>
    private static readonly (string Room, string[] Uses)[] Map =
    [
    ];

    [Test]
    public void Doors_open_one_way()
    {
        var allowed = Map.SelectMany(entry => entry.Uses.Select(used => (entry.Room, used))).ToHashSet();
        var found = Arrows().GroupBy(arrow => (arrow.From, arrow.To)).ToDictionary(group => group.Key, group => group.ToList());
        foreach (var ((from, to), uses) in found.OrderBy(entry => entry.Key.From, StringComparer.Ordinal)) { TestContext.Out.WriteLine($"{from} -> {to}: {string.Join("; ", uses.Select(use => use.Where).Distinct().Take(12))}"); }
    }

    /// <summary>Every use of a name that is declared in another room.</summary>
    private static IEnumerable<(string From, string To, string Where)> Arrows()
    {
        foreach (var compilation in SourceCode.Compilations)
        {
            foreach (var tree in compilation.SyntaxTrees.Where(tree => tree.FilePath.Length > 0))
            {
                var model = compilation.GetSemanticModel(tree);
                var from = Room(tree.FilePath);
                foreach (var name in tree.GetRoot().DescendantNodes().OfType<SimpleNameSyntax>())
                {
                    var info = model.GetSymbolInfo(name);
                    var symbol = info.Symbol ?? info.CandidateSymbols.FirstOrDefault();
                    if (symbol is null or INamespaceSymbol || DeclaredIn(symbol) is not { } file || Room(file) == from)
                    {
                        continue;
                    }
                    var line = name.GetLocation().GetLineSpan().StartLinePosition.Line + 1;
                    yield return (from, Room(file), $"{Path.GetFileName(tree.FilePath)}:{line} {name.Identifier.ValueText}");
                }
            }
        }
    }

    private static string? DeclaredIn(ISymbol symbol) =>
        symbol.OriginalDefinition.DeclaringSyntaxReferences.Select(reference => reference.SyntaxTree.FilePath).FirstOrDefault(path => path.Length > 0);

    private static string Room(string file) => Path.GetDirectoryName(SourceCode.Relative(file))!.Replace('\\', '/');
}
