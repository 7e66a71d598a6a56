using System.Diagnostics;

namespace LoraScratch.Engine;

/// <summary>
/// Tells whoever listens what is going on: an <see cref="ActivitySource"/> named LoraScratch, which
/// OpenTelemetry and the like take as it is. Without a listener a stage costs nothing.
/// </summary>
internal static class Stages
{
    /// <summary>What a listener asks for.</summary>
    public const string SourceName = "LoraScratch";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>Begins a stage; it ends where the result is disposed.</summary>
    /// <param name="name">Such as "read weights".</param>
    /// <returns>Null where nobody listens.</returns>
    public static Activity? Begin(string name) => Source.StartActivity(name);
}
