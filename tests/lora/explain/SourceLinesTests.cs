using LoraScratch.Engine;
using LoraScratch.Lora.Explaining;

namespace LoraScratch.Tests.Explaining;

/// <summary>The C# that a page shows is the C# of the files.</summary>
public sealed class SourceLinesTests
{
    [Test]
    public void Every_method_is_shown_as_it_stands_in_its_file()
    {
        var methods = SourceLines.All().ToList();
        Assert.That(methods, Has.Count.GreaterThan(20));
        foreach (var method in methods)
        {
            var file = File.ReadAllLines(Path.Combine(SourceCode.Root, method.File));
            var there = file.Skip(method.FirstLine - 1).Take(method.Lines.Count)
                .Select(line => line.Length > 4 ? line[4..] : line.TrimStart());
            Assert.That(method.Lines, Is.EqualTo(there), method.Place);
            Assert.That(method.Lines[^1].Trim(), Is.EqualTo("}").Or.EndsWith(";"), method.Place);
        }
    }

    [Test]
    public void An_op_of_the_users_own_has_none()
    {
        Assert.That(SourceLines.OfOperation(nameof(Ops.MatMul))!.Lines[0], Does.Contain("Tensor MatMul("));
        Assert.That(SourceLines.OfOperation("MyMatMul"), Is.Null);
    }
}
