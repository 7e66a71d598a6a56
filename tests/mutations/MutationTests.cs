using LoraScratch.Lora.Explaining;

namespace LoraScratch.Tests.Mutations;

/// <summary>
/// Tests of the tests: each of these mistakes must be noticed by one of those that watch over the
/// formula.
/// </summary>
[Parallelizable]
public sealed class MutationTests
{
    private static IEnumerable<TestCaseData> All => Mutation.All.Select(mutation =>
        new TestCaseData(mutation).SetArgDisplayNames(mutation.Name));

    [Test]
    public void Who_knows_a_mistake_from_the_explained_layer_finds_it_here() => Assert.That(
        FormulaMutant.All.Select(mutant => mutant.Id).Except(Mutation.All.Select(mutation => mutation.Name)), Is.Empty);

    [TestCaseSource(nameof(All))]
    public void A_mistake_is_noticed(object mistake)
    {
        var mutation = (Mutation)mistake;
        var outcome = MutatedRun.Of(mutation, stopAtFirst: true);
        Assert.That(outcome.CompilerErrors, Is.Empty, "a mutation must compile, else it tests nothing");
        Assert.That(outcome.Failures, Is.Not.Empty,
            $"none of {outcome.Tests.Count} tests noticed that {mutation.Mistake}");
    }
}
