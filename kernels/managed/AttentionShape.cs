namespace LoraScratch.Kernels;

/// <summary>
/// The queries of an attention where not every token asks; every token of their sequence answers.
/// </summary>
/// <param name="Offsets">
/// [sequences + 1], from 0 to the number of queries, never falling: sequence s has the queries
/// Offsets[s] … Offsets[s+1]−1, perhaps none.
/// </param>
/// <param name="Tokens">
/// [queries]: the row of each in the packed batch, from which its dropout is drawn.
/// </param>
/// <param name="Longest">The largest number of queries of one sequence.</param>
internal readonly record struct AttentionQueries(DeviceBuffer<int> Offsets, DeviceBuffer<int> Tokens, int Longest);

/// <summary>The settings of one attention call.</summary>
/// <param name="Heads">Number of heads; the width of a head is columns / heads.</param>
/// <param name="Scale">The factor on Q·Kᵀ, usually 1/√width.</param>
/// <param name="LongestSequence">
/// The largest number of rows of one sequence: bounds the scratch memory.
/// </param>
/// <param name="Dropout">Probability of dropping an attention probability; 0 in evaluation.</param>
/// <param name="Seed">
/// Philox stream of the dropout mask. The element for query token i (its row in the packed batch),
/// head h and key position j within the sequence has index (i·Heads + h)·2¹⁶ + j in the stream's
/// 64-bit index space, so the mask does not depend on how the work is cut.
/// </param>
internal readonly record struct AttentionShape(int Heads, float Scale, int LongestSequence, float Dropout = 0,
    ulong Seed = 0);
