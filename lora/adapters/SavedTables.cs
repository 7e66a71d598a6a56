using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Adapters;

/// <summary>
/// Whole tables of vectors in an adapter's file: PEFT saves the table of word embeddings along
/// where it was adapted, or where the vocabulary grew. It is the model's own table mostly, and
/// taken as it lies there where it is not.
/// </summary>
internal static class SavedTables
{
    /// <summary>The tables that are others than the model's, and no targets.</summary>
    /// <param name="file">The adapter's file; null: none.</param>
    /// <param name="model">The base model, without LoRA.</param>
    /// <param name="targets">What gets an update: its table is the base's.</param>
    public static IEnumerable<ModuleToSave> Changed(AdapterFile? file, Module model,
        IReadOnlyList<ModulePattern> targets) =>
        from entry in model.NamedModules<Embedding>()
        let tensor = file?.Whole.GetValueOrDefault($"{entry.Path}.weight")
        where tensor is not null && !IsOf(file!, tensor, entry.Module)
            && !targets.Any(target => !target.MeansLinearLayers && target.Matches(entry.Path))
        select new ModuleToSave(entry.Path, entry.Module);

    /// <summary>Whether a tensor of the file is a table that the model has just so.</summary>
    public static bool IsOfModel(AdapterFile file, TensorInfo tensor, Module model) =>
        model.NamedModules<Embedding>().Any(entry =>
            file.Whole.GetValueOrDefault($"{entry.Path}.weight") == tensor && IsOf(file, tensor, entry.Module));

    private static bool IsOf(AdapterFile file, TensorInfo tensor, Embedding table) =>
        tensor.Shape.SequenceEqual([table.InFeatures, table.OutFeatures])
        && file.CheckValues(tensor).Fault is null
        && file.Read(tensor).AsSpan().SequenceEqual(table.Weight.ToArray());
}
