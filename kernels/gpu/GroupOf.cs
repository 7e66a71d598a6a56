using ILGPU;

namespace LoraScratch.Kernels.Gpu;

/// <summary>
/// What the threads of a group compute together. Every thread of the group must call these, and
/// gets the result. The order of the operations depends on the number of threads alone, so the same
/// launch gives the same bits.
/// </summary>
internal static class GroupOf
{
    /// <summary>The most threads that a group has.</summary>
    public const int MaxThreads = 256;

    /// <summary>The sum of one value of each thread, by halves.</summary>
    public static float Sum(float value)
    {
        var shared = SharedMemory.Allocate<float>(MaxThreads);
        var thread = Group.IdxX;
        shared[thread] = value;
        Group.Barrier();
        for (var half = Group.DimX / 2; half > 0; half /= 2)
        {
            if (thread < half)
            {
                shared[thread] += shared[thread + half];
            }
            Group.Barrier();
        }
        var sum = shared[0];
        Group.Barrier();                                    // the next call may write when all have read
        return sum;
    }

    /// <summary>The largest of one value of each thread.</summary>
    public static float Max(float value)
    {
        var shared = SharedMemory.Allocate<float>(MaxThreads);
        var thread = Group.IdxX;
        shared[thread] = value;
        Group.Barrier();
        for (var half = Group.DimX / 2; half > 0; half /= 2)
        {
            if (thread < half && shared[thread + half] > shared[thread])
            {
                shared[thread] = shared[thread + half];
            }
            Group.Barrier();
        }
        var largest = shared[0];
        Group.Barrier();
        return largest;
    }
}
