namespace LoraScratch.Tests.Cli;

/// <summary>
/// What makes no sense ends with one line that says so, exit code 1, an empty standard output, and
/// not one file more or less than before.
/// </summary>
public class RefusalTests
{
    private TinyTask task = null!;

    private static IEnumerable<TestCaseData> Mistakes()
    {
        const string Lora = "train --model MODEL --data DATA --out OUT ";
        const string Full = "train --config CONFIG --vocab VOCAB --data DATA --out OUT --method full ";
        (string Args, string Message)[] rows =
        [
            ("nonsense", "there is no command 'nonsense'"),
            ("tran", "did you mean train?"),
            ("devices now", "there is no argument 'now'"),
            ("train --data DATA --out OUT --modle MODEL", "there is no option '--modle'; did you mean --model?"),
            ("train --model MODEL --out OUT", "Option '--data' is required."),
            ("train --model MODEL --data DATA", "Option '--out' is required."),
            ("train --data DATA --out OUT --init-adapter ADAPTER", "/model': name that model with --model."),
            (Lora + "--config CONFIG --vocab VOCAB", "--model and --config are both given"),
            (Lora + "--vocab VOCAB", "--vocab needs --config"),
            ("train --config CONFIG --data DATA --out OUT --method full", "--config needs --vocab"),
            ("train --config CONFIG --vocab VOCAB --data DATA --out OUT", "there is nothing to adapt in them"),
            ("train --config CONFIG --vocab VOCAB --data DATA --out OUT --method last-layers",
                "there is nothing to adapt in them"),
            ("train --model MODEL --data ROOT/none.csv --out OUT", "none.csv: there is no such file or folder."),
            ("train --model MODEL --data ROOT/vocab.txt --out OUT", "the kind of this file is not known by its name"),
            ("train --model ROOT/none --data DATA --out OUT", "none"),
            ("train --model ROOT --data DATA --out OUT", "no weights"),
            (Lora + "--method best", "--method is 'best'; expected lora, qa-lora, last-layers or full."),
            (Lora + "--scaling rank", "--scaling is 'rank'; expected alpha-over-rank, alpha or alpha-over-sqrt-rank."),
            (Lora + "--init zero", "--init is 'zero'"),
            (Lora + "--bias some", "--bias is 'some'; expected none, lora_only or all."),
            (Lora + "--optimizer lion", "--optimizer is 'lion'"),
            (Lora + "--schedule cosine", "--schedule is 'cosine'"),
            (Lora + "--device tpu", "--device is 'tpu'"),
            (Lora + "--device cuda:", "--device is 'cuda:'"),
            (Lora + "--device cuda:9999", "--device is cuda:9999, but"),
            (Lora + "--device opencl:9999", "--device is opencl:9999, but"),
            (Lora + "--targets query,banana", "--targets names 'banana'; the names are query"),
            (Lora + "--targets query,query", "twice"),
            (Lora + "--targets ,", "--targets is empty"),
            (Lora + "--targets query,head --train-head true", "the head would be adapted and trained itself"),
            (Lora + "--train-head maybe", "--train-head is 'maybe'; expected true or false."),
            (Lora + "--rank 0", "--rank is 0; expected at least 1."),
            (Lora + "--rank -1", "--rank is -1"),
            (Lora + "--rank 4.5", "--rank is '4.5'; expected a whole number"),
            (Lora + "--rank 99999999999", "--rank is '99999999999'; expected a whole number up to 2147483647."),
            (Lora + "--rank 2147483647", "rank 2147483647 would make a matrix of more than"),
            (Lora + "--rank", "Required argument missing for option: '--rank'."),
            (Lora + "--rank 4 --rank 8", "'--rank' expects a single argument but 2 were provided."),
            (Lora + "--alpha 0", "--alpha is 0"),
            (Lora + "--alpha NaN", "--alpha is 'NaN'; expected a number"),
            (Lora + "--dropout 1", "--dropout is 1; expected a probability in [0, 1)."),
            (Lora + "--dropout -0.1", "--dropout is -0.1"),
            (Lora + "--lr 0,001", "--lr is '0,001'; expected a number, such as 0.001 or 1e-3."),
            (Lora + "--lr 0", "--lr is 0"),
            (Lora + "--lr -1", "--lr is -1"),
            (Lora + "--lr nan", "--lr is 'nan'"),
            (Lora + "--lr infinity", "--lr is 'infinity'"),
            (Lora + "--weight-decay -1", "--weight-decay is -1"),
            (Lora + "--momentum 0.9", "--momentum 0.9 has no effect with --optimizer adamw"),
            (Lora + "--optimizer sgd --momentum 1", "--momentum is 1"),
            (Lora + "--clip -1", "--clip is -1"),
            (Lora + "--clip 1e300", "--clip is Infinity"),
            (Lora + "--warmup -1", "--warmup is -1"),
            (Lora + "--warmup 2.5", "--warmup is 2.5"),
            (Lora + "--max-steps 5 --warmup 5", "--warmup is 5 steps, and the run has 5"),
            (Lora + "--accumulate 0", "--accumulate is 0"),
            (Lora + "--epochs 0", "--epochs is 0"),
            (Lora + "--batch-size 0", "--batch-size is 0"),
            (Lora + "--max-steps 0", "--max-steps is 0"),
            (Lora + "--limit 0", "--limit is 0"),
            (Lora + "--limit 1", "leaves one of the two parts empty"),
            (Lora + "--max-length 2", "--max-length is 2; expected at least 3"),
            (Lora + "--max-length 25", "--max-length is 25; the model has 24 positions"),
            (Lora + "--validation 1", "--validation is 1; expected a share in [0, 1)."),
            (Lora + "--validation NaN", "--validation is 'NaN'"),
            (Lora + "--seed -1", "--seed is '-1'; expected a whole number from 0"),
            (Lora + "--shuffle 2", "--shuffle is '2'; expected true or false."),
            (Lora + "--threads -1", "--threads is -1; expected 1 to 1024, or 0 for one per core."),
            (Lora + "--text-column review", "'review'"),
            (Lora + "--label-column stars", "'stars'"),
            (Lora + "--method full --rank 4", "--rank belongs to --method lora"),
            (Lora + "--method last-layers --train-head false", "leaves --method last-layers nothing to train"),
            (Lora + "--method full --init-adapter ADAPTER", "only --method lora and qa-lora train one"),
            (Lora + "--init-adapter ADAPTER --rank 8", "--rank is decided by the adapter of --init-adapter"),
            (Lora + "--init-adapter MODEL", "adapter_config.json"),
            (Lora + "--init-adapter OTHER", "the adapter does not fit the model"),
            (Lora + "--lr 1e30 --clip 0 --optimizer sgd", "the training has diverged"),
            (Lora + "--lr 1e38 --clip 0 --optimizer sgd --max-steps 1", "The model's logits are NaN"),
            (Full + "--vocab ROOT/train.csv", "expects a single argument"),
            ("train --config VOCAB --vocab VOCAB --data DATA --out OUT --method full", "vocab.txt"),
            ("train --config ROOT/vast.json --vocab VOCAB --data DATA --out OUT --method full",
                "makes a matrix of more than"),
            ("train --config ROOT/deep.json --vocab VOCAB --data DATA --out OUT --method full",
                "deep.json: vocab_size 24, max_position_embeddings 24, dim 16, hidden_dim 32 and n_layers 100000000 "
                    + "ask for 222,400,000,800 parameters. Weights, gradients and what adamw keeps take 3,314.0 GiB, "
                    + "and this machine has"),
            ("train --config ROOT/deep.json --vocab VOCAB --data DATA --out OUT --method full --optimizer sgd",
                "Weights, gradients and what sgd keeps take 1,657.0 GiB"),
            ("pretrain --config ROOT/deep.json --vocab VOCAB --data DATA --out OUT --max-length 16",
                "deep.json: vocab_size 24"),
            ("train --config ROOT/small.json --vocab VOCAB --data DATA --out OUT --method full",
                "Set vocab_size to at least"),
            ("train --model MODEL --data ROOT/unlabelled.csv --out OUT", "'label'"),
            ("train --model MODEL --data ROOT/unknown.csv --out OUT",
                "the label 'mixed' is unknown; the classes are: 0 = neg, 1 = pos."),
            ("train --model MODEL --data ROOT/third.csv --out OUT", "the label '2' is unknown"),
            ("train --model MODEL --data ROOT/blank.csv --out OUT", "line 3: 'text' is blank"),
            ("train --model MODEL --data ROOT/empty.csv --out OUT", "empty.csv"),
            ("train --model MODEL --data DATA --out DATA", "expected a folder to write to, found a file"),
            ("train --model MODEL --data DATA --out DATA/sub", "train.csv"),
            ("train --model MODEL --data DATA --out ROOT/none/out", "there is no folder"),
            ("train --model MODEL --data DATA --out ROOT --overwrite", "which this program did not write"),
            ("train --model MODEL --data DATA --out MODEL --overwrite", "--out and --model are both"),
            ("train --model MODEL --data DATA --out DOWNLOADED --overwrite", "no training run left there"),
            ("predict --model MODEL", "No text is given"),
            ("predict --text film",
                "the built-in base model: it has no trained classification head, so its answers would be random. "
                    + "Train an adapter with one, and name it with --adapter."),
            ("predict --text film --adapter ADAPTER", "/model': name that model with --model."),
            ("evaluate --data DATA", "the built-in base model: it has no trained classification head"),
            ("merge --adapter ADAPTER --out OUT", "/model': name that model with --model."),
            ("predict --model MODEL --text film --input DATA", "Both --text and --input are given"),
            ("predict --model MODEL --text film --max-length 25", "the model has 24 positions"),
            ("predict --model MODEL --text film --max-length -3", "--max-length is -3; expected at least 3"),
            ("predict --model MODEL --input ROOT/none.jsonl", "there is no such file"),
            ("predict --model MODEL --input ROOT/broken.jsonl --json", "broken.jsonl, line 1"),
            ("predict --model MODEL --text film --adapter OTHER", "the adapter does not fit the model"),
            ("predict --model MODEL --text film --adapter ROOT/none", "adapter_config.json"),
            ("predict --model MODEL --text film --adapter MODEL", "no adapter_config.json"),
            ("predict --model MODEL --text film --adapter CUT", "adapter_model.safetensors"),
            ("predict --model ROOT/cut-model --text film", "model.safetensors"),
            ("evaluate --model MODEL --data DATA --batch-size 0", "--batch-size is 0"),
            ("evaluate --model MODEL --data DATA --limit -2", "a limit of -2 examples leaves nothing"),
            ("evaluate --model MODEL --data ROOT/unknown.csv", "the label 'mixed' is unknown"),
            ("merge --model MODEL --adapter ADAPTER --out MODEL --overwrite", "--out and --model are both"),
            ("merge --model MODEL --adapter ADAPTER --out ROOT/none/../adapter --overwrite",
                "--out and --adapter are both"),
            ("compress --overwrite", "--overwrite has no effect without --out"),
            ("merge --model MODEL --adapter OTHER --out OUT", "the adapter does not fit the model"),
            ("merge --model MODEL --adapter CUT --out OUT", "adapter_model.safetensors"),
            ("tokenize --vocab VOCAB --text film --max-length 1", "--max-length is 1; expected at least 3"),
            ("tokenize --vocab DATA --text film", "train.csv"),
            ("tokenize --vocab VOCAB", "No text is given"),
            ("inspect ROOT/none", "there is no file or folder"),
            ("inspect ROOT/folder", "has neither a config.json"),
            ("inspect CONFIG", "config.json: the header is too large"),
            ("inspect CUT", "adapter_model.safetensors"),
        ];
        return rows.Select(row =>
            new TestCaseData(row.Args.TrimEnd(), row.Message).SetName($"lora {row.Args.TrimEnd()} is refused"));
    }

    [OneTimeSetUp]
    public void MakeFiles()
    {
        task = new TinyTask();
        task.Write("small.json", TinyTask.Config(vocabularySize: 5));
        task.Write("vast.json", TinyTask.Config(24).Replace("\"dim\": 16", "\"dim\": 60000"));
        task.Write("deep.json", TinyTask.Config(24).Replace("\"n_layers\": 2", "\"n_layers\": 100000000"));
        task.Write("unlabelled.csv", "text\ngood\n");
        task.Write("unknown.csv", "text,label\nthe film,pos\nthe plot,mixed\n");
        task.Write("third.csv", "text,label\nthe film,1\nthe plot,2\n");
        task.Write("blank.csv", "text,label\nthe film,pos\n ,neg\n");
        task.Write("empty.csv", "text,label\n");
        task.Write("broken.jsonl", "{\"text\": \"good\"\n");
        Directory.CreateDirectory(task["folder"]);
        TemporaryFolder.Copy(task.Model, task["downloaded"], except: ["training.json", "metrics.jsonl"]);
        TemporaryFolder.Copy(task.Model, task["cut-model"]);
        Truncate(Path.Combine(task["cut-model"], "model.safetensors"));
        TemporaryFolder.Copy(task.Adapter, task["cut"]);
        Truncate(Path.Combine(task["cut"], "adapter_model.safetensors"));
        // An adapter of a model of another width.
        task.Write("wide.json", TinyTask.Config(24).Replace("\"dim\": 16", "\"dim\": 32"));
        Succeed("train", "--config", task["wide.json"], "--vocab", task["vocab.txt"], "--data", task.Data, "--method",
            "full", "--max-steps", "1", "--out", task["wide"]);
        Succeed("train", "--model", task["wide"], "--data", task.Data, "--max-steps", "1", "--out", task["other"]);
    }

    [OneTimeTearDown]
    public void DeleteFolder() => task.Dispose();

    [TestCaseSource(nameof(Mistakes))]
    public void Mistake(string line, string message)
    {
        (string Name, string Path)[] places =
        [
            ("MODEL", task.Model), ("ADAPTER", task.Adapter), ("DATA", task.Data), ("OUT", task["out"]),
                ("CONFIG", task["config.json"]), ("VOCAB", task["vocab.txt"]),
            ("OTHER", task["other"]), ("CUT", task["cut"]), ("DOWNLOADED", task["downloaded"]), ("ROOT", task.Root),
        ];
        var before = Files();
        var result = LoraProgram.Call(
            [.. line.Split(' ').Select(word =>
                places.Aggregate(word, (path, place) =>
                    path.Replace(place.Name, place.Path, StringComparison.Ordinal)))]);
        var errors = result.Errors.Split('\n').Where(text => text.StartsWith("error: ", StringComparison.Ordinal))
            .ToArray();
        Assert.That(errors, Has.Length.EqualTo(1), result.Errors);
        Assert.That(result.Errors[result.Errors.IndexOf("error: ", StringComparison.Ordinal)..],
            Does.Contain(message).And.Not.Contain("   at "));
        Assert.That((result.Code, result.Output), Is.EqualTo((1, "")));
        Assert.That(Files(), Is.EqualTo(before), "no file may be left or changed");
    }

    [Test]
    public void An_empty_value_is_refused()
    {
        string[][] commands =
        [
            ["train", "--model", "", "--data", task.Data, "--out", task["out"]],
            ["train", "--model", task.Model, "--data", "", "--out", task["out"]],
            ["train", "--model", task.Model, "--data", task.Data, "--out", ""],
            ["predict", "--model", task.Model, "--input", ""],
            ["tokenize", "--vocab", "", "--text", "film"],
            ["inspect", ""],
        ];
        foreach (var command in commands)
        {
            var result = LoraProgram.Call(command);
            Assert.That((result.Code, result.Output), Is.EqualTo((1, "")), string.Join(' ', command));
            Assert.That(result.Errors, Does.StartWith("error: ").And.Not.Contain("   at "));
        }
    }

    [Test]
    public void A_mistake_ends_the_process_without_a_stack_trace()
    {
        var result = LoraProgram.Run(["predict", "--model", task.Model, "--input", "-", "--json"], "{\"text\": 5}\n");
        Assert.That((result.Code, result.Output), Is.EqualTo((1, "")));
        Assert.That(result.Errors,
            Is.EqualTo("error: standard input, line 1: 'text' should be a string, and is the number 5.\n"));
    }

    private string[] Files() =>
        [.. Directory.GetFiles(task.Root, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
            .Select(path => $"{path} {new FileInfo(path).Length} {File.GetLastWriteTimeUtc(path):O}")];

    private static void Succeed(params string[] args)
    {
        var result = LoraProgram.Call(args);
        Assert.That(result.Code, Is.Zero, result.Errors);
    }

    private static void Truncate(string path)
    {
        using var file = File.OpenWrite(path);
        file.SetLength(file.Length - 10);
    }
}
