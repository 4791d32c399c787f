using System.Globalization;
using System.Reflection;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Azure.Functions.Worker.Extensions.Abstractions;
using Microsoft.DurableTask;
using Microsoft.DurableTask.Client;
using Microsoft.Extensions.DependencyInjection;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.LocalHost.Triggers;

/// <summary>What one invocation has to offer to the parameters of a function.</summary>
internal sealed record Invocation(LocalFunctionContext Context, object? TriggerValue, object? OrchestrationInput = null);

/// <summary>A method with <c>[Function]</c>: its trigger, and how each of its parameters gets its value.</summary>
internal sealed class LocalFunction
{
    private readonly MethodInfo _method;
    private readonly Func<Invocation, object?>[] _arguments;

    public LocalFunction(string name, MethodInfo method)
    {
        Name = name;
        _method = method;
        var parameters = method.GetParameters(); // asked for once: the runtime may answer with other objects the next time
        var triggers = parameters
            .Select(parameter => (Parameter: parameter, Trigger: parameter.GetCustomAttribute<TriggerBindingAttribute>()))
            .Where(candidate => candidate.Trigger is not null)
            .ToList();
        if (triggers.Count != 1)
            throw new UserErrorException($"{Where} must have exactly one parameter with a trigger attribute; it has {triggers.Count}.");
        (TriggerParameter, Trigger) = (triggers[0].Parameter, triggers[0].Trigger!);
        BindingNames = Trigger switch
        {
            HttpTriggerAttribute http => HttpTriggers.RouteParametersOf(http.Route ?? name),
            BlobTriggerAttribute blob => new BlobPattern(blob.BlobPath).Names,
            _ => [],
        };
        CheckTypes();
        _arguments = [.. parameters.Select(ArgumentFor)];
    }

    public string Name { get; }

    public TriggerBindingAttribute Trigger { get; }

    public Type TriggerType => TriggerParameter.ParameterType;

    /// <summary>The type of an orchestrator's second parameter, which takes its input.</summary>
    public Type? OrchestrationInputType { get; private set; }

    /// <summary>Class and method, for messages.</summary>
    public string MethodName => $"{_method.DeclaringType!.Name}.{_method.Name}";

    private string Where => $"Function '{Name}' ({MethodName})";

    private ParameterInfo TriggerParameter { get; }

    private IReadOnlyList<string> BindingNames { get; }

    /// <summary>Calls the method on an instance made from the invocation's services and awaits what it returns.</summary>
    public async Task<object?> InvokeAsync(Invocation invocation)
    {
        var target = _method.IsStatic
            ? null
            : ActivatorUtilities.CreateInstance(invocation.Context.InstanceServices, _method.DeclaringType!);
        using var disposable = target as IDisposable;
        var arguments = Array.ConvertAll(_arguments, argument => argument(invocation));
        var returned = _method.Invoke(target, BindingFlags.DoNotWrapExceptions, null, arguments, null);
        if (returned is not Task task)
            return returned;
        await task;
        return _method.ReturnType.IsGenericType ? _method.ReturnType.GetProperty(nameof(Task<>.Result))!.GetValue(task) : null;
    }

    private void CheckTypes()
    {
        Type[] accepted = Trigger switch
        {
            HttpTriggerAttribute => [typeof(HttpRequest)],
            TimerTriggerAttribute => [typeof(TimerInfo)],
            BlobTriggerAttribute => BlobTriggers.ParameterTypes,
            OrchestrationTriggerAttribute => [typeof(TaskOrchestrationContext)],
            _ => [TriggerType],
        };
        if (!accepted.Contains(TriggerType))
            throw Unbindable(TriggerParameter, $"its trigger gives {string.Join(", ", accepted.Select(type => type.Name))}");
        var result = _method.ReturnType.IsGenericType && _method.ReturnType.GetGenericTypeDefinition() == typeof(Task<>)
            ? _method.ReturnType.GenericTypeArguments[0]
            : _method.ReturnType;
        if (Trigger is HttpTriggerAttribute && !result.IsAssignableTo(typeof(IActionResult)))
            throw new UserErrorException($"{Where} must return IActionResult or Task<IActionResult>, not {_method.ReturnType.Name}.");
        if (result.Name.StartsWith("ValueTask", StringComparison.Ordinal))
            throw new UserErrorException($"{Where} must return a Task instead of a ValueTask.");
    }

    private Func<Invocation, object?> ArgumentFor(ParameterInfo parameter)
    {
        var type = parameter.ParameterType;
        var name = parameter.Name!;
        if (parameter == TriggerParameter)
            return invocation => invocation.TriggerValue;
        if (type == typeof(FunctionContext))
            return invocation => invocation.Context;
        if (type == typeof(CancellationToken))
            return invocation => invocation.Context.CancellationToken;
        if (type == typeof(DurableTaskClient) && parameter.IsDefined(typeof(DurableClientAttribute)))
            return invocation => invocation.Context.InstanceServices.GetRequiredService<DurableTaskClient>();
        if (Trigger is OrchestrationTriggerAttribute && OrchestrationInputType is null)
        {
            OrchestrationInputType = type;
            return invocation => invocation.OrchestrationInput;
        }
        if (!BindingNames.Contains(name, StringComparer.OrdinalIgnoreCase))
            throw Unbindable(parameter, BindingNames.Count == 0
                ? "its trigger offers no values by name"
                : $"its trigger offers only {string.Join(", ", BindingNames)}");
        if (type == typeof(string))
            return invocation => ValueOf(invocation, name);
        if (type == typeof(int))
            return invocation => int.TryParse(ValueOf(invocation, name), CultureInfo.InvariantCulture, out var number)
                ? number
                : throw new BadHttpRequestException($"'{ValueOf(invocation, name)}' is not a whole number, as '{name}' must be.");
        throw Unbindable(parameter, "a value by name is a string or an int");
    }

    private static string? ValueOf(Invocation invocation, string name) =>
        invocation.Context.BindingContext.BindingData.GetValueOrDefault(name)?.ToString();

    private UserErrorException Unbindable(ParameterInfo parameter, string why) =>
        new($"{Where}: the parameter '{parameter.ParameterType.Name} {parameter.Name}' cannot be bound: {why}.");
}
