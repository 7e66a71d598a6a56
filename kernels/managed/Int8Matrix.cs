using System.Diagnostics;

namespace LoraScratch.Kernels;

/// <summary>
/// A weight of signed bytes as the integer product reads it: output j has a scale α of its own, and
/// its code c for input i stands for
/// <code>ŵ[j, i] = α[j] · c[j, i],   −127 ≤ c ≤ 127</code>
/// <para>
/// <b>Layout.</b> Panels of <see cref="PanelOutputs"/> outputs, one after the other. A panel holds,
/// for each <see cref="Quad"/> of neighbouring inputs, the four codes of its first output, the four
/// of its second, and so on: 64 bytes, in which a register finds the four codes that one
/// instruction multiplies with four of X and sums up. Where outputs or inputs are no multiple,
/// codes of 0 fill the rest.
/// </para>
/// <para>
/// <b>Range.</b> Codes of X are 0 to 255, so no sum of K products is beyond 255·127·K, and with at
/// most <see cref="MaxInputs"/> inputs 32 bits hold every sum exactly, in whatever order it is
/// added up: all devices and code paths give the same integers.
/// </para>
/// </summary>
/// <param name="Codes">[panels, quads of inputs, 16, 4]; see <see cref="Pack"/></param>
/// <param name="Scales">α [out]</param>
/// <param name="Sums">
/// C[j] = Σᵢ c[j, i], [out]: what the zero of a row of X is multiplied with.
/// </param>
/// <param name="Outputs">out</param>
/// <param name="Inputs">in, from 1 to <see cref="MaxInputs"/></param>
internal readonly record struct Int8Matrix(DeviceBuffer<sbyte> Codes, DeviceBuffer<float> Scales,
    DeviceBuffer<int> Sums, int Outputs, int Inputs)
{
    /// <summary>Outputs of a panel.</summary>
    public const int PanelOutputs = 16;

    /// <summary>Inputs whose codes lie together.</summary>
    public const int Quad = 4;

    /// <summary>
    /// The largest code; −128 is not used, so that a weight and its negative have codes of the same
    /// size.
    /// </summary>
    public const int LargestCode = 127;

    /// <summary>
    /// The most inputs for which no sum can leave 32 bits: ⌊(2³¹ − 1)/(255·127)⌋.
    /// </summary>
    public const int MaxInputs = int.MaxValue / (byte.MaxValue * LargestCode);

    /// <summary>
    /// The smallest scale of a weight or of a row of X: 2⁻¹²⁶, the smallest float whose reciprocal
    /// is one. Where all numbers are nearer to 0 than half of it, all codes are that of 0.
    /// </summary>
    public const float SmallestScale = 1.17549435e-38f;

    /// <summary>
    /// Codes from one row of X to the next: <see cref="Inputs"/>, rounded up to a multiple of four.
    /// </summary>
    public int RowStride => StrideOf(Inputs);

    /// <summary>Codes from one row of X to the next.</summary>
    public static int StrideOf(int inputs) => (inputs + Quad - 1) / Quad * Quad;

    /// <summary>Bytes of a weight's codes, whole panels.</summary>
    public static int CodesLength(int outputs, int inputs) =>
        checked((outputs + PanelOutputs - 1) / PanelOutputs * PanelOutputs * StrideOf(inputs));

    /// <summary>Brings codes into panels.</summary>
    /// <param name="panels"><see cref="CodesLength"/> codes, overwritten.</param>
    /// <param name="codes">[out, in]</param>
    /// <param name="inputs">in</param>
    public static void Pack(Span<sbyte> panels, ReadOnlySpan<sbyte> codes, int inputs)
    {
        Debug.Assert(codes.Length % inputs == 0 && panels.Length == CodesLength(codes.Length / inputs, inputs));
        panels.Clear();
        for (var output = 0; output < codes.Length / inputs; output++)
        {
            for (var input = 0; input < inputs; input++)
            {
                panels[First(output, inputs) + AfterFirst(input)] = codes[output * inputs + input];
            }
        }
    }

    /// <summary>Reads the codes of panels.</summary>
    /// <param name="codes">[out, in], overwritten</param>
    /// <param name="panels"><see cref="CodesLength"/> codes.</param>
    /// <param name="inputs">in</param>
    public static void Unpack(Span<sbyte> codes, ReadOnlySpan<sbyte> panels, int inputs)
    {
        Debug.Assert(codes.Length % inputs == 0 && panels.Length == CodesLength(codes.Length / inputs, inputs));
        for (var output = 0; output < codes.Length / inputs; output++)
        {
            for (var input = 0; input < inputs; input++)
            {
                codes[output * inputs + input] = panels[First(output, inputs) + AfterFirst(input)];
            }
        }
    }

    /// <summary>Where an output's first code lies.</summary>
    private static int First(int output, int inputs) =>
        output / PanelOutputs * PanelOutputs * StrideOf(inputs) + output % PanelOutputs * Quad;

    /// <summary>How far behind it another one.</summary>
    private static int AfterFirst(int input) => input / Quad * PanelOutputs * Quad + input % Quad;

    /// <summary>The shape for error messages, such as "INT8 [768, 3072]".</summary>
    public override string ToString() => $"INT8 [{Outputs}, {Inputs}]";
}

/// <summary>
/// What the codes of one row of X stand for: code q, 0 to 255, for Scale·(q − Zero).
/// </summary>
/// <param name="scale">
/// β &gt; 0; not a number where the row holds a number that is not finite
/// </param>
/// <param name="zero">ζ, 0 to 255: the code of 0</param>
internal readonly struct RowGrid(float scale, int zero)
{
    /// <summary>β: the distance of neighbouring codes.</summary>
    public readonly float Scale = scale;

    /// <summary>ζ: the code that stands for exactly 0.</summary>
    public readonly int Zero = zero;
}
