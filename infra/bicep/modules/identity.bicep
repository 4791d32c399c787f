metadata name = 'Identity'
metadata description = 'The user-assigned identity that both apps act as, towards storage, registry, telemetry and the scaler.'

@description('Name of the identity.')
param name string

@description('Azure region.')
param location string

@description('Tags of the resource.')
param tags { *: string }

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

@description('Resource id of the identity.')
output resourceId string = identity.id

@description('Client id, which the apps ask for tokens with.')
output clientId string = identity.properties.clientId
