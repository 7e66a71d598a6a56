using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace LoraScratch.Tests;

/// <summary>
/// The map of the house: which room may use which. A room is a folder; what a file uses is what the
/// compiler binds its names to. A new arrow is red: draw it here if it points down, or put the code
/// where it belongs.
/// </summary>
[Parallelizable]
public class ArchitectureTests
{
    private const string Gpu = "kernels/gpu", Cpu = "kernels/managed/cpu", Common = "kernels/managed/common",
        Kernels = "kernels/managed", Formulas = "kernels/managed/functions";
    private const string Core = "engine", Ops = "engine/ops", Nn = "engine/nn", Optim = "engine/optim";
    private const string Files = "engine/io", Explaining = "engine/explain", Algebra = "engine/linear-algebra";
    private const string Texts = "lora/tokenizers", Processes = "lora/processes";
    private const string Data = "lora/data", Layers = "lora/layers", Adapters = "lora/adapters";
    private const string Quantization = "lora/quantization", Compression = "lora/compression",
        Models = "lora/encoders", Families = "lora/families", Hub = "lora/hub";
    private const string Classification = "lora/classification", Training = "lora/training",
        Experiments = "lora/experiments", Charts = "lora/charts", Export = "lora/export";
    private const string Embeddings = "lora/embeddings", Pipelines = "lora/ml", Merging = "lora/merging",
        Reporting = "lora/report";
    private const string LayerExplaining = "lora/explain", Pages = "lora/pages", LayerPages = "lora/explain/page";
    private const string Options = "lora/cli/options", Output = "lora/cli/output", Tables = "lora/cli/tables",
        TerminalCharts = "lora/cli/charts";
    private const string Commands = "lora/cli/commands", Demo = "lora/cli/demo";

    /// <summary>
    /// Every room with the rooms that it uses, each above those that use it: no arrow points down
    /// this list, so that there is no cycle. Tensor and Backpropagation know each other:
    /// engine/autograd is a part of the room engine.
    /// </summary>
    private static readonly (string Room, string[] Uses)[] Map =
    [
        (Formulas, []),
        (Kernels, [Formulas]),
        (Common, [Kernels, Formulas]),
        (Cpu, [Kernels, Formulas, Common]),
        (Gpu, [Kernels, Formulas, Common]),
        (Core, [Kernels, Formulas, Cpu]),                       // the CPU: the default device
        (Files, [Core]),
        (Algebra, [Core]),
        (Ops, [Core, Kernels, Formulas]),
        (Explaining, [Core, Kernels]),
        (Nn, [Core, Ops, Explaining, Kernels]),
        (Optim, [Core, Nn, Kernels]),
        (Texts, [Core, Files]),
        (Processes, [Core]),
        (Hub, [Core, Files]),
        (Data, [Core, Files, Formulas, Texts]),
        (Families, [Nn]),
        (Layers, [Core, Ops, Nn, Algebra, Kernels]),
        (LayerExplaining, [Core, Ops, Explaining, Nn, Optim, Algebra, Layers, Kernels]),
        (Charts, []),
        (Pages, [Core, Files]),
        (LayerPages, [Core, Explaining, Algebra, LayerExplaining, Pages]),
        ("lora", [Core, Ops, Nn, Optim, Layers]),
        (Adapters, [Core, Nn, Files, Algebra, Texts, Data, Families, Layers]),
        (Quantization, [Core, Ops, Nn, Files, Algebra, Layers, Kernels]),
        (Compression, [Core, Nn, Files, Algebra, Data, Layers, Adapters]),
        (Models, [Core, Ops, Nn, Files, Algebra, Texts, Data, Families, Layers, Adapters, Quantization, Compression,
            Hub, Kernels]),
        (Classification, [Core, Ops, Nn, Texts, Processes, Data, Layers, Adapters, Models, Kernels]),
        (Export, [Core, Nn, Files, Algebra, Texts, Data, Families, Layers, Models, Classification, Kernels]),
        (Embeddings, [Core, Nn, Files, Texts, Data, Models, Classification, Kernels]),
        (Training, [Core, Ops, Nn, Optim, Files, Texts, Processes, Data, Layers, Charts, Adapters, Quantization, Models,
            Classification, Kernels]),
        (Pipelines, [Core, Data, Classification, Export, Training]),
        (Merging, [Core, Nn, Files, Algebra, Texts, Data, Layers, Classification, Kernels]),
        (Experiments, [Core, Nn, Files, Processes, Data, Layers, Charts, Quantization, Models, Classification,
            Training]),
        (Reporting, [Core, Files, Algebra, Data, Charts, Pages, Compression, Merging, Classification, Training,
            Experiments]),
        (Output, [Core, Processes, Data, Classification, Training, Experiments, Hub]),
        (TerminalCharts, [Charts]),
        (Tables, [Core, Explaining, Nn, Data, Layers, Quantization, Classification, Training, Experiments,
            LayerExplaining, Output, TerminalCharts, Charts, Algebra, Compression, Merging]),
        (Options, [Core, Files, Texts, Processes, Data, Layers, Quantization, Models, Classification, Training,
            Experiments, Hub, Output, Kernels, Cpu, Gpu]),
        (Commands, [Core, Nn, Files, Algebra, Texts, Processes, Data, Layers, Charts, Adapters, Quantization,
            Compression, Models, Classification, Export, Training, Merging, Experiments, LayerExplaining, LayerPages,
            Reporting, Hub, Options, Output, Tables, Kernels, Cpu, Gpu]),
        (Demo, [Core, Nn, Files, Texts, Data, Layers, Adapters, Models, Classification, Training, Options, Output,
            Tables, TerminalCharts, Charts, Kernels]),
        ("lora/cli", [Core, Nn, Options, Output, Commands, Demo, Kernels]),
    ];

    [Test]
    public void Doors_open_one_way()
    {
        var rooms = Map.Select(entry => entry.Room).ToList();
        Assert.That(Map.SelectMany(entry => entry.Uses.Where(used => rooms.IndexOf(used) >= rooms.IndexOf(entry.Room)
            || rooms.IndexOf(used) < 0).Select(used => $"{entry.Room} uses {used}")), Is.Empty,
            "the map has an arrow that points down");

        var allowed = Map.SelectMany(entry => entry.Uses.Select(used => (entry.Room, used))).ToHashSet();
        var found = Arrows().GroupBy(arrow => (arrow.From, arrow.To))
            .ToDictionary(group => group.Key, group => group.First().Where);
        Assert.Multiple(() =>
        {
            foreach (var ((from, to), where) in found.Where(entry => !allowed.Contains(entry.Key)))
            {
                Assert.Fail($"a new arrow, {from} → {to}: {where}");
            }
            Assert.That(allowed.Except(found.Keys), Is.Empty, "arrows that nobody needs any more");
        });
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
                    yield return (from, Room(file),
                        $"{Path.GetFileName(tree.FilePath)}:{line} {name.Identifier.ValueText}");
                }
            }
        }
    }

    private static string? DeclaredIn(ISymbol symbol) =>
        symbol.OriginalDefinition.DeclaringSyntaxReferences.Select(reference => reference.SyntaxTree.FilePath)
        .FirstOrDefault(path => path.Length > 0);

    private static string Room(string file) =>
        Path.GetDirectoryName(SourceCode.Relative(file))!.Replace('\\', '/')
        .Replace("engine/autograd", Core, StringComparison.Ordinal);
}
