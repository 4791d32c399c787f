metadata name = 'Image of an app'
metadata description = 'The image that a container app runs now, so that provisioning again does not undo the last deployment.'

@description('Whether the app is there already.')
param exists bool

@description('Name of the container app.')
param name string

// What a new app runs until azd deploys ours: it listens on 8080 as ours does.
var placeholder = 'mcr.microsoft.com/dotnet/samples:aspnetapp'

resource app 'Microsoft.App/containerApps@2025-07-01' existing = if (exists) {
  name: name
}

var current = exists ? app!.properties.template.containers[0].image : placeholder

@description('The image.')
output image string = current

@description('Whether it is ours, and has a health address.')
output isOurs bool = current != placeholder
