using System.Buffers;
using System.Text;

namespace RlhfFunctions.Ml.Text;

/// <summary>
/// Byte-pair merging as Hugging Face's Rust tokenizer does it: the best-ranked pair of a text is merged first, the <b>leftmost</b> where
/// several are equal. A vocabulary of SentencePiece has no list of merges: as its converter does, every way to split a piece in two is
/// one; they rank by falling score of the piece, and for one piece by the longer left half.
/// </summary>
internal sealed class BytePairMerges
{
    private readonly IReadOnlyDictionary<string, int> _ids;
    private readonly IReadOnlyList<int>? _byteIds;
    private readonly int? _unknownId;
    private readonly Dictionary<(int Left, int Right), (int Rank, int Merged)> _merges = [];
    private readonly SearchValues<string> _ties = SearchValues.Create([], StringComparison.Ordinal);

    /// <param name="ids">Of the pieces.</param>
    /// <param name="byteIds">Ids of the 256 bytes that spell what the vocabulary lacks, or null.</param>
    /// <param name="unknownId">Stands for what the vocabulary lacks where there are no bytes; null: it is left out.</param>
    /// <param name="merges">The best first.</param>
    public BytePairMerges(
        IReadOnlyDictionary<string, int> ids, IReadOnlyList<int>? byteIds, int? unknownId, IEnumerable<(int Left, int Right, int Merged)> merges)
    {
        (_ids, _byteIds, _unknownId) = (ids, byteIds, unknownId);
        foreach (var (left, right, merged) in merges)
            _merges.TryAdd((left, right), (_merges.Count, merged));
    }

    public BytePairMerges(SentencePieceModel model)
        : this(model.Ids, model.ByteIds, null, [])
    {
        var splits = new List<(float Score, int LeftLength, int RightLength, int Left, int Right, int Merged)>();
        foreach (var (piece, merged) in model.Ids)
            for (var cut = 1; cut < piece.Length; cut++)
                if (model.Ids.TryGetValue(piece[..cut], out var left) && model.Ids.TryGetValue(piece[cut..], out var right))
                    splits.Add((model.Scores[merged], cut, piece.Length - cut, left, right, merged));
        _merges = splits
            .OrderByDescending(split => split.Score).ThenByDescending(split => split.LeftLength).ThenByDescending(split => split.RightLength)
            .Select((split, rank) => (split.Left, split.Right, rank, split.Merged))
            .ToDictionary(merge => (merge.Left, merge.Right), merge => (merge.rank, merge.Merged));
        // Two merges compete where the right half of one is the left half of the other: m+m with m+m in "mmm", an+a with a+na in "anana".
        var ties = splits.Join(
            splits, left => (left.Score, left.Right), right => (right.Score, right.Left), (left, right) => model.Texts[left.Left] + model.Texts[right.Merged]);
        _ties = SearchValues.Create([.. ties.Distinct()], StringComparison.Ordinal);
    }

    /// <summary>
    /// Whether two overlapping pairs of equal score can meet in a segment, so that its ids depend on which goes first; the tests search
    /// for texts in which that order matters otherwise. True at every piece that could merge with itself and stands three times in a
    /// row, and, to be safe, in texts such as "banana" where a better pair forestalls the tie.
    /// </summary>
    public bool CanTie(string segment) => segment.AsSpan().ContainsAny(_ties);

    /// <summary>Merges the characters of one segment, or their bytes, as far as they go and appends the resulting ids to <paramref name="output"/>.</summary>
    /// <param name="segment">A text with <c>▁</c> for its spaces and no unpaired surrogate.</param>
    /// <param name="output">Where the ids go.</param>
    public void Apply(string segment, List<int> output)
    {
        const int Gone = -1;
        var ids = Symbols(segment);
        var next = new int[ids.Length];
        var previous = new int[ids.Length];
        var queue = new PriorityQueue<(int Left, int Merged), long>();
        for (var i = 0; i < ids.Length; i++)
        {
            previous[i] = i - 1;
            next[i] = i + 1;
            Enqueue(i, i + 1);
        }

        while (queue.TryDequeue(out var candidate, out _))
        {
            var (left, merged) = candidate;
            // Either symbol may have been merged elsewhere since the pair was queued.
            if (ids[left] == Gone || next[left] >= ids.Length
                || !_merges.TryGetValue((ids[left], ids[next[left]]), out var merge) || merge.Merged != merged)
            {
                continue;
            }
            var right = next[left];
            ids[left] = merged;
            ids[right] = Gone;
            next[left] = next[right];
            if (next[left] < ids.Length)
                previous[next[left]] = left;
            Enqueue(previous[left], left);
            Enqueue(left, next[left]);
        }

        foreach (var id in ids)
            if (id != Gone)
                output.Add(id);

        void Enqueue(int left, int right)
        {
            if (left >= 0 && right < ids.Length && _merges.TryGetValue((ids[left], ids[right]), out var merge))
                queue.Enqueue((left, merge.Merged), ((long)merge.Rank << 32) | (uint)left); // by rank, then from the left
        }
    }

    private int[] Symbols(string segment)
    {
        var symbols = new List<int>(segment.Length);
        foreach (var rune in segment.EnumerateRunes())
        {
            if (_ids.TryGetValue(rune.ToString(), out var id))
                symbols.Add(id);
            else if (_byteIds is not null)
                symbols.AddRange(Encoding.UTF8.GetBytes(rune.ToString()).Select(value => _byteIds[value]));
            else if (_unknownId is { } unknown)
                symbols.Add(unknown);
        }
        return [.. symbols];
    }
}
