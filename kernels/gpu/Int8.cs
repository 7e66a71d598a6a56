using System.Diagnostics;
using ILGPU;
using LoraScratch.Kernels.Common;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Gpu;

internal sealed partial class GpuKernels
{
    /// <inheritdoc/>
    public void QuantizeRows(DeviceBuffer<byte> codes, DeviceBuffer<RowGrid> grids, DeviceBuffer<float> x)
    {
        var columns = x.Length / Math.Max(1, grids.Length);
        Debug.Assert(x.Length == grids.Length * columns && codes.Length == grids.Length * Int8Matrix.StrideOf(columns));
        ForEachRow(grids.Length, columns,
            new QuantizeRowKernel(View(codes), View(grids), View(x), columns, Int8Matrix.StrideOf(columns)));
    }

    /// <inheritdoc/>
    public void Product(DeviceBuffer<int> s, DeviceBuffer<byte> a, Int8Matrix b)
    {
        Debug.Assert(s.Length % b.Outputs == 0 && a.Length == s.Length / b.Outputs * b.RowStride
            && b.Codes.Length == Int8Matrix.CodesLength(b.Outputs, b.Inputs) && b.Inputs <= Int8Matrix.MaxInputs);
        ForEachThread(s.Length, new Int8ProductKernel(View(s), View(a), View(b.Codes), b.Outputs, b.RowStride));
    }

    /// <inheritdoc/>
    public void Dequantize(DeviceBuffer<float> y, DeviceBuffer<int> s, DeviceBuffer<RowGrid> grids, Int8Matrix b,
        DeviceBuffer<float>? bias)
    {
        Debug.Assert(y.Length == s.Length && s.Length == grids.Length * b.Outputs && b.Scales.Length == b.Outputs
            && b.Sums.Length == b.Outputs && (bias is null || bias.Length == b.Outputs));
        ForEachThread(y.Length,
            new DequantizeKernel(View(y), View(s), View(grids), View(b.Scales), View(b.Sums), b.Outputs));
        if (bias is not null)
        {
            PlusBias(y, y, bias);
        }
    }

    /// <summary>
    /// A row of x: its range, then its codes. The largest float is the bound of what is finite; a
    /// number that is none compares with nothing.
    /// </summary>
    internal readonly struct QuantizeRowKernel(ArrayView<byte> codes, ArrayView<RowGrid> grids, ArrayView<float> x,
        int columns, int stride) : IRowKernel
    {
        private const float LargestCode = 255;

        public void Row<T>(int row) where T : struct, ILanes<T>
        {
            float lowest = 0, highest = 0, strange = 0;
            for (var j = T.First; j < columns; j += T.Width)
            {
                var value = x[row * columns + j];
                lowest = value < lowest ? value : lowest;
                highest = value > highest ? value : highest;
                strange = value >= -float.MaxValue && value <= float.MaxValue ? strange : 1;
            }
            lowest = -T.Largest(T.Of(-lowest));
            highest = T.Largest(T.Of(highest));
            strange = T.Largest(T.Of(strange));
            var scale = highest / LargestCode - lowest / LargestCode;
            scale = scale < Int8Matrix.SmallestScale || strange > 0 ? Int8Matrix.SmallestScale : scale;
            var zero = Cut(Rounded(-lowest / scale));
            if (T.First == 0)
            {
                grids[row] = strange > 0 ? new RowGrid(float.NaN, 0) : new RowGrid(scale, (int)zero);
            }
            for (var j = T.First; j < columns; j += T.Width)
            {
                codes[row * stride + j] = strange > 0
                    ? (byte)0 : (byte)(int)Cut(Rounded(x[row * columns + j] * (1 / scale)) + zero);
            }
        }

        private static float Rounded(float value) => Scalar.Round(new Scalar(value)).Value;

        private static float Cut(float code) => code < 0 ? 0 : code > LargestCode ? LargestCode : code;
    }

    /// <summary>
    /// A sum for each thread: neighbours have neighbouring outputs, whose codes lie side by side in
    /// a panel.
    /// </summary>
    internal readonly struct Int8ProductKernel(ArrayView<int> s, ArrayView<byte> a, ArrayView<sbyte> b, int outputs,
        int stride) : IThreadKernel
    {
        public void At(int i)
        {
            var output = i % outputs;
            var x = i / outputs * stride;
            var w = output / Int8Matrix.PanelOutputs * Int8Matrix.PanelOutputs * stride
                + output % Int8Matrix.PanelOutputs * Int8Matrix.Quad;
            var sum = 0;
            for (var k = 0; k < stride; k += Int8Matrix.Quad)
            {
                sum += a[x + k] * b[w] + a[x + k + 1] * b[w + 1] + a[x + k + 2] * b[w + 2] + a[x + k + 3] * b[w + 3];
                w += Int8Matrix.PanelOutputs * Int8Matrix.Quad;
            }
            s[i] = sum;
        }
    }

    internal readonly struct DequantizeKernel(ArrayView<float> y, ArrayView<int> s, ArrayView<RowGrid> grids,
        ArrayView<float> scales, ArrayView<int> sums, int outputs) : IThreadKernel
    {
        public void At(int i)
        {
            var (grid, output) = (grids[i / outputs], i % outputs);
            y[i] = grid.Scale * scales[output] * (s[i] - grid.Zero * sums[output]);
        }
    }
}
