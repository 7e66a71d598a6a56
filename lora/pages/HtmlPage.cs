using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Pages;

/// <summary>
/// A page that is one file: no network, no font, no framework. Its Content-Security-Policy names
/// the hashes of its own styles and script and allows nothing else, so that nothing that slipped
/// into a text could run.
/// </summary>
/// <param name="title">Of the window.</param>
/// <param name="styles">Style sheets, one after the other; see <see cref="PageFiles"/>.</param>
/// <param name="scripts">
/// Scripts, one after the other in one scope of their own; see <see cref="PageFiles"/>.
/// </param>
internal sealed class HtmlPage(string title, IReadOnlyList<string> styles, IReadOnlyList<string> scripts)
{
    /// <summary>The element in which the script finds the data.</summary>
    public const string DataElement = "data";

    /// <summary>The whole file.</summary>
    /// <param name="body">Header, main and footer.</param>
    /// <param name="data">
    /// What the script works with, as JSON: floats in their shortest exact form, no character that
    /// could end the element.
    /// </param>
    public string Build(Html body, object data)
    {
        var style = $"\n{string.Join('\n', styles)}";
        var script = $"\n'use strict';\n(() => {{\n{string.Join('\n', scripts)}}})();\n";
        // the default encoder writes <, >, & and quotes as \u003C …: no text can close the element
        var json = JsonSerializer.Serialize(data, JsonSerializerOptions.Web);
        var policy = $"default-src 'none'; style-src '{Hash(style)}'; script-src '{Hash(script)}'; "
            + "base-uri 'none'; form-action 'none'";
        return $"""
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta http-equiv="Content-Security-Policy" content="{policy}">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <title>{Html.Escape(title)}</title>
            <style>{style}</style>
            </head>
            <body>
            {body}
            <script type="application/json" id="{DataElement}">{json}</script>
            <script>{script}</script>
            </body>
            </html>

            """;
    }

    /// <summary>Writes a page whole or not at all.</summary>
    /// <exception cref="Engine.InputException">The file cannot be written.</exception>
    public static void Write(string path, string page) => AtomicFile.WriteText(path, page);

    private static string Hash(string text) =>
        $"sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(text)))}";
}
