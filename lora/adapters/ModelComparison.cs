using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Adapters;

/// <summary>
/// Compares an adapter's file with the model that it is to be put on, tensor by tensor.
/// </summary>
internal sealed class ModelComparison
{
    private const int MaxListed = 20;

    private readonly AdapterFile file;
    private readonly PeftConfig config;
    private readonly HashSet<string> expected = [];                         // names in the file that the plan calls for
    private readonly List<string> problems = [];
    private readonly List<string> warnings = [];

    /// <param name="file">A folder in PEFT's format.</param>
    /// <param name="config">Its config.</param>
    /// <param name="plan">What the config means on the model.</param>
    public ModelComparison(AdapterFile file, PeftConfig config, LoRAPlan plan)
    {
        (this.file, this.config) = (file, config);
        foreach (var layer in plan.Layers)
        {
            CheckLayer(layer);
        }
        foreach (var (path, parameter) in PeftAdapter.SavedParameters(plan.ModulesToSave))
        {
            Check(file.Whole.GetValueOrDefault(path), PeftAdapter.Prefix + path, parameter.Shape, "the adapter was "
                + "saved without its trained head: save it again with it, or set task_type and modules_to_save to "
                + "null to keep the model's own");
        }
        foreach (var bias in plan.TrainedBiases.Where(bias => config.Bias != LoRABias.None
            || file.Whole.ContainsKey(bias.Path)))
        {
            Check(file.Whole.GetValueOrDefault(bias.Path), PeftAdapter.KeyOfBias(bias, plan), bias.Parameter.Shape,
                $"bias is \"{LoRASettings.Name(config.Bias)}\", but the file lacks this one: save the adapter again, "
                + "or set bias to \"none\" to keep the model's own");
        }
        foreach (var tensor in file.Tensors.Where(tensor => !expected.Contains(tensor.Name)
            && !IsKnownCopy(tensor.Name) && !SavedTables.IsOfModel(file, tensor, plan.Model)))
        {
            problems.Add($"unexpected {tensor}: {WhyUnexpected(tensor.Name)}");
        }
    }

    /// <summary>Everything that keeps the adapter from being loaded.</summary>
    public IReadOnlyList<string> Problems => problems;

    /// <summary>What is odd but allowed, one sentence each.</summary>
    public IReadOnlyList<string> Warnings => warnings;

    /// <summary>Lists the problems, if there are any.</summary>
    /// <exception cref="InputException">
    /// Something is missing, unexpected, mis-shaped or not finite.
    /// </exception>
    public void RequireNoProblem()
    {
        if (problems.Count == 0)
        {
            return;
        }
        List<string> lines =
        [
            $"{file.Path}: the adapter does not fit the model; {problems.Count} "
                + $"problem{(problems.Count == 1 ? "" : "s")}, nothing was loaded:",
            .. problems.Take(MaxListed).Select(problem => $"  {problem}"),
        ];
        if (problems.Count > MaxListed)
        {
            lines.Add($"  … and {problems.Count - MaxListed} more; 'lora adapter check' lists all of them");
        }
        lines.Add(BaseFingerprint.Remedy(config.BaseModel).TrimStart());
        throw new InputException(string.Join('\n', lines).TrimEnd());
    }

    private void CheckLayer(PlannedLayer layer)
    {
        var isEmbedding = layer.Base.IsEmbedding;
        var pair = file.FindPair(layer.Path, isEmbedding);
        var hint = pair.A is null != pair.B is null
            ? "the layer's other matrix is there; the file is incomplete, save the adapter again"
            : $"target_modules means {layer.Path}, but the file has nothing for it; was it saved with other targets?";
        var (keyA, keyB) = (PeftAdapter.KeyOfA(layer.Path, isEmbedding), PeftAdapter.KeyOfB(layer.Path, isEmbedding));
        var rank = layer.Settings.Rank;
        Check(pair.A, keyA, new Shape(rank, layer.UpdateInputs), hint, axisOfRank: 0);
        Check(pair.B, keyB, new Shape(layer.Base.OutFeatures, rank), hint, axisOfRank: 1);
        if (config.HasBiasOfB && !isEmbedding)
        {
            Check(file.BiasesOfB.GetValueOrDefault(layer.Path), $"{PeftAdapter.Prefix}{layer.Path}.lora_B.bias",
                new Shape(layer.Base.OutFeatures), "lora_bias is true, but the file lacks this one: save the adapter "
                    + "again");
            if (layer.Base.Bias is null)
            {
                problems.Add($"'{layer.Path}' has no bias that the one of B (lora_bias) could be added to");
            }
        }
    }

    /// <summary>Notes why a tensor cannot be taken.</summary>
    private void Check(TensorInfo? tensor, string key, Shape shape, string hintIfMissing, int? axisOfRank = null)
    {
        if (tensor is null)
        {
            problems.Add($"missing '{key}' {shape}: {hintIfMissing}");
            return;
        }
        expected.Add(tensor.Name);
        if (!tensor.Shape.SequenceEqual(Array.ConvertAll(shape.Sizes.ToArray(), size => (long)size)))
        {
            problems.Add($"mis-shaped {tensor}: expected {shape}; {WhyMisshaped(tensor, shape, axisOfRank)}");
            return;
        }
        var (fault, oddity) = file.CheckValues(tensor);
        if (fault is not null)
        {
            problems.Add(fault);
        }
        else if (oddity is not null)
        {
            warnings.Add(oddity);
        }
    }

    private string WhyMisshaped(TensorInfo tensor, Shape shape, int? axisOfRank)
    {
        if (axisOfRank is not { } rank || tensor.Shape.Count != 2)
        {
            return "is it the adapter of another model?";
        }
        var width = 1 - rank;
        if (tensor.Shape[rank] == shape[width] && tensor.Shape[width] == shape[rank])
        {
            return "it is the transpose: files hold A as [r, in] and B as [out, r]";
        }
        return tensor.Shape[width] == shape[width]
            ? $"its rank is {tensor.Shape[rank]}, {PeftAdapter.ConfigName} says {shape[rank]}: mend r ({config.Rank}) "
                + "or rank_pattern there"
            : "is it the adapter of another model?";
    }

    /// <summary>
    /// The biases that a saved module had before training, and its trained ones once more.
    /// </summary>
    private bool IsKnownCopy(string name) => config.Bias == LoRABias.All && PeftFolder.IsCopyOfSavedModule(name);

    private string WhyUnexpected(string name)
    {
        if (file.Useless.TryGetValue(name, out var reason))
        {
            return reason;
        }
        if (name.EndsWith("_embeddings.base_layer.weight", StringComparison.Ordinal))
        {
            return "it is the table that the update was trained on, and the model has another one: name the model "
                + "that the adapter was trained on";
        }
        return AdapterConventions.Read(name) is { } matrix
            ? $"target_modules means no layer '{matrix.Path[PeftAdapter.Prefix.Length..]}' of this model"
            : "it is neither of a target module nor of one in modules_to_save";
    }
}
