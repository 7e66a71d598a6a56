using System.Text.Json.Nodes;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Lora;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Hub;
using LoraScratch.Lora.Training;
using LoraScratch.Tests.Lora;

namespace LoraScratch.Tests.Classification;

/// <summary>From a folder or a name to a classifier: base, head, classes and tokenizer.</summary>
public sealed class LoadTests
{
    private const string Commit = "0123456789abcdef0123456789abcdef01234567";

    private readonly Dictionary<string, string?> environment = [];
    private TemporaryFolder folder = null!;
    private CpuBackend backend = null!;
    private string before = "";
    private float[] expected = [];

    [SetUp]
    public void Create()
    {
        folder = new TemporaryFolder();
        backend = new CpuBackend(threads: 1);
        before = Environment.CurrentDirectory;
        Directory.CreateDirectory(At("models"));
        using (var model = TinyDistilBert.Classifier(backend: backend))
        {
            model.Save(At("models/tiny"));
        }
        foreach (var name in new[] { "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE" })
        {
            environment[name] = Environment.GetEnvironmentVariable(name);
            Environment.SetEnvironmentVariable(name, name == "HF_HOME" ? At("hf") : null);
        }
        using var classifier = TextClassifier.Load(At("models/tiny"), backend: backend);
        var tuning = FineTuning.Start(classifier, TinyDistilBert.Sentences(16, 1), null,
            new TrainingOptions { Epochs = 2, BatchSize = 4, LearningRate = 0.02f, Lora = new LoRASettings(2, 4) });
        tuning.Run();
        tuning.Save(At("adapter"));
        expected = [.. classifier.Predict("wa wm").Logits];
    }

    [TearDown]
    public void Clean()
    {
        Environment.CurrentDirectory = before;
        foreach (var (name, value) in environment)
        {
            Environment.SetEnvironmentVariable(name, value);
        }
        backend.Dispose();
        folder.Dispose();
    }

    private string At(string name) => folder.File(name);

    [Test]
    public void An_adapter_finds_its_base_by_its_path()
    {
        AssertLoads(At("adapter"));
        Assert.That(Base(At("adapter")), Is.EqualTo(At("models/tiny")));
    }

    [TestCase("models/tiny", "", TestName = "A base is found from the folder that the adapter is in")]
    [TestCase("../models/tiny", "", TestName = "A base is found from the adapter's folder")]
    [TestCase("tiny", "models", TestName = "A base is found from the working directory")]
    public void A_base_is_found_from(string named, string directory)
    {
        Name(named);
        Directory.CreateDirectory(At("elsewhere"));
        Environment.CurrentDirectory = At(directory.Length > 0 ? directory : "elsewhere");
        AssertLoads(At("adapter"));
    }

    [Test]
    public void Two_folders_that_could_be_its_base_are_refused_and_one_is_chosen_in_code()
    {
        Name("tiny");
        Directory.CreateDirectory(At("other"));
        foreach (var place in new[] { "other/tiny", "tiny" })
        {
            TemporaryFolder.Copy(At("models/tiny"), At(place));
        }
        Environment.CurrentDirectory = At("other");
        Refuse(() => Load(At("adapter")), "'tiny' could be", At("other/tiny"), At("tiny"), "baseModel");
        AssertLoads(At("adapter"), baseModel: At("models/tiny"));
    }

    [Test]
    public void A_base_and_an_adapter_are_found_in_the_cache_of_Python_by_name()
    {
        Cache("org/tiny", At("models/tiny"), "main");
        Cache("org/my-adapter", At("adapter"), "main");
        Name("org/tiny", At("hf/hub/models--org--my-adapter/snapshots/" + Commit));
        Directory.Delete(At("models"), recursive: true);
        AssertLoads("org/my-adapter");
        Name("org/tiny");
        AssertLoads(At("adapter"));
        using (var model = Load("org/tiny"))
        {
            Assert.That(model.Reference, Is.EqualTo("org/tiny"), "what an adapter will call it");
        }
        Assert.That(Directory.GetFiles(At("hf"), "*", SearchOption.AllDirectories), Has.Length.EqualTo(
            Directory.GetFiles(At("hf/hub"), "*", SearchOption.AllDirectories).Length), "nothing is written");
    }

    [Test]
    public void The_revision_of_a_base_is_followed()
    {
        Cache("org/tiny", At("models/tiny"), "v1.0");
        Name("org/tiny");
        Refuse(() => Load(At("adapter")), "has no revision 'main' of org/tiny", "snapshot_download(\"org/tiny\")");
        Name("org/tiny", revision: "v1.0");
        AssertLoads(At("adapter"));
        Name("org/tiny", revision: Commit);
        AssertLoads(At("adapter"));
        Name("org/tiny", revision: "../../../x");
        Refuse(() => Load(At("adapter")), "has no revision '../../../x'");
        File.WriteAllText(At("hf/hub/models--org--tiny/refs/v1.0"), "../../..");
        Name("org/tiny", revision: "v1.0");
        Refuse(() => Load(At("adapter")), "refs/v1.0", "a commit of 40 hexadecimal digits");
    }

    [Test]
    public void A_base_that_is_nowhere_is_refused_with_where_it_was_looked_for()
    {
        Name("org/tiny");
        Refuse(() => Load(At("adapter")), At("adapter/adapter_config.json"), "'org/tiny'",
            Path.GetFullPath("org/tiny"), At("adapter/org/tiny"), At("hf/hub/models--org--tiny"), "snapshot_download",
            "baseModel");
        Name(null);
        Refuse(() => Load(At("adapter")), "does not name the model", "base_model_name_or_path", "baseModel");
        AssertLoads(At("adapter"), baseModel: At("models/tiny"));
        Name("lorascratch-base:000000000000");
        Refuse(() => Load(At("adapter")), "the built-in base model is");
    }

    [Test]
    public void A_name_that_is_nothing_is_refused()
    {
        Refuse(() => Load(At("nothing")), At("nothing"), "there is no such folder");
        Refuse(() => Load("org/nothing"), "there is no such folder", At("hf/hub/models--org--nothing"),
            "snapshot_download(\"org/nothing\")");
        Directory.CreateDirectory(At("empty"));
        Refuse(() => Load(At("empty")), "holds neither adapter_config.json", "nor config.json");
        Refuse(() => Load(At("models/tiny"), baseModel: At("models/tiny")), "is a model and no adapter", "baseModel");
        Refuse(() => Load(At("adapter"), baseModel: At("adapter")), "is an adapter", "and no model");
    }

    [Test]
    public void A_folder_that_could_be_a_model_or_an_adapter_is_not_guessed_at()
    {
        foreach (var file in new[] { PeftAdapter.ConfigName, PeftAdapter.WeightsName })
        {
            File.Copy(At($"adapter/{file}"), At($"models/tiny/{file}"));
        }
        Refuse(() => Load(At("models/tiny")), "holds an adapter", "and a model", "baseModel");
        AssertLoads(At("models/tiny"), baseModel: At("models/tiny"));
    }

    [Test]
    public void An_adapter_in_a_sub_folder_is_found()
    {
        Directory.CreateDirectory(At("run"));
        Directory.Move(At("adapter"), At("run/checkpoint-8"));
        AssertLoads(At("run"));
        using var classifier = Load(At("run"));
        Assert.That(classifier.Adapters, Is.EqualTo(new[] { "checkpoint-8" }));
    }

    [Test]
    public void A_model_without_a_head_waits_for_adapters_or_is_trained_for_named_classes()
    {
        Behead(At("models/tiny"));
        using (var bare = Load(At("models/tiny")))
        {
            Assert.That(bare.IsHeadUntrained);
            Refuse(() => bare.Predict("wa"), "no trained classification head", "AddAdapter", "labels");
            Refuse(() => bare.Predict(["wa"]), "no trained classification head");
            Refuse(() => FineTuning.Start(bare, new TextDataset([("a", "x"), ("b", "y")])), "no classification head",
                "labels");
            bare.AddAdapter("mine", At("adapter"));
            Assert.That(bare.Predict("wa wm", "mine").Logits, Is.EqualTo(expected).Within(1e-6));
        }
        AssertLoads(At("adapter"));
        using (var adapted = Load(At("adapter")))
        {
            Assert.That(adapted.IsHeadUntrained, Is.False);
            Refuse(() => adapted.Predict("wa", "base"), "no trained classification head", "adapter");
        }
        using var named = TextClassifier.Load(At("models/tiny"), labels: ["x", "y", "z"], backend: backend);
        Assert.That((named.Labels.Count, named.IsHeadUntrained), Is.EqualTo((3, true)));
        Assert.That(named.Predict("wa").Probabilities, Has.Count.EqualTo(3));
    }

    [Test]
    public void Labels_name_the_classes_of_a_trained_head_and_are_as_many()
    {
        using (var renamed = TextClassifier.Load(At("adapter"), labels: ["no", "yes"], backend: backend))
        {
            Assert.That(renamed.Predict("wa").Probabilities.Keys, Is.EqualTo(new[] { "no", "yes" }));
        }
        Refuse(() => TextClassifier.Load(At("adapter"), labels: ["a", "b", "c"], backend: backend), "2 classes", "3");
        Refuse(() => TextClassifier.Load(At("models/tiny"), labels: ["a"], backend: backend), "2 classes", "newHead");
        using (var other = TextClassifier.Load(At("models/tiny"), labels: ["a", "b", "c"], newHead: true,
            backend: backend))
        {
            Assert.That((other.IsHeadUntrained, other.Labels.Count), Is.EqualTo((true, 3)));
        }
        Refuse(() => TextClassifier.Load(At("models/tiny"), newHead: true, backend: backend), "newHead", "labels");
        Refuse(() => TextClassifier.Load(At("adapter"), labels: ["a"], newHead: true, backend: backend), "newHead");
        Refuse(() => TextClassifier.Load(At("adapter"), isMultiLabel: true, backend: backend), "isMultiLabel is true");
        Assert.That(backend.Memory.InUse, Is.Zero, "what was refused is gone");
    }

    [Test]
    public void What_the_files_leave_open_is_told()
    {
        var config = JsonNode.Parse(File.ReadAllText(At("adapter/adapter_config.json")))!;
        config["a_new_key"] = 1;
        File.WriteAllText(At("adapter/adapter_config.json"), config.ToJsonString());
        var notices = new List<string>();
        using var classifier = TextClassifier.Load(At("adapter"), backend: backend, warn: notices.Add);
        Assert.That(notices, Has.Some.Contains("a_new_key"));
    }

    [Test]
    public void Where_the_cache_is_the_environment_says_as_in_Python()
    {
        string Root(params (string Name, string Value)[] set) => HubCache.RootOf(name =>
            set.FirstOrDefault(entry => entry.Name == name) is { Value: { } value } ? value : null);
        var home = ("HOME", "/home/me");
        Assert.That(Root(home), Is.EqualTo("/home/me/.cache/huggingface/hub"));
        Assert.That(Root(home, ("XDG_CACHE_HOME", "/c")), Is.EqualTo("/c/huggingface/hub"));
        Assert.That(Root(home, ("HF_HOME", "~/hf"), ("XDG_CACHE_HOME", "/c")), Is.EqualTo("/home/me/hf/hub"));
        Assert.That(Root(home, ("HF_HOME", "/a"), ("HF_HUB_CACHE", "$HOME/cache")), Is.EqualTo("/home/me/cache"));
        Assert.That(new[] { "bert-base-uncased", "org/name", "a.b/c_d" }.All(HubName.IsName));
        Assert.That(new[] { "a/b/c", "/a", "../a", "a/..", "a--b/c", "", "a b" }.Any(HubName.IsName), Is.False);
    }

    private void AssertLoads(string path, string? baseModel = null)
    {
        using var classifier = Load(path, baseModel);
        Assert.That(classifier.Predict("wa wm").Logits, Is.EqualTo(expected).Within(1e-6));
    }

    private TextClassifier Load(string path, string? baseModel = null) =>
        TextClassifier.Load(path, baseModel: baseModel, backend: backend);

    /// <summary>The message has these words, and none of the command line.</summary>
    private static void Refuse(Action action, params string[] words)
    {
        var message = Assert.Throws<InputException>(action)!.Message;
        foreach (var word in words)
        {
            Assert.That(message, Does.Contain(word));
        }
        Assert.That(message, Does.Not.Match(@"(^|\s)--[a-z]|'lora |option '(\w+-|adapter|model|lr)"));
    }

    private string? Base(string adapter) => (string?)JsonNode.Parse(File.ReadAllText(
        Path.Combine(adapter, PeftAdapter.ConfigName)))!["base_model_name_or_path"];

    private void Name(string? baseModel, string? adapter = null, string? revision = null)
    {
        var path = Path.Combine(adapter ?? At("adapter"), PeftAdapter.ConfigName);
        var config = JsonNode.Parse(File.ReadAllText(path))!;
        (config["base_model_name_or_path"], config["revision"]) = (baseModel, revision);
        File.WriteAllText(path, config.ToJsonString());
    }

    /// <summary>As huggingface_hub lays a download out.</summary>
    private void Cache(string name, string source, string revision)
    {
        var repository = At($"hf/hub/models--{name.Replace("/", "--", StringComparison.Ordinal)}");
        Directory.CreateDirectory(Path.Combine(repository, "refs"));
        File.WriteAllText(Path.Combine(repository, "refs", revision), Commit);
        var (blobs, snapshot) = (Path.Combine(repository, "blobs"), Path.Combine(repository, "snapshots", Commit));
        Directory.CreateDirectory(blobs);
        Directory.CreateDirectory(snapshot);
        foreach (var file in Directory.GetFiles(source))
        {
            var (file2, blob) = (Path.GetFileName(file), Path.Combine(blobs, $"blob-{Path.GetFileName(file)}"));
            File.Copy(file, blob);
            File.CreateSymbolicLink(Path.Combine(snapshot, file2), $"../../blobs/blob-{file2}");
        }
    }

    /// <summary>The same encoder without its two last layers.</summary>
    private static void Behead(string folder)
    {
        var model = ModelFolder.Load(folder).Model;
        SafeTensorsFile.Write(Path.Combine(folder, Checkpoint.FileName),
            model.NamedParameters().Where(entry => !model.HeadPaths.Contains(entry.Path)));
    }
}
