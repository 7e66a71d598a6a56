using System.Reflection;
using System.Runtime.CompilerServices;
using ILGPU.Backends;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.OpenCL;
using ILGPU.Backends.PTX;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace LoraScratch.Kernels.Gpu;

/// <summary>
/// Compiles every kernel of this assembly without a device. Kernels are found by their interface,
/// and the arguments of generic ones (formulas, tiles, ways of reading) by their constraints, so
/// that no kernel can be forgotten.
/// </summary>
internal static class KernelCompiler
{
    private const BindingFlags Bodies = BindingFlags.Static | BindingFlags.NonPublic;

    private static readonly Type[] Structs =
        [.. new[] { typeof(GpuKernels).Assembly, typeof(IBackend).Assembly }.SelectMany(assembly => assembly.GetTypes())
            .Where(type => type.IsValueType)];

    /// <summary>The text of every kernel.</summary>
    /// <param name="kind">PTX for sm_80, or OpenCL C 2.0.</param>
    /// <param name="optimization">ILGPU's part of the optimisation.</param>
    public static IReadOnlyList<KernelText> Compile(GpuKind kind, GpuOptimization optimization)
    {
        RuntimeHelpers.RunClassConstructor(typeof(GpuKernels).TypeHandle);          // tells ILGPU what formulas call
        using var context = GpuKernels.NewContext(optimization);
        using Backend backend = kind == GpuKind.Cuda
            ? new PTXBackend(context, CudaArchitecture.SM_80, CudaInstructionSet.ISA_70, null!)
            : new CLBackend(context, new CLCapabilityContext(false, false, true, false, false), CLDeviceVendor.Other,
                new CLCVersion(2, 0));
        return [.. Kernels().Select(kernel => new KernelText(Name(kernel), Compile(backend, kernel)))];
    }

    private static string Compile(Backend backend, Type kernel)
    {
        var isElementKernel = kernel.IsAssignableTo(typeof(IElementKernel));
        var body = typeof(GpuKernels).GetMethod(isElementKernel
            ? nameof(GpuKernels.ElementBody) : nameof(GpuKernels.GroupBody), Bodies)!.MakeGenericMethod(kernel);
        var entry = isElementKernel ? EntryPointDescription.FromImplicitlyGroupedKernel(body)
            : EntryPointDescription.FromExplicitlyGroupedKernel(body);
        return backend.Compile(entry, default) switch
        {
            PTXCompiledKernel compiled => compiled.PTXAssembly,
            CLCompiledKernel compiled => OpenCLText.WithLocalFences(compiled.Source),
            var compiled => throw new NotSupportedException($"{compiled.GetType()} has no text."),
        };
    }

    private static IEnumerable<Type> Kernels() =>
        Structs.Where(type => type.IsAssignableTo(typeof(IElementKernel)) || type.IsAssignableTo(typeof(IGroupKernel)))
        .SelectMany(Closed);

    /// <summary>
    /// A type, or a generic type with arguments: every pair of the first two, and each with one of
    /// the third.
    /// </summary>
    private static IEnumerable<Type> Closed(Type type)
    {
        if (!type.IsGenericTypeDefinition)
        {
            return [type];
        }
        var choices = type.GetGenericArguments().Select(Choices).ToArray();
        var second = choices.Length > 1 ? choices[1].Length : 1;
        return from i in Enumerable.Range(0, choices[0].Length)
               from j in Enumerable.Range(0, second)
               select type.MakeGenericType(
                   [.. choices.Select((of, parameter) =>
                       of[(parameter == 0 ? i : parameter == 1 ? j : i + j) % of.Length])]);
    }

    /// <summary>
    /// Every struct, open generic ones closed, that has the interfaces a parameter asks for.
    /// </summary>
    private static Type[] Choices(Type parameter)
    {
        var interfaces = parameter.GetGenericParameterConstraints().Where(constraint => constraint.IsInterface)
            .ToArray();
        var choices = Structs.Where(type => interfaces.All(type.IsAssignableTo)).SelectMany(Closed).ToArray();
        return interfaces.Length > 0 && choices.Length > 0
            ? choices
            : throw new NotSupportedException($"Nothing is known that fits {parameter} of {parameter.DeclaringType}.");
    }

    /// <summary>Its type, such as "MapKernel&lt;Gelu&gt;".</summary>
    public static string Name(Type type)
    {
        var name = type.IsGenericType
            ? $"{type.Name[..type.Name.IndexOf('`')]}<{string.Join(", ", type.GetGenericArguments().Select(Name))}>"
            : type.Name;
        return type.DeclaringType is { } outer && outer != typeof(GpuKernels) ? $"{outer.Name}.{name}" : name;
    }
}
