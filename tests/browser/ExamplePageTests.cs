using System.Globalization;
using System.Text.Json;
using Deque.AxeCore.Playwright;
using LoraScratch.Lora.Explaining;
using LoraScratch.Lora.Pages;
using Microsoft.Playwright;

namespace LoraScratch.BrowserTests;

/// <summary>The built-in example's page as a reader has it.</summary>
public sealed class ExamplePageTests
{
    /// <summary>
    /// The engine and the page take the learning rate in float32, C#'s reference takes 0.05: from
    /// the first step on they differ by less than this.
    /// </summary>
    private const double RateRounding = 1e-6;

    private static readonly int[] Widths = [360, 768, 1280];

    [Test]
    public void It_is_smaller_than_400_kilobytes() =>
        Assert.That(new FileInfo(Browser.ExamplePath).Length, Is.LessThanOrEqualTo(400_000));

    [Test]
    public async Task It_opens_without_a_message_or_a_request_and_all_numbers_agree()
    {
        await using var page = await Browser.Open(Browser.ExamplePath);
        var counted = Pages.Example.Data.Steps.Sum(step => step.Engine.A.Values.Length + step.Engine.B.Values.Length
            + step.After!.A.Values.Length + step.After.B.Values.Length
            + step.Batches.Sum(batch => batch.Engine.H.Values.Length + batch.Engine.Y.Values.Length
                + batch.Engine.Loss!.Values.Length + batch.OutputGradient.Values.Length
                + batch.Engine.InputGradient!.Values.Length));
        Assert.That(await page.IsGood(), await page.Badge.InnerTextAsync());
        Assert.That(await page.Badge.GetAttributeAsync("data-agree"), Is.EqualTo($"{counted}"));
        Assert.That(await page.Badge.GetAttributeAsync("data-of"), Is.EqualTo($"{counted}"));
        Assert.That(page.Complaints, Is.Empty);
    }

    /// <summary>The badge could be green because it compares something with itself.</summary>
    [Test]
    public async Task What_it_compares_are_the_engines_numbers_and_its_own_are_close_but_not_equal()
    {
        await using var page = await Browser.Open(Browser.ExamplePath);
        var found = await Comparisons(page);
        var step = Pages.Example.Data.Steps[0];
        Assert.That(found["gA-0"].Engine, Is.EqualTo(step.Engine.A.Values), "the engine's bits");
        Assert.That(found["Y-0-1"].Engine, Is.EqualTo(step.Batches[1].Engine.Y.Values));
        var exact = Pages.Run.Replay(LoRAFormulas.Right);
        for (var t = 0; t < exact.Count; t++)
        {
            Assert.That(found[$"gA-{t}"].Page,
                Is.EqualTo(exact[t].Gradients.A.Values).Within(t == 0 ? 1e-12 : RateRounding),
                "dA of the page and of C#'s float64 reference");
            Assert.That(found[$"A-{t}"].Page, Is.EqualTo(exact[t].A).Within(RateRounding));
            Assert.That(found[$"B-{t}"].Page, Is.EqualTo(exact[t].B).Within(RateRounding));
        }
        Assert.That(found["gA-0"].Page, Is.Not.EqualTo(found["gA-0"].Engine), "float64 beside float32");
    }

    [Test]
    public async Task A_wrong_number_of_the_engine_turns_it_red_and_is_linked()
    {
        var data = Pages.Example.Data;
        var values = data.Steps[0].Engine.A.Values.ToArray();
        values[3] += 1e-4f * MathF.Abs(values[3]);
        var engine = data.Steps[0].Engine with { A = data.Steps[0].Engine.A with { Values = values } };
        var wrong = new LayerPage(Pages.Run.EngineSteps[0].Tapes[0], data with
        {
            Steps = [data.Steps[0] with { Engine = engine }, .. data.Steps.Skip(1)],
        });
        await using var page = await Browser.Open(Browser.Write("wrong.html", wrong.Build()));
        Assert.That(await page.IsGood(), Is.False);
        await page.Badge.Locator("a").ClickAsync();
        Assert.That(page.Page.Url, Does.Contain("of=gA-0&i=1&j=1"));
    }

    /// <summary>Each computes what its C# form does, and is noticed.</summary>
    [Test]
    public async Task Every_mutant_turns_the_badge_red_and_computes_what_it_computes_in_Csharp()
    {
        await using var page = await Browser.Open(Browser.ExamplePath);
        foreach (var mutant in FormulaMutant.All)
        {
            await page.Page.Locator($"[data-mutant='{mutant.Id}']").ClickAsync();
            Assert.That(await page.IsGood(), Is.False, mutant.Title);
            Assert.That(await page.Page.Locator("#break-report").InnerTextAsync(), Does.Contain("notices:"),
                mutant.Title);
            var found = await Comparisons(page);
            var replay = Pages.Run.Replay(mutant.Apply(LoRAFormulas.Right));
            for (var t = 0; t < replay.Count; t++)
            {
                Assert.That(found[$"gA-{t}"].Page,
                    Is.EqualTo(replay[t].Gradients.A.Values).Within(RateRounding), mutant.Title);
                Assert.That(found[$"gB-{t}"].Page,
                    Is.EqualTo(replay[t].Gradients.B.Values).Within(RateRounding), mutant.Title);
                Assert.That(found[$"dX-{t}-0"].Page.Concat(found[$"dX-{t}-1"].Page),
                    Is.EqualTo(replay[t].Gradients.X.Values).Within(RateRounding), mutant.Title);
                Assert.That(found[$"A-{t}"].Page, Is.EqualTo(replay[t].A).Within(RateRounding), mutant.Title);
            }
        }
        await page.Page.Locator("[data-mutant='']").ClickAsync();
        Assert.That(await page.IsGood(), "as it should be again");
        Assert.That(page.Complaints, Is.Empty);
    }

    [TestCase(ColorScheme.Light, "")]
    [TestCase(ColorScheme.Dark, "#break=scale-forgotten&of=dX-0-1&i=1&j=2&node=Y&play-steps=40&solved=0.1")]
    public async Task Axe_finds_nothing(ColorScheme scheme, string fragment)
    {
        await using var page = await Browser.Open(Browser.ExamplePath, fragment, scheme: scheme);
        // one of each kind: the other tables are made alike
        await page.Page.EvaluateAsync("""
            () => document
                .querySelectorAll('#proof, .panel details, #derive-0 ~ details, #numbers details:first-of-type')
                .forEach(each => each.open = true)
            """);
        var result = await page.Page.RunAxe(Browser.Violations);
        Assert.That(result.Violations.Select(violation => $"{violation.Id}: {violation.Help} "
            + string.Join(" | ", violation.Nodes.Take(3).Select(node => node.Html))), Is.Empty);
    }

    [Test]
    public async Task It_is_used_by_keyboard_alone()
    {
        await using var page = await Browser.Open(Browser.ExamplePath);
        var keyboard = page.Page.Keyboard;
        await TabTo(page, "a.skip");
        await keyboard.PressAsync("Enter");
        await TabTo(page, ".graph.wide a[data-node='Y']");
        await keyboard.PressAsync("Enter");
        Assert.That(await page.Page.Locator("#node-Y").IsVisibleAsync());
        Assert.That(await page.Page.Locator("#node-A").IsVisibleAsync(), Is.False, "one panel at a time");

        await TabTo(page, "#entry-table button.cell[data-i='0'][data-j='0']");
        await keyboard.PressAsync("ArrowDown");
        await keyboard.PressAsync("ArrowRight");
        await keyboard.PressAsync("Enter");
        Assert.That(await page.Page.Locator("#entry-sum").InnerTextAsync(), Does.Contain("dA[1, 1]"));
        Assert.That(await Focused(page), Does.Contain("data-i=\"1\""), "the focus stays where it was");

        await TabTo(page, "#ways-h");
        await keyboard.PressAsync("ArrowLeft");
        Assert.That(await page.Page.Locator("#ways-h-value").InnerTextAsync(), Does.Contain("3.2e−6"));

        await TabTo(page, "[data-mutant='overwritten']");
        await keyboard.PressAsync("Enter");
        Assert.That(await page.IsGood(), Is.False);

        await TabTo(page, "#play-step");
        await keyboard.PressAsync("Space");
        Assert.That(await page.Page.Locator("#play-state").InnerTextAsync(), Does.StartWith("step 1"));

        await TabTo(page, "#derive-0");
        await keyboard.TypeAsync("dY * W");
        await keyboard.PressAsync("Enter");
        Assert.That(await page.Page.Locator("#derive-0-verdict").InnerTextAsync(), Does.Contain("✓ Right"));
    }

    [Test]
    public async Task Without_a_script_all_numbers_are_there()
    {
        await using var page = await Browser.Open(Browser.ExamplePath, hasScript: false);
        var text = await page.Page.Locator("body").EvaluateAsync<string>("body => body.textContent");
        foreach (var step in Pages.Example.Data.Steps)
        {
            foreach (var batch in step.Batches)
            {
                RequireAll(text, batch.X, batch.Engine.H, batch.Engine.Y, batch.OutputGradient,
                    batch.Engine.InputGradient!);
            }
            RequireAll(text, step.Engine.A, step.Engine.B, step.After!.A, step.After.B);
        }
        Assert.That(await page.Page.Locator("section.panel:visible").CountAsync(),
            Is.EqualTo(await page.Page.Locator("section.panel").CountAsync()), "every panel is open");
        Assert.That(await page.Page.Locator(".needs-script:visible").CountAsync(), Is.Zero);
        Assert.That(await page.Badge.InnerTextAsync(), Does.Contain("Not recomputed"));
    }

    [Test]
    public async Task Nothing_is_wider_than_the_screen([ValueSource(nameof(Widths))] int width, [Values] bool isDark)
    {
        await using var page = await Browser.Open(Browser.ExamplePath, width: width,
            scheme: isDark ? ColorScheme.Dark : ColorScheme.Light);
        var (inner, whole) = (await page.Page.EvaluateAsync<int>("innerWidth"),
            await page.Page.EvaluateAsync<int>("document.documentElement.scrollWidth"));
        Assert.That(whole, Is.LessThanOrEqualTo(inner));
        // to be looked at: set the variable to a folder
        if (Environment.GetEnvironmentVariable("LORASCRATCH_SCREENSHOTS") is { Length: > 0 } folder)
        {
            await page.Page.ScreenshotAsync(new PageScreenshotOptions
            {
                Path = Path.Combine(folder, $"explain-{width}-{(isDark ? "dark" : "light")}.png"),
                FullPage = true,
            });
        }
    }

    [Test]
    public async Task A_link_is_a_session()
    {
        await using var page = await Browser.Open(Browser.ExamplePath);
        await page.Page.Locator(".graph.wide a[data-node='H']").ClickAsync();
        await page.Page.Locator("#entry-choice select").SelectOptionAsync("gB-0");
        await page.Page.Locator("#play-run").ClickAsync();
        await page.Page.Locator("[data-mutant='H-detached']").ClickAsync();
        var (sum, play) = (await page.Page.Locator("#entry-sum").InnerTextAsync(),
            await page.Page.Locator("#play-state").InnerTextAsync());
        var address = page.Page.Url;
        await using var again = await Browser.Open(Browser.ExamplePath, address[address.IndexOf('#')..]);
        Assert.That(await again.Page.Locator("#node-H").IsVisibleAsync());
        Assert.That(await again.Page.Locator("#entry-sum").InnerTextAsync(), Is.EqualTo(sum));
        Assert.That(await again.Page.Locator("#play-state").InnerTextAsync(), Is.EqualTo(play));
        Assert.That(await again.IsGood(), Is.False);
    }

    [Test]
    public async Task Every_puzzle_takes_its_solution_and_no_other_and_never_runs_what_is_typed()
    {
        await using var page = await Browser.Open(Browser.ExamplePath);
        var forms = await page.Page.Locator("#derive-puzzles form").AllAsync();
        Assert.That(forms, Has.Count.EqualTo(8));
        foreach (var form in forms)
        {
            var solution = await form.Locator("details p.mono").TextContentAsync();
            foreach (var (typed, verdict) in ((string, string)[])
                [($"2 * ({solution})", "✗"), ("alert(1)", "✗"), ("(", "✗"), ("", "✗"), (solution!, "✓")])
            {
                await form.Locator("input").FillAsync(typed);
                await form.Locator("button").ClickAsync();
                Assert.That(await form.Locator("[aria-live]").InnerTextAsync(), Does.StartWith(verdict), typed);
            }
        }
        Assert.That(await page.Page.Locator("#derive-score").InnerTextAsync(), Does.StartWith("8 of 8"));
        Assert.That(page.Complaints, Is.Empty);
    }

    [Test]
    public async Task Every_question_has_one_answer_that_the_experiment_gives()
    {
        await using var page = await Browser.Open(Browser.ExamplePath);
        foreach (var question in await page.Page.Locator("#play-questions fieldset").AllAsync())
        {
            var right = 0;
            var buttons = await question.Locator("button").AllAsync();
            foreach (var button in buttons.Take(buttons.Count - 1))     // the last one sets the experiment up
            {
                await button.ClickAsync();
                right += (await question.Locator("[aria-live]").InnerTextAsync()).StartsWith('✓') ? 1 : 0;
            }
            Assert.That(right, Is.EqualTo(1), await question.InnerTextAsync());
        }
    }

    [Test]
    public async Task On_paper_everything_is_open_and_no_control_is_left()
    {
        await using var page = await Browser.Open(Browser.ExamplePath);
        await page.Page.EmulateMediaAsync(new PageEmulateMediaOptions { Media = Media.Print });
        await page.Page.EvaluateAsync("() => dispatchEvent(new Event('beforeprint'))");
        Assert.That(await page.Page.Locator("section.panel:visible").CountAsync(),
            Is.EqualTo(await page.Page.Locator("section.panel").CountAsync()));
        Assert.That(await page.Page.Locator("select:visible, input:visible").CountAsync(), Is.Zero);
        Assert.That(await page.Page.PdfAsync(), Has.Length.GreaterThan(10_000));
    }

    private sealed record Comparison(float[] Engine, double[] Page);

    private static async Task<Dictionary<string, Comparison>> Comparisons(OpenPage page)
    {
        var text = await page.Page.EvaluateAsync<string>("""
            () => JSON.stringify(Object.fromEntries(explained.comparisons().map(each =>
                [each.id, { engine: [...each.engine.data], page: [...each.page.value.data] }])))
            """);
        return JsonSerializer.Deserialize<Dictionary<string, Comparison>>(text, JsonSerializerOptions.Web)!;
    }

    private static void RequireAll(string text, params PageMatrix[] matrices)
    {
        foreach (var value in matrices.SelectMany(matrix => matrix.Values))
        {
            Assert.That(text, Does.Contain(PageMatrix.Number(value)),
                value.ToString("R", CultureInfo.InvariantCulture));
        }
    }

    private static async Task TabTo(OpenPage page, string selector)
    {
        for (var presses = 0; presses < 150; presses++)
        {
            await page.Page.Keyboard.PressAsync("Tab");
            if (await page.Page.EvaluateAsync<bool>("selector => document.activeElement.matches(selector)", selector))
            {
                return;
            }
        }
        Assert.Fail($"Tab does not come to {selector}; the focus is on {await Focused(page)}");
    }

    private static Task<string> Focused(OpenPage page) =>
        page.Page.EvaluateAsync<string>("() => document.activeElement.outerHTML.slice(0, 200)");
}
