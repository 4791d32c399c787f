using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Contracts;
using RlhfFunctions.Runs;

namespace RlhfFunctions.Http;

/// <summary>What can be done to a run: suspend, resume, cancel, delete. A <c>reason</c> in the address is kept among its events.</summary>
public sealed class ControlRun(RunRecords runs, RunControl control, Limits limits)
{
    [Function(FunctionNames.SuspendRun)]
    public Task<IActionResult> Suspend(
        [HttpTrigger(AuthorizationLevel.Function, "post", Route = "runs/{id}/suspend")] HttpRequest http, string id, [DurableClient] DurableTaskClient client)
    {
        return DoAsync(http, id, cancellation => control.SuspendAsync(client, id, http.Reason(), cancellation));
    }

    [Function(FunctionNames.ResumeRun)]
    public Task<IActionResult> Resume(
        [HttpTrigger(AuthorizationLevel.Function, "post", Route = "runs/{id}/resume")] HttpRequest http, string id, [DurableClient] DurableTaskClient client)
    {
        return DoAsync(http, id, cancellation => control.ResumeAsync(client, id, http.Reason(), cancellation));
    }

    [Function(FunctionNames.CancelRun)]
    public Task<IActionResult> Cancel(
        [HttpTrigger(AuthorizationLevel.Function, "post", Route = "runs/{id}/cancel")] HttpRequest http, string id, [DurableClient] DurableTaskClient client)
    {
        return DoAsync(http, id, cancellation => control.CancelAsync(client, id, http.Reason(), cancellation));
    }

    [Function(FunctionNames.DeleteRun)]
    public async Task<IActionResult> Delete(
        [HttpTrigger(AuthorizationLevel.Function, "delete", Route = "runs/{id}")] HttpRequest http, string id, [DurableClient] DurableTaskClient client)
    {
        var answer = await DoAsync(http, id, cancellation => control.DeleteAsync(client, id, cancellation));
        return answer is ContentResult { StatusCode: 202 } ? new NoContentResult() : answer;
    }

    private async Task<IActionResult> DoAsync(HttpRequest http, string id, Func<CancellationToken, Task<Refusal?>> act)
    {
        var cancellation = http.HttpContext.RequestAborted;
        if (!await runs.ExistsAsync(id, cancellation)) return Problem.NoSuchRun(id).ToResult();
        if (await act(cancellation) is { } refusal)
        {
            return (refusal.IsFull
                ? Problem.TooManyRuns(limits)
                : new Problem(409, "wrong-state", "The run is not in a state for that.", $"Run {id}: {refusal.Why}")).ToResult();
        }

        return Answers.Accepted(http, id);
    }
}
