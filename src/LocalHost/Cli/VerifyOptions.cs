namespace RlhfFunctions.LocalHost.Cli;

/// <summary>Where the files lie that verify compares with the original notebook's printed numbers; null: not compared.</summary>
/// <param name="Model">TinyLlama-1.1B-Chat-v0.3.</param>
/// <param name="Reward">facebook/roberta-hate-speech-dynabench-r4-target.</param>
/// <param name="DialogSum">knkarthick/dialogsum: train.csv, validation.csv, test.csv.</param>
internal sealed record VerifyOptions(string? Model, string? Reward, string? DialogSum);
