using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Passes;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>What came of a block.</summary>
/// <param name="Output">[B, T, H] or [B, R, H]; empty where nobody asked for it.</param>
/// <param name="Kept">What its way back needs, as <see cref="BlockMaths{T, TNumbers}.Back"/> takes it apart.</param>
internal readonly record struct BlockStates(Tensor Output, Tensor[] Kept);

/// <summary>A block of a Llama and its adapter, forth and back. R are the positions that ask: all T, or some.</summary>
/// <typeparam name="T">One number of a hidden state.</typeparam>
/// <typeparam name="TNumbers">How it is held.</typeparam>
internal static class BlockMaths<T, TNumbers>
    where T : unmanaged
    where TNumbers : INumbers<T>
{
    /// <summary>x += attention(norm(x)); x += mlp(norm(x)).</summary>
    /// <param name="call">The block and its sequences.</param>
    /// <param name="x">[B, T, H]</param>
    /// <param name="isForWayBack">Whether only what the way back needs is asked for, and not the output.</param>
    public static BlockStates Run(BlockPass.Call call, Tensor x, bool isForWayBack = false)
    {
        var (block, sequences) = (call.Block, call.Sequences);
        var (shape, asking, epsilon) = (sequences.Shape(call.IsAsked), Asking(call), sequences.Config.RmsNormEpsilon);
        var input = x.contiguous().flatten(0, 1); // [B · T, H]
        var (normed, inverses) = RowOperations<T, TNumbers>.Norm(input, block.AttentionNorm, epsilon);
        var (query, lowQuery) = Project(block.Query, Asked(call, normed)); // [B · R, heads · D]
        var (key, lowKey) = Project(block.Key, normed); // [B · T, KV heads · D]
        var (value, lowValue) = Project(block.Value, normed);
        var (attended, logSums) = RowOperations<T, TNumbers>.Attend(
            Turn(query, block.QueryNorm, shape.Heads, asking, epsilon), Turn(key, block.KeyNorm, shape.KeyValueHeads, sequences.All, epsilon), value, asking, shape);
        var (middle, lowOutput) = Project(block.Output, attended); // [B · R, H]
        middle.add_(Asked(call, input));
        var (normedMiddle, middleInverses) = RowOperations<T, TNumbers>.Norm(middle, block.MlpNorm, epsilon);
        var (gate, lowGate) = Project(block.Gate, normedMiddle); // [B · R, I]
        var (up, lowUp) = Project(block.Up, normedMiddle);
        var gated = RowOperations<T, TNumbers>.Gate(gate, up);
        var (output, lowDown) = isForWayBack ? (empty(0), Low(block.Down, gated)) : Project(block.Down, gated); // [B · R, H]
        return new(isForWayBack ? output : output.add_(middle).view(x.shape[0], -1, x.shape[2]), [
            inverses, query, key, value, attended, logSums, middle, middleInverses, gate, up,
            lowQuery, lowKey, lowValue, lowOutput, lowGate, lowUp, lowDown]);
    }

    /// <summary>The way back through <see cref="Run"/>, as far down as something learns.</summary>
    /// <param name="call">The block and its sequences.</param>
    /// <param name="x">[B, T, H], as it went in.</param>
    /// <param name="kept">What was kept of it.</param>
    /// <param name="doutput">[B, T, H] or [B, R, H]</param>
    /// <param name="needsInput">Whether the gradient of the input is asked for.</param>
    /// <returns>The gradients of the input, of the call (none), and of the trained A and B of each projection.</returns>
    public static List<Tensor?> Back(BlockPass.Call call, Tensor x, Tensor[] kept, Tensor doutput, bool needsInput)
    {
        if (kept is not [
            var inverses, var query, var key, var value, var attended, var logSums, var middle, var middleInverses, var gate, var up,
            var lowQuery, var lowKey, var lowValue, var lowOutput, var lowGate, var lowUp, var lowDown])
            throw new ArgumentException($"{kept.Length} tensors are not what was kept of a block.", nameof(kept));
        var (block, sequences) = (call.Block, call.Sequences);
        var (shape, asking, epsilon) = (sequences.Shape(call.IsAsked), Asking(call), sequences.Config.RmsNormEpsilon);
        var needsAttention = needsInput || Learns(block.Query, block.Key, block.Value);
        var needsMiddle = needsAttention || Learns(block.Output);
        var needsGates = needsMiddle || Learns(block.Gate, block.Up);

        var dmiddle = doutput.contiguous().flatten(0, 1); // [B · R, H]
        var (dgated, ofDown) = ProjectBack(block.Down, dmiddle, RowOperations<T, TNumbers>.Gate(gate, up), lowDown, needsGates);
        if (!needsGates)
            return Gradients(null, ofDown);

        var (dgate, dup) = RowOperations<T, TNumbers>.GateBack(dgated!, gate, up); // [B · R, I] each
        var (normedMiddle, _) = RowOperations<T, TNumbers>.Norm(middle, block.MlpNorm, epsilon);
        var (dnormedMiddle, ofGate) = ProjectBack(block.Gate, dgate, normedMiddle, lowGate, needsMiddle); // [B · R, H]
        var (dnormedToo, ofUp) = ProjectBack(block.Up, dup, normedMiddle, lowUp, needsMiddle);
        if (!needsMiddle)
            return Gradients(null, ofGate, ofUp, ofDown);

        dmiddle = RowOperations<T, TNumbers>.NormBack(dnormedMiddle!.add_(dnormedToo!), middle, block.MlpNorm, middleInverses, dmiddle.clone());
        var (dattended, ofOutput) = ProjectBack(block.Output, dmiddle, attended, lowOutput, needsAttention);
        if (!needsAttention)
            return Gradients(null, ofOutput, ofGate, ofUp, ofDown);

        var turnedQuery = block.QueryNorm is null ? query : Turn(query, block.QueryNorm, shape.Heads, asking, epsilon);
        var turnedKey = block.KeyNorm is null ? key : Turn(key, block.KeyNorm, shape.KeyValueHeads, sequences.All, epsilon);
        var (dquery, dkey, dvalue) = RowOperations<T, TNumbers>.AttendBack(turnedQuery, turnedKey, value, asking, shape, attended, logSums, dattended!);
        dquery = TurnBack(dquery, query, block.QueryNorm, shape.Heads, asking, epsilon);
        dkey = TurnBack(dkey, key, block.KeyNorm, shape.KeyValueHeads, sequences.All, epsilon);
        var input = x.contiguous().flatten(0, 1); // [B · T, H]
        var (normed, _) = RowOperations<T, TNumbers>.Norm(input, block.AttentionNorm, epsilon);
        var (dasked, ofQuery) = ProjectBack(block.Query, dquery, Asked(call, normed), lowQuery, needsInput); // [B · R, H]
        var (dnormed, ofKey) = ProjectBack(block.Key, dkey, normed, lowKey, needsInput); // [B · T, H]
        var (dnormedByValue, ofValue) = ProjectBack(block.Value, dvalue, normed, lowValue, needsInput);
        if (!needsInput)
            return Gradients(null, ofQuery, ofKey, ofValue, ofOutput, ofGate, ofUp, ofDown);

        dnormed!.add_(dnormedByValue!);
        _ = call.IsAsked ? dnormed.index_add_(0, sequences.AskedRows, dasked!, 1) : dnormed.add_(dasked!);
        var dinput = call.IsAsked ? zeros_like(input).index_add_(0, sequences.AskedRows, dmiddle, 1) : dmiddle;
        RowOperations<T, TNumbers>.NormBack(dnormed, input, block.AttentionNorm, inverses, dinput);
        return Gradients(dinput.view(x.shape), ofQuery, ofKey, ofValue, ofOutput, ofGate, ofUp, ofDown);
    }

    private static Places Asking(BlockPass.Call call) => call.IsAsked ? call.Sequences.Asked : call.Sequences.All;

    /// <summary>The rows that ask. [B · T, n] → [B · R, n]</summary>
    private static Tensor Asked(BlockPass.Call call, Tensor rows) => call.IsAsked ? rows.index_select(0, call.Sequences.AskedRows) : rows;

    /// <summary>Queries or keys, normed where the model norms them, turned to their positions: in place where it does not.</summary>
    private static Tensor Turn(Tensor x, Tensor? norm, int heads, Places places, double epsilon)
    {
        var turned = norm is null ? x : RowOperations<T, TNumbers>.Norm(x.view(-1, norm.shape[0]), norm, epsilon).Normed.view(x.shape);
        RowOperations<T, TNumbers>.Rotate(turned, heads, places, isBack: false);
        return turned;
    }

    /// <summary>The way back through <see cref="Turn"/>; overwrites the gradient.</summary>
    private static Tensor TurnBack(Tensor dturned, Tensor x, Tensor? norm, int heads, Places places, double epsilon)
    {
        RowOperations<T, TNumbers>.Rotate(dturned, heads, places, isBack: true);
        if (norm is null)
            return dturned;
        var each = x.view(-1, norm.shape[0]); // [rows · heads, D]
        var (_, inverses) = RowOperations<T, TNumbers>.Norm(each, norm, epsilon);
        return RowOperations<T, TNumbers>.NormBack(dturned.view(each.shape), each, norm, inverses, zeros_like(each)).view(x.shape);
    }

    private static bool Learns(params ReadOnlySpan<LinearLayer> layers)
    {
        foreach (var layer in layers)
            if (layer.Adapter is { A.requires_grad: true })
                return true;
        return false;
    }

    /// <summary>A layer and its adapter; beside it scaling · A·x, empty where there is no adapter.</summary>
    private static (Tensor Output, Tensor Low) Project(LinearLayer layer, Tensor x)
    {
        var (output, low) = (layer.Multiply(x), Low(layer, x));
        if (layer.Adapter is { } branch)
            RowOperations<T, TNumbers>.Widen(low, branch.B.t(), output);
        return (output, low);
    }

    private static Tensor Low(LinearLayer layer, Tensor x) =>
        layer.Adapter is { } branch ? RowOperations<T, TNumbers>.Narrow(x, branch.A.t(), branch.Scaling) : empty(0); // [rows, r]

    /// <summary>The way back through <see cref="Project"/>.</summary>
    private static (Tensor? Input, Trained? Trained) ProjectBack(LinearLayer layer, Tensor doutput, Tensor x, Tensor low, bool needsInput)
    {
        var dinput = needsInput ? layer.InputGradient(doutput) : null;
        if (layer.Adapter is not { } branch)
            return (dinput, null);
        var dlow = RowOperations<T, TNumbers>.Narrow(doutput, branch.B, branch.Scaling); // [rows, r]
        if (needsInput)
            RowOperations<T, TNumbers>.Widen(dlow, branch.A, dinput!);
        if (!branch.A.requires_grad)
            return (dinput, null);
        var (a, b) = (RowOperations<T, TNumbers>.Outer(dlow, x), RowOperations<T, TNumbers>.Outer(low, doutput)); // [r, in], [r, out]
        var rank = branch.A.shape[0];
        return (dinput, new(a.narrow(0, 0, rank).contiguous(), b.narrow(0, 0, rank).t().contiguous()));
    }

    private static List<Tensor?> Gradients(Tensor? input, params ReadOnlySpan<Trained?> branches)
    {
        var gradients = new List<Tensor?> { input, null };
        foreach (var branch in branches)
            if (branch is not null)
                gradients.AddRange(branch.A, branch.B);
        return gradients;
    }

    /// <summary>The gradients of an adapter on one layer.</summary>
    /// <param name="A">[r, in]</param>
    /// <param name="B">[out, r]</param>
    private sealed record Trained(Tensor A, Tensor B);
}
