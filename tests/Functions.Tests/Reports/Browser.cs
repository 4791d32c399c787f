using System.Diagnostics;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using Deque.AxeCore.Commons;

namespace RlhfFunctions.Functions.Tests.Reports;

/// <summary>A headless Chromium with one page, steered through its DevTools protocol.</summary>
internal sealed class Browser : IAsyncDisposable
{
    private static readonly string[] Names = ["chromium", "chromium-browser", "google-chrome"];

    private readonly Process _process;
    private readonly DirectoryInfo _profile;
    private readonly ClientWebSocket _socket = new();
    private int _lastId;

    private Browser(Process process, DirectoryInfo profile)
    {
        _process = process;
        _profile = profile;
    }

    /// <summary>Skips the calling test where no Chromium is installed.</summary>
    public static async Task<Browser> StartAsync()
    {
        string? program = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .SelectMany(folder => Names.Select(name => Path.Combine(folder, name))).FirstOrDefault(File.Exists);
        Assert.SkipWhen(program is null, "No Chromium is installed: apt-get install chromium to have the page looked at in a browser.");

        var profile = Directory.CreateTempSubdirectory("rlhf-browser-");
        var start = new ProcessStartInfo(program!) { RedirectStandardError = true, RedirectStandardOutput = true };
        foreach (string argument in new[] { "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0", $"--user-data-dir={profile.FullName}", "about:blank" })
            start.ArgumentList.Add(argument);
        var browser = new Browser(Process.Start(start)!, profile);
        try
        {
            await browser.ConnectAsync();
            await browser.SendAsync("Page.enable", new { });
            return browser;
        }
        catch
        {
            await browser.DisposeAsync();
            throw;
        }
    }

    /// <summary>Opens a file or an address in a window of this width.</summary>
    public async Task ShowAsync(string address, int width, bool isDark = false)
    {
        await SendAsync("Emulation.setDeviceMetricsOverride", new { width, height = 800, deviceScaleFactor = 1, mobile = false });
        await SendAsync("Emulation.setEmulatedMedia", new { features = new[] { new { name = "prefers-color-scheme", value = isDark ? "dark" : "light" } } });
        await SendAsync("Page.navigate", new { url = new Uri(address).AbsoluteUri }, until: "Page.loadEventFired");
    }

    /// <summary>What a JavaScript expression comes to; a promise is waited for.</summary>
    public async Task<T> EvaluateAsync<T>(string expression)
    {
        var answer = await SendAsync("Runtime.evaluate", new { expression, returnByValue = true, awaitPromise = true });
        Assert.True(answer["exceptionDetails"] is null, answer.ToJsonString());
        return answer["result"]!["value"]!.GetValue<T>();
    }

    /// <summary>Presses and lets go of a key.</summary>
    public async Task PressAsync(string key, int code, string text = "")
    {
        await SendAsync("Input.dispatchKeyEvent", new { type = "keyDown", key, code = key, windowsVirtualKeyCode = code, text });
        await SendAsync("Input.dispatchKeyEvent", new { type = "keyUp", key, code = key, windowsVirtualKeyCode = code });
    }

    /// <summary>What axe finds wrong with the page; empty: nothing.</summary>
    public async Task<string> FindViolationsAsync()
    {
        await EvaluateAsync<int>(new BundledAxeScriptProvider().GetScript() + ";0");
        return await EvaluateAsync<string>(
            "axe.run().then(r => r.violations.map(v => v.id + ': ' + v.help + ' ' + v.nodes.map(n => n.html).join(' ')).join('\\n') + (r.passes.length > 10 ? '' : 'axe did not run'))");
    }

    public async ValueTask DisposeAsync()
    {
        _socket.Dispose();
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();
        _profile.Delete(recursive: true);
    }

    private async Task ConnectAsync()
    {
        string? line;
        do line = await _process.StandardError.ReadLineAsync();
        while (line?.StartsWith("DevTools listening on ", StringComparison.Ordinal) == false);
        Assert.NotNull(line); // null: it ended
        _ = _process.StandardError.ReadToEndAsync(); // what else it says must not fill the pipes
        _ = _process.StandardOutput.ReadToEndAsync();
        using var http = new HttpClient();
        var pages = await http.GetFromJsonAsync<JsonArray>($"http://{new Uri(line[22..]).Authority}/json");
        string address = pages!.Single(page => page!["type"]!.GetValue<string>() == "page")!["webSocketDebuggerUrl"]!.GetValue<string>();
        await _socket.ConnectAsync(new Uri(address), CancellationToken.None);
    }

    /// <summary>Sends a command and waits for its answer, and for an event where one is named.</summary>
    private async Task<JsonObject> SendAsync(string method, object parameters, string? until = null)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        int id = ++_lastId;
        await _socket.SendAsync(
            JsonSerializer.SerializeToUtf8Bytes(new { id, method, @params = parameters }), WebSocketMessageType.Text, endOfMessage: true, patience.Token);
        JsonObject? answer = null;
        while (answer is null || until is not null)
        {
            var message = await ReceiveAsync(patience.Token);
            if (message["id"]?.GetValue<int>() == id) answer = message["result"] as JsonObject ?? throw new InvalidOperationException($"{method}: {message.ToJsonString()}");
            if (message["method"]?.GetValue<string>() == until) until = null;
        }

        return answer;
    }

    private async Task<JsonObject> ReceiveAsync(CancellationToken cancellation)
    {
        byte[] buffer = new byte[1 << 16];
        using var message = new MemoryStream();
        WebSocketReceiveResult part;
        do
        {
            part = await _socket.ReceiveAsync(new ArraySegment<byte>(buffer), cancellation);
            message.Write(buffer, 0, part.Count);
        }
        while (!part.EndOfMessage);
        return JsonNode.Parse(message.ToArray())!.AsObject();
    }
}
