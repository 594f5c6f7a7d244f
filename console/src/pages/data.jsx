import { useCallback, useState } from 'preact/hooks'
import { post, query, segment } from '../api.js'
import { bytes, Copy, Dialog, Empty, InfiniteList, JsonTree, Problem, Time, useLoad } from '../ui.jsx'

const ask = request => post('data-stores', request)

export function DataStores({ go }) {
  const list = useLoad('data-stores')
  const [name, setName] = useState(null)
  return <><h1>Data stores</h1><Problem error={list.error} retry={list.reload} />
    <div class="bar"><button class="primary" onClick={() => setName('')}>New data store</button></div>
    {list.value && !list.value.data.length && <Empty>No data store yet: a step with a prop <code>{'{ store: NAME }'}</code> makes one.</Empty>}
    <ul class="plain big">{list.value?.data.map(s => <li class="bar"><a class="grow" href={`#/data/${segment(s.name)}`}><b>{s.name}</b></a> <span>{s.keys} {s.keys === 1 ? 'record' : 'records'}</span> <span class="dim">{bytes(s.bytes)}</span></li>)}</ul>
    {name !== null && <Dialog title="New data store" onClose={() => setName(null)}>
      <form onSubmit={e => { e.preventDefault(); go(`data/${segment(name)}`) }}>
        <label>Name<input required autofocus pattern="[A-Za-z0-9_\-][A-Za-z0-9_.\-]*" maxLength="64" title="Letters, digits, - _ ." value={name} onInput={e => setName(e.target.value)} /></label>
        <p class="dim">It is there with its first record.</p>
        <footer><button type="button" onClick={() => setName(null)}>Cancel</button><button class="primary">Open</button></footer>
      </form></Dialog>}
  </>
}

const unitMs = { seconds: 1e3, minutes: 6e4, hours: 36e5, days: 864e5 }

// A record is written only if it still is what was shown; the value goes out as it stands in the form, digit for digit.
function RecordForm({ store, record, onDone, onClose }) {
  const [key, setKey] = useState(record?.key ?? '')
  const [text, setText] = useState(record ? JSON.stringify(record.value, null, 2) : '')
  const [life, setLife] = useState({ kind: record ? 'kept' : 'never', count: 1, unit: 'days' })
  const [error, setError] = useState(null)
  const save = async event => {
    event.preventDefault()
    try {
      JSON.parse(text)
      const ttl = life.kind === 'kept' ? -1 : life.kind === 'never' ? 0 : Math.round(life.count * unitMs[life.unit])
      const answer = await post('data-stores', `{"op":"compare_and_set","store":${JSON.stringify(store)},"key":${JSON.stringify(key)},"ttl_ms":${ttl},"value":${text}${record ? `,"expected":${JSON.stringify(record.value)}` : ''}}`)
      if (!answer.swapped) throw new Error(record ? 'The record has been changed meanwhile. Close this and look again.' : 'There is a record with this key already.')
      onDone(key)
    } catch (e) { setError(e) }
  }
  return <Dialog title={record ? `Edit ${key}` : 'New record'} onClose={onClose}>
    <form onSubmit={save}>
      {!record && <label>Key<input required autofocus maxLength="256" value={key} onInput={e => setKey(e.target.value)} /></label>}
      <label>Value (JSON)<textarea required rows="12" spellcheck={false} value={text} onInput={e => setText(e.target.value)} /></label>
      <div class="bar"><label>Expires<select value={life.kind} onChange={e => setLife({ ...life, kind: e.target.value })}>
        {record && <option value="kept">as it was</option>}<option value="never">never</option><option value="after">after …</option></select></label>
        {life.kind === 'after' && <><label>How long<input type="number" required min="0.001" step="any" value={life.count} onInput={e => setLife({ ...life, count: e.target.value })} /></label>
          <label>Unit<select value={life.unit} onChange={e => setLife({ ...life, unit: e.target.value })}>{Object.keys(unitMs).map(u => <option>{u}</option>)}</select></label></>}</div>
      <Problem error={error} />
      <footer><button type="button" onClick={onClose}>Cancel</button><button class="primary">Save</button></footer>
    </form>
  </Dialog>
}

function Confirm({ title, action, onYes, onClose }) {
  const [error, setError] = useState(null)
  const submit = async event => { event.preventDefault(); try { await onYes() } catch (e) { setError(e) } }
  return <Dialog title={title} onClose={onClose}><form onSubmit={submit}><p>Steps that use it see the change at once. It cannot be undone.</p><Problem error={error} />
    <footer><button type="button" autofocus onClick={onClose}>Cancel</button><button class="danger">{action}</button></footer></form></Dialog>
}

function Record({ store, name, back, onGone }) {
  const [isOpen, open] = useState(null)
  const record = useLoad(useCallback(() => ask({ op: 'get', store, key: name }), [store, name]))
  const close = () => open(null)
  if (!record.value) return <Problem error={record.error} retry={record.reload} />
  const { found, value, expires_ms: expires } = record.value
  return <section class="panel" aria-label="Record">
    <a class="back" href={back}>‹ All records</a>
    <h2 class="wrap">{name}</h2>
    {found ? <><div class="bar"><button onClick={() => open('edit')}>Edit</button><button onClick={() => open('delete')}>Delete</button><Copy text={name} label="Copy key" />
      <span class="dim">{expires ? <>expires <Time at={expires} /></> : 'never expires'}</span></div>
      <JsonTree value={value} /></> : <Empty>It is not there (any more).</Empty>}
    {isOpen === 'edit' && <RecordForm store={store} record={{ key: name, value }} onClose={close} onDone={() => { close(); record.reload() }} />}
    {isOpen === 'delete' && <Confirm title={`Delete ${name}?`} action="Delete" onClose={close} onYes={async () => { await ask({ op: 'delete', store, key: name }); onGone() }} />}
  </section>
}

export function DataStorePage({ id, params, go }) {
  const [prefix, setPrefix] = useState(params.prefix || '')
  const [turn, again] = useState(0)
  const [isOpen, open] = useState(null)
  const load = useCallback(async (after, limit) => {
    const page = await ask({ op: 'keys', store: id, prefix: params.prefix, after, limit })
    return { data: page.keys.map(key => ({ id: key })), next: page.more ? page.keys.at(-1) : null }
  }, [id, params.prefix, turn])
  const place = key => `data/${segment(id)}${query({ prefix: params.prefix, key })}`
  const change = () => { open(null); again(turn + 1) }
  const isChosen = params.key !== undefined
  return <div class={`page-list records${isChosen ? ' chosen' : ''}`}>
    <h1 class="wrap">{id}</h1>
    <div class="bar"><a href="#/data">‹ Data stores</a><button class="primary" onClick={() => open('new')}>New record</button><button onClick={() => open('clear')}>Delete all</button></div>
    <form class="filters" role="search" onSubmit={e => { e.preventDefault(); go(`data/${segment(id)}`, { prefix }) }}>
      <input type="search" placeholder="Keys that begin with" aria-label="Keys that begin with" value={prefix} onInput={e => setPrefix(e.target.value)} onChange={e => !e.target.value && go(`data/${segment(id)}`)} />
      <button>Search</button></form>
    <div class="split">
      <InfiniteList label="Records" height={40} load={load} empty={params.prefix ? 'No key begins with that.' : 'No record.'} row={({ id: key }) => <a href={`#/${place(key)}`} aria-current={key === params.key || undefined}><b class="grow">{key}</b></a>} />
      {isChosen ? <Record key={params.key} store={id} name={params.key} back={`#/${place()}`} onGone={() => { change(); go(`data/${segment(id)}`, { prefix: params.prefix }) }} />
        : <Empty>Choose a record.</Empty>}
    </div>
    {isOpen === 'new' && <RecordForm store={id} onClose={() => open(null)} onDone={key => { change(); go(`data/${segment(id)}`, { prefix: params.prefix, key }) }} />}
    {isOpen === 'clear' && <Confirm title={`Delete all records of ${id}?`} action="Delete all" onClose={() => open(null)} onYes={async () => { await ask({ op: 'clear', store: id }); change(); go(`data/${segment(id)}`) }} />}
  </div>
}
