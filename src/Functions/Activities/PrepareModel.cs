using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Logging;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Activities;

/// <summary>Brings a model into Blob storage, in 4 bits where the run wants it so; one that is there already is only looked up.</summary>
public sealed class PrepareModel(ModelImports imports, ILogger<PrepareModel> log)
{
    /// <returns>The model's path in Blob storage, models/{name}.</returns>
    [Function(FunctionNames.PrepareModel)]
    public Task<string> Run([ActivityTrigger] PrepareModelInput input, CancellationToken cancellation)
    {
        return imports.ImportAsync(input.Source, input.Precision, new LoggedProgress(input.Source, log), cancellation);
    }

    /// <summary>A line for each tenth of each file.</summary>
    private sealed class LoggedProgress(string source, ILogger log) : IProgress<ImportProgress>
    {
        private const double Megabyte = 1e6;

        private (string Item, long Tenths)? _last;

        public void Report(ImportProgress value)
        {
            long tenths = value.Total is > 0 and { } total ? 10 * value.Done / total : 0;
            if (_last == (value.Item, tenths)) return;
            _last = (value.Item, tenths);
            log.LogInformation(
                "{Source}: {Item}, {Done:F1} of {Total:F1} MB", source, value.Item, value.Done / Megabyte, (value.Total ?? value.Done) / Megabyte);
        }
    }
}
