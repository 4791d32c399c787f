namespace RlhfFunctions.Scale;

/// <summary>
/// A run as a sequence of fan-outs, event by event: the orchestration sends messages one after another, replicas look at the queue
/// when they are free and at growing intervals while they find nothing, the first that looks takes the oldest message, and
/// the orchestration takes the answers one after another. Equal arguments give equal results.
/// </summary>
public sealed class Simulation
{
    private readonly StageTimes _stages;
    private readonly Platform _platform;
    private readonly Plan _plan;
    private readonly Random _random;
    private readonly Replica[] _replicas;
    private double _busy;
    private int _step;
    private double _firstActivity = double.PositiveInfinity;

    private Simulation(StageTimes stages, Platform platform, Plan plan)
    {
        (_stages, _platform, _plan, _random) = (stages, platform, plan, new Random(plan.Seed));
        _replicas = [.. Enumerable.Range(0, plan.Replicas).Select(Start)];
    }

    public static Outcome Run(StageTimes stages, Platform platform, Plan plan)
    {
        return new Simulation(stages, platform, plan).Run();
    }

    private Outcome Run()
    {
        double now = 0, rollouts = 0, updates = 0;
        long tokens = 0;
        for (_step = 0; _step < _plan.Steps; _step++)
        {
            int[][] shards = Responses();
            tokens += shards.Sum(shard => shard.Sum(length => (long)length));
            double started = now;
            now = FanOut(now, [.. shards.Select(RolloutSeconds)]);
            rollouts += now - started;
            started = now;
            now = Update(now);
            updates += now - started;
        }

        double end = now + (_plan.IsCold ? _platform.CooldownSeconds : 0);
        return new Outcome(
            _plan, now, rollouts, updates, tokens, _busy, _replicas.Sum(replica => end - replica.PaidFrom),
            _firstActivity, _replicas.Max(replica => replica.UpAt));
    }

    /// <summary>The lengths of a step's responses, in tokens, by shard.</summary>
    private int[][] Responses()
    {
        int[] lengths = [.. Enumerable.Range(0, _plan.BatchSize).Select(_ => _random.Next(_plan.ShortestResponse, _plan.LongestResponse + 1))];
        return [.. Enumerable.Range(0, _plan.Shards).Select(shard =>
            lengths[(int)((long)_plan.BatchSize * shard / _plan.Shards)..(int)((long)_plan.BatchSize * (shard + 1) / _plan.Shards)])];
    }

    private double RolloutSeconds(int[] lengths)
    {
        int together = Math.Min(_plan.Shards, _plan.Replicas);
        return _stages.ActivitySeconds + Fetch(_stages.CheckpointBytes, together) + Work.Rollout(_stages, lengths)
            + Put(_stages.RolloutBytesPerSample * lengths.Length, together);
    }

    /// <summary>
    /// One activity; or for every step of the optimizer, a fan-out over gradients and one activity that adds them up and steps, and in the
    /// end one that makes the checkpoint. Whoever works on an update has read all samples of the step, once.
    /// </summary>
    private double Update(double now)
    {
        double checkpoint = _stages.ActivitySeconds + Fetch(_stages.CheckpointBytes, 1) + Put(_stages.CheckpointBytes, 1);
        if (_plan.UpdateShards == 1) return FanOut(now, [checkpoint + Work.Update(_stages, _plan)], readsSamples: true);

        int samples = (_plan.SamplesOfOptimizerStep + _plan.UpdateShards - 1) / _plan.UpdateShards;
        int together = Math.Min(_plan.UpdateShards, _plan.Replicas);
        double gradient = _stages.ActivitySeconds
            + Fetch(_stages.CheckpointBytes, together)
            + (samples * _stages.UpdateSampleSeconds)
            + Put(_stages.GradientBytes, together);
        double reduce = _stages.ActivitySeconds
            + Fetch(_stages.CheckpointBytes + (_stages.GradientBytes * _plan.UpdateShards), 1)
            + _stages.OptimizerStepSeconds
            + Put(_stages.CheckpointBytes, 1);
        for (int step = 0; step < _plan.OptimizerSteps; step++)
        {
            now = FanOut(now, [.. Enumerable.Repeat(gradient, _plan.UpdateShards)], readsSamples: true);
            now = FanOut(now, [reduce], readsSamples: true);
        }

        return FanOut(now, [checkpoint], readsSamples: true);
    }

    /// <param name="now">When the orchestration begins to send.</param>
    /// <param name="seconds">How long each activity takes, oldest message first.</param>
    /// <param name="readsSamples">Whether they need the step's samples; a replica that has read them keeps them.</param>
    /// <returns>When it can go on.</returns>
    private double FanOut(double now, IReadOnlyList<double> seconds, bool readsSamples = false)
    {
        double Visible(int message) => now + ((message + 1) / _platform.FanOutPerSecond);
        var looks = new PriorityQueue<Replica, (double At, int Number)>(
            _replicas.Select(replica => (replica, (replica.NextLook(Visible(0), _platform), replica.Number))));
        var answers = new PriorityQueue<double, double>();
        for (int message = 0; message < seconds.Count;)
        {
            looks.TryDequeue(out var replica, out var look);
            if (Visible(message) > look.At)
            {
                looks.Enqueue(replica!, (replica!.NextLook(Visible(message), _platform), replica.Number));
                continue;
            }

            int together = Math.Min(_plan.Replicas, seconds.Count);
            double taken = seconds[message++] + (replica!.HasModel ? 0 : Fetch(_stages.ModelBytes, together));
            replica.HasModel = true;
            if (readsSamples && replica.SamplesOfStep != _step)
            {
                taken += Fetch(_stages.RolloutBytesPerSample * _plan.BatchSize, together);
                replica.SamplesOfStep = _step;
            }

            replica.FreeAt = look.At + taken;
            _busy += taken;
            _firstActivity = Math.Min(_firstActivity, look.At);
            answers.Enqueue(replica.FreeAt, replica.FreeAt);
            looks.Enqueue(replica, (replica.FreeAt, replica.Number));
        }

        double heard = now;
        while (answers.TryDequeue(out double answer, out _)) heard = Math.Max(heard, answer) + (1 / _platform.FanInPerSecond);
        return heard + _stages.OrchestrationSeconds;
    }

    private double Fetch(double bytes, int together)
    {
        return bytes / Math.Min(_stages.ReplicaBytesPerSecond, _platform.EgressBytesPerSecond / together);
    }

    private double Put(double bytes, int together)
    {
        return bytes / Math.Min(_stages.ReplicaBytesPerSecond, _platform.IngressBytesPerSecond / together);
    }

    /// <summary>A warm replica is there and has the model. A cold one is asked for in its wave, paid from then on, and up after a while.</summary>
    private Replica Start(int number)
    {
        if (!_plan.IsCold) return new Replica(number, paidFrom: 0, upAt: 0) { HasModel = true };
        int wave = number == 0 ? 0 : number < 4 ? 1 : (int)Math.Log2(number);
        double asked = _platform.ScaleSeconds * (wave + 1);
        return new Replica(number, asked, asked + _stages.ColdStartLow + (_random.NextDouble() * (_stages.ColdStartHigh - _stages.ColdStartLow)));
    }

    private sealed class Replica(int number, double paidFrom, double upAt)
    {
        public int Number { get; } = number;

        public double PaidFrom { get; } = paidFrom;

        public double UpAt { get; } = upAt;

        public double FreeAt { get; set; } = upAt;

        public bool HasModel { get; set; }

        /// <summary>The step whose samples it has in memory; -1: of none.</summary>
        public int SamplesOfStep { get; set; } = -1;

        /// <summary>When it looks at the queue for the first time at or after an instant.</summary>
        public double NextLook(double instant, Platform platform)
        {
            double look = FreeAt;
            for (double wait = platform.PollSeconds.Low; look < instant; wait = Math.Min(2 * wait, platform.PollSeconds.High))
            {
                look += wait == platform.PollSeconds.High ? Math.Ceiling((instant - look) / wait) * wait : wait;
            }

            return look;
        }
    }
}
