metadata name = 'The api app'
metadata description = 'A functions container app on the CPU: HTTP, timer and blob trigger. It starts orchestrations by name and runs none.'

@description('Name of the container app.')
param name string

@description('Azure region.')
param location string

@description('Tags of the resource.')
param tags { *: string }

@description('Resource id of the Container Apps environment.')
param environmentResourceId string

@description('Resource id of the identity.')
param identityResourceId string

@description('Host name of the registry.')
param registry string

@description('Image to run.')
param image string

@description('Whether the image is ours, and has a health address.')
param isOurs bool

@description('Settings of the app.')
param settings { name: string, value: string }[]

@description('Cores; the memory in GiB is twice as many.')
param cores 1 | 2 | 4

@description('Most replicas.')
@minValue(1)
param maxReplicas int

var port = 8080
// health tells that the app answers, ready that its storage and the engine do too: without them a restart would not help.
var health = { path: '/api/health', port: port, scheme: 'HTTP' }
var ready = { path: '/api/ready', port: port, scheme: 'HTTP' }
var probes = [
  { type: 'Startup', httpGet: health, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 60 }
  { type: 'Readiness', httpGet: ready, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 }
  { type: 'Liveness', httpGet: health, periodSeconds: 30, timeoutSeconds: 10, failureThreshold: 6 }
]

resource app 'Microsoft.App/containerApps@2025-07-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'api' })
  kind: 'functionapp'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityResourceId}': {} }
  }
  properties: {
    environmentId: environmentResourceId
    workloadProfileName: 'Consumption'
    configuration: {
      activeRevisionsMode: 'Single'
      ingress: {
        external: true
        allowInsecure: false
        targetPort: port
        transport: 'http'
      }
      registries: [{ server: registry, identity: identityResourceId }]
    }
    template: {
      containers: [
        {
          name: 'api'
          image: image
          env: settings
          resources: { cpu: cores, memory: '${cores * 2}Gi' }
          probes: isOurs ? probes : []
        }
      ]
      scale: { minReplicas: 1, maxReplicas: maxReplicas }
      terminationGracePeriodSeconds: 60
    }
  }
}

@description('Address of the app.')
output uri string = 'https://${app.properties.configuration.ingress!.fqdn}'
