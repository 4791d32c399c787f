using RlhfFunctions.LocalHost.Cli;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.Functions.Tests.Cli;

public sealed class VerifyCommandTests
{
    private static readonly string Samples = Path.Combine(Repository.Root, "samples", "models");

    [Fact]
    public void Other_models_and_dialogues_than_the_notebooks_do_not_hold()
    {
        var (exitCode, rows) = Verify(new VerifyOptions(
            Path.Combine(Samples, "llama"), Path.Combine(Samples, "reward"), Path.Combine(Repository.Root, "samples", "dialogues")));
        Assert.Equal(1, exitCode);
        Assert.Contains(rows, row => row.StartsWith("parameters of the base model | 1,100,060,672 | ", StringComparison.Ordinal) && row.EndsWith('✗'));
        Assert.Contains("id of <s> | 1 | 1 | ✓", rows);
        Assert.Contains("the weights load in 4 bits and give finite logits | yes | yes | ✓", rows);
        Assert.Contains("its labels | nothate, hate | nothate, hate | ✓", rows);
        Assert.Equal(6, rows.Count(row => row.StartsWith("logit ", StringComparison.Ordinal) && row.EndsWith('✗')));
        Assert.Contains(rows, row => row.StartsWith("dialogues to train on | 12,460 | ", StringComparison.Ordinal) && row.EndsWith('✗'));
        Assert.Contains(rows, row => row.EndsWith("anchors do not hold.", StringComparison.Ordinal));
    }

    [Fact]
    public void A_folder_left_out_is_skipped_and_one_that_cannot_be_read_is_wrong()
    {
        string nowhere = Path.Combine(Path.GetTempPath(), $"rlhf-{Guid.NewGuid():n}");
        var (exitCode, rows) = Verify(new VerifyOptions(null, null, nowhere));
        Assert.Equal(1, exitCode);
        Assert.Contains("--model was not given: its anchors are skipped.", rows);
        Assert.Contains("--reward was not given: its anchors are skipped.", rows);
        Assert.Contains(rows, row => row.Contains(nowhere, StringComparison.Ordinal) && row.EndsWith('✗'));
    }

    [Fact]
    public void What_was_found_before_a_file_is_missing_stands()
    {
        string folder = Directory.CreateTempSubdirectory("rlhf-verify-").FullName;
        try
        {
            File.WriteAllText(Path.Combine(folder, "config.json"), DescribeCommandTests.TinyLlama);
            var (exitCode, rows) = Verify(new VerifyOptions(folder, null, null));
            Assert.Equal(1, exitCode);
            Assert.Contains("parameters of the base model | 1,100,060,672 | 1,100,060,672 | ✓", rows);
            Assert.Contains("trained by LoRA, r 16 on q_proj and v_proj | 2,252,800 | 2,252,800 | ✓", rows);
            Assert.Contains("parameters with LoRA | 1,102,313,472 | 1,102,313,472 | ✓", rows);
            Assert.Contains("… 4-bit layers counted in bytes | 617,871,360 | 617,871,360 | ✓", rows);
            Assert.Contains("trained with the value head | 2,254,849 | 2,254,849 | ✓", rows);
            Assert.Contains("… of all, 4-bit layers counted in bytes | 617,873,409 | 617,873,409 | ✓", rows);
            Assert.Contains(rows, row => row.Contains("model.safetensors", StringComparison.Ordinal) && row.EndsWith('✗'));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void Without_any_folder_there_is_nothing_to_verify()
    {
        Assert.Contains("--dialogsum", Assert.Throws<UserErrorException>(() => Verify(new VerifyOptions(null, null, null))).Message, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Category", "Parity")]
    public void DialogSum_gives_the_notebooks_822_84_and_82()
    {
        string shared = Path.GetFullPath(
            Environment.GetEnvironmentVariable("RLHF_SHARED") is { Length: > 0 } named ? named : "../shared", Repository.Root);
        string folder = Path.Combine(shared, "data", "dialogsum");
        Assert.SkipUnless(Directory.Exists(folder), $"{folder} is absent: point RLHF_SHARED at the folder of golden numbers to run this test.");
        var (exitCode, rows) = Verify(new VerifyOptions(null, null, folder));
        Assert.Equal(0, exitCode);
        Assert.Equal(6, rows.Count(row => row.EndsWith('✓')));
        Assert.Contains("All 6 anchors hold.", rows);
    }

    private static (int ExitCode, IReadOnlyList<string> Rows) Verify(VerifyOptions options)
    {
        using var console = new ConsoleText();
        return (VerifyCommand.Run(options, console.Console), console.Rows());
    }
}
