using System.Numerics;

namespace LoraScratch.Lora.Processes;

/// <summary>
/// One node of a <see cref="SumTree"/>: leaves [index · 2^level, (index + 1) · 2^level).
/// </summary>
internal readonly record struct SumNode(int Level, int Index);

/// <summary>
/// The order in which numbers of many parts are added up, whoever has the parts: neighbours first,
/// then neighbouring pairs, and so on, ((0 + 1) + (2 + 3)) + (4 + 5). Rounding makes another sum of
/// another order; this one depends on the number of parts alone, so that one process or many get
/// the same bits. A process that has the parts [first, end) adds up what is whole among them, and
/// the rest is a matter of the few nodes that are left.
/// </summary>
internal static class SumTree
{
    /// <summary>What is left of the parts [first, end) when all whole nodes are added up.</summary>
    public static IReadOnlyList<SumNode> Nodes(int first, int end)
    {
        var nodes = new List<SumNode>();
        for (var leaf = first; leaf < end; leaf++)
        {
            nodes.Add(new SumNode(0, leaf));
            while (Joins(nodes))
            {
                Join(nodes);
            }
        }
        return nodes;
    }

    /// <summary>Whether the last two nodes are the halves of one.</summary>
    public static bool Joins(IReadOnlyList<SumNode> nodes) => nodes is [.., var left, var right]
        && left.Level == right.Level && left.Index % 2 == 0 && right.Index == left.Index + 1;

    /// <summary>Puts the node in the place of its halves, the last two.</summary>
    public static void Join(List<SumNode> nodes)
    {
        var left = nodes[^2];
        nodes.RemoveRange(nodes.Count - 2, 2);
        nodes.Add(new SumNode(left.Level + 1, left.Index / 2));
    }

    /// <summary>The sum of all parts.</summary>
    /// <param name="parts">How many.</param>
    /// <param name="nodes">Sums that are known; together they hold every part once.</param>
    /// <param name="add">Adds the second to the first, and gives the first back.</param>
    public static T Total<T>(int parts, IReadOnlyDictionary<SumNode, T> nodes, Func<T, T, T> add)
    {
        return Sum(new SumNode(BitOperations.Log2((uint)Math.Max(1, 2 * parts - 1)), 0));

        T Sum(SumNode node)
        {
            if (nodes.TryGetValue(node, out var known))
            {
                return known;
            }
            var left = Sum(new SumNode(node.Level - 1, 2 * node.Index));
            var right = new SumNode(node.Level - 1, 2 * node.Index + 1);
            return (long)right.Index << right.Level < parts ? add(left, Sum(right)) : left;
        }
    }
}
