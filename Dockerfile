# syntax=docker/dockerfile:1
# One image for each role of the app: --build-arg FUNCTIONS_ROLE=api|gpu|all, --build-arg TORCH_BACKEND=cpu|cuda.
# The CUDA libraries come with the NuGet package; the driver comes from the machine.

# The Functions host as Microsoft lays it out: self-contained, in /azure-functions-host.
FROM mcr.microsoft.com/azure-functions/dotnet-isolated:4-dotnet-isolated10.0 AS host

FROM mcr.microsoft.com/dotnet/sdk:10.0-noble@sha256:e70cdb7f80b0348f5cb85f19a8f670fca061f033d57eed12fa003d58b0e06317 AS build
ARG FUNCTIONS_ROLE=all
ARG TORCH_BACKEND=cpu
WORKDIR /source
COPY . .
RUN dotnet publish src/Functions/Functions.csproj --configuration Release --output /app \
    --property:FunctionsRole=${FUNCTIONS_ROLE} --property:TorchBackend=${TORCH_BACKEND}

# Ubuntu 24.04: its libstdc++ has GLIBCXX_3.4.32, which libLibTorchSharp.so asks for.
FROM mcr.microsoft.com/dotnet/aspnet:10.0-noble@sha256:222759b391a1aaf241166672c8f99b2d4ada452e7b5319f3c6e8f265a37b5ad4 AS app
# The host writes below HOME. The owner is set before the large layers come, so that none is copied for it.
RUN mkdir -p /home/site/wwwroot && chown -R $APP_UID:$APP_UID /home
COPY --from=host /azure-functions-host /azure-functions-host
COPY --from=build --chown=$APP_UID:$APP_UID /app /home/site/wwwroot
ENV AzureWebJobsScriptRoot=/home/site/wwwroot \
    HOME=/home \
    FUNCTIONS_WORKER_RUNTIME=dotnet-isolated \
    AzureWebJobsFeatureFlags=EnableWorkerIndexing \
    AzureFunctionsJobHost__Logging__Console__IsEnabled=true \
    ASPNETCORE_CONTENTROOT=/azure-functions-host \
    ASPNETCORE_URLS=http://+:8080 \
    DOTNET_USE_POLLING_FILE_WATCHER=true \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /home/site/wwwroot
USER $APP_UID
EXPOSE 8080
# Without curl: bash asks the host's home page. Container Apps has probes of its own, infra/bicep.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["/azure-functions-host/Microsoft.Azure.WebJobs.Script.WebHost"]
