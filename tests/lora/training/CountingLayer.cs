using LoraScratch.Engine;
using LoraScratch.Engine.NN;

namespace LoraScratch.Tests.Lora;

/// <summary>In the place of a layer: computes what that does, and says for how many rows.</summary>
internal sealed class CountingLayer : Layer
{
    private readonly Submodule<Layer> layer;
    private readonly Action<int> count;

    /// <param name="layer">Computes.</param>
    /// <param name="count">Is told the rows of every input.</param>
    public CountingLayer(Layer layer, Action<int> count) => (this.layer, this.count) = (Add("layer", layer), count);

    public override Tensor Forward(Tensor x)
    {
        count(x.Shape.Rows);
        return layer.Value.Forward(x);
    }
}
