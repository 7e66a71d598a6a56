using LoraScratch.Engine.NN;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Lora.Adapters;

/// <summary>
/// Looks over an adapter folder in PEFT's format, with its model or without, and lists everything
/// that is wrong: half a pair of A and B, shapes against r, a B that is all zero, NaN, names under
/// which nothing would be loaded, a head that was not saved; and says which factor s the numbers
/// mean.
/// </summary>
internal static class AdapterCheck
{
    /// <summary>
    /// Checks a folder. Nothing is thrown for what is wrong with it; that is the answer.
    /// </summary>
    /// <param name="folder">The adapter folder.</param>
    /// <param name="model">
    /// The base model, without LoRA, to compare with; null: the folder alone is checked. It is not
    /// changed.
    /// </param>
    /// <param name="tokenizer">
    /// The base model's, to compare with the tokenizer files that the folder may have; null: they
    /// are not compared.
    /// </param>
    /// <returns>Errors first, then warnings, then notes.</returns>
    public static IReadOnlyList<Finding> Run(string folder, Module? model = null, Tokenizer? tokenizer = null)
    {
        var findings = new Findings();
        using var file = Open(folder, findings, model);
        findings.Try(() => tokenizer?.RequireAgreement(folder));
        return findings.WorstFirst;
    }

    /// <summary>Opens a folder and checks it.</summary>
    /// <param name="folder">The adapter folder.</param>
    /// <param name="findings">Takes all that is found.</param>
    /// <param name="model">The base model to compare with, or null.</param>
    /// <returns>
    /// The adapter, which can be used if there is no error; null where there are no tensors.
    /// </returns>
    internal static AdapterFile? Open(string folder, Findings findings, Module? model = null)
    {
        if (PeftFolder.Open(folder, findings) is not { } file)
        {
            return null;
        }
        var config = findings.Errors.Count == 0 ? file.Config : null;       // null: it cannot be followed
        // An expression in the config may turn out to be none, or to take too long, wherever it is first compared with
        // a path.
        findings.Try(config is not null && model is not null
            ? () => Compare(folder, file, config, model, findings)
            : new AdapterFileCheck(file, findings).Run);
        if (config is not null)
        {
            findings.Try(() => SayScale(file, config, findings));
        }
        return file;
    }

    private static void Compare(string folder, AdapterFile file, PeftConfig config, Module model, Findings findings)
    {
        var targets = new PeftTargets(PeftFolder.ConfigPath(PeftFolder.Find(folder)), config, model, file);
        var plan = findings.Try(targets.Plan);
        foreach (var warning in targets.Warnings.Concat(plan?.Warnings ?? []))
        {
            findings.Warning(warning);
        }
        if (plan is null)
        {
            new AdapterFileCheck(file, findings).Run();
            return;
        }
        var comparison = new ModelComparison(file, config, plan);
        foreach (var problem in comparison.Problems)
        {
            findings.Error($"{PeftAdapter.WeightsName}: {problem}");
        }
        foreach (var warning in comparison.Warnings)
        {
            findings.Warning($"{PeftAdapter.WeightsName}: {warning}");
        }
        var (unknown, different) = BaseFingerprint.Compare(file.Metadata, plan);
        if (different.Count > 0)
        {
            findings.Error($"{PeftAdapter.WeightsName}: trained on another base: W of {string.Join(", ", different)} "
                + "has not the hash in the metadata (base_sha256).");
        }
        else
        {
            findings.Note(unknown.Count == 0
                ? $"the model is the one that it was trained on: {plan.Layers.Count} hashes agree."
                : "the file does not say which base weights it was trained on.");
        }
    }

    /// <summary>
    /// s, and what the same numbers would mean to programs that read alpha in another way: no file
    /// says which of them wrote it.
    /// </summary>
    private static void SayScale(AdapterFile file, PeftConfig config, Findings findings)
    {
        var used = config.UseRsLora ? LoRAScaling.AlphaOverSqrtRank : LoRAScaling.AlphaOverRank;
        var layers = file.Pairs.Where(pair => pair.A?.Shape is [> 0 and <= int.MaxValue, _])
            .GroupBy(pair => (Rank: (int)pair.A!.Shape[0], Alpha: file.AlphaOf(pair.Path)));
        foreach (var group in layers)
        {
            var (rank, alpha) = group.Key;
            double Factor(LoRAScaling rule) => LoRASettings.Factor(rule, alpha, rank);
            var others = Enum.GetValues<LoRAScaling>().Where(rule => rule != used)
                .Select(rule => FormattableString.Invariant($"{LoRASettings.Name(rule)} would be {Factor(rule):G6}"));
            findings.Note($"scale of {group.Count()} layers: s = {LoRASettings.Name(used)} = "
                + FormattableString.Invariant($"{Factor(used):G6} with lora_alpha {alpha} and r {rank}; ")
                + $"{string.Join(", ", others)}. If a program with raw alpha (the tutorials') trained it, lora_alpha "
                + "must be alpha·r.");
            if (!(alpha > 0))
            {
                findings.Error($"{PeftAdapter.ConfigName}: " + FormattableString.Invariant($"lora_alpha is {alpha}; ")
                    + "a number above 0 is expected, or the update does nothing or the opposite.");
            }
        }
    }
}
