// A form for what a trigger or a step is used with. Options come from the component as it is asked, dynamic props when a value that
// reloads them changes. It shows the file that it would write; the file stays the truth.
import { useEffect, useMemo, useState } from 'preact/hooks'
import { post, put, segment } from '../api.js'
import { Empty, Problem, Text, useLoad } from '../ui.jsx'

const silent = ['alert', '$.interface.http', '$.interface.timer', '$.service.db']

// Where a step stands in the file: "steps[1].steps[0]".
function placeOf(node, definition) {
  if (!node) return null
  if (node.isTrigger) return `triggers[${node.index}]`
  const walk = (value, path) => {
    if (value === node.step) return path
    if (!value || typeof value !== 'object') return null
    for (const [key, inner] of Object.entries(value)) {
      const found = walk(inner, Array.isArray(value) ? `${path}[${key}]` : path ? `${path}.${key}` : key)
      if (found) return found
    }
    return null
  }
  return walk(definition.steps, 'steps')
}

const asText = value => value === undefined || value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value.__lv ? value.__lv.value : value)

// What was typed, in the prop's type; an expression stays one.
function fromText(prop, text) {
  if (text === '') return undefined
  if (text.startsWith('{{')) return text
  if (prop.type === 'integer' && /^-?\d+$/.test(text)) return Number(text)
  if (prop.type === 'boolean') return text === 'true'
  if (prop.type === 'string') return text
  try { return JSON.parse(text) } catch { return text }
}

function Options({ component, prop, props, onPick }) {
  const [options, setOptions] = useState([])
  const [state, setState] = useState({ page: 0, context: null, query: '', isBusy: true, error: null, hasMore: false })
  const load = async (page, context, query) => {
    setState(old => ({ ...old, isBusy: true, error: null }))
    try {
      const answer = await post('options', { component, prop: prop.name, props, page, query, context: context || undefined })
      const list = (answer.options || []).map(o => o && typeof o === 'object' ? o : { label: String(o), value: o })
      setOptions(old => page ? [...old, ...list] : list)
      setState({ page, context: answer.context, query, isBusy: false, error: null, hasMore: list.length > 0 && prop.remoteOptions })
    } catch (error) { setState(old => ({ ...old, isBusy: false, error })) }
  }
  useEffect(() => { load(0, null, '') }, [])
  return <div class="options">
    {prop.useQuery && <input type="search" placeholder="Search" aria-label={`Search ${prop.label}`} onChange={e => load(0, null, e.target.value)} />}
    {state.error && <div class="problem">{state.error.message}</div>}
    <ul class="plain">{options.map(o => <li><button type="button" onClick={() => onPick(o)}>{o.label}</button> <code class="dim">{asText(o.value)}</code></li>)}</ul>
    {state.isBusy ? <span class="dim">Loading…</span> : !options.length && !state.error ? <span class="dim">No options.</span> : null}
    {state.hasMore && !state.isBusy && <button type="button" class="small" onClick={() => load(state.page + 1, state.context, state.query)}>More</button>}
  </div>
}

function Field({ component, prop, value, props, accounts, stores, onChange }) {
  const [isOpen, open] = useState(false)
  const id = `prop-${prop.name}`
  if (prop.type === 'alert') return <div class={`alert ${prop.alertType || ''}`}>{prop.content}</div>
  if (silent.includes(prop.type) || prop.hidden) return null
  const head = <label for={id}>{prop.label || prop.name} <span class="dim">{prop.type}{prop.optional ? ', optional' : ''}</span></label>
  if (prop.type === 'app') {
    const fitting = accounts.filter(a => a.app === prop.app)
    return <div class="field">{head}<select id={id} value={value?.account || ''} onChange={e => onChange(e.target.value ? { account: e.target.value } : undefined)}>
      <option value="">choose an account</option>{fitting.map(a => <option>{a.name}</option>)}</select>{!fitting.length && <p class="dim">No account of {prop.app} yet: add one under Accounts.</p>}</div>
  }
  if (prop.type === 'data_store') return <div class="field">{head}
    <input id={id} list={`${id}-stores`} autocomplete="off" value={value?.store ?? value?.storeId ?? asText(value)} onChange={e => onChange(e.target.value === '' ? undefined : e.target.value.startsWith('{{') ? e.target.value : { store: e.target.value })} />
    <datalist id={`${id}-stores`}>{stores.map(s => <option value={s.name} />)}</datalist>
    {prop.description && <p class="dim"><Text>{prop.description}</Text></p>}</div>
  const isLong = prop.type === 'object' || prop.type === 'any' || prop.type.endsWith('[]') || asText(value).length > 60
  const control = { id, value: asText(value), placeholder: prop.default !== undefined ? `default: ${asText(prop.default)}` : '', onChange: e => onChange(fromText(prop, e.target.value)), disabled: prop.disabled, autocomplete: 'off' }
  return <div class="field">{head}
    {prop.type === 'boolean' && !asText(value).startsWith('{{') ? <select {...control}><option value="">default</option><option>true</option><option>false</option></select>
      : isLong ? <textarea rows="3" spellcheck={false} {...control} /> : <input {...control} type={prop.secret ? 'password' : 'text'} />}
    {prop.description && <p class="dim"><Text>{prop.description}</Text></p>}
    {(prop.remoteOptions || prop.options) && <button type="button" class="small" aria-expanded={isOpen} onClick={() => open(!isOpen)}>{isOpen ? 'Hide options' : 'Options'}</button>}
    {isOpen && <Options component={component} prop={prop} props={props} onPick={o => { onChange(prop.withLabel ? { __lv: o } : o.value); open(false) }} />}
  </div>
}

export function Configure({ workflow, node, onSaved }) {
  const key = node?.step?.uses?.split('@')[0]
  const component = useLoad(key ? `components/${segment(key)}` : null)
  const accounts = useLoad('accounts')
  const stores = useLoad((component.value?.props || []).some(p => p.type === 'data_store') ? 'data-stores' : null)
  const place = useMemo(() => placeOf(node, workflow.definition), [node, workflow.version])
  const [props, setProps] = useState(node?.step?.props || {})
  const [dynamic, setDynamic] = useState(node?.step?.dynamic_props || [])
  const [changes, setChanges] = useState({})
  const [preview, setPreview] = useState(null)
  const [error, setError] = useState(null)
  const list = Object.entries(changes).map(([name, value]) => ({ path: name === '' ? `${place}.dynamic_props` : `${place}.props.${name}`, value }))
  useEffect(() => {
    if (!list.length) { setPreview(null); return }
    setError(null)
    put(`workflows/${segment(workflow.id)}`, { changes: list, dry_run: true }).then(setPreview, setError)
  }, [changes])
  if (!node) return <Empty>Choose a trigger or a step in the graph.</Empty>
  if (!key) return <Empty>{node.name} uses no component: change it in the file.</Empty>
  if (!component.value) return <Problem error={component.error} />
  const defined = component.value.props || component.value.configurable_props || []
  const change = async (prop, value) => {
    const next = { ...props, [prop.name]: value }
    if (value === undefined) delete next[prop.name]
    setProps(next)
    setChanges(old => ({ ...old, [prop.name]: value ?? null }))
    if (!prop.reloadProps) return
    try {
      const answer = await post('props', { component: key, props: next })
      setDynamic(answer.data)
      setChanges(old => ({ ...old, '': answer.data }))
    } catch (e) { setError(e) }
  }
  const save = async () => {
    try {
      const answer = await put(`workflows/${segment(workflow.id)}`, { changes: list, base: workflow.version })
      if (!answer.written) throw new Error(answer.problems.map(p => p.message || p.text).join('; '))
      setChanges({})
      onSaved()
    } catch (e) { setError(e) }
  }
  const shown = new Map([...defined, ...dynamic].map(p => [p.name, p]))
  const before = new Set(workflow.text.split('\n'))
  return <div class="panel"><h2>{node.name} <span class="dim">{component.value.name}</span></h2>
    {[...shown.values()].map(prop => <Field component={key} prop={prop} value={props[prop.name]} props={props} accounts={accounts.value?.data || []} stores={stores.value?.data || []} onChange={value => change(prop, value)} />)}
    <Problem error={error} />
    {preview && <><h3>What is written</h3><pre class="diff">{preview.text.split('\n').map(l => <div class={before.has(l) ? '' : 'added'}>{l || ' '}</div>)}</pre>
      {preview.problems.map(p => <p class="error-text">{p.message || p.text}</p>)}
      <button class="primary" onClick={save}>Save to {workflow.file}</button></>}
  </div>
}
