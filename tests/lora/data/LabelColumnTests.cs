using LoraScratch.Engine;
using LoraScratch.Lora.Data;

namespace LoraScratch.Tests.Text;

/// <summary>What labels mean is decided for a whole file, by one rule.</summary>
public class LabelColumnTests
{
    private TemporaryFolder folder = null!;
    private List<string> notes = null!;

    [SetUp]
    public void MakeFolder() => (folder, notes) = (new TemporaryFolder(), []);

    [TearDown]
    public void DeleteFolder() => folder.Dispose();

    private TextDataset Load(string labels, params string[] classes) => TextDataset.Load(
        folder.Write("data.csv", "text,label\n" + string.Concat(labels.Split('|').Select(label => $"word,{label}\n"))),
        options: new DatasetOptions { Notes = notes.Add, Labels = classes.Length > 0 ? new LabelSet(classes) : null });

    [TestCase("1|0|1", "0,1", "1,0,1")]
    [TestCase("5|1|3", "1,3,5", "2,0,1")]
    [TestCase("10|9|-1", "-1,9,10", "2,1,0")]
    [TestCase("spam|ham|3", "3,ham,spam", "2,1,0")]
    [TestCase("1|2|x", "1,2,x", "0,1,2")]
    [TestCase("20000000000|3", "3,20000000000", "1,0")]
    public void The_classes_of_a_file_are_its_labels_as_numbers_or_else_as_names(
        string labels, string classes, string indices)
    {
        var data = Load(labels);
        Assert.That(string.Join(',', data.Labels.Names), Is.EqualTo(classes));
        Assert.That(string.Join(',', data.Examples.Select(example => example.Label)), Is.EqualTo(indices));
        Assert.That(notes, Is.Empty);
    }

    [TestCase("1.0|0.0", "0,1")]
    [TestCase("1|0|1.0", "0,1")]
    [TestCase("02|2|1e0", "1,2")]
    public void Numbers_of_pandas_are_the_whole_numbers_that_they_were(string labels, string classes)
    {
        Assert.That(string.Join(',', Load(labels).Labels.Names), Is.EqualTo(classes));
        Assert.That(notes.Single(), Does.Contain("data.csv: the labels are read as whole numbers: '"));
    }

    [TestCase("1.0|0.0", "1,0")]
    [TestCase("1|0", "1,0")]
    public void They_may_be_the_indices_of_given_classes_and_that_is_said(string labels, string indices)
    {
        Assert.That(string.Join(',', Load(labels, "neg", "pos").Examples.Select(example => example.Label)),
            Is.EqualTo(indices));
        Assert.That(notes[^1],
            Does.Contain("data.csv: the labels are read as indices of the classes: 0 = neg, 1 = pos"));
    }

    [TestCase("2|1", "1,0", "1", "2")]
    [TestCase("2.0|1.0", "1,0", "1", "2")]
    [TestCase("1.0|x", "0,1", "1.0", "x")]
    [TestCase("pos|neg|pos", "1,0,1", "neg", "pos")]
    public void A_name_of_a_class_is_no_index(string labels, string indices, params string[] classes) =>
        Assert.That(string.Join(',', Load(labels, classes).Examples.Select(example => example.Label)),
            Is.EqualTo(indices));

    [TestCase("pos|great", "line 3: the label 'great' is unknown; the classes are: 0 = neg, 1 = pos", "neg", "pos")]
    [TestCase("0|2", "line 3: the label '2' is unknown; the classes are: 0 = neg, 1 = pos", "neg", "pos")]
    [TestCase("1|-1", "line 3: the label '-1' is unknown", "neg", "pos")]
    [TestCase("pos|1", "line 3: the label '1' is an index of a class, and in other rows there are names", "neg", "pos")]
    [TestCase("1|0", "line 3: the label '0' is unknown; the classes are: 0 = 1, 1 = 2", "1", "2")]
    public void A_label_that_is_no_class_is_refused(string labels, string expected, params string[] classes) =>
        Assert.That(() => Load(labels, classes), Throws.TypeOf<InputException>().With.Message.Contains(expected));

    [TestCase("0|0")]
    [TestCase("1|1|1")]
    [TestCase("1")]
    [TestCase("spam|spam")]
    public void One_class_is_too_few_whatever_its_name(string labels)
    {
        Assert.That(() => Load(labels), Throws.TypeOf<InputException>().With.Message.Contains("data.csv: all labels of "
            + $"the column 'label' are '{labels.Split('|')[0]}'; a classifier needs examples of at least two classes"));
        Assert.That(Load(labels, labels.Split('|')[0], "other").Examples, Is.Not.Empty, "unless the model has more");
    }

    [TestCase("3.5|4|1", "line 2: the label '3.5' is a number that is not whole")]
    [TestCase("0|0.25", "line 3: the label '0.25' is a number that is not whole")]
    public void Regression_is_refused_by_name(string labels, string expected) =>
        Assert.That(() => Load(labels),
            Throws.TypeOf<InputException>().With.Message.Contains(expected).And.Message.Contains("regression"));

    [Test]
    public void A_column_with_many_labels_is_doubted()
    {
        Load(string.Join('|', Enumerable.Range(0, 300).Select(i => $"class {i}")));
        Assert.That(notes.Single(), Does.Contain("300 classes for 300 rows. Is 'label' the label column?"));
    }

    [Test]
    public void A_column_of_something_else_is_refused() =>
        Assert.That(() => Load(string.Join('|', Enumerable.Range(0, 10_001))), Throws.TypeOf<InputException>()
            .With.Message.Contains("has 10,001 distinct labels").And.Message.Contains("Is it the label column?"));

    [Test]
    public void A_data_set_takes_other_classes_by_name_or_by_index()
    {
        var data = Load("1|0|1");
        Assert.That(data.WithClasses(new LabelSet(["neg", "pos"]))!.Examples.Select(e => e.Label),
            Is.EqualTo(new[] { 1, 0, 1 }));
        Assert.That(data.WithClasses(new LabelSet(["1", "0"]))!.Examples.Select(e => e.Label),
            Is.EqualTo(new[] { 0, 1, 0 }));
        Assert.That(data.WithClasses(new LabelSet(["1", "2"])), Is.Null, "0 would be the index of 1");
        Assert.That(Load("a|b").WithClasses(LabelSet.Sentiment), Is.Null);
    }

    [TestCase("zeros.csv", "0")]
    [TestCase("ones.csv", "1")]
    [TestCase("one-row.csv", "1")]
    public void A_real_file_of_one_class_is_refused_by_its_name(string name, string label)
    {
        var path = RealData.Path("cases/one-class/" + name);
        Assert.That(() => TextDataset.Load(path), Throws.TypeOf<InputException>().With.Message
            .Contains($"{name}: all labels of the column 'label' are '{label}'"));
    }
}
