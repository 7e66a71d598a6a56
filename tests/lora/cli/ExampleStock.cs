using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// Tiny files and folders under the names that the examples of help pages and README use, each made
/// when an example first asks for it.
/// </summary>
internal sealed class ExampleStock : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly Dictionary<string, Action<string>> makers;

    public ExampleStock()
    {
        var reviews = TinyTask.Reviews(24, seed: 1);
        makers = new()
        {
            ["reviews.csv"] = path => File.WriteAllText(path, reviews),
            ["train.csv"] = path => File.WriteAllText(path, reviews),
            ["test.csv"] = path => File.WriteAllText(path, TinyTask.Reviews(8, seed: 2)),
            ["tickets.csv"] = path => File.WriteAllText(path, Tickets(24)),
            ["later-tickets.csv"] = path => File.WriteAllText(path, Tickets(6)),
            ["tickets.jsonl"] = path => File.WriteAllText(path, Lines(text => new
            {
                message = text,
                queue = text.Length % 2 == 0 ? "Billing" : "Login"
            })),
            ["texts.jsonl"] = path => File.WriteAllText(path, Lines(text => new { text })),
            ["reviews.jsonl"] = path => File.WriteAllText(path, Lines(text => new { text })),
            ["my-texts.jsonl"] = path => File.WriteAllText(path, Lines(text => new { text })),
            ["reviews.jsonl.gz"] = path => Zip(path, Lines(text => new { text })),
            ["unlabelled.jsonl.gz"] = path => Zip(path, Lines(text => new { text })),
            ["aclImdb"] = Imdb,
            ["aclImdb_v1.tar.gz"] = path => Pack(path, this["aclImdb"]),
            ["vocab.txt"] = path => File.WriteAllText(path, Vocabulary),
            ["config.json"] = path => File.WriteAllText(path, TinyTask.Config(Vocabulary.Split('\n').Length)
                .Replace("\"max_position_embeddings\": 24", "\"max_position_embeddings\": 512")
                .Replace("\"dim\": 16, \"hidden_dim\": 32", "\"dim\": 32, \"hidden_dim\": 64")),
            // rank 64 makes something smaller of it
            ["wide.json"] = path => File.WriteAllText(path, TinyTask.Config(Vocabulary.Split('\n').Length)
                .Replace("\"dim\": 16, \"hidden_dim\": 32, \"n_layers\": 2",
                    "\"dim\": 160, \"hidden_dim\": 160, \"n_layers\": 1")),
            ["my-base"] = path => Train(path, "--config", this["config.json"], "--vocab", this["vocab.txt"], "--method",
                "full", "--lr", "3e-3"),
            ["my-model"] = path => Train(path, "--model", this["my-base"], "--method", "full"),
            ["distilbert-base-uncased"] = path => TemporaryFolder.Copy(this["my-base"], path),
            ["base"] = path => LoraProgram.Succeed("pretrain", "--data", this["texts.jsonl"], "--config",
                this["config.json"], "--vocab", this["vocab.txt"], "--max-steps", "2", "--max-length", "16", "--out",
                    path),
            ["my-adapter"] = path => Train(path),
            ["other-adapter"] = path => Train(path, "--seed", "2"),
            ["my-adapter on my-model"] = path => Train(path, "--model", this["my-model"]),
            ["other-adapter on my-model"] = path => Train(path, "--model", this["my-model"], "--seed", "2"),
            ["layer-ranks.json"] = path => LoraProgram.Succeed("inspect", this["my-adapter"], "--spectrum",
                "--rank-pattern", path),
            ["lora-demo"] = path =>
            {
                Directory.CreateDirectory(path);
                Train(Path.Combine(path, "adapter"), "--targets", "query,value");
            },
            ["studio.safetensors"] = path =>
            {
                LoraProgram.Succeed("adapter", "convert", Path.Combine(this["lora-demo"], "adapter"), "--to",
                    "tutorial", "--out", path);
                RemoveMetadata(path);
            },
            ["my-model that is wide"] = path => Train(path, "--config", this["wide.json"], "--vocab",
                this["vocab.txt"], "--method",
                "full"),
            ["smaller"] = path => LoraProgram.Succeed("compress", "--model", this["my-model that is wide"], "--rank",
                "64",
                "--out", path),
            ["base-int4"] = path => LoraProgram.Succeed("quantize", "--bits", "4", "--group-size", "32", "--out", path),
            ["int4-adapter"] = path => Train(path, "--model", this["base-int4"], "--method", "qa-lora"),
            ["my-qa-lora-adapter"] = path => TemporaryFolder.Copy(this["int4-adapter"], path),
            ["comparison"] = path => LoraProgram.Succeed("compare", "--model", this["my-model"], "--data",
                this["reviews.csv"], "--methods", "lora,full", "--lr", "1e-3", "--max-steps", "2", "--out", path),
        };
    }

    /// <summary>Where it is, made if need be.</summary>
    public string this[string name]
    {
        get
        {
            var path = Path.Combine(folder.Root, name);
            if (!Path.Exists(path))
            {
                makers[name](path);
            }
            return path;
        }
    }

    /// <summary>Puts everything that the words of a command name into a folder, as links.</summary>
    /// <param name="words">Of one or more commands; what follows --out is not there yet.</param>
    /// <param name="into">An empty folder.</param>
    public void Provide(IReadOnlyList<string> words, string into)
    {
        var variant = words.Contains("compress") ? " that is wide" : words.SkipWhile(word => word != "--model").Skip(1)
            .FirstOrDefault() == "my-model"
            || words.Contains("inspect") || words.Contains("check") ? " on my-model" : "";
        foreach (var (word, i) in words.Select((word, i) => (word, i)))
        {
            var name = word[(word.IndexOf('=') + 1)..].Split('/')[0];
            var target = Path.Combine(into, name);
            if (i > 0 && words[i - 1] == "--out" || !makers.ContainsKey(name) || Path.Exists(target))
            {
                continue;
            }
            var source = this[makers.ContainsKey(name + variant) ? name + variant : name];
            _ = Directory.Exists(source) ? Directory.CreateSymbolicLink(target, source)
                : File.CreateSymbolicLink(target, source);
        }
    }

    public void Dispose() => folder.Dispose();

    private static string Vocabulary => string.Join('\n', (string[])["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",
        "excellent", "superb", "awful", "boring", "the", "film", "was", "story", "actor", "scene", "plot", "and",
            "very",
        "a", "not", "but", "good", ".", "##s"]);

    private void Train(string path, params string[] args) => LoraProgram.Succeed(["train", "--data",
        this["reviews.csv"], "--max-steps", "2", "--max-length", "16", "--out", path, .. args]);

    private static IEnumerable<string> Texts => TinyTask.Reviews(200, seed: 3).Split('\n',
        StringSplitOptions.RemoveEmptyEntries)
        .Skip(1).Select((line, i) => $"{line.Split(',')[0]} and the scene was very {i} superb");

    private static string Lines(Func<string, object> line) =>
        string.Concat(Texts.Select(text => JsonSerializer.Serialize(line(text)) + "\n"));

    private static string Tickets(int count) => "Nr;Datum;Beschreibung;Kategorie\n"
        + string.Concat(Enumerable.Range(0, count).Select(i => $"{i};2026-01-01;I was charged twice for order {i}, "
            + $"please give me the second payment back;{(i % 2 == 0 ? "Billing" : "Login")}\n"));

    private static void Imdb(string path)
    {
        foreach (var half in (string[])["train", "test"])
        {
            foreach (var label in (string[])["neg", "pos"])
            {
                var folder = Directory.CreateDirectory(Path.Combine(path, half, label)).FullName;
                foreach (var (text, i) in Texts.Take(12).Select((text, i) => (text, i)))
                {
                    File.WriteAllText(Path.Combine(folder, $"{i}_{(label == "neg" ? 1 : 9)}.txt"),
                        $"{half} {label} {text}");
                }
            }
        }
    }

    private static void Pack(string path, string folder)
    {
        using var zip = new GZipStream(File.Create(path), CompressionLevel.Fastest);
        TarFile.CreateFromDirectory(folder, zip, includeBaseDirectory: true);
    }

    private static void Zip(string path, string text)
    {
        using var writer = new StreamWriter(new GZipStream(File.Create(path), CompressionLevel.Fastest));
        writer.Write(text);
    }

    /// <summary>As the tutorials' script writes it: the file does not say its alpha.</summary>
    private static void RemoveMetadata(string path)
    {
        var bytes = File.ReadAllBytes(path);
        var length = (int)BitConverter.ToInt64(bytes);
        var header = JsonNode.Parse(bytes.AsSpan(8, length))!.AsObject();
        header.Remove("__metadata__");
        var text = Encoding.UTF8.GetBytes(header.ToJsonString());
        File.WriteAllBytes(path, [.. BitConverter.GetBytes((long)text.Length), .. text, .. bytes[(8 + length)..]]);
    }
}
