using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.LinearAlgebra;

namespace LoraScratch.Lora.Adapters;

/// <summary>Reads an adapter of any convention without a model.</summary>
internal static class PortableReader
{
    /// <summary>Metadata of our files in loralib's and the tutorials' convention: the one number that their tensors do not say; with .PATH behind it where a layer has another.</summary>
    public const string AlphaKey = "lora_alpha";

    /// <summary>The dropout that the adapter was trained with.</summary>
    public const string DropoutKey = "lora_dropout";

    /// <param name="path">PEFT's folder, or the .safetensors file of a state dict.</param> <param name="alpha">alpha of a state dict; null: what its metadata says.</param>
    /// <exception cref="InputException">A file is missing or malformed, alpha is not known, or the adapter is incomplete.</exception>
    public static PortableAdapter Read(string path, double? alpha) => Directory.Exists(path) ? ReadPeft(path, alpha) : ReadStateDict(path, alpha);

    private static PortableAdapter ReadPeft(string folder, double? alpha)
    {
        if (alpha is not null)
        {
            throw new InputException($"alpha is {alpha.Value.ToString(CultureInfo.InvariantCulture)}, but {folder} says its own lora_alpha in {PeftAdapter.ConfigName}. Leave alpha out.");
        }
        var errors = AdapterCheck.Run(folder).Where(finding => finding.Kind == FindingKind.Error).Select(finding => finding.Message).ToList();
        if (errors.Count > 0)
        {
            throw new InputException($"{folder}: the adapter has {errors.Count} {(errors.Count == 1 ? "fault" : "faults")}; mend {(errors.Count == 1 ? "it" : "them")} first:\n  {string.Join("\n  ", errors)}");
        }
        var config = PeftConfig.Read(Path.Combine(folder, PeftAdapter.ConfigName));
        if (config.PooledInputs is { } groupSize)
        {
            throw new InputException($"{folder}: it is an adapter of quantised layers (use_qalora), whose A sees the input pooled over groups of {groupSize}; only PEFT's format knows such adapters, so that it can be neither converted nor truncated. Merge it into its model with 'lora merge', or train it with a smaller --rank.");
        }
        using var file = PeftAdapter.OpenWeights(folder);
        var rule = config.UseRsLora ? LoRAScaling.AlphaOverSqrtRank : LoRAScaling.AlphaOverRank;
        var layers = Layers(file, AdapterConvention.Peft, (layer, rank) => LoRASettings.Factor(rule, PeftLayers.AlphaOf(config, layer), rank));
        var whole = file.Tensors.Values.Where(tensor => AdapterConventions.Read(tensor.Name) is null && !PeftReader.IsCopyOfSavedModule(tensor.Name))
            .ToDictionary(tensor => tensor.Name[PeftAdapter.Prefix.Length..].Replace(".base_layer.bias", ".bias", StringComparison.Ordinal), tensor => Floats(file, tensor));
        return new PortableAdapter { Source = AdapterConvention.Peft, Layers = layers, Whole = whole, Config = config, Fingerprint = [.. BaseFingerprint.In(file.Metadata)], Warnings = config.Warnings };
    }

    private static PortableAdapter ReadStateDict(string path, double? alpha)
    {
        using var file = SafeTensorsFile.Open(path);
        var conventions = file.Tensors.Keys.Where(name => AdapterConventions.Read(name) is not null).GroupBy(name => AdapterConventions.Read(name)!.Value.Convention).ToList();
        if (conventions is not [{ Key: AdapterConvention.LoraLib or AdapterConvention.Tutorial } only])
        {
            throw new InputException(conventions.Count == 0
                ? $"{path}: no tensor is named as a low-rank matrix: PATH.lora_A and PATH.lora_B (loralib) or PATH.lora.A and PATH.lora.B (the tutorials) were expected."
                : conventions.Count > 1
                    ? $"{path}: the names are of several conventions ({string.Join(", ", conventions.Select(group => $"{group.First()}: {group.Key.Name()}"))}); one was expected."
                    : $"{path}: the names are PEFT's. Name the folder with {PeftAdapter.ConfigName}, which says the scale, and not the file in it.");
        }
        var convention = only.Key;
        var known = StateDictNumbers.Alphas(file, convention, alpha);
        var layers = Layers(file, convention, (layer, rank) => LoRASettings.Factor(convention == AdapterConvention.Tutorial ? LoRAScaling.Alpha : LoRAScaling.AlphaOverRank, known(layer), rank));
        return StateDictExtras.Complete(file, new PortableAdapter
        {
            Source = convention,
            Layers = layers,
            Whole = new Dictionary<string, PortableTensor>(),
            Config = new PeftConfig { TargetNames = [.. layers.Select(layer => layer.Path)], Dropout = StateDictNumbers.Dropout(file) },
            Fingerprint = [.. BaseFingerprint.In(file.Metadata)],
        });
    }

    /// <summary>Every pair of A and B.</summary>
    /// <param name="file">The tensors.</param> <param name="convention">How they are named and stored.</param> <param name="scaling">s of a layer and its rank.</param>
    private static List<PortableLayer> Layers(SafeTensorsFile file, AdapterConvention convention, Func<string, int, double> scaling)
    {
        var layers = new List<PortableLayer>();
        var prefix = convention.Prefix();
        foreach (var (path, isEmbedding) in file.Tensors.Keys.Select(AdapterConventions.Read).OfType<LowRankName>().Select(name => (name.Path[prefix.Length..], name.IsEmbedding)).Distinct())
        {
            var (keyA, keyB) = (convention.KeyOfA(path, isEmbedding), convention.KeyOfB(path, isEmbedding));
            if (!file.Tensors.TryGetValue(keyA, out var a) || !file.Tensors.TryGetValue(keyB, out var b))
            {
                var (there, missing) = file.Tensors.ContainsKey(keyA) ? (keyA, keyB) : (keyB, keyA);
                throw new InputException(
                    $"{file.Path}: '{there}' stands alone: '{missing}' is missing. The file is incomplete; save the adapter again.");
            }
            var isTransposed = convention.StoresTransposed();
            if (a.Shape is not [var a0, var a1] || b.Shape is not [var b0, var b1] || (isTransposed ? a0 != b1 : a1 != b0) || a.ElementCount == 0 || b.ElementCount == 0)
            {
                throw new InputException($"{file.Path}: {a} and {b} are no pair; {(isTransposed ? "[r, in] and [out, r]" : "[in, r] and [r, out]")} with the same r are expected in {convention.Name()}'s convention.");
            }
            var (rank, inFeatures, outFeatures) = isTransposed ? ((int)a0, (int)a1, (int)b0) : ((int)a1, (int)a0, (int)b1);
            var (valuesA, valuesB) = (Floats(file, a).Values, Floats(file, b).Values);
            layers.Add(new PortableLayer(path, rank, inFeatures, outFeatures,
                isTransposed ? RowMajor.Transposed(valuesA, rank, inFeatures) : valuesA, isTransposed ? RowMajor.Transposed(valuesB, outFeatures, rank) : valuesB, scaling(path, rank), isEmbedding));
        }
        return layers;
    }

    /// <exception cref="InputException">It is too large, of no float type, or not finite.</exception>
    public static PortableTensor Floats(SafeTensorsFile file, TensorInfo tensor)
    {
        if (tensor.ElementCount > Array.MaxLength)
        {
            throw new InputException($"{file.Path}: {tensor} is too large for an adapter. Is it the right file?");
        }
        var values = new float[tensor.ElementCount];
        file.Read(tensor.Name, values);
        return Array.FindIndex(values, value => !float.IsFinite(value)) is >= 0 and var wrong
            ? throw new InputException($"{file.Path}: {tensor}: element {wrong} is {values[wrong]}; the training diverged or the file is damaged.")
            : new PortableTensor([.. tensor.Shape], values);
    }
}
