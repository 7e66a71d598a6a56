using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace LoraScratch.Tests.Packages;

/// <summary>
/// The version rises as the public interface has changed since the last release, which
/// tests/public-api/released.txt holds; a release writes it anew:
/// <code>LORASCRATCH_RELEASE_API=1 dotnet test tests -c Release --filter VersionTests</code>
/// </summary>
public sealed partial class VersionTests
{
    private const string Release = "LORASCRATCH_RELEASE_API";
    private const string A = "class A\n    public void M()\n";

    private static readonly string Folder = Path.Combine(SourceCode.Root, "tests", "public-api");

    /// <summary>As the projects have it, without the part that marks a preview.</summary>
    internal static Version Current { get; } = Version.Parse(XDocument
        .Load(Path.Combine(SourceCode.Root, "Directory.Build.props")).Descendants("Version").Single().Value
        .Split('-')[0]);

    [Test]
    public void The_version_rises_as_the_public_interface_asks()
    {
        var path = Path.Combine(Folder, "released.txt");
        var now = string.Concat(PublicApiTests.Libraries.Select(library =>
            File.ReadAllText(Path.Combine(Folder, $"{library}.txt"))));
        if (Environment.GetEnvironmentVariable(Release) == "1")
        {
            File.WriteAllText(path, $"# {Current}\n{now}");
        }
        var released = File.ReadAllText(path);
        var version = Version.Parse(ReleasedVersion().Match(released).Groups[1].Value);
        var change = ApiChange.Between(released, now);
        var kind = change.Kind == ApiChangeKind.Breaking ? "a breaking change"
            : change.Kind == ApiChangeKind.Addition ? "additions" : "no change";
        Assert.That(Current, Is.GreaterThanOrEqualTo(change.Least(version)),
            $"The public interface has {kind} since {version}: Version in Directory.Build.props must be at least "
                + $"{change.Least(version)}.\n{string.Join('\n', change.Lines)}");
    }

    [Test]
    public void The_release_notes_begin_with_this_version()
    {
        var notes = File.ReadAllText(Path.Combine(SourceCode.Root, "lora", "RELEASE-NOTES.md"));
        Assert.That(Heading().Match(notes).Groups[1].Value, Is.EqualTo(Current.ToString()));
    }

    [TestCase(A, A, "1.2.3", "1.2.3", TestName = "No change needs no other version")]
    [TestCase(A, A + "    public void N()\n", "1.2.3", "1.3.0", TestName = "A new member: minor")]
    [TestCase(A, A + "enum B\n    X = 0\n", "0.2.3", "0.2.4", TestName = "A new type before 1.0: patch")]
    [TestCase(A, "class A : System.IDisposable\n    public void M()\n", "1.2.3", "1.3.0",
        TestName = "A new base: minor")]
    [TestCase(A, "class A\n    public void M(int x = 0)\n", "1.2.3", "2.0.0", TestName = "Another signature: major")]
    [TestCase(A, "class A\n", "0.2.3", "0.3.0", TestName = "A member that is gone, before 1.0: minor")]
    [TestCase(A, "sealed class A\n    public void M()\n", "1.2.3", "2.0.0", TestName = "A class that is sealed: major")]
    [TestCase("interface I\n", "interface I\n    void M()\n", "1.2.3", "2.0.0",
        TestName = "A new member of an interface: major")]
    [TestCase("abstract class A\n", "abstract class A\n    protected abstract int N { get; }\n", "1.2.3", "2.0.0",
        TestName = "A new abstract member: major")]
    [TestCase(A, A + "interface I\n    void M()\n", "1.2.3", "1.3.0", TestName = "A new interface: minor")]
    [TestCase("class A : I<X, Y>, J\n", "class A : J, I<X, Y>\n", "1.2.3", "1.2.3",
        TestName = "Bases in another order: no change")]
    [TestCase("class A<T, U> : I\n    void M()\n", "class A<T, U> : J\n    void M()\n", "1.2.3", "2.0.0",
        TestName = "A base that is gone: major")]
    public void The_least_version_is_that_of_SemVer(string before, string after, string release, string least) =>
        Assert.That(ApiChange.Between(before, after).Least(Version.Parse(release)), Is.EqualTo(Version.Parse(least)));

    [GeneratedRegex(@"\A# (\d+\.\d+\.\d+)")]
    private static partial Regex ReleasedVersion();

    [GeneratedRegex(@"^## (\S+)", RegexOptions.Multiline)]
    private static partial Regex Heading();
}
