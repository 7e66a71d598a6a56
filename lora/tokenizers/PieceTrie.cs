using System.Diagnostics;
using System.Runtime.InteropServices;

namespace LoraScratch.Lora.Tokenizers;

/// <summary>
/// The vocabulary as two prefix trees in one double array (Aoe, "An efficient digital search
/// algorithm by using a double-array structure", 1989): one tree of the pieces that begin a word,
/// one of the pieces that continue it. The child of node n by symbol s is slot Base[n] + s if that
/// slot's Parent is n, so a step costs one load and no hashing. Symbols number the code points that
/// occur in the vocabulary, from 1; 0 is every other one.
/// </summary>
internal sealed class PieceTrie
{
    /// <summary>The node of a word's beginning.</summary>
    public const int Root = BeginRoot;

    private const int BeginRoot = 0, ContinueRoot = 1;

    private readonly Node[] nodes;
    private readonly Dictionary<int, int> symbols = [];                 // code point → symbol

    /// <param name="pieces">Piece i of the vocabulary has id i.</param>
    /// <param name="continuationPrefix">
    /// What marks a piece that continues a word, "##"; null: every piece may begin anywhere.
    /// </param>
    public PieceTrie(IReadOnlyList<string> pieces, string? continuationPrefix)
    {
        var keys = new List<(int[] Symbols, int Id)>(pieces.Count);     // the root is the first symbol of a key
        for (var id = 0; id < pieces.Count; id++)
        {
            var continues = continuationPrefix is not null && pieces[id].Length > continuationPrefix.Length
                && pieces[id].StartsWith(continuationPrefix, StringComparison.Ordinal);
            var key = new List<int> { continues ? ContinueRoot : BeginRoot };
            foreach (var rune in pieces[id][(continues ? continuationPrefix!.Length : 0)..].EnumerateRunes())
            {
                ref var symbol = ref CollectionsMarshal.GetValueRefOrAddDefault(symbols, rune.Value, out var known);
                if (!known)
                {
                    symbol = symbols.Count;
                }
                key.Add(symbol);
            }
            keys.Add(([.. key], id));
        }
        keys.Sort((x, y) => x.Symbols.AsSpan().SequenceCompareTo(y.Symbols));
        nodes = new Builder(keys, symbols.Count).Nodes;
    }

    /// <summary>The symbol of a code point, 0 if no piece contains it.</summary>
    public int SymbolOf(int codePoint) => symbols.GetValueOrDefault(codePoint);

    /// <summary>The code points that have a symbol.</summary>
    public IEnumerable<int> CodePoints => symbols.Keys;

    /// <summary>Goes on by one code point.</summary>
    /// <param name="node"><see cref="Root"/>, or what the step before left here.</param>
    /// <param name="symbol">Of the code point.</param>
    /// <param name="id">The piece that ends here, −1 if none does.</param>
    /// <returns>False where no piece goes on so; the node is then the old one.</returns>
    public bool Step(ref int node, int symbol, out int id)
    {
        var child = nodes[node].Base + symbol;
        if (symbol == 0 || nodes[child].Parent != node)
        {
            id = -1;
            return false;
        }
        node = child;
        id = nodes[child].Id;
        return true;
    }

    /// <summary>
    /// Cuts a word greedily: the longest piece that begins it, then again and again the longest
    /// piece that continues it.
    /// </summary>
    /// <param name="word">The symbols of the word, at least one.</param>
    /// <param name="ids">Receives the ids; as long as the word suffices.</param>
    /// <returns>
    /// The number of pieces, or 0 if some part of the word matches no piece: then the whole word is
    /// unknown.
    /// </returns>
    public int Cut(ReadOnlySpan<int> word, Span<int> ids)
    {
        var nodes = this.nodes;
        var count = 0;
        for (int start = 0, root = BeginRoot; start < word.Length; root = ContinueRoot)
        {
            int node = root, end = -1, id = -1;
            for (var i = start; i < word.Length && word[i] != 0; i++)
            {
                var child = nodes[node].Base + word[i];
                if (nodes[child].Parent != node)
                {
                    break;
                }
                node = child;
                if (nodes[node].Id >= 0)
                {
                    (end, id) = (i + 1, nodes[node].Id);
                }
            }
            if (end < 0)
            {
                return 0;
            }
            ids[count++] = id;
            start = end;
        }
        return count;
    }

    /// <param name="Base">Slot of the child by symbol 0.</param>
    /// <param name="Parent">Slot of the parent, −1 for a free slot and for the roots.</param>
    /// <param name="Id">The piece that ends here, −1 if none does.</param>
    private record struct Node(int Base, int Parent, int Id);

    // Places the children of one node after the other, each group at the first slots that are all free.
    private sealed class Builder
    {
        private readonly List<(int[] Symbols, int Id)> keys;
        private readonly int symbolCount;
        private int[] next = [];
        private int end = 2;                                            // behind the last used slot

        public Builder(List<(int[] Symbols, int Id)> keys, int symbolCount)
        {
            (this.keys, this.symbolCount) = (keys, symbolCount);
            Nodes = [];
            Grow(4096);
            var middle = keys.FindIndex(k => k.Symbols[0] == ContinueRoot);
            middle = middle < 0 ? keys.Count : middle;
            Place(BeginRoot, 0, middle, 1);
            Place(ContinueRoot, middle, keys.Count, 1);
            Grow(end + symbolCount);
            Array.Resize(ref Nodes, end + symbolCount);                 // no step leaves the array
        }

        public Node[] Nodes;

        // Keys [first, last) share their first `depth` symbols, which lead to `node`.
        private void Place(int node, int first, int last, int depth)
        {
            if (first < last && keys[first].Symbols.Length == depth)
            {
                Nodes[node].Id = keys[first++].Id;                      // pieces are distinct: at most one ends here
            }
            if (first >= last)
            {
                return;
            }

            var groups = new List<(int Symbol, int First, int Last)>();
            for (var i = first; i < last;)
            {
                var symbol = keys[i].Symbols[depth];
                var begin = i;
                while (i < last && keys[i].Symbols[depth] == symbol)
                {
                    i++;
                }
                groups.Add((symbol, begin, i));
            }
            var offset = FindRoom(groups);
            Nodes[node].Base = offset;
            foreach (var (symbol, _, _) in groups)
            {
                Debug.Assert(Nodes[offset + symbol].Parent < 0, "a slot has one owner");
                Nodes[offset + symbol].Parent = node;
                next[offset + symbol] = offset + symbol + 1;
                end = Math.Max(end, offset + symbol + 1);
            }
            foreach (var (symbol, begin, end) in groups)
            {
                Place(offset + symbol, begin, end, depth + 1);
            }
        }

        // A base at which every child finds a free slot. Only bases whose first child lands on a free slot are tried,
        // and few of those: single
        // children fill the holes that remain.
        private int FindRoom(List<(int Symbol, int First, int Last)> groups)
        {
            var smallest = groups[0].Symbol;
            var tries = 0;
            for (var slot = NextFree(2 + smallest); ;
                slot = NextFree(++tries == 32 ? Math.Max(slot, end + smallest) : slot + 1))
            {
                var offset = slot - smallest;
                Grow(offset + symbolCount + 1);
                if (groups.TrueForAll(g => Nodes[offset + g.Symbol].Parent < 0))
                {
                    return offset;
                }
            }
        }

        // next[i] leads from a used slot towards the next free one; the paths are halved as they are walked.
        private int NextFree(int slot)
        {
            while (slot < next.Length && next[slot] != slot)
            {
                if (next[slot] < next.Length)
                {
                    next[slot] = next[next[slot]];
                }
                slot = next[slot];
            }
            return slot;
        }

        private void Grow(int size)
        {
            var old = Nodes.Length;
            if (size <= old)
            {
                return;
            }
            Array.Resize(ref Nodes, Math.Max(size, 2 * old));
            Nodes.AsSpan(old).Fill(new Node(0, -1, -1));
            Array.Resize(ref next, Nodes.Length);
            for (var i = old; i < next.Length; i++)
            {
                next[i] = i;
            }
        }
    }
}
