using '../../../infra/bicep/main.bicep'

param environmentName = 'small'
param location = 'westeurope'
param gpuProfile = 'Consumption'
param gpuMaxReplicas = 1
param budgetStart = '2026-12-01'
