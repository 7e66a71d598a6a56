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
                + "line 5: 'text' is blank; line 6: 'label' is empty. Complete or remove these 5 rows; option 'empty' "
                + "skip leaves rows without a text out."));
        Assert.That(() => TextCorpus.Load([path], []), Throws.TypeOf<InputException>().With.Message
            .StartsWith($"{path}, line 2: 'text' is empty; line 4: 'text' is null; line 5: 'text' is blank."));
        Assert.That(() => TextDataset.Load(path, options: new DatasetOptions { EmptyTexts = EmptyTexts.Skip }),
            Throws.TypeOf<InputException>().With.Message.EqualTo($"{path}, line 3: 'label' is null; line 6: 'label' is "
                + "empty. Complete or remove these 2 rows."));
    }

    [Test]
    public void Twenty_of_many_are_named()
    {
        var path = folder.Write("data.csv", "text,label\na,0\n" + string.Concat(Enumerable.Repeat(",1\n", 30)));
        Assert.That(() => TextDataset.Load(path), Throws.TypeOf<InputException>().With.Message
            .Contains("line 22: 'text' is empty; and 10 more. Complete or remove these 30 rows")
            .And.Message.Not.Contains("line 23"));
    }

    [Test]
    public void They_are_left_out_where_asked_and_that_is_said()
    {
        var path = folder.Write("data.csv", "text,label\na,0\n,1\nb,1\n  ,1\n");
        var options = new DatasetOptions { EmptyTexts = EmptyTexts.Skip, Notes = notes.Add };
        Assert.That(TextDataset.Load(path, options: options).Examples.Select(e => e.Origin),
            Is.EqualTo(new[] { "line 2", "line 4" }));
        Assert.That(TextCorpus.Load([path], [], options).Texts, Is.EqualTo(new[] { "a", "b" }));
        Assert.That(notes, Is.EqualTo(Enumerable.Repeat($"{path}: 2 rows without a text left out: line 3, line 5", 2)));
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
        var skip = new DatasetOptions { EmptyTexts = EmptyTexts.Skip };
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
        var keep = new DatasetOptions { EmptyTexts = EmptyTexts.Keep };
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
