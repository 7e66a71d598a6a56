using System.Globalization;

namespace LoraScratch.Lora.Data;

/// <summary>What the values of a column, or of a JSON property, are like.</summary>
/// <param name="name">Its name.</param>
internal sealed class ColumnProfile(string name)
{
    /// <summary>Distinct values that are told apart; a column with more has many.</summary>
    public const int MaxDistinct = 1_000;

    private const int WordsOfText = 3, LongestDate = 40;

    private readonly HashSet<string> distinct = new(StringComparer.Ordinal);
    private long characters, words;
    private int texts, codes, wholeNumbers, figures;

    /// <summary>Its name.</summary>
    public string Name { get; } = name;

    /// <summary>Values that are neither empty nor blank.</summary>
    public int Filled { get; private set; }

    /// <summary>
    /// The distinct values, at most one more than <see cref="MaxDistinct"/> of them.
    /// </summary>
    public IReadOnlyCollection<string> Distinct => distinct;

    /// <summary>Characters of a value, in the mean.</summary>
    public double MeanLength => Mean(characters);

    /// <summary>Words of a value, in the mean.</summary>
    public double MeanWords => Mean(words);

    /// <summary>Whether most values have three words or more.</summary>
    public bool HasTexts => 2 * texts >= Filled;

    /// <summary>
    /// Whether most values are digits and signs, or dates: amounts, points in time, telephone
    /// numbers. Whole numbers are none of these.
    /// </summary>
    public bool HasFigures => 2 * figures > Filled;

    /// <summary>
    /// Whether most values are whole numbers, or have digits among letters without a space, as
    /// identifiers and addresses do.
    /// </summary>
    public bool HasCodes => 2 * (codes + wholeNumbers) > Filled;

    /// <summary>Adds the value of one more row.</summary>
    /// <param name="value">As the file has it; null: none.</param>
    public void Add(string? value)
    {
        if (string.IsNullOrWhiteSpace(value))
        {
            return;
        }
        Filled++;
        characters += value.Length;
        if (distinct.Count <= MaxDistinct)
        {
            distinct.Add(value);
        }
        var count = WordPatterns.Word().Count(value);
        words += count;
        var hasDigit = value.Any(char.IsDigit);
        if (IsWholeNumber(value))
        {
            wholeNumbers++;
        }
        else if (hasDigit && (!value.Any(char.IsLetter) || IsDate(value)))
        {
            figures++;
        }
        else if (count >= WordsOfText)
        {
            texts++;
        }
        else if (hasDigit && !value.Any(char.IsWhiteSpace))
        {
            codes++;
        }
    }

    private double Mean(long sum) => (double)sum / Math.Max(1, Filled);

    /// <summary>"3", "−1"; and "3.0", as pandas writes it beside an empty cell.</summary>
    private static bool IsWholeNumber(string value) =>
        decimal.TryParse(value, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint
            | NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture,
            out var number) && number == decimal.Truncate(number);

    private static bool IsDate(string value) => value.Length <= LongestDate
        && DateTime.TryParse(value, CultureInfo.InvariantCulture, DateTimeStyles.None, out _);
}
