namespace LoraScratch.Lora.Pages;

/// <summary>Tables of texts and links.</summary>
internal static class PageTable
{
    /// <summary>A table; the first cell of each row is its header.</summary>
    /// <param name="caption">What it shows.</param>
    /// <param name="heads">Names of the columns.</param>
    /// <param name="rows">Cells.</param>
    public static Html Of(string caption, IReadOnlyList<string> heads, IEnumerable<IReadOnlyList<Html>> rows) =>
        PageMatrix.Scrollable(caption, Html.Of($"""
            <table class="plain"><caption>{caption}</caption>
            <thead><tr>{heads.Select(head => Html.Of($"<th scope=\"col\">{head}</th>"))}</tr></thead>
            <tbody>{rows.Select(Row)}</tbody></table>
            """));

    private static Html Row(IReadOnlyList<Html> cells) => Html.Of(
        $"<tr><th scope=\"row\">{cells[0]}</th>{cells.Skip(1).Select(cell => Html.Of($"<td>{cell}</td>"))}</tr>\n");
}
