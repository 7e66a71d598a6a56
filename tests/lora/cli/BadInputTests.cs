using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;
using LoraScratch.Engine.IO;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// Damaged, hostile and mistaken files, each through the command that a user would run: one line
/// that names the file and the trouble, exit code 1, an empty standard output, no stack trace, and
/// not one file more or less than before.
/// </summary>
public sealed class BadInputTests
{
    private TinyTask task = null!;

    /// <summary>One bad input.</summary>
    /// <param name="Name">What it is.</param>
    /// <param name="Damage">
    /// Makes it of sound files: MODEL, HEADLESS (an encoder), ADAPTER, DATA.
    /// </param>
    /// <param name="Line">The command; names in capitals are the damaged copies.</param>
    /// <param name="Messages">Parts of what the user must read.</param>
    private sealed record Row(string Name, Action<Files> Damage, string Line, params string[] Messages);

    private const string Predict = "predict --model MODEL --text film",
        WithAdapter = "predict --model MODEL --adapter ADAPTER --text film";
    private const string Train = "train --model MODEL --out OUT --max-steps 1 --data DATA",
        Evaluate = "evaluate --model MODEL --data DATA";
    private const string Weights = "model.safetensors", Index = "model.safetensors.index.json",
        AdapterWeights = "adapter_model.safetensors", AdapterConfig = "adapter_config.json";

    private static IEnumerable<Row> ModelFiles() =>
    [
        new("an empty file of weights", f => f.Write(f.Model, Weights, []), Predict, Weights, "the file has 0 bytes"),
        new("weights cut in the header", f => f.Cut(f.Model, Weights, 40), Predict, Weights, "the header is cut"),
        new("weights cut in the data", f => f.Cut(f.Model, Weights, -10), Predict, Weights, "truncated"),
        new("bytes behind the weights", f => f.Append(f.Model, Weights, [0]), Predict, Weights, "byte"),
        new("a header length of 2⁶³", f => f.Patch(f.Model, Weights, 0, [0, 0, 0, 0, 0, 0, 0, 0x80]), Predict, Weights,
            "the header is too large"),
        new("a header that is no JSON", f => f.Patch(f.Model, Weights, 8, "not json"u8), Predict, Weights, "JSON"),
        new("a header of ten thousand brackets", f => f.Header(f.Model, Weights, new string('[', 10_000)), Predict,
            Weights, "JSON"),
        new("tensors that overlap",
            f => f.Header(f.Model, Weights, """
                {"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
                 "b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}
                """, 12), Predict, Weights, "'b'"),
        new("a hole between tensors",
            f => f.Header(f.Model, Weights, """
                {"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
                 "b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}
                """, 12), Predict, Weights, "'b'"),
        new("a shape that overflows",
            f => f.Header(f.Model, Weights,
                """{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}""", 4), Predict, Weights,
                    "'a'"),
        new("a name that steers the terminal",
            f => f.Header(f.Model, Weights, """{"\u001b[2J\u0007":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""",
                4), Predict, Weights, "config.json"),
        new("a name twice", f => f.Header(f.Model, Weights, """
            {"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},
             "a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}
            """), Predict, Weights),
        new("a Git LFS pointer", f => f.Write(f.Model, Weights, "version https://git-lfs.github.com/spec/v1\n"u8),
            Predict, Weights, "git lfs pull"),
        new("a pickled model", f => f.Write(f.Model, Weights, "PK\x03\x04\x14\0\0\0\x08\0\0\0"u8), Predict, Weights,
            "a pickled file of PyTorch", "weights_only=True"),
        new("a page of HTML", f => f.Write(f.Model, Weights, "<!DOCTYPE html><html></html>"u8), Predict, Weights,
            "error page"),
        new("weights of another architecture", f => f.Tensors(f.Model, Weights, name => "bert." + name), Predict,
            Weights, "40 unexpected: bert.classifier.bias", "36 missing"),
        new("weights without one tensor",
            f => f.Tensors(f.Model, Weights,
                name => name.EndsWith("1.ffn.lin2.bias", StringComparison.Ordinal) ? null : name), Predict, Weights,
                    "1 missing: distilbert.transformer.layer.1.ffn.lin2.bias"),
        new("no weights", f => f.Delete(f.Model, Weights), Predict, "no weights"),
        new("a pickle beside no weights",
            f => { f.Delete(f.Model, Weights); f.Write(f.Model, "pytorch_model.bin", [1]); }, Predict,
                "pytorch_model.bin, a pickled file of PyTorch", "weights_only=True"),
        new("an index that leaves the folder",
            f =>
            {
                f.Delete(f.Model, Weights);
                f.Text(f.Model, Index, """{"weight_map":{"a":"../../../etc/passwd"}}""");
            }, Predict, Index, "must name a file beside the index"),
        new("an index without its shard",
            f => { f.Delete(f.Model, Weights); f.Text(f.Model, Index, """{"weight_map":{"a":"1.safetensors"}}"""); },
                Predict, Index, "the shard '1.safetensors' is missing"),
        new("an index that is no JSON", f => { f.Delete(f.Model, Weights); f.Text(f.Model, Index, "{"); }, Predict,
            Index, "not valid JSON"),
        new("a pickle with an index beside no weights",
            f => { f.Delete(f.Model, Weights); f.Write(f.Model, "pytorch_model.bin.index.json", [1]); }, Predict,
                "pytorch_model.bin.index.json", "save_pretrained"),
        new("a config that is a Git LFS pointer",
            f => f.Text(f.Model, "config.json", "version https://git-lfs.github.com/spec/v1\n"), Predict,
            "config.json: this is no JSON but a Git LFS pointer", "git lfs pull"),
        new("a config with a byte order mark", f => f.Write(f.Model, "config.json", [0xEF, 0xBB, 0xBF, (byte)'{']),
            Predict, "config.json: this is no JSON but a text that begins with a byte order mark"),
        new("a tokenizer.json that is a Git LFS pointer",
            f => f.Text(f.Model, "tokenizer.json", "version https://git-lfs.github.com/spec/v1\n"), Predict,
            "tokenizer.json: this is no JSON but a Git LFS pointer"),
        new("an index that is a Git LFS pointer",
            f =>
            {
                f.Delete(f.Model, Weights);
                f.Text(f.Model, Index, "version https://git-lfs.github.com/spec/v1\n");
            }, Predict, Index, "a Git LFS pointer"),
        new("a config that is no JSON", f => f.Text(f.Model, "config.json", "{\"dim\": 16,,}"), Predict, "config.json",
            "not valid JSON"),
        new("a config of another architecture", f => f.Json(f.Model, "config.json", c => c["model_type"] = "albert"),
            Predict, "config.json", "model_type is \"albert\"; expected \"distilbert\", \"bert\", \"roberta\", ",
            "all its blocks have the same weights. The nearest that works is a BERT or an ELECTRA"),
        new("a config of other sizes", f => f.Json(f.Model, "config.json", c => c["hidden_dim"] = 48), Predict, Weights,
            "lin1.weight is [32, 16], [48, 16] expected"),
        new("a config of terabytes",
            f => f.Json(f.Model, "config.json", c => { c["dim"] = 32_000; c["n_heads"] = 1; c["n_layers"] = 1000; }),
                Predict, Weights, "dim 32000", "do config.json and weights belong together?"),
        new("a config with more classes than the head",
            f => f.Json(f.Model, "config.json",
                c => { c["id2label"] = JsonNode.Parse("""{"0":"a","1":"b","2":"c"}"""); c.Remove("label2id"); }),
                    Predict, Weights, "classifier.weight is [2, 16], [3, 16] expected"),
        new("a config with half a surrogate pair", f => f.Text(f.Model, "config.json", """{"activation": "\ud800"}"""),
            Predict, "config.json", "surrogate"),
        new("a config of a folder", f => { f.Delete(f.Model, "config.json"); f.Folder(f.Model, "config.json"); },
            Predict, "config.json"),
        new("a vocabulary longer than the model's",
            f => { f.Delete(f.Model, "tokenizer.json"); f.Append(f.Model, "vocab.txt", "one\ntwo\n"u8); }, Predict,
                "the vocabulary has 26 pieces, config.json's vocab_size is 24"),
        new("a vocabulary that is no UTF-8",
            f => { f.Delete(f.Model, "tokenizer.json"); f.Append(f.Model, "vocab.txt", [0xFF, 0xFE, (byte)'\n']); },
                Predict, "vocab.txt, line 25", "UTF-8"),
        new("a tokenizer.json of another kind",
            f => f.Json(f.Model, "tokenizer.json", t => t["model"]!["type"] = "WordLevel"), Predict, "tokenizer.json",
                "model.type is WordLevel"),
        new("a tokenizer.json with half a surrogate pair",
            f => f.Text(f.Model, "tokenizer.json", """{"model": {"type": "\udc00"}}"""), Predict, "tokenizer.json",
                "surrogate"),
        new("a tokenizer's config that keeps no end of texts",
            f => f.Json(f.Model, "tokenizer_config.json", t => t["truncation_side"] = "middle"),
            Train, "tokenizer_config.json", "truncation_side is middle"),
        new("an added token beside a vocabulary", f =>
            {
                f.Delete(f.Model, "tokenizer.json");
                f.Text(f.Model, "added_tokens.json", """{"goodness": 24}""");
            },
            "tokenize --vocab MODEL --text goodness", "added_tokens.json", "added token 'goodness' with id 24"),
        new("no vocabulary", f => { f.Delete(f.Model, "tokenizer.json"); f.Delete(f.Model, "vocab.txt"); }, Predict,
            "no tokenizer.json, vocab.txt"),
    ];

    private static IEnumerable<Row> AdapterFiles() =>
    [
        new("an adapter cut in the data", f => f.Cut(f.Adapter, AdapterWeights, -10), WithAdapter, AdapterWeights,
            "truncated"),
        new("an adapter of a pickle",
            f => { f.Delete(f.Adapter, AdapterWeights); f.Write(f.Adapter, "adapter_model.bin", [1]); }, WithAdapter,
                "a pickled file of PyTorch"),
        new("an adapter without tensors", f => f.Delete(f.Adapter, AdapterWeights), WithAdapter, AdapterWeights,
            "no such file"),
        new("an adapter's config with a byte order mark",
            f => f.Write(f.Adapter, AdapterConfig, [0xEF, 0xBB, 0xBF, (byte)'{']), WithAdapter, AdapterConfig,
            "a byte order mark"),
        new("an adapter's config that is a page of HTML", f => f.Text(f.Adapter, AdapterConfig, "<html></html>"),
            WithAdapter, AdapterConfig, "this is no JSON but HTML"),
        new("a pickled adapter to convert",
            f => f.Write(f.Root, "state.pt", [0x80, 2, 0x8A, 0x0A, 0, 0, 0, 0x46, 0xF9]),
            "adapter convert ROOT/state.pt --to peft --out OUT", "state.pt", "a pickled file of PyTorch",
            "weights_only=True"),
        new("an adapter's config that is no JSON", f => f.Text(f.Adapter, AdapterConfig, "{"), WithAdapter,
            AdapterConfig, "not valid JSON"),
        new("an adapter's config with half a surrogate pair",
            f => f.Json(f.Adapter, AdapterConfig, c => c["revision"] = "\ud800"), WithAdapter, AdapterConfig,
                "surrogate"),
        new("an adapter of another method", f => f.Json(f.Adapter, AdapterConfig, c => c["peft_type"] = "IA3"),
            WithAdapter, AdapterConfig, "peft_type is \"IA3\""),
        new("an adapter with DoRA", f => f.Json(f.Adapter, AdapterConfig, c => c["use_dora"] = true), WithAdapter,
            AdapterConfig, "use_dora is true"),
        new("an adapter with another rank", f => f.Json(f.Adapter, AdapterConfig, c => c["r"] = 6), WithAdapter,
            AdapterWeights, "its rank is 4, adapter_config.json says 6"),
        new("an adapter with a rank of millions", f => f.Json(f.Adapter, AdapterConfig, c => c["r"] = 2_000_000_000),
            WithAdapter, AdapterConfig, "would make a matrix of more than"),
        new("an adapter with an expression that never ends",
            f => f.Json(f.Adapter, AdapterConfig, c => c["target_modules"] = "((.+)+)+z"), WithAdapter, AdapterConfig,
                "takes more than 1 s"),
        new("an adapter for layers that are not there",
            f => f.Json(f.Adapter, AdapterConfig, c => c["target_modules"] = new JsonArray("query")), WithAdapter,
                AdapterConfig, "the target 'query' meets no layer"),
        new("an adapter with other names",
            f => f.Tensors(f.Adapter, AdapterWeights, name => name.Replace("base_model.", "")), WithAdapter,
                AdapterWeights, "the names in an adapter begin with 'base_model.model.'"),
        new("an adapter with a head of three classes", f => f.Head(f.Adapter, 3), WithAdapter,
            "the head of the adapter has 3 classes, but training.json names 2: neg, pos"),
        new("an adapter of three classes for a headless model that names two",
            f => { f.Headless(); f.Head(f.Adapter, 3); }, WithAdapter, "training.json names 2"),
        new("an adapter with broken class names", f => f.Json(f.Adapter, "training.json", t => t["labels"] = 5),
            WithAdapter, "training.json", "a list of names"),
        new("an adapter with NaN", f => f.Patch(f.Adapter, AdapterWeights, -4, [0, 0, 0xC0, 0x7F]), WithAdapter,
            AdapterWeights, "is NaN"),
        new("an adapter to inspect with empty matrices of a huge rank", f => f.Header(f.Adapter, AdapterWeights, """
            {"a.lora_A.weight":{"dtype":"F32","shape":[2000000000,0],"data_offsets":[0,0]},
             "a.lora_B.weight":{"dtype":"F32","shape":[0,2000000000],"data_offsets":[0,0]}}
            """), "inspect ADAPTER", AdapterWeights, "none of them 0"),
        new("an adapter to merge that is cut", f => f.Cut(f.Adapter, AdapterWeights, -10),
            "merge --model MODEL --adapter ADAPTER --out OUT", AdapterWeights),
        new("an adapter of a tokenizer with another token",
            f => f.Text(f.Adapter, "added_tokens.json", """{"goodness": 24}"""),
            WithAdapter, "added_tokens.json", "added token 'goodness' with id 24"),
        new("an adapter to go on from whose tokenizer keeps the ends of texts",
            f => f.Text(f.Adapter, "tokenizer_config.json", """{"truncation_side": "left"}"""),
            "train --model MODEL --init-adapter ADAPTER --data DATA --out OUT",
            "tokenizer_config.json", "keeps the end, the model's the beginning (truncation_side)"),
        new("an adapter to go on from with another rank", f => f.Json(f.Adapter, AdapterConfig, c => c["r"] = 6),
            "train --model MODEL --init-adapter ADAPTER --data DATA --out OUT", AdapterWeights),
        new("an adapter to convert that is cut", f => f.Cut(f.Adapter, AdapterWeights, -10),
            "adapter convert ADAPTER --to tutorial --out OUT", AdapterWeights),
        new("an unknown convention", _ => { }, "adapter convert ADAPTER --to torch --out OUT",
            "There is no convention 'torch'; the names are peft, loralib, tutorial."),
        new("a conversion onto a folder that is not ours", f => f.Folder(f.Root, "out/mine"),
            "adapter convert ADAPTER --to peft --out OUT", "'mine', which this program did not write"),
        new("a conversion onto a folder where a file is wanted", f => f.Folder(f.Root, "out"),
            "adapter convert ADAPTER --to loralib --out OUT", "a folder of that name exists"),
    ];

    private static IEnumerable<Row> DataFiles()
    {
        foreach (var (command, name) in new[] { (Train, "train"), (Evaluate, "evaluate") })
        {
            yield return new($"{name}: no such column", f => f.Data("review,label\ngood,pos\n"), command, "train.csv",
                "there is no column 'text'; the header line has: review, label");
            yield return new($"{name}: an empty text", f => f.Data("text,label\ngood,pos\n,neg\n"), command,
                "train.csv, line 3: 'text' is empty");
            yield return new($"{name}: an empty label", f => f.Data("text,label\ngood,\n"), command,
                "train.csv, line 2: 'label' is empty");
            yield return new($"{name}: an unknown label", f => f.Data("text,label\ngood,pos\nfine,mixed\n"), command,
                "train.csv, line 3: the label 'mixed' is unknown; the classes are: 0 = neg, 1 = pos");
            yield return new($"{name}: a third class", f => f.Data("text,label\na,0\nb,1\nc,2\n"), command,
                "line 4: the label '2' is unknown; the classes are: 0 = neg, 1 = pos");
            yield return new($"{name}: a quote that is never closed",
                f => f.Data("text,label\n\"good, so,pos\nbad,neg\n"), command,
                "line 2: field 1 begins with a quote and is not closed");
            yield return new($"{name}: rows that stray quotes would make one",
                f => f.Data("text,label\ngood,pos\n\"bad,neg\ngood,pos\nbad\",neg\n"), command,
                "train.csv, line 3: a field that begins with a quote here ends in line 5");
            yield return new($"{name}: a field too many", f => f.Data("text,label\ngood, very,pos\n"), command,
                "line 2: 3 fields, but the header has 2");
            yield return new($"{name}: bytes that are no UTF-8",
                f => f.Write(f.Root, "train.csv", [.. "text,label\n"u8, 0xE9, .. "t\u00e9,pos\n"u8]), command,
                    "train.csv, line 2", "UTF-8");
            yield return new($"{name}: a Git LFS pointer",
                f => f.Data("version https://git-lfs.example/spec/v1\noid sha256:0\nsize 9\n"), command,
                    "train.csv: this is a Git LFS pointer");
            yield return new($"{name}: a line of 100 MB", f => f.Huge("train.csv", "text,label\n", 100_000_000),
                command, "train.csv, line 2: what begins here is longer than");
            yield return new($"{name}: an empty file", f => f.Data(""), command, "train.csv: the file is empty");
            yield return new($"{name}: a header alone", f => f.Data("text,label\n"), command,
                "train.csv: there is no example in it");
            yield return new($"{name}: a cut .gz", f => f.GZip(bytes => bytes[..^9]), command + ".gz",
                "the compressed data is damaged or cut off");
            yield return new($"{name}: a damaged .gz",
                f => f.GZip(bytes => [.. bytes[..30], .. bytes[30..].Select(value => (byte)~value)]), command + ".gz",
                    "the compressed data is damaged or cut off");
            yield return new($"{name}: a .gz that is none", f => f.GZip(_ => "text,label\n"u8.ToArray()),
                command + ".gz", "train.csv.gz");
            yield return new($"{name}: a folder that is not the reviews", f => f.Folder(f.Root, "reviews"),
                command.Replace("DATA", "ROOT/reviews"), "reviews");
        }
        yield return new("predict: a line that is no JSON",
            f => f.Text(f.Root, "texts.jsonl", "{\"text\": \"good\"}\n{\n"),
                "predict --model MODEL --input ROOT/texts.jsonl", "texts.jsonl, line 2");
        yield return new("predict: a line of ten thousand brackets",
            f => f.Text(f.Root, "texts.jsonl", new string('[', 10_000)),
                "predict --model MODEL --input ROOT/texts.jsonl", "texts.jsonl, line 1");
        yield return new("predict: half a surrogate pair",
            f => f.Text(f.Root, "texts.jsonl", "{\"text\": \"\\ud83d\"}\n"),
                "predict --model MODEL --input ROOT/texts.jsonl", "texts.jsonl, line 1", "surrogate");
        yield return new("predict: a line of 100 MB", f => f.Huge("texts.jsonl", "", 100_000_000),
            "predict --model MODEL --input ROOT/texts.jsonl", "texts.jsonl, line 1: the line is longer than");
        yield return new("predict: no text", f => f.Text(f.Root, "texts.jsonl", "{\"text\": null}\n"),
            "predict --model MODEL --input ROOT/texts.jsonl", "texts.jsonl, line 1: 'text' is null");
        yield return new("tokenize: a vocabulary of another file", f => f.Data("text\n"),
            "tokenize --vocab DATA --text film", "train.csv", "lacks [PAD]");
    }

    private static IEnumerable<TestCaseData> Rows() =>
        ModelFiles().Concat(AdapterFiles()).Concat(DataFiles())
        .Select(row => new TestCaseData(row).SetArgDisplayNames(row.Name));

    [OneTimeSetUp]
    public void TrainModelAndAdapter()
    {
        task = new TinyTask();
        _ = task.Adapter;
    }

    [OneTimeTearDown]
    public void DeleteFolder() => task.Dispose();

    [TestCaseSource(nameof(Rows))]
    public void A_bad_input_ends_with_one_clear_line_and_nothing_changed(object badInput)
    {
        var row = (Row)badInput;
        using var files = new Files(task);
        row.Damage(files);
        var before = files.State();
        (string Name, string Path)[] places =
            [("MODEL", files.Model), ("ADAPTER", files.Adapter), ("DATA", Path.Combine(files.Root, "train.csv")),
                ("OUT", Path.Combine(files.Root, "out")), ("ROOT", files.Root)];
        var result = LoraProgram.Call(
            [.. row.Line.Split(' ').Select(word =>
                places.Aggregate(word, (path, place) =>
                    path.Replace(place.Name, place.Path, StringComparison.Ordinal)))]);
        Assert.Multiple(() =>
        {
            Assert.That((result.Code, result.Output), Is.EqualTo((1, "")), result.Errors);
            Assert.That(result.Errors.Split('\n').Count(line => line.StartsWith("error: ", StringComparison.Ordinal)),
                Is.EqualTo(1), result.Errors);
            foreach (var message in row.Messages)
            {
                Assert.That(result.Errors, Does.Contain(message));
            }
            Assert.That(result.Errors, Does.Not.Contain("   at ").And.Not.Contain("Exception"));
            Assert.That(result.Errors.Where(letter => letter != '\n' && char.IsControl(letter)), Is.Empty,
                "nothing may steer the terminal");
            Assert.That(files.State(), Is.EqualTo(before), "no file may be left or changed");
        });
    }

    /// <summary>Copies of sound files, to be damaged.</summary>
    private sealed class Files : IDisposable
    {
        private readonly TemporaryFolder folder = new();
        private readonly TinyTask sound;

        public Files(TinyTask sound)
        {
            this.sound = sound;
            TemporaryFolder.Copy(sound.Model, Model);
            TemporaryFolder.Copy(sound.Adapter, Adapter);
            folder.Write("train.csv", File.ReadAllText(sound.Data));
        }

        public string Root => folder.Root;

        public string Model => Path.Combine(Root, "model");

        public string Adapter => Path.Combine(Root, "adapter");

        public void Write(string place, string name, ReadOnlySpan<byte> bytes) =>
            File.WriteAllBytes(Path.Combine(place, name), bytes);

        public void Text(string place, string name, string text) => File.WriteAllText(Path.Combine(place, name), text);

        public void Data(string text) => Text(Root, "train.csv", text);

        public void Delete(string place, string name) => File.Delete(Path.Combine(place, name));

        public void Folder(string place, string name) => Directory.CreateDirectory(Path.Combine(place, name));

        public void Append(string place, string name, ReadOnlySpan<byte> bytes) =>
            File.AppendAllBytes(Path.Combine(place, name), bytes);

        /// <summary>Keeps so many bytes, or leaves so many out.</summary>
        public void Cut(string place, string name, int length)
        {
            var bytes = File.ReadAllBytes(Path.Combine(place, name));
            Write(place, name, length < 0 ? bytes.AsSpan(..^-length) : bytes.AsSpan(..length));
        }

        public void Patch(string place, string name, int at, ReadOnlySpan<byte> bytes)
        {
            var all = File.ReadAllBytes(Path.Combine(place, name));
            bytes.CopyTo(all.AsSpan(at < 0 ? all.Length + at : at));
            Write(place, name, all);
        }

        /// <summary>A safetensors file of a header as it is given, and so many bytes.</summary>
        public void Header(string place, string name, string json, int dataBytes = 0)
        {
            var length = new byte[8];
            BinaryPrimitives.WriteInt64LittleEndian(length, Encoding.UTF8.GetByteCount(json));
            Write(place, name, [.. length, .. Encoding.UTF8.GetBytes(json), .. new byte[dataBytes]]);
        }

        public void Json(string place, string name, Action<JsonObject> change)
        {
            var json = JsonNode.Parse(File.ReadAllText(Path.Combine(place, name)))!.AsObject();
            change(json);
            // half a surrogate pair cannot be had from the writer
            Text(place, name, json.ToJsonString().Replace("\\uFFFD", "\\ud800", StringComparison.Ordinal));
        }

        public void Tensors(string place, string name, Func<string, string?> rename)
        {
            var path = Path.Combine(place, name);
            using var file = SafeTensorsFile.Open(path);
            SafeTensorsWriter.Write(path,
                file.Tensors.Keys.Where(key => rename(key) is not null)
                    .Select(key => TensorToWrite.Copy(file, key, rename(key))),
                    new Dictionary<string, string>(file.Metadata));
        }

        /// <summary>Gives an adapter's head another number of classes.</summary>
        public void Head(string place, int classes)
        {
            var path = Path.Combine(place, AdapterWeights);
            using var file = SafeTensorsFile.Open(path);
            SafeTensorsWriter.Write(path, file.Tensors.Values.Select(tensor => tensor.Name switch
            {
                "base_model.model.classifier.weight" =>
                    TensorToWrite.Floats(tensor.Name, [classes, tensor.Shape[1]], new float[classes * tensor.Shape[1]]),
                "base_model.model.classifier.bias" => TensorToWrite.Floats(tensor.Name, [classes], new float[classes]),
                _ => TensorToWrite.Copy(file, tensor.Name),
            }), new Dictionary<string, string>(file.Metadata));
        }

        /// <summary>Takes the model's head away.</summary>
        public void Headless()
        {
            Directory.Delete(Model, recursive: true);
            HeadlessModel.Write(sound, Model);
        }

        public void GZip(Func<byte[], byte[]> damage) =>
            Write(Root, "train.csv.gz", damage(TemporaryFolder.GZip(File.ReadAllBytes(sound.Data))));

        /// <summary>
        /// A file that begins so and goes on with zeros; on most disks the zeros take no space.
        /// </summary>
        public void Huge(string name, string start, long length)
        {
            Text(Root, name, start);
            using var file = File.OpenWrite(Path.Combine(Root, name));
            file.SetLength(start.Length + length);
        }

        public string[] State() =>
            [.. Directory.GetFileSystemEntries(Root, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
                .Select(path => $"{path} {StateOf(path)}")];

        private static string StateOf(string path) =>
            File.Exists(path) ? $"{new FileInfo(path).Length} {File.GetLastWriteTimeUtc(path):O}" : "folder";

        public void Dispose() => folder.Dispose();
    }
}
