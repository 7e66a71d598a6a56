using System.Text.RegularExpressions;
using LoraScratch.Cli;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Engine.Optim;
using LoraScratch.Lora;
using LoraScratch.Tests.Cli;

namespace LoraScratch.Tests;

/// <summary>
/// Every C# example of the README and of the rooms' pages stands in a test below, or in a sample
/// (SampleTests runs those); every command line there is one that the program takes.
/// </summary>
public sealed partial class ReadmeTests
{
    private static readonly string[] Pages = ["README.md", "engine/README.md", "lora/README.md", "lora/cli/README.md"];
    private static readonly string Readme =
        string.Join('\n', Pages.Select(page => File.ReadAllText(Path.Combine(SourceCode.Root, page))));

    [Test]
    public void A_perceptron_of_two_layers_learns_through_LoRA_alone()
    {
        var random = new RandomStream(seed: 1);
        using var x = Tensor.From(random.Normal(32 * 8, 1), new Shape(32, 8));
        using var labels = new Indices([.. x.ToArray().Chunk(8).Select(row => row[0] > row[1] ? 1 : 0)]);

        var model = new Sequential(new Linear(8, 32, random), new Relu(), new Linear(32, 2, random));
        // W and b are frozen; A is random, B is zero: nothing changes yet
        model.ReplaceLinearWithLoRA(rank: 4, alpha: 8, random);

        using var optimizer = new AdamW(model.TrainableParameters(), learningRate: 1e-2f);
        for (var step = 0; step < 100; step++)
        {
            // what is computed in it goes back to the memory pool at its end
            using var scope = new TensorScope();
            var loss = model.Forward(x).CrossEntropy(labels);
            loss.Backward();
            optimizer.Step();
            optimizer.ZeroGradient();
            if (step % 25 == 0)
            {
                Console.WriteLine($"step {step}: loss {loss.Item():F4}");
            }
        }

        using var end = new TensorScope();
        Assert.That(model.Forward(x).CrossEntropy(labels).Item(), Is.LessThan(0.2f));
        Assert.That(model.TrainableParameters().Sum(parameter => parameter.Shape.Count),
            Is.EqualTo(4 * (8 + 32) + 4 * (32 + 2)));
    }

    [Test]
    public void A_tensor_lives_until_its_gradients_have_run()
    {
        var random = new RandomStream(seed: 1);
        using var x = Tensor.From(random.Normal(6, 1), new Shape(2, 3), requiresGradient: true);
        using var w = Tensor.From(random.Normal(12, 1), new Shape(3, 4), requiresGradient: true);

        var y = x.MatMul(w).Gelu();          // two results; each has an edge to every input that requires a gradient
        var loss = y.Square().Mean();
        loss.Backward();                     // dX and dW are there; the graph is freed, y with it

        Assert.That((x.Gradient!.Shape, w.Gradient!.Shape), Is.EqualTo((x.Shape, w.Shape)));
        Assert.That(() => y.ToArray(), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public void Every_example_of_the_readme_stands_in_this_file_or_in_a_sample()
    {
        var sources = SourceCode.Files("lora/samples").Append(Path.Combine(SourceCode.Root, "tests", "ReadmeTests.cs"))
            .Select(file => Lines(File.ReadAllText(file))).ToList();
        var examples = Blocks("csharp");
        Assert.That(examples, Is.Not.Empty);
        foreach (var example in examples)
        {
            Assert.That(sources, Has.Some.Contains(Lines(example)),
                "an example of the README is not run by a test: copy it from here or from lora/samples");
        }
    }

    [Test]
    public void Every_command_line_of_the_readme_is_understood()
    {
        var commands = CommandsOfLora;
        Assert.That(commands, Has.Count.GreaterThan(3));
        foreach (var command in commands)
        {
            var parsed = CommandLine.Parse([.. HelpTests.Words(command)]);
            Assert.That(parsed.Errors.Select(error => error.Message), Is.Empty, command);
        }
    }

    /// <summary>The words after the program's name, of every command in the README.</summary>
    internal static List<string> CommandsOfLora => [.. Blocks("sh").SelectMany(block => block.Split('\n'))
        .Select(line => CommandLineOfLora().Match(line)).Where(match => match.Success)
        .Select(match => match.Groups[1].Value.Trim())];

    internal static List<string> Blocks(string language, string? text = null) =>
        [.. Regex.Matches(text ?? Readme, $"^```{language}\n(.*?)^```",
            RegexOptions.Singleline | RegexOptions.Multiline)
            .Select(match => match.Groups[1].Value.TrimEnd())];

    /// <summary>Without indentation, so that an example may stand anywhere.</summary>
    private static string Lines(string text) => string.Join('\n', text.Split('\n').Select(line => line.Trim()));

    [GeneratedRegex(@"(?:^lora|--project lora/cli --) ([^#]*)")]
    private static partial Regex CommandLineOfLora();
}
