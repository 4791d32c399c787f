using RlhfFunctions.Contracts;
using RlhfFunctions.LocalHost.Cli;
using RlhfFunctions.LocalHost.Hosting;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Models;

namespace RlhfFunctions.Functions.Tests.Cli;

/// <summary>Exports of folders, for which nothing need run; what is in the files, Ml.Tests looks at.</summary>
public sealed class ExportCommandTests : IDisposable
{
    private static readonly string Sample = Path.Combine(Repository.Root, "samples", "models", "llama");

    private readonly string _folder = Directory.CreateTempSubdirectory("rlhf-export-test-").FullName;

    [Theory]
    [InlineData("Safetensors", "config.json model.safetensors tokenizer.model tokenizer_config.json")]
    [InlineData("Peft", "adapter_config.json adapter_model.safetensors")]
    [InlineData("Gguf", "model.gguf")]
    [InlineData("GgufLora", "adapter.gguf")]
    public async Task Each_format_writes_its_files_and_names_them(string format, string files)
    {
        string said = await ExportAsync(Options(format) with { Adapter = Adapter() });
        Assert.Equal(files.Split(' '), Directory.GetFiles(Out).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal));
        Assert.All(files.Split(' '), file => Assert.Contains(file, said, StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_is_missing_is_said_with_what_to_do()
    {
        Assert.Contains("--model DIR", await RefusalAsync(Options("Gguf") with { Model = null }), StringComparison.Ordinal);
        Assert.Contains("--run and --adapter", await RefusalAsync(Options("Gguf") with { Run = "whole", Adapter = "x" }), StringComparison.Ordinal);
        Assert.Contains("--adapter DIR", await RefusalAsync(Options("GgufLora")), StringComparison.Ordinal);
        Assert.Contains("no folder", await RefusalAsync(Options("Gguf") with { Model = Path.Combine(_folder, "none") }), StringComparison.Ordinal);
        Assert.Contains("config.json", await RefusalAsync(Options("Gguf") with { Model = _folder }), StringComparison.Ordinal);
    }

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
    }

    private string Out => Path.Combine(_folder, "out");

    private ExportOptions Options(string format)
    {
        return new ExportOptions(Run: null, Sample, Adapter: null, Enum.Parse<ExportFormat>(format), ExportType.F16, Out);
    }

    private string Adapter()
    {
        using var model = LlamaForCausalLm.Load(Sample);
        using var adapter = LoraAdapter.Attach(model, new LoraSettings(), seed: 1);
        string path = Path.Combine(_folder, "adapter");
        PeftAdapterFolder.Write(path, adapter, "base");
        return path;
    }

    private static async Task<string> ExportAsync(ExportOptions export)
    {
        using var console = new ConsoleText();
        await ExportCommand.RunAsync(export, HostOptions.Default, console.Console, CancellationToken.None);
        return string.Join('\n', console.Rows());
    }

    private static async Task<string> RefusalAsync(ExportOptions export)
    {
        return (await Assert.ThrowsAsync<UserErrorException>(() => ExportAsync(export))).Message;
    }
}
