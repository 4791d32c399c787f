using Azure.Storage.Blobs;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using RlhfFunctions.Hosting;

namespace RlhfFunctions.Functions.Tests.Hosting;

/// <summary>The settings that name the storage account, as the Functions host reads them too.</summary>
public sealed class StorageSettingsTests
{
    [Theory]
    [InlineData("AzureWebJobsStorage", "UseDevelopmentStorage=true", "http://127.0.0.1:10000/devstoreaccount1")]
    [InlineData("AzureWebJobsStorage:accountName", "mine", "https://mine.blob.core.windows.net/")]
    [InlineData("AzureWebJobsStorage:blobServiceUri", "https://mine.blob.core.usgovcloudapi.net/", "https://mine.blob.core.usgovcloudapi.net/")]
    public void An_account_is_named_by_connection_string_by_name_or_by_address(string setting, string value, string address)
    {
        var configuration = Configuration(setting, value);
        using var services = new ServiceCollection().AddRlhf(configuration).BuildServiceProvider();
        Assert.Equal(new Uri(address), services.GetRequiredService<BlobServiceClient>().Uri);
    }

    [Fact]
    public void Without_one_the_error_says_what_to_set()
    {
        var configuration = Configuration("AzureWebJobsStorage", "");
        using var services = new ServiceCollection().AddRlhf(configuration).BuildServiceProvider();
        var error = Assert.ThrowsAny<Exception>(services.GetRequiredService<BlobServiceClient>);
        Assert.Contains("AzureWebJobsStorage__accountName", error.Message, StringComparison.Ordinal);
    }

    private static IConfiguration Configuration(string setting, string value)
    {
        return new ConfigurationBuilder().AddInMemoryCollection([new(setting, value)]).Build();
    }
}
