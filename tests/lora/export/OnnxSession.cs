using LoraScratch.Lora.Data;
using Microsoft.ML.OnnxRuntime;

namespace LoraScratch.Tests.Lora;

/// <summary>An exported model in ONNX Runtime.</summary>
internal sealed class OnnxSession : IDisposable
{
    private readonly InferenceSession session;

    public OnnxSession(string path)
    {
        using var options = new SessionOptions { IntraOpNumThreads = 1 };
        session = new InferenceSession(path, options);
    }

    public IReadOnlyList<string> Inputs => [.. session.InputNames];

    public IReadOnlyList<string> Outputs => [.. session.OutputNames];

    public IReadOnlyDictionary<string, string> Properties => session.ModelMetadata.CustomMetadataMap;

    /// <summary>Runs texts as one batch, padded to the longest.</summary>
    /// <param name="texts">As the model reads them.</param>
    /// <param name="padding">The padding token's id.</param>
    /// <returns>The only output, row-major.</returns>
    public float[] Run(IReadOnlyList<EncodedExample> texts, int padding)
    {
        var length = texts.Max(text => text.TokenIds.Length);
        long[] Padded(Func<EncodedExample, int, long> value, long otherwise) =>
            [.. texts.SelectMany(text => Enumerable.Range(0, length)
                .Select(i => i < text.TokenIds.Length ? value(text, i) : otherwise))];
        var all = new Dictionary<string, long[]>
        {
            ["input_ids"] = Padded((text, i) => text.TokenIds[i], padding),
            ["attention_mask"] = Padded((_, _) => 1, 0),
            ["token_type_ids"] = Padded((text, i) => i < text.SecondSegment ? 0 : 1, 0),
        };
        var inputs = session.InputNames.ToDictionary(name => name, name =>
            OrtValue.CreateTensorValueFromMemory(all[name], [texts.Count, length]));
        using var options = new RunOptions();
        using var results = session.Run(options, inputs, session.OutputNames);
        return results.Single().GetTensorDataAsSpan<float>().ToArray();
    }

    public void Dispose() => session.Dispose();
}
