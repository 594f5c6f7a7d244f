// One stream for all tabs of a browser (which opens six connections to a host at most): the tab that holds the lock reads it and
// tells the others. Each tab knows the last place, so whoever reads on misses nothing. Without locks (a page that is not served
// from localhost or over https) each tab reads for itself.
import { session } from './api.js'

const listeners = new Set()
let cursor = null
let state = 'connecting'
let channel = null
let abort = null

export function onLive(listener) {
  listeners.add(listener)
  listener('state', state)
  return () => listeners.delete(listener)
}

// In a flood there is more each second; pages load their lists anew every five.
const MORE_MS = 5000
let moreTimer = null

function tell(topic, value) {
  if (topic === 'mark') cursor = value
  if (topic === 'state') state = value
  if (topic === 'more') {
    moreTimer ??= setTimeout(() => { moreTimer = null; give('more', {}) }, MORE_MS)
    return
  }
  give(topic, value)
}

function give(topic, value) {
  if (document.hidden && quiet.has(topic)) { hasMissed = true; return }
  for (const listener of [...listeners]) listener(topic, value)
}

function publish(topic, value) {
  tell(topic, value)
  channel?.postMessage([{ topic, value }])
}

// A page that nobody sees does nothing; when it is seen again, its lists are loaded anew.
let hasMissed = false
const quiet = new Set(['event', 'run', 'log', 'totals', 'more'])
document.addEventListener('visibilitychange', () => {
  if (document.hidden || !hasMissed) return
  hasMissed = false
  tell('reset', {})
})

function take(message, add) {
  let topic = 'message', data = ''
  for (const line of message.split('\n')) {
    const at = line.indexOf(':')
    if (at <= 0) continue
    const name = line.slice(0, at), value = line.slice(at + 1).replace(/^ /, '')
    if (name === 'event') topic = value
    else if (name === 'data') data += value
    else if (name === 'id') add('mark', value)
  }
  if (data) add(topic, JSON.parse(data))
}

async function read(signal) {
  const headers = { authorization: `Bearer ${session.get()}` }
  if (cursor) headers['last-event-id'] = cursor
  const response = await fetch('/api/v1/stream?topics=events,runs,logs,totals&brief=1', { headers, signal, credentials: 'omit' })
  if (response.status === 401) session.set(null)
  if (response.status === 422) cursor = null
  if (!response.ok) throw new Error(`HTTP ${response.status}`)
  publish('state', 'live')
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    text += value
    const parts = text.split('\n\n')
    text = parts.pop()
    const batch = []
    for (const part of parts) take(part, (topic, value) => batch.push({ topic, value }))
    for (const { topic, value } of batch) tell(topic, value)
    if (batch.length) channel?.postMessage(batch)
  }
}

async function follow(signal) {
  let wait = 250
  while (!signal.aborted && session.get()) {
    const began = Date.now()
    try { await read(signal) } catch { /* said by the state */ }
    if (signal.aborted) return
    publish('state', 'reconnecting')
    wait = Date.now() - began > 5000 ? 250 : Math.min(wait * 2, 5000)
    await new Promise(go => setTimeout(go, wait))
  }
}

export function startLive() {
  stopLive()
  const own = abort = new AbortController()
  if (!navigator.locks) { follow(own.signal); return }
  channel = new BroadcastChannel('runnel-live')
  channel.onmessage = ({ data }) => {
    if (data === 'hello') channel.postMessage([{ topic: 'state', value: state }])
    else for (const { topic, value } of data) tell(topic, value)
  }
  channel.postMessage('hello')
  navigator.locks.request('runnel-live', { signal: own.signal }, () => follow(own.signal)).catch(() => {})
}

export function stopLive() {
  abort?.abort()
  channel?.close()
  abort = channel = null
}
