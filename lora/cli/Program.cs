using System.Text;
using LoraScratch.Cli;

Processes.BePlain();
// JSON is UTF-8 whatever the system's own encoding is, and so is everything else that we print.
Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
TerminalStream.Install();
return await CommandLine.Run(args);
