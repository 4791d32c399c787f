using RlhfFunctions.Compute;

namespace RlhfFunctions.Functions.Tests.Compute;

/// <summary>What stays in memory, and for how long.</summary>
public sealed class LoadedModelsTests : IDisposable
{
    private readonly HandClock _clock = new();
    private readonly LoadedModels _models;

    public LoadedModelsTests()
    {
        _models = new LoadedModels(new IdleLimits(Bytes: 100, TimeSpan.FromMinutes(10)), _clock);
    }

    [Fact]
    public void What_runs_side_by_side_has_a_model_each_and_what_comes_after_finds_them()
    {
        var (one, other) = (Alone("a"), Alone("a"));
        Assert.NotSame(one.Model, other.Model);
        one.Dispose();
        one.Dispose(); // once is enough
        using var next = Alone("a");
        Assert.Same(one.Model, next.Model);
        using var third = Alone("a");
        Assert.NotSame(other.Model, third.Model);
        other.Dispose();
    }

    [Fact]
    public void What_is_shared_is_loaded_once_and_stays_while_anybody_uses_it()
    {
        var one = _models.TakeShared("a", 60, () => new Thing());
        using var other = _models.TakeShared("a", 60, () => new Thing());
        Assert.Same(one.Model, other.Model);
        one.Dispose();
        _clock.Advance(TimeSpan.FromHours(1));
        using var big = Alone("b", 90);
        Assert.False(other.Model.IsDisposed);
    }

    [Fact]
    public void The_one_that_was_idle_longest_makes_room()
    {
        Thing[] things = new Thing[3];
        for (int i = 0; i < 3; i++)
        {
            using var lease = Alone($"{i}", 30);
            things[i] = lease.Model;
            _clock.Advance(TimeSpan.FromMinutes(1));
        }

        using var next = Alone("next", 40); // 90 + 40 > 100: one must go
        Assert.Equal([true, false, false], things.Select(thing => thing.IsDisposed));
    }

    [Fact]
    public void What_is_idle_for_too_long_goes_by_itself()
    {
        Thing thing;
        using (var lease = Alone("a")) thing = lease.Model;
        _clock.Advance(TimeSpan.FromMinutes(9));
        _clock.Ring();
        Assert.False(thing.IsDisposed);
        _clock.Advance(TimeSpan.FromMinutes(2));
        _clock.Ring();
        Assert.True(thing.IsDisposed);
    }

    [Fact]
    public void A_model_that_is_distrusted_is_let_go_with_its_last_user()
    {
        var lease = Alone("a");
        lease.Distrust();
        lease.Dispose();
        Assert.True(lease.Model.IsDisposed);
        using var next = Alone("a");
        Assert.NotSame(lease.Model, next.Model);
    }

    public void Dispose()
    {
        _models.Dispose();
    }

    private ModelLease<Thing> Alone(string key, long bytes = 10)
    {
        return _models.TakeAlone(key, bytes, () => new Thing());
    }

    private sealed class Thing : IDisposable
    {
        public bool IsDisposed { get; private set; }

        public void Dispose()
        {
            IsDisposed = true;
        }
    }

    /// <summary>A clock that goes on by hand, with one timer.</summary>
    private sealed class HandClock : TimeProvider
    {
        private long _now;
        private Action _ring = () => { };

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp()
        {
            return _now;
        }

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            _ring = () => callback(state);
            return new NoTimer();
        }

        public void Advance(TimeSpan time)
        {
            _now += time.Ticks;
        }

        public void Ring()
        {
            _ring();
        }

        private sealed class NoTimer : ITimer
        {
            public bool Change(TimeSpan dueTime, TimeSpan period)
            {
                return true;
            }

            public void Dispose()
            {
            }

            public ValueTask DisposeAsync()
            {
                return ValueTask.CompletedTask;
            }
        }
    }
}
