using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.EndToEnd;

namespace RlhfFunctions.Functions.Tests.Http;

/// <summary>
/// Makes requests that are almost right: a valid one with a few things changed about its body, address, method or headers. The
/// valid one names a label that no classifier has, twice, so that whatever is made of it starts no run.
/// </summary>
/// <param name="seed">The same seed makes the same requests.</param>
internal sealed class RequestMutator(int seed)
{
    private static readonly string[] Addresses =
    [
        "/api/runs", "/api/runs", "/api/runs", "/api/runs", "/api/generate", "/api/generate", "/api/runs/nobody", "/api/runs/nobody/report",
        "/api/runs/nobody/metrics", "/api/runs/nobody/cancel", "/api/runs/nobody/resume?reason=%00", "/api/runs?limit=x&validate=y", "/api/score",
        "/api/v1/chat/completions", "/api/v1/models", "/api/adapters/nobody/promote", "/api/dialogues/x.txt", "/api/openapi.json", "/api/adapters", "/api/health", "/api", "/api/", "/", "/api/nothing", "/api/runs/", "/api/runs//report",
        "/api/runs/..%2f..%2fetc", "/api/runs/%F0%9F%98%80", "/api/runs/a%0Ab", "/api/runs/NO", "/api/runs/nobody/report/x", "/api/runs?x=%",
        "/api/runs/" + new string('a', 2000), "/favicon.ico", "/admin/host/status", "/api/health/../runs",
    ];

    private static readonly string[] Methods = ["POST", "POST", "POST", "POST", "POST", "GET", "GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];

    private static readonly string[] ContentTypes =
    [
        "application/json", "application/json", "application/json", "application/json", "application/json", "application/json; charset=utf-8",
        "application/json; charset=utf-16", "text/plain", "application/xml", "application/merge-patch+json", "multipart/form-data; boundary=x",
    ];

    private static readonly Func<JsonNode?>[] Values =
    [
        () => null, () => true, () => "", () => "\0", () => "a\nb", () => "\u202e\ud83d\ude00ﷺ", () => "'; DROP TABLE runs; --", () => "<script>alert(1)</script>",
        () => new string('x', 5000), () => "file:/etc/passwd", () => "file:", () => "file:samples/../../../etc", () => "file:\0", () => "file:samples/models/llama/config.json",
        () => "blob:azure-webjobs-secrets/x", () => "blob:models/no-such", () => "blob:models/../runs/x", () => "blob:dialogues/no.csv", () => "blob:x", () => "hf:a/b/c",
        () => "blob:dialogues/" + new string('n', 1500), () => "blob:dialogues/\\?#%00\u0001", () => "file:" + new string('/', 300), () => "file:samples", () => "$(reboot)",
        () => -1, () => 0, () => 1, () => int.MaxValue, () => long.MaxValue, () => long.MinValue, () => 1.5, () => -0.0, () => 1e308, () => JsonNode.Parse("1e999"),
        () => JsonNode.Parse("123456789012345678901234567890"), () => 65_536, () => 1e-320, () => new JsonArray(), () => new JsonObject(), () => new JsonArray(null, 1, "a"),
        () => new JsonObject { ["$type"] = "x" }, () => new JsonObject { ["kind"] = 7 }, () => new JsonArray([.. Enumerable.Repeat<JsonNode?>("word", 12_000).Select(word => word!.DeepClone())]),
        () => Nested(40), () => Nested(60), () => "nf4", () => "cuda", () => "{dialogue}", () => "all-linear",
    ];

    private readonly Random _random = new(seed);

    public HttpRequestMessage Next()
    {
        string address = Pick(Addresses);
        var request = new HttpRequestMessage(new HttpMethod(Pick(Methods)), new Uri(address, UriKind.Relative));
        var body = address == "/api/generate" ? TextRequest() : RunRequest();
        for (int changes = _random.Next(4); changes > 0; changes--) Change(body);
        if (request.Method.Method is not ("GET" or "HEAD"))
        {
            request.Content = new ByteArrayContent(Garble(body.ToJsonString()));
            if (_random.Next(20) > 0) request.Content.Headers.TryAddWithoutValidation("Content-Type", Pick(ContentTypes));
        }

        switch (_random.Next(12))
        {
            case 0: request.Headers.TryAddWithoutValidation("x-correlation-id", Pick(["mine-1", "a b", "<b>", new string('c', 300)])); break;
            case 1: request.Headers.TryAddWithoutValidation("Accept", "text/nothing"); break;
            case 2: request.Headers.TryAddWithoutValidation("x-ms-invocation-id", "00000000-0000-0000-0000-000000000000"); break;
            case 3: request.Headers.TryAddWithoutValidation("traceparent", Pick(["00-x-y-z", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"])); break;
            case 4: request.Headers.TryAddWithoutValidation("If-None-Match", "*"); break;
            case 5: request.Headers.Range = new RangeHeaderValue(0, 10); break;
            case 6: request.Headers.TryAddWithoutValidation("x-http-method-override", "DELETE"); break;
        }

        return request;
    }

    private static JsonObject RunRequest()
    {
        var request = TinyRun.Request("fuzzed");
        return JsonSerializer.SerializeToNode(
            request with
            {
                Reward = new RewardSettings
                {
                    Terms =
                    [
                        new ClassifierTerm { Source = "file:samples/models/reward", Label = "nobodys" },
                        new WordsTerm { Words = ["idiot"] },
                        new LengthTerm { MaxWords = 40 },
                        new RepetitionTerm(),
                    ],
                },
                Evaluation = request.Evaluation with { Label = "nobodys" },
            },
            ContractsJson.Options)!.AsObject();
    }

    private static JsonObject TextRequest()
    {
        return new JsonObject { ["runId"] = "nobody", ["prompts"] = new JsonArray("Hello"), ["seed"] = 1, ["maxNewTokens"] = 2, ["temperature"] = 1 };
    }

    private static JsonNode? Nested(int depth)
    {
        return JsonNode.Parse(string.Concat(Enumerable.Repeat("{\"a\":[", depth / 2)) + "1" + string.Concat(Enumerable.Repeat("]}", depth / 2)), null, new JsonDocumentOptions { MaxDepth = 100 });
    }

    /// <summary>Changes, takes away, adds or renames something somewhere.</summary>
    private void Change(JsonObject body)
    {
        JsonNode place = body;
        while (_random.Next(3) > 0 && Children(place) is { Length: > 0 } children) place = Pick(children);
        if (place is JsonObject { Count: > 0 } inner)
        {
            string name = Pick([.. inner.Select(field => field.Key)]);
            switch (_random.Next(6))
            {
                case 0: inner.Remove(name); break;
                case 1: inner["surplus"] = Pick(Values)(); break;
                case 2: inner[name.ToUpperInvariant()] = inner[name]?.DeepClone(); break;
                default: inner[name] = Pick(Values)(); break;
            }
        }
        else if (place is JsonArray list)
        {
            if (list.Count > 0 && _random.Next(2) == 0) list[_random.Next(list.Count)] = Pick(Values)();
            else list.Add(Pick(Values)());
        }
    }

    private static JsonNode[] Children(JsonNode place)
    {
        var children = place is JsonObject inner ? inner.Select(field => field.Value) : place is JsonArray list ? list : [];
        return [.. children.Where(child => child is JsonObject or JsonArray)!];
    }

    /// <summary>Sometimes breaks the text itself.</summary>
    private byte[] Garble(string json)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(json);
        switch (_random.Next(12))
        {
            case 0: return bytes[.._random.Next(bytes.Length)];
            case 1: bytes[_random.Next(bytes.Length)] = (byte)_random.Next(256); return bytes;
            case 2: return [.. bytes, .. bytes];
            case 3: return [0xEF, 0xBB, 0xBF, .. bytes];
            case 4: return Encoding.UTF8.GetBytes(json.Replace("\"seed\":", "\"seed\":1,\"seed\":", StringComparison.Ordinal));
            case 5: return _random.Next(3) == 0 ? [] : Encoding.UTF8.GetBytes(Pick(["null", "[]", "1", "\"a\"", "{}", "{\"a\":\"\\ud800\"}", "nonsense", "{\"model\":null}"]));
            default: return bytes;
        }
    }

    private T Pick<T>(T[] among)
    {
        return among[_random.Next(among.Length)];
    }
}
