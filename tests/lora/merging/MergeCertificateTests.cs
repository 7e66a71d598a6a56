using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;
using LoraScratch.Lora;
using LoraScratch.Lora.Merging;

namespace LoraScratch.Tests.Lora;

/// <summary>What a merge keeps of an update, beside PyTorch's numbers.</summary>
public sealed class MergeCertificateTests
{
    private static IEnumerable<AdapterReference> Cases => AdapterReference.All;

    [TestCaseSource(nameof(Cases))]
    public void Norms_erased_entries_and_error_are_those_of_PyTorch(object reference)
    {
        var each = (AdapterReference)reference;
        foreach (var expected in each.Numbers.GetProperty("certificates").EnumerateArray())
        {
            var type = Enum.Parse<DType>(expected.GetProperty("type").GetString()!);
            var layer = each.Adapt(new LinearWithLoRA(new Linear(each.Inputs, each.Outputs, each.W, null),
                each.Settings, new RandomStream(1)));
            var before = layer.Base.Weight.ToArray();
            layer.Merge();
            MergeExamination.Round(layer.Base, type);
            var found = MergeExamination.Certify("layer", layer, before, type);
            double Expected(string name) => expected.GetProperty(name).GetDouble();
            Assert.That(found.UpdateNorm, Is.EqualTo(Expected("update")).Within(1e-6).Percent);
            Assert.That(found.WeightNorm, Is.EqualTo(Expected("weight")).Within(1e-6).Percent);
            Assert.That(found.ErasedShare, Is.EqualTo(Expected("erased")).Within(1e-6), $"{type}");
            // float32 sums in another order may round otherwise
            Assert.That(found.RelativeError,
                Is.EqualTo(Expected("error")).Within(type == DType.F32 ? 60 : 0.1).Percent, $"{type}");
        }
    }

    [Test]
    public void An_embedding_is_certified_as_it_lies()
    {
        var each = AdapterReference.All.First();
        var layer = each.Adapt(new EmbeddingWithLoRA(new Embedding(each.Inputs, each.Outputs, new RandomStream(2)),
            each.Settings, new RandomStream(1)));
        var before = layer.Base.Weight.ToArray();
        layer.Merge();
        var found = MergeExamination.Certify("layer", layer, before, DType.F32);
        Assert.That(found.UpdateNorm, Is.EqualTo(Math.Sqrt(each.List("values").Sum(value => value * value)))
            .Within(1e-6).Percent);
        Assert.That(found.RelativeError, Is.LessThan(1e-2), "transposed, it would be of the order of 1");
    }

    [Test]
    public void What_is_beyond_a_bound_is_objected_to()
    {
        LayerCertificate[] good = [new("q", 1, 10, 0.02, 0.1)];
        LayerCertificate[] bad = [.. good, new("v", 1, 10, 0.526, 0.55)];
        Assert.That(Certificate(good, 0.01).Objection, Is.Null);
        Assert.That(Certificate(good, 0.051).Objection, Is.EqualTo("a logit changes by 0.051 on 32 random texts, "
            + "0.05 at most"));
        Assert.That(Certificate(bad, 0.01).Objection, Is.EqualTo("BF16 erases 52.6 % of the update of v, 10 % at "
            + "most"));
        Assert.That(Certificate(bad, double.MaxValue).Objection, Does.Contain("; "));

        static MergeCertificate Certificate(LayerCertificate[] layers, double change) =>
            new(MergeCertificate.CurrentFormat, "BF16", layers, "32 random texts", change);
    }

    [Test]
    public void The_same_random_texts_are_asked_each_time()
    {
        var classifier = TinyDistilBert.Classifier();
        var (one, other) = (MergeProbes.Random(classifier), MergeProbes.Random(classifier));
        Assert.That(one.Texts, Is.EqualTo(other.Texts).And.Count.EqualTo(32));
        Assert.That(one.Texts[0].Text, Does.Not.Contain("[").And.Contain(" w"));
        Assert.That(classifier.Encode(one.Texts[0].Text).Count(id => id == 1), Is.Zero, "none is unknown");
    }
}
