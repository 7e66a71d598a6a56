using LoraScratch.Kernels;

namespace LoraScratch.Tests;

/// <summary>
/// One way to run the kernels: a device with a code path and a number of threads, and its name in
/// the names of tests.
/// </summary>
/// <param name="name">Such as "CPU, AVX2, 2 threads".</param>
/// <param name="create">Makes the backend.</param>
/// <param name="category">What its tests are selected by; null: by nothing.</param>
public sealed class BackendCase(string name, Func<IBackend> create, string? category = null)
{
    private readonly Lazy<IBackend> shared = new(create);

    /// <summary>See <see cref="Categories"/>.</summary>
    public string? Category => category;

    /// <summary>Whether it is a simulator, thousands of times slower than the CPU.</summary>
    public bool IsSimulated => category == Categories.Simulator;

    /// <summary>
    /// The backend, made on first use and kept for all tests; the test is ignored, with the reason,
    /// where this machine cannot run it.
    /// </summary>
    public IBackend Backend => OrIgnore(() => shared.Value);

    /// <summary>A backend of the caller's own; or the test is ignored as well.</summary>
    public IBackend Create() => OrIgnore(create);

    public override string ToString() => name;

    private static IBackend OrIgnore(Func<IBackend> backend)
    {
        try
        {
            return backend();
        }
        catch (PlatformNotSupportedException e)
        {
            Assert.Ignore(e.Message);
            throw;
        }
    }
}
