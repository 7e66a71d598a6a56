using System.Formats.Tar;
using System.Text;
using LoraScratch.Engine;
using LoraScratch.Lora.Data;

namespace LoraScratch.Tests.Text;

public class CompressedFileTests
{
    private TemporaryFolder folder = null!;

    [SetUp]
    public void MakeFolder() => folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => folder.Dispose();

    // Letters drawn at random, so that the compressed file has many bytes to cut at.
    private static byte[] Rows()
    {
        var random = new Random(3);
        var rows = Enumerable.Range(0, 500)
            .Select(i =>
                $"{i % 2},{string.Concat(Enumerable.Range(0, 40).Select(_ => (char)('a' + random.Next(26))))}\n");
        return Encoding.UTF8.GetBytes("label,text\n" + string.Concat(rows));
    }

    [Test]
    public void A_compressed_file_gives_the_same_rows_in_one_member_or_two()
    {
        var rows = Rows();
        var plain = TextDataset.Load(folder.Write("plain.csv", rows));
        var one = TextDataset.Load(folder.Write("one.csv.gz", TemporaryFolder.GZip(rows)));
        var two = TextDataset.Load(
            folder.Write("two.csv.gz", [.. TemporaryFolder.GZip(rows[..7000]), .. TemporaryFolder.GZip(rows[7000..])]));
        Assert.That(one.Examples, Is.EqualTo(plain.Examples));
        Assert.That(two.Examples, Is.EqualTo(plain.Examples));
    }

    [Test]
    public void A_compressed_file_cut_anywhere_is_refused()
    {
        var whole = TemporaryFolder.GZip(Rows());
        foreach (var length in Enumerable.Range(0, 40).Select(i => i * whole.Length / 40)
            .Concat(Enumerable.Range(whole.Length - 20, 20)))
        {
            Assert.That(() => TextDataset.Load(folder.Write("cut.csv.gz", whole[..length])),
                Throws.TypeOf<InputException>().With.Message.Contains("damaged or cut off"),
                    $"{length} of {whole.Length} bytes");
        }
    }

    [Test]
    public void A_flipped_bit_and_a_file_that_is_not_compressed_are_refused()
    {
        var damaged = TemporaryFolder.GZip(Rows());
        damaged[damaged.Length / 2] ^= 4;
        Assert.That(() => TextDataset.Load(folder.Write("a.csv.gz", damaged)), Throws.TypeOf<InputException>());
        Assert.That(() => TextDataset.Load(folder.Write("b.csv.gz", Rows())),
            Throws.TypeOf<InputException>().With.Message.Contains("damaged or cut off"));
    }

    [Test]
    public void Reviews_are_read_from_a_folder_and_an_archive_alike_sorted_by_name([Values("tar", "tar.gz", "tgz")]
        string extension)
    {
        var fromArchive = TextDataset.Load(folder.Write("reviews." + extension, Archive(extension != "tar")),
            DatasetSplit.Train);
        foreach (var (name, text) in Reviews)
        {
            folder.Write("aclImdb/" + name, text);
        }
        Assert.That(fromArchive.Examples, Is.EqualTo(new TextExample[]
        {
            new("bad", 0, "neg/0_2.txt"), new("worse", 0, "neg/10_1.txt"), new("worst", 0, "neg/9_1.txt"),
            new("good", 1, "pos/0_9.txt"),
        }));
        Assert.That(TextDataset.Load(folder.Root, DatasetSplit.Train).Examples, Is.EqualTo(fromArchive.Examples),
            "the folder above aclImdb");
        Assert.That(TextDataset.Load(Path.Combine(folder.Root, "aclImdb"), DatasetSplit.Train).Examples,
            Is.EqualTo(fromArchive.Examples));
        Assert.That(TextDataset.Load(folder.Root, DatasetSplit.Test).Describe(),
            Is.EqualTo("1 examples (neg 0, pos 1); no example of: neg"));
    }

    [Test]
    public void An_archive_cut_anywhere_is_refused()
    {
        var whole = Archive(compressed: true);
        for (var length = 0; length < whole.Length; length += 1 + whole.Length / 60)
        {
            Assert.That(() => TextDataset.Load(folder.Write("cut.tar.gz", whole[..length])),
                Throws.TypeOf<InputException>(), $"{length} of {whole.Length} bytes");
        }
        var tar = Archive(compressed: false);
        Assert.That(() => TextDataset.Load(folder.Write("cut.tar", tar[..700])),
            Throws.TypeOf<InputException>().With.Message.Contains("damaged or cut off"));
    }

    [Test]
    public void What_is_not_the_layout_is_refused_with_the_layout()
    {
        Assert.That(() => TextDataset.Load(folder.Root),
            Throws.TypeOf<InputException>().With.Message.Contains("has no 'train'").And.Message
                .Contains("train/neg/*.txt"));
        folder.Write("train/unsup/1.txt", "x");
        Assert.That(() => TextDataset.Load(folder.Root),
            Throws.TypeOf<InputException>().With.Message.Contains("no reviews in 'neg' and 'pos'"));
        folder.Write("train/neg/1_1.txt", " \n");
        Assert.That(() => TextDataset.Load(folder.Root),
            Throws.TypeOf<InputException>().With.Message.Contains("neg/1_1.txt: 'text' is blank"));
        folder.Write("train/neg/1_1.txt", [0x80]);
        Assert.That(() => TextDataset.Load(folder.Root),
            Throws.TypeOf<InputException>().With.Message.Contains("neg/1_1.txt: not valid UTF-8"));
        Assert.That(() => TextDataset.Load(folder.Write("data.xml", "x")),
            Throws.TypeOf<InputException>().With.Message.Contains(".csv, .tsv or .jsonl"));
        Assert.That(() => TextDataset.Load(folder.Root + "/no.csv"),
            Throws.TypeOf<InputException>().With.Message.Contains("no such file"));
    }

    [Test]
    public void A_model_of_two_other_classes_takes_the_reviews_by_index_and_one_of_three_does_not()
    {
        folder.Write("train/pos/1_9.txt", "good");
        var named = TextDataset.Load(folder.Root,
            options: new DatasetOptions { Labels = new LabelSet(["NEGATIVE", "POSITIVE"]) });
        Assert.That(named.Examples.Single().Label, Is.EqualTo(1));
        Assert.That(named.Labels.Names, Is.EqualTo(new[] { "NEGATIVE", "POSITIVE" }));
        var swapped = TextDataset.Load(folder.Root,
            options: new DatasetOptions { Labels = new LabelSet(["pos", "neg"]) });
        Assert.That(swapped.Examples.Single().Label, Is.EqualTo(0), "names come before the order");
        Assert.That(() => TextDataset.Load(folder.Root, options: new DatasetOptions { Labels = LabelSet.Numbered(3) }),
            Throws.TypeOf<InputException>().With.Message.Contains("the model has 3"));
    }

    private static readonly (string Name, string Text)[] Reviews =
    [
        ("train/pos/0_9.txt", "good"), ("train/neg/9_1.txt", "worst"), ("train/neg/10_1.txt", "worse"),
            ("train/neg/0_2.txt", "bad"),
        ("train/unsup/0_0.txt", "unlabelled"), ("test/pos/3_8.txt", "fine"), ("README", "about"),
            ("train/urls_pos.txt", "urls"),
    ];

    private static byte[] Archive(bool compressed)
    {
        var bytes = new MemoryStream();
        using (var tar = new TarWriter(bytes, TarEntryFormat.Ustar, leaveOpen: true))
        {
            foreach (var (name, text) in Reviews)
            {
                tar.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile,
                    "aclImdb/" + name)
                { DataStream = new MemoryStream(Encoding.UTF8.GetBytes(text)) });
            }
        }
        return compressed ? TemporaryFolder.GZip(bytes.ToArray()) : bytes.ToArray();
    }
}
