using LoraScratch.Engine;
using LoraScratch.Lora.Data;

namespace LoraScratch.Tests.Text;

/// <summary>
/// Rows without a text or a label are named all at once, or left out where asked.
/// </summary>
public class IncompleteRowTests
{
    private TemporaryFolder folder = null!;
    private List<string> notes = null!;

    [SetUp]
    public void MakeFolder() => (folder, notes) = (new TemporaryFolder(), []);

    [TearDown]
    public void DeleteFolder() => folder.Dispose();

    [Test]
    public void All_rows_are_named_with_what_they_lack()
    {
        var path = folder.Write("data.jsonl", """
            {"text": "good", "label": 1}
            {"text": "", "label": 1}
            {"text": "bad", "label": null}
            {"text": null, "label": 0}
            {"text": " \t", "label": 0}
            {"text": "bad", "label": ""}
            """);
        Assert.That(() => TextDataset.Load(path), Throws.TypeOf<InputException>().With.Message
            .EqualTo($"{path}, line 2: 'text' is empty; line 3: 'label' is null; line 4: 'text' is null; "
                + "line 5: 'text' is blank; line 6: 'label' is empty. Complete or remove these 5 rows, 3 without a "
                + "text and 2 without a label; option 'empty' skip leaves them out."));
        Assert.That(() => TextCorpus.Load([path], []), Throws.TypeOf<InputException>().With.Message
            .StartsWith($"{path}, line 2: 'text' is empty; line 4: 'text' is null; line 5: 'text' is blank."));
        var data = TextDataset.Load(path, options: new DatasetOptions
        {
            EmptyRows = EmptyRows.Skip,
            Labels = new LabelSet(["0", "1"]),
            Notes = notes.Add,
        });
        Assert.That(data.Examples.Select(example => example.Origin), Is.EqualTo(new[] { "line 1" }));
        Assert.That(notes, Is.EqualTo(new[]
        {
            $"{path}: 3 rows without a text left out: line 2, line 4, line 5",
            $"{path}: 2 rows without a label left out: line 3, line 6",
        }));
    }

    [Test]
    public void Five_of_many_are_named()
    {
        var path = folder.Write("data.csv", "text,label\na,0\n" + string.Concat(Enumerable.Repeat(",1\n", 30)));
        Assert.That(() => TextDataset.Load(path), Throws.TypeOf<InputException>().With.Message
            .Contains("line 7: 'text' is empty; and 25 more. Complete or remove these 30 rows;")
            .And.Message.Not.Contains("line 8"));
    }

    [Test]
    public void They_are_left_out_where_asked_and_that_is_said()
    {
        var path = folder.Write("data.csv", "text,label\na,0\n,1\nb,1\n  ,1\n");
        var options = new DatasetOptions { EmptyRows = EmptyRows.Skip, Notes = notes.Add };
        Assert.That(TextDataset.Load(path, options: options).Examples.Select(e => e.Origin),
            Is.EqualTo(new[] { "line 2", "line 4" }));
        Assert.That(TextCorpus.Load([path], [], options).Texts, Is.EqualTo(new[] { "a", "b" }));
        Assert.That(notes, Is.EqualTo(Enumerable.Repeat($"{path}: 2 rows without a text left out: line 3, line 5", 2)));
    }

    [Test]
    public void They_are_counted_for_a_caller_who_decides()
    {
        var path = folder.Write("data.csv",
            "text,label\na,0\n,1\nb,1\nc,\n" + string.Concat(Enumerable.Repeat(",\n", 30)));
        var data = TextDataset.Load(path, options: new DatasetOptions
        {
            EmptyRows = EmptyRows.Report,
            Notes = notes.Add,
        });
        Assert.That((data.Count, data.Incomplete.WithoutText, data.Incomplete.WithoutLabel, data.Incomplete.Count),
            Is.EqualTo((2, 31, 1, 32)));
        Assert.That(data.Incomplete.FirstWithoutText,
            Has.Count.EqualTo(20).And.Member("line 3").And.No.Member("line 5"));
        Assert.That(data.Incomplete.FirstWithoutLabel, Is.EqualTo(new[] { "line 5" }));
        Assert.That(data.Incomplete.Refused().Message, Does
            .Contain("line 3: 'text' is empty; line 5: 'label' is empty; ").And
            .Contain("31 without a text and 1 without a label"));
        Assert.That(notes, Is.Empty);
    }

    [Test]
    public void Where_no_row_is_complete_they_are_named_and_not_the_file_called_empty()
    {
        var path = folder.Write("data.csv", "text,label\na,\n,1\n");
        foreach (var decision in (EmptyRows[])[EmptyRows.Refuse, EmptyRows.Skip, EmptyRows.Report])
        {
            Assert.That(() => TextDataset.Load(path, options: new DatasetOptions { EmptyRows = decision }),
                Throws.TypeOf<InputException>().With.Message
                    .Contains("line 2: 'label' is empty; line 3: 'text' is empty."));
        }
    }

    [Test]
    public void Of_both_halves_of_the_reviews_they_are_counted_together()
    {
        foreach (var review in (string[])["train/pos/0_9", "train/neg/0_1", "test/pos/0_9", "test/neg/1_1"])
        {
            folder.Write($"{review}.txt", "good");
        }
        folder.Write("train/neg/1_1.txt", "");
        folder.Write("test/pos/1_9.txt", " ");
        var data = TextDataset.LoadAll(folder.Root, new DatasetOptions { EmptyRows = EmptyRows.Report });
        Assert.That((data.Count, data.Incomplete.Count), Is.EqualTo((4, 2)));
        Assert.That(data.Incomplete.FirstWithoutText, Is.EqualTo(new[] { "pos/1_9.txt", "neg/1_1.txt" }));
    }

    [Test]
    public void Reviews_without_a_word_are_named_too()
    {
        string[][] reviews = [["pos/0_9", "good"], ["pos/1_9", ""], ["neg/0_1", " "], ["neg/1_1", "bad"]];
        foreach (var review in reviews)
        {
            folder.Write($"train/{review[0]}.txt", review[1]);
        }
        Assert.That(() => TextDataset.Load(folder.Root), Throws.TypeOf<InputException>().With.Message
            .Contains("neg/0_1.txt: 'text' is blank; pos/1_9.txt: 'text' is empty. Complete"));
        var skip = new DatasetOptions { EmptyRows = EmptyRows.Skip };
        Assert.That(TextDataset.Load(folder.Root, options: skip).Examples, Has.Count.EqualTo(2));
    }

    [Test]
    public void Where_they_are_kept_an_empty_text_is_a_text_and_null_is_none()
    {
        var path = folder.Write("data.jsonl", """
            {"text": ""}
            {"text": " "}
            {"text": null}
            """);
        var keep = new DatasetOptions { EmptyRows = EmptyRows.Keep };
        using var texts = TextDataset.ReadTexts(path, keep).GetEnumerator();
        Assert.That((texts.MoveNext(), texts.Current.Text, texts.MoveNext(), texts.Current.Text),
            Is.EqualTo((true, "", true, " ")));
        Assert.That(() => texts.MoveNext(),
            Throws.TypeOf<InputException>().With.Message.Contains("line 3: 'text' is null"));
    }

    [Test]
    public void A_real_file_with_nulls_says_so()
    {
        var path = RealData.Path("cases/null-label/data.jsonl");
        Assert.That(() => TextDataset.Load(path), Throws.TypeOf<InputException>().With.Message
            .Contains("data.jsonl, line 2: 'label' is null; line 3: 'text' is null."));
    }
}
