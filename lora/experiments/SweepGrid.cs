using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Training;

namespace LoraScratch.Lora.Experiments;

/// <summary>One point of a grid.</summary>
/// <param name="Rank">r</param>
/// <param name="Alpha">alpha</param>
/// <param name="Targets">The layers with LoRA.</param>
internal sealed record SweepPoint(int Rank, double Alpha, IReadOnlyList<string> Targets)
{
    /// <summary>"r8-alpha16-query+value"</summary>
    public string Name => string.Create(CultureInfo.InvariantCulture,
        $"r{Rank}-alpha{Alpha}-{string.Join('+', Targets)}");

    /// <summary>The run of this point.</summary>
    /// <param name="options">All else.</param>
    public ExperimentRun Run(TrainingOptions options) =>
        new(Name, options with { Lora = options.Lora with { Rank = Rank, Alpha = Alpha }, Targets = Targets });
}

/// <summary>
/// A grid over rank, alpha and which layers are adapted. The defaults are the tutorial's: six
/// ranks, six alphas, and every choice among key, projection, mlp and head beside query and value,
/// 576 points. The learning rate is one for all, so that alpha, which is the factor on the update,
/// stands in for it.
/// </summary>
internal sealed record SweepGrid
{
    /// <summary>Ranks.</summary>
    public IReadOnlyList<int> Ranks { get; init; } = [1, 2, 4, 8, 16, 32];

    /// <summary>Alphas.</summary>
    public IReadOnlyList<double> Alphas { get; init; } = [1, 4, 8, 16, 32, 64];

    /// <summary>Layers that every point adapts.</summary>
    public IReadOnlyList<string> Always { get; init; } = ["query", "value"];

    /// <summary>Layers that some points adapt: every choice of them is tried.</summary>
    public IReadOnlyList<string> Varied { get; init; } = ["key", "projection", "mlp", "head"];

    /// <summary>
    /// The grid of the built-in base model: all that its LoRA adapts by default is adapted by every
    /// point, and of the tutorial's choices the head is left. 72 points.
    /// </summary>
    public static SweepGrid OfBuiltIn { get; } =
        new() { Always = LoRATargets.OfBuiltIn, Varied = [LoRATargets.Head] };

    /// <summary>Number of points.</summary>
    public int Count => Ranks.Count * Alphas.Count << Varied.Count;

    /// <summary>Every point: rank by rank, alpha by alpha, layers in binary order.</summary>
    public IReadOnlyList<SweepPoint> Points =>
    [
        .. from rank in Ranks
           from alpha in Alphas
           from choice in Enumerable.Range(0, 1 << Varied.Count)
           select new SweepPoint(rank, alpha,
               [.. LoRATargets.Names.Where(name => Always.Contains(name)
                   || Varied.Where((_, bit) => (choice >> bit & 1) == 1).Contains(name))]),
    ];

    /// <summary>
    /// Some points drawn by seed, in the order of the grid. With the same seed, fewer points are a
    /// part of more.
    /// </summary>
    /// <param name="count">How many; null: all.</param>
    /// <param name="seed">Draws them.</param>
    /// <exception cref="InputException">There are not so many.</exception>
    public IReadOnlyList<SweepPoint> Choose(int? count, ulong seed)
    {
        if (count is < 1 || count > Count)
        {
            throw new InputException($"Option 'runs' is {count}; expected 1 to {Count}, the points of the grid.");
        }
        var points = Points;
        return count is null ? points
            : [.. Permutation.Random(Count, seed, Permutation.SweepStream).Take(count.Value).Order()
                .Select(i => points[i])];
    }

    /// <summary>Refuses what makes no sense.</summary>
    /// <exception cref="InputException">The message names the option.</exception>
    public void Check()
    {
        Require(Ranks.Count > 0 && Ranks.All(rank => rank >= 1) && Ranks.Distinct().Count() == Ranks.Count,
            "Option 'ranks': expected whole numbers from 1, each once");
        Require(Alphas.Count > 0 && Alphas.All(alpha => alpha > 0) && Alphas.Distinct().Count() == Alphas.Count,
            "Option 'alphas': expected numbers above 0, each once");
        Require(!Always.Intersect(Varied).Any(),
            $"Option 'always' and option 'vary' both name {string.Join(", ", Always.Intersect(Varied))}: a layer is "
                + "adapted by every point or by some");
        Require(Always.Count > 0, "Option 'always': expected one layer at least");
    }

    private static void Require(bool holds, string message)
    {
        if (!holds)
        {
            throw new InputException($"{message}.");
        }
    }
}
