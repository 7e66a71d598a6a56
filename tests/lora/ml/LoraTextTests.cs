using LoraScratch.Engine;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Training;
using LoraScratch.ML;
using LoraScratch.Tests.Cli;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace LoraScratch.Tests.Lora;

/// <summary>The trainer in pipelines of ML.NET: what it learns, gives, saves and loads.</summary>
public sealed class LoraTextTests
{
    private static readonly TrainingOptions Options =
        new() { Epochs = 4, LearningRate = 4e-3f, Validation = 0, Seed = 3 };

    private static readonly string[] Questions = ["the film was superb", "awful, boring story", ""];

    private TemporaryFolder folder = null!;
    private MLContext ml = null!;
    private IDataView rows = null!;
    private ITransformer model = null!;

    [OneTimeSetUp]
    public void Fit()
    {
        (folder, ml) = (new TemporaryFolder(), new MLContext(seed: 1));
        var lines = TinyTask.Reviews(60, seed: 1).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        rows = ml.Data.LoadFromEnumerable(lines.Skip(1).Select(line => line.Split(','))
            .Select(cells => new Review { Text = cells[0], Label = cells[1] }).ToList());
        model = ml.Transforms.Conversion.MapValueToKey("Label")
            .Append(ml.MulticlassClassification.Trainers.LoraText(options: Options)).Fit(rows);
    }

    [OneTimeTearDown]
    public void DeleteFolder() => folder.Dispose();

    [Test]
    public void It_learns_and_ML_NET_measures_it()
    {
        var metrics = ml.MulticlassClassification.Evaluate(model.Transform(rows));
        Assert.That(metrics.MicroAccuracy, Is.GreaterThan(0.9));
        Assert.That(metrics.ConfusionMatrix.NumberOfClasses, Is.EqualTo(2));
    }

    /// <summary>The same training without ML.NET gives the same probabilities.</summary>
    [Test]
    public void Its_answers_are_those_of_FineTuning()
    {
        var data = new TextDataset(ml.Data.CreateEnumerable<Review>(rows, reuseRowObject: false)
            .Select(row => (row.Text, row.Label)));
        using var classifier = TextClassifier.BuiltIn(["neg", "pos"], seed: 3);
        FineTuning.Start(classifier, data, Options).Run();
        foreach (var (answer, expected) in Answers(model).Zip(classifier.Predict(Questions)))
        {
            Assert.That(answer.PredictedLabel, Is.EqualTo(expected.LabelId + 1), "keys are counted from 1");
            Assert.That(answer.Score, Is.EqualTo(expected.Probabilities.Values).Within(1e-6));
        }
    }

    [Test]
    public void The_output_has_a_key_with_names_and_a_vector_and_nothing_of_its_own_making()
    {
        var schema = model.GetOutputSchema(rows.Schema);
        Assert.That(schema.Where(column => !column.IsHidden).Select(column => column.Name),
            Is.EqualTo(new[] { "Text", "Label", "PredictedLabel", "Score" }));
        VBuffer<ReadOnlyMemory<char>> names = default;
        schema["PredictedLabel"].GetKeyValues(ref names);
        Assert.That(names.DenseValues().Select(name => $"{name}"), Is.EqualTo(new[] { "neg", "pos" }));
        Assert.That(schema["Score"].Type, Is.InstanceOf<VectorDataViewType>().With.Property("Size").EqualTo(2));
    }

    [Test]
    public void A_saved_model_answers_as_before_in_another_context()
    {
        ml.Model.Save(model, rows.Schema, folder.File("model.zip"));
        var other = new MLContext();
        var loaded = other.Model.Load(folder.File("model.zip"), out var schema);
        Assert.That(schema.Select(column => column.Name), Is.EqualTo(new[] { "Text", "Label" }));
        Assert.That(Answers(loaded).Select(answer => (answer.PredictedLabel, answer.Score[0], answer.Score[1])),
            Is.EqualTo(Answers(model).Select(answer => (answer.PredictedLabel, answer.Score[0], answer.Score[1]))));
        using var engine = other.Model.CreatePredictionEngine<Review, Answer>(loaded);
        Assert.That(engine.Predict(new Review { Text = Questions[0], Label = "neg" }).Score,
            Is.EqualTo(Answers(model)[0].Score));
    }

    /// <summary>ML.NET counts keys as they come, the data set sorts its classes.</summary>
    [Test]
    public void The_classes_are_in_the_order_of_the_key()
    {
        var reversed = ml.Data.LoadFromEnumerable(ml.Data.CreateEnumerable<Review>(rows, reuseRowObject: false)
            .Reverse().ToList());
        var other = ml.Transforms.Conversion.MapValueToKey("Label")
            .Append(ml.MulticlassClassification.Trainers.LoraText(options: Options)).Fit(reversed);
        VBuffer<ReadOnlyMemory<char>> names = default;
        other.GetOutputSchema(rows.Schema)["PredictedLabel"].GetKeyValues(ref names);
        Assert.That(names.DenseValues().Select(name => $"{name}"), Is.EqualTo(new[] { "pos", "neg" }));
        var metrics = ml.MulticlassClassification.Evaluate(other.Transform(reversed));
        Assert.That(metrics.MicroAccuracy, Is.GreaterThan(0.9));
        Assert.That(Answers(other)[0].PredictedLabel, Is.EqualTo(1), "superb");
    }

    [Test]
    public void A_model_of_a_folder_is_saved_whole()
    {
        using var task = new TinyTask("bert");
        var trainer = ml.MulticlassClassification.Trainers.LoraText("Label", "Text", task.Model,
            new TrainingOptions { MaxSteps = 2, Validation = 0, MaxLength = 16 });
        var tuned = trainer.Fit(rows);
        ml.Model.Save(tuned, rows.Schema, folder.File("whole.zip"));
        var before = Answers(tuned);
        Directory.Delete(task.Model, recursive: true);
        Assert.That(Answers(new MLContext().Model.Load(folder.File("whole.zip"), out _))
            .SelectMany(answer => answer.Score), Is.EqualTo(before.SelectMany(answer => answer.Score)));
    }

    [Test]
    public void A_column_that_is_missing_or_of_another_type_is_named()
    {
        var trainers = ml.MulticlassClassification.Trainers;
        Assert.That(() => trainers.LoraText(textColumnName: "Body").Fit(rows), Throws.TypeOf<InputException>().With
            .Message.EqualTo("The data view has no column 'Body'; its columns are Text, Label."));
        var numbers = ml.Data.LoadFromEnumerable(new[] { new { Text = "a film", Label = 1f } });
        Assert.That(() => trainers.LoraText().Fit(numbers), Throws.TypeOf<InputException>().With.Message
            .Contains("column 'Label' is of type Single; expected texts, or a key with names"));
    }

    private List<Answer> Answers(ITransformer transformer) => [.. ml.Data.CreateEnumerable<Answer>(
        transformer.Transform(ml.Data.LoadFromEnumerable(Questions.Select(text => new Review
        {
            Text = text, Label = "neg",
        }))), reuseRowObject: false)];

    private sealed class Review
    {
        public string Text { get; set; } = "";

        public string Label { get; set; } = "";
    }

    private sealed class Answer
    {
        [KeyType(2)]
        public uint PredictedLabel { get; set; }

        public float[] Score { get; set; } = [];
    }
}
