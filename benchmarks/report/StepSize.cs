using LoraScratch.Kernels;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Benchmarks.Report;

/// <summary>The size of a LoRA step on query and value of a DistilBERT-shaped classifier.</summary>
/// <param name="Layers">Blocks.</param>
/// <param name="Hidden">
/// d, the width of a token's vector; that of the feed-forward layers is 4d, that of a head 64.
/// </param>
/// <param name="Batch">B, the texts.</param>
/// <param name="Length">s, the tokens of each.</param>
/// <param name="Rank">r</param>
internal sealed record StepSize(int Layers, int Hidden, int Batch, int Length, int Rank)
{
    private const int HeadWidth = 64;
    private const int ProjectionsOfBlock = 12;          // in units of d²: query, key, value, output, and twice 4

    /// <summary>A bench of this size: SGD, no dropout, the head frozen.</summary>
    /// <param name="backend">Where it computes.</param>
    public StepBench Bench(IBackend backend) => new(backend, TrainingStep.Dropping(new EncoderConfig
    {
        Layers = Layers,
        Hidden = Hidden,
        Heads = Hidden / HeadWidth,
        FeedForward = 4 * Hidden,
    }), TrainingStep.QueryAndValue(Rank), Batch, Length);

    /// <summary>The tokens of a batch.</summary>
    public double Tokens => (double)Batch * Length;

    /// <summary>
    /// Operations of a forward pass in which every token of every block is computed: 2·in·out a
    /// row for a linear layer, 4·B·s²·d for attention.
    /// </summary>
    public double ForwardFlops => Layers * (Linear(ProjectionsOfBlock) + Attention(2) + Low(4));

    /// <summary>
    /// The same with the backward pass: dX of every layer above the first adapter, and of A and B
    /// what they need; the frozen weights have no gradient. Attention's gradient is four products
    /// of its size, without dK in the first block three.
    /// </summary>
    public double StepFlops => ForwardFlops
        + (Layers - 1) * (Linear(ProjectionsOfBlock) + Attention(4) + Low(8))
        + Linear(ProjectionsOfBlock - 3) + Attention(3) + Low(6);

    private double Linear(int squares) => 2 * Tokens * squares * Hidden * Hidden;

    private double Attention(int products) => 2.0 * products * Tokens * Length * Hidden;

    private double Low(int products) => 2.0 * products * Tokens * Hidden * Rank;
}
