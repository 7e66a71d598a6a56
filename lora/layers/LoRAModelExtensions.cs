using LoraScratch.Engine;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora;

/// <summary>LoRA on a whole model in one call, as the tutorials do it.</summary>
public static class LoRAModelExtensions
{
    /// <summary>
    /// Freezes the model and replaces every linear layer that is meant, however deep, by a
    /// <see cref="LinearWithLoRA"/>. A model that itself is a <see cref="Linear"/> cannot be
    /// replaced within its owner, for it has none: use what is returned. Never nests and never
    /// silently does nothing. To detach, merge or save, keep the
    /// <see cref="LoRAAdapter"/> instead.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="rank">r ≥ 1</param>
    /// <param name="alpha">alpha above 0; the factor is alpha/rank.</param>
    /// <param name="random">Initialises every A.</param>
    /// <param name="targets">
    /// Names of linear layers, as the ends of their paths; none: every linear layer.
    /// </param>
    /// <returns>The model to call from now on.</returns>
    /// <exception cref="InputException">
    /// A name meets no linear layer, or the model has LoRA already.
    /// </exception>
    public static Layer ReplaceLinearWithLoRA(this Layer model, int rank, double alpha, RandomStream random,
        params IReadOnlyList<string> targets) =>
        (Layer)((Module)model).ReplaceLinearWithLoRA(rank, alpha, random, targets);

    /// <inheritdoc cref="ReplaceLinearWithLoRA(Layer, int, double, RandomStream, IReadOnlyList{string})"/>
    public static Module ReplaceLinearWithLoRA(this Module model, int rank, double alpha, RandomStream random,
        params IReadOnlyList<string> targets) =>
        LoRAAdapter.Attach(model, new LoRASettings(rank, alpha), targets, random).Model;
}
