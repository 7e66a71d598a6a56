namespace LoraScratch.Base;

/// <summary>
/// The files of the built-in base model are resources of this assembly, and nothing else is in it.
/// LoraScratch.Lora has no reference to it and looks for this type by its name.
/// </summary>
internal static class BaseFiles;
