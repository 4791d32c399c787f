using Microsoft.Azure.Functions.Worker;

namespace RlhfFunctions.LocalHost.Triggers;

/// <summary>One invocation of one function.</summary>
internal sealed class LocalFunctionContext(
    string functionName,
    IServiceProvider services,
    IReadOnlyDictionary<string, object?> bindingData,
    CancellationToken cancellation) : FunctionContext
{
    public override string InvocationId { get; } = Guid.NewGuid().ToString();

    public override FunctionDefinition FunctionDefinition { get; } = new Definition(functionName);

    public override BindingContext BindingContext { get; } = new Binding(bindingData);

    public override IServiceProvider InstanceServices { get; set; } = services;

    public override CancellationToken CancellationToken => cancellation;

    private sealed class Definition(string name) : FunctionDefinition
    {
        public override string Name => name;
    }

    private sealed class Binding(IReadOnlyDictionary<string, object?> data) : BindingContext
    {
        public override IReadOnlyDictionary<string, object?> BindingData => data;
    }
}
