namespace LoraScratch.Tests;

/// <summary>
/// What tests are selected by: <c>dotnet test -c Release --filter Category=Fast</c>. See README.md.
/// </summary>
internal static class Categories
{
    /// <summary>Every op and its gradients on this machine's CPU: the inner loop.</summary>
    public const string Fast = "Fast";

    /// <summary>Gradients against difference quotients of a double reference.</summary>
    public const string Gradients = "Gradients";

    /// <summary>The GPU's kernels on ILGPU's simulator.</summary>
    public const string Simulator = "Simulator";

    /// <summary>The kernels on this machine's own GPUs, where it has some.</summary>
    public const string Gpu = "Gpu";

    /// <summary>The packages, and an application made of them alone.</summary>
    public const string Packages = "Packages";

    /// <summary>The programs of one file in lora/samples.</summary>
    public const string Samples = "Samples";

    /// <summary>The program as a process: signals, kills, full disks, two writers.</summary>
    public const string Processes = "Processes";

    /// <summary>The test with a category; null: without.</summary>
    public static TestCaseData In(this TestCaseData test, string? category) =>
        category is null ? test : test.SetCategory(category);
}
