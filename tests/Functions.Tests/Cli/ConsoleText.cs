using Spectre.Console;

namespace RlhfFunctions.Functions.Tests.Cli;

/// <summary>A console wide enough for every table, whose text can be read.</summary>
internal sealed class ConsoleText : IDisposable
{
    private readonly StringWriter _text = new();

    public ConsoleText()
    {
        Console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = AnsiSupport.No,
            ColorSystem = ColorSystemSupport.NoColors,
            Out = new AnsiConsoleOutput(_text),
        });
        Console.Profile.Width = 200;
    }

    public IAnsiConsole Console { get; }

    /// <summary>The cells of each table row, without its frame; other lines as they are.</summary>
    public IReadOnlyList<string> Rows()
    {
        return [.. _text.ToString().Split('\n').Select(Cells)];

        static string Cells(string line)
        {
            return string.Join(" | ", line.Trim().Trim('│').Split('│', StringSplitOptions.TrimEntries));
        }
    }

    public void Dispose()
    {
        _text.Dispose();
    }
}
