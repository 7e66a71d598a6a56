using System.Globalization;

namespace LoraScratch.Cli;

/// <summary>Numbers as people read them, the same in every culture.</summary>
internal static class Text
{
    /// <summary>"147,456"</summary>
    public static string Count(long count) => count.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>", 12 texts cut"; nothing where none is.</summary>
    public static string Cut(long texts) => texts == 0 ? "" : $", {Count(texts)} {(texts == 1 ? "text" : "texts")} cut";

    /// <summary>Says on standard error how many texts were longer than the room for them.</summary>
    public static void SayCut(int cut, int texts, int longest)
    {
        if (cut > 0)
        {
            Console.Error.WriteLine($"{Count(cut)} of {Count(texts)} texts cut at {Count(longest)} tokens");
        }
    }

    /// <summary>"1.2 MiB"</summary>
    public static string Bytes(long bytes) => bytes switch
    {
        < 1024 => string.Create(CultureInfo.InvariantCulture, $"{bytes} B"),
        < 1024 * 1024 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1024.0:F1} KiB"),
        < 1024L * 1024 * 1024 => string.Create(CultureInfo.InvariantCulture, $"{bytes / (1024.0 * 1024):F1} MiB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes / (1024.0 * 1024 * 1024):F2} GiB"),
    };

    /// <summary>"92.15 %"</summary>
    public static string Percent(double share) => (100 * share).ToString("F2", CultureInfo.InvariantCulture) + " %";

    /// <summary>"1:05:09", "2:07" or "3.4 s"</summary>
    public static string Duration(double seconds)
    {
        var time = TimeSpan.FromSeconds(seconds);
        return seconds < 60 ? string.Create(CultureInfo.InvariantCulture, $"{seconds:F1} s")
            : seconds < 3600 ? string.Create(CultureInfo.InvariantCulture, $"{time.Minutes}:{time.Seconds:D2}")
            : string.Create(CultureInfo.InvariantCulture,
                $"{(int)time.TotalHours}:{time.Minutes:D2}:{time.Seconds:D2}");
    }
}
