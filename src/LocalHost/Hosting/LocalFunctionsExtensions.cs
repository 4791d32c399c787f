using System.Reflection;
using Microsoft.AspNetCore.Builder;
using Microsoft.DurableTask;
using Microsoft.DurableTask.Client;
using Microsoft.DurableTask.Converters;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using RlhfFunctions.LocalHost.Durable;
using RlhfFunctions.LocalHost.Triggers;

namespace RlhfFunctions.LocalHost.Hosting;

/// <summary>Hosts the functions of an assembly in an ordinary ASP.NET Core application.</summary>
public static class LocalFunctionsExtensions
{
    /// <summary>
    /// Registers the functions and what runs them, <see cref="DurableTaskClient"/> included. The application registers its
    /// own services and the <c>BlobServiceClient</c> of the storage that everything is kept in.
    /// </summary>
    public static IServiceCollection AddLocalFunctions(
        this IServiceCollection services, Assembly functions, LocalFunctionsOptions options) =>
        services.AddLocalFunctions(functions.GetTypes(), options);

    /// <summary>As above, with the function classes named one by one.</summary>
    internal static IServiceCollection AddLocalFunctions(
        this IServiceCollection services, IEnumerable<Type> functionClasses, LocalFunctionsOptions options)
    {
        services.AddMvcCore(); // executes the IActionResults
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(options);
        services.AddSingleton<DataConverter>(new JsonDataConverter(options.Json));
        services.AddSingleton(provider =>
            new FunctionCatalog(functionClasses, provider, provider.GetRequiredService<DataConverter>()));
        services.AddSingleton<InstanceStore>();
        services.AddSingleton<DurableEngine>();
        services.AddSingleton<DurableTaskClient, LocalDurableTaskClient>();
        // The engine first: it makes the task hub, and the triggers start orchestrations.
        services.AddHostedService(provider => provider.GetRequiredService<DurableEngine>());
        services.AddHostedService<TimerTriggers>();
        services.AddHostedService<BlobTriggers>();
        return services;
    }

    /// <summary>Maps the HTTP functions and Durable's management endpoints.</summary>
    /// <exception cref="UserErrorException">A function cannot be hosted as it is declared.</exception>
    public static WebApplication MapLocalFunctions(this WebApplication app)
    {
        HttpTriggers.Map(
            app, app.Services.GetRequiredService<FunctionCatalog>(), app.Services.GetRequiredService<LocalFunctionsOptions>());
        DurableEndpoints.Map(app);
        return app;
    }
}
