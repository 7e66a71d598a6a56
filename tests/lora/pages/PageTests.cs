using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using LoraScratch.Lora.Pages;

namespace LoraScratch.Tests.Pages;

/// <summary>Pages as files; how they behave is tested in a browser, in tests/browser.</summary>
public sealed partial class PageTests
{
    private const string Hostile = "</script><script>alert(1)</script><b title=\"'\">&amp;";

    [Test]
    public void A_text_never_becomes_markup()
    {
        var html = Html.Of($"<p title=\"{Hostile}\">{Hostile}{Html.Of($"<i>{Hostile}</i>")}</p>").Text;
        Assert.That(html, Does.Not.Contain("<script").And.Not.Contain("<b").And.Contain("<i>&lt;/script&gt;"));
        Assert.That(new PageMatrix(1, 1, [1]).Show(Hostile, _ => Hostile).Text, Does.Not.Contain("<script"));
    }

    [Test]
    public void The_policy_allows_the_pages_own_style_and_script_alone()
    {
        var page = new HtmlPage(Hostile, ["p { color: red }"], ["const one = 1;"]).Build(Html.Of($"<p>{Hostile}</p>"),
            new { text = Hostile });
        var policy = Attribute().Match(page).Groups[1].Value;
        Assert.That(policy, Does.StartWith("default-src 'none'; ").And.Not.Contain("unsafe"));
        foreach (var tag in (string[])["style", "script"])
        {
            var contents = Regex.Match(page, $"<{tag}>(.*?)</{tag}>", RegexOptions.Singleline).Groups[1].Value;
            var hash = Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(contents)));
            Assert.That(policy, Does.Contain($"{tag}-src 'sha256-{hash}'"));
        }
        Assert.That(Regex.Count(page, "</script>"), Is.EqualTo(2), "the data's element and the script's");
    }

    [GeneratedRegex("http-equiv=\"Content-Security-Policy\" content=\"([^\"]*)\"")]
    private static partial Regex Attribute();
}
