using LoraScratch.Kernels;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Tests.Kernels;

[TestFixtureSource(typeof(Backends), nameof(Backends.ForKernels))]
internal class DropoutKernelTests(BackendCase backendCase) : KernelTests(backendCase)
{
    private const ulong Seed = 0x9ABC_DEF0_1234_5678;

    [TestCaseSource(nameof(Lengths))]
    public void Each_element_is_kept_or_dropped_by_its_own_word_of_the_stream(int n)
    {
        const float Probability = 0.3f;
        float[] x = Numbers(n, 1), start = Numbers(n, 2);
        double Expected(int i) =>
            Philox.Word(Seed, (ulong)i) < Philox.Threshold(Probability) ? 0 : x[i] / (1 - (double)Probability);
        var y = Lend(new float[n]);
        Backend.Dropout(y, Lend(x), Probability, Seed, null);
        AssertClose(y, Each(n, Expected), 3e-7, "Dropout");
        var dX = Lend(start);
        Backend.AddDropoutGradient(dX, Lend(x), Probability, Seed, null);
        AssertClose(dX, Each(n, i => start[i] + Expected(i)), 3e-7, "AddDropoutGradient");
    }

    /// <summary>Rows whose first draw is the second or third of its four among them.</summary>
    [Test]
    public void Some_rows_of_a_matrix_have_the_masks_that_they_have_in_it([Values(1, 3, 7, 16, 1031)] int columns)
    {
        int[] rows = [0, 2, 3, 5, 9];
        float[] all = Enumerable.Repeat(1f, 10 * columns).ToArray(), some = Numbers(rows.Length * columns, 2);
        var mask = Lend(all);
        Backend.Dropout(mask, mask, 0.3f, Seed, null);
        all = Read(mask);
        var masks = new MaskRows(Lend(rows), columns);
        double Expected(int i) => some[i] * (double)all[rows[i / columns] * columns + i % columns];
        var y = Lend(new float[some.Length]);
        Backend.Dropout(y, Lend(some), 0.3f, Seed, masks);
        AssertClose(y, Each(some.Length, Expected), 3e-7, "Dropout");
        float[] start = Numbers(some.Length, 3);
        var dX = Lend(start);
        Backend.AddDropoutGradient(dX, Lend(some), 0.3f, Seed, masks);
        AssertClose(dX, Each(some.Length, i => start[i] + Expected(i)), 3e-7, "AddDropoutGradient");
    }

    [Test]
    public void The_share_of_dropped_elements_is_the_probability_and_the_mean_is_kept()
    {
        const int Count = 1_000_000;
        var y = Lend(new float[Count]);
        Backend.Dropout(y, Lend(Enumerable.Repeat(1f, Count).ToArray()), 0.1f, Seed, null);
        var values = Read(y);
        Assert.That(values.Count(value => value == 0) / (double)Count, Is.EqualTo(0.1).Within(0.0015),
            "five standard deviations");
        Assert.That(values.Average(), Is.EqualTo(1).Within(0.002));
    }

    [Test]
    public void A_probability_of_zero_keeps_everything()
    {
        var x = Numbers(1000, 1);
        var y = Lend(x);
        Backend.Dropout(y, y, 0, Seed, null);
        Assert.That(Read(y), Is.EqualTo(x));
    }
}

/// <summary>
/// Philox4x32-10 against the known answers that its authors publish with Random123.
/// </summary>
public class PhiloxTests
{
    [TestCase(0x0000000000000000UL, 0x0000000000000000UL, 0x0000000000000000UL, 0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu,
        0x9b00dbd8u)]
    [TestCase(0xffffffffffffffffUL, 0xffffffffffffffffUL, 0xffffffffffffffffUL, 0x408f276du, 0x41c83b0eu, 0xa20bc7c6u,
        0x6d5451fdu)]
    [TestCase(0x299f31d0a4093822UL, 0x85a308d3243f6a88UL, 0x0370734413198a2eUL, 0xd16cfe09u, 0x94fdccebu, 0x5001e420u,
        0x24126ea1u)]
    public void Blocks_equal_the_published_answers(ulong key, ulong lower, ulong upper, uint x, uint y, uint z,
        uint w) =>
        Assert.That(Philox.Block(key, lower, upper), Is.EqualTo((x, y, z, w)));

    [Test]
    public void Words_are_the_blocks_in_order()
    {
        var (x, y, z, w) = Philox.Block(5, 1UL << 40);
        Assert.That(Enumerable.Range(0, 4).Select(i => Philox.Word(5, (1UL << 42) + (ulong)i)),
            Is.EqualTo(new[] { x, y, z, w }));
    }
}
