using Deque.AxeCore.Playwright;
using LoraScratch.Lora.Explaining;

namespace LoraScratch.BrowserTests;

/// <summary>Pages of layers as real models have them.</summary>
public sealed class LayerPageTests
{
    [TestCase(false)]
    [TestCase(true)]
    public async Task A_layer_of_a_models_size_proves_itself_within_3_megabytes(bool isQuantized)
    {
        var layer = isQuantized ? Pages.QuantizedLayer(40, 128, 128, 32) : Pages.Layer(64, 768, 768);
        var path = Browser.Write($"layer-{isQuantized}.html", layer.Build());
        Assert.That(new FileInfo(path).Length, Is.LessThanOrEqualTo(LayerPage.MaxBytes));
        await using var page = await Browser.Open(path, width: 768);
        Assert.That(await page.IsGood(), await page.Badge.InnerTextAsync());
        Assert.That(await page.Page.Locator("#entry-sum").InnerTextAsync(), Does.Contain("dA[0, 0]"));
        Assert.That(await page.Page.Locator("#ways-table").InnerTextAsync(), Does.Contain("closed form"));
        var proof = await page.Page.Locator("#proof-table").EvaluateAsync<string>("each => each.textContent");
        Assert.That(proof, Does.Contain("dX, 64 largest, by differences").And.Contain("dX along three directions"));
        Assert.That(await page.Page.Locator("#merging").CountAsync(), Is.EqualTo(isQuantized ? 1 : 0));
        if (isQuantized)
        {
            Assert.That(await page.Page.Locator("#merging").InnerTextAsync(), Does.Contain("the same layer"));
        }
        Assert.That(page.Complaints, Is.Empty);
    }

    [Test]
    public async Task Axe_finds_nothing()
    {
        await using var page = await Browser.Open(Browser.Write("quantized.html",
            Pages.QuantizedLayer(12, 32, 32, 16).Build()), width: 360);
        var axe = await page.Page.RunAxe(Browser.Violations);
        Assert.That(axe.Violations.Select(violation => $"{violation.Id}: {violation.Nodes[0].Html}"), Is.Empty);
    }

    /// <summary>Tokens come from users' texts.</summary>
    [Test]
    public async Task Texts_stay_texts()
    {
        const string hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp; <!--";
        var path = Browser.Write("hostile.html", Pages.Layer(6, 12, 10, hostile).Build());
        await using var page = await Browser.Open(path);
        Assert.That(await page.IsGood(), await page.Badge.InnerTextAsync());
        Assert.That(page.Complaints, Is.Empty);
        Assert.That(await page.Page.Locator("img").CountAsync(), Is.Zero);
        Assert.That(await page.Page.Locator("#entry-sum").InnerTextAsync(), Does.Contain($"{hostile} 0"));
        Assert.That(await page.Page.Locator("#numbers").EvaluateAsync<string>("each => each.textContent"),
            Does.Contain($"{hostile} 5"));
    }
}
