using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Lora.Quantization;

namespace LoraScratch.Cli;

/// <summary>
/// The options that say how weights are quantised: --bits, --group-size and how codes are chosen.
/// </summary>
/// <param name="methodName">
/// Name of the option for the last: --method, where a command has no other.
/// </param>
internal sealed class QuantizationOptions(string methodName = "--method")
{
    private static readonly QuantizationSettings Defaults = new();

    private readonly Option<int> bits =
        OptionKinds.Whole("--bits", "Bits of a weight: 2, 3, 4 or 8.", Defaults.Format.Bits);
    private readonly Option<int> groupSize = OptionKinds.Whole("--group-size", "Neighbouring weights of an output "
        + "that share a scale and a zero: a multiple of 16 from 16 to 128 that divides the input of every layer.",
        Defaults.Format.GroupSize);
    private readonly Option<string> method = OptionKinds.Choice(methodName, "How codes are chosen: each weight "
        + "rounded to the nearest, on the scale with the least squared error; or GPTQ, which lets later weights of a "
        + "row make up for the "
        + "errors of earlier ones.", [.. Enum.GetValues<QuantizationMethod>().Select(ModelQuantizer.Name)]);

    /// <summary>The options, each by itself.</summary>
    public IReadOnlyList<Option> All => [bits, groupSize, method];

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in All)
        {
            command.Add(option);
        }
    }

    /// <summary>The first of the options that was typed; null where none was.</summary>
    public Option? FirstGiven(ParseResult parsed) =>
        All.FirstOrDefault(option => parsed.GetResult(option) is { Implicit: false });

    /// <summary>What was typed.</summary>
    /// <exception cref="InputException">A value is none that there is.</exception>
    public QuantizationSettings Parse(ParseResult parsed)
    {
        var settings = new QuantizationSettings
        {
            Format = new(parsed.GetValue(bits), parsed.GetValue(groupSize)),
            Method = ModelQuantizer.ParseMethod(parsed.GetValue(method)!)
        };
        settings.Check();
        return settings;
    }
}
