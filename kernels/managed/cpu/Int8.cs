using System.Diagnostics;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LoraScratch.Kernels.Common;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Cpu;

/// <content>Dynamic quantisation: rows of X to codes, their exact product with those of a weight,
/// and back.</content>
internal sealed unsafe partial class CpuKernels
{
    /// <summary>Whether integer products may use AVX-VNNI; tests take it away.</summary>
    public bool UsesVnni { get; set; } = AvxVnni.IsSupported;

    /// <inheritdoc/>
    public void QuantizeRows(DeviceBuffer<byte> codes, DeviceBuffer<RowGrid> grids, DeviceBuffer<float> x)
    {
        var rows = grids.Length;
        Debug.Assert(rows == 0 ? x.Length == 0 : x.Length % rows == 0
            && codes.Length == rows * Int8Matrix.StrideOf(x.Length / rows));
        var columns = x.Length / Math.Max(1, rows);
        ForEachRow(rows, columns, new QuantizeKernel(Pointer(codes), Pointer(grids), Pointer(x), columns));
    }

    /// <inheritdoc/>
    public void Product(DeviceBuffer<int> s, DeviceBuffer<byte> a, Int8Matrix b)
    {
        Debug.Assert(s.Length % b.Outputs == 0 && a.Length == s.Length / b.Outputs * b.RowStride
            && b.Codes.Length == Int8Matrix.CodesLength(b.Outputs, b.Inputs) && b.Inputs <= Int8Matrix.MaxInputs);
        if (s.Length == 0)
        {
            return;
        }
        if (InstructionSet >= InstructionSet.Avx2 && UsesVnni)
        {
            Product<Int8Tile<Vector256<int>, Vnni256>>(s, a, b);
        }
        else if (InstructionSet == InstructionSet.Avx512)
        {
            Product<Int8Tile<Vector512<int>, Pairs512>>(s, a, b);
        }
        else if (InstructionSet == InstructionSet.Avx2)
        {
            Product<Int8Tile<Vector256<int>, Pairs256>>(s, a, b);
        }
        else
        {
            Product<PortableInt8Tile>(s, a, b);
        }
    }

    /// <inheritdoc/>
    public void Dequantize(DeviceBuffer<float> y, DeviceBuffer<int> s, DeviceBuffer<RowGrid> grids, Int8Matrix b,
        DeviceBuffer<float>? bias)
    {
        Debug.Assert(y.Length == s.Length && s.Length == grids.Length * b.Outputs && b.Scales.Length == b.Outputs
            && b.Sums.Length == b.Outputs && (bias is null || bias.Length == b.Outputs));
        ForEachRow(grids.Length, b.Outputs, new DequantizeKernel(
            Pointer(y), Pointer(s), Pointer(grids), Pointer(b.Scales), Pointer(b.Sums),
                bias is null ? null : Pointer(bias), b.Outputs));
    }

    private void Product<TTile>(DeviceBuffer<int> s, DeviceBuffer<byte> a, in Int8Matrix b) where TTile : struct,
        IInt8Tile =>
        Int8Product.Run<TTile>(Pointer(s), Pointer(a), s.Length / b.Outputs, Pointer(b.Codes), b, Workers);

    // The two walk rows with Vector<T> and integers, which ILanes does not have: T is not looked at.
    private readonly struct QuantizeKernel(byte* codes, RowGrid* grids, float* x, int columns) : IRowKernel
    {
        public void Row<T>(int row) where T : struct, ILanes<T> =>
            grids[row] = Quantize(codes + (nint)row * Int8Matrix.StrideOf(columns), x + (nint)row * columns);

        private RowGrid Quantize(byte* to, float* from)
        {
            var (lowest, highest, isFinite) = Range(from);
            if (!isFinite)
            {
                new Span<byte>(to, columns).Clear();
                return new RowGrid(float.NaN, 0);
            }
            // Divided before they are subtracted: the difference of two large numbers might be infinite.
            var scale = Math.Max(highest / byte.MaxValue - lowest / byte.MaxValue, Int8Matrix.SmallestScale);
            var zero = Math.Clamp(MathF.Round(-lowest / scale), 0, byte.MaxValue);
            Assign(to, from, 1 / scale, zero);
            return new RowGrid(scale, (int)zero);
        }

        /// <summary>
        /// The smallest and the largest number of a row and of 0, and whether all are finite: any
        /// other number times 0 is none.
        /// </summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private (float Lowest, float Highest, bool IsFinite) Range(float* from)
        {
            float lowest = 0, highest = 0, zeros = 0;
            var i = 0;
            if (Vector.IsHardwareAccelerated)
            {
                Vector<float> lowests = default, highests = default, allZeros = default;
                for (; i <= columns - Vector<float>.Count; i += Vector<float>.Count)
                {
                    var x = Vector.Load(from + i);
                    lowests = Vector.MinNative(lowests, x);
                    highests = Vector.MaxNative(highests, x);
                    allZeros += x * Vector<float>.Zero;
                }
                zeros = Vector.Sum(allZeros);
                for (var lane = 0; lane < Vector<float>.Count; lane++)
                {
                    lowest = Math.Min(lowest, lowests[lane]);
                    highest = Math.Max(highest, highests[lane]);
                }
            }
            for (; i < columns; i++)
            {
                lowest = Math.Min(lowest, from[i]);
                highest = Math.Max(highest, from[i]);
                zeros += from[i] * 0;
            }
            return (lowest, highest, zeros == 0);
        }

        /// <summary>
        /// code = round(x·(1/β)) + ζ, cut to 0 … 255: four registers of floats at a time become one
        /// of bytes.
        /// </summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Assign(byte* to, float* from, float inverse, float zero)
        {
            var i = 0;
            if (Vector.IsHardwareAccelerated)
            {
                var width = Vector<float>.Count;
                Vector<float> inverses = Vector.Create(inverse), zeros = Vector.Create(zero),
                    largest = Vector.Create((float)byte.MaxValue);
                for (; i <= columns - Vector<byte>.Count; i += Vector<byte>.Count)
                {
                    var low = Vector.Narrow(Codes(from + i, inverses, zeros, largest),
                        Codes(from + i + width, inverses, zeros, largest));
                    var high = Vector.Narrow(Codes(from + i + 2 * width, inverses, zeros, largest),
                        Codes(from + i + 3 * width, inverses, zeros, largest));
                    Vector.AsVectorByte(Vector.Narrow(low, high)).Store(to + i);
                }
            }
            for (; i < columns; i++)
            {
                to[i] = (byte)Math.Clamp(MathF.Round(from[i] * inverse) + zero, 0, byte.MaxValue);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Vector<int> Codes(float* from, Vector<float> inverses, Vector<float> zeros,
            Vector<float> largest) =>
            Vector.ConvertToInt32Native(
                Vector.MinNative(Vector.MaxNative(Vector.Round(Vector.Load(from) * inverses) + zeros,
                    Vector<float>.Zero), largest));
    }

    private readonly struct DequantizeKernel(float* y, int* s, RowGrid* grids, float* scales, int* sums, float* bias,
        int columns) : IRowKernel
    {
        public void Row<T>(int row) where T : struct, ILanes<T> =>
            Dequantize(y + (nint)row * columns, s + (nint)row * columns, grids[row].Scale, grids[row].Zero);

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Dequantize(float* to, int* from, float scale, int zero)
        {
            var j = 0;
            if (Vector.IsHardwareAccelerated)
            {
                Vector<float> scaleOfRow = Vector.Create(scale), none = default;
                var zeroOfRow = Vector.Create(zero);
                for (; j <= columns - Vector<float>.Count; j += Vector<float>.Count)
                {
                    var value = scaleOfRow * Vector.Load(scales + j)
                        * Vector.ConvertToSingle(Vector.Load(from + j) - zeroOfRow * Vector.Load(sums + j));
                    (value + (bias is null ? none : Vector.Load(bias + j))).Store(to + j);
                }
            }
            for (; j < columns; j++)
            {
                to[j] = scale * scales[j] * (from[j] - zero * sums[j]) + (bias is null ? 0 : bias[j]);
            }
        }
    }
}
