using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Adapters;

/// <summary>Checks an adapter's tensors against its config, without a model.</summary>
/// <param name="file">adapter_model.safetensors</param> <param name="config">adapter_config.json; null where it cannot be read.</param> <param name="add">Takes what is found.</param>
internal sealed class AdapterFileCheck(SafeTensorsFile file, PeftConfig? config, Action<FindingKind, string> add)
{
    private readonly HashSet<string> layers = [];                           // paths of the adapted layers, without prefix
    private readonly HashSet<string> embeddings = [];                       // those of them that are embeddings
    private readonly HashSet<string> whole = [];                            // paths of the other tensors

    public void Run()
    {
        if (file.Tensors.Count == 0)
        {
            Error("there is no tensor in it. Save the adapter again.");
        }
        foreach (var tensor in file.Tensors.Values)
        {
            CheckName(tensor);
            CheckValues(tensor);
        }
        foreach (var layer in layers)
        {
            CheckPair(layer);
        }
        if (config is not null)
        {
            CheckTargets(config);
            CheckHead(config);
            CheckPatterns(config);
        }
    }

    private void Error(string message) => add(FindingKind.Error, $"{PeftAdapter.WeightsName}: {message}");

    private void CheckName(TensorInfo tensor)
    {
        var name = tensor.Name;
        if (AdapterConventions.Read(name) is var (path, convention, _, isEmbedding))
        {
            if (convention != AdapterConvention.Peft)
            {
                Error($"{tensor}: the name is of {convention.Name()}'s convention, and PEFT would load nothing from it. Rewrite the file: lora adapter convert FILE --to peft --alpha ALPHA --out DIR");
            }
            else if (!path.StartsWith(PeftAdapter.Prefix, StringComparison.Ordinal))
            {
                Error($"{tensor}: the names in an adapter begin with '{PeftAdapter.Prefix}', and PEFT would load nothing from this one, without a word. Rename it, or save the adapter with save_pretrained.");
            }
            else
            {
                layers.Add(path[PeftAdapter.Prefix.Length..]);
                if (isEmbedding)
                {
                    embeddings.Add(path[PeftAdapter.Prefix.Length..]);
                }
            }
        }
        else if (PeftReader.KindOf(name) is { } kind)
        {
            Error($"{tensor}: {kind}.");
        }
        else if (!name.StartsWith(PeftAdapter.Prefix, StringComparison.Ordinal))
        {
            Error($"{tensor}: the names in an adapter begin with '{PeftAdapter.Prefix}', and PEFT would load nothing from this one, without a word. Rename it, or save the adapter with save_pretrained.");
        }
        else if (!PeftReader.IsCopyOfSavedModule(name))
        {
            whole.Add(name[PeftAdapter.Prefix.Length..].Replace(".base_layer.", ".", StringComparison.Ordinal));
        }
    }

    private void CheckValues(TensorInfo tensor)
    {
        if (!PeftReader.FloatTypes.Contains(tensor.DType))
        {
            Error($"{tensor}: expected one of {string.Join(", ", PeftReader.FloatTypes)}.");
            return;
        }
        if (tensor.ElementCount > Array.MaxLength)
        {
            Error($"{tensor}: is too large for an adapter.");
            return;
        }
        var values = new float[tensor.ElementCount];
        try
        {
            file.Read(tensor.Name, values);
        }
        catch (InputException trouble)                      // a double beyond the range of a float
        {
            add(FindingKind.Error, trouble.Message);
            return;
        }
        if (Array.FindIndex(values, value => !float.IsFinite(value)) is >= 0 and var wrong)
        {
            Error($"{tensor}: element {wrong} is {values[wrong]}; the training diverged or the file is damaged.");
        }
        else if (AdapterConventions.Read(tensor.Name) is { } matrix && values.Length > 0 && Array.TrueForAll(values, value => value == 0))
        {
            add(FindingKind.Warning, $"{PeftAdapter.WeightsName}: {tensor} is all zero: this layer's update changes nothing. {(matrix.IsA == matrix.IsEmbedding ? "Was the adapter trained?" : $"{(matrix.IsA ? "A" : "B")} starts at random values; was it lost?")}");
        }
    }

    private void CheckPair(string layer)
    {
        var (keyA, keyB) = (PeftAdapter.KeyOfA(layer, embeddings.Contains(layer)), PeftAdapter.KeyOfB(layer, embeddings.Contains(layer)));
        if (!file.Tensors.TryGetValue(keyA, out var a) || !file.Tensors.TryGetValue(keyB, out var b))
        {
            Error($"'{(file.Tensors.ContainsKey(keyA) ? keyA : keyB)}' stands alone: '{(file.Tensors.ContainsKey(keyA) ? keyB : keyA)}' is missing. The file is incomplete; save the adapter again.");
            return;
        }
        var rank = config is null ? (a.Shape is [var rows, _] ? rows : 0) : PeftLayers.RankOf(config, layer);
        if (a.Shape is [var rankOfA, > 0] && b.Shape is [> 0, var rankOfB] && rankOfA == rank && rankOfB == rank)
        {
            return;
        }
        if (a.Shape is [var inOfA, var lastOfA] && b.Shape is [var firstOfB, var outOfB] && lastOfA == rank && firstOfB == rank && (inOfA != rank || outOfB != rank))
        {
            Error($"{a} and {b} are stored the other way round: A as [r, in] and B as [out, r] are expected, with r = {rank}. A file of the tutorials? lora adapter convert rewrites it.");
        }
        else
        {
            Error($"{a} and {b} do not fit r = {rank}{(config is null ? "" : $" of {PeftAdapter.ConfigName} (r {config.Rank}, or rank_pattern)")}: A as [r, in] and B as [out, r] are expected. Mend r or rank_pattern, or save the adapter again.");
        }
    }

    private void CheckTargets(PeftConfig settings)
    {
        List<ModulePattern> targets = [];
        try
        {
            targets = [.. settings.Targets.Select(target => target.Except(settings.Excluded))];
        }
        catch (InputException trouble)
        {
            add(FindingKind.Error, $"{PeftAdapter.ConfigName}: {trouble.Message}");
            return;
        }
        foreach (var layer in layers.Where(layer => !targets.Any(target => target.Matches(layer))))
        {
            Error($"'{layer}' has matrices, but target_modules ({settings.TargetExpression ?? string.Join(", ", settings.TargetNames)}) does not mean it, and they would not be loaded. Add it to target_modules.");
        }
        foreach (var target in targets.Where(target => !layers.Any(target.Matches)))
        {
            add(FindingKind.Error, $"{PeftAdapter.ConfigName}: target_modules has '{target}', but the file has matrices of no such layer; those layers would stay as drawn. Remove it, or save the adapter again.");
        }
    }

    /// <summary>PEFT trains and saves the head for a task by itself, and fails on a file that lacks it.</summary>
    private void CheckHead(PeftConfig settings)
    {
        foreach (var name in (settings.ModulesToSave ?? []).Except(PeftConfig.ImpliedBy(settings.TaskType)).Where(name => !whole.Any(path => StateDictExtras.ModuleOf(path).EndsWith(name, StringComparison.Ordinal))))
        {
            Error($"modules_to_save names '{name}', but the file has no tensor of it. Save the adapter again, or take the name out.");
        }
        if (settings.TaskType != "SEQ_CLS")
        {
            return;
        }
        if (!PeftConfig.ImpliedBy("SEQ_CLS").Any(head => whole.Any(path => StateDictExtras.ModuleOf(path) == head)))
        {
            Error("the head is missing: with task_type SEQ_CLS, PEFT looks for the trained classifier (classifier.weight, classifier.bias) and fails without it; its answers would be random. "
                + "Save the adapter again with its head, or set task_type and modules_to_save to null if it was trained with the base model's own head.");
        }
        else if (layers.Any(layer => layer.StartsWith("distilbert.", StringComparison.Ordinal)))
        {
            foreach (var path in PeftHeads.DistilBert.Where(path => !whole.Contains(path)))
            {
                Error($"a part of the head is missing: '{PeftAdapter.Prefix}{path}'. PEFT takes pre_classifier for a trained module too, for it ends with classifier.");
            }
        }
    }

    private void CheckPatterns(PeftConfig settings)
    {
        foreach (var (what, key) in settings.RankPattern.Keys.Select(key => ("rank_pattern", key)).Concat(settings.AlphaPattern.Keys.Select(key => ("alpha_pattern", key))))
        {
            if (layers.All(layer => ModulePattern.FirstKey([key], layer) is null))
            {
                add(FindingKind.Error, $"{PeftAdapter.ConfigName}: {what} has '{key}', which means none of the layers in the file. Mend or remove it.");
            }
        }
    }
}
