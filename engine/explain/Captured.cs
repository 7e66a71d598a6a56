using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace LoraScratch.Engine;

/// <summary>
/// What a gradient function has in its hands besides the tensors that it declares: the op's factor,
/// a dropout's probability, a packed weight. The compiler keeps captured variables as fields of an
/// object, under their names; so no op has to say twice what it uses.
/// </summary>
internal static class Captured
{
    private const int Nesting = 4;      // scopes within scopes, each an object of its own

    /// <summary>Numbers and packed weights.</summary>
    public static IReadOnlyList<ExplainedConstant> Constants(Delegate function) =>
        [.. Fields(function.Target, Nesting).SelectMany(field => Constant(field.Name, field.Value))
            .DistinctBy(constant => constant.Name)];

    /// <summary>The name of the variable that holds a tensor; null where none does.</summary>
    public static string? NameOf(Delegate function, Tensor tensor) =>
        Fields(function.Target, Nesting).FirstOrDefault(field => ReferenceEquals(field.Value, tensor)).Name;

    private static IEnumerable<ExplainedConstant> Constant(string name, object? value) => value switch
    {
        float or double => [new(name, Convert.ToString(value, CultureInfo.InvariantCulture)!,
            Convert.ToDouble(value, CultureInfo.InvariantCulture), 0)],
        int or long or ulong => [new(name, Convert.ToString(value, CultureInfo.InvariantCulture)!, null, 0)],
        IWeight weight and not Tensor => [new(name, $"{weight.Form} {weight.Shape}", null, weight.Bytes)],
        Kernels.AttentionShape shape => [new("heads", $"{shape.Heads}", null, 0),
            new("probability", shape.Dropout.ToString(CultureInfo.InvariantCulture), null, 0)],
        _ => [],
    };

    private static IEnumerable<(string Name, object? Value)> Fields(object? closure, int depth)
    {
        if (closure is null || depth == 0 || !closure.GetType().IsDefined(typeof(CompilerGeneratedAttribute)))
        {
            yield break;
        }
        foreach (var field in closure.GetType().GetFields(BindingFlags.Instance | BindingFlags.Public))
        {
            var value = field.GetValue(closure);
            if (field.Name.StartsWith("CS$", StringComparison.Ordinal))
            {
                foreach (var outer in Fields(value, depth - 1))
                {
                    yield return outer;
                }
            }
            else
            {
                yield return (field.Name, value);
            }
        }
    }
}
