using Azure.Core.Serialization;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Azure.Functions.Worker.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using RlhfFunctions.Contracts;
using RlhfFunctions.Hosting;

var builder = FunctionsApplication.CreateBuilder(args);
builder.ConfigureFunctionsWebApplication();
#if !GPU
builder.UseWhen<RlhfFunctions.Http.HttpBoundary>(RlhfFunctions.Http.HttpBoundary.IsFor);
#endif
builder.Services.Configure<WorkerOptions>(options => options.Serializer = new JsonObjectSerializer(ContractsJson.Options));
builder.Services.AddRlhf(builder.Configuration);
builder.Build().Run();
