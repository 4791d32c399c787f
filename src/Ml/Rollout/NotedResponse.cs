namespace RlhfFunctions.Ml.Rollout;

/// <summary>A response with what was seen while it was sampled, one entry per token.</summary>
internal sealed class NotedResponse
{
    public List<int> Ids { get; } = [];

    /// <summary>log π of each token at the sampling temperature; empty where restrictions bent what was sampled.</summary>
    public List<float> LogProbs { get; } = [];

    /// <summary>The value of the state before each token; empty where nobody asked.</summary>
    public List<float> Values { get; } = [];

    public bool HasEnded { get; private set; }

    /// <summary>Takes a token; the response ends with it if it ends a text or reaches the limit.</summary>
    public void Add(int row, int token, GenerationJob job)
    {
        Ids.Add(token);
        HasEnded = job.EndOfText.Contains(token) || Ids.Count == job.Limit(row);
        job.OnToken?.Invoke(row, token);
    }
}
