using System.CommandLine;
using LoraScratch.Cli.Tables;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Compression;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Reporting;

namespace LoraScratch.Cli;

/// <summary>lora inspect --spectrum: what an adapter learned.</summary>
internal sealed class SpectrumView
{
    private readonly Option<bool> spectrum = new("--spectrum")
    {
        Description = "Of an adapter: the singular values of every update, how many directions they amount to, the "
            + "energy of each rank, and where they lie beside the base's (intruder dimensions are marked).",
    };
    private readonly ModelOption model = new("With --spectrum: the folder of the base model",
        orElse: "the one that the adapter names");
    private readonly Option<int> directions = OptionKinds.Whole("--directions", "With --spectrum: how many of the "
        + "first singular vectors of each weight are compared with the base's.", 10);
    private readonly Option<double> energy = OptionKinds.Number("--energy", "With --spectrum: the share of the "
        + "energy of all updates that the proposed ranks keep.", 0.95);
    private readonly Option<string> svg = OptionKinds.Path("--svg", "FILE.svg", "With --spectrum: draws it.");
    private readonly Option<string> html = OptionKinds.Path("--html", "FILE", "With --spectrum: writes a page, one "
        + "file to open in a browser.");
    private readonly Option<string> pattern = OptionKinds.Path("--rank-pattern", "FILE.json", "With --spectrum: writes "
        + "the proposed ranks, as 'lora truncate --rank-pattern' takes them.");
    private readonly SideFileOptions files;

    public SpectrumView() => files = new(svg, html, pattern);

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(spectrum);
        model.AddTo(command);
        command.Add(directions);
        command.Add(energy);
        files.AddTo(command);
    }

    /// <summary>Whether the spectrum is asked for.</summary>
    public bool IsWanted(ParseResult parsed) => parsed.GetValue(spectrum);

    /// <summary>Refuses its options without it.</summary>
    /// <exception cref="InputException">One of them is given.</exception>
    public void RequireEffect(ParseResult parsed)
    {
        var given = new Option[] { directions, energy, svg, html, pattern }.FirstOrDefault(option =>
            parsed.GetResult(option) is { Implicit: false })?.Name ?? (model.IsGiven(parsed) ? "--model" : null);
        if (given is not null && !IsWanted(parsed))
        {
            throw new InputException($"{given} has no effect without --spectrum. Add it, or leave {given} out.");
        }
    }

    /// <summary>Prints it, and writes the files that are asked for.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="folder">The adapter.</param>
    /// <param name="anyBase">Whether another base than it was trained on will do.</param>
    /// <param name="cancellation">Ends the work between two layers.</param>
    public void Show(ParseResult parsed, string folder, bool anyBase, CancellationToken cancellation)
    {
        var (count, share) = (parsed.GetValue(directions), parsed.GetValue(energy));
        OptionKinds.RequirePositive(directions.Name, count);
        var picture = parsed.GetValue(svg) is { } path ? SvgFile.Require(svg.Name, path) : null;
        using var first = files.Reserve(parsed, svg, ("the adapter", folder));
        using var second = files.Reserve(parsed, html, ("the adapter", folder));
        using var third = files.Reserve(parsed, pattern, ("the adapter", folder));
        var truncation = AdapterTruncation.Read(folder);
        ModelOptions.Notices(folder, truncation.Warnings);
        var proposed = RankPattern.ForEnergy(truncation.Layers, share);
        var layers = Layers(parsed, truncation, folder, anyBase, count, cancellation);
        SpectrumTable.Print(layers, proposed, share, Console.Out);

        var name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)));
        if (picture is not null)
        {
            AtomicFile.WriteText(picture, SpectrumPicture.Draw($"Singular values of the updates of {name}", layers));
        }
        if (parsed.GetValue(html) is { } page)
        {
            AtomicFile.WriteText(page, new SpectrumPage(name, layers, proposed, share).Build());
            Console.WriteLine($"The page is in {page}; open it in a browser.");
        }
        if (parsed.GetValue(pattern) is { } ranks)
        {
            AtomicFile.WriteText(ranks, proposed.ToJson());
            Console.WriteLine("To take these ranks:");
            Console.WriteLine($"  {ShellWords.Join(["lora", "truncate", "--adapter", folder, "--rank-pattern", ranks,
                "--out", "smaller"])}");
        }
    }

    private List<LayerSpectrum> Layers(ParseResult parsed, AdapterTruncation truncation, string folder, bool anyBase,
        int count, CancellationToken cancellation)
    {
        using var backend = new CpuBackend();
        var weights = Base(parsed, folder) is { } source ? Weights(source, folder, anyBase, backend) : null;
        var layers = new List<LayerSpectrum>();
        TextProgress.Show(truncation.Layers.Count, "layers", done =>
        {
            foreach (var update in truncation.Layers)
            {
                cancellation.ThrowIfCancellationRequested();
                layers.Add(LayerSpectrum.Of(update, weights?.Invoke(update.Path), count));
                done(layers.Count);
            }
        });
        return layers;
    }

    /// <summary>Where the base is; null, and said, where it is not here.</summary>
    private ModelSource? Base(ParseResult parsed, string folder)
    {
        if (model.IsGiven(parsed))
        {
            return model.Source(parsed);
        }
        try
        {
            return AdapterBase.Find(folder);
        }
        catch (InputException e)
        {
            Console.Error.WriteLine(Terminal.Printable("note: directions are not compared with the base's: "
                + $"{e.Message} Name the base with --model."));
            return null;
        }
    }

    /// <summary>What gives the weight of a layer, as its update lies.</summary>
    private static Func<string, DenseMatrix> Weights(ModelSource source, string folder, bool anyBase,
        CpuBackend backend)
    {
        const string name = "adapter";
        var (classifier, _, notices) = ClassifierLoader.LoadAdapters(source, [(name, folder)], labels: null, anyBase,
            backend);
        ModelOptions.Notices(notices);
        var bases = classifier.PutIn(name).Layers.ToDictionary(layer => layer.Path, layer => layer.Layer.Base);
        return path =>
        {
            var layer = bases[path];
            var weight = DenseMatrix.From((Tensor)layer.Weight);
            return layer.IsEmbedding ? weight : weight.Transpose();
        };
    }
}
