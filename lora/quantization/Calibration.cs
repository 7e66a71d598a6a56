using LoraScratch.Engine;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Quantization;

/// <summary>
/// Listens to the inputs of linear layers while the model runs over calibration texts, and keeps a
/// <see cref="CalibrationHessian"/> for each. The inputs are those of the float model: every layer
/// is calibrated in one pass, not each behind the quantised ones before it.
/// </summary>
internal sealed class Calibration : IDisposable
{
    private readonly Dictionary<string, Listener> listeners = [];
    private readonly List<Submodule> submodules = [];

    /// <summary>Begins to listen.</summary>
    /// <param name="layers">From <see cref="ModelQuantizer.Find"/>.</param>
    public Calibration(IReadOnlyList<QuantizableLayer> layers)
    {
        foreach (var layer in layers)
        {
            var listener = new Listener(layer.Linear);
            listeners.Add(layer.Path, listener);
            submodules.Add(layer.Submodule);
            layer.Submodule.Replace(listener);
        }
    }

    /// <summary>Listens while a model runs over texts.</summary>
    /// <param name="layers">Layers of the model, from <see cref="ModelQuantizer.Find"/>.</param>
    /// <param name="run">
    /// Runs the model; what it throws passes on, and the layers are then as they were.
    /// </param>
    public static Calibration Of(IReadOnlyList<QuantizableLayer> layers, Action run)
    {
        var calibration = new Calibration(layers);
        try
        {
            run();
            calibration.Stop();
            return calibration;
        }
        catch
        {
            calibration.Dispose();
            throw;
        }
    }

    /// <summary>True until <see cref="Stop"/>.</summary>
    public bool IsListening => submodules.Count > 0;

    /// <summary>What a layer's inputs look like.</summary>
    public CalibrationHessian this[string path] => listeners[path].Hessian;

    /// <summary>Puts the layers back as they were; what was learned stays.</summary>
    public void Stop()
    {
        foreach (var submodule in submodules)
        {
            submodule.Replace(((Listener)submodule.Current).Linear);
        }
        submodules.Clear();
    }

    /// <summary>Stops, and gives the memory back.</summary>
    public void Dispose()
    {
        Stop();
        foreach (var listener in listeners.Values)
        {
            listener.Hessian.Dispose();
        }
    }

    private sealed class Listener : Layer
    {
        private readonly Submodule<Linear> linear;

        public Listener(Linear linear)
        {
            this.linear = Add("linear", linear);
            Hessian = new CalibrationHessian(linear.InFeatures, linear.Weight.Backend);
        }

        public Linear Linear => linear.Value;

        public CalibrationHessian Hessian { get; }

        public override Tensor Forward(Tensor x)
        {
            Hessian.Add(x);
            return Linear.Forward(x);
        }
    }
}
