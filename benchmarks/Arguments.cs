using System.Globalization;
using LoraScratch.Engine;

namespace LoraScratch.Benchmarks;

/// <summary>Options of a benchmark command: --name value, or --name alone for a flag.</summary>
/// <param name="args">Without the command's name.</param>
internal sealed class Arguments(string[] args)
{
    private readonly HashSet<int> used = [];

    /// <summary>A whole number of at least 1.</summary>
    /// <exception cref="InputException">The value is missing or no such number.</exception>
    public int Number(string name, int standard)
    {
        var text = Text(name, standard.ToString(CultureInfo.InvariantCulture));
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= 1
            ? number
            : throw new InputException($"--{name} is '{text}'; a whole number of at least 1 is expected.");
    }

    /// <summary>A word.</summary>
    /// <exception cref="InputException">The value is missing.</exception>
    public string Text(string name, string standard)
    {
        var at = Array.IndexOf(args, $"--{name}");
        if (at < 0)
        {
            return standard;
        }
        if (at + 1 == args.Length)
        {
            throw new InputException($"--{name} needs a value, such as {standard}.");
        }
        used.Add(at);
        used.Add(at + 1);
        return args[at + 1];
    }

    /// <summary>Whether an option is there, with or without its value.</summary>
    public bool Has(string name) => args.Contains($"--{name}");

    /// <summary>What nobody asked for yet, in its order.</summary>
    public string[] Unused() => [.. args.Where((_, i) => !used.Contains(i))];

    /// <summary>Whether a flag was given.</summary>
    public bool Flag(string name)
    {
        var at = Array.IndexOf(args, $"--{name}");
        return at >= 0 && used.Add(at);
    }

    /// <summary>Refuses what nobody asked for.</summary>
    /// <exception cref="InputException">An argument is unknown.</exception>
    public void RequireAllUsed()
    {
        for (var i = 0; i < args.Length; i++)
        {
            if (!used.Contains(i))
            {
                throw new InputException($"There is no option '{args[i]}' here.");
            }
        }
    }
}
