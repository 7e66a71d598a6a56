using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Engine.NN;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Lora.Export;

/// <summary>
/// A model as transformers knows it, whatever form its weights have here: every layer is one float
/// matrix under its checkpoint's name.
/// </summary>
internal static class FloatFolder
{
    /// <summary>Writes all files of a model into a folder that exists.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="model">Without an adapter, or with one that is merged.</param>
    /// <param name="tokenizer">Its files go along.</param>
    /// <param name="withHead">
    /// False: the encoder alone, with the names that transformers' class without a head writes.
    /// </param>
    /// <exception cref="InputException">
    /// The vocabulary does not fit, or a file cannot be written.
    /// </exception>
    public static void WriteInto(string folder, EncoderForSequenceClassification model, Tokenizer tokenizer,
        bool withHead)
    {
        WriteAround(folder, model.Config, tokenizer, withHead);
        var head = withHead ? [] : model.HeadPaths;
        var trunk = $"{model.Config.Family.Trunk}.";
        SafeTensorsWriter.Write(Path.Combine(folder, Checkpoint.FileName), Tensors(model)
            .Where(entry => !head.Contains(entry.Name) && (withHead
                || entry.Name.StartsWith(trunk, StringComparison.Ordinal)))
            .Select(entry => entry.ToWrite(withHead ? entry.Name : entry.Name[trunk.Length..])),
            new Dictionary<string, string> { ["format"] = "pt" });
    }

    /// <summary>
    /// Writes what stands beside the weights: config.json and the tokenizer's files.
    /// </summary>
    /// <exception cref="InputException">
    /// The vocabulary does not fit, or a file cannot be written.
    /// </exception>
    public static void WriteAround(string folder, EncoderConfig config, Tokenizer tokenizer, bool withHead)
    {
        ModelFolder.RequireFit(folder, config, tokenizer);
        config = config with
        {
            LowRank = new EncoderConfig().LowRank,
            Quantized = new EncoderConfig().Quantized,
            DynamicInt8 = [],
        };
        AtomicFile.WriteText(Path.Combine(folder, Data.RunFiles.ConfigName), config.ToJson(withHead
            ? config.Family.ClassifierArchitecture : config.Family.EncoderArchitecture));
        tokenizer.SaveInto(folder, Math.Min(tokenizer.MaxLength, config.MaxPositions),
            config.Family.Architecture + "Tokenizer");
    }

    /// <summary>
    /// Every tensor of the checkpoint; what a layer is made of here is passed over.
    /// </summary>
    private static IEnumerable<FloatTensor> Tensors(EncoderForSequenceClassification model)
    {
        var inner = "";
        foreach (var (path, module) in model.NamedModules())
        {
            if (inner.Length > 0 && path.StartsWith(inner, StringComparison.Ordinal))
            {
                continue;
            }
            var layer = module is LayerWithLoRA adapted ? adapted.Base : module;
            inner = layer is LowRankLinear || layer != module ? $"{path}." : "";
            var tensors = layer switch
            {
                LowRankLinear lowRank => Of(path, lowRank),
                WeightLayer { Weight: not Parameter } packed => Of(path, packed),
                _ => layer.OwnParameters.Select(parameter => Of(path, parameter)),
            };
            foreach (var tensor in tensors)
            {
                yield return tensor;
            }
        }
    }

    private static IEnumerable<FloatTensor> Of(string path, LowRankLinear layer)
    {
        var factors = layer.Children.ToDictionary(child => child.Name, child => (WeightLayer)
            (child.Current is LayerWithLoRA adapted ? adapted.Base : child.Current));
        var (down, up) = (factors["down"], factors["up"]);
        return [new($"{path}.weight", [up.OutFeatures, down.InFeatures], () => Product(up, down)),
            .. up.Bias is null ? [] : new[] { Of(path, up.Bias) }];
    }

    private static IEnumerable<FloatTensor> Of(string path, WeightLayer layer) =>
        [new($"{path}.weight", [layer.OutFeatures, layer.InFeatures], () => Values(layer)),
            .. layer.Bias is null ? [] : new[] { Of(path, layer.Bias) }];

    private static FloatTensor Of(string path, Parameter parameter) => new($"{path}.{parameter.Name}",
        [.. parameter.Shape.Sizes.ToArray().Select(size => (long)size)], parameter.ToArray);

    /// <summary>U·D [out, in], added up in double.</summary>
    private static float[] Product(WeightLayer up, WeightLayer down) =>
        (DenseMatrix.From(Values(up), up.OutFeatures, up.InFeatures)
            * DenseMatrix.From(Values(down), down.OutFeatures, down.InFeatures)).ToFloats();

    private static float[] Values(WeightLayer layer) => layer switch
    {
        QuantizedLinear quantized => quantized.Weight.Dequantize(),
        DynamicInt8Linear whole => whole.Weight.Dequantize(),
        _ => ((Parameter)layer.Weight).ToArray(),
    };

    /// <summary>A tensor of the checkpoint.</summary>
    /// <param name="Name">As the checkpoint of a classifier has it.</param>
    /// <param name="Shape">Its dimensions.</param>
    /// <param name="Values">Gives them, row-major.</param>
    private sealed record FloatTensor(string Name, long[] Shape, Func<float[]> Values)
    {
        /// <summary>Under a name of the file; its values are there while it is written.</summary>
        public TensorToWrite ToWrite(string name)
        {
            float[]? values = null;
            return TensorToWrite.Floats(name, Shape, (first, destination) =>
            {
                values ??= Values();
                values.AsSpan((int)first, destination.Length).CopyTo(destination);
                if (first + destination.Length == values.Length)
                {
                    values = null;
                }
            });
        }
    }
}
