using LoraScratch.Engine.LinearAlgebra;

namespace LoraScratch.Lora.Explaining;

/// <summary>Who notices that a formula is wrong.</summary>
internal enum Witness
{
    /// <summary>Autograd's gradient differs by more than float32's rounding.</summary>
    Autograd,

    /// <summary>
    /// The finite differences of the float64 reference differ by more than their rounding.
    /// </summary>
    FiniteDifferences,

    /// <summary>
    /// A and B after the engine's training steps differ by more than float32's rounding.
    /// </summary>
    Steps,
}

/// <summary>
/// The classic mistakes of LoRA's backward pass and of AdamW, each a single line of
/// <see cref="LoRAFormulas"/> exchanged. Tests hold that every one is noticed on the
/// <see cref="LoRAExample"/>, and by whom.
/// </summary>
/// <param name="Id">"scale-forgotten"</param>
/// <param name="Title">What was done.</param>
/// <param name="Right">The formula.</param>
/// <param name="Wrong">The formula as it was changed.</param>
/// <param name="Apply">Changes it.</param>
internal sealed record FormulaMutant(string Id, string Title, string Right, string Wrong,
    Func<LoRAFormulas, LoRAFormulas> Apply)
{
    /// <summary>All of them.</summary>
    public static IReadOnlyList<FormulaMutant> All { get; } =
    [
        new("scale-forgotten", "s is forgotten", "dB = s·Hᵀ·dY, dH = s·dY·Bᵀ", "dB = Hᵀ·dY, dH = dY·Bᵀ",
            f => f with { DB = p => p.H.Transpose() * p.DY, DH = p => p.DY * p.N.B.Transpose() }),
        new("scale-on-dA-only", "s is on dA only", "dB = s·Hᵀ·dY", "dB = Hᵀ·dY",
            f => f with { DB = p => p.H.Transpose() * p.DY }),
        new("A-not-transposed", "A is not transposed", "dX = dY·W + M ⊙ (dH·Aᵀ)",
            "dX = dY·W + M ⊙ (dH·A), A's memory read as [r, in]",
            f => f with { DX = p => p.DY * p.N.W
                + p.N.ToInput(p.DH * new DenseMatrix(p.N.A.Columns, p.N.A.Rows, p.N.A.Values)) }),
        new("mean-for-sum", "a mean over the rows for the sum", "dA = X̃ᵀ·dH", "dA = X̃ᵀ·dH/N",
            f => f with { DA = p => 1.0 / p.N.Count * (p.P.Transpose() * p.DH) }),
        new("overwritten", "= for +=", "dA += X̃ᵀ·dH, dB += s·Hᵀ·dY", "dA = X̃ᵀ·dH, dB = s·Hᵀ·dY: the last micro-batch",
            f => f with { Accumulate = (_, share) => share }),
        new("H-detached", "H is detached", "dH = s·dY·Bᵀ", "dH = 0: the gradient stops at H",
            f => f with { DH = p => 0.0 * (p.DY * p.N.B.Transpose()) }),
        new("mask-of-another-step", "the mask of another step", "dA = X̃ᵀ·dH, X̃ = M ⊙ X/(1−p)",
            "dA with the next step's M",
            f => f with { DA = p => (p.N with { Mask = p.N.MaskOfAnotherStep }).Pooled().Transpose() * p.DH }),
        new("epsilon-in-root", "ε inside the root", "w −= rate·m̂/(√v̂ + ε)", "w −= rate·m̂/√(v̂ + ε)",
            f => f with { Update = e => Step(e, (m, v) => m / Math.Sqrt(v + e.Epsilon)) }),
        new("no-bias-correction", "bias correction is left out", "m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ)", "m̂ = m, v̂ = v",
            f => f with { Update = e => e with
            {
                M = M(e),
                V = V(e),
                Weight = (1 - e.Rate * e.Decay) * e.Weight - e.Rate * M(e) / (Math.Sqrt(V(e)) + e.Epsilon),
            } }),
        new("step-off-by-one", "t is off by one", "m̂ = m/(1 − β₁ᵗ), t = 1, 2, …", "t = 2, 3, …",
            f => f with { Update = e => LoRAFormulas.AdamUpdate(e with { Number = e.Number + 1 }) with
            {
                Number = e.Number,
            } }),
        new("betas-swapped", "β₁ and β₂ are exchanged", "m ← β₁·m + …, v ← β₂·v + …", "m ← β₂·m + …, v ← β₁·v + …",
            f => f with { Update = e => LoRAFormulas.AdamUpdate(e with { Beta1 = e.Beta2, Beta2 = e.Beta1 }) }),
        new("decay-coupled", "the decay is in the gradient", "w ← (1 − rate·decay)·w − rate·m̂/(√v̂ + ε)",
            "g ← g + decay·w, w ← w − rate·m̂/(√v̂ + ε): Adam, not AdamW",
            f => f with { Update = e => LoRAFormulas.AdamUpdate(e with
            {
                Gradient = e.Gradient + e.Decay * e.Weight,
                Decay = 0,
            }) }),
        new("dX-without-update", "dX lacks the low-rank part", "dX = dY·W + M ⊙ (dH·Aᵀ)", "dX = dY·W",
            f => f with { DX = p => p.DY * p.N.W }),
        new("row-of-another-text", "a row of another text", "dA = X̃ᵀ·dH",
            "dA with the first row of the other example's X̃",
            f => f with { DA = p => WithForeignRow(p).Transpose() * p.DH }),
    ];

    /// <summary>Who notices it on an example, and where.</summary>
    /// <param name="example">The example.</param>
    public IReadOnlyList<MutantNotice> Notices(LoRAExample example)
    {
        var notices = new List<MutantNotice>();
        var numbers = example.Start;
        var wrong = Apply(LoRAFormulas.Right).Gradients(numbers, example.OutputGradient(numbers),
            LoRAExample.MicroBatches);
        foreach (var way in example.Compare())
        {
            if (Gradient(wrong, way.Name) is not { } values)
            {
                continue;
            }
            Add(Witness.Autograd, way.Name, i => Math.Abs(values[i] - way.Autograd[i]) <= way.Tolerance[i],
                values.Length);
            Add(Witness.FiniteDifferences, way.Name,
                i => Math.Abs(values[i] - way.Differences[i].Numeric) <= way.Differences[i].Tolerance, values.Length);
        }
        var last = example.EngineSteps[^1];
        var right = example.Replay(LoRAFormulas.Right)[^1];
        var replay = example.Replay(Apply(LoRAFormulas.Right))[^1];
        Add(Witness.Steps, "A", i => Math.Abs(replay.A[i] - last.A[i]) <= right.AError[i], replay.A.Length);
        Add(Witness.Steps, "B", i => Math.Abs(replay.B[i] - last.B[i]) <= right.BError[i], replay.B.Length);
        return notices;

        void Add(Witness witness, string quantity, Predicate<int> agrees, int count)
        {
            int[] where = [.. Enumerable.Range(0, count).Where(i => !agrees(i))];
            if (where.Length > 0)
            {
                notices.Add(new MutantNotice(witness, quantity, where));
            }
        }
    }

    private static double[]? Gradient(LayerGradients gradients, string name) => name switch
    {
        "dA" => gradients.A.Values,
        "dB" => gradients.B.Values,
        "dX" => gradients.X.Values,
        _ => null,
    };

    private static AdamElement Step(AdamElement e, Func<double, double, double> direction)
    {
        var (mHat, vHat) = (M(e) / (1 - Math.Pow(e.Beta1, e.Number)), V(e) / (1 - Math.Pow(e.Beta2, e.Number)));
        return e with
        {
            M = M(e),
            V = V(e),
            Weight = (1 - e.Rate * e.Decay) * e.Weight - e.Rate * direction(mHat, vHat),
        };
    }

    private static double M(AdamElement e) => e.Beta1 * e.M + (1 - e.Beta1) * e.Gradient;

    private static double V(AdamElement e) => e.Beta2 * e.V + (1 - e.Beta2) * e.Gradient * e.Gradient;

    private static DenseMatrix WithForeignRow(LayerPass pass)
    {
        var p = new DenseMatrix(pass.P.Rows, pass.P.Columns, [.. pass.P.Values]);
        pass.Other.Pooled().Row(0).CopyTo(p.Row(0));
        return p;
    }
}

/// <summary>Where a mutant was noticed.</summary>
/// <param name="By">Who noticed.</param>
/// <param name="Quantity">"dA"; of the steps, "A" or "B".</param>
/// <param name="Elements">Row-major indices of the elements that differ.</param>
internal sealed record MutantNotice(Witness By, string Quantity, IReadOnlyList<int> Elements);
