using System.Text.Json;

namespace LoraScratch.Engine.IO;

/// <summary>
/// Reads the JSON files of models and adapters. The same key twice is an error, for which of the
/// two counts differs from reader to reader; what is no JSON at all is called by its name.
/// </summary>
internal static class JsonFile
{
    private const int LongestQuote = 80, LongestReason = 200;

    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="read">Takes out of it what is wanted; it is closed afterwards.</param>
    /// <param name="missing">What to say where there is no such file.</param>
    /// <exception cref="InputException">
    /// It is missing, cannot be read, or is no JSON; the message names the file and why.
    /// </exception>
    public static T Read<T>(string path, Func<JsonElement, T> read, string missing = "Check the path.")
    {
        try
        {
            return Parse(path, File.ReadAllBytes(path), read);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new InputException($"{path}: there is no such file. {missing}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be read: {e.Message}");
        }
    }

    /// <summary>Reads JSON that is in memory.</summary>
    /// <param name="source">What messages call it.</param>
    /// <param name="utf8">Its bytes.</param>
    /// <param name="read">Takes out of it what is wanted.</param>
    /// <exception cref="InputException">It is no JSON; the message says what it is.</exception>
    public static T Parse<T>(string source, ReadOnlyMemory<byte> utf8, Func<JsonElement, T> read)
    {
        try
        {
            using var document = JsonDocument.Parse(utf8, Strict);
            return read(document.RootElement);
        }
        catch (JsonException e)
        {
            throw new InputException(OtherFile.NameOf(utf8.Span) is { } other
                ? $"{source}: this is no JSON but {other}"
                : $"{source}: this is not valid JSON: {Cut(Reason(e), LongestReason)}");
        }
        catch (InvalidOperationException)                   // the BCL's word for \uD800 without its partner
        {
            throw new InputException(
                $"{source}: a string has half a surrogate pair, which is no text. Write the file again.");
        }
    }

    /// <summary>A value as messages show it: by its kind, or as it stands there, cut.</summary>
    public static string Shown(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        _ => Cut(value.GetRawText()),
    };

    /// <summary>
    /// What is wrong, without .NET's path and position, which count from 0 within what was given.
    /// </summary>
    internal static string Reason(JsonException e)
    {
        var end = e.Message.IndexOf(" Path: ", StringComparison.Ordinal);
        end = end < 0 ? e.Message.IndexOf(" LineNumber: ", StringComparison.Ordinal) : end;
        return end < 0 ? e.Message : e.Message[..end].TrimEnd();
    }

    /// <summary>The beginning of a text that may be of any length.</summary>
    public static string Cut(string text, int longest = LongestQuote) =>
        text.Length <= longest ? text : $"{text[..longest]}…";
}
