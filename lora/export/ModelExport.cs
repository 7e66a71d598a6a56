using System.Text.Encodings.Web;
using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Lora.Export;

/// <summary>
/// Classifiers and encoders for everybody else's tools: as an ONNX file, for ONNX Runtime and what
/// builds on it, or as a folder of Hugging Face's transformers. An adapter is merged in what is
/// written; the classifier itself stays as it is.
/// <code>
/// using var classifier = TextClassifier.Load("my-adapter");
/// ModelExport.ToOnnx(classifier, "my-model.onnx");
/// </code>
/// </summary>
public static class ModelExport
{
    private static readonly JsonSerializerOptions Readable =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>
    /// Writes an ONNX model of opset 17: input_ids and attention_mask [batch, sequence], of models
    /// that tell the texts of a pair apart token_type_ids too, all int64; the output is logits
    /// [batch, classes]. Texts may be padded on the right, as tokenizers do. Weights of a quantised
    /// model are written as whole numbers of 8 bits.
    /// </summary>
    /// <param name="classifier">With its adapters, or without any.</param>
    /// <param name="path">
    /// A file, if it ends with .onnx, that has the names of the classes under "id2label"; else a
    /// folder for model.onnx, config.json and the tokenizer's files.
    /// </param>
    /// <param name="adapter">
    /// The name of the adapter that is merged, or "base"; null: as the classifier was loaded.
    /// </param>
    /// <param name="encoderOnly">
    /// Leaves the head out: the output is last_hidden_state [batch, sequence, hidden].
    /// </param>
    /// <param name="overwrite">Replaces a file, or a folder that holds a result.</param>
    /// <exception cref="InputException">
    /// There is no such adapter, or no trained head; the model takes more than 2 GiB; or what is
    /// there is not to be replaced, or cannot be written.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// The model is being trained, or predicts.
    /// </exception>
    public static void ToOnnx(TextClassifier classifier, string path, string? adapter = null,
        bool encoderOnly = false, bool overwrite = false)
    {
        using var reserved = ReserveOnnx(path, overwrite);
        WriteOnnx(classifier, path, adapter, encoderOnly, overwrite);
    }

    /// <summary>
    /// Writes a folder that transformers reads, AutoModelForSequenceClassification or AutoModel,
    /// and that <see cref="TextClassifier.Load"/> reads: config.json with the names of the classes,
    /// model.safetensors in float32, the tokenizer's files. Weights that are quantised or in
    /// low-rank form are written as the float matrices that they stand for.
    /// </summary>
    /// <param name="classifier">As for <see cref="ToOnnx"/>.</param>
    /// <param name="folder">The folder; its parent must exist.</param>
    /// <param name="adapter">As for <see cref="ToOnnx"/>.</param>
    /// <param name="encoderOnly">Leaves the head out.</param>
    /// <param name="overwrite">Replaces a folder that holds a result, and nothing else.</param>
    /// <exception cref="InputException">
    /// There is no such adapter, or no trained head; or what is there is not to be replaced, or
    /// cannot be written.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// The model is being trained, or predicts.
    /// </exception>
    public static void ToFolder(TextClassifier classifier, string folder, string? adapter = null,
        bool encoderOnly = false, bool overwrite = false) => classifier.Merged(adapter, encoderOnly, model =>
            AtomicFolder.Write(folder, temporary => FloatFolder.WriteInto(temporary, model, classifier.Tokenizer,
                withHead: !encoderOnly), Data.RunFiles.IsOfResult, overwrite));

    /// <summary>Whether a path means a file and no folder.</summary>
    internal static bool IsFile(string path) => path.EndsWith(".onnx", StringComparison.OrdinalIgnoreCase);

    /// <summary>
    /// Takes the right to write an ONNX model; see <see cref="AtomicFile.Reserve"/>.
    /// </summary>
    internal static OutputLock ReserveOnnx(string path, bool overwrite) =>
        IsFile(path) ? AtomicFile.Reserve(path, overwrite) : ModelFolder.Reserve(path, overwrite);

    /// <summary>As <see cref="ToOnnx"/>, by somebody who has reserved the path.</summary>
    /// <returns>What was written.</returns>
    internal static OnnxSummary WriteOnnx(TextClassifier classifier, string path, string? adapter, bool encoderOnly,
        bool overwrite, long most = OnnxFile.MaxBytes)
    {
        OnnxSummary? summary = null;
        classifier.Merged(adapter, encoderOnly, model =>
        {
            var graph = OnnxEncoder.Of(model, withHead: !encoderOnly);
            var labels = model.Config.Labels.Index().ToDictionary(entry => $"{entry.Index}", entry => entry.Item);
            var file = encoderOnly ? new OnnxFile(graph)
                : new OnnxFile(graph, ("id2label", JsonSerializer.Serialize(labels, Readable)));
            file.RequireSize(path, most);
            if (IsFile(path))
            {
                AtomicFile.Write(path, stream => file.WriteTo(path, stream));
            }
            else
            {
                AtomicFolder.Write(path, temporary =>
                {
                    FloatFolder.WriteAround(temporary, model.Config, classifier.Tokenizer, withHead: !encoderOnly);
                    AtomicFile.Write(Path.Combine(temporary, Data.RunFiles.OnnxName),
                        stream => file.WriteTo(path, stream));
                }, Data.RunFiles.IsOfResult, overwrite);
            }
            summary = new OnnxSummary(graph.Inputs, graph.Outputs, file.Bytes);
        });
        return summary!;
    }
}

/// <summary>What an ONNX file has.</summary>
/// <param name="Inputs">With their shapes.</param>
/// <param name="Outputs">With their shapes.</param>
/// <param name="Bytes">How large it is.</param>
internal sealed record OnnxSummary(IReadOnlyList<OnnxValue> Inputs, IReadOnlyList<OnnxValue> Outputs, long Bytes);
