import { useState } from 'preact/hooks'
import { del, post, query, segment } from '../api.js'
import { Copy, Empty, JsonTree, Text, Problem, Status, Tabs, Time, useLive, useLoad } from '../ui.jsx'
import { EventForm } from './events.jsx'

export function Sources() {
  const list = useLoad('sources')
  return <><h1>Sources</h1><Problem error={list.error} retry={list.reload} />
    {list.value && !list.value.data.length && <Empty>No source: a trigger with “uses” or “http: {'{}'}” makes one.</Empty>}
    <ul class="plain big">{list.value?.data.map(s => <li><a href={`#/sources/${segment(s.id)}`}><b>{s.id}</b></a> <Status is={s.state} /> <span class="dim">{s.component}</span>{s.error && <div class="error-text">{s.error}</div>}
      {s.endpoint && <div class="bar"><code class="wrap">{s.endpoint}</code><Copy text={s.endpoint} /></div>}</li>)}</ul></>
}

export function SourcePage({ id, go }) {
  const source = useLoad(`sources/${segment(id)}`)
  const logs = useLoad(`logs?of=${segment(id)}&limit=200`)
  const events = useLoad(`events${query({ source: id, limit: 10 })}`)
  const [test, setTest] = useState(null)
  useLive((topic, value) => { if (topic === 'log' && value.source === id) logs.reload(); if (topic === 'event' && value.source === id) events.reload() })
  const emit = async text => {
    const answer = await post(`sources/${segment(id)}/emit`, `{"event":${text}}`)
    setTest(null)
    go(answer.runs[0] ? `runs/${answer.runs[0].run}` : `events/${answer.event}`)
  }
  const value = source.value
  if (!value) return <Problem error={source.error} />
  return <><h1 class="wrap">{id}</h1>
    <div class="bar"><Status is={value.state} /><a href={`#/components/${segment(value.component)}`}>{value.component}</a><button class="primary" onClick={() => setTest('{}')}>Emit a test event</button></div>
    {value.error && <div class="problem">{value.error}</div>}
    {value.endpoint && <div class="bar"><code class="wrap">{value.endpoint}</code><Copy text={value.endpoint} /></div>}
    <p>Feeds {value.workflows.length ? value.workflows.map(w => <a href={`#/workflows/${segment(w)}`}>{w} </a>) : 'no workflow'}</p>
    <section><h2>Events</h2>{events.value?.data.length ? <ul class="plain">{events.value.data.map(e => <li><a href={`#/events/${e.id}`}>{e.summary || e.id}</a> <Time at={e.received} /></li>)}</ul> : <Empty>No event yet.</Empty>}</section>
    <section><h2>Logs</h2>{logs.value?.data.length ? <pre class="logs">{logs.value.data.map(l => <div class={`l-${l.level}`}><span class="dim">{new Date(l.ts).toLocaleString()}</span> {l.level} {l.text}</div>)}</pre> : <Empty>Nothing was logged.</Empty>}</section>
    {test !== null && <EventForm title="Emit a test event" start={test} action="Emit" onSend={emit} onClose={() => setTest(null)} />}
  </>
}

const typeOf = c => c.type || (c.hooks ? 'source' : 'action')

export function Components() {
  const list = useLoad('components')
  const [needle, search] = useState('')
  const shown = list.value?.data.filter(c => !needle || `${c.key} ${c.name} ${c.description}`.toLowerCase().includes(needle))
  return <><h1>Components</h1><Problem error={list.error} />
    <div class="filters"><input type="search" placeholder="Search" aria-label="Search components" onInput={e => search(e.target.value.toLowerCase())} /></div>
    <ul class="plain big">{shown?.map(c => <li><a href={`#/components/${segment(c.key)}`}><b>{c.name || c.key}</b></a> <span class="status">{typeOf(c)}</span> <code class="dim">{c.key}@{c.version}</code><div class="dim"><Text>{c.description}</Text></div></li>)}</ul></>
}

export function ComponentPage({ id }) {
  const component = useLoad(`components/${segment(id)}`)
  const c = component.value
  if (!c) return <Problem error={component.error} />
  const props = c.props || c.configurable_props || []
  const yaml = `- namespace: ${c.key.split('-').pop()}\n  uses: ${c.key}@${c.version}\n  props:\n${props.filter(p => !p.optional && !p.hidden && !['alert', '$.interface.http', '$.service.db', '$.interface.timer'].includes(p.type)).map(p => `    ${p.name}: ${p.type === 'app' ? '{ account: … }' : '…'}`).join('\n')}`
  return <><h1>{c.name}</h1><div class="bar"><span class="status">{typeOf(c)}</span><code>{c.key}@{c.version}</code><Copy text={`${c.key}@${c.version}`} /></div><p><Text>{c.description}</Text></p>
    <section><h2>Props</h2><div class="table"><table><thead><tr><th>Prop</th><th>Type</th><th>What it is</th></tr></thead><tbody>{props.map(p => <tr><td><code>{p.name}</code>{!p.optional && p.type !== 'alert' && <span title="required"> *</span>}</td><td>{p.type}{p.app && ` (${p.app})`}</td>
      <td>{p.label !== p.name && <b>{p.label}. </b>}<Text>{p.description || p.content}</Text>{p.default !== undefined && <div class="dim">default: <code>{JSON.stringify(p.default)}</code></div>}{p.remoteOptions && <div class="dim">options are read live</div>}{p.options && <div class="dim">one of {p.options.map(o => <code>{String(o?.label ?? o)} </code>)}</div>}</td></tr>)}</tbody></table></div></section>
    <section><h2>In a workflow</h2><pre>{yaml}</pre><Copy text={yaml} /></section></>
}

export function Accounts() {
  const list = useLoad('accounts')
  const components = useLoad('components')
  const [form, setForm] = useState(null)
  const [said, say] = useState({})
  const [error, setError] = useState(null)
  const apps = [...new Set((components.value?.data || []).flatMap(c => (c.props || c.configurable_props || []).filter(p => p.type === 'app').map(p => p.app)))].sort()
  const test = async name => { say(old => ({ ...old, [name]: '…' })); try { await post(`accounts/${segment(name)}/test`); say(old => ({ ...old, [name]: 'works' })) } catch (e) { say(old => ({ ...old, [name]: e.message })) } }
  const remove = async name => { try { await del(`accounts/${segment(name)}`); list.reload() } catch (e) { setError(e) } }
  const add = async event => {
    event.preventDefault()
    try {
      await post('accounts', { name: form.name, app: form.app, auth: Object.fromEntries(form.fields.split('\n').filter(l => l.includes('=')).map(l => [l.slice(0, l.indexOf('=')).trim(), l.slice(l.indexOf('=') + 1).trim()])) })
      setForm(null)
      list.reload()
    } catch (e) { setError(e) }
  }
  return <><h1>Accounts</h1><Problem error={list.error || error} />
    <div class="bar"><button class="primary" onClick={() => setForm({ name: '', app: apps[0] || '', fields: '' })}>Add an account</button></div>
    {form && <form class="panel" onSubmit={add}><label>Name<input required value={form.name} onInput={e => setForm({ ...form, name: e.target.value })} /></label>
      <label>App<select value={form.app} onChange={e => setForm({ ...form, app: e.target.value })}>{apps.map(a => <option>{a}</option>)}</select></label>
      <label>Fields, one a line: name=value<textarea rows="4" value={form.fields} onInput={e => setForm({ ...form, fields: e.target.value })} autocomplete="off" spellcheck={false} /></label>
      <p class="dim">Values are sealed in the store and never shown again.</p>
      <div class="bar"><button type="button" onClick={() => setForm(null)}>Cancel</button><button class="primary">Add</button></div></form>}
    {list.value && !list.value.data.length && <Empty>No account yet.</Empty>}
    <ul class="plain big">{list.value?.data.map(a => <li><b>{a.name}</b> <span class="dim">{a.app}</span> <span class="status">{a.from === 'file' ? 'runnel.yaml' : 'sealed'}</span> <small class="dim">{a.fields.join(', ')}</small> <button class="small" onClick={() => test(a.name)}>Test</button>{a.from !== 'file' && <button class="small" onClick={() => remove(a.name)}>Remove</button>} <span role="status">{said[a.name]}</span></li>)}</ul></>
}

export function Logs() {
  const [lines, setLines] = useState([])
  const past = useLoad('logs?limit=200')
  useLive((topic, line) => {
    if (topic === 'log') setLines(old => [...old, line].slice(-1000))
    if (topic === 'more' || topic === 'reset') { setLines([]); past.reload() }
  })
  const all = [...(past.value?.data || []), ...lines]
  return <><h1>Logs</h1><Problem error={past.error} />{all.length ? <pre class="logs">{all.map(l => <div class={`l-${l.level}`}><span class="dim">{new Date(l.ts).toLocaleTimeString()}</span> {l.run ? <a href={`#/runs/${l.run}`}>{l.workflow || l.run} {l.step}</a> : <a href={`#/sources/${segment(l.source || '')}`}>{l.source}</a>} {l.level} {l.text}</div>)}</pre> : <Empty>Nothing was logged.</Empty>}</>
}

export function Schedules() {
  const list = useLoad('schedules?next=3')
  const [error, setError] = useState(null)
  const fire = async id => { setError(null); try { await post('fire', { id }); list.reload() } catch (e) { setError(e) } }
  return <><h1>Schedules</h1><Problem error={list.error || error} />{list.value && !list.value.data.length && <Empty>No schedule: a trigger with “schedule” makes one.</Empty>}
    <ul class="plain big">{list.value?.data.map(s => <li><b>{s.id}</b> <code>{typeof s.schedule === 'string' ? s.schedule : JSON.stringify(s.schedule)}</code> <button class="small" onClick={() => fire(s.id)}>Fire now</button><div class="dim">next: {(s.next || []).map(t => <><Time at={t} /> </>)}</div>{s.error && <div class="error-text">{String(s.error)}</div>}</li>)}</ul></>
}
