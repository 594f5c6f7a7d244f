// A page in Debian's Chromium, and the ways to look at it. Every wait is for a condition, with a generous bound.
import assert from 'node:assert/strict'
import { request } from 'node:http'

const { chromium } = await import(process.env.PLAYWRIGHT)
export const settings = JSON.parse(process.env.CONSOLE)
export const PATIENCE = Number(process.env.PATIENCE_MS || 60000)

export async function open(options = {}) {
  const context = await chromium.launchPersistentContext(options.profile ?? settings.profile, {
    executablePath: '/usr/bin/chromium', headless: true, viewport: { width: 1280, height: 800 },
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
    ...options,
  })
  context.setDefaultTimeout(PATIENCE)
  return context
}

// What the page itself complains of: a script error, or anything that the policy of the page forbids.
export function watch(page) {
  const said = []
  page.on('pageerror', error => said.push(String(error)))
  page.on('console', message => message.type() === 'error' && !/status of (401|409|422|404|503)/.test(message.text()) && said.push(message.text()))
  page.on('dialog', dialog => { said.push(`dialog: ${dialog.message()}`); dialog.dismiss() })
  return said
}

// Each on a connection of its own: one that was idle for a while may be closed just when it is used again.
// On a connection of its own: one that was kept may just have been closed by the server.
function call(method, url, body, headers) {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method, headers, agent: false }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', part => { text += part }).on('end', () => resolve({ status: response.statusCode, text })).on('error', reject)
    })
    outgoing.on('error', reject).end(body)
  })
}

const asText = body => typeof body === 'string' ? body : JSON.stringify(body)

export async function api(method, path, body, headers = {}) {
  const { status, text } = await call(method, `${settings.admin}/api/v1/${path}`, body === undefined ? method === 'GET' ? undefined : '{}' : asText(body),
    { authorization: `Bearer ${settings.token}`, 'content-type': 'application/json', ...headers })
  return { status, value: text ? JSON.parse(text) : null }
}

export async function eventually(what, condition) {
  const until = Date.now() + PATIENCE
  for (;;) {
    const value = await condition()
    if (value) return value
    assert.ok(Date.now() < until, `never: ${what}`)
    await new Promise(go => setTimeout(go, 50))
  }
}

export const send = (body, url = settings.endpoint) => call('POST', url, asText(body), { 'content-type': 'application/json' })
