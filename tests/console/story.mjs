// What a person does: signs in, sends an event, sees it arrive, opens the failed run, finds the cause, mends the file, replays.
import assert from 'node:assert/strict'
import { api, eventually, open, send, settings, watch } from './browser.mjs'

const context = await open()
const page = context.pages()[0]
const said = watch(page)
const at = path => page.goto(`${settings.admin}/#/${path}`)

// a wrong token is refused with a word, the right one lets in
await page.goto(settings.admin)
await page.fill('input[type=password]', 'wrong')
await page.click('text=Sign in >> nth=-1')
await page.waitForSelector('[role=alert]')
await page.fill('input[type=password]', settings.token)
await page.click('button:has-text("Sign in")')
await page.waitForSelector('nav')
assert.equal((await context.cookies()).length, 0, 'no cookie is set')

// the one-time link works once
const other = await open({ profile: '' })
const linked = other.pages()[0] ?? await other.newPage()
await linked.goto(settings.link)
await linked.waitForSelector('nav')
await linked.evaluate(() => localStorage.clear())
await linked.goto('about:blank')
await linked.goto(settings.link)
await linked.waitForSelector('.sign-in [role=alert]')
await other.close()

// an event arrives live, in a list that was open before
await at('events')
await page.waitForSelector('.live.live')
const list = page.locator('.row')
assert.equal(await list.count(), 0)
await send({ name: 'ann', user: { name: 'ann' } })
await list.first().waitFor()
await at('runs')
await page.waitForSelector('.row .s-succeeded')

// a failure is followed to its cause
await send('{"name":"bob","id":9007199254740993}')
await page.waitForSelector('.row .s-failed')
await page.click('.row:has(.s-failed) a')
await page.waitForSelector('#cause:has-text("TypeError")')
await page.waitForSelector('g.node.s-failed[aria-label="notify: failed"]')
await page.waitForSelector('.panel .problem:has-text("user.name")')
await page.click('role=tab[name=Props]')
await page.waitForSelector('.json:has-text("toUpperCase")')
// the event: searched, digits kept, a path copied as a reference
await page.click('g.node.trigger')
await page.waitForSelector('.j-number:has-text("9007199254740993")')
await page.fill('[aria-label="Search in the value"]', 'bob')
await page.waitForSelector('button[title="Copy {{steps.trigger.event.body.name}}"]')
assert.equal(await page.locator('.j-name:has-text("client_ip")').count(), 0, 'what does not match is hidden')
const failed = new URL(page.url()).hash.split('/').pop()

// the file is mended in the browser, checked while it is typed, and written
await at('workflows/greet')
const file = page.locator('textarea[aria-label="Workflow file"]')
const text = await file.inputValue()
await file.fill(text.replace('message:', 'massage:'))
await page.waitForSelector('.problems:has-text("massage")')
await file.fill(text.replace('user.name.toUpperCase()', 'name'))
await page.waitForSelector('.problems', { state: 'detached' })
await page.click('button:has-text("Save")')
await page.waitForSelector('button:has-text("Save")[disabled]')
const { readFileSync } = await import('node:fs')
await eventually('the file is written', () => readFileSync(`${settings.dir}/workflows/greet.yaml`, 'utf8').includes('event.body.name}}"'))

// the same event again, through the mended workflow
await at(`runs/${failed}`)
await page.click('button:has-text("Replay") >> nth=0')
await page.waitForSelector('.bar .s-succeeded')
await page.waitForSelector('text=replay of')
// from the step that failed: what was before it is taken over
await at(`runs/${failed}`)
await page.click('button:has-text("Replay from notify")')
await page.waitForFunction(id => !location.hash.endsWith(id), failed)
await page.waitForSelector('.bar .s-succeeded')
const again = await api('GET', `runs/${new URL(page.url()).hash.split('/').pop()}`)
assert.equal(again.value.replay_from, 'notify')
// with an edited event
await page.click('button:has-text("Replay with an edited event")')
const editor = page.locator('dialog textarea')
await editor.fill((await editor.inputValue()).replaceAll('bob', 'eve'))
await page.click('dialog button:has-text("Replay")')
await page.waitForSelector('dialog', { state: 'detached' })
await page.waitForSelector('.bar .s-succeeded')
await page.waitForSelector('.json:has-text("eve")')

// a form writes one prop into the file and shows it before
await at('workflows/greet')
await page.click('g.node[aria-label="notify"]')
await page.fill('#prop-username', 'runnel')
await page.locator('#prop-username').blur()
await page.waitForSelector('.diff .added:has-text("runnel")')
await page.click('button:has-text("Save to workflows/greet.yaml")')
await eventually('the prop is written', () => readFileSync(`${settings.dir}/workflows/greet.yaml`, 'utf8').includes('"runnel"'))

// blocks are drawn with what is in them
await send({ type: 'order', items: [1, 2, 3] }, settings.endpoints.blocks)
await at('runs?workflow=blocks')
await page.waitForSelector('.row .s-succeeded')
await page.click('.row a')
await page.waitForSelector('g.node.s-succeeded[aria-label="post_item: succeeded"]')
assert.equal(await page.locator('g.block').count(), 2)

// the keyboard alone: skip link, list, arrow keys, open
await at('runs')
await page.waitForSelector('.row')
await page.locator('.row a').first().focus()
await page.keyboard.press('ArrowDown')
await page.waitForFunction(() => document.activeElement.closest('[data-index]')?.dataset.index === '1')
await page.keyboard.press('Enter')
await page.waitForSelector('.panel')

// nothing is wider than a narrow screen
await page.setViewportSize({ width: 360, height: 740 })
for (const path of ['', 'workflows', 'workflows/greet', 'runs', `runs/${failed}`, 'events', 'sources', 'schedules', 'components', 'components/discord_webhook-send-message', 'accounts', 'logs']) {
  await at(path)
  await page.waitForSelector('h1')
  await page.waitForFunction(() => !document.querySelector('.busy'))
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  assert.ok(over <= 0, `${path} is ${over} px too wide at 360`)
}
assert.deepEqual(said, [], 'the pages complain of nothing')

// markup and control characters in an event are text and nothing else
const evil = `<img src=x onerror="alert(1)"><script>alert(2)</script>"'\u0000\u0007\u202e{{7*7}} javascript:alert(3)`
const emitted = await api('POST', `sources/${encodeURIComponent('workflows/greet/hook')}/emit`, { summary: evil, event: { [evil.replaceAll('\u0000', '')]: evil, body: { name: evil } } })
assert.equal(emitted.status, 200)
await page.setViewportSize({ width: 1280, height: 800 })
await at('events')
await page.click('.row:has-text("onerror") a')
await page.waitForSelector('.json:has-text("onerror")')
await at('runs')
await page.click('.row:has-text("onerror") a')
await page.waitForSelector('.json:has-text("onerror")')
assert.equal(await page.evaluate(() => document.querySelectorAll('main img, main script, iframe').length), 0)
assert.deepEqual(said, [], 'no markup of an event is run')

await context.close()
console.log('console story: good')
