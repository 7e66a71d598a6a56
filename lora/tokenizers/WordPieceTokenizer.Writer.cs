namespace LoraScratch.Lora.Tokenizers;

internal sealed partial class WordPieceTokenizer
{
    // Reads text and writes ids until the room is full, or, where the end of the text is kept, round and round over the
    // oldest ids. The word in progress is `word[..length]`; a longer one than that is only counted.
    private ref struct Writer(WordPieceTokenizer tokenizer, Span<int> ids, Span<int> scratch)
    {
        private readonly Span<int> ids = ids;
        private readonly Span<int> word = scratch[..MaxWordLength];
        private readonly Span<int> cut = scratch[MaxWordLength..];
        private int length;

        // The kept marks since the last code point of class 0, for their canonical order: word[markStart..length], if
        // markEnd is still length.
        private List<int>? marks;
        private int markStart, markEnd = -1;

        private int count, oldest;

        /// <summary>The ids, but for those that were written over others.</summary>
        public readonly ReadOnlySpan<int> Oldest => ids[oldest..count];

        /// <summary>The ids that were written over others.</summary>
        public readonly ReadOnlySpan<int> Newest => ids[..oldest];

        public bool Overflowed { get; private set; }

        private readonly bool IsDone => Overflowed && !tokenizer.KeepsEnd;

        private void AddId(int id)
        {
            if (count < ids.Length)
            {
                ids[count++] = id;
                return;
            }
            Overflowed = true;
            if (tokenizer.KeepsEnd && ids.Length > 0)
            {
                ids[oldest] = id;
                oldest = (oldest + 1) % ids.Length;
            }
        }

        public void AddText(ReadOnlySpan<char> text)
        {
            while (!IsDone)
            {
                var at = text.IndexOfAny(tokenizer.specialNames);
                AddPlain(at < 0 ? text : text[..at]);
                if (at < 0)
                {
                    return;
                }
                text = text[at..];
                foreach (var name in tokenizer.specials)
                {
                    if (text.StartsWith(name, StringComparison.Ordinal))
                    {
                        AddId(tokenizer.idOf[name]);
                        text = text[name.Length..];
                        break;
                    }
                }
            }
        }

        private void AddPlain(ReadOnlySpan<char> text)
        {
            var pages = tokenizer.pages;
            for (var i = 0; i < text.Length && !IsDone; i++)
            {
                int codePoint = text[i];
                if (char.IsSurrogate(text[i]))
                {
                    if (i + 1 == text.Length || !char.IsSurrogatePair(text[i], text[i + 1]))
                    {
                        continue;
                    }
                    codePoint = char.ConvertToUtf32(text[i], text[++i]);
                }
                var entry = pages[codePoint / CharacterRules.PageSize][codePoint % CharacterRules.PageSize];
                switch ((CharacterKind)(entry >> KindShift))
                {
                    case CharacterKind.Word:
                        AddToWord(entry);
                        break;
                    case CharacterKind.Isolated:
                        EndWord();
                        AddToWord(entry & SymbolMask);
                        EndWord();
                        break;
                    case CharacterKind.Space:
                        EndWord();
                        break;
                    case CharacterKind.Rare:
                        AddRare(codePoint);
                        break;
                }
            }
            EndWord();
        }

        private void AddToWord(int symbol)
        {
            if (length < MaxWordLength)
            {
                word[length] = symbol;
            }
            length++;
        }

        private void EndWord()
        {
            if (length == 0)
            {
                return;
            }
            var pieces = length > MaxWordLength ? 0 : tokenizer.trie.Cut(word[..length], cut);
            if (pieces == 0)
            {
                AddId(tokenizer.UnknownId);
            }
            for (var i = 0; i < pieces; i++)
            {
                AddId(cut[i]);
            }
            length = 0;
            markEnd = -1;
        }

        private void AddRare(int codePoint)
        {
            if (tokenizer.rules.IsStrippedStarter(codePoint))
            {
                markEnd = -1;
                return;
            }
            foreach (var c in tokenizer.rules.Expand(codePoint, stackalloc int[4]))
            {
                var combiningClass = tokenizer.rules.CombiningClass(c);
                if (combiningClass == 0)
                {
                    AddToWord(tokenizer.trie.SymbolOf(c));
                }
                else
                {
                    AddMark(tokenizer.trie.SymbolOf(c), combiningClass);
                }
            }
        }

        // Canonical order: a mark moves before the marks of a higher class, and stays behind those of its own.
        private void AddMark(int symbol, int combiningClass)
        {
            marks ??= [];
            if (markEnd != length)
            {
                marks.Clear();
                markStart = length;
            }
            var place = marks.Count;
            while (place > 0 && marks[place - 1] > combiningClass)
            {
                place--;
            }
            marks.Insert(place, combiningClass);
            AddToWord(symbol);
            markEnd = length;
            if (length <= MaxWordLength)
            {
                var run = word[markStart..length];
                run[place..^1].CopyTo(run[(place + 1)..]);
                run[place] = symbol;
            }
        }
    }
}
