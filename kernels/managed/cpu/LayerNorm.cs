using System.Diagnostics;
using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Cpu;

internal sealed unsafe partial class CpuKernels
{
    /// <inheritdoc/>
    public void LayerNorm(DeviceBuffer<float> y, DeviceBuffer<float> mean, DeviceBuffer<float> rstd,
        DeviceBuffer<float> x, DeviceBuffer<float> gamma,
        DeviceBuffer<float> beta, float epsilon)
    {
        var columns = gamma.Length;
        Debug.Assert(y.Length == x.Length && beta.Length == columns && mean.Length * columns == x.Length
            && rstd.Length == mean.Length);
        ForEachRow(mean.Length, columns,
            new LayerNormKernel(Pointer(y), Pointer(mean), Pointer(rstd), Pointer(x), Pointer(gamma), Pointer(beta),
                columns, epsilon));
    }

    /// <inheritdoc/>
    public void AddLayerNormGradient(Accumulator dX, DeviceBuffer<float> dY, DeviceBuffer<float> x,
        DeviceBuffer<float> mean,
        DeviceBuffer<float> rstd, DeviceBuffer<float> gamma)
    {
        var columns = gamma.Length;
        Debug.Assert(dX.Length == dY.Length && x.Length == dX.Length && mean.Length * columns == x.Length
            && rstd.Length == mean.Length);
        ForEachRow(mean.Length, columns,
            new LayerNormGradientKernel(Pointer(dX.Buffer), !dX.IsEmpty, Pointer(dY), Pointer(x), Pointer(mean),
                Pointer(rstd), Pointer(gamma), columns));
    }

    /// <inheritdoc/>
    public void AddLayerNormGammaGradient(Accumulator dGamma, DeviceBuffer<float> dY, DeviceBuffer<float> x,
        DeviceBuffer<float> mean,
        DeviceBuffer<float> rstd)
    {
        var columns = dGamma.Length;
        Debug.Assert(dY.Length == x.Length && mean.Length * columns == x.Length && rstd.Length == mean.Length);
        AddDownColumns(dGamma, mean.Length,
            new GammaTerm(Pointer(dY), Pointer(x), Pointer(mean), Pointer(rstd), columns));
    }

    private readonly struct LayerNormKernel(float* y, float* mean, float* rstd, float* x, float* gamma, float* beta,
        int columns, float epsilon) : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Row<T>(int row) where T : struct, ILanes<T>
        {
            float* input = x + row * columns, output = y + row * columns;       // x[row, :], y[row, :]
            // The mean first, then the distances from it: E[x²] − mean² would cancel for rows far from 0. The
            // distances' own mean is what rounding left of the sum; taking it out too keeps long rows exact.
            var sum = T.Of(0f);
            for (var j = 0; j < columns; j += T.Width)
            {
                sum += Cpu.Row.Load<T>(input, j, columns, 0);
            }
            var center = T.Sum(sum) / columns;
            T distances = T.Of(0f), squares = T.Of(0f);
            for (var j = 0; j < columns; j += T.Width)
            {
                var distance = Cpu.Row.Load<T>(input, j, columns, center) - T.Of(center);
                distances += distance;
                squares = T.MultiplyAdd(distance, distance, squares);
            }
            var correction = T.Sum(distances) / columns;
            var variance = Math.Max(0, T.Sum(squares) / columns - correction * correction);
            center += correction;
            var scale = 1 / MathF.Sqrt(variance + epsilon);
            for (var j = 0; j < columns; j += T.Width)
            {
                var normalized = (Cpu.Row.Load<T>(input, j, columns, 0) - T.Of(center)) * T.Of(scale);
                Cpu.Row.Store(output, j, columns,
                    T.MultiplyAdd(normalized, Cpu.Row.Load<T>(gamma, j, columns, 0),
                        Cpu.Row.Load<T>(beta, j, columns, 0)));
            }
            (mean[row], rstd[row]) = (center, scale);
        }
    }

    private readonly struct LayerNormGradientKernel(float* dX, bool accumulate, float* dY, float* x, float* mean,
        float* rstd, float* gamma, int columns) : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Row<T>(int row) where T : struct, ILanes<T>
        {
            float* input = x + row * columns, upstream = dY + row * columns, gradient = dX + row * columns;
            T center = T.Of(mean[row]), scale = T.Of(rstd[row]);
            T sum = T.Of(0f), product = T.Of(0f);
            for (var j = 0; j < columns; j += T.Width)
            {
                var g = Cpu.Row.Load<T>(upstream, j, columns, 0) * Cpu.Row.Load<T>(gamma, j, columns, 0);
                sum += g;
                product = T.MultiplyAdd(g, (Cpu.Row.Load<T>(input, j, columns, 0) - center) * scale, product);
            }
            // mean(g), mean(g ⊙ x̂)
            T meanOfG = T.Of(T.Sum(sum) / columns), meanOfProduct = T.Of(T.Sum(product) / columns);
            for (var j = 0; j < columns; j += T.Width)
            {
                var g = Cpu.Row.Load<T>(upstream, j, columns, 0) * Cpu.Row.Load<T>(gamma, j, columns, 0);
                var normalized = (Cpu.Row.Load<T>(input, j, columns, 0) - center) * scale;
                var before = accumulate ? Cpu.Row.Load<T>(gradient, j, columns, 0) : T.Of(0f);
                Cpu.Row.Store(gradient, j, columns,
                    T.MultiplyAdd(scale, g - meanOfG - normalized * meanOfProduct, before));
            }
        }
    }

    private readonly struct GammaTerm(float* dY, float* x, float* mean, float* rstd, int columns) : IColumnTerm
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public T At<T>(int row, int column) where T : struct, ILanes<T>         // dY[row, column]·x̂[row, column]
        {
            var at = row * columns + column;
            return T.Load(dY + at) * ((T.Load(x + at) - T.Of(mean[row])) * T.Of(rstd[row]));
        }
    }
}
