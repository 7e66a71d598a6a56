using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Lora.Compression;

namespace LoraScratch.Tests.Lora;

/// <summary>What an adapter learned, beside PyTorch's singular values and directions.</summary>
public sealed class LayerSpectrumTests
{
    private static IEnumerable<AdapterReference> Cases => AdapterReference.All;

    [TestCaseSource(nameof(Cases))]
    public void Values_energy_effective_rank_and_directions_are_those_of_PyTorch(object reference)
    {
        var each = (AdapterReference)reference;
        var found = Spectrum(each, directions: 100);
        Assert.That(found.Values, Is.EqualTo(each.List("values")).Within(1e-6).Percent);
        Assert.That(found.EffectiveRank, Is.EqualTo(each.Number("effective_rank")).Within(1e-6));
        Assert.That(found.Values.Select((_, i) => found.Update.Decomposition.EnergyOf(i + 1)),
            Is.EqualTo(each.List("energy")).Within(1e-9));
        Assert.That(found.OfUpdate!.Select(direction => direction.Cosine),
            Is.EqualTo(each.List("cosines")).Within(1e-6));
        Assert.That(found.OfTuned!.Select(direction => direction.Value),
            Is.EqualTo(each.List("tuned_values")).Within(1e-6).Percent);
        Assert.That(found.OfTuned!.Select(direction => direction.Cosine),
            Is.EqualTo(each.List("tuned_cosines")).Within(1e-6));
        Assert.That(found.Intruders, Is.EqualTo((int)each.Number("intruders")));
    }

    [Test]
    public void A_direction_that_the_base_has_not_is_an_intruder_and_one_that_it_has_is_none()
    {
        var weight = DenseMatrix.Identity(6);
        for (var i = 0; i < 6; i++)
        {
            weight[i, i] = 6 - i;
        }
        var own = Update([0, 0, 1, 0, 0, 0], [0, 0, 1, 0, 0, 0], 10);           // along e₃, which the base has
        Assert.That(LayerSpectrum.Of(own, weight, 3).Intruders, Is.Zero);
        Assert.That(LayerSpectrum.Of(own, weight, 3).OfUpdate![0], Is.EqualTo(new SpectrumDirection(10, 1, 3)));
        var strange = Update([1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1], 100);      // between all of them: cos = 1/√6
        var found = LayerSpectrum.Of(strange, weight, 1);
        Assert.That(found.Intruders, Is.EqualTo(1));
        Assert.That(found.OfUpdate![0].Cosine, Is.EqualTo(1 / Math.Sqrt(6)).Within(1e-9));
        Assert.That(LayerSpectrum.IsIntruder(found.OfTuned![0]), "the largest direction is the new one");
    }

    [Test]
    public void Without_a_base_nothing_is_said_about_it_and_an_update_of_zeros_has_no_rank()
    {
        var spectrum = LayerSpectrum.Of(Update([1, 0], [0, 1], 0), weight: null, 10);
        Assert.That((spectrum.WeightNorm, spectrum.Intruders, spectrum.EffectiveRank), Is.EqualTo(
            ((double?)null, (int?)null, 0.0)));
        Assert.That(LayerSpectrum.Of(Update([1, 0], [0, 1], 0), DenseMatrix.Identity(2), 10).OfUpdate, Is.Empty);
    }

    [Test]
    public void Ranks_go_where_they_keep_most_for_what_they_cost()
    {
        // σ² 9, 4 and 1 in a layer of 4 + 4 parameters a rank; 8 and 6 in one of 16 + 16
        UpdateSpectrum[] layers = [Update("a", 4, 9, 4, 1), Update("b", 16, 8, 6)];
        // of 28 in all, the first ranks keep 17; then 4 for 8 parameters is worth more than 6 for 32
        Assert.That(Proposed(17), Is.EqualTo(new[] { 1, 1 }));
        Assert.That(Proposed(21), Is.EqualTo(new[] { 2, 1 }));
        Assert.That(Proposed(22), Is.EqualTo(new[] { 2, 2 }));
        Assert.That(Proposed(28), Is.EqualTo(new[] { 3, 2 }));

        int[] Proposed(double energy)
        {
            var pattern = RankPattern.ForEnergy(layers, energy / 28 - 1e-12);
            return [pattern.Ranks["a"], pattern.Ranks["b"]];
        }
    }

    [Test]
    public void A_pattern_is_read_as_PEFT_reads_it_and_what_it_cannot_mean_is_refused()
    {
        using var folder = new TemporaryFolder();
        UpdateSpectrum[] layers = [Update("layer.0.q_lin", 4, 9, 4, 1), Update("layer.1.q_lin", 4, 9, 4),
            Update("layer.1.v_lin", 4, 9)];
        IReadOnlyList<int> Read(string json) => RankPattern.Read(folder.Write("ranks.json", json)).Of(layers);
        Assert.That(Read("{\"q_lin\": 2}"), Is.EqualTo(new[] { 2, 2, 1 }));
        Assert.That(Read("{\"layer.0.q_lin\": 1, \"q_lin\": 2}"), Is.EqualTo(new[] { 1, 2, 1 }), "the first counts");
        var whole = RankPattern.ForEnergy(layers, 1);
        Assert.That(Read(whole.ToJson()), Is.EqualTo(new[] { 3, 2, 1 }));
        foreach (var (json, message) in ((string, string)[])[("[]", "one JSON object"), ("{}", "one JSON object"),
            ("{\"q_lin\": 0}", "whole number from 1"), ("{\"q_lin\": 1.5}", "whole number from 1"),
            ("{\"q_proj\": 1}", "'q_proj', which meets none"), ("{\"layer.1.v_lin\": 2}", "it has rank 1")])
        {
            Assert.That(() => Read(json), Throws.InstanceOf<InputException>().With.Message.Contains(message), json);
        }
    }

    private static LayerSpectrum Spectrum(AdapterReference each, int directions)
    {
        var update = SingularValueDecomposition.OfProduct(
            AdapterReference.Scaling * DenseMatrix.From(each.A, each.Inputs, each.Rank),
            DenseMatrix.From(each.B, each.Rank, each.Outputs));
        return LayerSpectrum.Of(new UpdateSpectrum("layer", each.Rank, AdapterReference.Scaling, update),
            DenseMatrix.From(each.W, each.Outputs, each.Inputs).Transpose(), directions);
    }

    /// <summary>One term of a norm: a·bᵀ.</summary>
    private static UpdateSpectrum Update(double[] a, double[] b, double norm)
    {
        var length = Math.Sqrt(a.Sum(x => x * x) * b.Sum(x => x * x));
        return new UpdateSpectrum("layer", 1, 1, SingularValueDecomposition.OfProduct(
            (norm / length) * new DenseMatrix(a.Length, 1, a), new DenseMatrix(1, b.Length, b)));
    }

    /// <summary>Squared singular values in a square layer.</summary>
    private static UpdateSpectrum Update(string path, int width, params double[] squares)
    {
        var (a, b) = (new DenseMatrix(width, squares.Length), new DenseMatrix(squares.Length, width));
        for (var i = 0; i < squares.Length; i++)
        {
            (a[i, i], b[i, i]) = (Math.Sqrt(squares[i]), 1);
        }
        return new UpdateSpectrum(path, squares.Length, 1, SingularValueDecomposition.OfProduct(a, b));
    }
}
