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
/// Compiles every kernel without a device. Kernels are found by their interface, and the arguments
/// of generic ones (formulas, tiles, ways of reading) by their constraints, so that no kernel can
/// be forgotten.
/// </summary>
internal static class KernelCompiler
{
    private const BindingFlags Bodies = BindingFlags.Static | BindingFlags.NonPublic;
    private const BindingFlags Fields = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;

    private static readonly Type[] Structs =
        [.. new[] { typeof(GpuKernels).Assembly, typeof(IBackend).Assembly }.SelectMany(assembly => assembly.GetTypes())
            .Where(type => type.IsValueType && !HasPointer(type))];

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
        var isThreadKernel = kernel.IsAssignableTo(typeof(IThreadKernel));
        var body = typeof(GpuKernels).GetMethod(isThreadKernel
            ? nameof(GpuKernels.ThreadBody) : nameof(GpuKernels.GroupBody), Bodies)!.MakeGenericMethod(kernel);
        var entry = isThreadKernel ? EntryPointDescription.FromImplicitlyGroupedKernel(body)
            : EntryPointDescription.FromExplicitlyGroupedKernel(body);
        return OpenCLText.WithLocalFences(TextOf(backend.Compile(entry, default)));
    }

    /// <summary>
    /// What a driver is given of a kernel: PTX or OpenCL C; empty for the simulator's.
    /// </summary>
    public static string TextOf(CompiledKernel kernel) => kernel switch
    {
        PTXCompiledKernel compiled => compiled.PTXAssembly,
        CLCompiledKernel compiled => compiled.Source,
        _ => "",
    };

    private static IEnumerable<Type> Kernels() =>
        Structs.Where(type => type.IsAssignableTo(typeof(IThreadKernel)) || type.IsAssignableTo(typeof(IGroupKernel)))
        .SelectMany(Closed);

    /// <summary>Whether a type is made for the host's memory alone.</summary>
    private static bool HasPointer(Type type) => type.GetFields(Fields).Any(field => field.FieldType.IsPointer);

    /// <summary>
    /// A type, or a generic type with arguments: every pair of the first two, and each with one of
    /// the third. A common kernel has the types of memory before them.
    /// </summary>
    private static IEnumerable<Type> Closed(Type type)
    {
        if (!type.IsGenericTypeDefinition)
        {
            return [type];
        }
        Type[] memory = type.DeclaringType is { IsGenericType: true }
            ? typeof(GpuKernels).BaseType!.GetGenericArguments() : [];
        var choices = type.GetGenericArguments()[memory.Length..].Select(Choices).ToArray();
        int Count(int parameter) => parameter < choices.Length ? choices[parameter].Length : 1;
        return from i in Enumerable.Range(0, Count(0))
               from j in Enumerable.Range(0, Count(1))
               select type.MakeGenericType(
                   [.. memory, .. choices.Select((of, parameter) =>
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
        var outer = type.DeclaringType;
        var arguments = type.GetGenericArguments()[(outer?.GetGenericArguments().Length ?? 0)..];
        var name = arguments.Length > 0
            ? $"{type.Name[..type.Name.IndexOf('`')]}<{string.Join(", ", arguments.Select(Name))}>"
            : type.Name;
        return outer is null || outer.IsGenericType || outer == typeof(GpuKernels) ? name : $"{outer.Name}.{name}";
    }
}
