using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace LoraScratch.ML;

/// <summary>
/// A trained text classifier in a pipeline: adds PredictedLabel, a key of the classes, and Score,
/// their probabilities. Each text is computed on its own; for many of them
/// <see cref="Lora.Classification.TextClassifier"/> is faster.
/// <para>
/// It is a chain of ML.NET's own transformers around one that asks the classifier. For what a
/// transformer needs to be saved and loaded (the members of ModelSaveContext, LoadableClass) is
/// internal to ML.NET's own assemblies; a custom mapping can be loaded by anybody, but keeps no
/// state and has columns of fixed types. So the model itself is a text that a value mapping keeps,
/// and the columns are made of the mapping's texts.
/// </para>
/// </summary>
public sealed class LoraTextTransformer : ITransformer
{
    internal const string PredictedLabel = "PredictedLabel", Score = "Score";

    private const string Key = "LoraText.Key";

    private readonly ITransformer chain;

    internal LoraTextTransformer(string text, string model, IReadOnlyList<string> classes)
    {
        var ml = new MLContext();
        // a chain is fitted on any row that has a text
        var row = ml.Data.LoadFromEnumerable<Empty>([]);
        var steps = new EstimatorChain<ITransformer>()
            .Append(ml.Transforms.Expression(Key, "x => \"model\"", text))
            .Append(ml.Transforms.Conversion.MapValue(LoraTextMapping.Input.ModelName,
                [KeyValuePair.Create("model", model)], Key))
            .Append(ml.Transforms.CopyColumns(LoraTextMapping.Input.TextName, text))
            .Append(ml.Transforms.CustomMapping<LoraTextMapping.Input, LoraTextMapping.Output>(
                LoraTextMapping.Answer, LoraTextMapping.Contract))
            .Append(ml.Transforms.Conversion.MapValueToKey(PredictedLabel, LoraTextMapping.Output.LabelName,
                keyData: ml.Data.LoadFromEnumerable(classes.Select(name => new Class { Name = name }))));
        string[] scores = [.. classes.Select(name => $"LoraText.{name}")];
        IEstimator<ITransformer> all = steps;
        foreach (var (i, name) in scores.Index())
        {
            var first = i * LoraTextMapping.ScoreWidth;
            all = all.Append(ml.Transforms.Expression(name, string.Create(CultureInfo.InvariantCulture,
                $"x => single(mid(x, {first}, {first + LoraTextMapping.ScoreWidth}))"),
                LoraTextMapping.Output.ScoresName));
        }
        all = all.Append(ml.Transforms.Concatenate(Score, scores)).Append(ml.Transforms.DropColumns(
            [Key, LoraTextMapping.Input.ModelName, LoraTextMapping.Input.TextName, LoraTextMapping.Output.LabelName,
                LoraTextMapping.Output.ScoresName, .. scores]));
        chain = all.Fit(ml.Transforms.CopyColumns(text, nameof(Empty.Text)).Fit(row).Transform(row));
    }

    /// <summary>Whether a row's answer depends on the row alone: it does.</summary>
    public bool IsRowToRowMapper => chain.IsRowToRowMapper;

    /// <summary>The columns of the output.</summary>
    /// <param name="inputSchema">With the column of texts.</param>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => chain.GetOutputSchema(inputSchema);

    /// <summary>What answers row by row.</summary>
    /// <param name="inputSchema">With the column of texts.</param>
    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => chain.GetRowToRowMapper(inputSchema);

    /// <summary>Answers the rows, as they are asked for.</summary>
    /// <param name="input">With the column of texts.</param>
    public IDataView Transform(IDataView input) => chain.Transform(input);

    /// <summary>Saves it, for mlContext.Model.Save.</summary>
    /// <param name="ctx">From there.</param>
    void ICanSaveModel.Save(ModelSaveContext ctx) => chain.Save(ctx);

    private sealed class Empty
    {
        public string Text { get; set; } = "";
    }

    private sealed class Class
    {
        public string Name { get; set; } = "";
    }
}
