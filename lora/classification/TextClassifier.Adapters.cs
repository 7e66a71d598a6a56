using System.Collections.Immutable;
using LoraScratch.Engine;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Lora.Classification;

/// <content>Several adapters on one base, each a task of its own.</content>
public sealed partial class TextClassifier
{
    private readonly AdapterSet adapters = new();
    private ImmutableList<Head> heads = [];                         // replaced, never changed: everybody reads it
    private volatile Head first;                                    // answers where no adapter is named

    /// <summary>The names of the adapters, in the order in which they were added.</summary>
    public IReadOnlyList<string> Adapters => [.. Volatile.Read(ref heads).Select(head => head.Name)];

    /// <summary>
    /// Puts another adapter on the same base, whose weights are not copied: it answers where it is
    /// named (<c>Predict(text, adapter: "mood")</c>), and others may ask meanwhile.
    /// </summary>
    /// <param name="name">Its name here: not empty, not taken, and not "base".</param>
    /// <param name="path">
    /// The adapter folder, or ORG/NAME in the Hugging Face cache: see <see cref="Load"/>.
    /// </param>
    /// <param name="labels">Names of its classes; null: as its files say.</param>
    /// <param name="anyBase">Takes it though it was trained on another base.</param>
    /// <param name="warn">Is told what its files leave open, a sentence each; may be null.</param>
    /// <exception cref="InputException">
    /// The name cannot be used; a file is missing or wrong, the adapter does not fit, or neither it
    /// nor the model has a trained head.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// The model is being trained, or its adapter merged.
    /// </exception>
    public void AddAdapter(string name, string path, IReadOnlyList<string>? labels = null, bool anyBase = false,
        Action<string>? warn = null)
    {
        var folder = ModelSource.Named(path).Path!;
        var task = AdapterTask.Read(folder);
        foreach (var notice in Add(name, folder, task, labels, anyBase))
        {
            warn?.Invoke(notice);
        }
    }

    /// <summary>The same, with what its files say about its task.</summary>
    /// <returns>What its files leave open.</returns>
    internal IReadOnlyList<string> Add(string name, string folder, AdapterTask task,
        IReadOnlyList<string>? labels, bool anyBase) => callers.Run(() =>
        {
            using var turn = Model.Backend.TakeTurn();
            RequireAlive();
            var notices = new List<string>();
            var model = WithHeadOf(task, labels);
            using var use = Model.Use.Read("Adding an adapter");
            using var change = Model.Use.Switch();
            adapters.Add(name, () => ClassifierLoader.Attach(this, model, folder, anyBase, notices));
            var head = new Head(name, model, NeedsAdapter: false) { ReadsPairs = task.ReadsPairs };
            Volatile.Write(ref heads, heads.Add(head));
            return notices;
        });

    /// <summary>The adapters, and which of them the model computes with now.</summary>
    internal AdapterSet AdapterSet => adapters;

    /// <summary>Makes somebody the one that answers where no adapter is named.</summary>
    /// <param name="adapter">The name of an adapter, or "base".</param>
    /// <exception cref="InputException">
    /// There is none of that name, or the base has no trained head.
    /// </exception>
    internal void AnswerBy(string adapter) => first = HeadOf(adapter);

    /// <summary>Puts an adapter into the model, for work that no answer is asked of.</summary>
    /// <param name="adapter">Its name.</param>
    /// <exception cref="InputException">There is none of that name.</exception>
    internal LoRAAdapter PutIn(string adapter) => callers.Run(() =>
    {
        using var turn = Model.Backend.TakeTurn();
        using var use = Model.Use.Read("Choosing an adapter");
        Activate(HeadOf(adapter));
        return adapters[adapter];
    });

    /// <summary>
    /// Lets somebody read a model with its adapter in its weights, while nobody else computes with
    /// it; afterwards every weight is what it was, bit for bit.
    /// </summary>
    /// <param name="adapter">The adapter's name, or "base"; null: as it was loaded.</param>
    /// <param name="encoderOnly">Whether the head does not matter, trained or not.</param>
    /// <param name="read">Reads it.</param>
    /// <exception cref="InputException">
    /// There is no adapter of that name, or no trained head.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// The model is being trained, or predicts.
    /// </exception>
    internal void Merged(string? adapter, bool encoderOnly, Action<EncoderForSequenceClassification> read) =>
        callers.Run(() =>
        {
            using var turn = Model.Backend.TakeTurn();
            RequireAlive();
            var head = encoderOnly && adapter is null ? first : HeadOf(adapter);
            Activate(head);
            using var change = head.Model.Use.Change("Exporting a model");
            var merged = new Stack<LayerWithLoRA>();
            try
            {
                foreach (var (_, layer) in head.Model.NamedModules<LayerWithLoRA>())
                {
                    if (!layer.IsMerged)
                    {
                        layer.Merge();
                        merged.Push(layer);
                    }
                }
                read(head.Model);
            }
            finally
            {
                foreach (var layer in merged)
                {
                    layer.Unmerge();
                }
            }
            return true;
        });

    /// <summary>The names of an adapter's classes.</summary>
    /// <param name="adapter">Its name, or "base".</param>
    /// <exception cref="InputException">There is none of that name.</exception>
    public IReadOnlyList<string> LabelsOf(string adapter) => HeadOf(adapter).Model.Config.Labels;

    /// <summary>
    /// The model for an adapter's task: on the same encoder with a new head where the adapter
    /// brings one along, else the base.
    /// </summary>
    /// <param name="task">What the adapter's files say.</param>
    /// <param name="labels">Names of its classes; null: as the files say.</param>
    /// <exception cref="InputException">They are not as many as its head has.</exception>
    internal EncoderForSequenceClassification WithHeadOf(AdapterTask task, IReadOnlyList<string>? labels)
    {
        var names = task.Labels(labels, baseHead.Model.Config);
        return task.HasHead ? baseHead.Model.WithHead(names!, task.IsMultiLabel) : baseHead.Model;
    }

    /// <summary>Refuses work that is for a model alone.</summary>
    /// <param name="purpose">As the beginning of a sentence.</param>
    /// <exception cref="InputException">There is an adapter.</exception>
    internal void RequireNoAdapters(string purpose)
    {
        if (Adapters is { Count: > 0 } names)
        {
            throw new InputException($"{purpose} is for a model without adapters, and this one has "
                + $"{string.Join(", ", names)}. Load the base model alone.");
        }
    }

    /// <summary>
    /// Refuses to be trained where adapters are switched, or no class has a name.
    /// </summary>
    /// <exception cref="InputException">The message says what to do.</exception>
    internal void RequireTrainable()
    {
        RequireAlive();
        RequireNoAdapters("Fine-tuning");
        if (baseHead.NeedsAdapter)
        {
            throw new InputException($"{Source}: it has no classification head, and nobody has said for which classes "
                + "one is to be trained. Load the model with their names (labels).");
        }
    }

    /// <summary>Who answers.</summary>
    /// <param name="adapter">The name of an adapter, or "base"; null: as it was loaded.</param>
    /// <exception cref="InputException">
    /// There is none of that name, or the model has no trained head.
    /// </exception>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    private Head HeadOf(string? adapter)
    {
        RequireAlive();
        var known = Volatile.Read(ref heads);
        var head = adapter is null ? first : adapter == AdapterSet.Base ? baseHead
            : known.Find(each => each.Name == adapter) ?? throw new InputException(
                $"There is no adapter '{adapter}'; the adapters are "
                + $"{(known.Count == 0 ? "none" : string.Join(", ", known.Select(each => each.Name)))}.");
        return !head.NeedsAdapter ? head : throw new InputException($"{Source}: it has no trained classification "
            + "head, so its answers would be random. Ask an adapter that brings one "
            + $"({(known.Count == 0 ? "AddAdapter" : string.Join(", ", known.Select(each => each.Name)))}), or train "
            + "a head: load the model with the names of its classes (labels).");
    }

    /// <summary>
    /// Makes the adapter of a head the one that the model computes with. In a turn on the device,
    /// while the model is read.
    /// </summary>
    private void Activate(Head head)
    {
        if (adapters.Active == (head == baseHead ? null : head.Name) || adapters.Names.Count == 0)
        {
            return;
        }
        using var change = Model.Use.Switch();
        if (head == baseHead)
        {
            adapters.Disable();
        }
        else
        {
            adapters.Activate(head.Name);
        }
    }

    private IEnumerable<IWeight> Weights() => heads.Prepend(baseHead).SelectMany(head => head.Model.Weights())
        .Concat(adapters.Names.SelectMany(name => adapters[name].Layers)
            .SelectMany(adapted => (IWeight[])[adapted.Layer.Lora.A, adapted.Layer.Lora.B]))
        .Distinct();

    /// <summary>A head with its classes; the adapter that goes with it has the same name.</summary>
    /// <param name="Name">The adapter's, or "base".</param>
    /// <param name="Model">The encoder with this head.</param>
    /// <param name="NeedsAdapter">Whether its answers would be random.</param>
    internal sealed record Head(string Name, EncoderForSequenceClassification Model, bool NeedsAdapter)
    {
        private readonly bool readsPairs;

        /// <summary>Whether it was trained on pairs of texts.</summary>
        public bool ReadsPairs
        {
            get => readsPairs || Model.ReadsPairs;
            init => readsPairs = value;
        }
    }
}
