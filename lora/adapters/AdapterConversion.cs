using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.LinearAlgebra;

namespace LoraScratch.Lora.Adapters;

/// <summary>What <see cref="AdapterConversion.Convert"/> did.</summary>
/// <param name="From">The convention of the source.</param>
/// <param name="Layers">How many layers were converted.</param>
/// <param name="Scale">How alpha was read and how it is written, in words.</param>
/// <param name="Warnings">What was odd or left out, one sentence each.</param>
internal sealed record ConvertedAdapter(AdapterConvention From, int Layers, string Scale,
    IReadOnlyList<string> Warnings);

/// <summary>
/// Rewrites an adapter in another convention: names, orientation of A and B, and the number alpha
/// that gives the same factor s there.
/// </summary>
internal static class AdapterConversion
{
    /// <summary>Converts an adapter; no model is needed.</summary>
    /// <param name="source">
    /// PEFT's folder, or the .safetensors file of a state dict in loralib's or the tutorials'
    /// convention, which its names tell.
    /// </param>
    /// <param name="target">A folder for PEFT's convention; a file for the others.</param>
    /// <param name="convention">What is wanted.</param>
    /// <param name="alpha">alpha of a state dict whose metadata does not say it.</param>
    /// <param name="overwrite">
    /// Replaces an older file, or a folder that holds a result and nothing else.
    /// </param>
    /// <exception cref="InputException">
    /// The source is missing, malformed or incomplete, alpha is not known, it adapts an embedding
    /// and the convention has no name for that, or the target cannot be written.
    /// </exception>
    public static ConvertedAdapter Convert(
        string source, string target, AdapterConvention convention, double? alpha = null, bool overwrite = false)
    {
        using var own = OutputLock.TakeUnlessHeld(target);
        var adapter = PortableAdapter.Read(source, alpha);
        if (convention == AdapterConvention.Peft)
        {
            RequireWholeHead(source, adapter);
            var contents = Peft(adapter);
            PeftAdapter.Write(target, contents.WriteTo, overwrite);
        }
        else
        {
            AtomicFile.Check(target, overwrite);
            WriteStateDict(target, adapter, convention);
        }
        return new ConvertedAdapter(adapter.Source, adapter.Layers.Count, Scale(adapter, convention), adapter.Warnings);
    }

    /// <summary>The adapter in PEFT's format.</summary>
    internal static PeftContents Peft(PortableAdapter adapter)
    {
        const AdapterConvention peft = AdapterConvention.Peft;
        var layers = adapter.Layers.Select(layer => (layer.Path, layer.Rank, layer.Alpha(peft)));
        var config = (adapter.Config with { UseRsLora = false }).With([.. layers]);
        var whole = adapter.Whole.Select(entry => TensorToWrite.Floats(
            PeftAdapter.Prefix + NameInPeft(entry.Key, adapter), entry.Value.Shape, entry.Value.Values));
        return new PeftContents(config, [.. Matrices(adapter, peft), .. whole], adapter.Fingerprint);
    }

    /// <summary>PEFT moves an adapted layer's own bias under base_layer.</summary>
    private static string NameInPeft(string path, PortableAdapter adapter)
    {
        var module = StateDict.ModuleOf(path);
        return path.EndsWith(".bias", StringComparison.Ordinal) && adapter.Layers.Any(layer => layer.Path == module)
            ? $"{module}.base_layer.bias"
            : path;
    }

    private static void WriteStateDict(string target, PortableAdapter adapter, AdapterConvention convention)
    {
        if (adapter.Layers.FirstOrDefault(layer => layer.IsEmbedding) is { } embedding)
        {
            throw new InputException($"{embedding.Path} is an embedding, and no name in {convention.Name()}'s "
                + "convention would say so. Leave the adapter in PEFT's format, or merge it into its model with "
                + "'lora merge'.");
        }
        var alphas = adapter.Layers.ToDictionary(layer => layer.Path, layer => layer.Alpha(convention));
        var alpha = alphas.Values.GroupBy(value => value).MaxBy(group => group.Count())!.Key;
        var metadata = new Dictionary<string, string>(adapter.Fingerprint)
        {
            ["format"] = "pt",
            ["lora_convention"] = convention.Name(),
            [StateDict.AlphaKey] = Number(alpha),
        };
        foreach (var (path, own) in alphas.Where(entry => entry.Value != alpha))
        {
            metadata[$"{StateDict.AlphaKey}.{path}"] = Number(own);
        }
        if (adapter.Config.Dropout > 0)
        {
            metadata[StateDict.DropoutKey] = adapter.Config.Dropout.ToString(CultureInfo.InvariantCulture);
        }
        var whole = adapter.Whole.Select(entry => TensorToWrite.Floats(
            StateDict.NameOf(entry.Key, convention, adapter), entry.Value.Shape, entry.Value.Values));
        SafeTensorsWriter.Write(target, [.. Matrices(adapter, convention), .. whole], metadata);
    }

    private static IEnumerable<TensorToWrite> Matrices(PortableAdapter adapter, AdapterConvention convention)
    {
        foreach (var layer in adapter.Layers)
        {
            var (rank, inFeatures, outFeatures) = (layer.Rank, layer.InFeatures, layer.OutFeatures);
            var keyA = convention.KeyOfA(layer.Path, layer.IsEmbedding);
            var keyB = convention.KeyOfB(layer.Path, layer.IsEmbedding);
            yield return convention.StoresTransposed()
                ? TensorToWrite.Floats(keyA, [rank, inFeatures], RowMajor.Transposed(layer.A, inFeatures, rank))
                : TensorToWrite.Floats(keyA, [inFeatures, rank], layer.A);
            yield return convention.StoresTransposed()
                ? TensorToWrite.Floats(keyB, [outFeatures, rank], RowMajor.Transposed(layer.B, rank, outFeatures))
                : TensorToWrite.Floats(keyB, [rank, outFeatures], layer.B);
        }
    }

    /// <summary>
    /// PEFT takes 'classifier' for 'pre_classifier' too, and fails where a tensor of either is not
    /// in the file.
    /// </summary>
    private static void RequireWholeHead(string source, PortableAdapter adapter)
    {
        var missing = adapter.Config.TaskType == PeftHeads.Classification
            ? PeftHeads.MissingOf(adapter.Layers.Select(layer => layer.Path), adapter.Whole.Keys)
            : [];
        if (missing.Count > 0)
        {
            throw new InputException($"{source}: has a part of the head only; PEFT needs all of it, and "
                + $"{string.Join(", ", missing)} {(missing.Count == 1 ? "is" : "are")} missing. Save the whole head, "
                + "or none of it.");
        }
    }

    private static string Scale(PortableAdapter adapter, AdapterConvention to)
    {
        var groups = adapter.Layers.GroupBy(layer => (layer.Rank, layer.Scaling)).ToList();
        var shown = groups.Take(4).Select(group =>
            $"s = {Number((float)group.Key.Scaling)} with r {group.Key.Rank}: {In(to, group.First())}");
        return string.Join("; ", shown) + (groups.Count > 4 ? $"; and {groups.Count - 4} more" : "");
    }

    private static string In(AdapterConvention convention, PortableLayer layer) =>
        convention == AdapterConvention.Tutorial
        ? $"alpha {Number(layer.Alpha(convention))}"
        : $"lora_alpha {Number(layer.Alpha(convention))}, divided by r";

    private static string Number(double value) => value.ToString(CultureInfo.InvariantCulture);
}
