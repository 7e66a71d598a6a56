using LoraScratch.Engine;
using LoraScratch.Engine.NN;

namespace LoraScratch.Tests.Lora;

/// <summary>Module trees under the names of real models.</summary>
internal static class Models
{
    /// <summary>A module whose children are given from outside; it computes nothing.</summary>
    internal sealed class Node : Module
    {
        public Node With(string name, Layer layer)
        {
            Add(name, layer);
            return this;
        }

        public Node With(string name, Node node)
        {
            Add(name, node);
            return this;
        }

        /// <summary>A place that takes nothing but a Linear.</summary>
        public Node WithFixed(string name, Linear linear)
        {
            Add(name, linear);
            return this;
        }
    }

    /// <summary>
    /// A small classifier that computes: an attention-like block of q_lin and v_lin, then
    /// pre_classifier and classifier.
    /// </summary>
    internal sealed class Classifier : Layer
    {
        private readonly Submodule<Node> block;
        private readonly Submodule<Layer> preClassifier, classifier;

        public Classifier(RandomStream random, int width = 6, int classes = 2)
        {
            block = Add("block", new Node().With("q_lin", new Linear(width, width, random))
                .With("k_lin", new Linear(width, width, random)).With("v_lin", new Linear(width, width, random)));
            preClassifier = Add<Layer>("pre_classifier", new Linear(width, width, random));
            classifier = Add<Layer>("classifier", new Linear(width, classes, random));
        }

        public override Tensor Forward(Tensor x)
        {
            using var scope = new TensorScope();
            var h = Block("q_lin").Forward(x).Tanh().Multiply(Block("v_lin").Forward(x)).Add(Block("k_lin").Forward(x));
            return scope.Return(classifier.Value.Forward(preClassifier.Value.Forward(h).Relu()));
        }

        private Layer Block(string name) => (Layer)block.Value.Children.Single(child => child.Name == name).Current;
    }

    /// <summary>
    /// The linear layers of DistilBERT under its paths: attention of every layer, and the head.
    /// </summary>
    internal static Node DistilBert(RandomStream random, int layers = 6, int width = 768)
    {
        var layer = new Node();
        for (var i = 0; i < layers; i++)
        {
            var attention = new Node();
            foreach (var name in (string[])["q_lin", "k_lin", "v_lin", "out_lin"])
            {
                attention.With(name, Linear(width, width));
            }
            layer.With($"{i}", new Node().With("attention", attention));
        }
        return new Node().With("distilbert", new Node().With("transformer", new Node().With("layer", layer)))
            .With("pre_classifier", Linear(width, width)).With("classifier", Linear(width, 2));

        // Values in a cheap pattern: drawing 14 million numbers is not what is tested.
        Linear Linear(int inFeatures, int outFeatures)
        {
            var seed = random.NextWord() % 97;
            return new Linear(inFeatures, outFeatures,
                [.. Enumerable.Range(0, inFeatures * outFeatures).Select(i => ((i + seed) % 13 - 6) * 0.01f)],
                    new float[outFeatures]);
        }
    }
}
