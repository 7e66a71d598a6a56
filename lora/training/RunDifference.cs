namespace LoraScratch.Lora.Training;

/// <summary>What the result of a run is a function of.</summary>
internal enum RunPart
{
    /// <summary>The encoded examples: texts, labels, vocabulary, how they are parted.</summary>
    Data,

    /// <summary>The weights before the first step.</summary>
    Base,

    /// <summary>Of the program and of .NET.</summary>
    Version,

    /// <summary>Device and instruction set, which decide the order of additions.</summary>
    Arithmetic,

    /// <summary>Of the training.</summary>
    Options,
}

/// <summary>A part in which two runs differ.</summary>
/// <param name="Part">Which.</param>
/// <param name="Sentence">What it was and what it is, without a full stop.</param>
/// <param name="Remedy">What makes it the same again, without a full stop.</param>
internal sealed record RunDifference(RunPart Part, string Sentence, string Remedy);
