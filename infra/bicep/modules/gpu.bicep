metadata name = 'The gpu app'
metadata description = 'An ordinary container app on the Functions image with the orchestrations and activities. No ingress; as many replicas as there is work.'

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

@description('Whether the image is ours, and listens as it does.')
param isOurs bool

@description('Settings of the app.')
param settings { name: string, value: string }[]

@description('Workload profile, and the cores and GiB of memory of a replica: all that the profile has, as it has one GPU.')
param size { profile: string, cores: int, memory: int }

@description('Most replicas, each of them one GPU.')
@minValue(1)
@maxValue(1000)
param maxReplicas int

@description('Name of the storage account.')
param storageAccount string

@description('Queue with a message for each activity that waits or runs.')
param workItemQueue string

@description('Queues that wake orchestrations.')
param controlQueues string[]

// A message stays in its queue, unseen, while it is worked on, and "all" counts it: running work keeps its replica. Each
// activity is worth a replica of its own; however many messages orchestrations have, they are worth one.
var rules = concat(
  [{ queueName: workItemQueue, queueLength: '1' }],
  map(controlQueues, queue => { queueName: queue, queueLength: '1000' })
)
var alive = { tcpSocket: { port: 8080 } }
var probes = [
  union(alive, { type: 'Startup', periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 60 })
  union(alive, { type: 'Liveness', periodSeconds: 30, timeoutSeconds: 10, failureThreshold: 6 })
]

resource app 'Microsoft.App/containerApps@2025-07-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'gpu' })
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityResourceId}': {} }
  }
  properties: {
    environmentId: environmentResourceId
    workloadProfileName: size.profile
    configuration: {
      activeRevisionsMode: 'Single'
      registries: [{ server: registry, identity: identityResourceId }]
    }
    template: {
      containers: [
        {
          name: 'gpu'
          image: image
          env: settings
          resources: { cpu: size.cores, memory: '${size.memory}Gi' }
          probes: isOurs ? probes : []
        }
      ]
      scale: {
        minReplicas: 0
        maxReplicas: maxReplicas
        pollingInterval: 15
        cooldownPeriod: 300
        rules: [
          for rule in rules: {
            name: rule.queueName
            custom: {
              type: 'azure-queue'
              identity: identityResourceId
              metadata: {
                accountName: storageAccount
                queueName: rule.queueName
                queueLength: rule.queueLength
                queueLengthStrategy: 'all'
              }
            }
          }
        ]
      }
      // The default is 30 s. The host cancels its activity at once and ends in seconds; what was cut off is delivered again.
      terminationGracePeriodSeconds: 600
    }
  }
}
