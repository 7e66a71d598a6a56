using System.Diagnostics;
using ILGPU;

namespace LoraScratch.Kernels.Gpu;

internal sealed partial class GpuKernels
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
            new LayerNormKernel(View(y), View(mean), View(rstd), View(x), View(gamma), View(beta), columns, epsilon));
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
            new LayerNormGradientKernel(View(dX.Buffer), Keep(dX), View(dY), View(x), View(mean), View(rstd),
                View(gamma), columns));
    }

    /// <inheritdoc/>
    public void AddLayerNormGammaGradient(Accumulator dGamma, DeviceBuffer<float> dY, DeviceBuffer<float> x,
        DeviceBuffer<float> mean,
        DeviceBuffer<float> rstd)
    {
        var columns = dGamma.Length;
        Debug.Assert(dY.Length == x.Length && mean.Length * columns == x.Length && rstd.Length == mean.Length);
        AddDownColumns(dGamma, mean.Length, new GammaTerm(View(dY), View(x), View(mean), View(rstd), columns));
    }

    internal readonly struct LayerNormKernel(ArrayView<float> y, ArrayView<float> mean, ArrayView<float> rstd,
        ArrayView<float> x, ArrayView<float> gamma,
        ArrayView<float> beta, int columns, float epsilon) : IRowKernel
    {
        public void Row<TTeam>(int row) where TTeam : struct, ITeam
        {
            var start = row * columns;
            // The mean first, then the distances from it: E[x²] − mean² would cancel for rows far from 0. The
            // distances' own mean is what rounding left of the sum; taking it out too keeps long rows exact.
            var sum = 0f;
            for (var j = TTeam.Thread; j < columns; j += TTeam.Threads)
            {
                sum += x[start + j];
            }
            var center = TTeam.Sum(sum) / columns;
            float distances = 0, squares = 0;
            for (var j = TTeam.Thread; j < columns; j += TTeam.Threads)
            {
                var distance = x[start + j] - center;
                distances += distance;
                squares += distance * distance;
            }
            var correction = TTeam.Sum(distances) / columns;
            var variance = TTeam.Sum(squares) / columns - correction * correction;
            center += correction;
            var scale = 1 / MathF.Sqrt((variance < 0 ? 0 : variance) + epsilon);
            for (var j = TTeam.Thread; j < columns; j += TTeam.Threads)
            {
                y[start + j] = (x[start + j] - center) * scale * gamma[j] + beta[j];
            }
            if (TTeam.Thread == 0)
            {
                mean[row] = center;
                rstd[row] = scale;
            }
        }
    }

    internal readonly struct LayerNormGradientKernel(ArrayView<float> dX, int keep, ArrayView<float> dY,
        ArrayView<float> x, ArrayView<float> mean,
        ArrayView<float> rstd, ArrayView<float> gamma, int columns) : IRowKernel
    {
        public void Row<TTeam>(int row) where TTeam : struct, ITeam
        {
            var start = row * columns;
            float center = mean[row], scale = rstd[row];
            float sum = 0, product = 0;
            for (var j = TTeam.Thread; j < columns; j += TTeam.Threads)
            {
                var g = dY[start + j] * gamma[j];
                sum += g;
                product += g * ((x[start + j] - center) * scale);
            }
            // mean(g), mean(g ⊙ x̂)
            float meanOfG = TTeam.Sum(sum) / columns, meanOfProduct = TTeam.Sum(product) / columns;
            for (var j = TTeam.Thread; j < columns; j += TTeam.Threads)
            {
                var normalized = (x[start + j] - center) * scale;
                dX[start + j] = (keep != 0 ? dX[start + j] : 0)
                    + scale * (dY[start + j] * gamma[j] - meanOfG - normalized * meanOfProduct);
            }
        }
    }

    internal readonly struct GammaTerm(ArrayView<float> dY, ArrayView<float> x, ArrayView<float> mean,
        ArrayView<float> rstd, int columns) : IColumnTerm
    {
        public float At(int row, int column)                                    // dY[row, column]·x̂[row, column]
        {
            var at = row * columns + column;
            return dY[at] * ((x[at] - mean[row]) * rstd[row]);
        }
    }
}
