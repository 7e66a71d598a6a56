using LoraScratch.Kernels;

namespace LoraScratch.Engine;

public static partial class Ops
{
    /// <summary>Y = scale · X·W</summary>
    /// <param name="x">[…, in]</param>
    /// <param name="w">[in, out]</param>
    /// <param name="scale">A constant factor.</param>
    /// <returns>[…, out]</returns>
    /// <exception cref="ShapeMismatchException">The inner dimensions differ.</exception>
    public static Tensor MatMul(this Tensor x, Tensor w, float scale = 1)
    {
        RequireProduct(nameof(MatMul), x, w);
        var y = Tensor.Result(x.Shape.WithColumns(w.Shape.Columns), x.Backend, equation: "Y = scale · X·W");
        y.Backend.Product(y.Matrix, x.Matrix, w.Matrix, scale);
        return y.GradientFor(x, "dX += scale · dY·Wᵀ", (dY, dX) => dX.AddProduct(dY.Matrix, w.Matrix.T, scale),
            needs: w)
                .GradientFor(w, "dW += scale · Xᵀ·dY", (dY, dW) => dW.AddProduct(x.Matrix.T, dY.Matrix, scale),
                    needs: x);
    }

    /// <summary>
    /// Y = Z + scale · X·W: a product added to what is there, such as a low-rank update to a
    /// layer's output.
    /// </summary>
    /// <param name="z">[…, out]</param>
    /// <param name="x">[…, in]</param>
    /// <param name="w">[in, out]</param>
    /// <param name="scale">A constant factor.</param>
    /// <returns>[…, out]</returns>
    /// <exception cref="ShapeMismatchException">
    /// The inner dimensions differ, or z does not have the product's shape.
    /// </exception>
    public static Tensor AddMatMul(this Tensor z, Tensor x, Tensor w, float scale = 1)
    {
        RequireProduct(nameof(AddMatMul), x, w);
        if (z.Shape.Rows != x.Shape.Rows || z.Shape.Columns != w.Shape.Columns)
        {
            throw new ShapeMismatchException($"AddMatMul: z {z.Shape} cannot take x {x.Shape} · w {w.Shape}, a "
                + $"[{x.Shape.Rows}, {w.Shape.Columns}] product.");
        }
        Device.RequireSame(nameof(AddMatMul), "x", x.Backend, "z", z.Backend);
        var y = Tensor.Result(z.Shape, z.Backend, equation: "Y = Z + scale · X·W");
        y.Backend.ProductPlus(y.Matrix, z.Matrix, x.Matrix, w.Matrix, scale);
        return y.GradientFor(z, "dZ += dY", (dY, dZ) => dZ.Add(dY))
                .GradientFor(x, "dX += scale · dY·Wᵀ", (dY, dX) => dX.AddProduct(dY.Matrix, w.Matrix.T, scale),
                    needs: w)
                .GradientFor(w, "dW += scale · Xᵀ·dY", (dY, dW) => dW.AddProduct(x.Matrix.T, dY.Matrix, scale),
                    needs: x);
    }

    /// <summary>
    /// Y = X·Wᵀ + b: a fully connected layer. W has one row per output, as PyTorch stores it.
    /// </summary>
    /// <param name="x">[…, in]</param>
    /// <param name="weight">W [out, in]</param>
    /// <param name="bias">b [out], or null</param>
    /// <returns>[…, out]</returns>
    /// <exception cref="ShapeMismatchException">
    /// The input widths differ, or the bias does not fit.
    /// </exception>
    public static Tensor Linear(this Tensor x, Tensor weight, Tensor? bias = null)
    {
        RequireLinear(nameof(Linear), x, weight.Shape, weight.Backend, bias);
        var y = Tensor.Result(x.Shape.WithColumns(weight.Shape.Rows), x.Backend,
            equation: bias is null ? "Y = X·Wᵀ" : "Y = X·Wᵀ + b");
        if (bias is null)
        {
            y.Backend.Product(y.Matrix, x.Matrix, weight.Matrix.T);
        }
        else
        {
            var everyRow = Matrix.EveryRow(bias.Data, y.Shape.Rows);
            y.Backend.ProductPlus(y.Matrix, everyRow, x.Matrix, weight.Matrix.T);
        }
        y.GradientFor(x, "dX += dY·W", (dY, dX) => dX.AddProduct(dY.Matrix, weight.Matrix), needs: weight)
         .GradientFor(weight, "dW += dYᵀ·X", (dY, dW) => dW.AddProduct(dY.Matrix.T, x.Matrix), needs: x);
        if (bias is not null)
        {
            y.GradientFor(bias, "db += Σ rows of dY", (dY, db) => dY.Backend.AddColumnSums(db.Data, dY.Data));
        }
        return y;
    }

    /// <summary>
    /// Y = X·Wᵀ + b + scale · H·B, or Y = X·Wᵀ + scale · H·B: a fully connected layer with a second
    /// product beside it, such as a low-rank update of H = X·A. As <see cref="Linear"/> and
    /// <see cref="AddMatMul"/> after it, with the same bits, but X·Wᵀ + b is never in memory by
    /// itself.
    /// </summary>
    /// <param name="x">[…, in]</param>
    /// <param name="weight">W [out, in]</param>
    /// <param name="bias">b [out], or null</param>
    /// <param name="h">H […, r], as many rows as x</param>
    /// <param name="b">B [r, out]</param>
    /// <param name="scale">A constant factor on the second product.</param>
    /// <returns>[…, out]</returns>
    /// <exception cref="ShapeMismatchException">
    /// The input widths or inner dimensions differ, the bias does not fit, or the products do not
    /// have the same shape.
    /// </exception>
    public static Tensor LinearPlusMatMul(this Tensor x, Tensor weight, Tensor? bias, Tensor h, Tensor b,
        float scale = 1)
    {
        RequireLinear(nameof(LinearPlusMatMul), x, weight.Shape, weight.Backend, bias);
        RequireProduct(nameof(LinearPlusMatMul), h, b, "h", "b");
        if (h.Shape.Rows != x.Shape.Rows || b.Shape.Columns != weight.Shape.Rows)
        {
            throw new ShapeMismatchException($"LinearPlusMatMul: x {x.Shape} · weight {weight.Shape}ᵀ, a "
                + $"[{x.Shape.Rows}, {weight.Shape.Rows}] product, cannot take h {h.Shape} · b {b.Shape}, a "
                + $"[{h.Shape.Rows}, {b.Shape.Columns}] product.");
        }
        Device.RequireSame(nameof(LinearPlusMatMul), "x", x.Backend, "h", h.Backend);
        var y = Tensor.Result(x.Shape.WithColumns(weight.Shape.Rows), x.Backend,
            equation: bias is null ? "Y = X·Wᵀ + scale · H·B" : "Y = X·Wᵀ + b + scale · H·B");
        Matrix? everyRow = bias is null ? null : Matrix.EveryRow(bias.Data, y.Shape.Rows);
        y.Backend.SumOfProducts(y.Matrix, everyRow, x.Matrix, weight.Matrix.T, h.Matrix, b.Matrix, scale);
        y.GradientFor(x, "dX += dY·W", (dY, dX) => dX.AddProduct(dY.Matrix, weight.Matrix), needs: weight)
         .GradientFor(weight, "dW += dYᵀ·X", (dY, dW) => dW.AddProduct(dY.Matrix.T, x.Matrix), needs: x);
        if (bias is not null)
        {
            y.GradientFor(bias, "db += Σ rows of dY", (dY, db) => dY.Backend.AddColumnSums(db.Data, dY.Data));
        }
        return y.GradientFor(h, "dH += scale · dY·Bᵀ", (dY, dH) => dH.AddProduct(dY.Matrix, b.Matrix.T, scale),
            needs: b)
                .GradientFor(b, "dB += scale · Hᵀ·dY", (dY, dB) => dB.AddProduct(h.Matrix.T, dY.Matrix, scale),
                    needs: h);
    }

    /// <summary>Y = X + b, the bias added to every row.</summary>
    /// <param name="x">[…, columns]</param>
    /// <param name="bias">[columns]</param>
    /// <exception cref="ShapeMismatchException">
    /// The bias does not have one element per column.
    /// </exception>
    public static Tensor AddBias(this Tensor x, Tensor bias)
    {
        Shape.RequireRowVector(nameof(AddBias), x, "bias", bias);
        var y = Tensor.Result(x.Shape, x.Backend, equation: "Y = X + b");
        y.Backend.PlusBias(y.Data, x.Data, bias.Data);
        return y.GradientFor(x, "dX += dY", (dY, dX) => dX.Add(dY))
                .GradientFor(bias, "db += Σ rows of dY", (dY, db) => dY.Backend.AddColumnSums(db.Data, dY.Data));
    }

    /// <summary>Y[n] = U[n]·V[n] for every matrix of a batch.</summary>
    /// <param name="u">[batch, rows, inner]</param>
    /// <param name="v">[batch, inner, columns]</param>
    /// <returns>[batch, rows, columns]</returns>
    /// <exception cref="ShapeMismatchException">The batches or inner dimensions differ.</exception>
    public static Tensor BatchedMatMul(this Tensor u, Tensor v)
    {
        if (u.Shape.Rank != 3 || v.Shape.Rank != 3 || u.Shape[0] != v.Shape[0] || u.Shape[2] != v.Shape[1])
        {
            throw new ShapeMismatchException($"BatchedMatMul: u {u.Shape} · v {v.Shape} needs [batch, rows, inner] · "
                + "[batch, inner, columns] with equal batch and inner.");
        }
        Device.RequireSame(nameof(BatchedMatMul), "u", u.Backend, "v", v.Backend);
        var y = Tensor.Result(new Shape(u.Shape[0], u.Shape[1], v.Shape[2]), u.Backend, equation: "Y[n] = U[n]·V[n]");
        y.Backend.Product(Batch(y), Batch(u), Batch(v));
        return y.GradientFor(u, "dU[n] += dY[n]·V[n]ᵀ", (dY, dU) => dU.AddProduct(Batch(dY), Batch(v).T), needs: v)
                .GradientFor(v, "dV[n] += U[n]ᵀ·dY[n]", (dY, dV) => dV.AddProduct(Batch(u).T, Batch(dY)), needs: u);
    }

    /// <summary>Y = Xᵀ, copied.</summary>
    /// <param name="x">[rows, columns]</param>
    /// <returns>[columns, rows]</returns>
    /// <exception cref="ShapeMismatchException">x is not a matrix.</exception>
    public static Tensor Transpose(this Tensor x)
    {
        if (x.Shape.Rank != 2)
        {
            throw new ShapeMismatchException($"Transpose: needs a matrix, got x {x.Shape}.");
        }
        var y = Tensor.Result(new Shape(x.Shape.Columns, x.Shape.Rows), x.Backend, equation: "Y = Xᵀ");
        y.Backend.Transpose(y.Data, x.Data, x.Shape.Rows, x.Shape.Columns);
        return y.GradientFor(x, "dX += dYᵀ", (dY, dX) =>
        {
            using var transposed = Tensor.Empty(x.Shape, dY.Backend);
            dY.Backend.Transpose(transposed.Data, dY.Data, dY.Shape.Rows, dY.Shape.Columns);
            dX.Add(transposed);
        });
    }

    /// <summary>The same values in another shape; the memory is shared.</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="shape">A shape with as many elements.</param>
    /// <exception cref="ShapeMismatchException">The number of elements differs.</exception>
    public static Tensor Reshape(this Tensor x, Shape shape)
    {
        if (shape.Count != x.Shape.Count)
        {
            throw new ShapeMismatchException(
                $"Reshape: x {x.Shape} has {x.Shape.Count} elements, {shape} has {shape.Count}.");
        }
        return x.View(shape).GradientFor(x, "dX += dY", (dY, dX) => dX.Add(dY));
    }

    private static Matrix Batch(Tensor x) =>
        new(x.Data, x.Shape[1], x.Shape[2], x.Shape[2], batch: x.Shape[0], batchStride: x.Shape[1] * x.Shape[2]);

    /// <summary>
    /// Throws where a fully connected layer cannot be computed, in whatever form its weight [out,
    /// in] is kept.
    /// </summary>
    private static void RequireLinear(string op, Tensor x, Shape weight, IBackend backend, Tensor? bias)
    {
        if (weight.Rank != 2 || x.Shape.Rank == 0 || x.Shape.Columns != weight.Columns)
        {
            throw new ShapeMismatchException(
                $"{op}: x {x.Shape} · weight {weight}ᵀ needs a weight of shape [out, {x.Shape.Columns}].");
        }
        Device.RequireSame(op, "x", x.Backend, "weight", backend);
        Device.RequireSame(op, "x", x.Backend, "bias", bias?.Backend ?? x.Backend);
        if (bias is not null && (bias.Shape.Rank != 1 || bias.Shape.Count != weight.Rows))
        {
            throw new ShapeMismatchException(
                $"{op}: weight {weight} needs a bias of shape [{weight.Rows}], got {bias.Shape}.");
        }
    }

    private static void RequireProduct(string op, Tensor x, Tensor w, string nameOfX = "x", string nameOfW = "w")
    {
        if (w.Shape.Rank == 2 && x.Shape.Rank >= 1 && x.Shape.Columns == w.Shape[0])
        {
            Device.RequireSame(op, nameOfX, x.Backend, nameOfW, w.Backend);
            return;
        }
        var hint = w.Shape.Rank == 2 && w.Shape[1] == x.Shape.Columns
            ? $" Did you mean {nameOfW}.Transpose(), or Linear({nameOfX}, {nameOfW})?" : "";
        throw new ShapeMismatchException($"{op}: {nameOfX} {x.Shape} · {nameOfW} {w.Shape} needs {nameOfW} of shape "
            + $"[{x.Shape.Columns}, out]: equal inner dimensions.{hint}");
    }
}
