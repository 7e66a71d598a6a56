namespace LoraScratch.Lora.Data;

/// <summary>
/// Examples with the text (or both texts) of an earlier one; texts are the same where they differ
/// in white space at most.
/// </summary>
/// <param name="Examples">How many.</param>
/// <param name="First">The first of them, and the earlier one; null: there is none.</param>
/// <param name="Contradictions">Texts that have several labels.</param>
/// <param name="FirstContradiction">Two examples of the first such text; null: none.</param>
internal sealed record RepeatedTexts(int Examples, (TextExample Earlier, TextExample Later)? First,
    int Contradictions, (TextExample Earlier, TextExample Later)? FirstContradiction)
{
    /// <summary>Finds them.</summary>
    public static RepeatedTexts Find(IReadOnlyList<TextExample> examples)
    {
        var firstOf = new Dictionary<(UInt128, UInt128?), TextExample>(examples.Count);
        var contradicted = new HashSet<(UInt128, UInt128?)>();
        var repeated = 0;
        (TextExample, TextExample)? first = null, contradiction = null;
        foreach (var example in examples)
        {
            var text = example.Fingerprint();
            if (firstOf.TryAdd(text, example))
            {
                continue;
            }
            var earlier = firstOf[text];
            repeated++;
            first ??= (earlier, example);
            if (!HasSameLabel(earlier, example) && contradicted.Add(text))
            {
                contradiction ??= (earlier, example);
            }
        }
        return new RepeatedTexts(repeated, first, contradicted.Count, contradiction);
    }

    private static bool HasSameLabel(TextExample one, TextExample other) =>
        one.Label == other.Label && (one.Classes ?? []).SequenceEqual(other.Classes ?? []);
}
