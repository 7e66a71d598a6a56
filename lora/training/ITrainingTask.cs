using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Processes;

namespace LoraScratch.Lora.Training;

/// <summary>
/// What a <see cref="TrainingLoop"/> trains: a model, the gradients of its loss, and how good it
/// is.
/// </summary>
internal interface ITrainingTask
{
    /// <summary>What is trainable in it now is trained.</summary>
    Module Model { get; }

    /// <summary>Where the model is.</summary>
    IBackend Backend { get; }

    /// <summary>Where the seeds of the model's dropout masks come from.</summary>
    RandomStream DropoutStream { get; }

    /// <summary>
    /// What each batch of a step counts in its loss, so that the sum of the batches' shares of the
    /// loss is the mean over everything in the step that has one, whatever the sizes of the
    /// batches.
    /// </summary>
    /// <param name="group">At least one batch.</param>
    /// <param name="epoch">From 1.</param>
    /// <returns>[batches] Together 1.</returns>
    IReadOnlyList<float> SharesOf(IReadOnlyList<PackedBatch> group, int epoch);

    /// <summary>
    /// Forward and backward of a batch; the gradients add to those that are there. Depends on
    /// nothing but the model, the dropout stream, the batch, its share and the epoch.
    /// </summary>
    /// <param name="batch">Of a step.</param>
    /// <param name="share">What it counts in the step's loss.</param>
    /// <param name="epoch">From 1.</param>
    /// <returns>
    /// Its share of the loss, one element, the caller's: reading it waits for the device.
    /// </returns>
    Tensor AddGradients(PackedBatch batch, float share, int epoch);

    /// <summary>The same for all batches of a step.</summary>
    /// <param name="group">At least one batch.</param>
    /// <param name="epoch">From 1.</param>
    /// <returns>The loss, likewise.</returns>
    Tensor AddGradients(IReadOnlyList<PackedBatch> group, int epoch)
    {
        var shares = SharesOf(group, epoch);
        var loss = AddGradients(group[0], shares[0], epoch);
        try
        {
            for (var i = 1; i < group.Count; i++)
            {
                using var more = AddGradients(group[i], shares[i], epoch);
                loss.Backend.AddScaled(loss.Data, 1, more.Data);
            }
            return loss;
        }
        catch
        {
            loss.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Called between a batch's forward pass, when all is held that its gradients will read, and
    /// its backward pass; null: nobody looks.
    /// </summary>
    Action? ForwardDone
    {
        get => null;
        set { }
    }

    /// <summary>How the model does on held-out examples.</summary>
    /// <param name="examples">At least one.</param>
    /// <param name="processes">Each takes a share of the batches; all get the result.</param>
    /// <param name="cancellation">Ends the work between two batches.</param>
    /// <exception cref="OperationCanceledException">It was cancelled, in any process.</exception>
    Score Evaluate(IReadOnlyList<EncodedExample> examples, ProcessGroup processes, CancellationToken cancellation);

    /// <summary>
    /// Computes what never changes in a run, once for each example:
    /// <see cref="AddGradients(PackedBatch, float, int)"/> and <see cref="Evaluate"/> read it until
    /// it is disposed, and give the same results.
    /// </summary>
    /// <param name="train">What the numbers of a batch's rows count.</param>
    /// <param name="some">Those of them that it is computed for; null: all.</param>
    /// <param name="validation">Held out; may be null.</param>
    /// <param name="cancellation">Ends the work between two batches.</param>
    /// <param name="progress">
    /// Called after every batch with the number of examples done; may be null.
    /// </param>
    /// <returns>Null where there is nothing of the kind.</returns>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    IDisposable? Keep(IReadOnlyList<EncodedExample> train, IReadOnlyList<int>? some,
        IReadOnlyList<EncodedExample>? validation, CancellationToken cancellation, Action<int>? progress = null) =>
        null;

    /// <summary>Every option that has a meaning for the task, by its name.</summary>
    IReadOnlyDictionary<string, object?> OptionsByName();

    /// <summary>What is trained, by its path.</summary>
    IReadOnlyList<(string Path, Parameter Parameter)> Trainable() =>
        [.. Model.NamedParameters().Where(entry => entry.Parameter.IsTrainable)];

    /// <summary>
    /// The streams that dropout masks are drawn from: the model's, and an adapter's own.
    /// </summary>
    IReadOnlyList<RandomStream> RandomStreams() =>
        [.. Model.NamedModules().Select(entry => entry.Module).OfType<Dropout>().Select(dropout => dropout.Random)
            .Prepend(DropoutStream).Distinct()];
}
