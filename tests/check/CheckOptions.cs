using System.Text.RegularExpressions;
using LoraScratch.Benchmarks;
using LoraScratch.Engine;

namespace LoraScratch.Tests.Check;

/// <summary>What a check of a GPU was asked for.</summary>
/// <param name="Gpu">What is checked.</param>
/// <param name="Report">The JSON file; null: none.</param>
/// <param name="Dump">The folder for every kernel's text; null: none.</param>
/// <param name="Parts">What of it, by <see cref="CheckCommand.PartNames"/>.</param>
/// <param name="Limit">
/// Seconds that a product, a forward pass or a step may take; what is expected to take longer is
/// left out.
/// </param>
/// <param name="Seconds">When the rows of the tests stop, counted from the start.</param>
/// <param name="Rows">Which rows of the tests run, by their names; null: all.</param>
/// <param name="Python">The command that may have PyTorch.</param>
internal sealed record CheckOptions(GpuCase Gpu, string? Report, string? Dump, string[] Parts, int Limit, int Seconds,
    Regex? Rows, string Python)
{
    public const string Usage = """
        check: tests and measures a GPU, in one call.

          check [--device cuda] [--json report.json] [--dump DIR] [--parts products,steps]
                [--seconds 280] [--limit 5] [--rows REGEX] [--python python3]

          --device   cuda, cuda:1, opencl, opencl:1, or simulator (ILGPU's, at small sizes)
          --json     the report, written anew after every figure
          --dump     a folder for every kernel's PTX, or OpenCL C
          --parts    some of products, steps, pytorch, training, memory, kernels and rows; all of them
          --seconds  when the rows of the tests stop, counted from the start
          --limit    seconds that one product or step may take; what is expected to take longer is left out
          --rows     only the rows of the tests whose names match
          --python   a Python with PyTorch, which then computes the same beside it

        The exit code is 0 when all that could be checked is right.
        """;

    /// <summary>Reads them.</summary>
    /// <exception cref="InputException">They make no sense; the message says why.</exception>
    public static CheckOptions Parse(string[] args)
    {
        var arguments = new Arguments(args);
        var (device, rows) = (arguments.Text("device", "cuda"), arguments.Text("rows", ""));
        var (report, dump) = (arguments.Text("json", ""), arguments.Text("dump", ""));
        var parts = arguments.Text("parts", string.Join(',', CheckCommand.PartNames)).Split(',');
        if (Array.Find(parts, part => !CheckCommand.PartNames.Contains(part)) is { } unknown)
        {
            throw new InputException($"--parts: there is no '{unknown}'; the parts are "
                + $"{string.Join(", ", CheckCommand.PartNames)}.");
        }
        try
        {
            var options = new CheckOptions(device == $"{GpuCase.Simulator}" ? GpuCase.Simulator : GpuCase.Parse(device),
                report is "" ? null : report, dump is "" ? null : dump, parts, arguments.Number("limit", 5),
                arguments.Number("seconds", 280), rows is "" ? null : new Regex(rows),
                arguments.Text("python", "python3"));
            arguments.RequireAllUsed();
            return options;
        }
        catch (FormatException e)
        {
            throw new InputException($"--device: {e.Message}");
        }
        catch (RegexParseException e)
        {
            throw new InputException($"--rows '{rows}' is no regular expression: {e.Message}");
        }
    }
}
