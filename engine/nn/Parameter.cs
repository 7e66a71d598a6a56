using System.Runtime.InteropServices;
using System.Security.Cryptography;
using LoraScratch.Kernels;

namespace LoraScratch.Engine.NN;

/// <summary>
/// A leaf tensor that a module learns: it has a name within its module and can be frozen.
/// </summary>
public sealed class Parameter : Tensor, IWeight
{
    /// <summary>A parameter with the given initial values, trainable.</summary>
    /// <param name="name">Name within the module: "weight".</param>
    /// <param name="values">Row-major.</param>
    /// <param name="shape">Sizes.</param>
    /// <param name="backend">Where to put it.</param>
    public Parameter(string name, ReadOnlySpan<float> values, Shape shape, IBackend? backend = null)
        : base(shape, new Storage(backend ?? Device.Default, shape.Count), requiresGradient: true)
    {
        Name = name;
        Set(values);
    }

    private Parameter(string name, float value, Shape shape, IBackend? backend)
        : base(shape, new Storage(backend ?? Device.Default, shape.Count, value), requiresGradient: true) =>
        Name = name;

    /// <summary>
    /// A parameter filled with one value, trainable. The device fills it, when it is first read or
    /// set: the host needs no copy, and one that is never used takes no memory.
    /// </summary>
    public static Parameter Filled(string name, float value, Shape shape, IBackend? backend = null) =>
        new(name, value, shape, backend);

    /// <summary>Name within the module.</summary>
    public string Name { get; }

    /// <summary>
    /// True: Backward computes a gradient and an optimizer may change it. False: frozen, and costs
    /// no backward work.
    /// </summary>
    public bool IsTrainable
    {
        get => RequiresGradient;
        set
        {
            RequiresGradient = value;
            if (!value)
            {
                ZeroGradient();
            }
        }
    }

    long IWeight.Bytes => sizeof(float) * (long)Shape.Count;

    bool IWeight.IsQuantized => false;

    string IWeight.Form => "float32";

    void IWeight.AppendTo(IncrementalHash hash) => hash.AppendData(MemoryMarshal.AsBytes<float>(ToArray()));

    internal override string? OwnName => Name;

    internal override string Description => $"parameter {Name} {Shape}";
}
