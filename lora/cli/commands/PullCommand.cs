using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Hub;

namespace LoraScratch.Cli;

/// <summary>lora pull: downloads a model or an adapter from the Hugging Face hub.</summary>
internal static class PullCommand
{
    public static Command Create()
    {
        var named = new Argument<string>("name")
        {
            Description = "A model or an adapter on the hub; without a revision (a branch, tag or commit) the newest "
                + "of main.",
            HelpName = "ORG/NAME[@REVISION]",
        };
        var command = new ExampleCommand("pull",
            "Downloads a model or an adapter from the Hugging Face hub into the cache that Python uses too, and says "
                + "where it is. Only files that are read here: configuration, tokenizer, safetensors. What was cut "
                + "goes on where it ended. As with Python, HF_TOKEN (or the token file) opens what is private or "
                + "gated, HF_HOME or HF_HUB_CACHE moves the cache, HF_ENDPOINT names another hub, HF_HUB_OFFLINE=1 "
                + "forbids to ask one. Other commands take ORG/NAME for a model or an adapter, and pull what the "
                + "cache does not have.",
            "lora pull sentence-transformers/all-MiniLM-L6-v2",
            "lora pull FacebookAI/roberta-base@main") { named };
        command.SetAction((parsed, _) => Task.Run(() => Run(parsed.GetValue(named)!)));
        return command;
    }

    private static int Run(string given)
    {
        var name = HubName.Parse(given) ?? throw new InputException($"'{given}' is no name on the hub: ORG/NAME or "
            + "ORG/NAME@REVISION is expected.");
        var snapshot = HubFolders.Get(name, refresh: true);
        foreach (var file in Directory.EnumerateFiles(snapshot.Folder).Order(StringComparer.Ordinal))
        {
            Console.WriteLine($"{Columns.Left(Terminal.Printable(Path.GetFileName(file)), 40)}"
                + $"{Columns.Right(Text.Bytes(HubSnapshot.SizeOf(new FileInfo(file))), 12)}");
        }
        Console.WriteLine($"{Columns.Left("together", 40)}{Columns.Right(Text.Bytes(snapshot.Bytes), 12)}");
        Console.WriteLine(Terminal.Printable(snapshot.Folder));
        if (AdapterBase.OnHub(snapshot.Folder) is { } onIt
            && new HubPull(HubSettings.FromEnvironment()).InCache(onIt) is null)
        {
            Console.WriteLine($"It is an adapter on {onIt}, which the cache does not have:");
            Console.WriteLine($"  {ShellWords.Join(["lora", "pull", onIt.ToString()])}");
        }
        return 0;
    }
}
