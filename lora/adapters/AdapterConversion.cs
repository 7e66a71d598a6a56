using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.LinearAlgebra;

namespace LoraScratch.Lora.Adapters;

/// <summary>What <see cref="AdapterConversion.Convert"/> did.</summary>
/// <param name="From">The convention of the source.</param> <param name="Layers">How many layers were converted.</param> <param name="Scale">How alpha was read and how it is written, in words.</param>
/// <param name="Warnings">What was odd or left out, one sentence each.</param>
public sealed record ConvertedAdapter(AdapterConvention From, int Layers, string Scale, IReadOnlyList<string> Warnings);

/// <summary>Rewrites an adapter in another convention: names, orientation of A and B, and the number alpha that gives the same factor s there.</summary>
public static class AdapterConversion
{
    /// <summary>Converts an adapter; no model is needed.</summary>
    /// <param name="source">PEFT's folder, or the .safetensors file of a state dict in loralib's or the tutorials' convention, which its names tell.</param>
    /// <param name="target">A folder for PEFT's convention, of which an older one is replaced if it holds nothing but an adapter; a file for the others, of which an older one is replaced whatever it holds.</param> <param name="convention">What is wanted.</param>
    /// <param name="alpha">alpha of a state dict whose metadata does not say it.</param>
    /// <exception cref="InputException">The source is missing, malformed or incomplete, alpha is not known, it adapts an embedding and the convention has no name for that, or the target cannot be written.</exception>
    public static ConvertedAdapter Convert(string source, string target, AdapterConvention convention, double? alpha = null)
    {
        var adapter = PortableReader.Read(source, alpha);
        var warnings = adapter.Warnings.ToList();
        if (convention == AdapterConvention.Peft)
        {
            RequireWholeHead(source, adapter);
            var contents = Peft(adapter);
            AtomicFolder.Write(target, contents.WriteTo, name => name is PeftAdapter.ConfigName or PeftAdapter.WeightsName);
        }
        else
        {
            WriteStateDict(target, adapter, convention);
        }
        return new ConvertedAdapter(adapter.Source, adapter.Layers.Count, Scale(adapter, convention), warnings);
    }

    /// <summary>The adapter in PEFT's format.</summary>
    internal static PeftContents Peft(PortableAdapter adapter)
    {
        var rank = PeftLayers.Commonest(adapter.Layers.Select(layer => layer.Rank));
        var alpha = PeftLayers.Commonest(adapter.Layers.Select(layer => layer.Alpha(AdapterConvention.Peft)));
        var paths = adapter.Layers.Select(layer => layer.Path).ToList();
        var config = adapter.Config with
        {
            Rank = rank,
            Alpha = alpha,
            UseRsLora = false,
            RankPattern = adapter.Layers.Where(layer => layer.Rank != rank).ToDictionary(layer => PeftLayers.PatternFor(layer.Path, paths), layer => layer.Rank),
            AlphaPattern = adapter.Layers.Where(layer => layer.Alpha(AdapterConvention.Peft) != alpha).ToDictionary(layer => PeftLayers.PatternFor(layer.Path, paths), layer => layer.Alpha(AdapterConvention.Peft)),
        };
        var whole = adapter.Whole.Select(entry => TensorToWrite.Floats(
            PeftAdapter.Prefix + (entry.Key.EndsWith(".bias", StringComparison.Ordinal) && paths.Contains(StateDictExtras.ModuleOf(entry.Key)) ? $"{StateDictExtras.ModuleOf(entry.Key)}.base_layer.bias" : entry.Key),
            entry.Value.Shape, entry.Value.Values));
        return new PeftContents(config, [.. Matrices(adapter, AdapterConvention.Peft), .. whole], adapter.Fingerprint);
    }

    private static void WriteStateDict(string target, PortableAdapter adapter, AdapterConvention convention)
    {
        if (adapter.Layers.FirstOrDefault(layer => layer.IsEmbedding) is { } embedding)
        {
            throw new InputException($"{embedding.Path} is an embedding, and no name in {convention.Name()}'s convention would say so. Leave the adapter in PEFT's format, or merge it into its model with 'lora merge'.");
        }
        var alpha = PeftLayers.Commonest(adapter.Layers.Select(layer => layer.Alpha(convention)));
        var metadata = new Dictionary<string, string>(adapter.Fingerprint)
        {
            ["format"] = "pt",
            ["lora_convention"] = convention.Name(),
            [PortableReader.AlphaKey] = Number(alpha),
        };
        foreach (var layer in adapter.Layers.Where(layer => layer.Alpha(convention) != alpha))
        {
            metadata[$"{PortableReader.AlphaKey}.{layer.Path}"] = Number(layer.Alpha(convention));
        }
        if (adapter.Config.Dropout > 0)
        {
            metadata[PortableReader.DropoutKey] = adapter.Config.Dropout.ToString(CultureInfo.InvariantCulture);
        }
        SafeTensorsWriter.Write(target,
            [.. Matrices(adapter, convention), .. adapter.Whole.Select(entry => TensorToWrite.Floats(StateDictExtras.NameOf(entry.Key, convention, adapter), entry.Value.Shape, entry.Value.Values))], metadata);
    }

    private static IEnumerable<TensorToWrite> Matrices(PortableAdapter adapter, AdapterConvention convention)
    {
        foreach (var layer in adapter.Layers)
        {
            var (rank, inFeatures, outFeatures) = (layer.Rank, layer.InFeatures, layer.OutFeatures);
            var (keyA, keyB) = (convention.KeyOfA(layer.Path, layer.IsEmbedding), convention.KeyOfB(layer.Path, layer.IsEmbedding));
            yield return convention.StoresTransposed()
                ? TensorToWrite.Floats(keyA, [rank, inFeatures], RowMajor.Transposed(layer.A, inFeatures, rank))
                : TensorToWrite.Floats(keyA, [inFeatures, rank], layer.A);
            yield return convention.StoresTransposed()
                ? TensorToWrite.Floats(keyB, [outFeatures, rank], RowMajor.Transposed(layer.B, rank, outFeatures))
                : TensorToWrite.Floats(keyB, [rank, outFeatures], layer.B);
        }
    }

    /// <summary>PEFT takes 'classifier' for 'pre_classifier' too, and fails where a tensor of either is not in the file.</summary>
    private static void RequireWholeHead(string source, PortableAdapter adapter)
    {
        var isDistilBert = adapter.Layers.Any(layer => layer.Path.StartsWith("distilbert.", StringComparison.Ordinal));
        if (adapter.Config.TaskType != "SEQ_CLS" || !isDistilBert)
        {
            return;
        }
        var missing = PeftHeads.DistilBert.Where(path => !adapter.Whole.ContainsKey(path)).ToList();
        if (missing.Count > 0)
        {
            throw new InputException($"{source}: has a part of the head only; PEFT needs all of it, and {string.Join(", ", missing)} {(missing.Count == 1 ? "is" : "are")} missing. Save the whole head, or none of it.");
        }
    }

    private static string Scale(PortableAdapter adapter, AdapterConvention to)
    {
        var groups = adapter.Layers.GroupBy(layer => (layer.Rank, layer.Scaling)).ToList();
        var shown = groups.Take(4).Select(group => $"s = {Number((float)group.Key.Scaling)} with r {group.Key.Rank}: {In(to, group.First())}");
        return string.Join("; ", shown) + (groups.Count > 4 ? $"; and {groups.Count - 4} more" : "");
    }

    private static string In(AdapterConvention convention, PortableLayer layer) => convention == AdapterConvention.Tutorial
        ? $"alpha {Number(layer.Alpha(convention))}"
        : $"lora_alpha {Number(layer.Alpha(convention))}, divided by r";

    private static string Number(double value) => value.ToString(CultureInfo.InvariantCulture);
}
