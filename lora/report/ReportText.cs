using System.Globalization;
using LoraScratch.Lora.Pages;

namespace LoraScratch.Lora.Reporting;

/// <summary>Numbers of a report as people read them, the same in every country.</summary>
internal static class ReportText
{
    /// <summary>"147,456"</summary>
    public static string Count(long count) => count.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>"92.15 %"</summary>
    public static string Percent(double share) => (100 * share).ToString("F2", CultureInfo.InvariantCulture) + " %";

    /// <summary>"92.15 %", or "92.15 ± 0.31 %" over seeds.</summary>
    public static string Percent(MeanOfSeeds share) => share.Deviation == 0 ? Percent(share.Mean)
        : string.Create(CultureInfo.InvariantCulture, $"{100 * share.Mean:F2} ± {100 * share.Deviation:F2} %");

    /// <summary>"1.2 MiB"</summary>
    public static string Bytes(double bytes) => bytes switch
    {
        < 1024 => string.Create(CultureInfo.InvariantCulture, $"{bytes:F0} B"),
        < 1 << 20 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1024:F1} KiB"),
        < 1 << 30 => string.Create(CultureInfo.InvariantCulture, $"{bytes / (1 << 20):F1} MiB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes / (1 << 30):F2} GiB"),
    };

    /// <summary>"3.4 s", or "1:05:09".</summary>
    public static string Duration(double seconds) => seconds < 60
        ? string.Create(CultureInfo.InvariantCulture, $"{seconds:F1} s")
        : TimeSpan.FromSeconds(Math.Round(seconds)).ToString(seconds < 3600 ? @"m\:ss" : @"d\.hh\:mm\:ss",
            CultureInfo.InvariantCulture).TrimStart('0', '.');

    /// <summary>A text as a cell.</summary>
    public static Html Cell(string? text) => Html.Escape(text ?? "–");
}
