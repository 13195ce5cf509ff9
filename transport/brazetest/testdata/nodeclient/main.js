// Calls the endpoint that the environment names with a published client of Braze's REST API, and prints what came back.
import { Braze } from 'braze-api'

const braze = new Braze(process.env.BRAZE_URL, process.env.BRAZE_KEY)
const campaign = process.env.CAMPAIGN_ID
const alias = { alias_name: 'c-90', alias_label: 'crm' }

const said = {}
said.segments = await braze.segments.list({ page: 0, sort_direction: 'desc' })
said.details = await braze.segments.details({ segment_id: said.segments.segments[0].id })
said.attributes = await braze.users.track({ attributes: [{ external_id: 'u-17', tier: 'gold' }] })
said.send = await braze.campaigns.trigger.send({
  campaign_id: campaign,
  broadcast: true,
  audience: {
    AND: [{ custom_attribute: { custom_attribute_name: 'tier', comparison: 'equals', value: 'gold' } }],
  },
})
said.alias = await braze.users.alias.new({ user_aliases: [alias] })
said.identify = await braze.users.identify({ aliases_to_identify: [{ external_id: 'u-90', user_alias: alias }] })
said.export = await braze.users.export.ids({
  external_ids: ['u-90', 'u-91'],
  fields_to_export: ['external_id', 'user_aliases'],
})
said.refusal = await braze.campaigns.trigger
  .send({ campaign_id: 'unknown', broadcast: true })
  .catch((error) => ({ status: error.status, message: error.message, errors: error.errors }))

console.log(JSON.stringify(said))
