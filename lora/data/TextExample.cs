namespace LoraScratch.Lora.Data;

/// <summary>One row of a data set.</summary>
/// <param name="Text">What the model reads.</param>
/// <param name="Label">The index of its class, or <see cref="NoLabel"/>.</param>
/// <param name="Origin">
/// Where in its source it stands, for messages: "line 12", "pos/0_9.txt".
/// </param>
internal readonly record struct TextExample(string Text, int Label, string Origin)
{
    /// <summary>The label of an example whose class is not known.</summary>
    public const int NoLabel = -1;
}
