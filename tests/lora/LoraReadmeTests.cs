using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace LoraScratch.Tests.Lora;

/// <summary>lora/README.md shows the code as it is.</summary>
public class LoraReadmeTests
{
    private static readonly string Root = SourceCode.Root;

    private static readonly string Readme = File.ReadAllText(Path.Combine(Root, "lora", "README.md"));

    [Test]
    public void Every_frame_of_the_call_stack_calls_the_next_one()
    {
        var block = Regex.Match(Readme, "```text\n(.*?)```", RegexOptions.Singleline).Groups[1].Value;
        // an indented line is called, too, but has returned when the next one is
        var frames = Regex.Matches(block, @"^( *)(\w+)\.(\w+)", RegexOptions.Multiline)
            .Select(match => (IsInner: match.Groups[1].Length > 0, Type: match.Groups[2].Value,
                Method: match.Groups[3].Value)).ToList();
        Assert.That(frames, Has.Count.GreaterThan(8));
        for (var i = 1; i < frames.Count; i++)
        {
            var (_, type, method) = frames[i];
            var caller = frames.Take(i).Last(frame => !frame.IsInner);
            // InvokeAsync runs the action of the command that was typed
            Assert.That(Calls(caller.Type, caller.Method), Does.Contain(method).Or.Contain("InvokeAsync"),
                $"{caller.Type}.{caller.Method} calls no {method}");
            Assert.That(Methods(type, method), Is.Not.Empty, $"there is no {type}.{method}");
        }
    }

    [Test]
    public void Every_folder_and_file_that_it_names_is_there()
    {
        var named = Regex.Matches(Readme, @"^\| `([^`]+)` \|", RegexOptions.Multiline)
            .Select(match => match.Groups[1].Value).ToList();
        var folders = Directory.GetDirectories(Path.Combine(Root, "lora")).Select(Path.GetFileName)
            .Where(name => name is not ("bin" or "obj")).Select(name => $"{name}/");
        Assert.That(named.Where(name => name.EndsWith('/')), Is.EquivalentTo(folders));
        Assert.That(named.Where(name => !name.EndsWith('/')),
            Has.All.Matches<string>(name => File.Exists(Path.Combine(Root, "lora", name!))));
    }

    private static IEnumerable<string> Calls(string type, string method) =>
        Methods(type, method).SelectMany(node => node.DescendantNodes().OfType<InvocationExpressionSyntax>())
            .Select(call => call.Expression switch
            {
                MemberAccessExpressionSyntax access => access.Name.Identifier.Text,
                SimpleNameSyntax name => name.Identifier.Text,
                _ => "",
            });

    /// <summary>A program's Main has no declaration: its file is its body.</summary>
    private static IReadOnlyList<CSharpSyntaxNode> Methods(string type, string method)
    {
        var trees = SourceCode.Files("engine", "lora").Where(file => Path.GetFileName(file) == $"{type}.cs")
            .Select(file => CSharpSyntaxTree.ParseText(File.ReadAllText(file)).GetCompilationUnitRoot())
            .ToList();
        return method == "Main" ? trees
            : [.. trees.SelectMany(tree => tree.DescendantNodes().OfType<MethodDeclarationSyntax>())
                .Where(node => node.Identifier.Text == method
                    && (node.Parent as TypeDeclarationSyntax)?.Identifier.Text == type)];
    }
}
