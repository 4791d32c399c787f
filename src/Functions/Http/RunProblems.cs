using Microsoft.AspNetCore.Mvc;

namespace RlhfFunctions.Http;

/// <summary>What may be wrong with a run that a request names.</summary>
internal static class RunProblems
{
    public static IActionResult NoSuchRun(string id)
    {
        return Answers.Problem(404, "no-such-run", "There is no such run.",
            $"No run has the id {id}. GET /api/runs lists those there are; POST /api/runs starts one and answers its id.");
    }

    public static IActionResult NotFinished(string id)
    {
        return Answers.Problem(409, "run-not-finished", "The run has not finished.",
            $"Run {id} has published nothing yet. GET /api/runs/{id} tells how it fares; ask again when its status is Completed.");
    }
}
