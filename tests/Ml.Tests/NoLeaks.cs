namespace RlhfFunctions.Ml.Tests;

/// <summary>Asserts that an operation leaves no tensor behind: undisposed tensors are never freed in time.</summary>
internal static class NoLeaks
{
    /// <param name="operation">What is asserted; it disposes what it returns to itself.</param>
    public static void In(Action operation)
    {
        operation(); // whatever is built once, is built now
        var before = TorchSharp.DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        operation();
        operation();
        Assert.Equal(before, TorchSharp.DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }
}
