using LoraScratch.Engine;
using LoraScratch.Lora.Processes;

namespace LoraScratch.Tests.Lora.Processes;

/// <summary>The order of a sum depends on the number of its parts alone.</summary>
[Parallelizable]
internal sealed class SumTreeTests
{
    [TestCase(1, "0")]
    [TestCase(2, "(0+1)")]
    [TestCase(3, "((0+1)+2)")]
    [TestCase(6, "(((0+1)+(2+3))+(4+5))")]
    [TestCase(7, "(((0+1)+(2+3))+((4+5)+6))")]
    public void Neighbours_are_added_first(int parts, string expected) =>
        Assert.That(Sum(parts, processes: 1), Is.EqualTo(expected));

    [Test]
    public void Whoever_has_the_parts_they_are_added_in_the_same_order()
    {
        for (var parts = 1; parts <= 40; parts++)
        {
            var expected = Sum(parts, processes: 1);
            for (var processes = 2; processes <= 9; processes++)
            {
                Assert.That(Sum(parts, processes), Is.EqualTo(expected), $"{parts} parts, {processes} processes");
            }
        }
    }

    [Test]
    public void A_process_has_few_sums_to_send()
    {
        for (var parts = 1; parts <= 64; parts++)
        {
            for (var first = 0; first < parts; first++)
            {
                Assert.That(SumTree.Nodes(first, parts).Count, Is.LessThanOrEqualTo(2 * Math.Log2(parts - first) + 1),
                    $"{first} to {parts}");
            }
        }
        Assert.That(SumTree.Nodes(8, 16), Is.EqualTo(new[] { new SumNode(3, 1) }), "a whole half is one");
    }

    [Test]
    public void Vectors_of_any_length_have_the_bits_of_one_process()
    {
        foreach (var (parts, length) in ((int, int)[])[(8, 1), (8, 1000), (5, 37), (3, 2), (16, 4097)])
        {
            float[][] vectors = [.. Enumerable.Range(0, parts).Select(part =>
                new RandomStream((ulong)part).Normal(length, 1))];
            var expected = Enumerable.Range(0, length).Select(i => SumTree.Total(parts,
                Enumerable.Range(0, parts).ToDictionary(part => new SumNode(0, part), part => vectors[part][i]),
                (x, y) => x + y)).ToArray();
            foreach (var (processes, mostFloats) in ((int, int)[])[(1, 1 << 20), (2, 1 << 20), (3, 64), (4, 7), (7, 1)])
            {
                var sums = ThreadGroup.Run(processes, group => Exchange(group, vectors, mostFloats));
                Assert.That(sums, Has.All.EqualTo(expected), $"{parts} × {length}, {processes} processes");
            }
        }
    }

    [Test]
    public void Each_process_sends_less_than_twice_the_vector_where_the_parts_can_be_halved()
    {
        foreach (var (processes, expected) in ((int, double)[])[(2, 1), (4, 1.5), (8, 1.75)])
        {
            var sent = ThreadGroup.Run(processes, group =>
            {
                var exchange = new SumExchange(group);
                exchange.Add(8, 8000, [new float[8000]], new float[8000]);
                return exchange.BytesSent;
            });
            Assert.That(sent, Has.All.EqualTo(expected * sizeof(float) * 8000));
        }
    }

    private static float[] Exchange(ProcessGroup group, float[][] vectors, int mostFloats)
    {
        var (first, end) = group.ShareOf(vectors.Length);
        List<float[]> mine = [.. SumTree.Nodes(first, end).Select(node => Enumerable.Range(0, vectors[0].Length)
            .Select(i => Value(node, i)).ToArray())];
        var sum = new float[vectors[0].Length];
        new SumExchange(group, mostFloats).Add(vectors.Length, sum.Length, mine, sum);
        return sum;

        float Value(SumNode node, int i) => node.Level == 0 ? vectors[node.Index][i]
            : Value(new SumNode(node.Level - 1, 2 * node.Index), i)
                + Value(new SumNode(node.Level - 1, 2 * node.Index + 1), i);
    }

    /// <summary>The sum as it is bracketed.</summary>
    private static string Sum(int parts, int processes)
    {
        var known = new Dictionary<SumNode, string>();
        for (var rank = 0; rank < processes; rank++)
        {
            foreach (var node in SumTree.Nodes((int)((long)parts * rank / processes),
                (int)((long)parts * (rank + 1) / processes)))
            {
                known.Add(node, Whole(node));
            }
        }
        return SumTree.Total(parts, known, (left, right) => $"({left}+{right})");

        static string Whole(SumNode node) => node.Level == 0 ? $"{node.Index}"
            : $"({Whole(new SumNode(node.Level - 1, 2 * node.Index))}+"
                + $"{Whole(new SumNode(node.Level - 1, 2 * node.Index + 1))})";
    }
}
