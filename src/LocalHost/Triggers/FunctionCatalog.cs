using System.Reflection;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Azure.Functions.Worker.Extensions.Abstractions;
using Microsoft.DurableTask;
using Microsoft.Extensions.DependencyInjection;
using RlhfFunctions.LocalHost.Durable;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.LocalHost.Triggers;

/// <summary>All functions of the app, found by reflection and checked before the host starts.</summary>
internal sealed class FunctionCatalog
{
    private readonly Dictionary<string, LocalFunction> _functions = new(StringComparer.OrdinalIgnoreCase);
    private readonly IServiceProvider _services;
    private readonly DataConverter _converter;

    public FunctionCatalog(IEnumerable<Type> types, IServiceProvider services, DataConverter converter)
    {
        _services = services;
        _converter = converter;
        foreach (var method in types.SelectMany(type => type.GetMethods(
            BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly)))
        {
            if (method.GetCustomAttribute<FunctionAttribute>() is not { } function)
                continue;
            var found = new LocalFunction(function.Name, method);
            if (!_functions.TryAdd(found.Name, found))
                throw new UserErrorException(
                    $"Two functions are named '{found.Name}': {_functions[found.Name].MethodName} and {found.MethodName}.");
        }
    }

    public IEnumerable<(LocalFunction Function, TTrigger Trigger)> With<TTrigger>() where TTrigger : TriggerBindingAttribute =>
        _functions.Values.Where(function => function.Trigger is TTrigger).Select(function => (function, (TTrigger)function.Trigger));

    public LocalFunction Find<TTrigger>(string name) where TTrigger : TriggerBindingAttribute =>
        _functions.TryGetValue(name, out var function) && function.Trigger is TTrigger
            ? function
            : throw new ArgumentException(
                $"There is no function '{name}' with {typeof(TTrigger).Name}. There are: "
                + $"{string.Join(", ", With<TTrigger>().Select(known => known.Function.Name))}.");

    /// <summary>Runs a function with a service scope of its own.</summary>
    public async Task<object?> InvokeAsync(
        LocalFunction function,
        object? triggerValue,
        IReadOnlyDictionary<string, object?> bindingData,
        CancellationToken cancellation)
    {
        await using var scope = _services.CreateAsyncScope();
        return await function.InvokeAsync(
            new(new(function.Name, scope.ServiceProvider, bindingData, cancellation), triggerValue));
    }

    public async Task<string?> RunActivityAsync(string name, string? input, CancellationToken cancellation)
    {
        var function = Find<ActivityTriggerAttribute>(name);
        var value = _converter.Deserialize(input, function.TriggerType);
        return _converter.Serialize(await InvokeAsync(function, value, new Dictionary<string, object?>(), cancellation));
    }

    /// <summary>The orchestrator's code; that there is none by this name shows when it runs, as a failure of the instance.</summary>
    public Orchestrator OrchestratorOf(string name) => async context =>
    {
        var function = Find<OrchestrationTriggerAttribute>(name);
        var input = function.OrchestrationInputType is { } type ? InputOf(context, type) : null;
        // No scope: an orchestrator is left behind at some await when its episode ends, and nothing would close it.
        var invocation = new LocalFunctionContext(name, _services, new Dictionary<string, object?>(), CancellationToken.None);
        return await function.InvokeAsync(new(invocation, context, input));
    };

    private static object? InputOf(TaskOrchestrationContext context, Type type) =>
        typeof(TaskOrchestrationContext).GetMethod(nameof(TaskOrchestrationContext.GetInput))!
            .MakeGenericMethod(type).Invoke(context, BindingFlags.DoNotWrapExceptions, null, null, null);
}
