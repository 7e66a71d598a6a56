using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels;

/// <summary>
/// Everything the engine asks of a device, one method per kernel: the SIMD backend on the CPU and
/// the ILGPU backend implement the same contract and stand the same tests. A user of the library
/// holds a backend, says where tensors go with it, and writes ops of his own with its products; the
/// other kernels are the engine's.
/// <list type="bullet">
/// <item>
/// The destination comes first. Kernels named Add… add to it, or, where it is an
/// <see cref="Accumulator"/> that is empty, write it; all others overwrite it. No kernel may be
/// given a destination that is also an input, except where its page says "in place".
/// </item>
/// <item>
/// Matrices are row-major; a parameter documented [rows, columns] is a dense buffer of exactly that
/// many elements.
/// </item>
/// <item>The caller (the engine's ops) has checked every shape; kernels only Debug.Assert.</item>
/// <item>
/// Results do not depend on the number of threads: work is cut into blocks whose size depends on
/// the shape alone.
/// </item>
/// <item>
/// Any number of threads may issue kernels: they run one after the other, in the order in which
/// they got their turn (<see cref="TakeTurn"/> keeps it over many). What two threads do to one
/// buffer is for them to order. Kernels may run later than the call; <see cref="Download{T}"/> and
/// <see cref="Synchronize"/> wait.
/// </item>
/// </list>
/// </summary>
public interface IBackend : IDisposable
{
    /// <summary>Device and code path in words, such as "CPU, AVX-512, 2 threads".</summary>
    string Description { get; }

    /// <summary>
    /// What the bits of a result depend on: the device and code path, without the number of
    /// threads. Equal words, equal results.
    /// </summary>
    string Arithmetic => Description;

    /// <summary>Whether its buffers lie in the memory of the host; a GPU has its own.</summary>
    internal bool UsesHostMemory { get; }

    /// <summary>What the pool holds and what is lent out of it.</summary>
    internal MemoryUse Memory { get; }

    /// <summary>
    /// Lets <see cref="MemoryUse.PeakInUse"/> begin again with what is lent now.
    /// </summary>
    internal void ForgetPeak();

    /// <summary>
    /// Waits until no other thread computes on the device and keeps the others out until the turn
    /// is disposed, on the same thread: a whole forward pass in one turn is handed over once and
    /// not at every kernel, and its working memory exists once.
    /// </summary>
    internal DeviceTurn TakeTurn();

    // ---------------------------------------------------------------- memory

    /// <summary>Lends a buffer from the pool; its contents are undefined.</summary>
    /// <param name="length">Elements.</param>
    /// <param name="lasting">
    /// Whether it outlives what is lent before and after it, as the gradient of a parameter
    /// outlives activations: it is put where it does not stand between their gaps.
    /// </param>
    internal DeviceBuffer<T> Allocate<T>(int length, bool lasting = false) where T : unmanaged;

    /// <summary>Copies host memory to the start of a buffer.</summary>
    internal void Upload<T>(DeviceBuffer<T> destination, ReadOnlySpan<T> source) where T : unmanaged;

    /// <summary>
    /// Waits for the kernels before it and copies the start of a buffer to host memory.
    /// </summary>
    internal void Download<T>(Span<T> destination, DeviceBuffer<T> source) where T : unmanaged;

    /// <summary>
    /// The first number of each of several buffers, with one wait: what a step reports.
    /// </summary>
    internal float[] DownloadFirsts(IReadOnlyList<DeviceBuffer<float>> sources);

    /// <summary>Waits until every kernel issued so far has ended.</summary>
    void Synchronize();

    /// <summary>yᵢ = value</summary>
    internal void Fill(DeviceBuffer<float> y, float value);

    /// <summary>yᵢ = xᵢ</summary>
    internal void Copy(DeviceBuffer<float> y, DeviceBuffer<float> x);

    // ---------------------------------------------------------------- matrix products

    /// <summary>Y = scale · A·B for each matrix of the batch.</summary>
    /// <param name="y">[M, N], not transposed</param>
    /// <param name="a">[M, K]</param>
    /// <param name="b">[K, N]</param>
    /// <param name="scale">A factor on the product.</param>
    void Product(Matrix y, Matrix a, Matrix b, float scale = 1);

    /// <summary>Y += scale · A·B for each matrix of the batch.</summary>
    /// <param name="y">[M, N], not transposed</param>
    /// <param name="a">[M, K]</param>
    /// <param name="b">[K, N]</param>
    /// <param name="scale">A factor on the product.</param>
    void AddProduct(Matrix y, Matrix a, Matrix b, float scale = 1);

    /// <summary>
    /// Y = Z + scale · A·B: a bias or a low-rank update is added where the product is written, and
    /// Z is read only once.
    /// </summary>
    /// <param name="y">[M, N], not transposed, one matrix over a whole buffer</param>
    /// <param name="z">
    /// As Y; or <see cref="Matrix.EveryRow"/>: one row [N], added to every row
    /// </param>
    /// <param name="a">[M, K]</param>
    /// <param name="b">[K, N]</param>
    /// <param name="scale">A factor on the product.</param>
    internal void ProductPlus(Matrix y, Matrix z, Matrix a, Matrix b, float scale = 1);

    /// <summary>
    /// Y = Z + A·B + scale · C·D, with the bits of <see cref="ProductPlus"/> and
    /// <see cref="AddProduct(Matrix, Matrix, Matrix, float)"/> one after the other: a layer with a
    /// low-rank update, C·D of a depth far below that of A·B. Where it can, Y is written only once.
    /// </summary>
    /// <param name="y">[M, N], not transposed, one matrix over a whole buffer</param>
    /// <param name="z">As there; null: none</param>
    /// <param name="a">[M, K]</param>
    /// <param name="b">[K, N]</param>
    /// <param name="c">[M, r]</param>
    /// <param name="d">[r, N]</param>
    /// <param name="scale">A factor on the second product.</param>
    internal void SumOfProducts(Matrix y, Matrix? z, Matrix a, Matrix b, Matrix c, Matrix d, float scale);

    /// <summary>
    /// Y = A·B with a packed weight B: X·Ŵᵀ of a quantised layer with b = w.T, dY·Ŵ with b = w.
    /// </summary>
    /// <param name="y">[M, N], not transposed, one matrix</param>
    /// <param name="a">[M, K], not transposed, one matrix</param>
    /// <param name="b">[K, N]</param>
    internal void Product(Matrix y, Matrix a, QuantizedMatrix b);

    /// <summary>Y += A·B with a packed weight B.</summary>
    /// <param name="y">[M, N], not transposed, one matrix</param>
    /// <param name="a">[M, K], not transposed, one matrix</param>
    /// <param name="b">[K, N]</param>
    internal void AddProduct(Matrix y, Matrix a, QuantizedMatrix b);

    /// <summary>
    /// Chooses codes of 8 bits for every row of X. With lo = min(0, minⱼ x[i, j]), hi = max(0, maxⱼ
    /// x[i, j]): β = (hi − lo)/255, or the smallest normal float where that is smaller; ζ =
    /// round(−lo/β); code = round(x/β) + ζ, cut to 0 … 255. So β·(code − ζ) is x to within β·(1/2 +
    /// 2⁻¹²), and exactly 0 for 0. A row with a number that is not finite gets a β that is not a
    /// number, and passes it on to its row of Y.
    /// </summary>
    /// <param name="codes">
    /// [rows, columns rounded up to a multiple of 4], written; what fills a row up is undefined
    /// </param>
    /// <param name="grids">β and ζ of each row, [rows], written</param>
    /// <param name="x">[rows, columns]</param>
    internal void QuantizeRows(DeviceBuffer<byte> codes, DeviceBuffer<RowGrid> grids, DeviceBuffer<float> x);

    /// <summary>S = A·Bᵀ in whole numbers: S[i, j] = Σₖ a[i, k]·b[j, k], exact.</summary>
    /// <param name="s">[M, out]</param>
    /// <param name="a">
    /// [M, <see cref="Int8Matrix.RowStride"/>], from <see cref="QuantizeRows"/>
    /// </param>
    /// <param name="b">[out, in]</param>
    internal void Product(DeviceBuffer<int> s, DeviceBuffer<byte> a, Int8Matrix b);

    /// <summary>
    /// Y[i, j] = (βᵢ·αⱼ)·(S[i, j] − ζᵢ·Σₖ b[j, k]) + bias[j]: what the sums of
    /// <see cref="Product(DeviceBuffer{int}, DeviceBuffer{byte}, Int8Matrix)"/> stand for. The
    /// bracket is a whole number; it is rounded to float32, multiplied with the rounded product of
    /// the scales, and the bias is added, in that order.
    /// </summary>
    /// <param name="y">[M, out]</param>
    /// <param name="s">[M, out]</param>
    /// <param name="grids">[M]</param>
    /// <param name="b">[out, in]</param>
    /// <param name="bias">[out], or null for none</param>
    internal void Dequantize(DeviceBuffer<float> y, DeviceBuffer<int> s, DeviceBuffer<RowGrid> grids, Int8Matrix b,
        DeviceBuffer<float>? bias);

    /// <summary>Y = Xᵀ</summary>
    /// <param name="y">[columns, rows]</param>
    /// <param name="x">[rows, columns]</param>
    /// <param name="rows">Rows of x.</param>
    /// <param name="columns">Columns of x.</param>
    internal void Transpose(DeviceBuffer<float> y, DeviceBuffer<float> x, int rows, int columns);

    // ---------------------------------------------------------------- elementwise

    /// <summary>yᵢ = f(xᵢ); in place allowed.</summary>
    internal void Map<TFormula>(DeviceBuffer<float> y, DeviceBuffer<float> x) where TFormula : struct, IFormula;

    /// <summary>
    /// dXᵢ += dYᵢ · f′(xᵢ, yᵢ). A buffer that the derivative does not read (see
    /// <see cref="IFormula.DerivativeReads"/>) may be null.
    /// </summary>
    internal void AddMapGradient<TFormula>(Accumulator dX, DeviceBuffer<float> dY, DeviceBuffer<float>? x,
        DeviceBuffer<float>? y) where TFormula : struct, IFormula;

    /// <summary>yᵢ = α·aᵢ + β·bᵢ; in place allowed.</summary>
    internal void WeightedSum(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> a, float beta,
        DeviceBuffer<float> b);

    /// <summary>yᵢ += α·xᵢ</summary>
    internal void AddScaled(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x);

    /// <summary>yᵢ = α·yᵢ in several buffers.</summary>
    /// <param name="ys">Any number, of any length, none twice.</param>
    /// <param name="alpha">A factor.</param>
    internal void Scale(IReadOnlyList<DeviceBuffer<float>> ys, float alpha);

    /// <summary>yᵢ = α·xᵢ; in place allowed.</summary>
    internal void Scale(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x);

    /// <summary>yᵢ = aᵢ·bᵢ; in place allowed.</summary>
    internal void Multiply(DeviceBuffer<float> y, DeviceBuffer<float> a, DeviceBuffer<float> b);

    /// <summary>yᵢ += aᵢ·bᵢ</summary>
    internal void AddMultiply(Accumulator y, DeviceBuffer<float> a, DeviceBuffer<float> b);

    /// <summary>yᵢ += α·x₀: the gradient of a sum spread over its terms.</summary>
    /// <param name="y">Any length.</param>
    /// <param name="alpha">A factor.</param>
    /// <param name="x">[1]</param>
    internal void AddBroadcast(Accumulator y, float alpha, DeviceBuffer<float> x);

    /// <summary>
    /// yᵢ = xᵢ/(1−p) where the i-th draw of stream <paramref name="seed"/> keeps the element
    /// (probability 1−p), else 0. The draw is Philox4x32-10(key = seed, counter = i/4), word i mod
    /// 4; see <see cref="Philox"/>. In place allowed.
    /// </summary>
    /// <param name="y">Any length.</param>
    /// <param name="x">The same length.</param>
    /// <param name="probability">p in [0, 1)</param>
    /// <param name="seed">Names the stream.</param>
    /// <param name="rows">
    /// Where x has only some rows of a larger matrix: which, so that each has the draws that it has
    /// there. Null: element i has the i-th draw.
    /// </param>
    internal void Dropout(DeviceBuffer<float> y, DeviceBuffer<float> x, float probability, ulong seed, MaskRows? rows);

    /// <summary>
    /// dXᵢ += dYᵢ/(1−p) where <see cref="Dropout"/> with the same seed and rows kept element i: the
    /// mask is drawn again, not stored.
    /// </summary>
    internal void AddDropoutGradient(Accumulator dX, DeviceBuffer<float> dY, float probability, ulong seed,
        MaskRows? rows);

    // ---------------------------------------------------------------- rows and columns

    /// <summary>y[i, j] = x[i, j] + b[j]; in place allowed.</summary>
    /// <param name="y">[rows, columns]</param>
    /// <param name="x">[rows, columns]</param>
    /// <param name="bias">[columns]</param>
    internal void PlusBias(DeviceBuffer<float> y, DeviceBuffer<float> x, DeviceBuffer<float> bias);

    /// <summary>y[j] += Σᵢ x[i, j], the rows summed in fixed blocks.</summary>
    /// <param name="y">[columns]</param>
    /// <param name="x">[rows, columns]</param>
    internal void AddColumnSums(Accumulator y, DeviceBuffer<float> x);

    /// <summary>y₀ = α·Σᵢ xᵢ, summed in fixed blocks.</summary>
    /// <param name="y">[1]</param>
    /// <param name="alpha">A factor (1/n gives the mean).</param>
    /// <param name="x">Any length.</param>
    internal void Sum(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x);

    /// <summary>
    /// y₀ += Σᵢ xᵢ² over several buffers, summed in fixed blocks: what a gradient norm is the root
    /// of.
    /// </summary>
    /// <param name="y">[1]</param>
    /// <param name="xs">Any number, of any length.</param>
    internal void AddSumOfSquares(Accumulator y, IReadOnlyList<DeviceBuffer<float>> xs);

    /// <summary>yᵢ = α·Σⱼ x[i·g + j] over groups of g neighbours.</summary>
    /// <param name="y">[n]</param>
    /// <param name="alpha">A factor (1/g gives the mean).</param>
    /// <param name="x">[n·g]</param>
    internal void GroupSums(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x);

    /// <summary>
    /// y[i·g + j] += α·xᵢ: the gradient of <see cref="GroupSums"/> spread over its terms.
    /// </summary>
    /// <param name="y">[n·g]</param>
    /// <param name="alpha">A factor.</param>
    /// <param name="x">[n]</param>
    internal void AddGroupBroadcast(Accumulator y, float alpha, DeviceBuffer<float> x);

    /// <summary>y[i, :] = softmax(x[i, :]) = exp(x − max) / Σ exp(x − max)</summary>
    /// <param name="y">[rows, columns]</param>
    /// <param name="x">[rows, columns]</param>
    /// <param name="columns">Length of a row.</param>
    internal void Softmax(DeviceBuffer<float> y, DeviceBuffer<float> x, int columns);

    /// <summary>dX[i, :] += y ⊙ (dY − ⟨dY, y⟩) row by row, for y = softmax(x).</summary>
    /// <param name="dX">[rows, columns]</param>
    /// <param name="dY">[rows, columns]</param>
    /// <param name="y">[rows, columns]</param>
    /// <param name="columns">Length of a row.</param>
    internal void AddSoftmaxGradient(Accumulator dX, DeviceBuffer<float> dY, DeviceBuffer<float> y, int columns);

    /// <summary>
    /// losses[i] = log Σⱼ exp(logits[i, j]) − logits[i, labels[i]], with the row's maximum taken
    /// out first.
    /// </summary>
    /// <param name="losses">[rows]</param>
    /// <param name="logits">[rows, classes]</param>
    /// <param name="labels">[rows], each in [0, classes)</param>
    internal void CrossEntropy(DeviceBuffer<float> losses, DeviceBuffer<float> logits, DeviceBuffer<int> labels);

    /// <summary>
    /// dLogits[i, j] += dLosses[i] · (softmax(logits[i, :])[j] − [j = labels[i]])
    /// </summary>
    /// <param name="dLogits">[rows, classes]</param>
    /// <param name="dLosses">[rows]</param>
    /// <param name="logits">[rows, classes]</param>
    /// <param name="labels">[rows]</param>
    internal void AddCrossEntropyGradient(Accumulator dLogits, DeviceBuffer<float> dLosses, DeviceBuffer<float> logits,
        DeviceBuffer<int> labels);

    /// <summary>
    /// x̂ = (x − mean)·rstd with mean and rstd = 1/√(variance + ε) of each row (biased variance), y
    /// = γ ⊙ x̂ + β.
    /// </summary>
    /// <param name="y">[rows, columns]</param>
    /// <param name="mean">[rows], written</param>
    /// <param name="rstd">[rows], written</param>
    /// <param name="x">[rows, columns]</param>
    /// <param name="gamma">[columns]</param>
    /// <param name="beta">[columns]</param>
    /// <param name="epsilon">ε</param>
    internal void LayerNorm(DeviceBuffer<float> y, DeviceBuffer<float> mean, DeviceBuffer<float> rstd,
        DeviceBuffer<float> x, DeviceBuffer<float> gamma, DeviceBuffer<float> beta, float epsilon);

    /// <summary>
    /// <see cref="LayerNorm"/> of x = u + v, a residual connection, with the bits of the sum and
    /// the norm one after the other.
    /// </summary>
    /// <param name="y">[rows, columns]</param>
    /// <param name="x">[rows, columns], written: the sum, which the gradient reads</param>
    /// <param name="mean">[rows], written</param>
    /// <param name="rstd">[rows], written</param>
    /// <param name="u">[rows, columns]</param>
    /// <param name="v">[rows, columns]</param>
    /// <param name="gamma">[columns]</param>
    /// <param name="beta">[columns]</param>
    /// <param name="epsilon">ε</param>
    internal void LayerNormOfSum(DeviceBuffer<float> y, DeviceBuffer<float> x, DeviceBuffer<float> mean,
        DeviceBuffer<float> rstd, DeviceBuffer<float> u, DeviceBuffer<float> v, DeviceBuffer<float> gamma,
        DeviceBuffer<float> beta, float epsilon);

    /// <summary>dX += rstd · (g − mean(g) − x̂·mean(g ⊙ x̂)) row by row, with g = dY ⊙ γ.</summary>
    /// <param name="dX">[rows, columns]</param>
    /// <param name="dY">[rows, columns]</param>
    /// <param name="x">[rows, columns]</param>
    /// <param name="mean">[rows]</param>
    /// <param name="rstd">[rows]</param>
    /// <param name="gamma">[columns]</param>
    internal void AddLayerNormGradient(Accumulator dX, DeviceBuffer<float> dY, DeviceBuffer<float> x,
        DeviceBuffer<float> mean, DeviceBuffer<float> rstd, DeviceBuffer<float> gamma);

    /// <summary>
    /// dγ[j] += Σᵢ dY[i, j]·x̂[i, j], the rows summed in fixed blocks (dβ is
    /// <see cref="AddColumnSums"/>).
    /// </summary>
    /// <param name="dGamma">[columns]</param>
    /// <param name="dY">[rows, columns]</param>
    /// <param name="x">[rows, columns]</param>
    /// <param name="mean">[rows]</param>
    /// <param name="rstd">[rows]</param>
    internal void AddLayerNormGammaGradient(Accumulator dGamma, DeviceBuffer<float> dY, DeviceBuffer<float> x,
        DeviceBuffer<float> mean, DeviceBuffer<float> rstd);

    /// <summary>y[i, :] = table[indices[i], :]</summary>
    /// <param name="y">[n, columns]</param>
    /// <param name="table">[rows, columns]</param>
    /// <param name="indices">[n], each in [0, rows)</param>
    /// <param name="columns">Length of a row.</param>
    internal void Gather(DeviceBuffer<float> y, DeviceBuffer<float> table, DeviceBuffer<int> indices, int columns);

    /// <summary>
    /// dTable[indices[i], :] += dY[i, :], in the order of i where an index comes twice.
    /// </summary>
    /// <param name="dTable">[rows, columns]</param>
    /// <param name="dY">[n, columns]</param>
    /// <param name="indices">[n]</param>
    /// <param name="columns">Length of a row.</param>
    internal void AddScatter(Accumulator dTable, DeviceBuffer<float> dY, DeviceBuffer<int> indices, int columns);

    // ---------------------------------------------------------------- attention

    /// <summary>
    /// Multi-head attention within each sequence of a packed batch: for sequence s (rows offsets[s]
    /// … offsets[s+1]−1) and head h (columns h·width …), O = D ⊙ softmax(scale·Q·Kᵀ) · V, where D
    /// is the dropout mask of the probabilities (all ones when p = 0; see
    /// <see cref="AttentionShape"/>). No score of two tokens of different sequences is ever
    /// computed.
    /// </summary>
    /// <param name="y">[queries, heads·width], written</param>
    /// <param name="logSumExp">
    /// [queries, heads], written: log Σⱼ exp(scale·qᵢ·kⱼ), from which the backward pass recomputes
    /// the probabilities.
    /// </param>
    /// <param name="q">[queries, heads·width]</param>
    /// <param name="k">[tokens, heads·width]</param>
    /// <param name="v">[tokens, heads·width]</param>
    /// <param name="offsets">[sequences + 1], rising from 0 to tokens</param>
    /// <param name="queries">Which tokens ask, at least one; null: all of them do.</param>
    /// <param name="shape">Heads, scale, longest sequence, dropout.</param>
    internal void Attention(DeviceBuffer<float> y, DeviceBuffer<float> logSumExp, DeviceBuffer<float> q,
        DeviceBuffer<float> k, DeviceBuffer<float> v, DeviceBuffer<int> offsets, AttentionQueries? queries,
        AttentionShape shape);

    /// <summary>
    /// The gradients of <see cref="Attention"/>, per sequence and head, with P = exp(scale·Q·Kᵀ −
    /// logSumExp) and D as in the forward pass: dV += (D⊙P)ᵀ·dY; dP = D ⊙ (dY·Vᵀ); dS = P ⊙ (dP −
    /// rowsum(dY ⊙ Y)); dQ += scale·dS·K; dK += scale·dSᵀ·Q. A destination that is null is not
    /// computed.
    /// </summary>
    /// <param name="dQ">[queries, heads·width] or null</param>
    /// <param name="dK">[tokens, heads·width] or null</param>
    /// <param name="dV">likewise</param>
    /// <param name="dY">[queries, heads·width]</param>
    /// <param name="y">The forward result.</param>
    /// <param name="logSumExp">Of the forward pass.</param>
    /// <param name="q">As in the forward pass.</param>
    /// <param name="k">As in the forward pass.</param>
    /// <param name="v">As in the forward pass.</param>
    /// <param name="offsets">[sequences + 1]</param>
    /// <param name="queries">As in the forward pass.</param>
    /// <param name="shape">As in the forward pass.</param>
    internal void AddAttentionGradient(Accumulator? dQ, Accumulator? dK, Accumulator? dV, DeviceBuffer<float> dY,
        DeviceBuffer<float> y, DeviceBuffer<float> logSumExp,
        DeviceBuffer<float> q, DeviceBuffer<float> k, DeviceBuffer<float> v, DeviceBuffer<int> offsets,
        AttentionQueries? queries, AttentionShape shape);

    // ---------------------------------------------------------------- optimizer updates

    /// <summary>
    /// One step of stochastic gradient descent, for several parameters: g ← g + weightDecay·w; with
    /// momentum μ > 0: b ← first step ? g : μ·b + g, g ← nesterov ? g + μ·b : b; w ← w − rate·g.
    /// (torch.optim.SGD with dampening 0.)
    /// </summary>
    /// <param name="parameters">w, dw and, with momentum, b.</param>
    /// <param name="step">Settings of this step.</param>
    internal void SgdStep(IReadOnlyList<SgdParameter> parameters, SgdStep step);

    /// <summary>
    /// One step of Adam or AdamW, for several parameters: Adam adds weightDecay·w to g; AdamW first
    /// shrinks w by rate·weightDecay; then m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², w ← w −
    /// rate·m̂/(√v̂ + ε) with m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ). (torch.optim.Adam,
    /// torch.optim.AdamW.)
    /// </summary>
    /// <param name="parameters">w, dw, m and v.</param>
    /// <param name="step">Settings of this step.</param>
    internal void AdamStep(IReadOnlyList<AdamParameter> parameters, AdamStep step);
}
