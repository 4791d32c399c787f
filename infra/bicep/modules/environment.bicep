metadata name = 'Container Apps environment'
metadata description = 'The environment of both apps: the Consumption profile, and the GPU profile where one is asked for. Logs go to the workspace without a key.'

@description('Name of the environment.')
param name string

@description('Azure region.')
param location string

@description('Tags of the resource.')
param tags { *: string }

@description('Workload profile types beside Consumption, by profile name.')
param profiles { name: string, workloadProfileType: string }[]

@description('Workspace that console and system logs go to.')
param workspaceResourceId string

resource environment 'Microsoft.App/managedEnvironments@2025-07-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    appLogsConfiguration: { destination: 'azure-monitor' }
    workloadProfiles: concat([{ name: 'Consumption', workloadProfileType: 'Consumption' }], profiles)
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'logs'
  scope: environment
  properties: {
    workspaceId: workspaceResourceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
  }
}

@description('Resource id of the environment.')
output resourceId string = environment.id
