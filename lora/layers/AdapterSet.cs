using System.Globalization;
using System.Text;
using LoraScratch.Engine;

namespace LoraScratch.Lora;

/// <summary>What one adapter of a set is doing.</summary>
/// <param name="Name">Its name in the set.</param>
/// <param name="IsActive">Whether the model computes with it now.</param>
/// <param name="IsMerged">Whether its updates stand in W.</param>
/// <param name="Layers">How many layers it adapts.</param>
/// <param name="OwnParameters">
/// Elements that belong to it: A, B, and what is trained beside them.
/// </param>
/// <param name="TrainableParameters">How many of those training would change.</param>
internal sealed record AdapterState(string Name, bool IsActive, bool IsMerged, int Layers, long OwnParameters,
    long TrainableParameters);

/// <summary>
/// Several named adapters of one base, of which one at most is active: the base weights exist once,
/// and switching exchanges the small parts that belong to an adapter. Which adapter is active and
/// which are trainable are two things: an adapter keeps its own training state while another one is
/// active, and only the active one's parameters are in the model, where an optimizer finds them.
/// Adding an adapter leaves the active one as it is.
/// </summary>
internal sealed class AdapterSet
{
    /// <summary>The name for the base without any adapter.</summary>
    public const string Base = "base";

    private readonly OrderedDictionary<string, LoRAAdapter> adapters = [];

    /// <summary>The names, in the order in which they were added.</summary>
    public IReadOnlyList<string> Names => [.. adapters.Keys];

    /// <summary>The name of the active adapter; null while the base computes alone.</summary>
    public string? Active { get; private set; }

    /// <summary>An adapter by its name.</summary>
    /// <exception cref="InputException">There is none of that name.</exception>
    public LoRAAdapter this[string name] => adapters.TryGetValue(name, out var adapter)
        ? adapter
        : throw new InputException($"There is no adapter '{name}'; the adapters are "
            + $"{(adapters.Count == 0 ? "none" : string.Join(", ", adapters.Keys))}.");

    /// <summary>What each adapter is doing.</summary>
    public IReadOnlyList<AdapterState> States =>
        [.. adapters.Select(entry =>
            new AdapterState(entry.Key, entry.Key == Active, entry.Value.IsMerged, entry.Value.Layers.Count,
                entry.Value.OwnParameters, entry.Value.TrainableParameters))];

    /// <summary>Adds an adapter. It is not active afterwards; what was active still is.</summary>
    /// <param name="name">Its name: not empty, not taken, and not "base".</param>
    /// <param name="attach">
    /// Attaches it, new or from a file, to a model on the common base, while no adapter of the set
    /// is attached: LoRAAdapter.Attach(model, …), say.
    /// </param>
    /// <returns>What <paramref name="attach"/> gave back, detached.</returns>
    /// <exception cref="InputException">The name cannot be used.</exception>
    public LoRAAdapter Add(string name, Func<LoRAAdapter> attach)
    {
        if (name.Length == 0 || name == Base || adapters.ContainsKey(name))
        {
            var fault = name.Length == 0 ? "it is empty"
                : name == Base ? "it means the model without any"
                : "another one has it";
            throw new InputException($"'{name}' cannot be the name of an adapter: {fault}. Give it another name.");
        }
        var active = Active;
        Disable();
        try
        {
            var adapter = attach();
            if (!adapter.IsAttached)
            {
                throw new InvalidOperationException($"AdapterSet: the adapter '{name}' is not attached to its model.");
            }
            adapter.Detach();
            adapters.Add(name, adapter);
            return adapter;
        }
        finally
        {
            if (active is not null)
            {
                Activate(active);
            }
        }
    }

    /// <summary>
    /// Makes an adapter the one that the model computes with; a merged one that was active is
    /// unmerged and gives W back, bit for bit.
    /// </summary>
    /// <exception cref="InputException">There is none of that name.</exception>
    public void Activate(string name)
    {
        var adapter = this[name];
        if (name != Active)
        {
            Disable();
            adapter.Attach();
            Active = name;
        }
    }

    /// <summary>Lets the base compute alone.</summary>
    public void Disable()
    {
        if (Active is not null)
        {
            adapters[Active].Detach();
            Active = null;
        }
    }

    /// <summary>Forgets an adapter; the base computes alone if it was the active one.</summary>
    /// <returns>The adapter, detached.</returns>
    /// <exception cref="InputException">There is none of that name.</exception>
    public LoRAAdapter Remove(string name)
    {
        var adapter = this[name];
        if (name == Active)
        {
            Disable();
        }
        adapters.Remove(name);
        return adapter;
    }

    /// <summary>The adapters as a table, one line each.</summary>
    public override string ToString()
    {
        var states = States;
        var width = states.Select(state => state.Name.Length).Append(Base.Length).Max();
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{(Active is null ? '*' : ' ')} {Base.PadRight(width)}  frozen\n");
        foreach (var state in states)
        {
            var settings = adapters[state.Name].Plan.Settings;
            var trainable = state.TrainableParameters == 0
                ? "frozen"
                : $"{state.TrainableParameters:N0} of them trainable";
            text.Append(CultureInfo.InvariantCulture,
                $"{(state.IsActive ? '*' : ' ')} {state.Name.PadRight(width)}  {state.Layers} layers, rank "
                    + $"{settings.Rank}, s = {settings.Scaling:G5}; ")
                .Append(CultureInfo.InvariantCulture,
                    $"{state.OwnParameters:N0} parameters, {trainable}{(state.IsMerged ? "; merged" : "")}\n");
        }
        return text.Append("* computes now").ToString();
    }
}
