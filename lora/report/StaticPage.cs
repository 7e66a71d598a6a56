using LoraScratch.Lora.Charts;
using LoraScratch.Lora.Pages;

namespace LoraScratch.Lora.Reporting;

/// <summary>
/// A page that shows numbers and pictures and computes nothing: all of it can be read without a
/// script, which opens what is folded when it goes on paper.
/// </summary>
internal static class StaticPage
{
    /// <summary>The whole file.</summary>
    /// <param name="title">Of the window.</param>
    /// <param name="body">Header, main and footer.</param>
    public static string Build(string title, Html body) => new HtmlPage(title,
        [PageFiles.Style, SvgPlot.Style, PageFiles.Read("report.css")], [PageFiles.Read("report.js")])
        .Build(body, new { });
}
