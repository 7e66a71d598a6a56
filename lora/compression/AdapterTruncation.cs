using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Data;

namespace LoraScratch.Lora.Compression;

/// <summary>The update of one layer, taken apart.</summary>
/// <param name="Path">Its path in the base model.</param>
/// <param name="Rank">r of the adapter.</param>
/// <param name="Scaling">s</param>
/// <param name="Decomposition">
/// Of s·A·B [in, out]: U [in, p], V [out, p] with p = min(in, r, out).
/// </param>
internal sealed record UpdateSpectrum(string Path, int Rank, double Scaling, SingularValueDecomposition Decomposition);

/// <summary>
/// A trained adapter at every smaller rank, without training: of each update s·A·B = U·diag(σ)·Vᵀ
/// the first k terms are the best update of rank k there is, and what is dropped is √Σᵢ>k σᵢ². The
/// product [in, out] is never formed: <see cref="SingularValueDecomposition.OfProduct"/> works on
/// the factors. The new factors are A = U_k and B = diag(σ_k/s)·V_kᵀ, so that s stays what it was.
/// </summary>
internal sealed class AdapterTruncation
{
    private readonly string source;
    private readonly PortableAdapter adapter;

    private AdapterTruncation(string source, PortableAdapter adapter)
    {
        (this.source, this.adapter) = (source, adapter);
        Layers = [.. adapter.Layers.Select(layer => new UpdateSpectrum(layer.Path, layer.Rank, layer.Scaling,
            SingularValueDecomposition.OfProduct(layer.Scaling
                * DenseMatrix.From(layer.A, layer.InFeatures, layer.Rank),
                DenseMatrix.From(layer.B, layer.Rank, layer.OutFeatures))))];
    }

    /// <summary>Every update of the adapter.</summary>
    public IReadOnlyList<UpdateSpectrum> Layers { get; }

    /// <summary>The largest rank in the adapter.</summary>
    public int Rank => Layers.Max(layer => layer.Rank);

    /// <summary>What was odd about the adapter, one sentence each.</summary>
    public IReadOnlyList<string> Warnings => adapter.Warnings;

    /// <summary>Reads an adapter folder in PEFT's format; no model is needed.</summary>
    /// <exception cref="InputException">
    /// A file is missing or malformed, or the adapter has faults.
    /// </exception>
    public static AdapterTruncation Read(string folder) => Directory.Exists(folder)
        ? new AdapterTruncation(folder, PortableAdapter.Read(folder, null))
        : throw new InputException($"{folder}: there is no such folder. An adapter folder with "
            + $"{PeftAdapter.ConfigName} and {PeftAdapter.WeightsName} is expected.");

    /// <summary>
    /// √Σ σᵢ² over all that a rank of <paramref name="rank"/> in every layer drops: the distance of
    /// all updates together from what they were.
    /// </summary>
    public double DroppedNorm(int rank) => Math.Sqrt(Layers.Sum(layer => Square(layer.Decomposition.ErrorOf(rank))));

    /// <summary>The share of Σ‖s·A·B‖²_F that it drops; 0 where there is nothing to drop.</summary>
    public double DroppedEnergy(int rank)
    {
        var total = Layers.Sum(layer => layer.Decomposition.SquaredNorm);
        return total == 0 ? 0 : Math.Min(1, Square(DroppedNorm(rank)) / total);
    }

    /// <summary>The rank of each layer: the same for all, but no more than it has.</summary>
    /// <exception cref="InputException">It is less than 1, or more than any layer has.</exception>
    public IReadOnlyList<int> RanksUpTo(int rank) => rank > Rank
        ? throw new InputException($"Option 'rank' is {rank}; the adapter {source} has rank {Rank}, and more cannot "
            + "come of it. Give at most that.")
        : rank < 1 ? throw new InputException($"Option 'rank' is {rank}; expected at least 1.")
        : [.. Layers.Select(layer => Math.Min(rank, layer.Decomposition.Values.Count))];

    /// <summary>The rank of each layer: the smallest that keeps a share of its energy.</summary>
    /// <param name="share">In (0, 1]</param>
    public IReadOnlyList<int> RanksForEnergy(double share)
    {
        RankRules.Check(null, share);
        return [.. Layers.Select(layer => layer.Decomposition.RankForEnergy(share))];
    }

    /// <summary>
    /// Writes the adapter with smaller ranks as a new folder in PEFT's format; head, biases and the
    /// base's fingerprint go along.
    /// </summary>
    /// <param name="folder">The folder; its parent must exist.</param>
    /// <param name="ranks">One for each layer.</param>
    /// <param name="overwrite">Replaces a folder that holds a result, and nothing else.</param>
    /// <exception cref="InputException">The folder cannot be written.</exception>
    public void Save(string folder, IReadOnlyList<int> ranks, bool overwrite = false)
    {
        var truncated = adapter with
        {
            Layers =
            [.. adapter.Layers.Select((layer, i) => Truncated(layer, Layers[i], ranks[i]))]
        };
        var contents = AdapterConversion.Peft(truncated);
        var place = PeftAdapter.Find(source);
        PeftAdapter.Write(folder, temporary =>
        {
            contents.WriteTo(temporary);
            if (Path.Combine(place, RunFiles.ConfigName) is var config && File.Exists(config))
            {
                File.Copy(config, Path.Combine(temporary, RunFiles.ConfigName));
            }
            DerivedAdapter.WriteAbout(temporary, RunFiles.ReadTask(place), new()
            {
                ["base_model"] = adapter.Config.BaseModel,
                ["truncated_from"] = source,
                ["ranks"] = Layers.Zip(ranks).ToDictionary(entry => entry.First.Path, entry => entry.Second),
            });
        }, overwrite);
    }

    /// <summary>
    /// Gives the layers of the adapter on a model the first terms of their updates; the ranks of
    /// its matrices stay, with zeros from <paramref name="rank"/> on.
    /// </summary>
    /// <param name="attached">The same adapter, as it was loaded onto its model.</param>
    /// <param name="rank">k, from 0 (no update at all) to the adapter's rank.</param>
    /// <exception cref="ArgumentException">It is another adapter.</exception>
    public void ApplyTo(LoRAAdapter attached, int rank)
    {
        foreach (var (path, layer) in attached.Layers)
        {
            var update = Layers.FirstOrDefault(own => own.Path == path && own.Rank == layer.Lora.Rank)
                ?? throw new ArgumentException($"AdapterTruncation: the adapter on the model has a layer {path} of "
                    + $"rank {layer.Lora.Rank}, the one in {source} has none such.", nameof(attached));
            var count = Math.Min(rank, update.Decomposition.Values.Count);
            var (a, b) = (new DenseMatrix(layer.Lora.InFeatures, update.Rank),
                new DenseMatrix(update.Rank, layer.Lora.OutFeatures));
            var first = Factors(update, count);
            for (var i = 0; i < a.Rows; i++)
            {
                first.A.Row(i).CopyTo(a.Row(i));
            }
            first.B.Values.CopyTo(b.Values, 0);
            layer.Lora.A.Set(a.ToFloats());
            layer.Lora.B.Set(b.ToFloats());
        }
    }

    private static PortableLayer Truncated(PortableLayer layer, UpdateSpectrum update, int rank)
    {
        var (a, b) = Factors(update, rank);
        return layer with { Rank = rank, A = a.ToFloats(), B = b.ToFloats() };
    }

    /// <summary>A = U_k [in, k] and B = diag(σ_k/s)·V_kᵀ [k, out].</summary>
    private static (DenseMatrix A, DenseMatrix B) Factors(UpdateSpectrum update, int rank)
    {
        var first = update.Decomposition.Truncate(rank);
        return (first.U, first.V.ScaleColumns([.. first.Values.Select(value => value / update.Scaling)]).Transpose());
    }

    private static double Square(double x) => x * x;
}
