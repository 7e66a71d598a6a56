using System.Text.RegularExpressions;
using LoraScratch.Cli;
using LoraScratch.Tests.Mutations;

namespace LoraScratch.Tests.Course;

/// <summary>
/// What stands on the pages of the course: commands that exist, files that exist, code that is run.
/// </summary>
public sealed partial class PageTests
{
    // About two screens of what is visible before anything is opened.
    private const int MaxVisibleLines = 80, MaxColumns = 150;

    private static readonly string Folder = Path.Combine(SourceCode.Root, "lora", "course");

    private static IEnumerable<string> Pages =>
        Directory.EnumerateFiles(Folder, "*.md").Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal);

    private static IEnumerable<string> Steps => Pages.Where(page => char.IsAsciiDigit(page[0]));

    [TestCaseSource(nameof(Steps))]
    public void A_step_asks_answers_and_has_an_exercise(string page)
    {
        var (text, step) = (Read(page), page[0]);
        Assert.Multiple(() =>
        {
            Assert.That(Opened().Replace(text, "").Split('\n'), Has.Length.LessThanOrEqualTo(MaxVisibleLines));
            Assert.That(text.Split('\n').Max(line => line.Length), Is.LessThanOrEqualTo(MaxColumns));
            Assert.That(Regex.Count(text, "<summary>Answer</summary>"), Is.GreaterThanOrEqualTo(2));
            Assert.That(Regex.Count(text, "<summary>Hint</summary>"), Is.EqualTo(1));
            Assert.That(Regex.Count(text, "<summary>Solution</summary>"), Is.EqualTo(1));
            Assert.That(text, Does.Match($@"`exercises/Step{step}\w+\.cs`")
                .And.Match($@"`solutions/Step{step}\w+\.cs`"));
            Assert.That(text, Does.Contain($"dotnet test -c Release lora/course --filter Category=Course{step}"));
            Assert.That(Commands(text).Count(), Is.GreaterThanOrEqualTo(2), "something to see besides the exercise");
        });
    }

    [TestCaseSource(nameof(Pages))]
    public void What_a_page_names_exists(string page)
    {
        var text = Read(page);
        var named = NamedFile().Matches(text).Select(match => match.Groups[1].Value)
            .Concat(Link().Matches(text).Select(match => match.Groups[1].Value)).ToList();
        Assert.That(named, Is.Not.Empty);
        string[] places = [SourceCode.Root, Folder, Path.Combine(Folder, "exercises")];
        Assert.That(named.Where(file => !places.Any(place => File.Exists(Path.Combine(place, file)))), Is.Empty);
    }

    [TestCaseSource(nameof(Pages))]
    public void Every_command_of_a_page_is_one(string page)
    {
        var text = Read(page);
        Assert.Multiple(() =>
        {
            foreach (var command in Commands(text))
            {
                CheckCommand(command);
            }
            foreach (Match mistake in Break().Matches(text))
            {
                Assert.That(Mutation.All.Select(mutation => mutation.Name).Append("all"),
                    Does.Contain(mistake.Groups[1].Value));
            }
        });
    }

    private static void CheckCommand(string command)
    {
        if (OwnMistake().Match(command) is { Success: true } own)
        {
            Assert.That(File.ReadAllText(Path.Combine(SourceCode.Root, own.Groups[1].Value))
                .Split(own.Groups[2].Value), Has.Length.EqualTo(2), $"{command}: the text stands there once");
        }
        string[] known =
        [
            @"^dotnet test -c Release lora/course (--filter Category=Course[1-8]|-p:Solutions=true)$",
            @"^dotnet run -c Release --project tests -- break( .*)?$",
            @"^dotnet run -c Release --project benchmarks -- --filter '[^']+'$",
        ];
        if (command.StartsWith("dotnet run -c Release lora/samples/", StringComparison.Ordinal))
        {
            Assert.That(File.Exists(Path.Combine(SourceCode.Root, command.Split(' ')[^1])), command);
        }
        else if (command.StartsWith("dotnet run -c Release --project lora/cli -- ", StringComparison.Ordinal))
        {
            Assert.That(CommandLine.Parse(command.Split(" -- ")[1].Split(' ')).Errors, Is.Empty, command);
        }
        else
        {
            Assert.That(known.Any(pattern => Regex.IsMatch(command, pattern)), command);
        }
    }

    private static IEnumerable<string> Commands(string text) => Block("sh").Matches(text)
        .SelectMany(block => block.Groups[1].Value.Trim().Split('\n'));

    [TestCaseSource(nameof(Pages))]
    public void The_code_of_a_page_is_run_by_a_sample(string page)
    {
        var samples = SourceCode.Files("lora/samples").Select(file => Trimmed(File.ReadAllText(file))).ToList();
        foreach (Match block in Block("csharp").Matches(Read(page)))
        {
            Assert.That(samples, Has.Some.Contains(Trimmed(block.Groups[1].Value).Trim()));
        }
    }

    private static string Read(string page) => File.ReadAllText(Path.Combine(Folder, page));

    private static string Trimmed(string text) => string.Join('\n', text.Split('\n').Select(line => line.Trim()));

    private static Regex Block(string language) =>
        new($"^```{language}\n(.*?)^```", RegexOptions.Singleline | RegexOptions.Multiline);

    [GeneratedRegex(@"<details>.*?</details>", RegexOptions.Singleline)]
    private static partial Regex Opened();

    [GeneratedRegex(@"`([\w./-]+\.(?:cs|md))`")]
    private static partial Regex NamedFile();

    [GeneratedRegex(@"\]\((?!http)([^)]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex("break (\\S+\\.cs) \"([^\"]+)\"")]
    private static partial Regex OwnMistake();

    [GeneratedRegex(@"(?:-- |`)break ([\w-]+)(?=[`\n])")]
    private static partial Regex Break();
}
