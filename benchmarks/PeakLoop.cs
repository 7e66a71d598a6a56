using System.Numerics;
using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Benchmarks;

/// <summary>
/// What the processor can do at most: multiply-adds on registers alone. Twelve chains that do not
/// wait for each other (four cycles of latency times two units need eight), each with its own start
/// so that no compiler can make one out of two.
/// </summary>
internal static unsafe class PeakLoop
{
    private const int Chains = 12;

    /// <summary>
    /// Runs multiply-adds on every thread of a backend and returns how many floating-point
    /// operations that were.
    /// </summary>
    public static double Run(CpuBackend backend, int iterations)
    {
        var blocks = backend.Workers.Threads * 8;
        var width = backend.InstructionSet switch
        {
            InstructionSet.Avx512 => RunOn<Lanes512>(backend, blocks, iterations),
            _ when Vector.IsHardwareAccelerated => RunOn<Lanes>(backend, blocks, iterations),
            _ => RunOn<Scalar>(backend, blocks, iterations),
        };
        return 2.0 * Chains * width * iterations * blocks;
    }

    private static int RunOn<T>(CpuBackend backend, int blocks, int iterations) where T : struct, ILanes<T>
    {
        var sums = stackalloc float[blocks];
        backend.Workers.Run(blocks, new Job<T>(sums, iterations));
        return float.IsFinite(sums[0]) ? T.Width : throw new InvalidOperationException("the chains must converge");
    }

    private readonly struct Job<T>(float* sums, int iterations) : IJob where T : struct, ILanes<T>
    {
        public void Run(int block, Scratch scratch) => sums[block] = Chain(iterations, 0.5f + block);

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static float Chain(int iterations, float seed)
        {
            // x ← x/2 + 1 converges to 2 from everywhere.
            var half = T.Of(0.5f);
            var one = T.Of(1);
            T x0 = Start(seed, 0), x1 = Start(seed, 1), x2 = Start(seed, 2), x3 = Start(seed, 3);
            T x4 = Start(seed, 4), x5 = Start(seed, 5), x6 = Start(seed, 6), x7 = Start(seed, 7);
            T x8 = Start(seed, 8), x9 = Start(seed, 9), x10 = Start(seed, 10), x11 = Start(seed, 11);
            for (var i = 0; i < iterations; i++)
            {
                x0 = T.MultiplyAdd(x0, half, one);
                x1 = T.MultiplyAdd(x1, half, one);
                x2 = T.MultiplyAdd(x2, half, one);
                x3 = T.MultiplyAdd(x3, half, one);
                x4 = T.MultiplyAdd(x4, half, one);
                x5 = T.MultiplyAdd(x5, half, one);
                x6 = T.MultiplyAdd(x6, half, one);
                x7 = T.MultiplyAdd(x7, half, one);
                x8 = T.MultiplyAdd(x8, half, one);
                x9 = T.MultiplyAdd(x9, half, one);
                x10 = T.MultiplyAdd(x10, half, one);
                x11 = T.MultiplyAdd(x11, half, one);
            }
            return T.Sum(x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8 + x9 + x10 + x11);
        }

        private static T Start(float seed, int chain) => T.Of(seed + (chain * 0.125f));
    }
}
