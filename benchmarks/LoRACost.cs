using BenchmarkDotNet.Attributes;
using LoraScratch.Benchmarks.Report;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;
using LoraScratch.Lora;

namespace LoraScratch.Benchmarks;

/// <summary>
/// What does a low-rank adapter cost beside the layer that it adapts? The first three methods are
/// the bare products, in the letters of <see cref="LoRAGradients"/>; the last is the layer that a
/// user calls, with autograd and its memory. W·x has no rank: its time is taken once per size, as
/// rank 0 (see <see cref="BenchmarkSettings"/>), and the ratios to it are taken in turn, for every
/// rank.
/// </summary>
public abstract class LoRACost
{
    private const float Scaling = 2;     // alpha/rank = 16/8

    private const int Rounds = 11;
    private const double WindowSeconds = 0.005;

    private static readonly Dictionary<(string Class, string Method, string Device, int Width, int Tokens, int Rank),
        Spread> Ratios = [];

    private readonly List<Tensor> tensors = [];
    private IBackend? backend;
    private LinearWithLoRA? layer;
    private Tensor? input, upstream;

    /// <summary>Where it runs.</summary>
    [ParamsSource(nameof(Devices))]
    public string Device { get; set; } = "";

    /// <summary>N, the rows of x.</summary>
    [Params(1, 32, 128, 1024)]
    public int Tokens { get; set; }

    /// <summary>
    /// d, the width of input and output: 768 as in DistilBERT and BERT-base, 4096 as in a 7B model.
    /// </summary>
    [Params(768, 4096)]
    public int Width { get; set; }

    /// <summary>r; 0 is the layer without an adapter.</summary>
    [Params(0, 4, 8, 16, 64)]
    public int Rank { get; set; }

    /// <summary>The devices to measure.</summary>
    public static IEnumerable<string> Devices => Backends.Names;

    /// <summary>
    /// What a method of a class takes beside W·x, measured in turn with it; null where it was not.
    /// </summary>
    internal static Spread? RatioOf(string name, string method, string device, int width, int tokens, int rank) =>
        Ratios.TryGetValue((name, method, device, width, tokens, rank), out var ratio) ? ratio : null;

    /// <summary>The class, of which BenchmarkDotNet makes others that derive from it.</summary>
    private protected abstract string Name { get; }

    /// <summary>The methods, W·x first.</summary>
    private protected abstract IReadOnlyList<Way> Ways { get; }

    /// <summary>The device, open.</summary>
    private protected IBackend Backend => backend!;

    /// <summary>A linear layer without bias, W [d, d], and its adapter.</summary>
    private protected LinearWithLoRA Layer => layer!;

    /// <summary>x [N, d]; it has a gradient, as every layer's input but the first one's.</summary>
    private protected Tensor Input => input!;

    /// <summary>dY [N, d]</summary>
    private protected Tensor Upstream => upstream!;

    private protected Matrix X => Input.Matrix;
    private protected Matrix DY => Upstream.Matrix;
    private protected Matrix W => Layer.Base.Weight.Matrix;
    private protected Matrix A => Layer.Lora.A.Matrix;
    private protected Matrix B => Layer.Lora.B.Matrix;

    /// <summary>xA [N, r]</summary>
    private protected Matrix Z { get; private set; }

    /// <summary>s·dY·Bᵀ [N, r]</summary>
    private protected Matrix U { get; private set; }

    /// <summary>[N, d]</summary>
    private protected Matrix Y { get; private set; }

    private protected Matrix DX { get; private set; }
    private protected Matrix DA { get; private set; }
    private protected Matrix DB { get; private set; }

    /// <summary>
    /// Draws values; B is not zero, since subnormal or zero products may take another time.
    /// </summary>
    [GlobalSetup]
    public void SetUp()
    {
        backend = Backends.Open(Device);
        var random = new RandomStream(1);
        var rank = Math.Max(Rank, 1);
        layer = new LinearWithLoRA(new Linear(Width, Width, random, bias: false, Backend),
            new LoRASettings(rank, Scaling * rank), random);
        layer.Lora.B.Set(random.Uniform(rank * Width, 0.1f));
        input = Tensor.From(random.Uniform(Tokens * Width, 1), new Shape(Tokens, Width), Backend,
            requiresGradient: true);
        upstream = Tensor.From(random.Uniform(Tokens * Width, 1), new Shape(Tokens, Width), Backend);
        (Z, U) = (Zeros(Tokens, rank), Zeros(Tokens, rank));
        (Y, DX) = (Zeros(Tokens, Width), Zeros(Tokens, Width));
        (DA, DB) = (Zeros(Width, rank), Zeros(rank, Width));
        MeasureRatios();
    }

    /// <summary>Ends the device's threads and gives its memory back.</summary>
    [GlobalCleanup]
    public void CleanUp()
    {
        tensors.Clear();
        backend?.Dispose();
    }

    /// <summary>Z = xA, Y = s·ZB</summary>
    private protected void LowRankProducts()
    {
        Backend.Product(Z, X, A);
        Backend.Product(Y, Z, B, Scaling);
    }

    /// <summary>Z = xA, Y = xWᵀ + s·ZB</summary>
    private protected void AllProducts()
    {
        Backend.Product(Z, X, A);
        Backend.SumOfProducts(Y, null, X, W.T, Z, B, Scaling);
    }

    private protected static float ScalingFactor => Scaling;

    /// <summary>
    /// All methods of a size in turn, once: BenchmarkDotNet measures one after the other, and a
    /// machine that others use too is another one by then.
    /// </summary>
    private void MeasureRatios()
    {
        if (Rank == 0 || RatioOf(Name, Ways[0].Name, Device, Width, Tokens, Rank) is not null)
        {
            return;
        }
        var times = InTurn.Measure(Backend, Rounds, WindowSeconds, Ways);
        for (var i = 0; i < Ways.Count; i++)
        {
            Ratios[(Name, Ways[i].Name, Device, Width, Tokens, Rank)] = times.Ratio(i, to: 0);
        }
    }

    private Matrix Zeros(int rows, int columns)
    {
        var tensor = Tensor.Zeros(new Shape(rows, columns), Backend);
        tensors.Add(tensor);
        return tensor.Matrix;
    }
}

/// <summary>
/// The forward pass alone: 2Nd² operations for W·x, 4Ndr for x·A·B, a ratio of 2r/d.
/// </summary>
[Products(OfWeight = 1, OfRank = 2)]
public class LoRAForward : LoRACost
{
    private protected override string Name => nameof(LoRAForward);

    private protected override IReadOnlyList<Way> Ways =>
    [
        new(nameof(Weight), Weight), new(nameof(LowRank), LowRank), new(nameof(Both), Both),
        new(nameof(FullLayer), FullLayer),
    ];

    [Benchmark(Baseline = true, Description = "W·x")]
    public void Weight()
    {
        Backend.Product(Y, X, W.T);
        Backend.Synchronize();
    }

    [Benchmark(Description = "x·A·B")]
    public void LowRank()
    {
        LowRankProducts();
        Backend.Synchronize();
    }

    [Benchmark(Description = "W·x + x·A·B")]
    public void Both()
    {
        AllProducts();
        Backend.Synchronize();
    }

    [Benchmark(Description = "LinearWithLoRA")]
    public void FullLayer()
    {
        using var frozen = new NoGradient();
        using var scope = new TensorScope();
        Layer.Forward(Input);
        Backend.Synchronize();
    }
}

/// <summary>
/// Forward and backward pass with W frozen: 4Nd² operations for W·x (y and dX), 12Ndr for x·A·B (z,
/// y, u, dA, dB, dX), a ratio of 3r/d.
/// </summary>
[Products(OfWeight = 2, OfRank = 6)]
public class LoRATraining : LoRACost
{
    private protected override string Name => nameof(LoRATraining);

    private protected override IReadOnlyList<Way> Ways =>
    [
        new(nameof(Weight), Weight), new(nameof(LowRank), LowRank), new(nameof(Both), Both),
        new(nameof(FullLayer), FullLayer),
    ];

    [Benchmark(Baseline = true, Description = "W·x")]
    public void Weight()
    {
        Backend.Product(Y, X, W.T);
        Backend.Product(DX, DY, W);                        // dX = dY·W
        Backend.Synchronize();
    }

    [Benchmark(Description = "x·A·B")]
    public void LowRank()
    {
        LowRankProducts();
        FactorGradients();
        Backend.Product(DX, U, A.T);                       // dX = U·Aᵀ
        Backend.Synchronize();
    }

    [Benchmark(Description = "W·x + x·A·B")]
    public void Both()
    {
        AllProducts();
        FactorGradients();
        Backend.Product(DX, DY, W);
        Backend.AddProduct(DX, U, A.T);                    // dX = dY·W + U·Aᵀ
        Backend.Synchronize();
    }

    /// <summary>
    /// Its backward pass starts by copying dY [N, d], which inside a network it would get from the
    /// layer above.
    /// </summary>
    [Benchmark(Description = "LinearWithLoRA")]
    public void FullLayer()
    {
        using var scope = new TensorScope();
        Layer.Forward(Input).Backward(Upstream);
        Layer.Lora.A.ZeroGradient();
        Layer.Lora.B.ZeroGradient();
        Input.ZeroGradient();
        Backend.Synchronize();
    }

    private void FactorGradients()
    {
        Backend.Product(U, DY, B.T, ScalingFactor);        // U = s·dY·Bᵀ
        Backend.Product(DB, Z.T, DY, ScalingFactor);       // dB = s·Zᵀ·dY
        Backend.Product(DA, X.T, U);                       // dA = xᵀ·U
    }
}
