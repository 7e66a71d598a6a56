using System.CommandLine;
using LoraScratch.Cli;

namespace LoraScratch.Tests.Cli;

public class HelpTests
{
    /// <summary>Every command, those below others too.</summary>
    private static IEnumerable<Command> Commands => Below(CommandLine.Parse([]).RootCommandResult.Command);

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

    private static IEnumerable<string> Words(string line) =>
        line.Split('"').SelectMany((part, i) => i % 2 == 1
            ? [part] : part.Split(' ', StringSplitOptions.RemoveEmptyEntries));
}
