using System.Diagnostics;
using ILGPU;

namespace LoraScratch.Kernels.Gpu;

internal sealed partial class GpuKernels
{
    /// <inheritdoc/>
    public void Gather(DeviceBuffer<float> y, DeviceBuffer<float> table, DeviceBuffer<int> indices, int columns)
    {
        Debug.Assert(y.Length == (long)indices.Length * columns && table.Length % columns == 0);
        ForEachThread(y.Length, new GatherKernel(View(y), View(table), View(indices), columns));
    }

    /// <inheritdoc/>
    public void AddScatter(Accumulator dTable, DeviceBuffer<float> dY, DeviceBuffer<int> indices, int columns)
    {
        Debug.Assert(dY.Length == (long)indices.Length * columns && dTable.Length % columns == 0);
        if (dTable.IsEmpty)
        {
            Fill(dTable.Buffer, 0);                         // most rows have no share
        }
        // Atomic additions would come in any order. So the rows of dY are first listed table row by table row, each
        // list in their own order, by comparing every index with all others (n² of them, whatever the size of the
        // table, by n threads); then a thread adds up one column of one list.
        var rows = indices.Length;
        using var order = Allocate<int>(rows);
        using var start = Allocate<int>(rows);
        using var count = Allocate<int>(rows);
        ForEachThread(rows, new ListRowsKernel(View(order), View(start), View(count), View(indices), rows));
        ForEachThread(dY.Length,
            new ScatterKernel(View(dTable.Buffer), View(dY), View(indices), View(order), View(start), View(count),
                columns));
    }

    internal readonly struct GatherKernel(ArrayView<float> y, ArrayView<float> table, ArrayView<int> indices,
        int columns) : IThreadKernel
    {
        public void At(int i) => y[i] = table[indices[i / columns] * columns + i % columns];
    }

    /// <summary>
    /// order = the rows of dY sorted by index, equal ones in their order. Where row i is the first
    /// with its index, order[start[i]] … are the count[i] rows with that index; elsewhere count[i]
    /// = 0.
    /// </summary>
    internal readonly struct ListRowsKernel(ArrayView<int> order, ArrayView<int> start, ArrayView<int> count,
        ArrayView<int> indices, int rows) : IThreadKernel
    {
        public void At(int i)
        {
            var index = indices[i];
            int smaller = 0, before = 0, equal = 0;
            for (var j = 0; j < rows; j++)
            {
                var other = indices[j];
                smaller += other < index ? 1 : 0;
                equal += other == index ? 1 : 0;
                before += other == index && j < i ? 1 : 0;
            }
            order[smaller + before] = i;
            start[i] = smaller;
            count[i] = before == 0 ? equal : 0;
        }
    }

    internal readonly struct ScatterKernel(ArrayView<float> dTable, ArrayView<float> dY, ArrayView<int> indices,
        ArrayView<int> order, ArrayView<int> start,
        ArrayView<int> count, int columns) : IThreadKernel
    {
        public void At(int i)
        {
            int row = i / columns, column = i % columns;
            var end = start[row] + count[row];
            if (count[row] > 0)
            {
                var target = indices[row] * columns + column;
                var sum = dTable[target];
                for (var j = start[row]; j < end; j++)
                {
                    sum += dY[order[j] * columns + column];
                }
                dTable[target] = sum;
            }
        }
    }
}
