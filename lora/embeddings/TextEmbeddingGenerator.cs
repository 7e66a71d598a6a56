using LoraScratch.Engine;
using LoraScratch.Kernels;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Tokenizers;
using Microsoft.Extensions.AI;

namespace LoraScratch.Embeddings;

/// <summary>
/// An encoder that gives each text a vector, near to those of texts with a similar meaning where it
/// was trained for that. Any number of threads may ask it at a time; a text's vector has the same
/// bits alone and among others.
/// <code>
/// using var generator = TextEmbeddingGenerator.Load("all-MiniLM-L6-v2");
/// var embeddings = await generator.GenerateAsync(["A lovely film!", "I liked the picture."]);
/// </code>
/// </summary>
public sealed class TextEmbeddingGenerator : IEmbeddingGenerator<string, Embedding<float>>
{
    private const int TextsOfBatch = 32;

    private readonly EncoderForSequenceClassification model;
    private readonly Tokenizer tokenizer;
    private readonly EmbeddingGeneratorMetadata metadata;
    private int disposed;

    private TextEmbeddingGenerator(LoadedModel loaded, string name, EmbeddingPooling pooling, bool normalizes,
        int maxLength)
    {
        (model, tokenizer) = (loaded.Model, loaded.Tokenizer);
        (Pooling, Normalizes, MaxLength) = (pooling, normalizes, maxLength);
        metadata = new EmbeddingGeneratorMetadata("lorascratch", defaultModelId: name,
            defaultModelDimensions: Dimensions);
    }

    /// <summary>How the vectors of a text's tokens become one.</summary>
    public EmbeddingPooling Pooling { get; }

    /// <summary>Whether every vector has the length 1, so that a product is a cosine.</summary>
    public bool Normalizes { get; }

    /// <summary>Tokens of a text at most; the rest of a longer one is left out.</summary>
    public int MaxLength { get; }

    /// <summary>Numbers of a vector.</summary>
    public int Dimensions => model.Config.Hidden;

    /// <summary>Loads an encoder.</summary>
    /// <param name="path">
    /// A model folder as Hugging Face has them, with or without a head, or ORG/NAME in the Hugging
    /// Face cache; null: the built-in base model, of the package LoraScratch.Base.
    /// </param>
    /// <param name="pooling">
    /// Null: as 1_Pooling/config.json of sentence-transformers says, the mean without one.
    /// </param>
    /// <param name="normalize">
    /// Null: as modules.json of sentence-transformers says, true without one.
    /// </param>
    /// <param name="maxLength">
    /// Null: as sentence_bert_config.json or the tokenizer's files say, at most the model's
    /// positions.
    /// </param>
    /// <param name="backend">Where to put it; default <see cref="Device.Default"/>.</param>
    /// <param name="warn">Is told what the files leave open, a sentence each; may be null.</param>
    /// <exception cref="InputException">
    /// There is nothing of that name; a file is missing or wrong, or asks for another pooling or
    /// module.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// There is no path, and the program has no package LoraScratch.Base.
    /// </exception>
    public static TextEmbeddingGenerator Load(string? path = null, EmbeddingPooling? pooling = null,
        bool? normalize = null, int? maxLength = null, IBackend? backend = null, Action<string>? warn = null)
    {
        var source = path is null ? ModelSource.BuiltIn : ModelSource.Named(path);
        var files = source.Path is { } folder ? SentenceFolder.Read(folder) : new(null, null, null);
        using var opened = source.Open();
        // the head is not asked, so that it need not be one of classes
        var loaded = opened.Load(labels: new EncoderConfig().Labels, newHead: true, backend: backend);
        foreach (var notice in source.Notices(loaded.Notices()))
        {
            warn?.Invoke(notice);
        }
        if ((pooling ?? files.Pooling) is null || (normalize ?? files.Normalize) is null)
        {
            warn?.Invoke($"{source}: has no modules.json, which would say how vectors are made of tokens: they are "
                + "the mean, normalised, where pooling and normalize do not say otherwise.");
        }
        return new TextEmbeddingGenerator(loaded, source.Reference, pooling ?? files.Pooling ?? EmbeddingPooling.Mean,
            normalize ?? files.Normalize ?? true, loaded.Model.Config.MaxTokens(loaded.Tokenizer, maxLength
                ?? (files.MaxLength is { } longest ? Math.Min(longest, loaded.Model.Config.MaxPositions) : null)));
    }

    /// <summary>Gives each text its vector, in order.</summary>
    /// <param name="values">Any strings.</param>
    /// <param name="options">
    /// Null, or the model and the number of dimensions that this generator has: it has no other.
    /// </param>
    /// <param name="cancellationToken">Ends the work between two batches.</param>
    /// <returns>
    /// The vectors; one of a text that was cut has "truncated" among its AdditionalProperties.
    /// Usage has the number of tokens.
    /// </returns>
    /// <exception cref="InputException">The options ask for another model or dimension.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The generator was disposed.</exception>
    public Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(IEnumerable<string> values,
        EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(values);
        ObjectDisposedException.ThrowIf(Volatile.Read(ref disposed) != 0, this);
        Require(options);
        return Task.Run(() => Generate(values, cancellationToken), cancellationToken);
    }

    /// <summary>This generator, or what it says about itself.</summary>
    /// <param name="serviceType">
    /// <see cref="EmbeddingGeneratorMetadata"/>, or a type that this object has.
    /// </param>
    /// <param name="serviceKey">Null: there are no others.</param>
    /// <returns>Null where there is no such thing.</returns>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is not null ? null
            : serviceType == typeof(EmbeddingGeneratorMetadata) ? metadata
            : serviceType.IsInstanceOfType(this) ? this : null;
    }

    /// <summary>Gives the memory of the model back, after the batch that is under way.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref disposed, 1) == 0)
        {
            using var turn = model.Backend.TakeTurn();
            foreach (var weight in model.Weights())
            {
                weight.Dispose();
            }
        }
    }

    private void Require(EmbeddingGenerationOptions? options)
    {
        if (options?.Dimensions is { } wanted && wanted != Dimensions)
        {
            throw new InputException($"Option 'Dimensions' is {wanted}; the vectors of this model have {Dimensions}. "
                + "Leave it out.");
        }
        if (options?.ModelId is { } other && other != metadata.DefaultModelId)
        {
            throw new InputException($"Option 'ModelId' is {other}; this generator has {metadata.DefaultModelId} "
                + "alone. Leave it out.");
        }
    }

    private GeneratedEmbeddings<Embedding<float>> Generate(IEnumerable<string> values, CancellationToken cancellation)
    {
        var embeddings = new GeneratedEmbeddings<Embedding<float>>();
        var tokens = 0L;
        var encoded = values.Select(text => tokenizer.EncodeIds(text ?? throw new ArgumentException(
            "One of the texts is null.", nameof(values)), second: null, MaxLength));
        foreach (var batch in TextClassifier.Batches(encoded, text => text.Ids.Length, TextsOfBatch))
        {
            cancellation.ThrowIfCancellationRequested();
            var vectors = new float[batch.Count][];
            foreach (var group in Enumerable.Range(0, batch.Count)
                .GroupBy(i => TextClassifier.IsShort(batch[i].Ids.Length)))
            {
                int[] indices = [.. group];
                foreach (var (i, vector) in indices.Zip(Vectors([.. indices.Select(i => batch[i])], group.Key)))
                {
                    vectors[i] = vector;
                }
            }
            foreach (var (text, vector) in batch.Zip(vectors))
            {
                tokens += text.Ids.Length;
                embeddings.Add(new Embedding<float>(vector)
                {
                    ModelId = metadata.DefaultModelId,
                    AdditionalProperties = text.IsTruncated ? new() { ["truncated"] = true } : null,
                });
            }
        }
        embeddings.Usage = new UsageDetails { InputTokenCount = tokens, TotalTokenCount = tokens };
        return embeddings;
    }

    /// <summary>The vectors of a batch, in one turn on the device.</summary>
    /// <param name="texts">At least one.</param>
    /// <param name="areShort">
    /// As <see cref="TextClassifier.IsShort"/> says of each: so its bits do not depend on others.
    /// </param>
    private IEnumerable<float[]> Vectors(EncodedText[] texts, bool areShort)
    {
        using var turn = model.Backend.TakeTurn();
        ObjectDisposedException.ThrowIf(Volatile.Read(ref disposed) != 0, this);
        using var scope = new TensorScope();
        using var frozen = new NoGradient();
        using var independent = IndependentRows.As(areShort ? IndependentRows.Few : IndependentRows.Many);
        using var tokens = new PackedTokens(PackedBatch.Of([.. texts.Select(text => new EncodedExample(text))]),
            model.Backend);
        var isFirst = Pooling == EmbeddingPooling.FirstToken;
        var rows = model.Encoder.Forward(tokens, isFirst ? tokens.FirstTokens : null).ToArray();
        var vectors = new List<float[]>();
        var start = 0;
        foreach (var text in texts)
        {
            var length = (isFirst ? 1 : text.Ids.Length) * Dimensions;
            vectors.Add(Pooled(rows.AsSpan(start, length)));
            start += length;
        }
        return vectors;
    }

    /// <summary>
    /// The mean of some rows, of length 1 where that is wanted; added up in double.
    /// </summary>
    /// <param name="rows">[tokens, dimensions]</param>
    private float[] Pooled(ReadOnlySpan<float> rows)
    {
        var sums = new double[Dimensions];
        for (var i = 0; i < rows.Length; i++)
        {
            sums[i % sums.Length] += rows[i];
        }
        // a text that has a vector of zeros keeps it
        var divisor = Normalizes ? Math.Max(Math.Sqrt(sums.Sum(sum => sum * sum)), double.Epsilon)
            : rows.Length / sums.Length;
        return Array.ConvertAll(sums, sum => (float)(sum / divisor));
    }
}
