using LoraScratch.Engine;
using LoraScratch.Lora.Data;

namespace LoraScratch.Tests.Text;

/// <summary>
/// How a .csv or .tsv is written where nobody says it: what is decided is said, and rows never
/// become one in silence.
/// </summary>
public class DelimitedFormatTests
{
    private TemporaryFolder folder = null!;
    private List<string> notes = null!;

    [SetUp]
    public void MakeFolder() => (folder, notes) = (new TemporaryFolder(), []);

    [TearDown]
    public void DeleteFolder() => folder.Dispose();

    private List<string> Texts(string name, string content, DatasetOptions? options = null) =>
        [.. TextDataset.ReadTexts(folder.Write(name, content),
            (options ?? new DatasetOptions()) with { Notes = notes.Add }).Select(example => example.Text)];

    [TestCase("data.csv", "text;label\na, b;0\n", "separated by ';'")]
    [TestCase("data.csv", "text\tlabel\na, b\t0\n", "separated by tabs")]
    [TestCase("data.tsv", "label|text\n0|a, b\n", "separated by '|'")]
    public void A_separator_that_the_header_line_shows_is_said(string name, string content, string said)
    {
        Assert.That(Texts(name, content), Is.EqualTo(new[] { "a, b" }));
        Assert.That(notes.Single(), Does.Contain(name).And.Contain(said).And.Contain("option 'separator'"));
    }

    [Test]
    public void A_separator_that_is_given_is_taken()
    {
        Assert.That(Texts("data.csv", "text;label,more\na,b;c\n", new DatasetOptions { Separator = ';' }),
            Is.EqualTo(new[] { "a,b" }));
        Assert.That(() => Texts("data.csv", "text,label\na,b\n", new DatasetOptions { Separator = ';' }),
            Throws.TypeOf<InputException>().With.Message.Contains("no column 'text'; the header line has: text,label"));
        Assert.That(notes, Is.Empty);
    }

    [TestCase("a,0\nb,1\n", null, "a|b")]
    [TestCase("0,a\n1,b\n", "2", "a|b")]
    [TestCase("text,label\nb,1\n", "1", "text|b")]
    public void Without_a_header_line_columns_are_numbers(string content, string? column, string texts) =>
        Assert.That(Texts("data.csv", content, new DatasetOptions { HasHeader = false, TextColumn = column }),
            Is.EqualTo(texts.Split('|')));

    [Test]
    public void Without_a_header_line_labels_are_in_the_second_column()
    {
        var data = TextDataset.Load(folder.Write("data.csv", "a,0\nb,1\n"),
            options: new DatasetOptions { HasHeader = false });
        Assert.That(data.Examples, Is.EqualTo(new TextExample[]
        {
            new("a", 0, "line 1") { Line = 1 }, new("b", 1, "line 2") { Line = 2 },
        }));
    }

    [TestCase("text", "a,0\n", "option 'text-column' is 'text'", "a number from 1 to 2")]
    [TestCase("3", "a,0\n", "option 'text-column' is '3'", "its first line has 2 fields")]
    [TestCase("1", "a,0\nb\n", "line 2: 1 field, but the first line has 2", "")]
    [TestCase("1", "", "the file is empty", "")]
    public void Without_a_header_line_a_wrong_column_is_refused(string column, string content, string first,
        string second) => Assert.That(
            () => Texts("data.csv", content, new DatasetOptions { HasHeader = false, TextColumn = column }),
            Throws.TypeOf<InputException>().With.Message.Contains(first).And.Message.Contains(second));

    /// <summary>
    /// As GLUE's, UCI's and ML.NET's files are: a quote is a character, wherever it stands.
    /// </summary>
    [TestCase("data.tsv", "good\t1\n\"not good\t0\nbad\t0\nloved it\"\t1\n", "good|\"not good|bad|loved it\"",
        "line 3 would become one row with the lines to 5")]
    [TestCase("data.tsv", "good\t1\n\"great\" was the ending\t1\n", "good|\"great\" was the ending",
        "in line 3 field 1 begins with a quote and goes on")]
    [TestCase("data.tsv", "\"not good\t0\nbad\t0\n", "\"not good|bad",
        "in line 2 field 1 begins with a quote and is not")]
    [TestCase("data.csv", "\"great\" was the ending,1\nbad,0\n", "\"great\" was the ending|bad", "in line 2 field 1")]
    [TestCase("data.csv", "\"not good,1\nbad,0\n", "\"not good|bad", "in line 2 field 1")]
    public void Where_only_one_reading_fits_quotes_are_characters_and_that_is_said(
        string name, string rows, string texts, string said)
    {
        Assert.That(Texts(name, (name.EndsWith("tsv", StringComparison.Ordinal) ? "text\tlabel\n" : "text,label\n")
            + rows), Is.EqualTo(texts.Split('|')));
        Assert.That(notes.Single(), Does.Contain($"{name}: quotes are read as characters").And.Contain(said)
            .And.Contain("option 'quoting' standard"));
    }

    [TestCase("text,label\ngood,1\n\"not good,0\nbad,0\ngood,1\nloved it\",1\nbad,0\n", 3, 6)]
    [TestCase("text,label\n\"not good,0\nloved it\",1\nbad,0\n", 2, 3)]
    [TestCase("id,label,text\n7,1,good\n8,0,\"not good\n9,1,loved it\"\n", 3, 4)]
    [TestCase("label,text\r1,good\r0,\"not good\r1,loved it\"\r", 3, 4)]
    public void Rows_of_a_csv_that_stray_quotes_would_make_one_are_refused_until_somebody_says_which(
        string content, int first, int last)
    {
        Assert.That(() => Texts("data.csv", content), Throws.TypeOf<InputException>().With.Message
            .Contains($"line {first}: a field that begins with a quote here ends in line {last}")
            .And.Message.Contains("option 'quoting' none").And.Message.Contains("option 'quoting' standard"));
        var lines = content.Split('\n', '\r').Length - 2;
        Assert.That(Texts("data.csv", content, new DatasetOptions { Quoting = Quoting.None }),
            Has.Count.EqualTo(lines));
        Assert.That(Texts("data.csv", content, new DatasetOptions { Quoting = Quoting.Standard }),
            Has.Count.EqualTo(lines - (last - first)));
        Assert.That(notes, Is.Empty, "what is given is not said");
    }

    [TestCase("data.csv", "text,label\n\"Dear all, hi\nthanks\",1\n\"no\nway\",0\n", "Dear all, hi\nthanks|no\nway",
        "2 rows with line breaks between quotes, the first from line 2 to 3")]
    [TestCase("data.csv", "text\n\"Dear all\nthanks\"\n", "Dear all\nthanks", "1 row with line breaks")]
    [TestCase("data.tsv", "text\tlabel\n\"two\nlines\"\t0\n", "two\nlines", "1 row with line breaks")]
    [TestCase("data.csv", "text,label\n\"a, b\",1\n\"not good,0\nbad\",0\n", "a, b|not good,0\nbad",
        "from line 3 to 4")]
    public void Texts_with_line_breaks_are_read_and_counted(string name, string content, string texts, string said)
    {
        Assert.That(Texts(name, content), Is.EqualTo(texts.Split('|')));
        Assert.That(notes.Single(), Does.Contain(said).And.Contain("option 'quoting' none"));
    }

    [Test]
    public void A_tsv_of_pandas_is_read_without_a_word()
    {
        const string Content = "text\tlabel\n\"she said \"\"no\"\"\"\t1\n5\" disk\t0\n\"a\tb\"\t0\n";
        Assert.That(Texts("data.tsv", Content), Is.EqualTo(new[] { "she said \"no\"", "5\" disk", "a\tb" }));
        Assert.That(notes, Is.Empty);
    }

    [Test]
    public void A_row_of_another_number_of_fields_says_how_quotes_were_read()
    {
        const string Content = "text,label\n\"a, b\",0\n";
        Assert.That(() => Texts("data.csv", Content, new DatasetOptions { Quoting = Quoting.None }),
            Throws.TypeOf<InputException>().With.Message.Contains("line 2: 3 fields, but the header has 2: text, label")
            .And.Message.Contains("option 'quoting' standard"));
    }

    [TestCase("data.tsv", 26, "line 8 would become one row with the lines to 15")]
    [TestCase("words.tsv", 13, "in line 8 field 1 begins with a quote and goes on after the closing one")]
    [TestCase("good.tsv", 6, null)]
    public void A_real_tsv_without_quoting_loses_no_row(string name, int rows, string? said)
    {
        var data = TextDataset.Load(RealData.Path("cases/tsv-unquoted/" + name),
            options: new DatasetOptions { TextColumn = name == "good.tsv" ? "text" : "sentence", Notes = notes.Add });
        Assert.That(data.Examples, Has.Count.EqualTo(rows));
        Assert.That(notes, said is null ? Is.Empty : Has.One.Contains(said));
        Assert.That(name == "data.tsv" ? data.CountPerLabel() : [13, 13], Is.EqualTo(new[] { 13, 13 }));
    }
}
