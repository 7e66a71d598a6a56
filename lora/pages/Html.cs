using System.Globalization;
using System.Net;
using System.Runtime.CompilerServices;
using System.Text;

namespace LoraScratch.Lora.Pages;

/// <summary>
/// A piece of a page, written as an interpolated string with <see cref="Of"/>: what stands in the
/// braces is escaped unless it is <see cref="Html"/> itself, so that a user's text cannot become
/// markup by being forgotten.
/// </summary>
/// <param name="Text">As it goes into the file.</param>
internal readonly record struct Html(string Text)
{
    /// <summary>Nothing.</summary>
    public static Html Empty { get; } = new("");

    /// <summary>Markup with escaped texts in it; numbers as in C#, whatever the country.</summary>
    public static Html Of(Interpolation text) => new(text.End());

    /// <summary>A text, escaped.</summary>
    public static Html Escape(string text) => new(WebUtility.HtmlEncode(text));

    /// <summary>Pieces one after the other.</summary>
    public static Html Concat(IEnumerable<Html> pieces) => new(string.Concat(pieces.Select(piece => piece.Text)));

    /// <inheritdoc/>
    public override string ToString() => Text;

    /// <summary>What the compiler makes of the interpolated string.</summary>
    [InterpolatedStringHandler]
    internal readonly ref struct Interpolation(int literalLength, int holes)
    {
        private readonly StringBuilder text = new(literalLength + 16 * holes);

        public void AppendLiteral(string markup) => text.Append(markup);

        public void AppendFormatted(Html piece) => text.Append(piece.Text);

        public void AppendFormatted(IEnumerable<Html> pieces) => text.Append(Concat(pieces).Text);

        public void AppendFormatted(string? value) => text.Append(WebUtility.HtmlEncode(value));

        public void AppendFormatted<T>(T value) where T : IFormattable => AppendFormatted(value, null);

        public void AppendFormatted<T>(T value, string? format) where T : IFormattable =>
            text.Append(WebUtility.HtmlEncode(value.ToString(format, CultureInfo.InvariantCulture)));

        public string End() => text.ToString();
    }
}
