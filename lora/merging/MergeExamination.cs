using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Engine.NN;
using LoraScratch.Lora.Classification;

namespace LoraScratch.Lora.Merging;

/// <summary>
/// Looks at a model before and after its adapter is merged: begun while the adapter is attached,
/// ended when the weights are what the file will have.
/// </summary>
internal sealed class MergeExamination
{
    private readonly TextClassifier classifier;
    private readonly MergeProbes probes;
    private readonly float[][] logits;
    private readonly IReadOnlyList<(string Path, LayerWithLoRA Layer, float[] Before)> layers;

    /// <summary>Takes down the weights and what the adapter answers.</summary>
    /// <param name="classifier">The model.</param>
    /// <param name="adapter">Attached to it, and not merged.</param>
    /// <param name="probes">What it is asked.</param>
    public MergeExamination(TextClassifier classifier, LoRAAdapter adapter, MergeProbes probes)
    {
        (this.classifier, this.probes) = (classifier, probes);
        logits = Answers();
        layers = [.. adapter.Layers.Select(layer => (layer.Path, layer.Layer, Values(layer.Layer.Base)))];
    }

    /// <summary>
    /// Rounds every parameter of a model to what a type of files has, so that the model is what
    /// its file will be. Quantised weights are stored as they are.
    /// </summary>
    /// <exception cref="InputException">A value is beyond the range of the type.</exception>
    public static void Round(Module model, DType type)
    {
        foreach (var (path, parameter) in type == DType.F32 ? [] : model.NamedParameters())
        {
            var values = parameter.ToArray();
            if (NumberConversion.Round(type, values) is { } wrong)
            {
                throw new InputException($"{path}: element {wrong} is {values[wrong]}, beyond the range of {type}. "
                    + "Write the weights as F32.");
            }
            parameter.Set(values);
        }
    }

    /// <summary>Compares, when the adapter is merged and the weights are rounded.</summary>
    /// <param name="type">What they are rounded to.</param>
    public MergeCertificate End(DType type)
    {
        var change = logits.Zip(Answers()).Max(pair => pair.First.Zip(pair.Second).Max(one =>
            // what is no number is no small change
            double.IsNaN(one.First - one.Second) ? double.PositiveInfinity : Math.Abs((double)one.First - one.Second)));
        return new(MergeCertificate.CurrentFormat, type.ToString(),
            [.. layers.Select(layer => Certify(layer.Path, layer.Layer, layer.Before, type))], probes.Description,
            Math.Min(change, double.MaxValue));
    }

    private float[][] Answers() =>
        [.. classifier.Predict(probes.Texts, batchSize: 32).Select(answer => answer.Logits.ToArray())];

    /// <summary>Compares one layer.</summary>
    /// <param name="path">Its path.</param>
    /// <param name="layer">Merged, or with an update that was merged and forgotten.</param>
    /// <param name="before">Its weight without the update; it is rounded.</param>
    /// <param name="type">What the weight is rounded to.</param>
    internal static LayerCertificate Certify(string path, LayerWithLoRA layer, float[] before, DType type)
    {
        var update = layer.Lora.Scaling * (DenseMatrix.From(layer.Lora.A) * DenseMatrix.From(layer.Lora.B));
        var norm = Norm(before);
        if (layer is LinearWithQALoRA { Base.Weight: var weight, Lora: var lora })
        {
            // W = α·(q − ζ): each group's weights move by −α·ζ together
            var (was, now) = (Offsets(before), Offsets(Values(layer.Base)));
            return LayerCertificate.Of(path, was, (lora.PoolingFactor * update).Transpose().Values, now,
                Norm(weight.Dequantize()), weight.Format.GroupSize);
        }
        NumberConversion.Round(type, before);
        return LayerCertificate.Of(path, Doubles(before),
            (layer.Base.IsEmbedding ? update : update.Transpose()).Values, Doubles(Values(layer.Base)), norm);
    }

    /// <summary>What a merge changes: W, or scale and zero of each group in turn.</summary>
    private static float[] Values(WeightLayer layer) => layer.Weight switch
    {
        Parameter weight => weight.ToArray(),
        GroupQuantizedWeight weight => [.. weight.Grids().SelectMany(grid => (float[])[grid.Scale, grid.Zero])],
        var other => throw new NotSupportedException($"There is no update of a weight that is {other.Form}."),
    };

    private static double[] Offsets(float[] grids) =>
        [.. grids.Chunk(2).Select(grid => -(double)grid[0] * grid[1])];

    private static double[] Doubles(float[] values) => Array.ConvertAll(values, value => (double)value);

    private static double Norm(float[] values) => Math.Sqrt(values.Sum(value => (double)value * value));
}
