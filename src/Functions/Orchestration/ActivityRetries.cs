using Microsoft.DurableTask;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Orchestration;

internal static class ActivityRetries
{
    /// <summary>A passing fault is waited out; input that is wrong stays wrong and fails at once.</summary>
    public static readonly TaskOptions Default = TaskOptions.FromRetryPolicy(new RetryPolicy(
        maxNumberOfAttempts: 4,
        firstRetryInterval: TimeSpan.FromSeconds(2),
        backoffCoefficient: 3,
        maxRetryInterval: TimeSpan.FromMinutes(1))
    {
        HandleFailure = failure => !failure.Is<InvalidInputException>() && !failure.Is<CorruptArtifactException>(),
    });

    /// <summary>Whoever is told of a run's end has 200 seconds to come back. No longer: while a message waits, a replica stays up for it.</summary>
    public static readonly TaskOptions OfNotices = TaskOptions.FromRetryPolicy(new RetryPolicy(
        maxNumberOfAttempts: 5,
        firstRetryInterval: TimeSpan.FromSeconds(5),
        backoffCoefficient: 3)
    {
        HandleFailure = failure => !failure.Is<InvalidInputException>(),
    });

    /// <summary>
    /// Whether an activity threw this. By name: the engine's own IsCausedBy looks the type up in every assembly, and throws where two
    /// of them answer to the name, as they do for HttpRequestException.
    /// </summary>
    public static bool Is<T>(this TaskFailureDetails failure)
        where T : Exception
    {
        return failure.ErrorType == typeof(T).FullName;
    }
}
