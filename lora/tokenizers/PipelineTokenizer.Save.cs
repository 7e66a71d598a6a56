using System.Text.Json;
using System.Text.Json.Nodes;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Tokenizers;

internal sealed partial class PipelineTokenizer
{
    private static readonly JsonSerializerOptions Indented = new()
    {
        WriteIndented = true,
        NewLine = "\n",
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    // tokenizer_config.json and special_tokens_map.json, if they were there
    private readonly List<(string Name, byte[] Bytes)> companions = [];

    /// <inheritdoc/>
    public override void RequireAgreement(string folder)
    {
        if (!TokenizerFiles.HasTokenizer(folder))
        {
            RequireFollowed(folder);
            RequireSameTruncation(TokenizerFiles.TruncationIn(folder, null),
                Path.Combine(folder, TokenizerFiles.ConfigName));
            return;
        }
        if (Load(folder) is not PipelineTokenizer other)
        {
            throw new InputException($"{folder}: its tokenizer is BERT's WordPiece, the model's another one: texts "
                + $"would get other tokens than the adapter was trained on. {Remedy}");
        }
        RequireSameTruncation((other.KeepsEnd, other.GivenMaxLength), folder);
        foreach (var (name, here, there) in new (string, object?, object?)[]
        {
            ("normalizer", normalizer, other.normalizer), ("pre_tokenizer", preTokenizer, other.preTokenizer),
            ("model", model, other.model), ("post_processor", frame, other.frame),
        })
        {
            if ($"{here}" != $"{there}")
            {
                throw Different($"{name} is {JsonFile.Cut($"{there}")}, the model's {JsonFile.Cut($"{here}")}");
            }
        }
        for (var id = 0; id < Math.Max(tokens.Length, other.tokens.Length); id++)
        {
            if (Named(id) is var here && other.Named(id) is var there && here != there)
            {
                throw Different($"id {id} is {there}, in the model's vocabulary {here}");
            }
        }
        if (!added.All.ToHashSet().SetEquals(other.added.All))
        {
            throw Different("its added_tokens are others than the model's");
        }
        if ((model as BytePairModel)?.MergeDifference((BytePairModel)other.model) is { } difference)
        {
            throw Different($"it has {difference}");
        }
        if (model is UnigramModel unigram && !unigram.Scores.SequenceEqual(((UnigramModel)other.model).Scores))
        {
            throw Different("its pieces have other scores than the model's");
        }

        InputException Different(string what) => new(
            $"{folder}: {what}: texts would get other tokens than the adapter was trained on. {Remedy}");
    }

    /// <inheritdoc/>
    public override void SaveInto(string folder, int maxLength, string? className = null)
    {
        AtomicFile.Write(Path.Combine(folder, TokenizerFiles.JsonName), stream => stream.Write(json));
        AtomicFile.WriteText(Path.Combine(folder, TokenizerFiles.ConfigName), Config(maxLength, className));
        AtomicFile.WriteText(Path.Combine(folder, TokenizerFiles.SpecialTokensName),
            (Companion(TokenizerFiles.SpecialTokensName) ?? SpecialTokens()).ToJsonString(Indented));
    }

    private string Named(int id) => id < tokens.Length ? $"'{tokens[id]}'" : "nothing";

    /// <summary>
    /// What was read, with the length and the side that count now; else what a tokenizer that is
    /// described by its tokenizer.json alone needs.
    /// </summary>
    private string Config(int maxLength, string? className)
    {
        var config = Companion(TokenizerFiles.ConfigName) ?? SpecialTokens();
        config["model_max_length"] = maxLength;
        config["truncation_side"] = KeepsEnd ? "left" : "right";
        config.Remove("max_len");
        config["tokenizer_class"] ??= className ?? "PreTrainedTokenizerFast";
        return config.ToJsonString(Indented) + "\n";
    }

    private JsonObject? Companion(string name) => companions.Find(file => file.Name == name) is { Bytes: { } bytes }
        ? (JsonObject)JsonNode.Parse(bytes.AsSpan(bytes.AsSpan().StartsWith("\uFEFF"u8) ? 3 : 0))! : null;

    /// <summary>The names that transformers gives the tokens, as far as they can be told.</summary>
    private JsonObject SpecialTokens()
    {
        // of those alone that are found in texts: transformers would make any other one of them
        (string Name, int Id)[] known =
        [
            ("cls_token", frame.Single.Before[0]), ("sep_token", frame.Single.After is [.., var last] ? last : -1),
            ("pad_token", Math.Max(IdOf("<pad>"), IdOf("[PAD]"))),
            ("unk_token", model.UnknownId >= 0 ? model.UnknownId : IdOf("<unk>")), ("mask_token", MaskId),
        ];
        return new JsonObject(known.Where(entry => addedIds.Contains(entry.Id))
            .Select(entry => KeyValuePair.Create(entry.Name, (JsonNode?)tokens[entry.Id])));
    }
}
