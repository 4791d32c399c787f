using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Functions.Tests.Compute;

/// <summary>Training computes as much at a time as the machine has threads for.</summary>
public sealed class ComputeGateTests
{
    private static readonly ComputeSettings Cpu = new();
    private static readonly ComputeSettings Gpu = new() { Device = "cuda" };

    private readonly ComputeGate _gate = new(4);

    [Fact]
    public async Task Work_enters_while_there_are_threads_for_it_and_then_in_its_order()
    {
        var three = await EnterAsync(Cpu, 3);
        var one = await EnterAsync(Cpu, 1);
        var two = _gate.EnterAsync(Cpu, 2, CancellationToken.None);
        var last = _gate.EnterAsync(Cpu, 1, CancellationToken.None);
        one.Dispose();
        one.Dispose(); // once is enough
        Assert.False(two.IsCompleted); // needs two, and one is free
        Assert.False(last.IsCompleted); // was later
        three.Dispose();
        (await two).Dispose();
        (await last).Dispose();
        (await EnterAsync(Cpu, 4)).Dispose();
    }

    [Fact]
    public async Task A_GPU_computes_for_one_and_more_threads_than_there_are_are_all_there_are()
    {
        foreach (var (compute, threads) in new[] { (Gpu, 1), (Cpu, 64) })
        {
            var all = await EnterAsync(compute, threads);
            var next = _gate.EnterAsync(Cpu, 1, CancellationToken.None);
            Assert.False(next.IsCompleted);
            all.Dispose();
            (await next).Dispose();
        }
    }

    [Fact]
    public async Task Whoever_gives_up_the_wait_holds_nobody_up()
    {
        var all = await EnterAsync(Cpu, 4);
        using var impatient = new CancellationTokenSource();
        var givenUp = _gate.EnterAsync(Cpu, 4, impatient.Token);
        var next = _gate.EnterAsync(Cpu, 1, CancellationToken.None);
        await impatient.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => givenUp);
        all.Dispose();
        (await next).Dispose();
        (await EnterAsync(Cpu, 4)).Dispose();
    }

    private Task<IDisposable> EnterAsync(ComputeSettings compute, int threads)
    {
        return _gate.EnterAsync(compute, threads, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(30));
    }
}
