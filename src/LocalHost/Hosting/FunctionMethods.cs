using System.Reflection;
using System.Reflection.Emit;
using System.Text.Json;
using System.Text.RegularExpressions;
using Google.Protobuf;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.WebJobs;
using Microsoft.Azure.WebJobs.Extensions.DurableTask;
using Newtonsoft.Json.Linq;
using RlhfFunctions.LocalHost.Worker;
using ParameterBinding = RlhfFunctions.LocalHost.Worker.ParameterBinding;

namespace RlhfFunctions.LocalHost.Hosting;

/// <summary>
/// What the WebJobs SDK runs: a class with a method for each function of the worker, made at start from what the worker says about
/// them. A method's parameters carry the SDK's own binding attributes; its body hands their values to <see cref="CallAsync"/>.
/// </summary>
/// <remarks>The SDK makes an instance for each call; this is the part of it that is not made at start.</remarks>
public abstract partial class FunctionMethods
{
    private readonly WorkerCaller _caller;

    /// <summary>For the class made at start.</summary>
    protected FunctionMethods(WorkerCaller caller)
    {
        _caller = caller;
    }

    /// <summary>Makes the class.</summary>
    /// <exception cref="UserErrorException">A function has a binding that this host does not serve.</exception>
    internal static Type Define(IEnumerable<WorkerFunction> functions)
    {
        var type = AssemblyBuilder.DefineDynamicAssembly(new AssemblyName("Functions"), AssemblyBuilderAccess.Run)
            .DefineDynamicModule("Functions").DefineType("Functions", TypeAttributes.Public, typeof(FunctionMethods));
        var baseConstructor = typeof(FunctionMethods).GetConstructors(BindingFlags.Instance | BindingFlags.NonPublic).Single();
        var constructor = type.DefineConstructor(MethodAttributes.Public, CallingConventions.Standard, [typeof(WorkerCaller)]).GetILGenerator();
        constructor.Emit(OpCodes.Ldarg_0);
        constructor.Emit(OpCodes.Ldarg_1);
        constructor.Emit(OpCodes.Call, baseConstructor);
        constructor.Emit(OpCodes.Ret);
        foreach (var function in functions) Define(type, function);
        return type.CreateType();
    }

    /// <summary>The body of every method: runs the function in the worker with the values the SDK bound.</summary>
    /// <param name="function">Its name.</param>
    /// <param name="names">The parameters' names.</param>
    /// <param name="values">Their values.</param>
    /// <param name="cancellation">Triggered when the host stops.</param>
    protected Task<object?> CallAsync(string function, string[] names, object?[] values, CancellationToken cancellation)
    {
        return _caller.CallAsync(function, [.. names.Zip(values)], cancellation);
    }

    private static void Define(TypeBuilder type, WorkerFunction function)
    {
        Parameter[] parameters = [.. function.Bindings.Where(binding => Text(binding, "name") != "$return").SelectMany(binding => ParametersOf(function, binding))];
        bool answers = function.Has("orchestrationTrigger") || function.Has("activityTrigger");
        var method = type.DefineMethod(
            function.Name, MethodAttributes.Public, answers ? typeof(Task<object>) : typeof(Task), [.. parameters.Select(p => p.Type), typeof(CancellationToken)]);
        method.SetCustomAttribute(Attribute<FunctionNameAttribute>(function.Name));
        // HTTP and the clock are not the SDK's: this host calls these functions itself.
        if (function.Has("httpTrigger") || function.Has("timerTrigger")) method.SetCustomAttribute(Attribute<NoAutomaticTriggerAttribute>());

        var il = method.GetILGenerator();
        il.Emit(OpCodes.Ldarg_0);
        il.Emit(OpCodes.Ldstr, function.Name);
        EmitArray<string>(il, parameters.Length, i => il.Emit(OpCodes.Ldstr, parameters[i].Name));
        EmitArray<object>(il, parameters.Length, i => il.Emit(OpCodes.Ldarg, (short)(i + 1)));
        il.Emit(OpCodes.Ldarg, (short)(parameters.Length + 1));
        il.Emit(OpCodes.Call, typeof(FunctionMethods).GetMethod(nameof(CallAsync), BindingFlags.Instance | BindingFlags.NonPublic)!);
        il.Emit(OpCodes.Ret);
        for (int i = 0; i < parameters.Length; i++)
        {
            var parameter = method.DefineParameter(i + 1, ParameterAttributes.None, parameters[i].Name);
            if (parameters[i].Binding is { } attribute) parameter.SetCustomAttribute(attribute);
        }

        method.DefineParameter(parameters.Length + 1, ParameterAttributes.None, "cancellation");
    }

    private static void EmitArray<T>(ILGenerator il, int length, Action<int> emitElement)
    {
        il.Emit(OpCodes.Ldc_I4, length);
        il.Emit(OpCodes.Newarr, typeof(T));
        for (int i = 0; i < length; i++)
        {
            il.Emit(OpCodes.Dup);
            il.Emit(OpCodes.Ldc_I4, i);
            emitElement(i);
            il.Emit(OpCodes.Stelem_Ref);
        }
    }

    private static IEnumerable<Parameter> ParametersOf(WorkerFunction function, JsonElement binding)
    {
        string name = Text(binding, "name")!;
        switch (Text(binding, "type"))
        {
            case "orchestrationTrigger": return [new(name, typeof(string), Attribute<OrchestrationTriggerAttribute>())];
            case "activityTrigger": // the extension also tells whose activity it is
                return [new(name, typeof(string), Attribute<ActivityTriggerAttribute>()), new("instanceId", typeof(string), null)];
            case "durableClient": return [new(name, typeof(string), Attribute<DurableClientAttribute>())];
            case "timerTrigger": return [new(name, typeof(TimerState), null)];
            case "httpTrigger": return [new(name, typeof(HttpContext), null)];
            case "blobTrigger":
                string path = Text(binding, "path")!;
                var source = Enum.Parse<BlobTriggerSource>(Text(binding, "source") ?? nameof(BlobTriggerSource.LogsAndContainerScan));
                var trigger = new CustomAttributeBuilder(
                    typeof(BlobTriggerAttribute).GetConstructor([typeof(string)])!, [path],
                    [typeof(BlobTriggerAttribute).GetProperty(nameof(BlobTriggerAttribute.Source))!], [source]);
                // The SDK gives the parts of the path that the pattern names by parameters of these names.
                return PathPart().Matches(path).Select(part => new Parameter(part.Groups[1].Value, typeof(string), null))
                    .Prepend(new Parameter(name, typeof(ParameterBindingData), trigger));
            case var other:
                throw new UserErrorException($"The function {function.Name} has a binding of the kind \"{other}\", which this host does not serve.");
        }
    }

    private static CustomAttributeBuilder Attribute<T>(params object[] arguments)
    {
        return new CustomAttributeBuilder(typeof(T).GetConstructor([.. arguments.Select(argument => argument.GetType())])!, arguments);
    }

    private static string? Text(JsonElement binding, string name)
    {
        return binding.TryGetProperty(name, out var value) ? value.GetString() : null;
    }

    [GeneratedRegex(@"\{(\w+)\}")]
    private static partial Regex PathPart();

    private sealed record Parameter(string Name, Type Type, CustomAttributeBuilder? Binding);
}

/// <summary>What a timer function is told.</summary>
public sealed record TimerState(bool IsPastDue, TimerStatus ScheduleStatus);

/// <summary>When a timer function ran and will run.</summary>
public sealed record TimerStatus(DateTime Last, DateTime Next, DateTime LastUpdated);

/// <summary>Translates between the SDK's values and the worker's messages.</summary>
public sealed class WorkerCaller
{
    private readonly FunctionsWorker _worker;
    private readonly Func<HttpContext, Uri, Task> _forward;

    /// <param name="worker">Runs the functions.</param>
    /// <param name="forward">Forwards an HTTP request to an address and its answer back.</param>
    internal WorkerCaller(FunctionsWorker worker, Func<HttpContext, Uri, Task> forward)
    {
        _worker = worker;
        _forward = forward;
    }

    internal async Task<object?> CallAsync(string function, (string Name, object? Value)[] arguments, CancellationToken cancellation)
    {
        var http = arguments.Select(argument => argument.Value).OfType<HttpContext>().SingleOrDefault();
        var bindings = _worker.Functions[function].Bindings.Select(binding => binding.GetProperty("name").GetString()!).ToHashSet();
        var inputs = arguments.Where(argument => bindings.Contains(argument.Name)).Select(
            argument => new ParameterBinding { Name = argument.Name, Data = DataOf(argument.Value) });
        // What no binding names is known to the trigger: a part of the blob's path or of the address, the orchestration of an activity.
        var metadata = arguments.Where(argument => !bindings.Contains(argument.Name)).Select(part => (part.Name, Value: $"{part.Value}"))
            .Concat(http?.Request.RouteValues.Select(part => (part.Key, $"{part.Value}")) ?? [])
            .ToDictionary(part => part.Item1, part => part.Item2);
        var result = await _worker.InvokeAsync(function, inputs, metadata, http is null ? null : ForwardAsync, cancellation);
        return result?.DataCase switch
        {
            TypedData.DataOneofCase.String => (object)result.String, // else all of these would become JTokens
            TypedData.DataOneofCase.Json => Newtonsoft.Json.JsonConvert.DeserializeObject<JToken>(result.Json, AsWritten),
            TypedData.DataOneofCase.Bytes => result.Bytes.ToByteArray(),
            TypedData.DataOneofCase.Int => result.Int,
            TypedData.DataOneofCase.Double => result.Double,
            _ => null,
        };

        Task ForwardAsync(string invocationId, Uri address)
        {
            http.Request.Headers["x-ms-invocation-id"] = invocationId; // by which the worker knows the request for this invocation's
            return _forward(http, address);
        }
    }

    /// <summary>A date stays the text it is.</summary>
    private static Newtonsoft.Json.JsonSerializerSettings AsWritten { get; } = new() { DateParseHandling = Newtonsoft.Json.DateParseHandling.None };

    private static TypedData DataOf(object? value)
    {
        return value switch
        {
            string text => new TypedData { String = text },
            TimerState timer => new TypedData { Json = JsonSerializer.Serialize(timer) },
            HttpContext http => new TypedData { Http = HttpOf(http) },
            ParameterBindingData blob => new TypedData
            {
                ModelBindingData = new ModelBindingData
                {
                    Version = blob.Version,
                    Source = blob.Source,
                    ContentType = blob.ContentType,
                    Content = ByteString.CopyFrom(blob.Content),
                },
            },
            _ => new TypedData(),
        };
    }

    /// <summary>Only what the address names: the request itself is forwarded.</summary>
    private static RpcHttp HttpOf(HttpContext http)
    {
        var request = new RpcHttp();
        foreach (var (name, value) in http.Request.RouteValues)
        {
            request.Params[name] = $"{value}";
            request.NullableParams[name] = new NullableString { Value = $"{value}" };
        }

        return request;
    }
}
