using System.Net;
using System.Net.Http.Headers;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Sources;

/// <summary>
/// Requests to the hub: with the token to the hub itself and without it to where it redirects, never waiting longer than the
/// stall timeout, and with every answer that is none turned into what is wrong and what to do.
/// </summary>
public sealed class HubConnection(HubSettings settings) : IDisposable
{
    private const int MostRedirects = 8;

    private readonly HttpClient _http = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false, // it would drop the token even on the way from one address of the hub to another
        ConnectTimeout = settings.StallTimeout,
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),
    })
    {
        Timeout = Timeout.InfiniteTimeSpan,
        DefaultRequestHeaders = { UserAgent = { new ProductInfoHeaderValue("RlhfFunctions", "1.0") } },
    };

    public HubSettings Settings => settings;

    /// <summary>Sends a GET and follows its redirects; the answer is a success, its body unread.</summary>
    /// <param name="address">An address of the hub.</param>
    /// <param name="source">What the request is for, for errors.</param>
    /// <param name="from">The first byte wanted.</param>
    /// <param name="unchanged">Only if this is still the content's version, else all of it; null: whatever the version.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="InvalidInputException">The hub refuses, and would again.</exception>
    /// <exception cref="HubFaultException">It may not the next time.</exception>
    public async Task<HttpResponseMessage> GetAsync(
        Uri address, HubSource source, long from, EntityTagHeaderValue? unchanged, CancellationToken cancellation)
    {
        var target = address;
        for (int redirects = 0; redirects <= MostRedirects; redirects++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, target);
            if (settings.Token is { } token && IsHub(target)) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
            if (from > 0) request.Headers.Range = new RangeHeaderValue(from, null);
            if (from > 0 && unchanged is { IsWeak: false }) request.Headers.IfRange = new RangeConditionHeaderValue(unchanged);

            var answer = await WithinStallTimeoutAsync(
                target, stop => _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop), cancellation);
            if (answer.IsSuccessStatusCode) return answer;
            using (answer)
            {
                if (!IsRedirect(answer)) throw Refusal(answer, target, source);
                target = Follow(target, answer.Headers.Location!);
            }
        }

        throw new HubFaultException($"{address} redirects more than {MostRedirects} times.");
    }

    /// <summary>Waits for something from the network, but not forever.</summary>
    /// <exception cref="HubFaultException">It did not come in time, or the connection broke.</exception>
    public async Task<T> WithinStallTimeoutAsync<T>(Uri address, Func<CancellationToken, Task<T>> receive, CancellationToken cancellation)
    {
        using var stall = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        stall.CancelAfter(settings.StallTimeout);
        try
        {
            return await receive(stall.Token);
        }
        catch (OperationCanceledException e) when (!cancellation.IsCancellationRequested)
        {
            throw new HubFaultException($"{Describe(address)} sent nothing for {settings.StallTimeout.TotalSeconds:0.#} seconds.", inner: e);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw new HubFaultException($"The connection to {Describe(address)} failed: {e.Message}", inner: e);
        }
    }

    /// <summary>Repeats what failed by a passing fault, waiting longer from one time to the next.</summary>
    public async Task<T> PatientlyAsync<T>(Func<Task<T>> attempt, CancellationToken cancellation)
    {
        var wait = settings.FirstBackOff;
        for (int failures = 0; ; wait = Shorter(2 * wait, settings.LongestBackOff))
        {
            try
            {
                return await attempt();
            }
            catch (HubFaultException e) when (++failures <= settings.Retries)
            {
                await Task.Delay(e.RetryAfter is { } asked ? Shorter(asked, settings.LongestRetryAfter) : wait, cancellation);
            }
        }
    }

    public void Dispose()
    {
        _http.Dispose();
    }

    /// <summary>An address without its query, which on a storage server is the permission to read.</summary>
    private static string Describe(Uri address)
    {
        return address.GetLeftPart(UriPartial.Path);
    }

    private static bool IsRedirect(HttpResponseMessage answer)
    {
        return (int)answer.StatusCode is 301 or 302 or 303 or 307 or 308 && answer.Headers.Location is not null;
    }

    private static Uri Follow(Uri from, Uri location)
    {
        var to = new Uri(from, location);
        return to.Scheme == "https" || (to.Scheme == "http" && from.Scheme == "http")
            ? to
            : throw new HubFaultException($"{Describe(from)} redirects to {to.Scheme}://{to.Host}, which is not safe to follow.");
    }

    private static TimeSpan Shorter(TimeSpan a, TimeSpan b)
    {
        return a < b ? a : b;
    }

    private bool IsHub(Uri address)
    {
        return address.Scheme == settings.Endpoint.Scheme && address.Authority == settings.Endpoint.Authority;
    }

    private Exception Refusal(HttpResponseMessage answer, Uri address, HubSource source)
    {
        var status = answer.StatusCode;
        if (!IsHub(address) || (int)status >= 500 || status is HttpStatusCode.TooManyRequests or HttpStatusCode.RequestTimeout
            or HttpStatusCode.RequestedRangeNotSatisfiable)
        {
            return new HubFaultException($"{Describe(address)} answered {(int)status}.", RetryAfter(answer));
        }

        string code = answer.Headers.TryGetValues("X-Error-Code", out var codes) ? string.Concat(codes) : "";
        string page = settings.Endpoint + source.Name;
        return new InvalidInputException($"{settings.Endpoint.Host} answered {(int)status} for \"{source}\": " + (status, code) switch
        {
            (HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden, "GatedRepo") =>
                $"the repository is gated. Accept its conditions at {page}, and set HF_TOKEN to a read token of that account.",
            (HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden, _) when settings.Token is null =>
                "there is no such repository, or it is private. Check its name; if it is private, set HF_TOKEN to a token that may read it.",
            (HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden, _) =>
                "there is no such repository, or HF_TOKEN may not read it. Check its name; the token must be a valid one with read access to it.",
            (HttpStatusCode.NotFound, "RevisionNotFound") => $"it has no revision \"{source.Revision}\". Look for the right one at {page}.",
            (HttpStatusCode.NotFound, _) => $"there is no such repository, revision or file. Check name and revision at {page}.",
            _ => "it does not accept the request. Check HF_ENDPOINT and the name.",
        });
    }

    private static TimeSpan? RetryAfter(HttpResponseMessage answer)
    {
        var asked = answer.Headers.RetryAfter;
        var wait = asked?.Delta ?? asked?.Date - DateTimeOffset.UtcNow;
        return wait is { Ticks: > 0 } ? wait : null;
    }
}
