metadata name = 'Budget'
metadata description = 'A monthly budget of the resource group that warns the owners and whoever else is named. It warns; it stops nothing.'

@description('Name of the budget.')
param name string

@description('Amount a month, in the currency of the subscription.')
@minValue(1)
param amount int

@description('First day of the first month.')
param startDate string

@description('Addresses that are warned beside the owners of the resource group.')
param emails string[]

var thresholds = [
  { name: 'half', type: 'Actual', percent: 50 }
  { name: 'almost', type: 'Actual', percent: 90 }
  { name: 'forecast', type: 'Forecasted', percent: 100 }
]

resource budget 'Microsoft.Consumption/budgets@2023-11-01' = {
  name: name
  properties: {
    category: 'Cost'
    amount: amount
    timeGrain: 'Monthly'
    timePeriod: { startDate: startDate }
    notifications: reduce(
      thresholds,
      {},
      (all, threshold) =>
        union(all, {
          '${threshold.name}': {
            enabled: true
            operator: 'GreaterThan'
            threshold: threshold.percent
            thresholdType: threshold.type
            contactEmails: emails
            contactRoles: ['Owner']
          }
        })
    )
  }
}
