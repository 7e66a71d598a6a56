#:project ../LoraScratch.Lora.csproj
#:property PublishAot=false

// LoRA on a task that fits on a screen: a linear layer must become another one that differs by a matrix of rank 1.
//     dotnet run -c Release lora/samples/lora-on-a-tiny-task.cs

using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Engine.Optim;
using LoraScratch.Lora;

const int rows = 16, inFeatures = 6, outFeatures = 4;
var random = new RandomStream(seed: 1);
var layer = new LinearWithLoRA(new Linear(inFeatures, outFeatures, random, bias: false), rank: 2, alpha: 4, random);

// The task: y = x·(W + ΔW)ᵀ with ΔW = u·vᵀ.
using var x = Tensor.From(random.Normal(rows * inFeatures, 1), new Shape(rows, inFeatures));
using var target = Task(x, layer.Base.Weight);

// Where is dW? And which gradient is 0 although it is computed?
Console.WriteLine(Explain.Run(() => layer.Forward(x).MeanSquaredError(target),
    [("X", x), ("W", layer.Base.Weight), ("T", target)]));
Console.WriteLine();

using var optimizer = new AdamW(layer.TrainableParameters(), learningRate: 0.02f, weightDecay: 0);
optimizer.ZeroGradient();                       // those that Explain computed
for (var step = 0; step <= 100; step++)
{
    using var scope = new TensorScope();
    var loss = layer.Forward(x).MeanSquaredError(target);
    if (step % 25 == 0)
    {
        Console.Write($"step {step,3}: loss {loss.Item():F5}");
    }
    loss.Backward();
    if (step % 25 == 0)
    {
        Console.WriteLine($", |dA| {Size(layer.Lora.A):F5}, |dB| {Size(layer.Lora.B):F5}");
    }
    optimizer.Step();
    optimizer.ZeroGradient();
}

Tensor Task(Tensor input, Tensor weight)
{
    using var scope = new TensorScope();
    using var u = Tensor.From(random.Normal(outFeatures, 1), new Shape(1, outFeatures));
    using var v = Tensor.From(random.Normal(inFeatures, 1), new Shape(inFeatures, 1));
    using var frozen = new NoGradient();
    return scope.Return(input.Linear(weight).AddMatMul(input.MatMul(v), u, 0.5f));
}

static double Size(Tensor parameter) => Math.Sqrt(parameter.Gradient!.ToArray().Sum(g => (double)g * g));
