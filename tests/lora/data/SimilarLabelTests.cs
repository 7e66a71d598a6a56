using LoraScratch.Lora.Data;

namespace LoraScratch.Tests.Text;

/// <summary>Names of classes that may mean one class.</summary>
public class SimilarLabelTests
{
    [TestCase("WhiteSpace", "log in", "log  in ")]
    [TestCase("WhiteSpace", "log-in", "log in")]
    [TestCase("WhiteSpace", "log_in", "log in")]
    [TestCase("LetterCase", "Billing", "billing")]
    [TestCase("LetterCase", "Log-In", "log in")]
    [TestCase("LetterCase", "ÄRGER", "Ärger")]
    [TestCase("UnicodeForm", "Ärger", "A\u0308rger")]
    [TestCase("UnicodeForm", "file", "\uFB01le")]
    [TestCase("UnicodeForm", "ärger", "A\u0308rger")]
    [TestCase("Plural", "refund", "Refunds")]
    [TestCase("Plural", "crash", "crashes")]
    [TestCase("OneLetter", "complaint", "complaimt")]
    [TestCase("OneLetter", "technical", "techniccal")]
    [TestCase("OneLetter", "Delivery", "Deliverry")]
    public void Are_told_with_how_they_differ(string likeness, string one, string other)
    {
        foreach (var names in (string[][])[[one, other], [other, one], ["0", one, "something else", other]])
        {
            var found = SimilarLabels.Find(names).Single();
            Assert.That(found.Likeness.ToString(), Is.EqualTo(likeness));
            Assert.That(found.Classes.Select(label => names[label]), Is.EquivalentTo(new[] { one, other }));
            Assert.That(found.Classes, Is.Ordered);
        }
    }

    [TestCase("0", "00", "0.0", "-0")]
    [TestCase("C", "C#", "C++", "c--x")]
    [TestCase("bug", "bugs", "bag")]
    [TestCase("category 1", "category 2", "category 12")]
    [TestCase("positive", "negative", "neutral")]
    [TestCase("shipping", "skipping card")]
    [TestCase("billing", "filling")]
    [TestCase("in", "out", "sin")]
    public void Others_are_not(params string[] names) => Assert.That(SimilarLabels.Find(names), Is.Empty);

    [Test]
    public void Several_of_one_form_are_one_group()
    {
        var found = SimilarLabels.Find(["Refund", "x", "refund", "REFUND ", "refunds", "y"]);
        Assert.That(found.Select(similar => (string.Join(',', similar.Classes), similar.Likeness)), Is.EqualTo(new[]
        {
            ("0,2,3", LabelLikeness.LetterCase), ("0,4", LabelLikeness.Plural),
        }));
    }
}
