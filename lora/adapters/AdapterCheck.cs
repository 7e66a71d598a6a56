using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;
using LoraScratch.Lora.Data;

namespace LoraScratch.Lora.Adapters;

/// <summary>How bad a finding is.</summary>
public enum FindingKind
{
    /// <summary>The adapter cannot be used, or would not compute what it was trained to.</summary>
    Error,

    /// <summary>Allowed, but hardly meant.</summary>
    Warning,

    /// <summary>Good to know.</summary>
    Note,
}

/// <summary>One thing that <see cref="AdapterCheck"/> found.</summary>
/// <param name="Kind">How bad it is.</param> <param name="Message">A sentence that names file and tensor or key, what was expected, what was found, and how to mend it.</param>
public sealed record Finding(FindingKind Kind, string Message);

/// <summary>
/// Looks over an adapter folder in PEFT's format, with its model or without, and lists everything that is wrong: half a pair of A and B, shapes against r, a B that is all zero, NaN,
/// names under which nothing would be loaded, a head that was not saved; and says which factor s the numbers mean.
/// </summary>
public static class AdapterCheck
{
    /// <summary>Checks a folder. Nothing is thrown for what is wrong with it; that is the answer.</summary>
    /// <param name="folder">The adapter folder.</param> <param name="model">The base model, without LoRA, to compare with; null: the folder alone is checked. It is not changed.</param>
    /// <param name="tokenizer">The base model's, to compare with the tokenizer files that the folder may have.</param>
    /// <returns>Errors first, then warnings, then notes.</returns>
    public static IReadOnlyList<Finding> Run(string folder, Module? model = null, WordPieceTokenizer? tokenizer = null)
    {
        var findings = new List<Finding>();
        void Add(FindingKind kind, string message) => findings.Add(new Finding(kind, message));
        var config = Try(() => PeftConfig.ReadWithFaults(Path.Combine(folder, PeftAdapter.ConfigName)), Add);
        foreach (var fault in config.Faults ?? [])
        {
            Add(FindingKind.Error, $"{PeftAdapter.ConfigName}: {fault}.");
        }
        foreach (var warning in config.Config?.Warnings ?? [])
        {
            Add(FindingKind.Warning, warning);
        }
        using var file = Try(() => PeftAdapter.OpenWeights(folder), Add);
        if (file is not null)
        {
            var isUsable = config.Config is not null && config.Faults!.Count == 0;
            // An expression in the config may turn out to be none, or to take too long, wherever it is first compared with a path.
            Try(isUsable && model is not null ? () => WithModel(folder, file, config.Config!, model, Add) : new AdapterFileCheck(file, config.Config, Add).Run, Add);
            if (isUsable)
            {
                Try(() => Scale(file, config.Config!, Add), Add);
            }
        }
        Try(() => tokenizer?.RequireAgreement(folder), Add);
        return [.. findings.OrderBy(finding => finding.Kind)];
    }

    private static void WithModel(string folder, SafeTensorsFile file, PeftConfig config, Module model, Action<FindingKind, string> add)
    {
        var targets = new PeftTargets(Path.Combine(folder, PeftAdapter.ConfigName), config, model);
        var plan = Try(targets.Plan, add);
        foreach (var warning in targets.Warnings.Concat(plan?.Warnings ?? []))
        {
            add(FindingKind.Warning, warning);
        }
        if (plan is null)
        {
            new AdapterFileCheck(file, config, add).Run();
            return;
        }
        var warnings = new List<string>();
        var reader = new PeftReader(file, plan, config);
        reader.Compare(warnings);
        foreach (var problem in reader.Problems)
        {
            add(FindingKind.Error, $"{PeftAdapter.WeightsName}: {problem}");
        }
        warnings.ForEach(warning => add(FindingKind.Warning, warning));
        var (unknown, different) = BaseFingerprint.Compare(file.Metadata, plan);
        if (different.Count > 0)
        {
            add(FindingKind.Error, $"{PeftAdapter.WeightsName}: trained on another base: W of {string.Join(", ", different)} has not the hash in the metadata (base_sha256).");
        }
        else
        {
            add(FindingKind.Note, unknown.Count == 0 ? $"the model is the one that it was trained on: {plan.Layers.Count} hashes agree." : "the file does not say which base weights it was trained on.");
        }
    }

    /// <summary>s, and what the same numbers would mean to programs that read alpha in another way: no file says which of them wrote it.</summary>
    private static void Scale(SafeTensorsFile file, PeftConfig config, Action<FindingKind, string> add)
    {
        var layers = file.Tensors.Values.Where(tensor => AdapterConventions.Read(tensor.Name) is { IsA: true, Convention: AdapterConvention.Peft }
                && tensor.Name.StartsWith(PeftAdapter.Prefix, StringComparison.Ordinal) && tensor.Shape is [> 0 and <= int.MaxValue, _])
            .Select(tensor => (Rank: (int)tensor.Shape[0], Alpha: PeftLayers.AlphaOf(config, AdapterConventions.Read(tensor.Name)!.Value.Path[PeftAdapter.Prefix.Length..])));
        foreach (var group in layers.GroupBy(layer => layer))
        {
            var (rank, alpha) = group.Key;
            double Factor(LoRAScaling rule) => LoRASettings.Factor(rule, alpha, rank);
            var used = config.UseRsLora ? LoRAScaling.AlphaOverSqrtRank : LoRAScaling.AlphaOverRank;
            var others = Enum.GetValues<LoRAScaling>().Where(rule => rule != used).Select(rule => FormattableString.Invariant($"{LoRASettings.Name(rule)} would be {Factor(rule):G6}"));
            add(FindingKind.Note, FormattableString.Invariant($"scale of {group.Count()} layers: s = {LoRASettings.Name(used)} = {Factor(used):G6} with lora_alpha {alpha} and r {rank}; ")
                + $"{string.Join(", ", others)}. If a program with raw alpha (the tutorials') trained it, lora_alpha must be alpha·r.");
            if (!(alpha > 0))
            {
                add(FindingKind.Error, FormattableString.Invariant($"{PeftAdapter.ConfigName}: lora_alpha is {alpha}; a number above 0 is expected, or the update does nothing or the opposite."));
            }
        }
    }

    private static void Try(Action work, Action<FindingKind, string> add) => Try(() =>
    {
        work();
        return true;
    }, add);

    private static T? Try<T>(Func<T> work, Action<FindingKind, string> add)
    {
        try
        {
            return work();
        }
        catch (InputException trouble)
        {
            add(FindingKind.Error, trouble.Message);
            return default;
        }
    }
}
