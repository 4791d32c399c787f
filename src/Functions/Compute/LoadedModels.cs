namespace RlhfFunctions.Compute;

/// <summary>What may lie in memory that nobody uses.</summary>
/// <param name="Bytes">All loaded models together, as their files count, before idle ones make room for the next.</param>
/// <param name="IdleTime">How long one stays that nobody asks for.</param>
public sealed record IdleLimits(long Bytes, TimeSpan IdleTime);

/// <summary>
/// Models in memory. Whoever computes holds a lease; what nobody holds stays for the next who asks, until it has been idle for too
/// long or another model needs the room: then the one that was idle longest goes first.
/// </summary>
public sealed class LoadedModels : IDisposable
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private readonly Lock _oneLoadsShared = new();
    private readonly List<Held> _held = [];
    private readonly IdleLimits _limits;
    private readonly TimeProvider _time;
    private readonly ITimer _timer;

    public LoadedModels(IdleLimits limits, TimeProvider time)
    {
        (_limits, _time) = (limits, time);
        _timer = time.CreateTimer(_ => MakeRoom(0), null, LookEvery, LookEvery);
    }

    /// <summary>A model for one user at a time: what runs side by side has one each.</summary>
    /// <param name="key">Equal keys stand for equal models.</param>
    /// <param name="bytes">Bytes of its files.</param>
    /// <param name="load">Loads it where none is idle.</param>
    public ModelLease<T> TakeAlone<T>(string key, long bytes, Func<T> load)
        where T : IDisposable
    {
        lock (_lock)
        {
            if (_held.FindLast(model => model.Key == key && model.Users == 0) is { } idle) return Lease<T>(idle);
        }

        return Load(key, bytes, load);
    }

    /// <summary>A model that holds no state between calls, so that all use the same one.</summary>
    public ModelLease<T> TakeShared<T>(string key, long bytes, Func<T> load)
        where T : IDisposable
    {
        lock (_oneLoadsShared) // whoever comes second waits for what the first loads
        {
            lock (_lock)
            {
                if (_held.Find(model => model.Key == key) is { } there) return Lease<T>(there);
            }

            return Load(key, bytes, load);
        }
    }

    public void Dispose()
    {
        _timer.Dispose();
        lock (_lock)
        {
            foreach (var model in _held.Where(model => model.Users == 0)) model.Model.Dispose();
            _held.RemoveAll(model => model.Users == 0);
        }
    }

    private ModelLease<T> Load<T>(string key, long bytes, Func<T> load)
        where T : IDisposable
    {
        MakeRoom(bytes);
        var loaded = new Held(key, bytes, load()); // not under the lock: others come and go meanwhile
        lock (_lock)
        {
            _held.Add(loaded);
            return Lease<T>(loaded);
        }
    }

    private ModelLease<T> Lease<T>(Held model)
        where T : IDisposable
    {
        model.Users++;
        return new ModelLease<T>((T)model.Model, isSound => Return(model, isSound));
    }

    private void Return(Held model, bool isSound)
    {
        lock (_lock)
        {
            model.Users--;
            model.IdleSince = _time.GetTimestamp();
            model.IsSound &= isSound;
            if (model.IsSound || model.Users > 0) return;
            _held.Remove(model);
        }

        model.Model.Dispose();
    }

    private void MakeRoom(long bytes)
    {
        lock (_lock)
        {
            foreach (var idle in _held.Where(model => model.Users == 0).OrderBy(model => model.IdleSince).ToList())
            {
                if (_time.GetElapsedTime(idle.IdleSince) < _limits.IdleTime && _held.Sum(model => model.Bytes) + bytes <= _limits.Bytes) return;
                _held.Remove(idle);
                idle.Model.Dispose();
            }
        }
    }

    private sealed class Held(string key, long bytes, IDisposable model)
    {
        public string Key => key;

        public long Bytes => bytes;

        public IDisposable Model => model;

        public int Users { get; set; }

        public long IdleSince { get; set; }

        public bool IsSound { get; set; } = true;
    }
}

/// <summary>The right to use a model until this is disposed.</summary>
public sealed class ModelLease<T>(T model, Action<bool> giveBack) : IDisposable
{
    private bool _isSound = true;
    private bool _isOver;

    public T Model => model;

    /// <summary>Says that nobody knows what the model was left with: it is let go when its last user is done.</summary>
    public void Distrust()
    {
        _isSound = false;
    }

    public void Dispose()
    {
        if (_isOver) return;
        _isOver = true;
        giveBack(_isSound);
    }
}
