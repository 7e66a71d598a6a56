using LoraScratch.Engine.IO;

namespace LoraScratch.Tests.IO;

/// <summary>
/// Every 16-bit float against its value computed in double from sign, exponent and mantissa.
/// </summary>
internal sealed class NumberConversionTests
{
    private static double Value(int bits, int exponentBits, int mantissaBits)
    {
        var sign = bits >> 15 == 0 ? 1.0 : -1.0;
        var exponent = bits >> mantissaBits & (1 << exponentBits) - 1;
        var mantissa = bits & (1 << mantissaBits) - 1;
        var bias = (1 << exponentBits - 1) - 1;
        if (exponent == (1 << exponentBits) - 1)
        {
            return mantissa == 0 ? sign * double.PositiveInfinity : double.NaN;
        }
        return exponent == 0
            ? sign * mantissa * Math.Pow(2, 1 - bias - mantissaBits)
            : sign * (mantissa + (1 << mantissaBits)) * Math.Pow(2, exponent - bias - mantissaBits);
    }

    [TestCase(DType.F16, 5, 10)]
    [TestCase(DType.BF16, 8, 7)]
    public void All_65536_bit_patterns_are_read_exactly_and_written_back_to_the_same_bits(DType dtype, int exponentBits,
        int mantissaBits)
    {
        using var folder = new TemporaryFolder();
        var patterns = Enumerable.Range(0, 1 << 16).Select(bits => (ushort)bits).ToArray();
        SafeTensorsWriter.Write(folder.File("x"),
            [TensorToWrite.Bytes("x", dtype, [1 << 16], patterns.SelectMany(BitConverter.GetBytes).ToArray())]);
        using var file = SafeTensorsFile.Open(folder.File("x"));
        var values = new float[1 << 16];
        file.Read("x", values);
        SafeTensorsWriter.Write(folder.File("y"), [TensorToWrite.Floats("x", [1 << 16], values, dtype)]);
        using var again = SafeTensorsFile.Open(folder.File("y"));
        var written = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, ushort>(again.Bytes("x"));

        var quietBit = 1 << mantissaBits - 1;
        for (var bits = 0; bits < 1 << 16; bits++)
        {
            var exact = Value(bits, exponentBits, mantissaBits);
            if (!values[bits].Equals((float)exact) || float.IsNegative(values[bits]) != bits >> 15 > 0)
            {
                Assert.Fail($"{dtype} 0x{bits:X4}: expected {exact}, read {values[bits]}");
            }
            var expected = double.IsNaN(exact) ? bits | quietBit : bits;
            if (written[bits] != expected)
            {
                Assert.Fail($"{dtype} 0x{bits:X4}: written back as 0x{written[bits]:X4}, expected 0x{expected:X4}");
            }
        }
    }

    [Test]
    public void Halves_are_read_as_well_where_they_do_not_fill_a_vector([Range(1, 17)] int count)
    {
        var halves = Enumerable.Range(0, count).Select(i => (Half)(i * 1.5f - 4)).ToArray();
        var values = new float[count];
        NumberConversion.ToFloat(DType.F16, System.Runtime.InteropServices.MemoryMarshal.AsBytes<Half>(halves), values);
        Assert.That(values, Is.EqualTo(halves.Select(half => (float)half)));
    }

    [TestCase(0x3F808000u, 0x3F80, Description = "a tie above an even mantissa goes down")]
    [TestCase(0x3F818000u, 0x3F82, Description = "a tie above an odd mantissa goes up")]
    [TestCase(0x3F808001u, 0x3F81, Description = "just above the tie")]
    [TestCase(0x3F817FFFu, 0x3F81, Description = "just below the tie")]
    [TestCase(0xBFFF8000u, 0xC000, Description = "a carry through the mantissa into the exponent")]
    [TestCase(0x7F7FFFFFu, 0x7F80, Description = "the largest float rounds to infinity")]
    [TestCase(0x00000001u, 0x0000, Description = "the smallest subnormal rounds to zero")]
    [TestCase(0x80008001u, 0x8001, Description = "subnormals round too")]
    [TestCase(0x7F800001u, 0x7FC0, Description = "a NaN with its payload in the lower half stays a NaN")]
    [TestCase(0xFFFFFFFFu, 0xFFFF, Description = "a NaN that rounding up would carry over to zero")]
    public void BFloat16_rounds_to_the_nearest_ties_to_even(uint bits, int expected)
        => Assert.That(((BFloat16)BitConverter.UInt32BitsToSingle(bits)).Bits, Is.EqualTo(expected));

    [Test]
    public void BFloat16_rounding_picks_the_nearer_neighbour_of_random_floats()
    {
        var random = new Random(7);
        for (var i = 0; i < 200_000; i++)
        {
            var bits = (uint)random.NextInt64(1L << 32);
            var value = BitConverter.UInt32BitsToSingle(bits);
            if (!float.IsFinite(value) || (bits & 0x7F800000) == 0x7F000000)
            {
                continue;
            }
            var below = Value((int)(bits >> 16), 8, 7);           // toward zero
            var above = Value((int)(bits >> 16) + 1, 8, 7);       // away from zero
            var rounded = (double)(float)(BFloat16)value;
            var nearest = Math.Abs(value - below) < Math.Abs(above - value) ? below
                : Math.Abs(value - below) > Math.Abs(above - value) ? above
                : (bits >> 16 & 1) == 0 ? below : above;
            if (rounded != nearest)
            {
                Assert.Fail($"0x{bits:X8}: expected {nearest}, got {rounded}");
            }
        }
    }
}
