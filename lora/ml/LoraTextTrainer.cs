using LoraScratch.Engine;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Training;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace LoraScratch.ML;

/// <summary>
/// Fine-tunes a text classifier on the rows of a data view; from
/// <see cref="LoraTextCatalog.LoraText"/>.
/// </summary>
public sealed class LoraTextTrainer : IEstimator<LoraTextTransformer>
{
    private readonly string label, text;
    private readonly string? model;
    private readonly TrainingOptions options;
    private readonly IProgress<TrainingProgress>? progress;
    private readonly CancellationToken cancellation;

    internal LoraTextTrainer(string label, string text, string? model, TrainingOptions? options,
        IProgress<TrainingProgress>? progress, CancellationToken cancellation)
    {
        (this.label, this.text, this.model) = (label, text, model);
        (this.options, this.progress, this.cancellation) = (options ?? new TrainingOptions(), progress, cancellation);
    }

    /// <summary>Trains.</summary>
    /// <param name="input">With the columns of text and label.</param>
    /// <exception cref="InputException">
    /// A column is missing or of another type, a row has no label, or the options make no sense.
    /// </exception>
    public LoraTextTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        var (classes, labels) = Labels(input);
        var texts = input.GetColumn<string>(Require(input.Schema, text, isText: true)).ToList();
        var data = new TextDataset(texts.Zip(labels), "the data view");
        classes ??= data.Classes;
        using var classifier = model is null ? TextClassifier.BuiltIn(classes, options.Seed)
            : TextClassifier.Load(model, classes, seed: options.Seed, newHead: true);
        var tuning = FineTuning.Start(classifier, data, options, cancellation);
        tuning.Run(progress, cancellation);
        return new LoraTextTransformer(text, SavedModel.Of(tuning, isBuiltIn: model is null), classes);
    }

    /// <summary>PredictedLabel, a key with the names of its values, and Score, a vector.</summary>
    /// <param name="inputSchema">With the column of texts.</param>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        // estimators that have columns of these shapes: those of others cannot be made by hand
        var conversion = new MLContext().Transforms.Conversion;
        return conversion.MapValueToKey(LoraTextTransformer.PredictedLabel, text)
            .Append(conversion.MapKeyToVector(LoraTextTransformer.Score, LoraTextTransformer.PredictedLabel))
            .GetOutputSchema(inputSchema);
    }

    /// <summary>
    /// The label of each row, and the classes in the order of the key's values; of texts the
    /// classes are those of the data.
    /// </summary>
    private (IReadOnlyList<string>? Classes, IEnumerable<string> Labels) Labels(IDataView input)
    {
        var column = Require(input.Schema, label, isText: false);
        if (column.Type is not KeyDataViewType)
        {
            return (null, input.GetColumn<string>(column));
        }
        VBuffer<ReadOnlyMemory<char>> values = default;
        column.GetKeyValues(ref values);
        string[] names = [.. values.DenseValues().Select(name => name.ToString())];
        return (names, input.GetColumn<uint>(column).Select((key, row) => key > 0 ? names[key - 1]
            : throw new InputException($"The data view: row {row} has no label (column '{label}'). Filter such rows "
                + "out.")));
    }

    private static DataViewSchema.Column Require(DataViewSchema schema, string name, bool isText)
    {
        var column = schema.GetColumnOrNull(name) ?? throw new InputException($"The data view has no column '{name}'; "
            + $"its columns are {string.Join(", ", schema.Select(each => each.Name))}.");
        var fits = column.Type is TextDataViewType || !isText && column.Type is KeyDataViewType
            && column.Annotations.Schema.GetColumnOrNull("KeyValues")?.Type is VectorDataViewType
            {
                ItemType: TextDataViewType
            };
        return fits ? column : throw new InputException($"The data view: column '{name}' is of type {column.Type}; "
            + $"expected texts{(isText ? "" : ", or a key with names (Conversion.MapValueToKey)")}.");
    }
}
