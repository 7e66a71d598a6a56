using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace LoraScratch.Tests.Text;

/// <summary>The tokenizer beside Hugging Face's Rust tokenizer (npm tokenizers 0.23.2): tests/text/oracle.mjs makes the committed numbers again.</summary>
public class TokenizerOracleTests
{
    [Test]
    public void The_ids_of_every_code_point_between_two_letters_are_the_oracles()
    {
        var tokenizer = RealData.Tokenizer;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var count = 0;
        for (var c = 0; c <= 0x10FFFF; c++)
            if (Rune.IsValid(c))
            {
                Add(hash, tokenizer.EncodeIds("a" + new Rune(c) + "b"));
                count++;
            }
        Assert.That(count, Is.EqualTo(1_112_064));
        Assert.That(Convert.ToHexStringLower(hash.GetHashAndReset()), Is.EqualTo("aa0dff6d0cfea80271974ef7505aabc46ea55ae876ca2ffc555c3b10ec928b2a"));
    }

    internal static void Add(IncrementalHash hash, int[] ids)
    {
        hash.AppendData(MemoryMarshal.AsBytes<int>(ids));
        hash.AppendData(MemoryMarshal.AsBytes<int>([-1]));
    }
}
