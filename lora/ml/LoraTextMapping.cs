using System.Globalization;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace LoraScratch.ML;

/// <summary>
/// Asks a classifier about a text; ML.NET finds it by the contract's name when it loads a model.
/// </summary>
[CustomMappingFactoryAttribute(Contract)]
internal sealed class LoraTextMapping : CustomMappingFactory<LoraTextMapping.Input, LoraTextMapping.Output>
{
    /// <summary>The name in saved models.</summary>
    public const string Contract = "LoraScratch.ML.LoraText";

    /// <summary>Characters of a probability, such as "9.87654321E-001".</summary>
    public const int ScoreWidth = 15;

    /// <inheritdoc/>
    public override Action<Input, Output> GetMapping() => Answer;

    /// <summary>The label and the probabilities of a text.</summary>
    public static void Answer(Input input, Output output)
    {
        var prediction = SavedModel.Load(input.Model).Predict(input.Text.ToString());
        output.Label = prediction.Label;
        output.Scores = string.Concat(prediction.Probabilities.Values.Select(value =>
            value.ToString("E8", CultureInfo.InvariantCulture)));
    }

    /// <summary>What it reads.</summary>
    internal sealed class Input
    {
        /// <summary>Name of the column of texts.</summary>
        public const string TextName = "LoraText.Text";

        /// <summary>Name of the column with the model in each row.</summary>
        public const string ModelName = "LoraText.Model";

        /// <summary>The text.</summary>
        [ColumnName(TextName)]
        public ReadOnlyMemory<char> Text { get; set; }

        /// <summary>See <see cref="SavedModel"/>.</summary>
        [ColumnName(ModelName)]
        public ReadOnlyMemory<char> Model { get; set; }
    }

    /// <summary>What it gives.</summary>
    internal sealed class Output
    {
        /// <summary>Name of the column with the name of the class.</summary>
        public const string LabelName = "LoraText.Label";

        /// <summary>Name of the column with all probabilities, by the order of classes.</summary>
        public const string ScoresName = "LoraText.Scores";

        /// <summary>The name of the class.</summary>
        [ColumnName(LabelName)]
        public string Label { get; set; } = "";

        /// <summary>Probabilities, <see cref="ScoreWidth"/> characters each.</summary>
        [ColumnName(ScoresName)]
        public string Scores { get; set; } = "";
    }
}
