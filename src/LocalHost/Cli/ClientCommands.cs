using System.CommandLine;
using System.Text;
using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.LocalHost.Hosting;
using Spectre.Console;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>
/// What talks to an app that is running somewhere, here or in Azure, as any other client does: tables on a terminal, with --json what
/// the app answered.
/// </summary>
internal sealed class ClientCommands(IAnsiConsole console)
{
    /// <summary>Where a function key is looked for, so that it need not stand in the shell's history.</summary>
    public const string KeyVariable = "RLHF_KEY";

    private static readonly TimeSpan PollInterval = TimeSpan.FromSeconds(1);

    private readonly Option<Uri?> _url = new("--url")
    {
        Description = $"The app's address; its function key is taken from the environment variable {KeyVariable}.",
        DefaultValueFactory = _ => new Uri("http://localhost:7071"),
        HelpName = "URL",
        CustomParser = given =>
        {
            if (Uri.TryCreate(given.Tokens.Single().Value, UriKind.Absolute, out var url) && url.Scheme.StartsWith("http", StringComparison.Ordinal)) return url;
            given.AddError($"{given.Tokens.Single().Value} is no address of an app: it begins with http:// or https://.");
            return null;
        },
    };

    private readonly Option<bool> _json = new("--json") { Description = "Print what the app answered, as JSON." };
    private readonly Argument<string> _run = new("run") { Description = "The run's id." };

    public IEnumerable<Command> All()
    {
        yield return Command("runs", "List the runs of an app, the newest first.", [], async (client, arguments, cancellation) =>
            Show(arguments, await client.ListAsync("", cancellation), RunTables.List));

        yield return Command("show", "Show a run: how it fares, or what it came to.", [_run], async (client, arguments, cancellation) =>
            Show(arguments, await client.GetAsync(arguments.GetValue(_run)!, cancellation), RunTables.Facts));

        var follow = new Option<bool>("--follow", "-f") { Description = "Go on until the run ends." };
        yield return Command("logs", "Print a line for each step that a run has done.", [_run, follow], (client, arguments, cancellation) =>
            LogAsync(client, arguments, arguments.GetValue(follow), cancellation));

        var reason = new Option<string?>("--reason") { Description = "Why; it is kept among the run's events." };
        foreach (var (name, description) in new[]
        {
            ("suspend", "Let a run pause."),
            ("resume", "Let a run go on: where it paused, or where it failed or was cancelled, from its last whole checkpoint."),
            ("cancel", "End a run; what it has made is kept."),
        })
        {
            yield return Command(name, description, [_run, reason], async (client, arguments, cancellation) =>
                Show(arguments, await client.ControlAsync(arguments.GetValue(_run)!, name, arguments.GetValue(reason), cancellation), RunTables.Facts));
        }

        var said = new Argument<string?>("text") { Description = "What to say; left out: each line of standard input, until it ends.", Arity = ArgumentArity.ZeroOrOne };
        var partner = new Option<string>("--model") { Description = "latest, base, a run, or run@step.", DefaultValueFactory = _ => "latest" };
        var length = new Option<int?>("--max-tokens") { Description = "Tokens of an answer at most (default: as in the run's rollouts)." };
        yield return Command("chat", "Talk with an adapter of the app.", [said, partner, length], async (client, arguments, cancellation) =>
        {
            var turns = new List<(string Role, string Text)>();
            string? once = arguments.GetValue(said);
            while ((once ?? await Console.In.ReadLineAsync(cancellation)) is { Length: > 0 } line)
            {
                turns.Add(("user", line));
                turns.Add(("assistant", await AnswerAsync(client, arguments, arguments.GetValue(partner)!, turns, arguments.GetValue(length), cancellation)));
                if (once is not null) return;
            }
        });

        var text = new Argument<string>("text") { Description = "The prompt; - reads it from standard input." };
        var isDialogue = new Option<bool>("--dialogue") { Description = "It is a dialogue, and goes into the run's prompt template." };
        var of = new Option<string?>("--run") { Description = "The run whose adapter writes (default: the one that serves).", HelpName = "RUN" };
        var seed = new Option<long>("--seed") { Description = "The same seed writes the same." };
        var tokens = new Option<int?>("--max-tokens") { Description = "Tokens at most (default: as in the run's rollouts)." };
        var temperature = new Option<double?>("--temperature") { Description = "0: always the most probable token (default: as in the run's rollouts)." };
        yield return Command("generate", "Let an adapter of the app continue a text.", [text, isDialogue, of, seed, tokens, temperature], async (client, arguments, cancellation) =>
        {
            string given = arguments.GetValue(text)!;
            string[] texts = [given == "-" ? await Console.In.ReadToEndAsync(cancellation) : given];
            var answer = await client.GenerateAsync(
                new GenerateRequest
                {
                    Prompts = arguments.GetValue(isDialogue) ? null : texts,
                    Dialogues = arguments.GetValue(isDialogue) ? texts : null,
                    RunId = arguments.GetValue(of),
                    Seed = arguments.GetValue(seed),
                    MaxNewTokens = arguments.GetValue(tokens),
                    Temperature = arguments.GetValue(temperature),
                },
                cancellation);
            Show(arguments, answer, written => new Text(written.Texts[0].Text));
        });
    }

    private Command Command(string name, string description, IEnumerable<Symbol> symbols, Func<RunClient, ParseResult, CancellationToken, Task> run)
    {
        var command = new Command(name, description) { _url, _json };
        foreach (var symbol in symbols)
        {
            if (symbol is Argument argument) command.Add(argument);
            else command.Add((Option)symbol);
        }

        command.SetAction(async (arguments, cancellation) =>
        {
            using var client = new RunClient(arguments.GetValue(_url)!, Environment.GetEnvironmentVariable(KeyVariable));
            await run(client, arguments, cancellation);
        });
        return command;
    }

    private void Show<T>(ParseResult arguments, T answer, Func<T, Spectre.Console.Rendering.IRenderable> picture)
    {
        if (arguments.GetValue(_json)) console.Profile.Out.Writer.WriteLine(JsonSerializer.Serialize(answer, ContractsJson.Indented));
        else console.Write(picture(answer));
        if (!arguments.GetValue(_json)) console.WriteLine();
    }

    /// <summary>Shows an answer as it comes.</summary>
    private async Task<string> AnswerAsync(
        RunClient client, ParseResult arguments, string model, IReadOnlyList<(string Role, string Text)> turns, int? maxTokens, CancellationToken cancellation)
    {
        var answer = new StringBuilder();
        await foreach (string piece in client.ChatAsync(model, turns, maxTokens, cancellation))
        {
            answer.Append(piece);
            if (!arguments.GetValue(_json)) console.Profile.Out.Writer.Write(piece);
        }

        console.Profile.Out.Writer.WriteLine(arguments.GetValue(_json) ? JsonSerializer.Serialize(new { Role = "assistant", Content = answer.ToString() }, ContractsJson.Options) : "");
        return answer.ToString();
    }

    private async Task LogAsync(RunClient client, ParseResult arguments, bool follow, CancellationToken cancellation)
    {
        string run = arguments.GetValue(_run)!;
        for (int shown = 0; ; await Task.Delay(PollInterval, cancellation))
        {
            var view = await client.GetAsync(run, cancellation); // before its steps: what it has done by then is shown
            foreach (var step in (await client.MetricsAsync(run, cancellation)).Skip(shown))
            {
                console.Profile.Out.Writer.WriteLine(arguments.GetValue(_json) ? step.ToJsonString() : RunTables.StepLine(step));
                shown++;
            }

            if (view.Failure is { } failure) throw new UserErrorException($"Run {run} ended as {view.Status}: {failure}");
            if (!follow || view.Status is "Completed" or "Failed" or "Terminated") return;
        }
    }
}
