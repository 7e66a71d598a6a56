using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Adapters;

/// <summary>Reads the tensors of an adapter that a plan calls for, and lists everything that does not fit at once.</summary>
internal sealed class PeftReader(SafeTensorsFile file, AttachPlan plan, PeftConfig config)
{
    private const int MostListed = 20;
    internal static readonly DType[] FloatTypes = [DType.F32, DType.F16, DType.BF16, DType.F64];

    // With bias "all", PEFT writes every parameter whose name has "bias" in it, also those of the wrappers around saved modules.
    private static readonly string[] CopiesOfSavedModules = [".original_module.", ".modules_to_save."];

    private readonly HashSet<string> aliases = [];                          // names in the file that were taken under another key
    private readonly Dictionary<string, float[]> values = [];
    private readonly List<string> problems = [];

    /// <summary>Everything that does not fit, after <see cref="Compare"/>.</summary>
    public IReadOnlyList<string> Problems => problems;

    /// <summary>Every tensor that the plan calls for, by its key, as it lies in the file.</summary>
    /// <param name="warnings">Takes what is odd but allowed.</param>
    /// <exception cref="InputException">Something is missing, unexpected, mis-shaped or not finite.</exception>
    public Dictionary<string, float[]> Read(List<string> warnings)
    {
        Compare(warnings);
        if (problems.Count > 0)
        {
            var listed = problems.Take(MostListed).Concat(problems.Count > MostListed ? [$"… and {problems.Count - MostListed} more; 'lora adapter check' lists all of them"] : []);
            throw new InputException($"{file.Path}: the adapter does not fit the model; {problems.Count} problem{(problems.Count == 1 ? "" : "s")}, nothing was loaded:\n  {string.Join("\n  ", listed)}\n{BaseFingerprint.Remedy(config.BaseModel).TrimStart()}".TrimEnd());
        }
        return values;
    }

    /// <summary>Whether it is one of the copies that PEFT's wrapper around a saved module makes.</summary>
    internal static bool IsCopyOfSavedModule(string name) => CopiesOfSavedModules.Any(name.Contains);

    /// <summary>Compares the file with the plan and reads what fits.</summary>
    /// <param name="warnings">Takes what is odd but allowed.</param>
    public void Compare(List<string> warnings)
    {
        foreach (var layer in plan.Layers)
        {
            ReadLayer(layer, warnings);
        }
        foreach (var (path, parameter) in PeftAdapter.SavedParameters(plan.Kept))
        {
            Take(PeftAdapter.Prefix + path, parameter.Shape, "the adapter was saved without its trained head: save it again with it, or set task_type and modules_to_save to null to keep the model's own");
        }
        foreach (var bias in plan.KeptBiases)
        {
            TakeBias(bias);
        }
        foreach (var tensor in file.Tensors.Values.Where(tensor => !values.ContainsKey(tensor.Name) && !aliases.Contains(tensor.Name)))
        {
            if (config.Bias == LoRABias.All && IsCopyOfSavedModule(tensor.Name))
            {
                continue;                                                   // the biases that a saved module had before training, and its trained ones once more
            }
            problems.Add($"unexpected {tensor}: {WhyUnexpected(tensor.Name)}");
        }
    }

    private void ReadLayer(PlannedLayer layer, List<string> warnings)
    {
        var (isEmbedding, rank) = (layer.Base.IsEmbedding, layer.Settings.Rank);
        var (keyA, keyB) = (PeftAdapter.KeyOfA(layer.Path, isEmbedding), PeftAdapter.KeyOfB(layer.Path, isEmbedding));
        var (hasA, hasB) = (file.Tensors.ContainsKey(keyA), file.Tensors.ContainsKey(keyB));
        var hint = hasA != hasB
            ? $"the layer's other matrix is there; the file is incomplete, save the adapter again"
            : $"target_modules means {layer.Path}, but the file has nothing for it; was it saved with other targets?";
        Take(keyA, new Shape(rank, layer.UpdateInputs), hint);
        Take(keyB, new Shape(layer.Base.OutFeatures, rank), hint);
        var key = isEmbedding ? keyA : keyB;                            // the one that begins as zero
        if (values.TryGetValue(key, out var zeroFirst) && zeroFirst.Length > 0 && zeroFirst.All(value => value == 0))
        {
            warnings.Add($"{file.Path}: {key} is all zero: this layer's update changes nothing. Was the adapter trained?");
        }
    }

    /// <summary>A trained bias, which older versions of PEFT write without base_layer.</summary>
    private void TakeBias(KeptBias bias)
    {
        var (key, plain) = (PeftAdapter.KeyOfBias(bias, plan), PeftAdapter.Prefix + bias.Path);
        if (key != plain && !file.Tensors.ContainsKey(key) && file.Tensors.ContainsKey(plain))
        {
            aliases.Add(plain);
            Take(key, bias.Parameter.Shape, "", plain);
            return;
        }
        Take(key, bias.Parameter.Shape, $"bias is \"{LoRASettings.Name(config.Bias)}\", but the file lacks this one: save the adapter again, or set bias to \"none\" to keep the model's own");
    }

    /// <summary>Reads a tensor, or notes why it cannot be taken.</summary>
    private void Take(string key, Shape shape, string hintIfMissing, string? nameInFile = null)
    {
        if (!file.Tensors.TryGetValue(nameInFile ?? key, out var tensor))
        {
            problems.Add($"missing '{key}' {shape}: {hintIfMissing}");
            return;
        }
        values[key] = [];                                                   // there, even if unfit: not unexpected
        if (!tensor.Shape.SequenceEqual(Array.ConvertAll(shape.Sizes.ToArray(), size => (long)size)))
        {
            problems.Add($"mis-shaped {tensor}: expected {shape}{RankHint(tensor, shape)}");
            return;
        }
        if (!FloatTypes.Contains(tensor.DType))
        {
            problems.Add($"mistyped {tensor}: expected one of {string.Join(", ", FloatTypes)}");
            return;
        }
        var read = new float[shape.Count];
        try
        {
            file.Read(tensor.Name, read);
        }
        catch (InputException trouble)                                      // a double beyond the range of a float
        {
            problems.Add(trouble.Message);
            return;
        }
        values[key] = read;
        if (Array.FindIndex(read, value => !float.IsFinite(value)) is >= 0 and var wrong)
        {
            problems.Add($"damaged {tensor}: element {wrong} is {read[wrong]}; the training diverged or the file is damaged");
        }
    }

    private string RankHint(TensorInfo tensor, Shape shape)
    {
        if (tensor.Shape.Count != 2 || !tensor.Name.Contains(".lora_"))
        {
            return "; is it the adapter of another model?";
        }
        var (rankAt, widthAt) = tensor.Name.Contains(".lora_A.") ? (0, 1) : (1, 0);
        if (tensor.Shape[rankAt] == shape[widthAt] && tensor.Shape[widthAt] == shape[rankAt])
        {
            return "; it is the transpose: files hold A as [r, in] and B as [out, r]";
        }
        return tensor.Shape[widthAt] == shape[widthAt]
            ? $"; its rank is {tensor.Shape[rankAt]}, {PeftAdapter.ConfigName} says {shape[rankAt]}: mend r ({config.Rank}) or rank_pattern there"
            : "; is it the adapter of another model?";
    }

    /// <summary>What a tensor is that this program has no use for, by its name alone; null where the name does not say.</summary>
    internal static string? KindOf(string name)
    {
        if (name.Contains(".lora_magnitude_vector"))
        {
            return "it belongs to DoRA, which is not supported";
        }
        if (name.EndsWith(".lora_B.bias", StringComparison.Ordinal))
        {
            return "it is a bias beside B (lora_bias), which is not supported";
        }
        return name.Split('.') is [.., "lora_A" or "lora_B", not "weight", "weight"] ? "an adapter's own name stands in it; saved files leave it out (….lora_A.weight)" : null;
    }

    private string WhyUnexpected(string name)
    {
        if (KindOf(name) is { } kind)
        {
            return kind;
        }
        if (AdapterConventions.Read(name) is { Convention: not AdapterConvention.Peft and var convention })
        {
            return $"the name is of {convention.Name()}'s convention, and PEFT would load nothing from it; rewrite the "
                + "file in PEFT's with 'lora adapter convert'";
        }
        if (!name.StartsWith(PeftAdapter.Prefix, StringComparison.Ordinal))
        {
            return $"the names in an adapter begin with '{PeftAdapter.Prefix}'; rename it or save the adapter with PEFT's save_pretrained";
        }
        var path = name[PeftAdapter.Prefix.Length..];
        var at = path.IndexOf(".lora_", StringComparison.Ordinal);
        return at >= 0
            ? $"target_modules means no layer '{path[..at]}' of this model"
            : "it is neither of a target module nor of one in modules_to_save";
    }
}
