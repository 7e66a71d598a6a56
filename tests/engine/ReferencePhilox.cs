namespace LoraScratch.Tests.Engine;

/// <summary>
/// Philox4x32-10 written a second time from the paper (Salmon et al., SC 2011): each round
/// multiplies words 0 and 2 by constants, and crosses the halves of the products with the other
/// words and the key.
/// </summary>
internal static class ReferencePhilox
{
    public static uint[] Block(uint[] counter, uint[] key)
    {
        var c = (uint[])counter.Clone();
        var k = (uint[])key.Clone();
        for (var round = 0; round < 10; round++)
        {
            var p0 = (UInt128)0xD2511F53 * c[0];
            var p1 = (UInt128)0xCD9E8D57 * c[2];
            c = [(uint)(p1 >> 32) ^ c[1] ^ k[0], (uint)(p1 & uint.MaxValue), (uint)(p0 >> 32) ^ c[3] ^ k[1],
                (uint)(p0 & uint.MaxValue)];
            k[0] = unchecked(k[0] + 0x9E3779B9);
            k[1] = unchecked(k[1] + 0xBB67AE85);
        }
        return c;
    }

    /// <summary>
    /// Word <paramref name="index"/> of the stream: word index mod 4 of counter index / 4.
    /// </summary>
    public static uint Word(ulong seed, ulong index) =>
        Block([(uint)(index / 4), (uint)(index / 4 >> 32), 0, 0], [(uint)seed, (uint)(seed >> 32)])[index % 4];
}

public class ReferencePhiloxTests
{
    // The known answers that the authors publish with Random123 (kat_vectors, philox4x32 with 10 rounds).
    [TestCase(new uint[] { 0, 0, 0, 0 }, new uint[] { 0, 0 },
        new uint[] { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 })]
    [TestCase(new uint[] { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff }, new uint[] { 0xffffffff, 0xffffffff },
        new uint[] { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd })]
    [TestCase(new uint[] { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 }, new uint[] { 0xa4093822, 0x299f31d0 },
        new uint[] { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 })]
    public void The_reference_gives_the_published_answers(uint[] counter, uint[] key, uint[] answer) =>
        Assert.That(ReferencePhilox.Block(counter, key), Is.EqualTo(answer));
}
