using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// Every JSON file that we read, with random damage: it is read, or refused in words, and nothing
/// else happens.
/// </summary>
[Parallelizable]
public sealed class DamagedConfigTests
{
    private const int Trials = 1500;

    // What such a file may hold where something else was: the values that readers trip over.
    private static readonly string[] Splinters =
        ["\\ud800", "\"\\udc00\"", "null", "-1", "1e999", "99999999999999999999", "[]", "{}", "\"\"", "true", "0.5",
            "[[", "\u0000", "\"a\":", "\\u0000", "é", "NaN", ",", "(", "[\"q_lin\",null]"];

    private static IEnumerable<TestCaseData> Readers()
    {
        var labels = new EncoderConfig { Labels = ["neg", "pos"] };
        var peft = new PeftConfig
        {
            TargetNames = ["q_lin"],
            ModulesToSave = ["classifier"],
            TaskType = "SEQ_CLS",
            RankPattern = new Dictionary<string, int> { ["q_lin"] = 2 },
            Blocks = [1],
            BlockLists = ["layer"],
            ExcludedNames = ["k_lin"]
        };
        yield return Case("config.json", _ => labels.ToJson(), path => EncoderConfig.Load(path));
        yield return Case("adapter_config.json", _ => peft.ToJson(), path =>
        {
            var config = PeftConfig.Read(path);
            _ = config.Targets.Concat(config.Excluded)
                .Count(pattern => pattern.Matches("distilbert.transformer.layer.1.attention.q_lin"));
        });
        yield return Case("tokenizer.json", folder =>
        {
            WordPieceTokenizer.FromVocabulary(TinyDistilBert.Vocabulary).SaveJson(folder.File("sound"));
            return File.ReadAllText(folder.File("sound"));
        }, path => WordPieceTokenizer.Load(path));
        yield return Case("tokenizer_config.json", folder =>
        {
            WordPieceTokenizer.FromVocabulary(TinyDistilBert.Vocabulary).SaveVocabulary(folder.File("vocab.txt"));
            return """{"do_lower_case": true, "strip_accents": null}""";
        }, path => WordPieceTokenizer.Load(Path.Combine(Path.GetDirectoryName(path)!, "vocab.txt")));
        yield return Case("model.safetensors.index.json",
            _ => """{"metadata": {"total_size": 4}, "weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}""",
                path => Checkpoint.Open(path).Dispose());
        yield return Case("training.json", _ => """{"labels": ["neg", "pos"], "options": {"rank": 8}}""",
            path => RunFiles.ReadTask(Path.GetDirectoryName(path)!));

        static TestCaseData Case(string name, Func<TemporaryFolder, string> sound, Action<string> read) =>
            new TestCaseData(name, sound, read).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Readers))]
    public void Random_damage_is_read_or_refused_in_words(string name, object sound, Action<string> read)
    {
        using var folder = new TemporaryFolder();
        var text = ((Func<TemporaryFolder, string>)sound)(folder);
        var random = new RandomStream(17);
        var refused = 0;
        for (var trial = 0; trial < Trials; trial++)
        {
            var damaged = Damage(text, random);
            File.WriteAllText(folder.File(name), damaged);
            try
            {
                read(folder.File(name));
            }
            catch (InputException refusal)
            {
                refused++;
                Assert.That(refusal.Message, Is.Not.Empty);
            }
            catch (Exception other)
            {
                Assert.Fail($"{other.GetType().Name}: {other.Message}\n{damaged}");
            }
        }
        Assert.That(refused, Is.GreaterThan(Trials / 4), "the damage must be felt");
    }

    /// <summary>Cuts, replaces or doubles a piece, at one place or two.</summary>
    private static string Damage(string text, RandomStream random)
    {
        for (var times = 1 + random.NextBelow(2); times > 0; times--)
        {
            var at = random.NextBelow(text.Length + 1);
            var length = Math.Min(random.NextBelow(12), text.Length - at);
            text = random.NextBelow(4) switch
            {
                0 => text[..at],
                1 => text[..at] + text[(at + length)..],
                2 => text[..at] + text.Substring(at, length) + text[at..],
                _ => text[..at] + Splinters[random.NextBelow(Splinters.Length)] + text[(at + length)..],
            };
        }
        return text;
    }
}
