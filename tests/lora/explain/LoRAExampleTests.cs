using LoraScratch.Lora.Explaining;

namespace LoraScratch.Tests.Explaining;

/// <summary>
/// The built-in example: three ways agree on it, and every wrong formula is noticed.
/// </summary>
public sealed class LoRAExampleTests
{
    private static readonly LoRAExample Example = LoRAExample.Run();
    private static readonly LoRAExample FromZero = LoRAExample.Run(fromZero: true);

    private static IEnumerable<string> Mutants => FormulaMutant.All.Select(mutant => mutant.Id);

    [Test]
    public void The_example_hides_nothing()
    {
        Assert.That(Example.Start.B.Values, Has.None.Zero, "B ≠ 0");
        Assert.That(Example.Start.Scaling, Is.EqualTo(LoRAExample.Alpha / LoRAExample.Rank).And.Not.EqualTo(1));
        Assert.That(LoRAExample.MicroBatches, Has.Count.EqualTo(2));
        Assert.That(Example.EngineSteps, Has.Count.EqualTo(3));
        foreach (var step in Example.EngineSteps)
        {
            Assert.That(step.Numbers.Mask!.Values, Has.Some.Zero.And.Some.GreaterThan(1));
        }
        Assert.That(Example.EngineSteps.Select(step => string.Join(' ', step.Numbers.Mask!.Values)).Distinct().Count(),
            Is.EqualTo(3), "each step has a mask of its own");
    }

    [Test]
    public void Three_ways_agree_within_rounding()
    {
        var ways = Example.Compare();
        Assert.That(ways.Select(way => way.Name), Is.EqualTo(new[] { "H", "Y", "dA", "dB", "dX" }));
        foreach (var way in ways)
        {
            Assert.That(way.Agree, $"{way.Name}: {way.LargestDifference:G3}, {way.LargestNumericDifference:G3}");
            Assert.That(way.Tolerance.Max(), Is.LessThan(1e-4), "a tolerance that everything meets says nothing");
            Assert.That(way.Differences.Select(difference => difference.Tolerance), Is.All.LessThan(1e-8));
        }
        Assert.That(ways.Skip(2).Select(way => way.Differences.Count), Is.EqualTo(new[] { 16, 12, 48 }),
            "every element");
    }

    [Test]
    public void The_steps_in_float64_are_the_engines()
    {
        foreach (var (right, engine) in Example.Replay(LoRAFormulas.Right).Zip(Example.EngineSteps))
        {
            Assert.That(engine.Loss, Is.EqualTo(right.Loss).Within(right.LossError));
            for (var i = 0; i < right.A.Length; i++)
            {
                Assert.That(engine.A[i], Is.EqualTo(right.A[i]).Within(right.AError[i]), $"A[{i}]");
            }
            for (var i = 0; i < right.B.Length; i++)
            {
                Assert.That(engine.B[i], Is.EqualTo(right.B[i]).Within(right.BError[i]), $"B[{i}]");
            }
            Assert.That(right.AError.Concat(right.BError), Is.All.LessThan(1e-3));
        }
    }

    [TestCaseSource(nameof(Mutants))]
    public void A_wrong_formula_is_noticed(string id)
    {
        var mutant = FormulaMutant.All.Single(mutant => mutant.Id == id);
        var notices = mutant.Notices(Example);
        Assert.That(notices, Is.Not.Empty);
        var isOfTheOptimizer = mutant.Right.Contains("w ", StringComparison.Ordinal)
            || mutant.Right.Contains("m̂", StringComparison.Ordinal) || mutant.Right.Contains("β₁·m",
                StringComparison.Ordinal);
        Assert.That(notices.Select(notice => notice.By).Distinct(), isOfTheOptimizer
            ? Is.EqualTo(new[] { Witness.Steps })
            : Is.SupersetOf(new[] { Witness.Autograd, Witness.FiniteDifferences }),
            "a gradient is judged by gradients, an optimizer by what it does");
    }

    [Test]
    public void There_are_fourteen_with_names_of_their_own_and_the_right_formulas_are_noticed_by_nobody()
    {
        Assert.That(FormulaMutant.All, Has.Count.EqualTo(14));
        Assert.That(FormulaMutant.All.Select(mutant => mutant.Id), Is.Unique);
        Assert.That(new FormulaMutant("none", "", "", "", formulas => formulas).Notices(Example), Is.Empty);
    }

    [Test]
    public void With_B_zero_two_wrong_formulas_stay_hidden()
    {
        Assert.That(FormulaMutant.All.Where(mutant => mutant.Notices(FromZero).Count == 0).Select(mutant => mutant.Id),
            Is.EquivalentTo(new[] { "A-not-transposed", "dX-without-update" }));
        Assert.That(FromZero.EngineSteps[0].DA, Is.All.Zero);
    }

    [Test]
    public void The_tape_has_the_names_of_the_equations()
    {
        var tape = Example.EngineSteps[0].Tapes[0];
        Assert.That(tape.Operations.Select(operation => operation.Equation), Is.SupersetOf(new[]
        {
            "X̃ = M ⊙ X/(1−p)", "H = X̃·A", "Y = X·Wᵀ + b + 2.5 · H·B",
        }));
        Assert.That(tape.Unformed.SelectMany(gradient => gradient.Unformed).Select(tensor => tensor.Name),
            Is.EqualTo(new[] { "W", "b", "T" }));
        var y = tape.Operations.Single(operation => operation.Result.Name == "Y");
        Assert.That(y.Gradients.Select(gradient => gradient.Equation), Is.EqualTo(new[]
        {
            "dX += dY·W", "dW += dYᵀ·X", "db += Σ rows of dY", "dH += 2.5 · dY·Bᵀ", "dB += 2.5 · Hᵀ·dY",
        }));
        Assert.That(y.Gradients[1].UnformedFlops,
            Is.EqualTo(2 * LoRAExample.Tokens * LoRAExample.InFeatures * LoRAExample.OutFeatures));
    }
}
