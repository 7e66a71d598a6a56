using LoraScratch.Engine;
using LoraScratch.Engine.Optim;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Tokenizers;
using LoraScratch.Lora.Training;
using static LoraScratch.Tests.Lora.ReferenceNumbers;

namespace LoraScratch.Tests.Lora;

/// <summary>Texts of which any number of classes may hold.</summary>
internal class MultiLabelTests
{
    private static readonly int[][] Sets = [[0, 2], [], [1], [0, 1, 2]];

    private static EncodedExample[] Examples =>
        [.. TinyDistilBert.Texts.Zip(Sets,
            (ids, set) => new EncodedExample(ids, TextExample.NoLabel) { Classes = set })];

    private static TextClassifier Classifier()
    {
        var model = new EncoderForSequenceClassification(TinyDistilBert.Config with { IsMultiLabel = true });
        TinyDistilBert.Fill(model);
        return new TextClassifier(model, WordPieceTokenizer.FromVocabulary(TinyDistilBert.Vocabulary));
    }

    [Test]
    public void Losses_and_LoRA_weights_of_AdamW_steps_equal_PyTorchs()
    {
        var expected = ReferenceNumbers.Load("multilabel.json");
        var classifier = Classifier();
        var adapter = TinyDistilBert.Adapt(classifier.Model);
        ITrainingTask task = new ClassificationTask(classifier, adapter, new TrainingOptions());
        using var optimizer = new AdamW(classifier.Model.TrainableParameters(), 0.02f, weightDecay: 0.1f);
        var losses = new List<double>();
        for (var step = 0; step < 4; step++)
        {
            optimizer.ZeroGradient();
            // in two batches: their losses weigh as many examples as they have
            using var loss = task.AddGradients(
                [PackedBatch.Of(Examples.AsSpan(0, 3)), PackedBatch.Of(Examples.AsSpan(3))], epoch: 1);
            losses.Add(loss.Item());
            optimizer.Step();
        }
        Assert.That(losses, Is.EqualTo(Numbers(expected.GetProperty("losses"))).Within(1e-5));
        foreach (var (path, layer) in adapter.Layers)
        {
            foreach (var (name, values) in new[] { ("A", layer.Lora.A.ToArray()), ("B", layer.Lora.B.ToArray()) })
            {
                Assert.That(values.Select(value => (double)value), Is.EqualTo(Numbers(
                    expected.GetProperty("weights").GetProperty($"{path}.{name}"))).Within(1e-4), path);
            }
        }
    }

    [Test]
    public void An_evaluation_counts_every_class_by_itself()
    {
        var counts = new EvaluationCounts(3, isMultiLabel: true);
        void Add(int[] truth, params float[] logits) =>
            counts.Add(new EncodedExample([2, 3], TextExample.NoLabel) { Classes = truth }, logits);
        Add([0, 2], 1, -1, 2);                  // right
        Add([], 1, -2, -3);                     // 0 too much
        Add([1], -1, -1, -1);                   // 1 too little
        Add([0, 1], 3, 1, -1);                  // right
        var result = counts.Result(tokens: 8, seconds: 1);
        Assert.That(result.Classes, Is.EqualTo(new ClassScore[] { new(2, 3, 2), new(2, 1, 1), new(1, 1, 1) }));
        Assert.That((result.Count, result.Correct, result.Accuracy), Is.EqualTo((4, 2, 0.5)));
        Assert.That(result.Classes.Select(one => one.Precision), Is.EqualTo(new[] { 2 / 3.0, 1, 1 }).Within(1e-12));
        Assert.That(result.Classes.Select(one => one.Recall), Is.EqualTo(new[] { 1, 0.5, 1 }).Within(1e-12));
        Assert.That(result.Classes.Select(one => one.F1), Is.EqualTo(new[] { 0.8, 2 / 3.0, 1 }).Within(1e-12));
        Assert.That(result.Micro.F1, Is.EqualTo(0.8).Within(1e-12));
        Assert.That(result.MacroF1, Is.EqualTo((0.8 + 2 / 3.0 + 1) / 3).Within(1e-12));
        Assert.That(result.HammingLoss, Is.EqualTo(2 / 12.0).Within(1e-12));
        Assert.That(result.Confusion, Is.Null);
        // BCEWithLogitsLoss of the twelve decisions
        double[] costs = [Cost(-1), Cost(-1), Cost(-2), Cost(1), Cost(-2), Cost(-3), Cost(-1), Cost(1), Cost(-1),
            Cost(-3), Cost(-1), Cost(-1)];
        Assert.That(result.Loss, Is.EqualTo(costs.Average()).Within(1e-12));

        static double Cost(double x) => Math.Log(1 + Math.Exp(x));
    }

    [Test]
    public void An_evaluation_of_one_class_a_text_has_the_same_figures()
    {
        var counts = new EvaluationCounts(2, isMultiLabel: false);
        foreach (var (label, first, second) in new[] { (0, 1f, 0f), (0, 0f, 1f), (1, 0f, 1f), (1, 0f, 2f) })
        {
            counts.Add(new EncodedExample([2, 3], label), [first, second]);
        }
        var result = counts.Result(8, 1);
        Assert.That(result.Confusion, Is.EqualTo(new int[][] { [1, 1], [0, 2] }));
        Assert.That(result.Classes, Is.EqualTo(new ClassScore[] { new(2, 1, 1), new(2, 3, 2) }));
        Assert.That(result.Micro.F1, Is.EqualTo(result.Accuracy).Within(1e-12));
    }

    [Test]
    public void A_prediction_has_a_probability_for_each_class_and_those_above_the_threshold_hold()
    {
        var prediction = new Prediction(0, "a", [2, -2, 0],
            new ClassProbabilities(["a", "b", "c"], [0.88, 0.12, 0.5]))
        {
            IsMultiLabel = true,
        };
        Assert.That(prediction.Labels(), Is.EqualTo(new[] { "a", "c" }));
        Assert.That(prediction.Labels(0.1), Is.EqualTo(new[] { "a", "b", "c" }));
        Assert.That(prediction.Labels(0.9), Is.Empty);
        var asked = Classifier().Predict(["wa wb", "wm"]).First();
        Assert.That(asked.Probabilities.Values, Is.EqualTo(asked.Logits.Select(logit =>
            1 / (1 + Math.Exp(-(double)logit)))).Within(1e-12), "they need not add up to 1");
    }

    [TestCase("a.csv", "text,label\nx,\"b|a\"\ny,\nz,c | a\n", '|')]
    [TestCase("a.csv", "text,label\nx,b;a\ny,\nz,c;a\n", ';')]
    [TestCase("a.jsonl", """
        {"text": "x", "label": ["b", "a", "b"]}
        {"text": "y", "label": []}
        {"text": "z", "label": "c|a"}
        """, '|')]
    public void Several_labels_in_a_cell_are_read(string name, string content, char separator)
    {
        using var folder = new TemporaryFolder();
        var data = TextDataset.Load(folder.Write(name, content), options: new DatasetOptions
        {
            IsMultiLabel = true,
            LabelSeparator = separator,
        });
        Assert.That(data.IsMultiLabel);
        Assert.That(data.Classes, Is.EqualTo(new[] { "a", "b", "c" }));
        Assert.That(data.Examples.Select(example => example.Classes),
            Is.EqualTo(new int[][] { [0, 1], [], [0, 2] }));
        Assert.That(data.CountPerLabel(), Is.EqualTo(new[] { 2, 1, 1 }));
    }

    [Test]
    public void A_column_for_each_class_is_read()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("a.csv", "text,toxic,insult\nx,1,0\ny,0,0\nz,1.0,1\n");
        var options = new DatasetOptions { LabelColumns = ["toxic", "insult"] };
        var data = TextDataset.Load(path, options: options);
        Assert.That(data.Classes, Is.EqualTo(new[] { "toxic", "insult" }), "in the order in which they are given");
        Assert.That(data.Examples.Select(example => example.Classes), Is.EqualTo(new int[][] { [0], [], [0, 1] }));
        Assert.That(() => TextDataset.Load(folder.Write("b.csv", "text,toxic,insult\nx,1,2\n"), options: options),
            Throws.TypeOf<InputException>().With.Message.Contains("line 2: 'insult' is '2'"));
    }

    [TestCase("text,label\nx,a;b\ny,c;a\n", "option 'label-separator', ';' perhaps")]
    [TestCase("text,label\nx,\ny,\n", "no row has a label")]
    public void What_is_no_set_of_labels_is_refused(string content, string message)
    {
        using var folder = new TemporaryFolder();
        Assert.That(() => TextDataset.Load(folder.Write("a.csv", content), options: new DatasetOptions
        {
            IsMultiLabel = true,
        }), Throws.TypeOf<InputException>().With.Message.Contains(message));
    }

    [Test]
    public void A_split_gives_both_parts_their_share_of_the_rarest_class()
    {
        var examples = Enumerable.Range(0, 100).Select(i => new TextExample($"{i}", TextExample.NoLabel, $"line {i}")
        {
            Classes = i % 10 == 0 ? [0, 1] : [0],
        });
        var (train, validation) = new TextDataset(examples, new LabelSet(["common", "rare"]), "data").Split(0.2, 1);
        Assert.That((train.CountPerLabel()[1], validation.CountPerLabel()[1]), Is.EqualTo((8, 2)));
    }

    [Test]
    public void A_config_json_says_the_kind_of_problem_and_keeps_it()
    {
        const string json = """
            {"model_type": "distilbert", "problem_type": "multi_label_classification", "id2label": {"0": "a", "1": "b"}}
            """;
        var config = EncoderConfig.Parse("config.json", System.Text.Encoding.UTF8.GetBytes(json));
        Assert.That(config.IsMultiLabel);
        Assert.That(config.ToJson(), Does.Contain("\"problem_type\": \"multi_label_classification\""));
        Assert.That(() => EncoderConfig.Parse("config.json", System.Text.Encoding.UTF8.GetBytes(
            json.Replace("multi_label", "many_label"))), Throws.TypeOf<InputException>());
    }
}
