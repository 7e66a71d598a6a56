#:project ../LoraScratch.Lora.csproj
#:property PublishAot=false

// The gradients of y = xWᵀ + s·(xA)B with numbers that fit on paper: by hand, by autograd, and by moving one number.
//     dotnet run -c Release lora/samples/gradient-by-hand.cs

using LoraScratch.Engine;

const float s = 2;
using var x = Tensor.From(new float[,] { { 1, 2 } });                                   // x [1, 2]
using var w = Tensor.From(new float[,] { { 1, 0 }, { 0, 1 } });                         // W [2, 2], frozen
using var a = Tensor.From(new float[,] { { 1 }, { -1 } }, requiresGradient: true);      // A [2, 1]
using var b = Tensor.From(new float[,] { { 2, 1 } }, requiresGradient: true);           // B [1, 2]
using var target = Tensor.From(new float[,] { { 0, 0 } });

// By hand:
//     h  = x·A           = 1·1 + 2·(−1)           = −1
//     y  = x·Wᵀ + s·h·B  = (1, 2) + 2·(−1)·(2, 1) = (−3, 0)
//     L  = mean (y − target)²                     = 4.5
//     dY = 2/2 · (y − target)                     = (−3, 0)
//     dB = s·hᵀ·dY       = 2·(−1)·(−3, 0)         = (6, 0)
//     dH = s·dY·Bᵀ       = 2·(−3·2 + 0·1)         = −12
//     dA = xᵀ·dH         = (1, 2)ᵀ·(−12)          = (−12, −24)ᵀ
Print("by hand   ", [-12, -24], [6, 0]);

// By autograd: the ops record how to go back, Backward goes.
using (new TensorScope())
{
    Loss().Backward();
}
Print("autograd  ", a.Gradient!.ToArray(), b.Gradient!.ToArray());

// By moving one number at a time: (L(v + ε) − L(v − ε)) / 2ε.
Print("difference", Slopes(a), Slopes(b));

Tensor Loss() => x.Linear(w).AddMatMul(x.MatMul(a), b, s).MeanSquaredError(target);

float[] Slopes(Tensor tensor)
{
    const float epsilon = 0.125f;       // L is quadratic in each number: no truncation error, and 1/8 has no rounding
    var values = tensor.ToArray();
    return [.. values.Select((_, i) => (Moved(i, epsilon) - Moved(i, -epsilon)) / (2 * epsilon))];

    float Moved(int i, float by)
    {
        var moved = (float[])values.Clone();
        moved[i] += by;
        tensor.Set(moved);
        using var scope = new TensorScope();
        var loss = Loss().Item();
        tensor.Set(values);
        return loss;
    }
}

static void Print(string way, float[] dA, float[] dB) =>
    Console.WriteLine($"{way}  dA = ({string.Join(", ", dA)})ᵀ   dB = ({string.Join(", ", dB)})");
