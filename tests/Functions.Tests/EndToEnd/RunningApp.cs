namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>One host for all tests of a class.</summary>
public sealed class RunningApp : IAsyncLifetime
{
    internal LocalApp App { get; } = new();

    public async ValueTask InitializeAsync()
    {
        await App.StartAsync();
    }

    public ValueTask DisposeAsync()
    {
        App.Dispose();
        return ValueTask.CompletedTask;
    }
}
