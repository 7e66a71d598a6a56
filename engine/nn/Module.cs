using System.Text;

namespace LoraScratch.Engine.NN;

/// <summary>
/// A part of a model: parameters and child modules under names. A parameter's path is the names
/// joined by dots, which are also its key in a checkpoint.
/// </summary>
public abstract class Module
{
    private readonly List<Parameter> parameters = [];
    private readonly List<Submodule> children = [];
    private bool isTraining;

    /// <summary>A module of a model of its own.</summary>
    protected Module()
    {
    }

    /// <summary>
    /// A module that has children of another model: what is under way on one of the two is under
    /// way on both.
    /// </summary>
    internal Module(Module other) => Use = other.Use;

    /// <summary>
    /// True in training (dropout is active), false in evaluation. New modules are in evaluation
    /// until <see cref="Train"/>. While this thread predicts or evaluates it is false.
    /// </summary>
    public bool IsTraining => isTraining && !EvaluationMode.IsActive;

    /// <summary>What is under way on the model that this module belongs to.</summary>
    internal ModelUse Use { get; private set; } = new();

    /// <summary>The parameters of this module itself.</summary>
    public IReadOnlyList<Parameter> OwnParameters => parameters;

    /// <summary>The places of the child modules.</summary>
    internal IReadOnlyList<Submodule> Children => children;

    /// <summary>Registers a parameter under its name.</summary>
    protected Parameter Add(Parameter parameter)
    {
        RequireNew(parameter.Name);
        parameters.Add(parameter);
        return parameter;
    }

    /// <summary>
    /// Registers a child under a name, in a place where it can be replaced (by a version of it with
    /// LoRA, say).
    /// </summary>
    /// <typeparam name="T">
    /// What this module calls: a class of modules, or an interface that some have.
    /// </typeparam>
    /// <exception cref="ArgumentException">It is no module, or the name is taken.</exception>
    protected Submodule<T> Add<T>(string name, T module) where T : class
    {
        RequireNew(name);
        var child = module as Module ?? throw new ArgumentException(
            $"{GetType().Name}: '{name}' is a {module.GetType().Name}, which is no module.", nameof(module));
        var place = new Submodule(this, name, child, typeof(T));
        children.Add(place);
        child.Join(Use);
        return new Submodule<T>(place);
    }

    /// <summary>
    /// Registers a module below this one under a path; modules on the way that are not there yet
    /// are made, so that a checkpoint's names can be followed without a class for each.
    /// </summary>
    /// <typeparam name="T">As for <see cref="Add{T}"/>.</typeparam>
    /// <param name="path">Names joined by dots.</param>
    /// <param name="module">The module.</param>
    /// <exception cref="ArgumentException">It is no module, or the path is taken.</exception>
    internal Submodule<T> AddAt<T>(string path, T module) where T : class
    {
        var dot = path.LastIndexOf('.');
        return (dot < 0 ? this : Group(path[..dot])).Add(path[(dot + 1)..], module);
    }

    /// <summary>The module of a path below this one, made where it is not there yet.</summary>
    /// <param name="path">Names joined by dots.</param>
    internal Module Group(string path)
    {
        var group = this;
        foreach (var name in path.Split('.'))
        {
            group = group.children.Find(child => child.Name == name)?.Current
                ?? group.Add<Module>(name, new ModuleGroup()).Value;
        }
        return group;
    }

    /// <summary>Makes this module and all below it a part of a model.</summary>
    internal void Join(ModelUse use)
    {
        if (Use == use)
        {
            return;
        }
        Use = use;
        foreach (var child in children)
        {
            child.Current.Join(use);
        }
    }

    /// <summary>
    /// Every module below this one with its path, this one first under the path "".
    /// </summary>
    public IEnumerable<(string Path, Module Module)> NamedModules()
    {
        yield return ("", this);
        foreach (var child in children)
        {
            foreach (var (path, module) in child.Current.NamedModules())
            {
                yield return (path.Length == 0 ? child.Name : $"{child.Name}.{path}", module);
            }
        }
    }

    /// <summary>Those of <see cref="NamedModules()"/> that are of one type.</summary>
    /// <typeparam name="T">A class of modules: <see cref="WeightLayer"/>, say.</typeparam>
    public IEnumerable<(string Path, T Module)> NamedModules<T>() where T : Module
    {
        foreach (var (path, module) in NamedModules())
        {
            if (module is T found)
            {
                yield return (path, found);
            }
        }
    }

    /// <summary>
    /// Every place of a child below this module with its path. The child just returned may be
    /// replaced while enumerating; the replacement's own children are then passed over, so that a
    /// layer wrapped by its replacement is not met, and wrapped, again.
    /// </summary>
    internal IEnumerable<(string Path, Submodule Submodule)> NamedSubmodules()
    {
        foreach (var child in children)
        {
            var module = child.Current;
            yield return (child.Name, child);
            if (child.Current != module)
            {
                continue;
            }
            foreach (var (path, submodule) in module.NamedSubmodules())
            {
                yield return ($"{child.Name}.{path}", submodule);
            }
        }
    }

    /// <summary>
    /// The float linear layers below this module, each in a place that takes any layer. The one
    /// that was just returned may be replaced while enumerating, as with
    /// <see cref="NamedSubmodules"/>.
    /// </summary>
    internal IEnumerable<(string Path, Submodule Submodule, Linear Linear)> ReplaceableLinears()
    {
        foreach (var (path, submodule) in NamedSubmodules())
        {
            if (submodule.Current is Linear linear && submodule.Accepts(typeof(Layer)))
            {
                yield return (path, submodule, linear);
            }
        }
    }

    /// <summary>
    /// Every parameter below this module with its path, in order of registration.
    /// </summary>
    public IEnumerable<(string Path, Parameter Parameter)> NamedParameters() =>
        NamedModules().SelectMany(entry =>
            entry.Module.parameters.Select(parameter =>
                (entry.Path.Length == 0 ? parameter.Name : $"{entry.Path}.{parameter.Name}", parameter)));

    /// <summary>Every parameter below this module.</summary>
    public IEnumerable<Parameter> Parameters() => NamedParameters().Select(entry => entry.Parameter);

    /// <summary>
    /// Every weight below this module, each once: all parameters, and the weights of quantised
    /// layers, which are none.
    /// </summary>
    public IEnumerable<IWeight> Weights() =>
        Parameters().Concat(NamedModules<WeightLayer>().Select(entry => entry.Module.Weight)).Distinct();

    /// <summary>Elements of all weights below this module.</summary>
    public long CountWeights() => Weights().Sum(weight => (long)weight.Shape.Count);

    /// <summary>
    /// Bytes of all weights below this module: float32, and quantised ones as they are packed.
    /// </summary>
    public long WeightBytes() => Weights().Sum(weight => weight.Bytes);

    /// <summary>Checks that all weights below this module are floats.</summary>
    /// <param name="purpose">What needs them, as the beginning of a sentence.</param>
    /// <exception cref="InputException">One is quantised.</exception>
    internal void RequireFloatWeights(string purpose)
    {
        var (path, layer) = NamedModules<WeightLayer>().FirstOrDefault(entry => entry.Module.Weight.IsQuantized);
        if (layer is not null)
        {
            throw new InputException($"{purpose} needs float weights, and {path} is quantised, {layer}. "
                + "Name the model that this one was made of.");
        }
    }

    /// <summary>The parameters that are not frozen.</summary>
    public IEnumerable<Parameter> TrainableParameters() => Parameters().Where(parameter => parameter.IsTrainable);

    /// <summary>Switches this module and all below it to training or to evaluation.</summary>
    public void Train(bool training = true)
    {
        isTraining = training;
        foreach (var child in children)
        {
            child.Current.Train(training);
        }
    }

    /// <summary>Switches to evaluation: dropout off.</summary>
    public void Evaluate() => Train(false);

    /// <summary>
    /// Freezes every parameter below this module: no gradient is computed for it.
    /// </summary>
    public void Freeze() => SetTrainable(false);

    /// <summary>Makes every parameter below this module trainable.</summary>
    public void Unfreeze() => SetTrainable(true);

    /// <summary>Forgets all gradients and gives their memory back.</summary>
    public void ZeroGradient()
    {
        foreach (var parameter in Parameters())
        {
            parameter.ZeroGradient();
        }
    }

    private void SetTrainable(bool trainable)
    {
        foreach (var parameter in Parameters())
        {
            parameter.IsTrainable = trainable;
        }
    }

    private void RequireNew(string name)
    {
        var fault = name.Length == 0 ? "is empty"
            : name.Contains('.') ? "has a dot, which separates the names of a path"
            : parameters.Any(parameter => parameter.Name == name) || children.Any(child => child.Name == name)
            ? "is taken; the names in a module must differ"
            : null;
        if (fault is not null)
        {
            throw new ArgumentException($"{GetType().Name}: the name '{name}' {fault}.", nameof(name));
        }
    }

    /// <summary>
    /// What print(model) shows in the brackets: "in_features=768, out_features=8".
    /// </summary>
    protected virtual string Details => "";

    /// <summary>
    /// The tree of modules, as Python's print(model) shows it: equal neighbours in a list as
    /// "(0-5): 6 x Name(…)".
    /// </summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        Print(text, 0);
        return text.ToString();
    }

    private void Print(StringBuilder text, int depth)
    {
        var name = GetType().Name;
        text.Append(name.Split('`')[0]).Append('(');                        // a generic type's name ends with `1
        if (children.Count == 0)
        {
            text.Append(Details).Append(')');
            return;
        }
        if (Details.Length > 0)
        {
            NewLine(text, depth + 1).Append(Details);
        }
        var printed = children.ConvertAll(child => Printed(child.Current, depth + 1));
        for (var first = 0; first < children.Count;)
        {
            var count = printed.Skip(first)
                .TakeWhile((tree, i) => tree == printed[first]
                    && (i == 0 || int.TryParse(children[first + i].Name, out _))).Count();
            var names = count == 1 ? children[first].Name
                : $"{children[first].Name}-{children[first + count - 1].Name}";
            NewLine(text, depth + 1).Append('(').Append(names).Append("): ").Append(count == 1 ? "" : $"{count} x ")
                .Append(printed[first]);
            first += count;
        }
        NewLine(text, depth).Append(')');
    }

    private static string Printed(Module module, int depth)
    {
        var text = new StringBuilder();
        module.Print(text, depth);
        return text.ToString();
    }

    private static StringBuilder NewLine(StringBuilder text, int depth) => text.Append('\n').Append(' ', 2 * depth);
}

/// <summary>
/// A module with one input and one output: what can be chained, and replaced by a layer with LoRA.
/// </summary>
public abstract class Layer : Module
{
    /// <summary>Computes the output.</summary>
    public abstract Tensor Forward(Tensor x);
}

/// <summary>
/// The place of a child in its module, for whoever does not know what the owner calls.
/// </summary>
/// <param name="owner">The module that the child belongs to.</param>
/// <param name="name">Name within the owner.</param>
/// <param name="module">The child.</param>
/// <param name="called">What the owner calls: a class of modules, or an interface.</param>
internal sealed class Submodule(Module owner, string name, Module module, Type called)
{
    /// <summary>Name within the owner.</summary>
    public string Name { get; } = name;

    /// <summary>The module in this place.</summary>
    public Module Current { get; private set; } = module;

    /// <summary>Whether a module of that type can stand in this place.</summary>
    public bool Accepts(Type type) => type.IsAssignableTo(called);

    /// <inheritdoc cref="Submodule{T}.Replace"/>
    public void Replace(Module module)
    {
        using var change = owner.Use.Change("Replacing a layer");
        if (!Accepts(module.GetType()))
        {
            throw new ArgumentException($"The place '{Name}' in {owner.GetType().Name} holds a {called.Name}, "
                + $"a {module.GetType().Name} is none.", nameof(module));
        }
        Current = module;
        module.Train(owner.IsTraining);
        module.Join(owner.Use);
    }
}

/// <summary>The place of a child of a given type.</summary>
/// <typeparam name="T">
/// What the owner calls: <see cref="Layer"/> where the child may be replaced by any layer,
/// <see cref="ITokenLayer"/> by whatever gives token ids vectors.
/// </typeparam>
public sealed class Submodule<T> where T : class
{
    private readonly Submodule place;

    internal Submodule(Submodule place) => this.place = place;

    /// <summary>The module in this place.</summary>
    public T Value => (T)(object)place.Current;

    /// <summary>
    /// Puts another module in this place; it takes over the owner's training mode.
    /// </summary>
    /// <exception cref="ArgumentException">The place cannot hold a module of that type.</exception>
    /// <exception cref="InvalidOperationException">
    /// The model is being trained, or predicts.
    /// </exception>
    public void Replace(Module module) => place.Replace(module);
}
