using LoraScratch.Engine;

namespace LoraScratch.Lora.Encoders;

/// <summary>
/// The functions between two layers, by the names that config.json has for them.
/// </summary>
internal static class Activations
{
    private static readonly (string Name, Func<Tensor, Tensor> Function)[] Table =
    [
        ("gelu", Ops.Gelu),
        ("gelu_new", Ops.GeluTanh),
        ("gelu_pytorch_tanh", Ops.GeluTanh),
        ("relu", Ops.Relu),
    ];

    /// <summary>The names that a config may give.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Table.Select(entry => entry.Name)];

    /// <summary>Applies the function of a name; a head's may be tanh as well.</summary>
    /// <param name="name">One of <see cref="Names"/>, or tanh.</param>
    /// <param name="x">Any shape.</param>
    /// <returns>The same shape.</returns>
    public static Tensor Apply(string name, Tensor x) =>
        name == "tanh" ? x.Tanh() : Table.First(entry => entry.Name == name).Function(x);
}
