using LoraScratch.Engine;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// Support tickets as an application exports them: German and English, names of columns that nobody
/// expects, semicolons, and every fault that such files have. The same in every run.
/// </summary>
internal static class Tickets
{
    private static readonly string[] Queues = ["Billing", "Login", "Shipping", "Returns", "Technical issues"];

    private static readonly string[] English =
    [
        "I was charged twice for order {0}, please give me the second payment back.",
        "I cannot sign in since yesterday, and the mail for {0} never came.",
        "Where is my box {0}? It should have been here three days ago.",
        "I want to send back order {0}, it does not fit me at all.",
        "The program stops with number {0} every time that I open the second page.",
    ];

    private static readonly string[] German =
    [
        "Mir wurde die Bestellung {0} zweimal berechnet, bitte erstatten Sie mir den Betrag.",
        "Seit gestern kann ich mich nicht mehr anmelden, die Mail zu {0} kommt nicht an.",
        "Wo bleibt mein Paket {0}? Es sollte schon vor drei Tagen in der Hauptstraße sein.",
        "Ich möchte die Bestellung {0} zurückschicken, sie passt überhaupt nicht.",
        "Die Anwendung stürzt mit Fehler {0} ab, sobald ich die Einstellungen öffne.",
    ];

    /// <summary>The file.</summary>
    /// <param name="rows">At least 100.</param>
    /// <param name="clean">Without a fault: in English alone, each text once.</param>
    public static string Csv(int rows, bool clean = false)
    {
        var random = new RandomStream(seed: 1);
        var lines = new List<string> { "Nr;Datum;Beschreibung;Kategorie" };
        var before = "";
        for (var i = 0; i < rows; i++)
        {
            var queue = random.NextBelow(Queues.Length);
            var isGerman = random.NextBelow(10) < 4 && !clean;
            var text = string.Format((isGerman ? German : English)[queue], 10_000 + i);
            var label = Queues[queue];
            if (!clean)
            {
                (text, label) = (i % 100) switch
                {
                    11 => (i % 200 == 11 ? "" : "  ", label),
                    23 => (text, ""),
                    37 => (string.Join(' ', Enumerable.Repeat(text, 40)), label),
                    41 => (before, label),
                    53 => (text, "billing"),
                    67 => (text, "Technical issue"),
                    79 when i < 500 => (text, "Fraud"),
                    _ => (text, label),
                };
            }
            before = text;
            lines.Add($"T-{10_000 + i};2024-{1 + i % 12:D2}-{1 + i % 28:D2};{text};{label}");
        }
        return string.Join('\n', lines) + "\n";
    }
}
