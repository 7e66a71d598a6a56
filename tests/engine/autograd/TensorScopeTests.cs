using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Tests.Engine;

public class TensorScopeTests
{
    private static Tensor Leaf(bool requiresGradient = false) =>
        Values.Leaf(Backends.Any, 1, new Shape(4), requiresGradient);

    [Test]
    public void A_scope_frees_what_was_computed_in_it_and_not_what_was_created()
    {
        using var x = Leaf();
        Tensor y;
        using (new TensorScope())
        {
            y = x.Scale(2);
        }
        Assert.That(y.ToArray, Throws.TypeOf<ObjectDisposedException>().With.Message.Contains("TensorScope"));
        Assert.That(x.ToArray(), Has.Length.EqualTo(4));
    }

    [Test]
    public void A_returned_tensor_belongs_to_the_scope_around()
    {
        using var x = Leaf();
        Tensor y;
        using (new TensorScope())
        {
            using (var inner = new TensorScope())
            {
                y = inner.Return(x.Scale(2).Scale(3));
            }
            Assert.That(y.ToArray(), Has.Length.EqualTo(4));
        }
        Assert.That(y.ToArray, Throws.TypeOf<ObjectDisposedException>());
    }

    [Test]
    public void Returning_from_the_outermost_scope_makes_the_caller_the_owner()
    {
        using var x = Leaf();
        Tensor y;
        using (var scope = new TensorScope())
        {
            y = scope.Return(x.Scale(2));
        }
        Assert.That(y.ToArray(), Has.Length.EqualTo(4));
        y.Dispose();
        y.Dispose();
        Assert.That(y.ToArray, Throws.TypeOf<ObjectDisposedException>());
    }

    [Test]
    public void Returning_a_leaf_or_another_scopes_tensor_changes_nothing()
    {
        using var x = Leaf();
        using var outer = new TensorScope();
        var y = x.Scale(2);
        using (var inner = new TensorScope())
        {
            Assert.That(inner.Return(x), Is.SameAs(x));
            Assert.That(inner.Return(y), Is.SameAs(y));
        }
        Assert.That(y.ToArray(), Has.Length.EqualTo(4));
    }

    [Test]
    public void A_kept_tensor_survives_its_scope_until_it_is_disposed()
    {
        using var x = Leaf();
        Tensor y;
        using (new TensorScope())
        {
            y = x.Scale(2).Keep();
        }
        Assert.That(y.ToArray(), Has.Length.EqualTo(4));
        y.Dispose();
        Assert.That(y.ToArray, Throws.TypeOf<ObjectDisposedException>());
    }

    [Test]
    public void A_released_tensor_is_freed_before_the_scope_ends_unless_it_is_not_the_scopes_or_kept()
    {
        using var x = Leaf();
        using var outer = new TensorScope();
        var outside = x.Scale(5);
        using var scope = new TensorScope();
        var y = x.Scale(2);
        var kept = x.Scale(3).Keep();
        scope.Release(y);
        scope.Release(kept);
        scope.Release(outside);
        scope.Release(x);
        Assert.That(y.ToArray, Throws.TypeOf<ObjectDisposedException>());
        Assert.That(kept.ToArray(), Has.Length.EqualTo(4));
        Assert.That(outside.ToArray(), Has.Length.EqualTo(4));
        Assert.That(x.ToArray(), Has.Length.EqualTo(4));
        kept.Dispose();
    }

    [Test]
    public void Values_that_a_recorded_gradient_needs_outlive_the_scope()
    {
        using var x = Leaf(requiresGradient: true);
        Tensor loss;
        using (var scope = new TensorScope())
        {
            loss = scope.Return(x.Scale(2).Square().Sum());
        }
        loss.Backward();
        Values.AssertClose(x.Gradient!.ToArray(), Reference.Map(Values.ToDouble(x.ToArray()), value => 8 * value), 1e-6,
            "dx");
        loss.Dispose();
    }

    [Test]
    public void Ending_scopes_out_of_order_is_an_error()
    {
        var outer = new TensorScope();
        var inner = new TensorScope();
        Assert.That(outer.Dispose, Throws.InvalidOperationException.With.Message.Contains("reverse order"));
        inner.Dispose();
        outer.Dispose();
        Assert.That(outer.Dispose, Throws.Nothing, "a second call does nothing");
    }

    [Test]
    public void Ending_a_scope_on_another_thread_is_an_error()
    {
        using var scope = new TensorScope();
        Exception? thrown = null;
        var thread = new Thread(() => thrown = Assert.Catch(scope.Dispose));
        thread.Start();
        thread.Join();
        Assert.That(thrown, Is.TypeOf<InvalidOperationException>());
    }

    [Test]
    public void A_scope_ends_when_an_exception_passes_through()
    {
        using var backend = new CpuBackend(threads: 1);
        using var x = Values.Leaf(backend, 1, new Shape(4));
        var before = backend.Memory.InUse;
        Assert.That(() =>
        {
            using var scope = new TensorScope();
            x.Scale(2).Add(x.Reshape(new Shape(2, 2)));
        }, Throws.TypeOf<ShapeMismatchException>());
        Assert.That(backend.Memory.InUse, Is.EqualTo(before));
    }

    [Test]
    public void A_chain_of_layers_without_gradients_keeps_two_activations_alive_at_most()
    {
        const int rows = 64, width = 32, layers = 50, activation = rows * width * sizeof(float);
        using var backend = new CpuBackend(threads: 1);
        var random = new RandomStream(1);
        var chain = new Sequential(
            [.. Enumerable.Range(0, layers).Select(_ => new Linear(width, width, random, backend: backend))]);
        using var x = Values.Leaf(backend, 1, new Shape(rows, width), requiresGradient: false);
        var before = backend.Memory.InUse;

        using (new NoGradient())
        using (new TensorScope())
        {
            chain.Forward(x).ToArray();
        }
        Assert.That(backend.Memory.PeakInUse - before, Is.EqualTo(2 * activation), "one layer's input and its output");
        Assert.That(backend.Memory.InUse, Is.EqualTo(before));

        chain.Freeze();
        using (new TensorScope())
        {
            chain.Forward(x).ToArray();
        }
        Assert.That(backend.Memory.PeakInUse - before, Is.EqualTo(2 * activation),
            "the same where every layer is frozen");
    }
}
