namespace LoraScratch.Engine.NN;

/// <summary>
/// A module that computes nothing: a name on the path to others, and perhaps a parameter of theirs.
/// </summary>
internal sealed class ModuleGroup : Module
{
    /// <summary>Registers a parameter under its name.</summary>
    internal Parameter Hold(Parameter parameter) => Add(parameter);
}
