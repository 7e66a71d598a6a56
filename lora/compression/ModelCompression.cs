using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Compression;

/// <summary>
/// A linear layer that may be replaced by two thin ones, with what every rank costs.
/// </summary>
internal sealed class CompressibleLayer
{
    private readonly LowRankFactors? largest;
    private readonly Linear linear;
    private readonly Submodule submodule;

    internal CompressibleLayer(PlannedLayer planned)
    {
        Path = planned.Path;
        linear = planned.Base as Linear
            ?? throw new InputException(
                $"Compression: {planned.Path} is no linear layer, but {planned.Base}. Leave it out.");
        submodule = planned.Submodule ?? throw new InputException("The model itself is a linear layer, "
            + "which has no place in which it could be replaced. Put it into a Sequential.");
        var svd = SingularValueDecomposition.Jacobi(DenseMatrix.From(linear.Weight));
        Values = svd.Values;
        LargestSavingRank = LowRankLinear.LargestSavingRank(InFeatures, OutFeatures);
        largest = LargestSavingRank > 0 ? LowRankFactors.Of(svd, LargestSavingRank) : null;
    }

    /// <summary>Its path in the model.</summary>
    public string Path { get; }

    /// <summary>Width of the input.</summary>
    public int InFeatures => linear.InFeatures;

    /// <summary>Width of the output.</summary>
    public int OutFeatures => linear.OutFeatures;

    /// <summary>The singular values of W, falling.</summary>
    public IReadOnlyList<double> Values { get; }

    /// <summary>‖W‖²_F</summary>
    public double SquaredNorm => Values.Sum(value => value * value);

    /// <summary>The largest rank whose factors are smaller than W.</summary>
    public int LargestSavingRank { get; }

    /// <summary>Numbers of W, or of the factors of a rank.</summary>
    /// <param name="rank">k; null: W.</param>
    public long Numbers(int? rank) =>
        rank is { } k ? (long)k * (InFeatures + OutFeatures) : (long)InFeatures * OutFeatures;

    /// <summary>Σᵢ>k σᵢ², the squared error ‖W − W_k‖²_F of a rank; 0 for W itself.</summary>
    public double SquaredError(int? rank) => rank is { } k ? Values.Skip(k).Sum(value => value * value) : 0;

    /// <summary>‖W − W_k‖_F / ‖W‖_F</summary>
    public double RelativeError(int? rank) => SquaredNorm == 0 ? 0 : Math.Sqrt(SquaredError(rank) / SquaredNorm);

    /// <summary>The smallest k that keeps a share of ‖W‖²_F.</summary>
    internal int RankForEnergy(double share)
    {
        var (wanted, sum) = (share * SquaredNorm, 0.0);
        for (var k = 1; k < Values.Count; k++)
        {
            sum += Values[k - 1] * Values[k - 1];
            if (sum >= wanted)
            {
                return k;
            }
        }
        return Values.Count;
    }

    /// <summary>The factors of a rank.</summary>
    /// <param name="rank">k, <see cref="LargestSavingRank"/> at most.</param>
    public LowRankFactors Factors(int rank) => rank > 0 && rank <= LargestSavingRank ? largest!.Truncate(rank)
        : throw new ArgumentOutOfRangeException(nameof(rank), rank,
            $"{Path}: factors are kept for ranks from 1 to {LargestSavingRank}; from there on they are no smaller "
                + "than the weight.");

    internal void Replace(int rank) => submodule.Replace(LowRankLinear.Of(linear, Factors(rank)));
}

/// <summary>
/// Replaces chosen linear layers by their best low-rank forms (<see cref="LowRankLinear"/>): by one
/// rank, by the share of ‖W‖²_F that must be kept, or so that the whole model fits a number of
/// bytes. A layer whose factors would be no smaller than its weight is left as it is.
/// <para>
/// For a number of bytes, every layer begins with rank 1, and the next rank goes where it takes off
/// the most squared error for a number, σ²ₖ₊₁/(in + out), until the bytes are used up: within a
/// layer these quotients fall, so that no other choice of ranks has a smaller error in as many
/// bytes, but for the last step, and for the layers that become whole again when their factors
/// reach W's size.
/// </para>
/// </summary>
internal sealed class ModelCompression
{
    private readonly Module model;

    private ModelCompression(Module model, IReadOnlyList<CompressibleLayer> layers) =>
        (this.model, Layers) = (model, layers);

    /// <summary>The layers, in the model's order.</summary>
    public IReadOnlyList<CompressibleLayer> Layers { get; }

    /// <summary>
    /// Decomposes the weights of the chosen layers; the model is not changed yet.
    /// </summary>
    /// <param name="model">The model, without LoRA.</param>
    /// <param name="targets">Which linear layers.</param>
    /// <param name="progress">Is told each layer when it is done; may be null.</param>
    /// <exception cref="InputException">
    /// A pattern meets no linear layer, or one that is in low-rank form already, or the model is
    /// quantised.
    /// </exception>
    public static ModelCompression Of(Module model, IReadOnlyList<ModulePattern> targets,
        Action<CompressibleLayer>? progress = null)
    {
        model.RequireFloatWeights("Compression");
        var layers = new List<CompressibleLayer>();
        var done = model.NamedModules<LowRankLinear>()
            .FirstOrDefault(entry => targets.Any(target => target.Matches(entry.Path)));
        if (done.Module is not null)
        {
            throw new InputException($"{done.Path} is a low-rank layer already, {done.Module}. Compress the model "
                + "that this one was made of: its weights say which rank is the best, their factors do not.");
        }
        foreach (var planned in LoRAPlan.For(model, new LoRASettings(1, 1), targets).Layers)
        {
            layers.Add(new CompressibleLayer(planned));
            progress?.Invoke(layers[^1]);
        }
        return new ModelCompression(model, layers);
    }

    /// <summary>Numbers of the whole model with these ranks.</summary>
    /// <param name="ranks">One for each layer; null where it stays as it is.</param>
    public long Numbers(IReadOnlyList<int?> ranks) =>
        model.Parameters().Distinct().Sum(parameter => (long)parameter.Shape.Count) + Layers.Zip(ranks)
        .Sum(entry => entry.First.Numbers(entry.Second) - entry.First.Numbers(null));

    /// <summary>‖W − W_k‖_F / ‖W‖_F of all layers together.</summary>
    public double RelativeError(IReadOnlyList<int?> ranks) =>
        Math.Sqrt(Layers.Zip(ranks)
            .Sum(entry => entry.First.SquaredError(entry.Second))
            / Math.Max(double.Epsilon, Layers.Sum(layer => layer.SquaredNorm)));

    /// <summary>The same rank in every layer where it saves anything.</summary>
    /// <exception cref="InputException">It is less than 1, or saves nothing anywhere.</exception>
    public IReadOnlyList<int?> ByRank(int rank)
    {
        RankRules.Check(rank, null);
        return RequireSaving([.. Layers.Select(layer => rank <= layer.LargestSavingRank ? rank : (int?)null)],
            $"option 'rank' {rank}");
    }

    /// <summary>
    /// In every layer the smallest rank that keeps a share of ‖W‖²_F, where it saves anything.
    /// </summary>
    /// <param name="share">In (0, 1]</param>
    /// <exception cref="InputException">It is out of range, or saves nothing anywhere.</exception>
    public IReadOnlyList<int?> ByEnergy(double share)
    {
        RankRules.Check(null, share);
        return RequireSaving([.. Layers.Select(layer => layer.RankForEnergy(share) is var rank
            && rank <= layer.LargestSavingRank ? rank : (int?)null)],
            string.Create(CultureInfo.InvariantCulture, $"option 'energy' {share}"));
    }

    /// <summary>
    /// The ranks with the smallest error for which all weights of the model fit a number of bytes,
    /// as float32.
    /// </summary>
    /// <exception cref="InputException">
    /// It is less than rank 1 needs everywhere, or the model fits as it is.
    /// </exception>
    public IReadOnlyList<int?> ByBytes(long bytes)
    {
        var ranks = Layers.Select(layer => layer.LargestSavingRank > 0 ? 1 : (int?)null).ToArray();
        var left = bytes / sizeof(float) - Numbers(ranks);
        if (left < 0)
        {
            throw new InputException($"Option 'bytes' is {bytes}; with rank 1 in every targeted layer the model "
                + $"still takes {sizeof(float) * Numbers(ranks)}. Give at least that, or more option 'targets'.");
        }
        // layers, the one whose next step takes off the most error for a number first
        var steps = new PriorityQueue<int, double>();
        for (var i = 0; i < Layers.Count; i++)
        {
            Enqueue(i);
        }
        while (steps.TryDequeue(out var next, out _))
        {
            var (_, numbers, rank) = NextStep(Layers[next], ranks[next]!.Value);
            if (numbers <= left)
            {
                left -= numbers;
                ranks[next] = rank;
                Enqueue(next);
            }
        }
        return RequireSaving(ranks, $"option 'bytes' {bytes}");

        void Enqueue(int i)
        {
            if (ranks[i] is { } rank)
            {
                var (gain, numbers, _) = NextStep(Layers[i], rank);
                steps.Enqueue(i, -gain / numbers);
            }
        }
    }

    /// <summary>Puts the low-rank forms into the model.</summary>
    /// <param name="ranks">One for each layer; null where it stays as it is.</param>
    public void Apply(IReadOnlyList<int?> ranks)
    {
        foreach (var (layer, rank) in Layers.Zip(ranks))
        {
            if (rank is { } k)
            {
                layer.Replace(k);
            }
        }
    }

    /// <summary>One more rank; after the last that saves anything, W itself.</summary>
    private static (double Gain, long Numbers, int? Rank) NextStep(CompressibleLayer layer, int rank)
    {
        var next = rank < layer.LargestSavingRank ? rank + 1 : (int?)null;
        return (layer.SquaredError(rank) - layer.SquaredError(next), layer.Numbers(next) - layer.Numbers(rank), next);
    }

    private IReadOnlyList<int?> RequireSaving(IReadOnlyList<int?> ranks, string asked) =>
        ranks.Any(rank => rank is not null) ? ranks : throw new InputException(
        $"{asked} saves nothing: two factors of rank k take k·(in + out) numbers, and W takes in·out. The largest "
            + "ranks that save anything are "
            + $"{string.Join(", ", Layers.Select(SavingRank).Distinct())}.");

    private static string SavingRank(CompressibleLayer layer) =>
        $"{layer.LargestSavingRank} for [{layer.OutFeatures}, {layer.InFeatures}]";
}
