using System.Reflection;
using System.Runtime.Loader;
using System.Security.Cryptography;
using LoraScratch.Engine;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Training;
using Microsoft.CodeAnalysis;

namespace LoraScratch.Tests.Lora;

/// <summary>The built-in base model: read from its resources, the same as from files.</summary>
public class PretrainedBaseTests
{
    [Test]
    public void It_is_what_its_files_are_in_a_folder()
    {
        using var folder = new TemporaryFolder();
        Unpack(folder.Root);
        var (inside, outside) = (PretrainedBase.Load(seed: 7, labels: ["a", "b", "c"]),
            ModelFolder.Load(folder.Root, seed: 7, labels: ["a", "b", "c"]));
        Assert.That(inside.Model.Config.ToJson(), Is.EqualTo(outside.Model.Config.ToJson()));
        foreach (var ((path, here), (_, there)) in inside.Model.NamedParameters().Zip(outside.Model.NamedParameters()))
        {
            Assert.That(here.ToArray().AsSpan().SequenceEqual(there.ToArray()), path);
        }
        const string text = "Not what I expected, but I like it.";
        Assert.That(inside.Tokenizer.Encode(text).Ids, Is.EqualTo(outside.Tokenizer.Encode(text).Ids));
        Assert.That(inside.Report.Initialized, Is.EquivalentTo(inside.Model.HeadPaths),
            "it has no head of its own");
        using var opened = ModelSource.BuiltIn.Open();
        Assert.That(opened.HasHead, Is.False);
        Assert.That(ModelSource.BuiltIn.Notices(inside.Notices()), Is.Empty);
        Assert.That(ModelSource.Folder(folder.Root).Notices(outside.Notices()), Is.Not.Empty);
    }

    [Test]
    public void Its_name_changes_with_its_weights()
    {
        using var folder = new TemporaryFolder();
        Unpack(folder.Root);
        var hash = Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(folder.File("model.safetensors"))));
        Assert.That(PretrainedBase.Name,
            Is.EqualTo($"lorascratch-base:{hash[..12]}").And.EqualTo(ModelSource.BuiltIn.Reference));
        Assert.That(PretrainedBase.IsNamedBy(PretrainedBase.Name)
            && PretrainedBase.IsNamedBy("lorascratch-base:000000000000"));
        Assert.That(PretrainedBase.IsNamedBy("distilbert-base-uncased") || PretrainedBase.IsNamedBy(null), Is.False);
    }

    [Test]
    public void It_is_small_enough_to_lie_in_the_program_and_fits_together()
    {
        using var folder = new TemporaryFolder();
        Unpack(folder.Root);
        Assert.That(Directory.GetFiles(folder.Root).Sum(path => new FileInfo(path).Length),
            Is.LessThanOrEqualTo(8_000_000));
        var config = ModelSource.BuiltIn.ReadConfig();
        Assert.That(ModelSource.BuiltIn.ReadTokenizer().VocabularySize, Is.EqualTo(config.VocabularySize));
        Assert.That(config.Notices, Is.Empty);
        Assert.That(config.HasClasses, Is.False, "the classes are those of the data");
    }

    [Test]
    public void A_few_lines_adapt_it()
    {
        var classifier = new TextClassifier(PretrainedBase.Load(seed: 1, labels: ["negative", "positive"]));
        var options = new TrainingOptions { MaxSteps = 2, BatchSize = 2, Validation = 0 };
        var result = FineTuning.Start(classifier,
            [new(classifier.Encode("A dull plot."), 0), new(classifier.Encode("A lovely film!"), 1)], null, options)
            .Run();
        Assert.That(result.Steps, Is.EqualTo(2));
        Assert.That(classifier.Predict(["good"]).Single().Label, Is.AnyOf("negative", "positive"));
    }

    [Test]
    public void A_folder_that_is_not_there_is_refused_by_name() =>
        Assert.That(() => ModelSource.Folder("no-such-model").Load(),
            Throws.TypeOf<InputException>().With.Message.StartsWith("no-such-model: there is no such folder"));

    /// <summary>The library alone, in a program that has added no LoraScratch.Base.</summary>
    [Test]
    public void Without_its_package_the_error_names_it_and_all_else_goes_on()
    {
        var program = new WithoutBase();
        using var reflection = program.EnterContextualReflection();
        var library = program.LoadFromAssemblyPath(AssemblyFile.Of(typeof(TextClassifier)));
        object? Call(string type, string method, params object?[] arguments)
        {
            var found = library.GetType(type)!.GetMethod(method)!;
            object?[] defaults = [.. found.GetParameters().Skip(arguments.Length).Select(_ => Type.Missing)];
            return found.Invoke(null, BindingFlags.OptionalParamBinding, null, [.. arguments, .. defaults], null);
        }
        var classifier = typeof(TextClassifier).FullName!;
        Assert.That(() => Call(classifier, nameof(TextClassifier.BuiltIn), [new[] { "a", "b" }]),
            Throws.InnerException.TypeOf<InvalidOperationException>().With.InnerException.Message.EqualTo(
                "The built-in base model is not a part of this program: add the package LoraScratch.Base to its "
                    + "project, or name a model."));
        Assert.That(Call(typeof(BaseFingerprint).FullName!, nameof(BaseFingerprint.Remedy), PretrainedBase.Name),
            Is.EqualTo($" It was trained on '{PretrainedBase.Name}', and the built-in base model is not a part of this "
                + "program: add the package LoraScratch.Base to its project, or name a model."));
        using var folder = new TemporaryFolder();
        Unpack(folder.Root);
        Assert.That(Call(classifier, nameof(TextClassifier.Load), folder.Root, new[] { "a", "b" }), Is.Not.Null);
    }

    /// <summary>
    /// An empty assembly in its place: of one that is not there, the tests' own would be taken.
    /// </summary>
    private sealed class WithoutBase() : AssemblyLoadContext("without LoraScratch.Base")
    {
        protected override Assembly? Load(AssemblyName assemblyName) => assemblyName.Name == "LoraScratch.Base"
            ? InMemoryBuild.Load("LoraScratch.Base", OutputKind.DynamicallyLinkedLibrary, []) : null;
    }

    internal static void Unpack(string folder)
    {
        foreach (var name in (string[])["config.json", "model.safetensors", "vocab.txt"])
        {
            using var resource = BuiltInBase.Open(name);
            using var file = File.Create(Path.Combine(folder, name));
            resource.CopyTo(file);
        }
    }
}
