using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Text.RegularExpressions;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Cli;

/// <summary>
/// The kinds of options. Each reads its value by rules of its own, so that a mistake is told by
/// name in one line, and that numbers mean the same everywhere: "0,001" is no number, and not 1, as
/// .NET's own reader takes it.
/// </summary>
internal static class OptionKinds
{
    /// <summary>One of some words; the first is the default.</summary>
    public static Option<string> Choice(string name, string description, params string[] values)
    {
        var option = OptionalChoice(name, description, values);
        option.DefaultValueFactory = _ => values[0];
        return option;
    }

    /// <summary>
    /// One of some words, "true" and "false" among them; null where it is not given.
    /// </summary>
    public static Option<string> OptionalChoice(string name, string description, params string[] values)
    {
        var option = new Option<string>(name)
        {
            Description = description,
            HelpName = string.Join('|', values),
            CustomParser = result =>
                Parse(result, name, $"expected {string.Join(", ", values[..^1])} or {values[^1]}",
                    text => values.Contains(text) ? text : null),
        };
        option.CompletionSources.Add(values);
        return option;
    }

    /// <summary>
    /// A device: auto, cpu, or a kind of GPU, with or without a number: "cuda", "cuda:1".
    /// </summary>
    public static Option<string> Device(string name, string description)
    {
        var option = new Option<string>(name)
        {
            Description = description,
            HelpName = "auto|cpu|cuda|opencl",
            DefaultValueFactory = _ => "auto",
            CustomParser = result =>
                Parse(result, name,
                    "expected auto, cpu, cuda or opencl, or a name that 'lora devices' lists, such as cuda:1",
                text => Regex.IsMatch(text, @"\A(auto|cpu|(cuda|opencl)(:[0-9]{1,4})?)\z") ? text : null),
        };
        option.CompletionSources.Add("auto", "cpu", "cuda", "opencl");
        return option;
    }

    /// <summary>A file or folder.</summary>
    public static Option<string> Path(string name, string helpName, string description, bool required = false) =>
        new(name)
        {
            Description = description,
            HelpName = helpName,
            Required = required,
            CustomParser = result =>
                Parse(result, name, "expected a file or folder",
                    text => text.Length > 0 && !text.Contains('\0') ? text : null),
        };

    /// <summary>Files or folders, one after the other.</summary>
    public static Option<string[]> Paths(string name, string description, bool required = false) => new(name)
    {
        Description = description,
        HelpName = "PATH…",
        Required = required,
        Arity = ArgumentArity.OneOrMore,
        AllowMultipleArgumentsPerToken = true,
        CustomParser = result =>
        {
            var paths = result.Tokens.Select(token => token.Value).ToArray();
            if (Array.Find(paths, path => path.Length == 0 || path.Contains('\0')) is { } wrong)
            {
                result.AddError($"{name} is '{wrong}'; expected files or folders.");
            }
            return paths;
        },
    };

    /// <summary>A whole number with a default.</summary>
    public static Option<int> Whole(string name, string description, int defaultValue) =>
        new(name)
        {
            Description = description,
            DefaultValueFactory = _ => defaultValue,
            HelpName = "N",
            CustomParser = result => Int(result, name) ?? 0
        };

    /// <summary>A whole number; null where it is not given.</summary>
    public static Option<int?> OptionalWhole(string name, string description) =>
        new(name) { Description = description, HelpName = "N", CustomParser = result => Int(result, name) };

    /// <summary>A seed: a whole number from 0 to 2⁶⁴ − 1.</summary>
    public static Option<ulong> Seed(string description, ulong defaultValue) => new("--seed")
    {
        Description = description,
        DefaultValueFactory = _ => defaultValue,
        HelpName = "N",
        CustomParser = result => Parse<ulong?>(result, "--seed", $"expected a whole number from 0 to {ulong.MaxValue}",
            text => ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : null)
                ?? 0,
    };

    /// <summary>A number with a default.</summary>
    public static Option<double> Number(string name, string description, double defaultValue) =>
        new(name)
        {
            Description = description,
            DefaultValueFactory = _ => defaultValue,
            HelpName = "X",
            CustomParser = result => Double(result, name) ?? 0
        };

    /// <summary>A number; null where it is not given.</summary>
    public static Option<double?> OptionalNumber(string name, string description) =>
        new(name) { Description = description, HelpName = "X", CustomParser = result => Double(result, name) };

    /// <summary>Numbers separated by commas; null or none where it is not given.</summary>
    public static Option<double[]?> OptionalNumbers(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "X,X,…",
        CustomParser = result => Parse(result, name, "expected numbers separated by commas, such as 1e-4,1e-3",
            text => text.Split(',', StringSplitOptions.TrimEntries).Select(Number).ToArray() is var numbers
                && numbers.All(number => number is not null)
                ? numbers.Select(number => number!.Value).ToArray() : null),
    };

    /// <summary>Whole numbers separated by commas; null or none where it is not given.</summary>
    public static Option<int[]?> OptionalWholes(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "N,N,…",
        CustomParser = result => Parse(result, name, "expected whole numbers separated by commas, such as 2,4,8",
            text => text.Split(',', StringSplitOptions.TrimEntries)
                .Select(part => int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var value)
                    ? value : -1).ToArray() is var numbers && numbers.All(number => number >= 0) ? numbers : null),
    };

    /// <summary>
    /// A number of bytes, with or without KiB, MiB or GiB; null where it is not given.
    /// </summary>
    public static Option<long?> OptionalBytes(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "N[KiB|MiB|GiB]",
        CustomParser = result =>
            Parse<long?>(result, name, "expected a number of bytes, such as 50000000 or 48MiB", Bytes),
    };

    /// <summary>The layers that a command works on, by the tutorials' names.</summary>
    /// <param name="description">What becomes of them.</param>
    /// <param name="defaults">Where nothing is given.</param>
    public static Option<WordList> Targets(string description, params string[] defaults) =>
        Words("--targets", description, defaults, [.. Lora.Encoders.LoRATargets.Names]);

    /// <summary>Some of some words, separated by commas.</summary>
    public static Option<WordList> Words(string name, string description, string[] defaults, params string[] words) =>
        new(name)
        {
            Description = $"{description}, separated by commas: {string.Join(", ", words)}.",
            HelpName = "NAMES",
            DefaultValueFactory = _ => new WordList(defaults),
            CustomParser = result =>
                Parse(result, name, $"expected some of {string.Join(", ", words)}, separated by commas, each once",
                text => text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
                        is var given
                    && given.Length > 0 && given.All(words.Contains) && given.Distinct().Count() == given.Length
                    ? new WordList(given) : null)!,
        };

    /// <summary>Different names, separated by commas; null or none where it is not given.</summary>
    public static Option<string[]?> OptionalNames(string name, string description, int fewest = 2) => new(name)
    {
        Description = description,
        HelpName = "NAME,NAME,…",
        CustomParser = result => Parse(result, name, $"expected {(fewest == 1 ? "" : "at least two ")}different "
            + "names, separated by commas",
            text => text.Split(',', StringSplitOptions.TrimEntries) is var names && names.Length >= fewest
                && names.All(part => part.Length > 0) && names.Distinct().Count() == names.Length ? names : null),
    };

    /// <summary>--max-length, where longer texts are cut.</summary>
    public static Option<int?> MaxLength() =>
        OptionalWhole("--max-length", Lora.Training.TrainingOptionList.MaxLength.Description);

    /// <summary>--separator: a character, or a word for one that a shell does not like.</summary>
    public static Option<char?> Separator() => Character("--separator", "What stands between the fields of a .csv or "
        + ".tsv: a character, or comma, tab, semicolon or pipe. [default: as the name of the file says, or else its "
        + "header line]");

    /// <summary>--label-separator, between the names of classes in a cell.</summary>
    public static Option<char?> LabelSeparator() => Character("--label-separator", "What stands between the classes "
        + "in a label cell where any number may hold: a character, or comma, tab, semicolon or pipe. "
        + $"[default: {Lora.Data.LabelSets.Separator}]");

    /// <summary>--dtype, of the weights in a file.</summary>
    public static Option<string> Dtype(string description) => Choice("--dtype", description, "f32", "f16", "bf16");

    /// <summary>What --dtype means.</summary>
    public static DType ToDType(string word) => word switch
    {
        "f16" => DType.F16,
        "bf16" => DType.BF16,
        _ => DType.F32,
    };

    /// <summary>--verbose</summary>
    public static Option<bool> Verbose() => new("--verbose")
    {
        Description = "Names every layer, also where several are alike, and otherwise stand in one line: layer.{0-5}."
    };

    /// <summary>--multi-label</summary>
    public static Option<bool> MultiLabel() => new("--multi-label")
    {
        Description = "Any number of classes may hold for a text: a label cell has their names, separated by "
            + "--label-separator, or of JSON lines an array; an empty one says that none holds."
    };

    private static Option<char?> Character(string name, string description)
    {
        (string Word, char Character)[] words = [("comma", ','), ("tab", '\t'), ("semicolon", ';'), ("pipe", '|')];
        var option = new Option<char?>(name)
        {
            Description = description,
            HelpName = "CHAR",
            CustomParser = result => Parse<char?>(result, name,
                "expected one ASCII character that is no quote and no line break, or comma, tab, semicolon or pipe",
                text => Array.Find(words, entry => entry.Word == text) is { Word: not null } named ? named.Character
                    : text is [var only] && char.IsAscii(only) && only is not ('"' or '\r' or '\n' or '\0')
                        ? only : null),
        };
        option.CompletionSources.Add([.. words.Select(entry => entry.Word)]);
        return option;
    }

    private static int? Int(ArgumentResult result, string name) =>
        Parse<int?>(result, name, $"expected a whole number up to {int.MaxValue}",
        text => int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value)
            ? value : null);

    private static double? Double(ArgumentResult result, string name) =>
        Parse<double?>(result, name, "expected a number, such as 0.001 or 1e-3",
        Number);

    private static double? Number(string text) =>
        double.TryParse(text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint
            | NumberStyles.AllowExponent, CultureInfo.InvariantCulture,
            out var value) && double.IsFinite(value) ? value : null;

    private static long? Bytes(string text)
    {
        (string Unit, int Bits)[] units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("", 0)];
        var (unit, bits) = units.First(entry => text.EndsWith(entry.Unit, StringComparison.OrdinalIgnoreCase));
        return decimal.TryParse(text[..^unit.Length].Trim(), NumberStyles.AllowDecimalPoint,
            CultureInfo.InvariantCulture, out var number) && number < 1L << 32 ? (long)(number * (1L << bits)) : null;
    }

    private static T? Parse<T>(ArgumentResult result, string name, string expected, Func<string, T?> parse)
    {
        var text = result.Tokens[^1].Value;
        var value = parse(text);
        if (value is null)
        {
            result.AddError($"{name} is '{text}'; {expected}.");
        }
        return value;
    }

    /// <summary>Refuses a number below 1.</summary>
    public static void RequirePositive(string option, int value)
    {
        if (value < 1)
        {
            throw new InputException($"{option} is {value}; expected at least 1.");
        }
    }
}

/// <summary>
/// Words that are written as one value, separated by commas; help shows a default so too.
/// </summary>
internal sealed record WordList(params string[] Words)
{
    public override string ToString() => string.Join(',', Words);
}
