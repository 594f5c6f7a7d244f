import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { Digits, get } from './api.js'
import { onLive } from './live.js'

// ---- data

// Loads a path (or what a function gives) again whenever it or `deps` change; `reload` asks for it by hand.
export function useLoad(path, deps = []) {
  const [result, set] = useState({ value: null, error: null, isLoading: true })
  const [turn, again] = useState(0)
  useEffect(() => {
    if (!path) return undefined
    const abort = new AbortController()
    set(old => ({ ...old, isLoading: true }))
    const answer = typeof path === 'function' ? path() : get(path, abort.signal)
    answer.then(value => abort.signal.aborted || set({ value, error: null, isLoading: false }),
      error => error.name !== 'AbortError' && set(old => ({ ...old, error, isLoading: false })))
    return () => abort.abort()
  }, [path, turn, ...deps])
  return { ...result, reload: useCallback(() => again(n => n + 1), []) }
}

export function useLive(handle, deps = []) {
  const ref = useRef(handle)
  ref.current = handle
  useEffect(() => onLive((topic, value) => ref.current(topic, value)), deps)
}

// ---- small things

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'narrow' })
const units = [['day', 86400], ['hour', 3600], ['minute', 60], ['second', 1]]

function ago(ms) {
  const seconds = Math.round((ms - Date.now()) / 1000)
  for (const [unit, size] of units) if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit)
  return 'now'
}

export function Time({ at }) {
  const [, tick] = useState(0)
  useEffect(() => { const timer = setInterval(() => tick(n => n + 1), 10000); return () => clearInterval(timer) }, [])
  if (!at) return null
  const date = new Date(at)
  return <time dateTime={date.toISOString()} title={date.toLocaleString()}>{ago(date.getTime())}</time>
}

export function Duration({ ms }) {
  if (ms === undefined || ms === null) return null
  const text = ms < 1000 ? `${ms} ms` : ms < 60000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.floor(ms / 60000)} min ${Math.round(ms % 60000 / 1000)} s`
  return <span class="num">{text}</span>
}

export const bytes = n => n < 1024 ? `${n} B` : n < 1048576 ? `${(n / 1024).toFixed(1)} KiB` : n < 1073741824 ? `${(n / 1048576).toFixed(1)} MiB` : `${(n / 1073741824).toFixed(1)} GiB`

const marks = { succeeded: '✓', failed: '✕', running: '●', queued: '○', waiting: '◔', paused: '❚❚', cancelled: '⊘', unknown: '?', active: '✓', skipped: '–' }
export const Status = ({ is }) => <span class={`status s-${is}`}><span aria-hidden="true">{marks[is] || '•'}</span> {is}</span>

// Descriptions are markdown; of it, links and code are what counts. A link leads to the web or nowhere.
export function Text({ children }) {
  const parts = String(children ?? '').split(/(\[[^\]]+\]\([^)\s]+\)|`[^`]+`)/)
  return <>{parts.map(part => {
    const link = /^\[([^\]]+)\]\((https?:[^)\s]+)\)$/.exec(part)
    if (link) return <a href={link[2]} target="_blank" rel="noreferrer noopener">{link[1]}</a>
    return /^`.*`$/.test(part) ? <code>{part.slice(1, -1)}</code> : part
  })}</>
}

export function Problem({ error, retry }) {
  if (!error) return null
  return <div class="problem" role="alert">{error.message} {retry && <button onClick={retry}>Try again</button>}</div>
}

export const Empty = ({ children }) => <div class="empty">{children}</div>

export function Copy({ text, label = 'Copy' }) {
  const [done, set] = useState(false)
  const copy = async () => {
    try { await navigator.clipboard.writeText(text) } catch {
      const area = document.createElement('textarea')
      area.value = text
      document.body.append(area)
      area.select()
      document.execCommand('copy')
      area.remove()
    }
    set(true)
    setTimeout(() => set(false), 1200)
  }
  return <button type="button" class="small" title={text} onClick={copy}>{done ? 'Copied' : label}</button>
}

export function Dialog({ title, onClose, children }) {
  const ref = useRef()
  useEffect(() => { ref.current.showModal(); return () => ref.current?.close() }, [])
  return <dialog ref={ref} onClose={onClose} aria-label={title}>
    <header><h2>{title}</h2><button class="small" onClick={onClose} aria-label="Close">✕</button></header>
    {children}
  </dialog>
}

export function Tabs({ tabs, active, onSelect }) {
  const move = (event, index) => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0
    if (!step) return
    const next = tabs[(index + step + tabs.length) % tabs.length]
    onSelect(next)
    event.currentTarget.parentElement.children[tabs.indexOf(next)].focus()
  }
  return <div class="tabs" role="tablist">{tabs.map((tab, i) =>
    <button role="tab" aria-selected={tab === active} tabIndex={tab === active ? 0 : -1} onKeyDown={e => move(e, i)} onClick={() => onSelect(tab)}>{tab}</button>)}</div>
}

// ---- a list of any length: only what is seen is in the page, more is fetched as the end comes near

const PAGE = 200
// More came than a stream tells one by one: a list that stands at its top is loaded anew, so many entries of it.
const FRESH = 100

export function InfiniteList({ load, row, height = 56, live, empty, label }) {
  const [items, setItems] = useState([])
  const [next, setNext] = useState(null)
  const [error, setError] = useState(null)
  const [isBusy, setBusy] = useState(true)
  const [view, setView] = useState({ top: 0, height: 600 })
  const box = useRef()
  const index = useRef(new Map())
  const generation = useRef(0)
  const isFreshening = useRef(false)
  const isStale = useRef(false)
  const waiting = useRef([]) // what came live, put in together

  const merge = useCallback((page, atTop) => setItems(old => {
    const known = index.current
    const fresh = page.filter(item => !known.has(item.id))
    const changed = page.length !== fresh.length
    for (const item of page) known.set(item.id, item)
    const kept = changed ? old.map(item => known.get(item.id)) : old
    return atTop ? [...fresh, ...kept] : [...kept, ...fresh]
  }), [])

  const fetchPage = useCallback(async cursor => {
    const own = generation.current
    setBusy(true)
    try {
      let at = cursor, got = 0, page
      do { // a page may be short while there is more behind it
        page = await load(at, PAGE)
        if (own !== generation.current) return
        merge(page.data, false)
        got += page.data.length
        at = page.next
      } while (got < 20 && page.next)
      setNext(page.next)
      setError(null)
    } catch (e) {
      if (own === generation.current) setError(e)
    } finally {
      if (own === generation.current) setBusy(false)
    }
  }, [load, merge])

  const reset = useCallback(() => {
    generation.current++
    index.current = new Map()
    setItems([])
    setNext(null)
    fetchPage(null)
  }, [fetchPage])
  useEffect(() => { reset() }, [reset])

  // What lies between the newest and what is shown is not known: it is replaced, unless someone reads further down.
  const freshen = useCallback(async () => {
    if (!isStale.current || isFreshening.current || box.current.scrollTop > height) return
    const own = generation.current
    isStale.current = false
    isFreshening.current = true
    try {
      const page = await load(null, FRESH)
      if (own !== generation.current) return
      if (box.current.scrollTop > height) { isStale.current = true; return }
      index.current = new Map(page.data.map(item => [item.id, item]))
      setItems(page.data)
      setNext(page.next)
    } catch { isStale.current = true } finally { isFreshening.current = false }
  }, [load, height])

  useLive((topic, value) => {
    if (topic === 'reset') reset()
    else if (topic === 'more') {
      isStale.current = true
      freshen()
    } else {
      const item = live?.(topic, value)
      if (item) {
        if (!waiting.current.length) setTimeout(() => {
          const newest = new Map(waiting.current.map(i => [i.id, i]))
          waiting.current = []
          merge([...newest.values()].reverse().map(i => ({ ...index.current.get(i.id), ...i })), true)
        }, 100)
        waiting.current.push(item)
      }
      else if (topic === 'run' && live && index.current.has(value.id) && live('gone', value)) {
        index.current.delete(value.id)
        setItems(old => old.filter(i => i.id !== value.id))
      }
    }
  })

  useLayoutEffect(() => {
    const measure = () => setView({ top: box.current.scrollTop, height: box.current.clientHeight })
    const observer = new ResizeObserver(measure)
    observer.observe(box.current)
    return () => observer.disconnect()
  }, [])

  const first = Math.max(0, Math.floor(view.top / height) - 6)
  const last = Math.min(items.length, Math.ceil((view.top + view.height) / height) + 6)
  useEffect(() => { if (next && !isBusy && !error && last > items.length - 50) fetchPage(next) }, [last, next, isBusy, items.length, error])

  const keys = event => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    const at = document.activeElement?.closest('[data-index]')
    if (!step || !at) return
    event.preventDefault()
    const to = Math.min(items.length - 1, Math.max(0, Number(at.dataset.index) + step))
    if (to * height < box.current.scrollTop) box.current.scrollTop = to * height
    if ((to + 1) * height > box.current.scrollTop + box.current.clientHeight) box.current.scrollTop = (to + 1) * height - box.current.clientHeight
    requestAnimationFrame(() => box.current.querySelector(`[data-index="${to}"] a`)?.focus())
  }

  return <div class="list" ref={box} onScroll={e => { setView({ top: e.currentTarget.scrollTop, height: e.currentTarget.clientHeight }); freshen() }} onKeyDown={keys} role="list" aria-label={label} aria-busy={isBusy}>
    <Problem error={error} retry={() => { setError(null); items.length ? fetchPage(next) : reset() }} />
    {!items.length && !isBusy && !error && <Empty>{empty}</Empty>}
    <div class="rows" style={{ height: `${items.length * height}px` }}>
      {items.slice(first, last).map((item, i) =>
        <div class="row" role="listitem" key={item.id} data-index={first + i} style={{ transform: `translateY(${(first + i) * height}px)`, height: `${height}px` }}>{row(item)}</div>)}
    </div>
    {isBusy && <div class="busy">Loading…</div>}
  </div>
}

// ---- JSON as a tree, with search and the path of what was clicked

const isPlain = value => typeof value === 'object' && value !== null && !(value instanceof Digits)
const child = (path, key) => typeof key === 'number' ? `${path}[${key}]` : /^[A-Za-z_$][\w$]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`
const preview = value => Array.isArray(value) ? `[ ${value.length} ]` : `{ ${Object.keys(value).length} }`

function Leaf({ value }) {
  if (value instanceof Digits) return <span class="j-number" title="kept digit for digit">{value.text}</span>
  const kind = value === null ? 'null' : typeof value
  return <span class={`j-${kind}`}>{kind === 'string' ? JSON.stringify(value) : String(value)}</span>
}

function matches(name, value, needle) {
  if (!needle) return true
  if (String(name).toLowerCase().includes(needle)) return true
  if (isPlain(value)) return Object.entries(value).some(([k, v]) => matches(k, v, needle))
  return String(value instanceof Digits ? value.text : value).toLowerCase().includes(needle)
}

const MANY = 200

function Node({ name, value, path, needle, depth, reference }) {
  const [isOpen, open] = useState(depth < 2)
  const [shown, show] = useState(MANY)
  if (!matches(name, value, needle)) return null
  const label = name !== null && <button class="j-name" title={`Copy ${reference(path)}`} onClick={() => navigator.clipboard?.writeText(reference(path))}>{String(name)}</button>
  if (!isPlain(value)) return <li>{label}{name !== null && ': '}<Leaf value={value} />{path && <Copy text={reference(path)} label="path" />}</li>
  const entries = Array.isArray(value) ? value.map((v, i) => [i, v]) : Object.entries(value)
  const openNow = isOpen || !!needle
  return <li>
    <button class="j-toggle" aria-expanded={openNow} aria-label={`${openNow ? 'Close' : 'Open'} ${name ?? 'value'}`} onClick={() => open(!isOpen)}>{openNow ? '▾' : '▸'}</button>
    {label}{name !== null && ': '}<span class="dim">{preview(value)}</span>{path && <Copy text={reference(path)} label="path" />}
    {openNow && <ul>{entries.slice(0, shown).map(([key, v]) => <Node key={key} name={key} value={v} path={child(path, key)} needle={needle} depth={depth + 1} reference={reference} />)}
      {entries.length > shown && <li><button class="small" onClick={() => show(shown + MANY * 5)}>{entries.length - shown} more</button></li>}</ul>}
  </li>
}

// `root` is what the value is called in an expression: "steps.trigger.event".
export function JsonTree({ value, root }) {
  const [needle, search] = useState('')
  if (value === undefined) return <span class="dim">none</span>
  const reference = path => root ? `{{${path}}}` : path
  const json = JSON.stringify(value, null, 2) ?? ''
  return <div class="json">
    <div class="bar"><input type="search" placeholder="Search" aria-label="Search in the value" value={needle} onInput={e => search(e.target.value.toLowerCase())} />
      <Copy text={json} label="Copy JSON" /></div>
    <ul><Node name={null} value={value} path={root || ''} needle={needle} depth={0} reference={reference} /></ul>
  </div>
}
