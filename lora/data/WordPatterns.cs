using System.Text.RegularExpressions;

namespace LoraScratch.Lora.Data;

/// <summary>What counts as a word where no tokenizer is asked.</summary>
internal static partial class WordPatterns
{
    /// <summary>Blocks of Unicode of scripts without spaces between words.</summary>
    private const string WithoutSpaces = @"\p{IsThai}\p{IsLao}\p{IsMyanmar}\p{IsKhmer}\p{IsHiragana}\p{IsKatakana}"
        + @"\p{IsCJKUnifiedIdeographsExtensionA}\p{IsCJKUnifiedIdeographs}\p{IsCJKCompatibilityIdeographs}";

    /// <summary>
    /// What has a letter between two spaces; of scripts without spaces, every character.
    /// </summary>
    [GeneratedRegex(@"[" + WithoutSpaces + @"]|\p{L}[^\s-[" + WithoutSpaces + "]]*")]
    public static partial Regex Word();

    /// <summary>
    /// Letters that follow each other, neither beside a digit nor of a script without spaces.
    /// </summary>
    [GeneratedRegex(@"(?<![\p{L}\p{M}\p{N}])[\p{L}\p{M}-[" + WithoutSpaces + @"]]+(?![\p{L}\p{M}\p{N}])")]
    public static partial Regex Letters();
}
