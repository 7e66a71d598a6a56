namespace LoraScratch.Tests;

/// <summary>
/// Where an assembly's file lies, which tests start or load once more. In a program of one file
/// there is none: there the rows of a GPU alone run.
/// </summary>
internal static class AssemblyFile
{
    /// <summary>The path of the assembly that has a type.</summary>
    public static string Of(Type type) =>
        Path.Combine(AppContext.BaseDirectory, $"{type.Assembly.GetName().Name}.dll");
}
