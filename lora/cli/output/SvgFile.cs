using LoraScratch.Engine;

namespace LoraScratch.Cli;

/// <summary>Names of pictures.</summary>
internal static class SvgFile
{
    /// <summary>The path, which must end with .svg.</summary>
    /// <param name="option">That it was given with.</param>
    /// <param name="path">As typed.</param>
    /// <exception cref="InputException">It has another ending.</exception>
    public static string Require(string option, string path) =>
        path.EndsWith(".svg", StringComparison.OrdinalIgnoreCase) ? path
            : throw new InputException($"{option} is {path}; expected a file that ends with .svg.");
}
