using System.Diagnostics;

/// <summary>
/// The worker's leash. .NET runs this inside the worker before its Main, because the host named this assembly in
/// DOTNET_STARTUP_HOOKS. The worker's standard input is a pipe that the host holds and never writes to: it ends when the host
/// does, however that came about, and then the worker ends too.
/// </summary>
internal static class StartupHook
{
    public static void Initialize()
    {
        Environment.SetEnvironmentVariable("DOTNET_STARTUP_HOOKS", null); // for the worker alone, not for what it starts
        new Thread(EndWithTheHost) { IsBackground = true, Name = "leash" }.Start();
    }

    private static void EndWithTheHost()
    {
        using var leash = Console.OpenStandardInput();
        while (leash.ReadByte() >= 0)
        {
        }

        Process.GetCurrentProcess().Kill();
    }
}
