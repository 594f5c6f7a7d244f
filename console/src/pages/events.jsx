import { useCallback, useState } from 'preact/hooks'
import { del, get, post, query, segment } from '../api.js'
import { Copy, Dialog, Empty, InfiniteList, JsonTree, Problem, Status, Time, useLive, useLoad } from '../ui.jsx'

export function Events({ params, go }) {
  const sources = useLoad('sources')
  const [text, setText] = useState(params.text || '')
  const load = useCallback((cursor, limit) => get(`events${query({ source: params.source, text: params.text, cursor, limit })}`), [params.source, params.text])
  const live = (topic, event) => topic === 'event' && !params.text && (!params.source || event.source === params.source) ? event : null
  const set = (name, value) => go('events', { source: params.source, text: params.text, [name]: value })
  return <div class="page-list">
    <h1>Events</h1>
    <form class="filters" onSubmit={e => { e.preventDefault(); set('text', text) }}>
      <select aria-label="Source" value={params.source || ''} onChange={e => set('source', e.target.value)}><option value="">all sources</option><option>manual</option>{sources.value?.data.map(s => <option>{s.id}</option>)}{params.source?.startsWith('workflows/') && !sources.value?.data.some(s => s.id === params.source) && <option>{params.source}</option>}</select>
      <input type="search" placeholder="Text or id" aria-label="Text" value={text} onInput={e => setText(e.target.value)} onChange={e => !e.target.value && set('text', '')} />
      <button>Search</button>
    </form>
    <InfiniteList label="Events" load={load} live={live} empty="No event yet." row={event => <a href={`#/events/${event.id}`}>
      <b class="grow">{event.summary || event.id}</b>{event.channel && <code>{event.channel}</code>}<span class="dim">{event.source}</span><Time at={event.received} /></a>} />
  </div>
}

// A JSON text to edit; what is sent is what stands there, digit for digit.
export function EventForm({ title, label = 'Event', start, action, onSend, onClose }) {
  const [text, setText] = useState(start)
  const [error, setError] = useState(null)
  const send = async event => {
    event.preventDefault()
    try {
      JSON.parse(text)
      await onSend(text)
    } catch (e) { setError(e) }
  }
  return <Dialog title={title} onClose={onClose}>
    <form onSubmit={send}>
      <label>{label} (JSON)<textarea rows="16" spellcheck={false} value={text} onInput={e => setText(e.target.value)} /></label>
      <Problem error={error} />
      <footer><button type="button" onClick={onClose}>Cancel</button><button class="primary">{action}</button></footer>
    </form>
  </Dialog>
}

export function EventPage({ id, go }) {
  const event = useLoad(`events/${segment(id)}`)
  const runs = useLoad(`runs?event=${segment(id)}&limit=100`)
  const workflows = useLoad('workflows')
  const [error, setError] = useState(null)
  useLive((topic, run) => { if (topic === 'run' && run.event === id) runs.reload() })
  const replay = async workflow => {
    try {
      const { data } = await post('replay', { id, workflow: workflow || undefined })
      go(`runs/${data[0].run}`)
    } catch (e) { setError(e) }
  }
  const remove = async () => { try { await del(`events/${segment(id)}`); go('events') } catch (e) { setError(e) } }
  if (!event.value) return <Problem error={event.error} />
  return <>
    <h1>{event.value.summary || 'Event'}</h1>
    <div class="bar"><code>{id}</code><Copy text={id} /><Time at={event.value.received} /><a href={`#/events?source=${segment(event.value.source)}`}>{event.value.source}</a></div>
    <Problem error={error} />
    <div class="bar">
      <button class="primary" onClick={() => replay()}>Replay</button>
      <select aria-label="Replay through" onChange={e => e.target.value && replay(e.target.value)}><option value="">Replay through…</option>{workflows.value?.data.map(w => <option>{w.id}</option>)}</select>
      <button onClick={remove}>Delete</button>
    </div>
    <section><h2>Runs</h2>{runs.value?.data.length ? <ul class="plain">{runs.value.data.map(r => <li><a href={`#/runs/${r.id}`}><Status is={r.status} /> {r.workflow}</a> <Time at={r.created} /></li>)}</ul> : <Empty>No run of this event.</Empty>}</section>
    <section><h2>Event</h2><JsonTree value={event.value.event} root="steps.trigger.event" /></section>
  </>
}
