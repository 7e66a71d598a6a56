using LoraScratch.Engine;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora;

/// <summary>
/// A frozen linear layer with a low-rank update beside it that can be merged into it: <see cref="LinearWithLoRA"/> on a float weight, <see cref="LinearWithQALoRA"/> on a quantised one,
/// <see cref="EmbeddingWithLoRA"/> on a table of vectors.
/// </summary>
public abstract class AdaptedLinear : Layer
{
    private bool wasTrainableA, wasTrainableB;  // before Merge froze them

    private protected AdaptedLinear()
    {
    }

    /// <summary>The adapted layer, the very object that stood in the model.</summary>
    public abstract Layer Linear { get; }

    /// <summary>The update.</summary>
    public abstract ILoRALayer Lora { get; }

    /// <summary>True while the adapted layer holds the update.</summary>
    public bool IsMerged { get; private set; }

    /// <summary>The adapted layer's output and the update of it; while merged, the adapted layer's output.</summary>
    /// <param name="x">[…, in]</param> <returns>[…, out]</returns>
    /// <exception cref="InvalidOperationException">Merged and in training: A and B are not part of the computation then.</exception>
    public override Tensor Forward(Tensor x)
    {
        if (HasUpdateInWeight())
        {
            return Linear.Forward(x);
        }
        using var scope = new TensorScope();
        return scope.Return(Lora.AddTo(Linear.Forward(x), x));
    }

    /// <summary>Whether the adapted layer alone computes the output.</summary>
    /// <exception cref="InvalidOperationException">Merged and in training.</exception>
    private protected bool HasUpdateInWeight() => IsMerged && IsTraining
        ? throw new InvalidOperationException($"{GetType().Name}: a merged layer cannot be trained, A and B have gone into its weight. Call Unmerge() first, or Evaluate() to predict.")
        : IsMerged;

    /// <summary>Writes the update into the adapted layer's weight, in place; the original is kept, and A and B are frozen until <see cref="Unmerge"/>.</summary>
    /// <exception cref="InvalidOperationException">It is merged already, or the model is being trained or predicts.</exception>
    /// <exception cref="InputException">A zero of a quantised weight would not be finite.</exception>
    public void Merge()
    {
        using var change = Use.Change("Merging an adapter");
        if (IsMerged)
        {
            throw new InvalidOperationException($"{GetType().Name}: the layer is merged already; merging twice would add the update twice. Call Unmerge() first.");
        }
        WriteUpdate();
        (wasTrainableA, wasTrainableB) = (Lora.A.IsTrainable, Lora.B.IsTrainable);
        (Lora.A.IsTrainable, Lora.B.IsTrainable) = (false, false);
        IsMerged = true;
    }

    /// <summary>Puts the original weight back, bit for bit.</summary>
    /// <exception cref="InvalidOperationException">It is not merged, or the model is being trained or predicts.</exception>
    public void Unmerge()
    {
        using var change = Use.Change("Unmerging an adapter");
        if (!IsMerged)
        {
            throw new InvalidOperationException($"{GetType().Name}: the layer is not merged.");
        }
        RestoreOriginal();
        ForgetOriginal();
    }

    /// <summary>Lets the merged weight stand for good.</summary>
    internal void ForgetOriginal()
    {
        DropOriginal();
        IsMerged = false;
        (Lora.A.IsTrainable, Lora.B.IsTrainable) = (wasTrainableA, wasTrainableB);
    }

    /// <inheritdoc/>
    protected override string Details => IsMerged ? "merged" : "";

    /// <summary>Keeps the original weight and adds the update to it.</summary>
    private protected abstract void WriteUpdate();

    /// <summary>Puts the original weight back.</summary>
    private protected abstract void RestoreOriginal();

    /// <summary>Gives up the original weight.</summary>
    private protected abstract void DropOriginal();
}
