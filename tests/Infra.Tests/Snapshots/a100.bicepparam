using '../../../infra/bicep/main.bicep'

param environmentName = 'large'
param location = 'westus3'
param tags = { team: 'safety' }
param deployerId = '11111111-1111-1111-1111-111111111111'
param gpuProfile = 'Consumption-GPU-NC24-A100'
param gpuMaxReplicas = 1000
param apiCores = 4
param apiExists = true
param gpuExists = true
param rolloutRetentionDays = 7
param logRetentionDays = 90
param budgetAmount = 20000
param budgetEmails = ['someone@example.org']
param budgetStart = '2026-12-01'
