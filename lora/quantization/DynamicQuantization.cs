using LoraScratch.Engine;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Quantization;

/// <summary>
/// Dynamic quantisation of chosen linear layers of a model, for prediction: weights become INT8
/// with a scale for each output, inputs are rounded on the fly (<see cref="DynamicInt8Linear"/> has
/// the equations). Nothing has to be learnt for it, so calibration texts are only needed to measure
/// what it costs: <see cref="Listen"/>.
/// <para>
/// The layers may be those of a model that was compressed before (<see cref="LowRankLinear"/>): a
/// target that means such a layer means both of its thin factors. x·Dᵀ is then rounded on the way
/// to U, and the numbers of the model shrink by the product of both factors: k·(in + out)/(in·out)
/// of the weights, in a quarter of the bytes.
/// </para>
/// </summary>
internal sealed class DynamicQuantization : IDisposable
{
    private readonly List<Place> places;

    private DynamicQuantization(List<Place> places) => this.places = places;

    /// <summary>The layers' paths, in the model's order.</summary>
    public IReadOnlyList<string> Paths => [.. places.Select(place => place.Layer.Path)];

    /// <summary>Rounds the weights of the chosen layers; the model is not changed yet.</summary>
    /// <param name="layers">
    /// From <see cref="ModelQuantizer.Find"/>, of a model without LoRA.
    /// </param>
    /// <exception cref="InputException">
    /// A weight is not finite, or a layer has more inputs than an integer sum has room for.
    /// </exception>
    public static DynamicQuantization Of(IReadOnlyList<QuantizableLayer> layers)
    {
        var places = new List<Place>();
        try
        {
            foreach (var layer in layers)
            {
                var linear = layer.Linear;
                places.Add(new Place(layer,
                    ChannelQuantizedWeight.Quantize(linear.Weight.ToArray(), linear.OutFeatures, linear.InFeatures,
                        linear.Weight.Backend, layer.Path)));
            }
        }
        catch
        {
            places.ForEach(place => place.Weight.Dispose());
            throw;
        }
        return new DynamicQuantization(places);
    }

    /// <summary>
    /// Measures the error of each layer's output while the model runs, until the returned object is
    /// disposed: every layer computes with floats, hands that on, and computes the same with whole
    /// numbers beside it. The errors of layers before it are therefore not in a layer's error.
    /// </summary>
    public IDisposable Listen() => new Listening(places);

    /// <summary>
    /// Puts the quantised layers into the model; biases stay as they are, and the float weights
    /// give their memory back.
    /// </summary>
    /// <returns>What it did to each layer.</returns>
    /// <exception cref="InvalidOperationException">
    /// It is done already, or a <see cref="Listen"/> is not ended.
    /// </exception>
    public IReadOnlyList<QuantizedLayer> Apply()
    {
        if (places.Exists(place => place.Layer.Submodule.Current != place.Layer.Linear))
        {
            throw new InvalidOperationException("DynamicQuantization: a layer is not where it was. Dispose what "
                + "Listen() returned first, and apply only once.");
        }
        return [.. places.Select(place => place.Apply())];
    }

    /// <summary>Gives the memory of weights back that were not applied.</summary>
    public void Dispose() => places.ForEach(place => place.Dispose());

    private sealed class Place(QuantizableLayer layer, ChannelQuantizedWeight weight) : IDisposable
    {
        private bool isApplied;

        public QuantizableLayer Layer => layer;

        public ChannelQuantizedWeight Weight => weight;

        public double? OutputError { get; set; }

        public QuantizedLayer Apply()
        {
            var w = layer.Linear.Weight.ToArray();
            layer.Submodule.Replace(new DynamicInt8Linear(weight, layer.Linear.Bias));
            layer.Linear.Weight.Dispose();
            isApplied = true;
            return new QuantizedLayer(layer.Path, QuantizationError.OfWeight(w, weight.Dequantize()), OutputError,
                sizeof(float) * (long)w.Length, weight.Bytes);
        }

        public void Dispose()
        {
            if (!isApplied)
            {
                weight.Dispose();
            }
        }
    }

    private sealed class Listening : IDisposable
    {
        private readonly List<(Place Place, Listener Listener)> listeners = [];

        public Listening(List<Place> places)
        {
            foreach (var place in places)
            {
                var listener = new Listener(place.Layer.Linear, place.Weight);
                listeners.Add((place, listener));
                place.Layer.Submodule.Replace(listener);
            }
        }

        public void Dispose()
        {
            foreach (var (place, listener) in listeners)
            {
                place.OutputError = listener.RelativeError;
                place.Layer.Submodule.Replace(place.Layer.Linear);
                listener.Dispose();
            }
            listeners.Clear();
        }
    }

    /// <summary>
    /// The float layer, with the squared norms of its output, without the bias, and of the error.
    /// </summary>
    private sealed class Listener : Layer, IDisposable
    {
        private readonly Submodule<Linear> linear;
        private readonly ChannelQuantizedWeight weight;
        private readonly Tensor squares, errors;

        public Listener(Linear linear, ChannelQuantizedWeight weight)
        {
            this.linear = Add("linear", linear);
            this.weight = weight;
            squares = Tensor.Zeros(new Shape(1), weight.Backend);
            errors = Tensor.Zeros(new Shape(1), weight.Backend);
        }

        /// <summary>‖XWᵀ − X̂Ŵᵀ‖/‖XWᵀ‖; null without calibration.</summary>
        public double? RelativeError =>
            squares.Item() is var sum and > 0 ? Math.Sqrt(errors.Item() / (double)sum) : null;

        public override Tensor Forward(Tensor x)
        {
            Measure(x);
            return linear.Value.Forward(x);
        }

        public void Dispose()
        {
            squares.Dispose();
            errors.Dispose();
        }

        private void Measure(Tensor x)
        {
            using var recording = new NoGradient();
            using var scope = new TensorScope();
            var y = x.Linear(linear.Value.Weight);
            y.Backend.AddSumOfSquares(squares.Data, [y.Data]);
            y.Backend.AddScaled(y.Data, -1, x.DynamicInt8Linear(weight).Data);
            y.Backend.AddSumOfSquares(errors.Data, [y.Data]);
        }
    }
}
