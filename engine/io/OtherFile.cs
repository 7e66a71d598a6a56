namespace LoraScratch.Engine.IO;

/// <summary>Files that stand where another one is expected, by their first bytes.</summary>
internal static class OtherFile
{
    /// <summary>
    /// What a Git repository has in the place of a large file that was not fetched.
    /// </summary>
    public const string GitPointer =
        "a Git LFS pointer, which stands for the file. Fetch the file itself with 'git lfs pull'.";

    /// <summary>How many bytes tell whether a file is such a pointer.</summary>
    public const int GitPointerBytes = 23;

    /// <summary>
    /// How a pickled file becomes a safetensors one. A pickle is a program, which is why nothing
    /// here runs it; weights_only=True lets Python run none either.
    /// </summary>
    /// <param name="pickle">The file that there is.</param>
    /// <param name="wanted">The file that is wanted.</param>
    public static string Conversion(string pickle, string wanted) =>
        "Such a file is a program and is never run here. Convert it once, in Python: import torch; from "
        + "safetensors.torch import save_file; save_file({k: v.clone().contiguous() for k, v in "
        + $"torch.load(\"{pickle}\", map_location=\"cpu\", weights_only=True).items()}}, \"{wanted}\")";

    /// <summary>What a file is, with a remedy; null where its beginning does not tell.</summary>
    public static string? NameOf(ReadOnlySpan<byte> bytes) => bytes switch
    {
        [] => "an empty file. Copy or download it again.",
        _ when IsGitPointer(bytes) => GitPointer,
        [0xEF, 0xBB, 0xBF, ..] =>
            "a text that begins with a byte order mark. Save it as UTF-8 without one (without BOM).",
        [0xFF, 0xFE, ..] or [0xFE, 0xFF, ..] => "a text in UTF-16. Save it as UTF-8 without a byte order mark.",
        _ when IsPickle(bytes) => "a pickled file of PyTorch. Convert it to safetensors.",
        _ when bytes.StartsWith("GGUF"u8) => "a GGUF file, which this program does not read.",
        _ when bytes.TrimStart(" \t\r\n"u8) is [(byte)'<', (byte)'!' or (>= (byte)'A' and <= (byte)'z'), ..] =>
            "HTML. Was an error page saved instead of the file?",
        _ => null,
    };

    /// <summary>Whether the bytes begin as a <see cref="GitPointer"/> does.</summary>
    public static bool IsGitPointer(ReadOnlySpan<byte> bytes) => bytes.StartsWith("version https://git-lfs"u8);

    /// <summary>Whether the bytes begin as torch.save has them, old or new.</summary>
    public static bool IsPickle(ReadOnlySpan<byte> bytes) =>
        bytes.StartsWith("PK\x03\x04"u8) || bytes is [0x80, >= 2 and <= 5, ..];
}
