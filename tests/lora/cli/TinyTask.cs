using System.Globalization;
using LoraScratch.Engine;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// A folder with everything that a tiny run needs: vocab.txt, config.json (2 layers of width 16),
/// train.csv with praise and blame; and, trained on them when first asked for, a model and an
/// adapter.
/// </summary>
internal sealed class TinyTask : IDisposable
{
    private static readonly string[] Praise = ["excellent", "superb", "lovely", "brilliant"];
    private static readonly string[] Blame = ["awful", "boring", "dreadful", "weak"];
    private static readonly string[] Others = ["the", "film", "was", "story", "actor", "scene", "plot", "and", "very"];

    private readonly TemporaryFolder folder = new();
    private readonly bool inProcesses;
    private readonly Lazy<string> model;
    private readonly Lazy<string> adapter;

    /// <param name="family">model_type</param>
    /// <param name="inProcesses">
    /// Whether it trains in processes of their own, for fixtures that run beside others: what runs
    /// here takes the console and the device of all.
    /// </param>
    public TinyTask(string family = "distilbert", bool inProcesses = false)
    {
        this.inProcesses = inProcesses;
        string[] pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", .. Praise, .. Blame, .. Others, "##s", "."];
        folder.Write("vocab.txt", string.Join('\n', pieces));
        folder.Write("config.json", family == "distilbert" ? Config(pieces.Length) : Config(family, pieces.Length));
        folder.Write("train.csv", Reviews(80, seed: 1));
        model = new(() => Train("model", "--config", this["config.json"], "--vocab", this["vocab.txt"], "--method",
            "full", "--lr", "3e-3"));
        adapter = new(() => Train("adapter", "--model", Model, "--rank", "4"));
    }

    /// <summary>A full path.</summary>
    public string this[string name] => Path.Combine(folder.Root, name);

    public string Root => folder.Root;

    public string Data => this["train.csv"];

    public string Model => model.Value;

    public string Adapter => adapter.Value;

    public string Write(string name, string text) => folder.Write(name, text);

    public void Dispose() => folder.Dispose();

    public static string Config(int vocabularySize, string more = "") => $$"""
        {"model_type": "distilbert", "vocab_size": {{vocabularySize}}, "max_position_embeddings": 24,
         "dim": 16, "hidden_dim": 32, "n_layers": 2, "n_heads": 2,
         "initializer_range": 0.1{{more}}}
        """;

    /// <summary>
    /// The same sizes in one of BERT's family, under the names that it has for them.
    /// </summary>
    private static string Config(string family, int vocabularySize)
    {
        var positions = family.Contains("bert") && family != "bert" ? 26 : 24;      // RoBERTa's begin at 2
        var width = family == "electra" ? ", \"embedding_size\": 8" : "";
        return $$"""
            {"model_type": "{{family}}", "vocab_size": {{vocabularySize}}, "hidden_size": 16, "intermediate_size": 32,
             "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": {{positions}},
             "initializer_range": 0.1, "type_vocab_size": 2, "layer_norm_eps": 1e-5{{width}}}
            """;
    }

    /// <summary>
    /// A CSV with the columns text and label; the labels are neg and pos in turn.
    /// </summary>
    public static string Reviews(int count, ulong seed, string negative = "neg", string positive = "pos")
    {
        var random = new RandomStream(seed);
        string Pick(string[] words) => words[random.NextBelow(words.Length)];
        return "text,label\n" + string.Concat(Enumerable.Range(0, count).Select(i =>
            string.Create(CultureInfo.InvariantCulture,
                $"{Pick(Others)} {Pick(i % 2 == 0 ? Blame : Praise)} {Pick(Others)} "
                    + $"{Pick(i % 2 == 0 ? Blame : Praise)},{(i % 2 == 0 ? negative : positive)}\n")));
    }

    /// <summary>Runs a command that must be refused, and that must not write its result.</summary>
    /// <param name="args">
    /// The command line, in which MODEL, DATA, OUT and the words of <paramref name="others"/> stand
    /// for paths.
    /// </param>
    /// <param name="message">A part of what must be said.</param>
    /// <param name="others">Paths; a function is called where its word occurs.</param>
    public void RequireRefused(string args, string message, params (string Word, Func<string> Path)[] others)
    {
        (string Word, Func<string> Path)[] paths =
            [("MODEL", () => Model), ("DATA", () => Data), ("OUT", () => this["out"]), .. others];
        var result = LoraProgram.Refuse(
            [.. args.Split(' ').Select(word => Array.Find(paths, path => path.Word == word).Path?.Invoke() ?? word)]);
        Assert.That(result.Errors, Does.Contain(message));
        Assert.That(Directory.Exists(this["out"]), Is.False);
    }

    /// <summary>
    /// Requires that a model is not loaded when something in its config.json has been exchanged.
    /// </summary>
    /// <param name="model">A folder that this task made.</param>
    /// <param name="from">Stands in its config.json.</param>
    /// <param name="to">What stands there instead.</param>
    /// <param name="message">A part of what must be said.</param>
    public void RequireConfigRefused(string model, string from, string to, string message)
    {
        using var copy = new TemporaryFolder();
        foreach (var name in (string[])["model.safetensors", "vocab.txt"])
        {
            File.Copy(Path.Combine(this[model], name), Path.Combine(copy.Root, name));
        }
        var text = File.ReadAllText(Path.Combine(this[model], "config.json"));
        Assert.That(text, Does.Contain(from));
        copy.Write("config.json", text.Replace(from, to));
        Assert.That(LoraProgram.Refuse("predict", "--model", copy.Root, "--text", "film").Errors,
            Does.Contain(message));
    }

    private string Train(string name, params string[] args)
    {
        args = ["train", "--data", Data, "--out", this[name], "--epochs", "2", "--threads", "1", .. args];
        var result = inProcesses ? LoraProgram.Run(args) : LoraProgram.Call(args);
        Assert.That(result.Code, Is.Zero, result.Errors);
        return this[name];
    }
}
