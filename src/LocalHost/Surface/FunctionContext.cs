// Stand-ins for what a function may ask about its own invocation.
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Microsoft.Azure.Functions.Worker
{
    public abstract class FunctionContext
    {
        public abstract string InvocationId { get; }

        public abstract FunctionDefinition FunctionDefinition { get; }

        public abstract BindingContext BindingContext { get; }

        public abstract IServiceProvider InstanceServices { get; set; }

        public virtual CancellationToken CancellationToken { get; }
    }

    public abstract class FunctionDefinition
    {
        public abstract string Name { get; }
    }

    public abstract class BindingContext
    {
        public abstract IReadOnlyDictionary<string, object?> BindingData { get; }
    }

    public static class FunctionContextLoggerExtensions
    {
        public static ILogger<T> GetLogger<T>(this FunctionContext context) =>
            context.InstanceServices.GetRequiredService<ILogger<T>>();

        public static ILogger GetLogger(this FunctionContext context, string categoryName) =>
            context.InstanceServices.GetRequiredService<ILoggerFactory>().CreateLogger(categoryName);
    }
}

namespace Microsoft.Azure.Functions.Worker.Http
{
    /// <summary>Only here because <c>CreateHttpManagementPayload</c> has a parameter of it; the app binds <c>HttpRequest</c>.</summary>
    public abstract class HttpRequestData
    {
        public HttpRequestData(FunctionContext functionContext) => FunctionContext = functionContext;

        public FunctionContext FunctionContext { get; }
    }
}
