using System.Diagnostics;
using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Common;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Cpu;

internal sealed unsafe partial class CpuKernels
{
    /// <inheritdoc/>
    public void Gather(DeviceBuffer<float> y, DeviceBuffer<float> table, DeviceBuffer<int> indices, int columns)
    {
        Debug.Assert(y.Length == (long)indices.Length * columns && table.Length % columns == 0);
        ForEachRow(indices.Length, columns, new GatherKernel(Pointer(y), Pointer(table), Pointer(indices), columns));
    }

    /// <inheritdoc/>
    public void AddScatter(Accumulator dTable, DeviceBuffer<float> dY, DeviceBuffer<int> indices, int columns)
    {
        Debug.Assert(dY.Length == (long)indices.Length * columns && dTable.Length % columns == 0);
        // Each block owns a strip of columns and walks through all rows in their order: no two threads meet, and a
        // token that comes twice
        // is always added in the same order.
        const int NarrowStrip = 128;
        if (dTable.IsEmpty)
        {
            Fill(dTable.Buffer, 0);         // most rows have no share
        }
        var strip = dY.Length <= BlockElements ? columns : NarrowStrip;
        Workers.Run(BlocksOf(strip, columns),
            new ScatterJob(Pointer(dTable.Buffer), Pointer(dY), Pointer(indices), indices.Length, columns, strip,
                Wide));
    }

    private readonly struct GatherKernel(float* y, float* table, int* indices, int columns) : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Row<T>(int row) where T : struct, ILanes<T> =>
            new ReadOnlySpan<float>(table + indices[row] * columns,
                columns).CopyTo(new Span<float>(y + row * columns, columns));
    }

    private readonly struct ScatterJob(float* dTable, float* dY, int* indices, int rows, int columns, int strip,
        bool wide) : IJob
    {
        public void Run(int block, Scratch scratch)
        {
            var start = block * strip;
            var width = Math.Min(strip, columns - start);
            for (var row = 0; row < rows; row++)
            {
                var target = dTable + indices[row] * columns + start;           // dTable[indices[row], start …]
                if (wide)
                {
                    Add<Lanes512>(target, dY + row * columns + start, width);
                }
                else
                {
                    Add<Lanes>(target, dY + row * columns + start, width);
                }
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Add<T>(float* target, float* source, int width) where T : struct, ILanes<T>
        {
            for (var j = 0; j < width; j += T.Width)
            {
                var left = width - j;
                T.Store(ref target[j], left, T.Load(ref target[j], left, 0) + T.Load(ref source[j], left, 0));
            }
        }
    }
}
