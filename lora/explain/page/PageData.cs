using System.Text.Json.Serialization;
using LoraScratch.Lora.Pages;

namespace LoraScratch.Lora.Explaining;

/// <summary>What the script of an explained layer's page works with.</summary>
internal sealed record PageData
{
    /// <summary>The built-in example, all of it computed again, and a real layer.</summary>
    public const string Example = "example", Layer = "layer";

    /// <summary>One of the two.</summary>
    public required string Kind { get; init; }

    public required IReadOnlyList<LayerFormula> Formulas { get; init; }

    public required IReadOnlyList<PageMutant> Mutants { get; init; }

    /// <summary>The closed forms, to be read.</summary>
    public required IReadOnlyDictionary<string, string> Backward { get; init; }

    /// <summary>Numbers that the formulas know by name.</summary>
    public required IReadOnlyDictionary<string, double> Constants { get; init; }

    public PageMatrix? W { get; init; }

    public PageMatrix? Bias { get; init; }

    public required PageMatrix A { get; init; }

    public required PageMatrix B { get; init; }

    /// <summary>QA-LoRA's groups, [in, L] of zeros and ones.</summary>
    public PageMatrix? G { get; init; }

    /// <summary>The part of W that a real layer's page carries.</summary>
    public PagePart? Part { get; init; }

    public required IReadOnlyList<PageStep> Steps { get; init; }

    /// <summary>Whose panel is open at first.</summary>
    public required string FirstNode { get; init; }
}

/// <summary>An optimizer's step.</summary>
internal sealed record PageStep(IReadOnlyList<PageBatch> Batches, StepGradients Engine, StepResult? After);

/// <summary>The summed gradients, from autograd in float32.</summary>
internal sealed record StepGradients([property: JsonPropertyName("dA")] PageMatrix A,
    [property: JsonPropertyName("dB")] PageMatrix B);

/// <summary>A and B after the step.</summary>
internal sealed record StepResult(PageMatrix A, PageMatrix B);

/// <summary>A micro-batch: what the page takes as given, and what the engine made of it.</summary>
internal sealed record PageBatch
{
    /// <summary>A name for each row: its token.</summary>
    public required IReadOnlyList<string> Rows { get; init; }

    /// <summary>The text of each row.</summary>
    public required IReadOnlyList<string> Texts { get; init; }

    public required PageMatrix X { get; init; }

    /// <summary>1 where dropout kept a number, else 0; null without dropout.</summary>
    public PageMatrix? Mask { get; init; }

    /// <summary>What Y should be; null in a real layer, whose dY is given.</summary>
    public PageMatrix? Target { get; init; }

    [JsonPropertyName("dY")]
    public required PageMatrix OutputGradient { get; init; }

    public required EngineResults Engine { get; init; }
}

/// <summary>What the engine computed in float32, to be compared with.</summary>
internal sealed record EngineResults
{
    public required PageMatrix H { get; init; }

    public required PageMatrix Y { get; init; }

    public PageMatrix? Loss { get; init; }

    [JsonPropertyName("dX")]
    public PageMatrix? InputGradient { get; init; }
}

/// <summary>Rows and columns of a large W: those that the page computes with.</summary>
/// <param name="Outputs">Columns of y.</param>
/// <param name="Inputs">Columns of dX.</param>
/// <param name="WRows">W[outputs, :]</param>
/// <param name="WColumns">W[:, inputs]</param>
internal sealed record PagePart(IReadOnlyList<int> Outputs, IReadOnlyList<int> Inputs, PageMatrix WRows,
    PageMatrix WColumns);
