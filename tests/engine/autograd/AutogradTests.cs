using LoraScratch.Engine;
using LoraScratch.Engine.NN;

namespace LoraScratch.Tests.Engine;

/// <summary>What the graph does: shapes of graphs, misuse, and how gradients accumulate.</summary>
public class AutogradTests
{
    private static readonly Shape Shape23 = new(2, 3);

    private static Tensor Leaf(int seed, bool requiresGradient = true) =>
        Values.Leaf(Backends.Any, seed, Shape23, requiresGradient);

    [Test]
    public void A_diamond_sums_the_gradients_of_its_two_ways()
    {
        using var scope = new TensorScope();
        using var x = Leaf(1);
        var trunk = x.Scale(3);                                         // y = Σ (3x)² + Σ 2·(3x),  dy/dx = 18x + 6
        trunk.Square().Add(trunk.Scale(2)).Sum().Backward();
        Values.AssertClose(x.Gradient!.ToArray(), Reference.Map(Values.ToDouble(x.ToArray()), value => 18 * value + 6),
            1e-6, "dx");
    }

    [Test]
    public void A_tensor_used_by_several_ops_at_different_depths_gets_every_share_before_it_passes_its_own_on()
    {
        using var scope = new TensorScope();
        using var x = Leaf(2);
        var a = x.Scale(2);
        var sum = a;
        for (var i = 0; i < 6; i++)
        {
            sum = sum.Add(a);                                           // a is used at every depth
        }
        sum.Sum().Backward();
        Assert.That(x.Gradient!.ToArray(), Is.All.EqualTo(14));
    }

    [Test]
    public void A_sum_hands_its_gradient_on_and_what_is_added_to_one_term_later_does_not_reach_the_other()
    {
        using var x = Tensor.From([1, 2], new Shape(2), requiresGradient: true);
        using var z = Tensor.From([3, 4], new Shape(2), requiresGradient: true);
        var h = x.Scale(2);
        var g = z.Scale(3);
        var sum = h.Add(g);                                          // both get d(sum) whole
        // s·h: dS = h, and dH takes a share of s before the sum hands on its own
        var square = sum.Multiply(h);
        square.Add(h).Sum().Backward();                              // L = Σ (h + g)·h + h
        Assert.That(x.Gradient!.ToArray(), Is.EqualTo(new float[] { 2 * (2 * 2 + 9 + 1), 2 * (2 * 4 + 12 + 1) }),
            "2·(2h + g + 1)");
        Assert.That(z.Gradient!.ToArray(), Is.EqualTo(new float[] { 3 * 2, 3 * 4 }), "3·h");
    }

    [Test]
    public void A_ladder_of_diamonds_is_walked_once_per_op_and_not_once_per_path()
    {
        using var scope = new TensorScope();
        using var x = Leaf(3);
        var y = x;
        for (var i = 0; i < 60; i++)
        {
            y = y.Add(y).Scale(0.5f);                                   // 2⁶⁰ paths
        }
        y.Sum().Backward();
        Assert.That(x.Gradient!.ToArray(), Is.All.EqualTo(1));
    }

    [Test]
    public void A_chain_of_20000_ops_does_not_overflow_the_stack()
    {
        using var scope = new TensorScope();
        using var x = Leaf(4);
        var y = x;
        for (var i = 0; i < 20_000; i++)
        {
            y = y.Scale(1);
        }
        y.Sum().Backward();
        Assert.That(x.Gradient!.ToArray(), Is.All.EqualTo(1));
    }

    [Test]
    public void Gradients_add_up_over_several_backwards_until_they_are_zeroed()
    {
        using var scope = new TensorScope();
        using var x = Leaf(5);
        for (var i = 1; i <= 3; i++)
        {
            x.Scale(i).Sum().Backward();
        }
        Assert.That(x.Gradient!.ToArray(), Is.All.EqualTo(6));
        x.ZeroGradient();
        Assert.That(x.Gradient, Is.Null);
        x.Sum().Backward();
        Assert.That(x.Gradient!.ToArray(), Is.All.EqualTo(1));
    }

    [Test]
    public void A_gradient_outlives_the_scope_it_was_computed_in()
    {
        using var x = Leaf(6);
        using (new TensorScope())
        {
            x.Square().Sum().Backward();
        }
        Values.AssertClose(x.Gradient!.ToArray(), Reference.Map(Values.ToDouble(x.ToArray()), value => 2 * value), 1e-6,
            "dx");
    }

    [Test]
    public void The_upstream_scales_the_gradient_and_is_not_kept_or_changed()
    {
        using var scope = new TensorScope();
        using var x = Leaf(7);
        using var upstream = Leaf(8, requiresGradient: false);
        var before = upstream.ToArray();
        x.Scale(2).Backward(upstream);
        Values.AssertClose(x.Gradient!.ToArray(), Reference.Map(Values.ToDouble(before), value => 2 * value), 1e-6,
            "dx");
        Values.AssertSameBits(upstream.ToArray(), before, "upstream");
    }

    [Test]
    public void A_second_backward_through_the_same_graph_is_an_error_that_says_what_to_do()
    {
        using var scope = new TensorScope();
        using var x = Leaf(9);
        var trunk = x.Square();
        var loss = trunk.Sum();
        loss.Backward();
        Assert.That(() => loss.Backward(),
            Throws.InvalidOperationException.With.Message.Contains("freed by an earlier Backward()").And.Message
                .Contains("Run the forward pass again"));
    }

    [Test]
    public void A_second_loss_on_a_freed_trunk_is_an_error_and_changes_no_gradient()
    {
        using var scope = new TensorScope();
        using var x = Leaf(10);
        var trunk = x.Square().Keep();
        var first = trunk.Sum();
        var second = trunk.Mean();
        first.Backward();
        var gradient = x.Gradient!.ToArray();
        Assert.That(() => second.Backward(), Throws.InvalidOperationException.With.Message.Contains("Square [2, 3]"));
        Values.AssertSameBits(x.Gradient!.ToArray(), gradient, "dx");
        trunk.Dispose();
    }

    [Test]
    public void Backward_without_a_trainable_leaf_is_an_error()
    {
        using var scope = new TensorScope();
        using var x = Leaf(11, requiresGradient: false);
        Assert.That(() => x.Square().Sum().Backward(),
            Throws.InvalidOperationException.With.Message.Contains("requires a gradient"));
        using var trainable = Leaf(11);
        using (new NoGradient())
        {
            Assert.That(() => trainable.Sum().Backward(),
                Throws.InvalidOperationException.With.Message.Contains("NoGradient"));
        }
    }

    [Test]
    public void Backward_from_many_elements_needs_an_upstream_of_their_shape()
    {
        using var scope = new TensorScope();
        using var x = Leaf(12);
        Assert.That(() => x.Square().Backward(),
            Throws.InvalidOperationException.With.Message.Contains("has 6").And.Message.Contains("upstream"));
        using var wrong = Values.Leaf(Backends.Any, 1, new Shape(3, 2));
        Assert.That(() => x.Square().Backward(wrong),
            Throws.TypeOf<ShapeMismatchException>().With.Message.Contains("[3, 2]").And.Message.Contains("[2, 3]"));
    }

    [Test]
    public void Backward_frees_intermediate_values_and_says_so_when_they_are_read()
    {
        using var scope = new TensorScope();
        using var x = Leaf(13);
        var middle = x.Square();
        var kept = middle.Scale(2).Keep();
        var loss = kept.Sum();
        loss.Backward();
        Assert.That(middle.ToArray,
            Throws.TypeOf<ObjectDisposedException>().With.Message.Contains("Square [2, 3]").And.Message
                .Contains("Keep()"));
        Assert.That(middle.ToString(), Does.Contain("freed"));
        Assert.That(kept.ToArray(), Has.Length.EqualTo(6));
        Assert.That(loss.Item(), Is.Not.NaN, "the root stays readable");
        kept.Dispose();
        Assert.That(kept.ToArray, Throws.TypeOf<ObjectDisposedException>());
    }

    [Test]
    public void Gradients_stop_at_a_detached_tensor_which_shares_the_values()
    {
        using var scope = new TensorScope();
        using var x = Leaf(14);
        var y = x.Square();
        var constant = y.Detach();
        Assert.That(constant.RequiresGradient, Is.False);
        // d/dx Σ x²·c with c = x² taken as constant: 2x·x²
        y.Multiply(constant).Sum().Backward();
        Values.AssertClose(x.Gradient!.ToArray(),
            Reference.Map(Values.ToDouble(x.ToArray()), value => 2 * value * value * value), 1e-6, "dx");
        Assert.That(constant.ToArray(), Has.Length.EqualTo(6),
            "its values outlive the tensor that it was detached from");
    }

    [Test]
    public void A_parameter_frozen_between_forward_and_backward_gets_no_gradient()
    {
        using var scope = new TensorScope();
        using var weight = new Parameter("weight", [1, 2, 3, 4, 5, 6], Shape23, Backends.Any);
        using var x = Leaf(15);
        var loss = x.Multiply(weight).Sum();
        weight.IsTrainable = false;
        loss.Backward();
        Assert.That(weight.Gradient, Is.Null);
        Assert.That(x.Gradient!.ToArray(), Is.EqualTo(new float[] { 1, 2, 3, 4, 5, 6 }));
    }

    [Test]
    public void Freezing_a_parameter_gives_its_gradient_back()
    {
        using var weight = new Parameter("weight", [1, 2, 3, 4, 5, 6], Shape23, Backends.Any);
        using (new TensorScope())
        {
            weight.Sum().Backward();
        }
        Assert.That(weight.Gradient, Is.Not.Null);
        weight.IsTrainable = false;
        Assert.That(weight.Gradient, Is.Null);
    }

    [Test]
    public void The_backward_plan_names_each_gradient_and_leaves_frozen_inputs_out()
    {
        using var scope = new TensorScope();
        using var x = Leaf(16, requiresGradient: false);
        using var weight = new Parameter("weight", Values.Normal(12, 1), new Shape(4, 3), Backends.Any);
        var loss = x.Linear(weight).Tanh().Mean();
        Assert.That(loss.BackwardPlan(), Is.EqualTo("""
            Mean []: dXᵢ += dy/n → Tanh [2, 4]
            Tanh [2, 4]: dX += dY ⊙ (1 − Y²) → Linear [2, 4]
            Linear [2, 4]: dW += dYᵀ·X → parameter weight [4, 3]
            """.ReplaceLineEndings("\n")));
        Assert.That(x.Square().BackwardPlan(), Is.Empty);
    }

    [Test]
    public void NoGradient_scopes_nest_and_end_once()
    {
        Assert.That(NoGradient.IsActive, Is.False);
        using (new NoGradient())
        {
            var inner = new NoGradient();
            inner.Dispose();
            inner.Dispose();
            Assert.That(NoGradient.IsActive, Is.True);
        }
        Assert.That(NoGradient.IsActive, Is.False);
    }
}
