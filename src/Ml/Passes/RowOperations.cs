using RlhfFunctions.Ml.Foundations;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Passes;

/// <summary>The loops of this folder over tensors [rows, n], dealt to as many threads as libtorch would use. No bit depends on their number.</summary>
/// <typeparam name="T">One number of a hidden state.</typeparam>
/// <typeparam name="TNumbers">How it is held.</typeparam>
internal static unsafe class RowOperations<T, TNumbers>
    where T : unmanaged
    where TNumbers : INumbers<T>
{
    private const int Lanes = 16;

    // Numbers for which another thread is worth waking.
    private const int NumbersPerTask = 1 << 15;

    /// <summary>Normed rows, and the factor of each.</summary>
    /// <param name="x">[rows, H]</param>
    /// <param name="weight">[H]</param>
    /// <param name="epsilon">Added to the mean of squares.</param>
    /// <returns>[rows, H] and [rows]</returns>
    public static (Tensor Normed, Tensor Inverses) Norm(Tensor x, Tensor weight, double epsilon)
    {
        var (rows, size) = Sizes(x);
        var (normed, inverses) = (empty_like(x), empty(rows));
        T* from = Memory.Of<T>(x), w = Memory.Of<T>(weight), to = Memory.Of<T>(normed);
        var factors = Memory.Of<float>(inverses);
        ForRows(rows, size, (first, end) => RowLoops<T, TNumbers>.Norm(
            from + ((long)first * size), w, (float)epsilon, end - first, size, to + ((long)first * size), factors + first));
        return (normed, inverses);
    }

    /// <summary>The way back, added to <paramref name="dx"/>.</summary>
    public static Tensor NormBack(Tensor dy, Tensor x, Tensor weight, Tensor inverses, Tensor dx)
    {
        var (rows, size) = Sizes(x);
        T* d = Memory.Of<T>(dy), from = Memory.Of<T>(x), w = Memory.Of<T>(weight), to = Memory.Of<T>(dx);
        var factors = Memory.Of<float>(inverses);
        ForRows(rows, size, (first, end) => RowLoops<T, TNumbers>.NormBack(
            d + ((long)first * size), from + ((long)first * size), w, factors + first, end - first, size, to + ((long)first * size)));
        return dx;
    }

    /// <summary>Turns heads to their positions, in place, or back again.</summary>
    /// <param name="x">[rows, heads · D]</param>
    /// <param name="heads">Heads of a row.</param>
    /// <param name="places">Where the rows stand.</param>
    /// <param name="isBack">Whether it is the way back.</param>
    public static void Rotate(Tensor x, int heads, Places places, bool isBack)
    {
        var (rows, size) = Sizes(x);
        T* to = Memory.Of<T>(x), cosine = Memory.Of<T>(places.Cosine), sine = Memory.Of<T>(places.SignedSine);
        var period = (int)places.Cosine.shape[0];
        ForRows(rows, size, (first, end) => RowLoops<T, TNumbers>.Rotate(
            to + ((long)first * size), first, end, heads, size / heads, cosine, sine, period, isBack));
    }

    /// <summary>silu(gate) · up</summary>
    public static Tensor Gate(Tensor gate, Tensor up)
    {
        var (rows, size) = Sizes(gate);
        var gated = empty_like(gate);
        T* g = Memory.Of<T>(gate), u = Memory.Of<T>(up), to = Memory.Of<T>(gated);
        ForRows(rows, size, (first, end) =>
        {
            var start = (long)first * size;
            RowLoops<T, TNumbers>.Gate(g + start, u + start, (end - first) * size, to + start);
        });
        return gated;
    }

    /// <summary>The way back.</summary>
    public static (Tensor Gate, Tensor Up) GateBack(Tensor dgated, Tensor gate, Tensor up)
    {
        var (rows, size) = Sizes(gate);
        var (dgate, dup) = (empty_like(gate), empty_like(up));
        T* d = Memory.Of<T>(dgated), g = Memory.Of<T>(gate), u = Memory.Of<T>(up), toGate = Memory.Of<T>(dgate), toUp = Memory.Of<T>(dup);
        ForRows(rows, size, (first, end) =>
        {
            var start = (long)first * size;
            RowLoops<T, TNumbers>.GateBack(d + start, g + start, u + start, (end - first) * size, toGate + start, toUp + start);
        });
        return (dgate, dup);
    }

    /// <summary>scale · x·w, the rank in whole sixteens.</summary>
    /// <param name="x">[rows, n]</param>
    /// <param name="w">[n, r] float32</param>
    /// <param name="scale">Multiplies the result.</param>
    /// <returns>[rows, rank] float32</returns>
    public static Tensor Narrow(Tensor x, Tensor w, double scale)
    {
        var (rows, size) = Sizes(x);
        var rank = (int)((w.shape[1] + Lanes - 1) / Lanes * Lanes);
        var thin = (rank == w.shape[1] ? w : nn.functional.pad(w, [0, rank - w.shape[1]])).contiguous(); // [n, rank]
        var low = empty(rows, rank);
        LowRankLoops<T, TNumbers>.Narrow(Memory.Of<T>(x), rows, size, Memory.Of<float>(thin), rank, (float)scale, Memory.Of<float>(low));
        return low;
    }

    /// <summary>y += low·w</summary>
    /// <param name="low">[rows, rank] float32</param>
    /// <param name="w">[r, n] float32</param>
    /// <param name="y">[rows, n]</param>
    public static void Widen(Tensor low, Tensor w, Tensor y)
    {
        var (rows, size) = Sizes(y);
        var rank = (int)low.shape[1];
        var thin = (rank == w.shape[0] ? w : nn.functional.pad(w, [0, 0, 0, rank - w.shape[0]])).contiguous(); // [rank, n]
        LowRankLoops<T, TNumbers>.Widen(Memory.Of<float>(low), rows, rank, Memory.Of<float>(thin), size, Memory.Of<T>(y));
    }

    /// <summary>lowᵀ·x</summary>
    /// <param name="low">[rows, rank] float32</param>
    /// <param name="x">[rows, n]</param>
    /// <returns>[rank, n] float32</returns>
    public static Tensor Outer(Tensor low, Tensor x)
    {
        var (rows, size) = Sizes(x);
        var rank = (int)low.shape[1];
        var sum = empty(rank, size);
        LowRankLoops<T, TNumbers>.Outer(Memory.Of<float>(low), Memory.Of<T>(x), rows, rank, size, Memory.Of<float>(sum));
        return sum;
    }

    /// <summary>See <see cref="CausalAttention{T, TNumbers}.Forward"/>.</summary>
    /// <returns>[B · R, heads · D] and [B, heads, R] float32</returns>
    public static (Tensor Output, Tensor LogSums) Attend(Tensor q, Tensor k, Tensor v, Places asking, AttentionShape shape)
    {
        var (output, logSums) = (empty_like(q), empty(shape.Batch, shape.Heads, shape.Queries));
        CausalAttention<T, TNumbers>.Forward(
            Memory.Of<T>(q), Memory.Of<T>(k), Memory.Of<T>(v), Memory.Of<int>(asking.Positions), shape, Memory.Of<T>(output), Memory.Of<float>(logSums));
        return (output, logSums);
    }

    /// <summary>The way back.</summary>
    public static (Tensor Queries, Tensor Keys, Tensor Values) AttendBack(
        Tensor q, Tensor k, Tensor v, Places asking, AttentionShape shape, Tensor output, Tensor logSums, Tensor doutput)
    {
        var (dq, dk, dv) = (empty_like(q), empty_like(k), empty_like(v));
        CausalAttention<T, TNumbers>.Backward(
            Memory.Of<T>(q), Memory.Of<T>(k), Memory.Of<T>(v), Memory.Of<int>(asking.Positions), shape, Memory.Of<T>(output), Memory.Of<float>(logSums),
            Memory.Of<T>(doutput), Memory.Of<T>(dq), Memory.Of<T>(dk), Memory.Of<T>(dv));
        return (dq, dk, dv);
    }

    private static (int Rows, int Size) Sizes(Tensor x) => ((int)x.shape[0], (int)x.shape[1]);

    private static void ForRows(int rows, int size, Action<int, int> work) => Threads.ForRanges(rows, (NumbersPerTask / size) + 1, work);
}
