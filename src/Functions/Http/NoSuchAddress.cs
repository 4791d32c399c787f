using System.Reflection;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing.Template;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Http;

/// <summary>Whatever no other function answers: 405 where the address takes other methods, else 404. The host's own words would be none.</summary>
public static class NoSuchAddress
{
    private const string Everything = "{*address}";

    /// <summary>The routes of all other functions, with their methods.</summary>
    private static readonly (TemplateMatcher Route, string[] Methods)[] Known = [..
        from method in typeof(NoSuchAddress).Assembly.GetExportedTypes().SelectMany(type => type.GetMethods())
        from parameter in method.GetParameters()
        let trigger = parameter.GetCustomAttribute<HttpTriggerAttribute>()
        where trigger?.Route is not (null or Everything)
        select (new TemplateMatcher(TemplateParser.Parse(trigger.Route!), []), trigger.Methods)];

    [Function(FunctionNames.NoSuchAddress)]
    public static IActionResult Run(
        [HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", "post", "put", "patch", "delete", "options", Route = Everything)] HttpRequest http, string? address)
    {
        string[] methods = [.. Known.Where(known => known.Route.TryMatch($"/{address}", [])).SelectMany(known => known.Methods)
            .Select(method => method.ToUpperInvariant()).Distinct().Order()];
        if (methods.Length == 0)
        {
            return new Problem(404, "no-such-address", "There is nothing at this address.",
                "docs/api.md lists the addresses; those of runs begin with /api/runs.").ToResult();
        }

        string allowed = string.Join(", ", methods);
        http.HttpContext.Response.Headers.Allow = allowed;
        return new Problem(405, "wrong-method", "This address does not take that method.", $"Use {allowed}.").ToResult();
    }
}
