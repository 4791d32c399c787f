using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace RlhfFunctions.Infra.Tests;

/// <summary>
/// One Bicep process that answers many questions over JSON-RPC: what the command line does in a second or two, most of it its own start,
/// takes it a tenth. It ends when its input does, with this process.
/// </summary>
internal static class BicepServer
{
    private static readonly Lock Turn = new();
    private static readonly Lazy<Process> Server = new(Start);
    private static int _requests;

    /// <summary>The template as JSON text.</summary>
    public static string Compile(string file)
    {
        var result = Ask("bicep/compile", new() { ["path"] = file });
        Assert.Empty(result["diagnostics"]!.AsArray().Select(diagnostic => diagnostic!.ToJsonString()));
        return (string)result["contents"]!;
    }

    /// <summary>What a deployment of the parameters would make.</summary>
    public static JsonNode Snapshot(string file)
    {
        var result = Ask("bicep/getSnapshot", new() { ["path"] = file, ["metadata"] = new JsonObject { ["subscriptionId"] = Bicep.Subscription } });
        return JsonNode.Parse((string)result["snapshot"]!)!;
    }

    /// <summary>The file as it should be formatted.</summary>
    public static string Format(string file)
    {
        return (string)Ask("bicep/format", new() { ["path"] = file })["contents"]!;
    }

    /// <summary>What is wrong with the parameters when one of them has another value.</summary>
    public static IReadOnlyList<string> Complaints(string file, string parameter, JsonNode value)
    {
        var result = Ask("bicep/compileParams", new() { ["path"] = file, ["parameterOverrides"] = new JsonObject { [parameter] = value } });
        return [.. result["diagnostics"]!.AsArray().Select(diagnostic => (string)diagnostic!["message"]!)];
    }

    private static JsonObject Ask(string method, JsonObject parameters)
    {
        lock (Turn)
        {
            var request = new JsonObject { ["jsonrpc"] = "2.0", ["id"] = ++_requests, ["method"] = method, ["params"] = parameters };
            byte[] body = Encoding.UTF8.GetBytes(request.ToJsonString());
            var input = Server.Value.StandardInput.BaseStream;
            input.Write(Encoding.ASCII.GetBytes($"Content-Length: {body.Length}\r\n\r\n"));
            input.Write(body);
            input.Flush();

            var answer = JsonNode.Parse(ReadBody(Server.Value.StandardOutput.BaseStream))!;
            return answer["result"]?.AsObject() ?? throw new InvalidOperationException($"{method}: {answer["error"]?.ToJsonString()}");
        }
    }

    private static byte[] ReadBody(Stream output)
    {
        const string length = "Content-Length: ";
        int size = 0;
        while (ReadLine(output) is { Length: > 0 } header)
        {
            if (header.StartsWith(length, StringComparison.OrdinalIgnoreCase))
                size = int.Parse(header[length.Length..], CultureInfo.InvariantCulture);
        }

        byte[] body = new byte[size];
        output.ReadExactly(body);
        return body;
    }

    private static string ReadLine(Stream output)
    {
        var line = new StringBuilder();
        for (int next = output.ReadByte(); next is not '\n'; next = output.ReadByte())
        {
            if (next < 0) throw new EndOfStreamException("Bicep has ended.");
            if (next is not '\r') line.Append((char)next);
        }

        return line.ToString();
    }

    private static Process Start()
    {
        var start = Bicep.Command("jsonrpc", "--stdio");
        start.RedirectStandardInput = true;
        start.RedirectStandardOutput = true;
        return Process.Start(start)!;
    }
}
