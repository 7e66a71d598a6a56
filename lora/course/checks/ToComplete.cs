using System.Runtime.CompilerServices;

namespace LoraScratch.Course;

/// <summary>
/// Stands where an exercise is to be completed: replace the whole throw by your own code.
/// </summary>
/// <param name="what">What belongs there.</param>
/// <param name="file">Found by the compiler.</param>
/// <param name="line">Found by the compiler.</param>
/// <param name="member">Found by the compiler.</param>
public sealed class ToComplete(string what, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0,
    [CallerMemberName] string member = "")
    : Exception($"to complete: {what} ({Path.GetFileName(file)}, line {line}, {member})")
{
    /// <summary>None: the message says where.</summary>
    public override string StackTrace => "";
}
