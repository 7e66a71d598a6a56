using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Benchmarks;

/// <summary>
/// What the processor can do at most: multiply-adds on registers alone. Twelve chains that do not wait for each other (four cycles of latency times
/// two units need eight), each with its own start so that no compiler can make one out of two.
/// </summary>
internal static unsafe class PeakLoop
{
    private const int Chains = 12;

    /// <summary>Runs multiply-adds on every thread of a backend and returns how many floating-point operations that were.</summary>
    public static double Run(CpuBackend backend, int iterations)
    {
        var blocks = backend.Workers.Threads * 8;
        var width = backend.InstructionSet switch
        {
            InstructionSet.Avx512 => RunOn<Avx512Registers, Vector512<float>>(backend, blocks, iterations),
            InstructionSet.Avx2 => RunOn<Avx2Registers, Vector256<float>>(backend, blocks, iterations),
            _ when Vector.IsHardwareAccelerated => RunOn<PortableRegisters, Vector<float>>(backend, blocks, iterations),
            _ => RunOn<ScalarRegisters, float>(backend, blocks, iterations),
        };
        return 2.0 * Chains * width * iterations * blocks;
    }

    private static int RunOn<TRegisters, TRegister>(CpuBackend backend, int blocks, int iterations)
        where TRegisters : IRegisters<TRegister> where TRegister : unmanaged
    {
        var sums = stackalloc float[blocks];
        backend.Workers.Run(blocks, new Job<TRegisters, TRegister>(sums, iterations));
        return float.IsFinite(sums[0]) ? TRegisters.Width : throw new InvalidOperationException("the chains must converge");
    }

    private readonly struct Job<TRegisters, TRegister>(float* sums, int iterations) : IJob
        where TRegisters : IRegisters<TRegister> where TRegister : unmanaged
    {
        private readonly float* _sums = sums;
        private readonly int _iterations = iterations;

        public void Run(int block, Scratch scratch) => _sums[block] = Chain(_iterations, 0.5f + block);

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static float Chain(int iterations, float seed)
        {
            // x ← x/2 + 1 converges to 2 from everywhere.
            var half = TRegisters.Broadcast(0.5f);
            var one = TRegisters.Broadcast(1);
            TRegister x0 = Start(seed, 0), x1 = Start(seed, 1), x2 = Start(seed, 2), x3 = Start(seed, 3);
            TRegister x4 = Start(seed, 4), x5 = Start(seed, 5), x6 = Start(seed, 6), x7 = Start(seed, 7);
            TRegister x8 = Start(seed, 8), x9 = Start(seed, 9), x10 = Start(seed, 10), x11 = Start(seed, 11);
            for (var i = 0; i < iterations; i++)
            {
                x0 = TRegisters.MultiplyAdd(x0, half, one);
                x1 = TRegisters.MultiplyAdd(x1, half, one);
                x2 = TRegisters.MultiplyAdd(x2, half, one);
                x3 = TRegisters.MultiplyAdd(x3, half, one);
                x4 = TRegisters.MultiplyAdd(x4, half, one);
                x5 = TRegisters.MultiplyAdd(x5, half, one);
                x6 = TRegisters.MultiplyAdd(x6, half, one);
                x7 = TRegisters.MultiplyAdd(x7, half, one);
                x8 = TRegisters.MultiplyAdd(x8, half, one);
                x9 = TRegisters.MultiplyAdd(x9, half, one);
                x10 = TRegisters.MultiplyAdd(x10, half, one);
                x11 = TRegisters.MultiplyAdd(x11, half, one);
            }
            x0 = Add(Add(Add(x0, x1), Add(x2, x3)), Add(Add(Add(x4, x5), Add(x6, x7)), Add(Add(x8, x9), Add(x10, x11))));
            var places = stackalloc float[TRegisters.Width];
            TRegisters.Store(places, x0);
            return places[0];
        }

        private static TRegister Start(float seed, int chain) => TRegisters.Broadcast(seed + (chain * 0.125f));

        private static TRegister Add(TRegister a, TRegister b) => TRegisters.MultiplyAdd(a, TRegisters.Broadcast(1), b);
    }
}
