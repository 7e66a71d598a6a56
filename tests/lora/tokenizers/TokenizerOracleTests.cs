using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Tests.Text;

/// <summary>
/// The tokenizer beside Hugging Face's Rust tokenizer (npm tokenizers 0.23.2):
/// tests/lora/tokenizers/oracle.mjs makes the committed numbers again.
/// </summary>
public class TokenizerOracleTests
{
    // The small vocabulary shows of every code point whether it is kept, dropped, a space or alone; the large one also
    // what it becomes.
    [TestCase("small", "2e58e39506133d5a887746bf4b73df947e5b9a2924bebb443d21e13e0a1252eb")]
    [TestCase("large", "aa0dff6d0cfea80271974ef7505aabc46ea55ae876ca2ffc555c3b10ec928b2a")]
    public void The_ids_of_every_code_point_between_two_letters_are_the_oracles(string vocabulary, string expected)
    {
        var tokenizer = Tokenizer(vocabulary);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var count = 0;
        for (var c = 0; c <= 0x10FFFF; c++)
        {
            if (Rune.IsValid(c))
            {
                Add(hash, tokenizer.EncodeIds("a" + new Rune(c) + "b"));
                count++;
            }
        }
        Assert.That(count, Is.EqualTo(1_112_064));
        Assert.That(Convert.ToHexStringLower(hash.GetHashAndReset()), Is.EqualTo(expected));
    }

    [Test]
    public void Ids_and_decoded_texts_of_nasty_strings_are_the_oracles([Values("small", "large")] string vocabulary)
    {
        var tokenizer = Tokenizer(vocabulary);
        var count = 0;
        Assert.Multiple(() =>
        {
            foreach (var line in SmallVocabulary.Resource("nasty-strings.jsonl")
                .Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                using var json = JsonDocument.Parse(line);
                var text = json.RootElement.GetProperty("text").GetString()!;
                var ids = json.RootElement.GetProperty(vocabulary).EnumerateArray().Select(id => id.GetInt32())
                    .ToArray();
                Assert.That(tokenizer.Encode(text).Ids, Is.EqualTo(ids), line);
                Assert.That(tokenizer.Decode(ids),
                    Is.EqualTo(json.RootElement.GetProperty(vocabulary + "Decoded").GetString()), line);
                count++;
            }
        });
        Assert.That(count, Is.EqualTo(260));
    }

    private static WordPieceTokenizer Tokenizer(string vocabulary) =>
        vocabulary == "small" ? SmallVocabulary.Tokenizer : RealData.Tokenizer;

    internal static void Add(IncrementalHash hash, int[] ids)
    {
        hash.AppendData(MemoryMarshal.AsBytes<int>(ids));
        hash.AppendData(MemoryMarshal.AsBytes<int>([-1]));
    }
}
