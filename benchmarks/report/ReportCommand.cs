using LoraScratch.Engine;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Lora.Pages;

namespace LoraScratch.Benchmarks.Report;

/// <summary>
/// Answers what people ask about LoRA's cost on this machine's processor: figure, limit and ratio,
/// on the terminal and as a page.
/// </summary>
internal static class ReportCommand
{
    private const string DefaultPage = "benchmarks-report.html";

    public static int Run(string[] args)
    {
        var options = new Arguments(args);
        var threads = options.Has("threads") ? options.Number("threads", 2) : 0;
        var path = options.Text("html", DefaultPage);
        options.RequireAllUsed();
        using var backend = new CpuBackend(threads);
        Device.Default = backend;
        threads = backend.Workers.Threads;
        var machine = new Machine(backend);
        (string, string)[] facts = [.. machine.Facts()];
        Console.Write(ReportText.Of(facts));
        var questions = new List<Question>();
        foreach (var ask in new Func<Question>[]
        {
            () => LoRAQuestion.Ask(backend),
            () => StepQuestion.Ask(machine, threads),
            () => RooflineQuestion.Ask(machine, backend),
            () => QuantizedQuestion.Ask(backend),
            () => GrowthQuestion.Ask(threads),
        })
        {
            questions.Add(ask());
            Console.Write(ReportText.Of(questions[^1]));
        }
        HtmlPage.Write(path, ReportPage.Build(facts, questions));
        Console.WriteLine($"\nwrote {path}");
        return 0;
    }
}
