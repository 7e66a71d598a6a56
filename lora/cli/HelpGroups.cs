namespace LoraScratch.Cli;

/// <summary>
/// The order of --help where a command has many options: what most people need first, then the
/// others by what they are about.
/// </summary>
internal static class HelpGroups
{
    /// <summary>A command with more options than these has them in groups.</summary>
    public const int MostInOneList = 12;

    /// <summary>Where options stand that no group names.</summary>
    public const string Others = "More options";

    /// <summary>The groups in order, each with its options in order.</summary>
    public static IReadOnlyList<(string Title, IReadOnlyList<string> Options)> All { get; } =
    [
        ("Most used", ["--data", "--input", "--text", "--text-pair", "--model", "--adapter", "--out", "--html",
            "--preset", "--methods", "--method", "--ranks", "--alphas", "--always", "--vary", "--runs", "--dry-run",
            "--seeds", "--targets", "--rank", "--energy", "--rank-pattern", "--spectrum", "--directions",
            "--svg", "--bytes", "--size", "--layer", "--label", "--epochs", "--lr",
            "--batch-size", "--max-length", "--test-data", "--threshold", "--mistakes", "--errors", "--columns",
            "--json", "--certificate", "--probe", "--force", "--round-zeros"]),
        ("LoRA", ["--alpha", "--scaling", "--init", "--dropout", "--bias", "--layers", "--train-head",
            "--init-adapter", "--any-base", "--active"]),
        ("QA-LoRA and quantization", ["--bits", "--group-size", "--quantization", "--pooling", "--dynamic",
            "--calibration", "--calibration-texts"]),
        ("Optimisation", ["--optimizer", "--weight-decay", "--momentum", "--clip", "--warmup", "--schedule",
            "--class-weights", "--accumulate", "--micro-batch", "--max-steps", "--limit", "--seed", "--shuffle",
            "--lr-seeds"]),
        ("Validation and test", ["--validation", "--validate-every", "--split", "--metric",
            "--early-stopping", "--test", "--train-examples", "--reliability"]),
        ("Data format", ["--text-column", "--text-pair-column", "--label-column", "--label-columns",
            "--label-separator", "--input-format", "--separator", "--quoting", "--no-header", "--empty",
            "--multi-label", "--labels", "--exclude", "--min-frequency", "--alphabet", "--held-out"]),
        ("What to start from", ["--config", "--vocab", "--new-head", "--whole-words", "--dtype"]),
        ("Run and resume", ["--overwrite", "--checkpoint-every", "--resume", "--verbose"]),
        ("Memory and speed", ["--recompute", "--frozen-dropout", "--frozen-precision", "--cache-memory",
            "--timings"]),
        ("Device", ["--device", "--threads"]),
    ];

    /// <summary>The group of an option, by its number; the number of groups for none.</summary>
    public static (int Group, int Place) Of(string option)
    {
        for (var group = 0; group < All.Count; group++)
        {
            for (var place = 0; place < All[group].Options.Count; place++)
            {
                if (All[group].Options[place] == option)
                {
                    return (group, place);
                }
            }
        }
        return (All.Count, 0);
    }

    /// <summary>The title of a group that <see cref="Of"/> gave.</summary>
    public static string Title(int group) => group < All.Count ? All[group].Title : Others;
}
