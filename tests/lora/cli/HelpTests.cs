using System.CommandLine;
using LoraScratch.Cli;

namespace LoraScratch.Tests.Cli;

public class HelpTests
{
    /// <summary>Every command, those below others too.</summary>
    internal static IEnumerable<Command> Commands => Below(CommandLine.Parse([]).RootCommandResult.Command);

    private static IEnumerable<Command> Below(Command command) =>
        command.Subcommands.SelectMany(child => Below(child).Prepend(child));

    private static IEnumerable<string> Path(Command command) =>
        command is RootCommand ? [] : Path(command.Parents.OfType<Command>().Single()).Append(command.Name);

    [Test]
    public void Every_command_option_and_argument_is_described() => Assert.Multiple(() =>
    {
        foreach (var command in Commands)
        {
            Assert.That(command.Description, Is.Not.Empty.And.Not.Null, command.Name);
            foreach (var symbol in command.Options.Concat<Symbol>(command.Arguments))
            {
                Assert.That(symbol.Description, Is.Not.Empty.And.Not.Null, $"{command.Name} {symbol.Name}");
            }
        }
    });

    [Test]
    public void Every_example_is_a_command_line_that_is_understood() => Assert.Multiple(() =>
    {
        foreach (var example in Commands.OfType<ExampleCommand>().SelectMany(command => command.Examples))
        {
            var parsed = CommandLine.Parse([.. Words(example).Skip(1)]);
            Assert.That(parsed.Errors, Is.Empty, example);
            Assert.That(parsed.CommandResult.Command, Is.InstanceOf<ExampleCommand>(), example);
        }
    });

    [Test]
    public void Every_command_has_help_with_examples()
    {
        foreach (var command in Commands)
        {
            var help = LoraProgram.Call([.. Path(command), "--help"]);
            Assert.That(help.Code, Is.Zero);
            Assert.That(help.Output,
                Does.Contain("Examples:").And.Contain($"  lora {string.Join(' ', Path(command))}"));
            Assert.That(help.Errors, Is.Empty);
        }
    }

    [Test]
    public void No_line_of_any_help_is_longer_than_a_screen()
    {
        foreach (var command in Commands)
        {
            var lines = LoraProgram.Call([.. Path(command), "--help"]).Output.Split('\n');
            Assert.That(lines.Where(line => Columns.Of(line) > 80), Is.Empty, command.Name);
        }
    }

    [Test]
    public void Where_options_are_many_they_stand_in_groups_the_most_used_first()
    {
        Assert.That(HelpGroups.All.SelectMany(group => group.Options), Is.Unique);
        foreach (var command in Commands.Where(command => command.Options.Count > HelpGroups.MostInOneList))
        {
            Assert.That(command.Options.Where(option => !option.Hidden
                && HelpGroups.Of(option.Name).Group == HelpGroups.All.Count).Select(option => option.Name),
                Is.Empty, $"{command.Name}: give it a group in HelpGroups");
        }
        var lines = LoraProgram.Call("train", "--help").Output.Split('\n');
        var titles = lines.Where(line => line.EndsWith(':') && !line.StartsWith(' ')).ToArray();
        Assert.That(titles, Is.EqualTo(new[] { "Description:", "Usage:", "Most used:", "LoRA:",
            "QA-LoRA and quantization:", "Optimisation:", "Validation and test:", "Data format:",
            "What to start from:", "Run and resume:", "Memory and speed:", "Device:", "Examples:" }));
        Assert.That(lines[Array.IndexOf(lines, "Most used:") + 1], Does.StartWith("  --data <PATH> (REQUIRED)"));
        var known = Commands.SelectMany(command => command.Options).Select(option => option.Name).ToHashSet();
        Assert.That(HelpGroups.All.SelectMany(group => group.Options).Where(name => !known.Contains(name)), Is.Empty,
            "options that no command has");
    }

    [Test]
    public void The_help_of_train_states_the_defaults()
    {
        var help = string.Join(' ',
            LoraProgram.Call("train", "--help").Output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        string[] stated = ["--rank <N> Rank r of the update A·B. [default: 8]", "[default: 16]", "[default: kaiming]",
            "[default: alpha-over-rank]",
            "[default: query,value; of the built-in base model embeddings,query,key,value,projection,mlp]",
            "[default: true, unless the targets have head]",
                "[default: 5e-4 lora and qa-lora, 1e-3 last-layers, 5e-5 full; 1e-2 with sgd]", "[default: 0.1]",
                    "[default: auto]"];
        foreach (var text in stated)
        {
            Assert.That(help, Does.Contain(text));
        }
    }

    [TestCase("plain-word.txt", "plain-word.txt")]
    [TestCase("my model", "'my model'")]
    [TestCase("it's $HOME", "'it'\\''s $HOME'")]
    [TestCase("", "''")]
    public void Words_are_quoted_as_a_shell_reads_them(string word, string quoted) =>
    Assert.That(ShellWords.Quote(word), Is.EqualTo(quoted));

    /// <summary>The words of a command line; quotes hold words together.</summary>
    internal static IEnumerable<string> Words(string line) =>
        line.Split('"').SelectMany((part, i) => i % 2 == 1
            ? [part] : part.Split(' ', StringSplitOptions.RemoveEmptyEntries));
}
