using System.Diagnostics;
using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Common;

internal abstract partial class CommonKernels<TFloats, TInts>
{
    /// <inheritdoc cref="IBackend.LayerNorm"/>
    public void LayerNorm(DeviceBuffer<float> y, DeviceBuffer<float> mean, DeviceBuffer<float> rstd,
        DeviceBuffer<float> x, DeviceBuffer<float> gamma, DeviceBuffer<float> beta, float epsilon)
    {
        var columns = gamma.Length;
        Debug.Assert(y.Length == x.Length && beta.Length == columns && mean.Length * columns == x.Length
            && rstd.Length == mean.Length);
        ForEachRow(mean.Length, columns,
            new LayerNormKernel(Floats(y), Floats(mean), Floats(rstd), Floats(x), Floats(gamma), Floats(beta), columns,
                epsilon));
    }

    /// <inheritdoc cref="IBackend.LayerNormOfSum"/>
    public void LayerNormOfSum(DeviceBuffer<float> y, DeviceBuffer<float> x, DeviceBuffer<float> mean,
        DeviceBuffer<float> rstd, DeviceBuffer<float> u, DeviceBuffer<float> v, DeviceBuffer<float> gamma,
        DeviceBuffer<float> beta, float epsilon)
    {
        var columns = gamma.Length;
        Debug.Assert(y.Length == x.Length && u.Length == x.Length && v.Length == x.Length && beta.Length == columns
            && mean.Length * columns == x.Length && rstd.Length == mean.Length);
        var norm = new LayerNormKernel(Floats(y), Floats(mean), Floats(rstd), Floats(x), Floats(gamma), Floats(beta),
            columns, epsilon);
        ForEachRow(mean.Length, columns, new NormOfSumKernel(norm, Floats(x), Floats(u), Floats(v), columns));
    }

    /// <inheritdoc cref="IBackend.AddLayerNormGradient"/>
    public void AddLayerNormGradient(Accumulator dX, DeviceBuffer<float> dY, DeviceBuffer<float> x,
        DeviceBuffer<float> mean, DeviceBuffer<float> rstd, DeviceBuffer<float> gamma)
    {
        var columns = gamma.Length;
        Debug.Assert(dX.Length == dY.Length && x.Length == dX.Length && mean.Length * columns == x.Length
            && rstd.Length == mean.Length);
        ForEachRow(mean.Length, columns,
            new LayerNormGradientKernel(Floats(dX.Buffer), Keep(dX), Floats(dY), Floats(x), Floats(mean), Floats(rstd),
                Floats(gamma), columns));
    }

    /// <inheritdoc cref="IBackend.AddLayerNormGammaGradient"/>
    public void AddLayerNormGammaGradient(Accumulator dGamma, DeviceBuffer<float> dY, DeviceBuffer<float> x,
        DeviceBuffer<float> mean, DeviceBuffer<float> rstd)
    {
        var columns = dGamma.Length;
        Debug.Assert(dY.Length == x.Length && mean.Length * columns == x.Length && rstd.Length == mean.Length);
        AddDownColumns(dGamma, mean.Length,
            new GammaTerm(Floats(dY), Floats(x), Floats(mean), Floats(rstd), columns));
    }

    internal readonly struct LayerNormKernel(TFloats y, TFloats mean, TFloats rstd, TFloats x, TFloats gamma,
        TFloats beta, int columns, float epsilon) : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Row<T>(int row) where T : struct, ILanes<T>
        {
            TFloats input = x.From(row * columns), output = y.From(row * columns);
            TFloats gammas = gamma, betas = beta;
            // The mean first, then the distances from it: E[x²] − mean² would cancel for rows far from 0. The
            // distances' own mean is what rounding left of the sum; taking it out too keeps long rows exact.
            var sum = T.Of(0f);
            for (var j = T.First; j < columns; j += T.Width)
            {
                sum += T.Load(ref input[j], columns - j, 0);
            }
            var center = T.Sum(sum) / columns;
            T distances = T.Of(0f), squares = T.Of(0f);
            for (var j = T.First; j < columns; j += T.Width)
            {
                var distance = T.Load(ref input[j], columns - j, center) - T.Of(center);
                distances += distance;
                squares = T.MultiplyAdd(distance, distance, squares);
            }
            var correction = T.Sum(distances) / columns;
            var variance = T.Sum(squares) / columns - correction * correction;
            center += correction;
            var scale = 1 / MathF.Sqrt((variance < 0 ? 0 : variance) + epsilon);
            for (var j = T.First; j < columns; j += T.Width)
            {
                var left = columns - j;
                var normalized = (T.Load(ref input[j], left, 0) - T.Of(center)) * T.Of(scale);
                T.Store(ref output[j], left,
                    T.MultiplyAdd(normalized, T.Load(ref gammas[j], left, 0), T.Load(ref betas[j], left, 0)));
            }
            if (T.First == 0)
            {
                mean[row] = center;
                rstd[row] = scale;
            }
        }
    }

    internal readonly struct NormOfSumKernel(LayerNormKernel norm, TFloats x, TFloats u, TFloats v, int columns)
        : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Row<T>(int row) where T : struct, ILanes<T>
        {
            TFloats first = u.From(row * columns), second = v.From(row * columns), sum = x.From(row * columns);
            for (var j = T.First; j < columns; j += T.Width)
            {
                var left = columns - j;
                T.Store(ref sum[j], left, T.Load(ref first[j], left, 0) + T.Load(ref second[j], left, 0));
            }
            norm.Row<T>(row);                               // each thread reads what it wrote
        }
    }

    internal readonly struct LayerNormGradientKernel(TFloats dX, int keep, TFloats dY, TFloats x, TFloats mean,
        TFloats rstd, TFloats gamma, int columns) : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Row<T>(int row) where T : struct, ILanes<T>
        {
            var start = row * columns;
            TFloats input = x.From(start), upstream = dY.From(start), gradient = dX.From(start), gammas = gamma;
            T center = T.Of(mean[row]), scale = T.Of(rstd[row]);
            T sum = T.Of(0f), product = T.Of(0f);
            for (var j = T.First; j < columns; j += T.Width)
            {
                var left = columns - j;
                var g = T.Load(ref upstream[j], left, 0) * T.Load(ref gammas[j], left, 0);
                sum += g;
                product = T.MultiplyAdd(g, (T.Load(ref input[j], left, 0) - center) * scale, product);
            }
            // mean(g), mean(g ⊙ x̂)
            T meanOfG = T.Of(T.Sum(sum) / columns), meanOfProduct = T.Of(T.Sum(product) / columns);
            for (var j = T.First; j < columns; j += T.Width)
            {
                var left = columns - j;
                var g = T.Load(ref upstream[j], left, 0) * T.Load(ref gammas[j], left, 0);
                var normalized = (T.Load(ref input[j], left, 0) - center) * scale;
                var before = keep != 0 ? T.Load(ref gradient[j], left, 0) : T.Of(0f);
                T.Store(ref gradient[j], left, T.MultiplyAdd(scale, g - meanOfG - normalized * meanOfProduct, before));
            }
        }
    }

    internal readonly struct GammaTerm(TFloats dY, TFloats x, TFloats mean, TFloats rstd, int columns) : IColumnTerm
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public T At<T>(int row, int column) where T : struct, ILanes<T>         // dY[row, column]·x̂[row, column]
        {
            var at = row * columns + column;
            return T.Load(ref dY[at]) * ((T.Load(ref x[at]) - T.Of(mean[row])) * T.Of(rstd[row]));
        }
    }
}
