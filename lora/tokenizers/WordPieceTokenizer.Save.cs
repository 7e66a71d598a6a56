using System.Text.Encodings.Web;
using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Tokenizers;

internal sealed partial class WordPieceTokenizer
{
    private static readonly JsonWriterOptions Indented =
        new() { Indented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <inheritdoc/>
    public override void SaveInto(string folder, int maxLength, string? className = null)
    {
        AtomicFile.WriteText(Path.Combine(folder, ConfigName),
            Config(maxLength, ClassName ?? className ?? "BertTokenizer"));
        AtomicFile.WriteText(Path.Combine(folder, "special_tokens_map.json"), SpecialTokens);
        SaveJson(Path.Combine(folder, "tokenizer.json"));
        SaveVocabulary(Path.Combine(folder, "vocab.txt"));
    }

    private const string SpecialTokens = """
        {
          "cls_token": "[CLS]",
          "mask_token": "[MASK]",
          "pad_token": "[PAD]",
          "sep_token": "[SEP]",
          "unk_token": "[UNK]"
        }

        """;

    private string Config(int maxLength, string className) => $$"""
        {
          "cls_token": "[CLS]",
          "do_lower_case": {{(Uncased ? "true" : "false")}},
          "mask_token": "[MASK]",
          "model_max_length": {{maxLength}},
          "pad_token": "[PAD]",
          "sep_token": "[SEP]",
          "strip_accents": null,
          "tokenize_chinese_chars": true,
          "tokenizer_class": "{{className}}",
          "truncation_side": "{{(KeepsEnd ? "left" : "right")}}",
          "unk_token": "[UNK]"
        }

        """;

    /// <summary>
    /// Writes the vocabulary as a vocab.txt that <see cref="Load"/> and transformers read.
    /// </summary>
    /// <param name="path">The file; it is replaced in one step.</param>
    /// <exception cref="InputException">It cannot be written.</exception>
    public void SaveVocabulary(string path) =>
        AtomicFile.WriteText(path, string.Concat(pieces.Select(piece => piece + "\n")));

    /// <summary>
    /// Writes a tokenizer.json for Hugging Face's Rust tokenizer, which needs no other file: the
    /// rules for cleaning and cutting text, [CLS] and [SEP] around a text, and the vocabulary.
    /// </summary>
    /// <param name="path">The file; it is replaced in one step.</param>
    /// <exception cref="InputException">It cannot be written.</exception>
    public void SaveJson(string path) => AtomicFile.Write(path, stream =>
    {
        using var json = new Utf8JsonWriter(stream, Indented);
        json.WriteStartObject();
        json.WriteString("version", "1.0");
        WriteTruncation(json);
        json.WriteNull("padding");
        WriteAddedTokens(json);
        json.WriteStartObject("normalizer");
        json.WriteString("type", "BertNormalizer");
        json.WriteBoolean("clean_text", true);
        json.WriteBoolean("handle_chinese_chars", true);
        json.WriteNull("strip_accents");                    // null: as lowercase
        json.WriteBoolean("lowercase", Uncased);
        json.WriteEndObject();
        json.WriteStartObject("pre_tokenizer");
        json.WriteString("type", "BertPreTokenizer");
        json.WriteEndObject();
        WritePostProcessor(json);
        json.WriteStartObject("decoder");
        json.WriteString("type", "WordPiece");
        json.WriteString("prefix", "##");
        json.WriteBoolean("cleanup", true);
        json.WriteEndObject();
        WriteModel(json);
        json.WriteEndObject();
    });

    /// <summary>
    /// Nothing but what another program would do otherwise: keep the beginning of a long text.
    /// </summary>
    private void WriteTruncation(Utf8JsonWriter json)
    {
        if (!KeepsEnd)
        {
            json.WriteNull("truncation");
            return;
        }
        json.WriteStartObject("truncation");
        json.WriteString("direction", "Left");
        json.WriteNumber("max_length", MaxLength);
        json.WriteString("strategy", "LongestFirst");
        json.WriteNumber("stride", 0);
        json.WriteEndObject();
    }

    private void WriteAddedTokens(Utf8JsonWriter json)
    {
        json.WriteStartArray("added_tokens");
        foreach (var name in SpecialNames.Where(idOf.ContainsKey).OrderBy(name => idOf[name]))
        {
            json.WriteStartObject();
            json.WriteNumber("id", idOf[name]);
            json.WriteString("content", name);
            foreach (var flag in (string[])["single_word", "lstrip", "rstrip", "normalized"])
            {
                json.WriteBoolean(flag, false);
            }
            json.WriteBoolean("special", true);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    /// <summary>[CLS] A [SEP] for one text, [CLS] A [SEP] B [SEP] for two.</summary>
    private void WritePostProcessor(Utf8JsonWriter json)
    {
        json.WriteStartObject("post_processor");
        json.WriteString("type", "TemplateProcessing");
        WriteTemplate(json, "single", ("SpecialToken", "[CLS]", 0), ("Sequence", "A", 0), ("SpecialToken", "[SEP]", 0));
        WriteTemplate(json, "pair", ("SpecialToken", "[CLS]", 0), ("Sequence", "A", 0), ("SpecialToken", "[SEP]", 0),
            ("Sequence", "B", 1), ("SpecialToken", "[SEP]", 1));
        json.WriteStartObject("special_tokens");
        foreach (var (name, id) in new[] { ("[CLS]", ClassificationId), ("[SEP]", SeparatorId) })
        {
            json.WriteStartObject(name);
            json.WriteString("id", name);
            json.WriteStartArray("ids");
            json.WriteNumberValue(id);
            json.WriteEndArray();
            json.WriteStartArray("tokens");
            json.WriteStringValue(name);
            json.WriteEndArray();
            json.WriteEndObject();
        }
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteTemplate(Utf8JsonWriter json, string name,
        params (string Kind, string Id, int TypeId)[] parts)
    {
        json.WriteStartArray(name);
        foreach (var (kind, id, typeId) in parts)
        {
            json.WriteStartObject();
            json.WriteStartObject(kind);
            json.WriteString("id", id);
            json.WriteNumber("type_id", typeId);
            json.WriteEndObject();
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private void WriteModel(Utf8JsonWriter json)
    {
        json.WriteStartObject("model");
        json.WriteString("type", "WordPiece");
        json.WriteString("unk_token", "[UNK]");
        json.WriteString("continuing_subword_prefix", "##");
        json.WriteNumber("max_input_chars_per_word", MaxWordLength);
        json.WriteStartObject("vocab");
        for (var id = 0; id < pieces.Length; id++)
        {
            json.WriteNumber(pieces[id], id);
        }
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
