using System.CommandLine;
using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Lora.Hub;

namespace LoraScratch.Cli;

/// <summary>lora cache: what the Hugging Face cache holds, and how it is removed.</summary>
internal static class CacheCommand
{
    private const int Digits = 12;

    public static Command Create()
    {
        var command = new ExampleCommand("cache",
            "Lists the models and adapters of the Hugging Face cache, those that Python has downloaded too: "
                + "revisions, size, and when they were last read, as far as the disk tells.",
            "lora cache")
        {
            Remove(),
        };
        command.SetAction(_ =>
        {
            Print(HubCache.Default, Console.Out);
            return 0;
        });
        return command;
    }

    private static Command Remove()
    {
        var named = new Argument<string>("name")
        {
            Description = "A model or an adapter as 'lora cache' lists it; with a revision that one alone.",
            HelpName = "ORG/NAME[@REVISION]",
        };
        var command = new ExampleCommand("remove",
            "Removes a model or an adapter from the Hugging Face cache, for Python as well. What is on the hub still "
                + "can be pulled again.",
            "lora cache remove sentence-transformers/all-MiniLM-L6-v2",
            "lora cache remove FacebookAI/roberta-base@main") { named };
        command.SetAction(parsed =>
        {
            var given = parsed.GetValue(named)!;
            var name = HubName.Parse(given) ?? throw new InputException($"'{given}' is no name on the hub: ORG/NAME "
                + "or ORG/NAME@REVISION is expected, as 'lora cache' lists them.");
            var bytes = new HubCacheListing(HubCache.Default)
                .Remove(name, revision: given.Contains('@', StringComparison.Ordinal));
            Console.WriteLine($"Removed {given}: {Text.Bytes(bytes)} are free again.");
            return 0;
        });
        return command;
    }

    private static void Print(HubCache cache, TextWriter output)
    {
        var models = new HubCacheListing(cache).Models();
        foreach (var model in models)
        {
            var used = model.LastUsed.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
            output.WriteLine($"{model.Name.PadRight(44)} {Text.Bytes(model.Bytes),11}  read {used}");
            foreach (var revision in model.Revisions)
            {
                output.WriteLine($"  {revision.Commit[..Digits]}  "
                    + $"{Columns.Left(Terminal.Printable(string.Join(", ", revision.References)), 28)} "
                    + $"{Text.Bytes(revision.Bytes),12}");
            }
            if (model.UnfinishedBytes > 0)
            {
                output.WriteLine($"  {"unfinished",-43}{Text.Bytes(model.UnfinishedBytes),12}");
            }
        }
        output.WriteLine(models.Count == 0 ? $"No models in {cache.Root}."
            : $"{models.Count} {(models.Count == 1 ? "model" : "models")}, "
                + $"{Text.Bytes(models.Sum(model => model.Bytes))}, in {cache.Root}");
    }
}
