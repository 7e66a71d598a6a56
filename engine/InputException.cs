namespace LoraScratch.Engine;

/// <summary>
/// A mistake in what the user gave: a file, an option, a data row. The message is written for that
/// user (which file or option, what was expected, what was found, how to mend it); a program prints
/// it without a stack trace. A fault of the program itself is never thrown as this type.
/// </summary>
/// <param name="message">The whole message, complete sentences.</param>
public sealed class InputException(string message) : Exception(message);
