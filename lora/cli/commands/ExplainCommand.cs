using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Kernels;
using LoraScratch.Lora;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Explaining;

namespace LoraScratch.Cli;

/// <summary>lora explain: how one batch goes through a LoRA layer, forward and backward.</summary>
internal static class ExplainCommand
{
    public static Command Create()
    {
        var model = new TaskOptions();
        var text = new Option<string?>("--text")
        {
            Description = "One text to send through the model.",
            HelpName = "TEXT",
        };
        var label = new Option<string?>("--label")
        {
            Description = "The class of --text, for the loss. [default: the one that the model answers]",
            HelpName = "NAME",
        };
        var data = new DataOptions(required: false);
        var limit = OptionKinds.Whole("--limit", "Texts of --data at most, balanced over the classes.", 2);
        var maxLength = OptionKinds.MaxLength();
        var layer = new Option<string?>("--layer")
        {
            Description = "The adapted layer to explain, by its path or the end of it. [default: the first linear one]",
            HelpName = "PATH",
        };
        var html = OptionKinds.Path("--html", "FILE", "Writes a page beside what is printed: one file to open in a "
            + "browser, in which every number can be looked at, recomputed and broken.");
        var page = new SideFileOptions(html);
        var device = new DeviceOptions();
        var command = new ExampleCommand("explain",
            "Takes a LoRA layer apart, op by op, forward and backward: equations with shapes, numbers, what is saved, "
                + "what it costs, what is never formed; and its gradients three ways. Without an adapter: a small "
                + "built-in example.",
            "lora explain",
            "lora explain --html explain.html",
            "lora explain --adapter my-adapter --text \"Not what I expected, but I like it.\"",
            "lora explain --model base-int4 --adapter int4-adapter --data reviews.csv --layer layer.1.attention.v_lin");
        model.AddTo(command);
        data.AddTo(command);
        foreach (Option option in (Option[])[text, label, limit, maxLength, layer])
        {
            command.Add(option);
        }
        page.AddTo(command);
        device.AddTo(command);
        command.SetAction(parsed =>
        {
            var given = parsed.GetValue(text);
            using var reserved = page.Reserve(parsed, html, ("--data", data.Path(parsed)));
            if (!model.HasAdapter(parsed))
            {
                RequireNothingElse(model.IsGiven(parsed), "--model");
                RequireNothingElse(given is not null, "--text");
                RequireNothingElse(data.IsGiven(parsed), "--data");
                RequireNothingElse(parsed.GetValue(layer) is not null, "--layer");
                using var own = device.Open(parsed);
                var example = LoRAExample.Run();
                ExplanationReport.Print(example);
                return Write(parsed.GetValue(html), () => LayerPages.Of(example));
            }
            RequireTexts(given, data.IsGiven(parsed));
            using var backend = device.Open(parsed);
            var (classifier, tasks) = model.Load(parsed, backend);
            var isBase = tasks[0].Adapter == AdapterSet.Base;
            if (tasks.Count > 1 || isBase && classifier.Adapters.Count > 1)
            {
                throw new InputException($"explain takes one adapter, and {string.Join(", ", classifier.Adapters)} are "
                    + "given. Choose one with --active.");
            }
            if (isBase)
            {
                throw new InputException("--active is base, the model without an adapter; explain needs the layers of "
                    + "one.");
            }
            classifier.AnswerBy(tasks[0].Adapter!);
            var adapter = classifier.PutIn(tasks[0].Adapter!);
            var chosen = LayerChoice.Find(adapter.Layers, parsed.GetValue(layer));
            EncodedExample[] examples = given is null
                ? [.. Encode(data.Load(parsed, DatasetSplit.Test, new LabelSet(classifier.Labels),
                        isMultiLabel: classifier.IsMultiLabel)
                    .Limit(parsed.GetValue(limit), seed: 1))]
                : [Example(classifier, given, parsed.GetValue(label), parsed.GetValue(maxLength))];
            var explained = Explain(classifier, adapter, chosen, examples, backend);
            ExplanationReport.Print(explained, classifier, examples);
            return Write(parsed.GetValue(html), () => LayerPages.Of(explained,
                Rows(classifier, examples, explained)));

            IEnumerable<EncodedExample> Encode(TextDataset dataset)
            {
                classifier.RequirePairs(dataset.HasPairs, dataset.Source);
                var longest = classifier.MaxTokens(parsed.GetValue(maxLength));
                var encoded = dataset.Encode(classifier.Tokenizer, longest);
                Text.SayCut(encoded.Truncated, encoded.Examples.Count, longest);
                return encoded.Examples;
            }
        });
        return command;
    }

    /// <summary>The chosen layer on these texts, in evaluation mode: without dropout.</summary>
    private static LayerExplanation Explain(TextClassifier classifier, LoRAAdapter adapter,
        (string Path, LayerWithLoRA Layer) layer,
        EncodedExample[] examples, IBackend backend)
    {
        adapter.SetTrainable(true);                                     // as in training
        classifier.Model.Evaluate();
        var batch = PackedBatch.Of(examples);
        using var tokens = new PackedTokens(batch, backend);
        return LayerExplanation.Of(classifier.Model, layer,
            () => classifier.Loss(classifier.Model.Forward(tokens), tokens, batch));
    }

    private static int Write(string? path, Func<LayerPage> page)
    {
        if (path is not null)
        {
            page().Write(path);
            Console.WriteLine($"\nThe page is in {path}; open it in a browser.");
        }
        return 0;
    }

    /// <summary>
    /// A name for each row of the layer: its token; [CLS] where the layer, in the last block, is
    /// computed for that alone; or of a layer of the head, which sees one vector of each text, its
    /// text.
    /// </summary>
    private static RowName[] Rows(TextClassifier classifier, EncodedExample[] examples, LayerExplanation layer)
    {
        var tokenizer = classifier.Tokenizer;
        (string Name, string[] Tokens)[] texts = [.. examples.Select((example, n) =>
            ($"text {n + 1}", Array.ConvertAll(example.TokenIds, tokenizer.TokenOf)))];
        return layer.Numbers.Count == examples.Length
            ? [.. texts.Select(text =>
                new RowName(IsOfHead(classifier, layer) ? text.Name : text.Tokens[0], text.Name))]
            : [.. texts.SelectMany(text => text.Tokens.Select(token => new RowName(token, text.Name)))];
    }

    private static bool IsOfHead(TextClassifier classifier, LayerExplanation layer) =>
        classifier.Model.LastLayerPaths.Contains($"{layer.Path}.weight");

    /// <summary>
    /// The text that is given, with the class that is, or else with what the model predicts.
    /// </summary>
    private static EncodedExample Example(TextClassifier classifier, string text, string? label, int? maxLength)
    {
        classifier.RequirePairs(hasPairs: false, "--text");
        var longest = classifier.MaxTokens(maxLength);
        var encoded = classifier.Tokenizer.EncodeIds(text, second: null, longest);
        Text.SayCut(encoded.IsTruncated ? 1 : 0, 1, longest);
        var predicted = label is null ? classifier.Predict([text], maxLength: maxLength).Single() : null;
        if (!classifier.IsMultiLabel)
        {
            return new EncodedExample(encoded.Ids, predicted?.LabelId ?? Label(classifier, label!));
        }
        return new EncodedExample(encoded) with
        {
            Classes = predicted is null ? [Label(classifier, label!)]
                : [.. predicted.Labels().Select(name => Label(classifier, name)).Order()],
        };
    }

    private static int Label(TextClassifier classifier, string label)
    {
        var classes = new LabelSet(classifier.Labels);
        return classes.TryFind(label, out var index)
            || !classes.HasNumericNames && LabelSet.IsIndex(label, out index) && index < classes.Count ? index
            : throw new InputException($"--label is '{label}'; the classes of the model are "
                + $"{string.Join(", ", classifier.Labels)}.");
    }

    private static void RequireTexts(string? text, bool hasData)
    {
        if (text is not null && hasData)
        {
            throw new InputException("Both --text and --data are given; use one.");
        }
        if (text is null && !hasData)
        {
            throw new InputException("No text is given: use --text \"…\" or --data FILE.");
        }
        if (text is not null && string.IsNullOrWhiteSpace(text))
        {
            throw new InputException("--text is empty; expected a text.");
        }
    }

    private static void RequireNothingElse(bool isGiven, string option)
    {
        if (isGiven)
        {
            throw new InputException($"{option} is given, but no adapter, and there is no LoRA layer to explain "
                + "without one. Name a folder that 'lora train' wrote with --adapter DIR; without options the built-in "
                + "example is explained.");
        }
    }
}
