using LoraScratch.Engine;

namespace LoraScratch.Tests.Engine;

public class RandomDrawTests
{
    [TestCase(0ul)]
    [TestCase(1ul)]
    [TestCase(2ul)]
    [TestCase(3ul)]
    public void Many_numbers_drawn_at_once_are_those_drawn_one_by_one_from_position(ulong position)
    {
        const int count = 70_001;                       // more than two of the pieces that cores share
        var (atOnce, oneByOne) = (new RandomStream(8, position), new RandomStream(8, position));
        Assert.That(atOnce.Normal(count, 1), Is.EqualTo(Enumerable.Range(0, count).Select(_ => oneByOne.NextNormal())));
        Assert.That(atOnce.Position, Is.EqualTo(oneByOne.Position));
        Assert.That(atOnce.Uniform(count, 1),
            Is.EqualTo(Enumerable.Range(0, count).Select(_ => 2 * oneByOne.NextUniform() - 1)));
        Assert.That(atOnce.Position, Is.EqualTo(oneByOne.Position));
    }
}
