using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Adapters;

/// <summary>The numbers of a state dict that its tensors do not say.</summary>
internal static class StateDictNumbers
{
    /// <summary>How each layer's alpha is found.</summary>
    /// <param name="file">The state dict.</param> <param name="convention">Whose.</param> <param name="given">As typed; null: what the metadata says.</param>
    /// <returns>Layer → alpha.</returns>
    /// <exception cref="InputException">It is not known, is not above 0, or the file says another one than the user.</exception>
    public static Func<string, double> Alphas(SafeTensorsFile file, AdapterConvention convention, double? given)
    {
        var stored = Number(file, PortableReader.AlphaKey);
        if (given is { } wanted && stored is { } other && wanted != other)
        {
            throw new InputException(string.Create(CultureInfo.InvariantCulture, $"alpha is {wanted}, but the metadata of {file.Path} says {PortableReader.AlphaKey} = {other}. Leave alpha out."));
        }
        var alpha = given ?? stored ?? throw new InputException(
            $"{file.Path}: does not say its alpha: the tensors of {convention.Name()}'s convention hold A and B only. Give the number that the program had as alpha (s = {(convention == AdapterConvention.Tutorial ? "alpha" : "alpha/r")}).");
        Require(alpha > 0 && double.IsFinite(alpha), file, "alpha", alpha, "a number above 0");
        return path =>
        {
            var key = $"{PortableReader.AlphaKey}.{path}";
            var own = Number(file, key) ?? alpha;
            Require(own > 0, file, $"{key} in the metadata", own, "a number above 0");
            return own;
        };
    }

    /// <summary>The dropout of the training; 0 where the metadata does not say it.</summary>
    /// <exception cref="InputException">It is no probability below 1.</exception>
    public static float Dropout(SafeTensorsFile file)
    {
        var dropout = Number(file, PortableReader.DropoutKey) ?? 0;
        Require((float)dropout is >= 0 and < 1, file, $"{PortableReader.DropoutKey} in the metadata", dropout, "a probability in [0, 1)");
        return (float)dropout;
    }

    /// <summary>A number in the metadata, or null.</summary>
    /// <exception cref="InputException">It is no number.</exception>
    private static double? Number(SafeTensorsFile file, string key) => !file.Metadata.TryGetValue(key, out var text) ? null
        : double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) ? number
        : throw new InputException($"{file.Path}: {key} in the metadata is '{text}'; a number was expected.");

    private static void Require(bool holds, SafeTensorsFile file, string what, double found, string expected)
    {
        if (!holds)
        {
            throw new InputException(string.Create(CultureInfo.InvariantCulture, $"{file.Path}: {what} is {found}; {expected} was expected."));
        }
    }
}

/// <summary>What a state dict holds besides A and B: a trained head, trained biases, or the whole base model.</summary>
internal static class StateDictExtras
{
    private const string WrappedLinear = ".linear.";                        // the tutorials' LinearWithLoRA holds the adapted layer under this name

    /// <summary>Adds heads and biases, and says what was left out.</summary>
    public static PortableAdapter Complete(SafeTensorsFile file, PortableAdapter adapter)
    {
        var adapted = adapter.Layers.Select(layer => layer.Path).ToHashSet();
        var others = file.Tensors.Values.Where(tensor => AdapterConventions.Read(tensor.Name) is null).ToDictionary(tensor => PathInModel(tensor.Name, adapter.Source, adapted));
        // The weight of an adapted layer never belongs to an adapter: then it is a whole model's state, whose encoder is the base's. The head is what stands beside the encoder.
        var isWholeModel = adapted.Any(path => others.ContainsKey($"{path}.weight"));
        var trunks = adapted.Where(path => path.Contains('.')).Select(FirstPart).ToHashSet();
        var left = isWholeModel ? others.Where(entry => trunks.Contains(FirstPart(entry.Key)) || adapted.Contains(ModuleOf(entry.Key))).Select(entry => entry.Key).ToHashSet() : [];
        var whole = others.Where(entry => !left.Contains(entry.Key)).ToDictionary(entry => entry.Key, entry => PortableReader.Floats(file, entry.Value));
        var warnings = new List<string>();
        if (left.Count > 0)
        {
            warnings.Add($"{file.Path}: is the state of a whole model; its {left.Count} base tensors, such as '{left.First()}', were left out.");
        }
        var modules = whole.Keys.Where(path => path.EndsWith(".weight", StringComparison.Ordinal)).Select(ModuleOf).ToList();
        var biases = whole.Keys.Where(path => path.EndsWith(".bias", StringComparison.Ordinal)).Select(ModuleOf).Except(modules).ToList();
        var isClassifier = modules.Any(path => PeftConfig.ImpliedBy("SEQ_CLS").Contains(path));
        return adapter with
        {
            Whole = whole,
            Warnings = warnings,
            Config = adapter.Config with
            {
                Bias = biases.Count == 0 ? LoRABias.None : biases.All(adapted.Contains) ? LoRABias.LoRAOnly : LoRABias.All,
                ModulesToSave = modules.Count > 0 ? modules : null,
                TaskType = isClassifier ? "SEQ_CLS" : null,
            },
        };
    }

    private static string PathInModel(string name, AdapterConvention convention, HashSet<string> adapted)
    {
        var at = convention == AdapterConvention.Tutorial ? name.LastIndexOf(WrappedLinear, StringComparison.Ordinal) : -1;
        return at >= 0 && adapted.Contains(name[..at]) ? $"{name[..at]}.{name[(at + WrappedLinear.Length)..]}" : name;
    }

    /// <summary>The name that a state dict has for a tensor that is stored whole.</summary>
    public static string NameOf(string path, AdapterConvention convention, PortableAdapter adapter) =>
        convention == AdapterConvention.Tutorial && adapter.Layers.Any(layer => layer.Path == ModuleOf(path)) ? $"{ModuleOf(path)}{WrappedLinear}{NearMisses.LastPart(path)}" : path;

    public static string ModuleOf(string path) => path[..Math.Max(0, path.LastIndexOf('.'))];

    private static string FirstPart(string path) => path.Split('.')[0];
}
