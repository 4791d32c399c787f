using 'main.bicep'

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'rlhf')
param location = readEnvironmentVariable('AZURE_LOCATION', 'swedencentral')
param deployerId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param deployerType = readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', 'User')
param gpuProfile = readEnvironmentVariable('GPU_PROFILE', 'Consumption-GPU-NC8as-T4')
param gpuMaxReplicas = int(readEnvironmentVariable('GPU_MAX_REPLICAS', '2'))
param gpuPricePerHour = readEnvironmentVariable('GPU_PRICE_PER_HOUR', '')
param apiExists = bool(readEnvironmentVariable('SERVICE_API_RESOURCE_EXISTS', 'false'))
param gpuExists = bool(readEnvironmentVariable('SERVICE_GPU_RESOURCE_EXISTS', 'false'))
param budgetAmount = int(readEnvironmentVariable('BUDGET_AMOUNT', '100'))
param budgetEmails = filter(split(readEnvironmentVariable('BUDGET_EMAILS', ''), ','), email => !empty(email))
