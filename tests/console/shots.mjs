// Screenshots of every page, wide and narrow, light and dark, into $SHOTS: for whoever builds the pages to look at.
import { api, eventually, open, send, settings } from './browser.mjs'

const dir = process.env.SHOTS
await send({ name: 'ann', user: { name: 'ann' } })
await send({ name: 'bob' })
await send({ type: 'order', items: [1, 2, 3] }, settings.endpoints.blocks)
await send({ type: 'note' }, settings.endpoints.blocks)
await eventually('runs', async () => (await api('GET', 'runs')).value.data.filter(r => r.status !== 'running' && r.status !== 'queued').length >= 4)
const { value: { data: runs } } = await api('GET', 'runs')
const failed = runs.find(r => r.status === 'failed' && r.workflow === 'greet'), order = runs.findLast(r => r.workflow === 'blocks')
console.log(JSON.stringify(runs.map(r => [r.workflow, r.status, r.error?.text])))
const source = (await api('GET', 'sources')).value.data[0].id
const pages = { overview: '', workflows: 'workflows', workflow: 'workflows/greet', blocks: 'workflows/blocks', runs: 'runs', failed: `runs/${failed.id}`, order: `runs/${order.id}`, events: 'events', event: `events/${failed.event}`, sources: 'sources', source: `sources/${encodeURIComponent(source)}`, components: 'components', component: 'components/discord_webhook-send-message', accounts: 'accounts', logs: 'logs', schedules: 'schedules', data: 'data', store: 'data/visits', record: 'data/visits?key=ada', 'record-edit': 'data/visits?key=ada' }
for (const [key, value] of Object.entries({ ada: { count: 12, films: ['A New Hope', 'The Empire Strikes Back'], last: { at: '2026-01-05T10:00:00Z', from: null } }, bob: 3, ...Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`user-${i}`, i])) }))
  await api('POST', 'data-stores', { op: 'set', store: 'visits', key, value, ttl_ms: key === 'ada' ? 7200000 : 0 })
await api('POST', 'data-stores', { op: 'set', store: 'a-store-with-a-rather-long-name-that-somebody-has-chosen', key: 'k', value: 'v' })
const only = process.env.ONLY?.split(',')
const context = await open()
const page = context.pages()[0]
await page.goto(settings.admin)
await page.waitForSelector('text=Sign in')
await page.screenshot({ path: `${dir}/signin-1280.png` })
await page.goto(settings.link)
await page.waitForSelector('nav')
await page.waitForTimeout(2500)
for (const [width, scheme] of [[1280, 'light'], [360, 'dark']]) {
  await page.setViewportSize({ width, height: 800 })
  await page.emulateMedia({ colorScheme: scheme })
  for (const [name, path] of Object.entries(pages)) {
    if (only && !only.includes(name)) continue
    await page.goto(`${settings.admin}/#/${path}`)
    await page.waitForTimeout(500)
    if (name === 'record-edit') { await page.click('.panel button:has-text("Edit")'); await page.waitForTimeout(300) }
    if (name === 'workflow') { await page.click('g[role=button] >> nth=1'); await page.waitForTimeout(500) }
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
    if (over > 0) console.log(`${name} at ${width}: ${over} px too wide`)
    await page.screenshot({ path: `${dir}/${name}-${width}.png` })
  }
}
await context.close()
