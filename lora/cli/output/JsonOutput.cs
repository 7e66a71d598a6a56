using System.Text.Encodings.Web;
using System.Text.Json;

namespace LoraScratch.Cli;

/// <summary>
/// How JSON goes to standard output: one line per object, letters of every language as they are.
/// </summary>
internal static class JsonOutput
{
    public static JsonSerializerOptions Options { get; } =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
}
