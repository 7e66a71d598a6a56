using System.IO.Compression;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Export;
using LoraScratch.Lora.Training;

namespace LoraScratch.ML;

/// <summary>
/// A trained classifier as a text, which ML.NET's files have room for: the zip of its folder,
/// Base64. Of the built-in base model that is the adapter alone, of another one the whole model, so
/// that it does not matter where the base was.
/// </summary>
internal static class SavedModel
{
    // as long as somebody has the text, he has its classifier
    private static readonly ConditionalWeakTable<string, TextClassifier> Loaded = [];

    /// <summary>The text of a finished training.</summary>
    public static string Of(FineTuning tuning, bool isBuiltIn)
    {
        var folder = Directory.CreateTempSubdirectory("lora-ml-").FullName;
        try
        {
            var model = Path.Combine(folder, "model");
            if (isBuiltIn)
            {
                tuning.Save(model);
            }
            else
            {
                ModelExport.ToFolder(tuning.Classifier, model);
            }
            using var bytes = new MemoryStream();
            ZipFile.CreateFromDirectory(model, bytes);
            return Convert.ToBase64String(bytes.GetBuffer(), 0, (int)bytes.Length);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>The classifier of a text, read once.</summary>
    /// <param name="text">As it comes from a column: the whole of a string.</param>
    public static TextClassifier Load(ReadOnlyMemory<char> text)
    {
        var whole = MemoryMarshal.TryGetString(text, out var known, out var start, out var length)
            && start == 0 && length == known.Length ? known : text.ToString();
        return Loaded.GetValue(whole, Read);
    }

    private static TextClassifier Read(string text)
    {
        var folder = Directory.CreateTempSubdirectory("lora-ml-").FullName;
        try
        {
            using var bytes = new MemoryStream(Convert.FromBase64String(text));
            ZipFile.ExtractToDirectory(bytes, folder);
            return TextClassifier.Load(folder);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
