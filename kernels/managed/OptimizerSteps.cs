namespace LoraScratch.Kernels;

/// <summary>What an SGD update reads and writes: buffers of the same length.</summary>
/// <param name="Weights">w, changed.</param>
/// <param name="Gradient">dw, read only.</param>
/// <param name="Velocity">b, changed; null when momentum is 0.</param>
internal readonly record struct SgdParameter(DeviceBuffer<float> Weights, DeviceBuffer<float> Gradient,
    DeviceBuffer<float>? Velocity);

/// <summary>What an Adam update reads and writes: buffers of the same length.</summary>
/// <param name="Weights">w, changed.</param>
/// <param name="Gradient">dw, read only.</param>
/// <param name="Mean">m, the first moment, changed.</param>
/// <param name="Square">v, the second moment, changed.</param>
internal readonly record struct AdamParameter(DeviceBuffer<float> Weights, DeviceBuffer<float> Gradient,
    DeviceBuffer<float> Mean, DeviceBuffer<float> Square);

/// <summary>The settings of one SGD update; see <see cref="IBackend.SgdStep"/>.</summary>
/// <param name="Rate">Learning rate.</param>
/// <param name="Momentum">μ</param>
/// <param name="WeightDecay">L2 factor.</param>
/// <param name="Nesterov">Nesterov's form of momentum.</param>
/// <param name="First">True on the first step, when the velocity starts as the gradient.</param>
internal readonly record struct SgdStep(float Rate, float Momentum, float WeightDecay, bool Nesterov, bool First);

/// <summary>
/// The settings of one Adam update; see <see cref="IBackend.AdamStep"/>. In double, as 1 − β₂ from
/// a float32 β₂ = 0.999 would be off by 1e-5.
/// </summary>
/// <param name="Rate">Learning rate.</param>
/// <param name="Beta1">β₁</param>
/// <param name="Beta2">β₂</param>
/// <param name="Epsilon">ε</param>
/// <param name="WeightDecay">Weight decay.</param>
/// <param name="Decoupled">True: AdamW; false: Adam.</param>
/// <param name="Number">t, counted from 1.</param>
internal readonly record struct AdamStep(double Rate, double Beta1, double Beta2, double Epsilon, double WeightDecay,
    bool Decoupled, int Number);
