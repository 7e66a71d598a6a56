using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Lora;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Explaining;

namespace LoraScratch.Cli;

/// <summary>What lora explain prints.</summary>
internal static class ExplanationReport
{
    private const int ElementsShown = 16;

    /// <summary>The built-in example.</summary>
    public static void Print(LoRAExample example)
    {
        Line($"A LoRA layer on a linear one of {LoRAExample.InFeatures} inputs and {LoRAExample.OutFeatures} outputs: "
            + $"rank {LoRAExample.Rank}, alpha {LoRAExample.Alpha}, s = alpha/rank = {example.Start.Scaling}, dropout "
            + $"{LoRAExample.Dropout}. {LoRAExample.Examples} examples of {LoRAExample.Tokens} tokens, each a "
            + "micro-batch of its own; loss = mean((Y − T)²)/2 of each.");
        Line("B is not 0, as it would be at the first step: dA would be 0 then, whatever its formula.");
        Line($"\nThe first micro-batch\n\n{example.EngineSteps[0].Tapes[0]}");
        PrintBrackets(example.EngineSteps[0].Tapes[0]);
        Line("\nThree ways, over both micro-batches: closed form in float64, autograd in float32, finite differences "
            + "of the loss in float64");
        var ways = example.Compare();
        PrintWays(ways);
        foreach (var way in ways.Where(way => way.Differences.Count is > 0 and <= ElementsShown))
        {
            PrintElements(way);
        }
        PrintSteps(example);
        PrintMutants(example);
    }

    private static string Labels(TextClassifier classifier, EncodedExample example) => example.Classes is { } classes
        ? classes.Length == 0 ? "no class" : string.Join(" and ", classes.Select(label => classifier.Labels[label]))
        : classifier.Labels[example.Label];

    /// <summary>A layer of a model.</summary>
    public static void Print(LayerExplanation layer, TextClassifier classifier, IReadOnlyList<EncodedExample> examples)
    {
        var settings = layer.Layer.Lora.Settings;
        Line($"{Terminal.Printable(layer.Path)}: {(layer.Merge is null ? "LoRA" : "QA-LoRA")} of rank "
            + $"{layer.Layer.Lora.Rank}, s = {LoRASettings.Name(settings.ScalingRule)} = {layer.Layer.Lora.Scaling}, "
            + $"on a weight {layer.Layer.Base.Weight.Shape} of {layer.Layer.Base.Weight.Form}.");
        Line($"{examples.Count} text{(examples.Count == 1 ? "" : "s")} of "
            + $"{string.Join(", ", examples.Select(example => $"{example.TokenIds.Length} tokens "
                + $"({Terminal.Printable(Labels(classifier, example))})"))}; loss {Number(layer.Loss)}. Dropout "
            + "is off, as in evaluation.");
        if (layer.Numbers.Count < examples.Sum(example => example.TokenIds.Length))
        {
            Line("The model reads one vector of each text here, and computes this layer for that: its row of [CLS].");
        }
        Line(layer.InputNeedsGradient
            ? "What comes before the layer is trained as well, and so dX is asked for."
            : "Nothing before the layer is trained: training never forms its dX, which is shown here all the same.");
        Line($"\n{layer.Tape}");
        PrintBrackets(layer.Tape);
        Line("\nThree ways: closed form in float64, autograd in float32, finite differences of ⟨dY, Y⟩ in float64 "
            + "(64 elements and three random directions at most)");
        PrintWays(layer.Ways);
        if (layer.Merge is { } merge)
        {
            Line("\nThe update in the zeros, ζ′ = ζ − s·κ·(AB)ᵀ/α: the codes stay");
            Line($"  zeros move by up to {Number(merge.LargestMove)} codes, to {Number(merge.LargestZero)} at most; "
                + $"outputs differ by {Number(merge.LargestDifference)}, {Number(merge.Tolerance)} allowed: "
                + $"{Verdict(merge.Agrees)}");
        }
    }

    /// <summary>
    /// A·B and Xᵀ·dY, which would be as large as W: what bracketing through r spares.
    /// </summary>
    private static void PrintBrackets(Explanation tape)
    {
        var (a, b, rows) = (tape["A"].Shape, tape["B"].Shape, (long)tape["H"].Shape.Rows);
        var (inner, rank, outer) = ((long)a[0], (long)a[1], (long)b[1]);
        var through = 2 * rows * rank * (inner + outer);
        var around = 2 * inner * outer * (rank + rows);
        Line($"\nbracketed through r: (X·A)·B costs {Text.Count(through)} flops; X·(A·B) would cost "
            + $"{Text.Count(around)} and a buffer of {Text.Count(sizeof(float) * inner * outer)} bytes. The same "
            + "for dA: Xᵀ·(dY·Bᵀ), and not (Xᵀ·dY)·Bᵀ.");
    }

    private static void PrintWays(IReadOnlyList<ThreeWays> ways)
    {
        Line($"  {"",-4}{"shape",-14}{"autograd off",14}{"of its tolerance",18}{"difference off",16}{"tolerance",12}"
            + $"{"compared",10}");
        foreach (var way in ways)
        {
            var numeric = way.Differences.Count == 0 ? $"{"",38}"
                : $"{Number(way.LargestNumericDifference),16}{Number(way.Differences.Max(entry => entry.Tolerance)),12}"
                    + $"{way.Differences.Count,10}";
            Line($"  {way.Name,-4}{way.Shape,-14}{Number(way.LargestDifference),14}"
                + $"{Text.Percent(way.LargestShare),18}{numeric}  {Verdict(way.Agree)}");
        }
        Line($"  Tolerance of autograd: γₖ·Σ|terms| for each element, γₖ = ku/(1 − ku), u = 2⁻²⁴; k = "
            + $"{string.Join(", ", ways.Select(way => $"{way.Depth} for {way.Name}"))}.");
    }

    private static void PrintElements(ThreeWays way)
    {
        Line($"\n  {$"{way.Name} {way.Shape}",-12}{"closed form",18}{"autograd",18}{"finite difference",22}");
        for (var i = 0; i < way.ClosedForm.Count; i++)
        {
            Line($"  {$"[{i / way.Shape.Columns}, {i % way.Shape.Columns}]",-12}"
                + $"{way.ClosedForm[i].ToString("F12", CultureInfo.InvariantCulture),18}"
                + $"{way.Autograd[i].ToString("F9", CultureInfo.InvariantCulture),18}"
                + $"{way.Differences[i].Numeric.ToString("F12", CultureInfo.InvariantCulture),22}");
        }
    }

    private static void PrintSteps(LoRAExample example)
    {
        Line($"\nThree steps of AdamW (rate {LoRAExample.Rate}, β₁ {LoRAExample.Beta1}, β₂ {LoRAExample.Beta2}, ε "
            + $"{LoRAExample.Epsilon}, decay {LoRAExample.Decay}), the engine's float32 beside float64");
        Line($"  step{"loss",14}{"off",12}{"allowed",12}{"A off",12}{"allowed",12}{"B off",12}{"allowed",12}");
        foreach (var (right, engine, number) in example.Replay(LoRAFormulas.Right).Zip(example.EngineSteps,
            Enumerable.Range(1, LoRAExample.Steps)))
        {
            Line($"  {number,4}{right.Loss.ToString("F9", CultureInfo.InvariantCulture),14}"
                + $"{Number(Math.Abs(right.Loss - engine.Loss)),12}{Number(right.LossError),12}"
                + $"{Number(Off(right.A, engine.A)),12}{Number(right.AError.Max()),12}"
                + $"{Number(Off(right.B, engine.B)),12}{Number(right.BError.Max()),12}");
        }

        static double Off(double[] right, float[] engine) => right.Zip(engine, (x, y) => Math.Abs(x - y)).Max();
    }

    private static void PrintMutants(LoRAExample example)
    {
        Line($"\nWould a mistake be noticed? {FormulaMutant.All.Count} wrong formulas, and who notices them");
        var width = FormulaMutant.All.Max(mutant => mutant.Title.Length);
        foreach (var mutant in FormulaMutant.All)
        {
            var notices = mutant.Notices(example).GroupBy(notice => notice.By).Select(group => $"{Name(group.Key)} ("
                + $"{string.Join(", ", group.Select(notice => notice.Quantity))})");
            Line($"  {mutant.Title.PadRight(width)}  {string.Join("; ", notices)}");
        }

        static string Name(Witness witness) => witness switch
        {
            Witness.Autograd => "autograd",
            Witness.FiniteDifferences => "finite differences",
            _ => "the steps",
        };
    }

    private static string Verdict(bool agrees) => agrees ? "agree" : "DISAGREE";

    private static string Number(double value) => value.ToString("G3", CultureInfo.InvariantCulture);

    private static void Line(string text) => Console.WriteLine(text);
}
