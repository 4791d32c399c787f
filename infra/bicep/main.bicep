targetScope = 'subscription'

metadata name = 'RlhfFunctions'
metadata description = 'Two container apps on one task hub: api answers HTTP on the CPU and starts runs, gpu learns and is there only while it does.'

@description('Name of the environment; the resource group is called after it.')
@minLength(1)
@maxLength(40)
param environmentName string

@description('Azure region. It must offer the GPU profile.')
param location string

@description('Tags of all resources.')
param tags { *: string } = {}

@description('Principal of whoever deploys: may read and upload blobs. Empty: nobody may.')
param deployerId string = ''

@description('What kind of principal the deployer is.')
param deployerType 'User' | 'ServicePrincipal' = 'User'

@description('Workload profile of the gpu app. Consumption has no GPU: the image must be built for the CPU then.')
param gpuProfile 'Consumption-GPU-NC8as-T4' | 'Consumption-GPU-NC24-A100' | 'Consumption' = 'Consumption-GPU-NC8as-T4'

@description('Most replicas of the gpu app, one GPU each. The quota of the subscription must allow as many.')
@minValue(1)
@maxValue(1000)
param gpuMaxReplicas int = 2

@description('What an hour of a gpu replica costs, such as "0.90 EUR": runs then tell their cost, and may be limited by it. Empty: they tell seconds.')
param gpuPricePerHour string = ''

@description('Cores of an api replica; the memory in GiB is twice as many.')
param apiCores 1 | 2 | 4 = 2

@description('Most replicas of the api app; one is always there.')
@minValue(1)
@maxValue(30)
param apiMaxReplicas int = 3

@description('Whether the api app is there already; azd says so.')
param apiExists bool = false

@description('Whether the gpu app is there already; azd says so.')
param gpuExists bool = false

@description('Days after which rollouts are deleted. A run that stopped can be taken up again for as long.')
@minValue(1)
@maxValue(365)
param rolloutRetentionDays int = 30

@description('When the adapter that serves is evaluated and the storage swept: second, minute, hour, day, month, day of the week; UTC.')
param nightlySchedule string = '0 0 3 * * *'

@description('Days that logs are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Budget a month, in the currency of the subscription: the owners are told at 50 and 90 %, and when 100 % is forecast.')
@minValue(1)
param budgetAmount int = 100

@description('Addresses that are told beside the owners.')
param budgetEmails string[] = []

@description('First day of the budget; it must be the first of a month.')
param budgetStart string = utcNow('yyyy-MM-01')

// One spelling: the hub's queues follow from host.json, as the Durable extension makes them.
var durable = loadJsonContent('../../host.json').extensions.durableTask
var hub = toLower(durable.hubName)
var workItemQueue = '${hub}-workitems'
var controlQueues = map(
  range(0, durable.storageProvider.partitionCount),
  partition => '${hub}-control-${padLeft(partition, 2, '0')}'
)
var containers = ['models', 'runs', 'adapters', 'dialogues', 'summaries', 'evaluations', 'campaigns', 'rewards']

var token = uniqueString(subscription().id, environmentName, location)
var allTags = union(tags, { 'azd-env-name': environmentName })
var apiName = 'api-${token}'
var gpuName = 'gpu-${token}'
var identityName = 'id-${token}'
var storageName = 'st${token}'

var gpuSizes = {
  'Consumption-GPU-NC8as-T4': { profile: 'gpu', cores: 8, memory: 56 }
  'Consumption-GPU-NC24-A100': { profile: 'gpu', cores: 24, memory: 220 }
  Consumption: { profile: 'Consumption', cores: 4, memory: 8 }
}

var settings = [
  { name: 'AzureWebJobsStorage__accountName', value: storageName }
  { name: 'AzureWebJobsStorage__credential', value: 'managedidentity' }
  { name: 'AzureWebJobsStorage__clientId', value: identity.outputs.clientId }
  { name: 'APPLICATIONINSIGHTS_CONNECTION_STRING', value: monitoring.outputs.connectionString }
  {
    name: 'APPLICATIONINSIGHTS_AUTHENTICATION_STRING'
    value: 'ClientId=${identity.outputs.clientId};Authorization=AAD'
  }
]

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: allTags
}

module identity 'modules/identity.bicep' = {
  scope: group
  params: {
    name: identityName
    location: location
    tags: allTags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  scope: group
  params: {
    workspaceName: 'log-${token}'
    componentName: 'appi-${token}'
    location: location
    tags: allTags
    retentionDays: logRetentionDays
    identityName: identityName
  }
  dependsOn: [identity]
}

module registry 'modules/registry.bicep' = {
  scope: group
  params: {
    name: 'cr${token}'
    location: location
    tags: allTags
    identityName: identityName
  }
  dependsOn: [identity]
}

module storage 'modules/storage.bicep' = {
  scope: group
  params: {
    name: storageName
    location: location
    tags: allTags
    containers: containers
    queues: concat([workItemQueue], controlQueues)
    rolloutRetentionDays: rolloutRetentionDays
    identityName: identityName
    deployerId: deployerId
    deployerType: deployerType
  }
  dependsOn: [identity]
}

module environment 'modules/environment.bicep' = {
  scope: group
  params: {
    name: 'cae-${token}'
    location: location
    tags: allTags
    profiles: gpuProfile == 'Consumption'
      ? []
      : [{ name: gpuSizes[gpuProfile].profile, workloadProfileType: gpuProfile }]
    workspaceResourceId: monitoring.outputs.workspaceResourceId
  }
}

module apiImage 'modules/image.bicep' = {
  scope: group
  params: {
    exists: apiExists
    name: apiName
  }
}

module gpuImage 'modules/image.bicep' = {
  scope: group
  params: {
    exists: gpuExists
    name: gpuName
  }
}

module api 'modules/api.bicep' = {
  scope: group
  params: {
    name: apiName
    location: location
    tags: allTags
    environmentResourceId: environment.outputs.resourceId
    identityResourceId: identity.outputs.resourceId
    registry: registry.outputs.loginServer
    image: apiImage.outputs.image
    isOurs: apiImage.outputs.isOurs
    settings: concat(settings, [
      { name: 'AzureFunctionsWebHost__hostid', value: apiName }
      { name: 'AzureWebJobsSecretStorageType', value: 'blob' }
      { name: 'RlhfServingDevice', value: 'cpu' }
      { name: 'RlhfNightlySchedule', value: nightlySchedule }
      { name: 'RlhfPricePerHour', value: gpuPricePerHour }
      { name: 'RlhfComputeDevices', value: gpuProfile == 'Consumption' ? 'cpu' : 'cpu,cuda' }
    ])
    cores: apiCores
    maxReplicas: apiMaxReplicas
  }
  dependsOn: [storage]
}

module gpu 'modules/gpu.bicep' = {
  scope: group
  params: {
    name: gpuName
    location: location
    tags: allTags
    environmentResourceId: environment.outputs.resourceId
    identityResourceId: identity.outputs.resourceId
    registry: registry.outputs.loginServer
    image: gpuImage.outputs.image
    isOurs: gpuImage.outputs.isOurs
    settings: concat(settings, [
      { name: 'AzureFunctionsWebHost__hostid', value: gpuName }
      { name: 'AzureFunctionsJobHost__extensions__durableTask__maxConcurrentActivityFunctions', value: '1' }
    ])
    size: gpuSizes[gpuProfile]
    maxReplicas: gpuMaxReplicas
    storageAccount: storageName
    workItemQueue: workItemQueue
    controlQueues: controlQueues
  }
  dependsOn: [storage]
}

module budget 'modules/budget.bicep' = {
  scope: group
  params: {
    name: 'budget-${environmentName}'
    amount: budgetAmount
    startDate: budgetStart
    emails: budgetEmails
  }
}

@description('Resource group of everything.')
output AZURE_RESOURCE_GROUP string = group.name

@description('Registry that azd pushes to.')
output AZURE_CONTAINER_REGISTRY_ENDPOINT string = registry.outputs.loginServer

@description('Storage account of models, runs and the task hub.')
output AZURE_STORAGE_ACCOUNT_NAME string = storageName

@description('Address of the HTTP API.')
output SERVICE_API_URI string = api.outputs.uri

@description('Names of the two container apps.')
output SERVICE_API_NAME string = apiName

@description('Name of the gpu app, whose replicas can be watched.')
output SERVICE_GPU_NAME string = gpuName
