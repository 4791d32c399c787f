using System.CommandLine;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>Runs a parsed command: Ctrl-C stops it cleanly, an expected error is one paragraph and exit code 1.</summary>
internal static class CommandLine
{
    /// <summary>As shells report a program that ended by Ctrl-C.</summary>
    private const int Interrupted = 130;

    public static async Task<int> RunAsync(ParseResult command)
    {
        try
        {
            return await command.InvokeAsync(new InvocationConfiguration
            {
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = TimeSpan.FromSeconds(30),
            });
        }
        catch (UserErrorException e)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return 1;
        }
        catch (OperationCanceledException)
        {
            await Console.Error.WriteLineAsync("Stopped. The same command goes on from here.");
            return Interrupted;
        }
    }
}
