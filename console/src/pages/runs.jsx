import { useCallback, useState } from 'preact/hooks'
import { get, post, query } from '../api.js'
import { Duration, InfiniteList, Status, Time, useLoad } from '../ui.jsx'

const statuses = ['queued', 'running', 'waiting', 'paused', 'succeeded', 'failed', 'cancelled']
const spans = { '': 'any time', 3600: 'last hour', 86400: 'last day', 604800: 'last week' }

export function Runs({ params, go }) {
  const workflows = useLoad('workflows')
  const [text, setText] = useState(params.text || '')
  const [chosen, choose] = useState(new Set())
  const [said, say] = useState(null)
  const filter = { workflow: params.workflow, status: params.status, text: params.text, event: params.event, span: params.span }
  const set = (name, value) => go('runs', { ...filter, [name]: value })
  const load = useCallback((cursor, limit) => get(`runs${query({
    workflow: filter.workflow, status: filter.status, text: filter.text, event: filter.event, cursor, limit,
    since: filter.span ? Date.now() - filter.span * 1000 : undefined })}`), Object.values(filter))
  const fits = run => (!filter.workflow || run.workflow === filter.workflow) && (!filter.status || run.status === filter.status) && (!filter.event || run.event === filter.event)
  const live = (topic, run) => topic === 'gone' ? !fits(run) : topic === 'run' && !filter.text && fits(run) ? run : null
  const toggle = id => choose(old => { const next = new Set(old); next.has(id) ? next.delete(id) : next.add(id); return next })
  const replay = async () => {
    try {
      const { data } = await post('replay', { ids: [...chosen].reverse() })
      const failed = data.filter(item => item.error)
      say(`${data.length - failed.length} replayed${failed.length ? `, ${failed.length} not: ${failed[0].error}` : ''}`)
      choose(new Set())
    } catch (error) { say(error.message) }
  }
  return <div class="page-list">
    <h1>Runs</h1>
    <form class="filters" onSubmit={e => { e.preventDefault(); set('text', text) }}>
      <select aria-label="Workflow" value={filter.workflow || ''} onChange={e => set('workflow', e.target.value)}><option value="">all workflows</option>{workflows.value?.data.map(w => <option value={w.id}>{w.id}</option>)}</select>
      <select aria-label="Status" value={filter.status || ''} onChange={e => set('status', e.target.value)}><option value="">any status</option>{statuses.map(s => <option>{s}</option>)}</select>
      <select aria-label="Time" value={filter.span || ''} onChange={e => set('span', e.target.value)}>{Object.entries(spans).map(([v, name]) => <option value={v}>{name}</option>)}</select>
      <input type="search" placeholder="Text, error or id" aria-label="Text" value={text} onInput={e => setText(e.target.value)} onChange={e => !e.target.value && set('text', '')} />
      <button>Search</button>
      {chosen.size > 0 && <button type="button" class="primary" onClick={replay}>Replay {chosen.size}</button>}
      {said && <span role="status">{said}</span>}
    </form>
    <InfiniteList label="Runs" load={load} live={live} empty="No run fits." row={run => <>
      <input type="checkbox" aria-label={`Select ${run.id}`} checked={chosen.has(run.id)} onChange={() => toggle(run.id)} />
      <a href={`#/runs/${run.id}`}><Status is={run.status} /><b>{run.workflow}</b>
        <span class={run.error ? 'error-text grow' : 'dim grow'}>{run.error ? `${run.error.step ? `${run.error.step}: ` : ''}${run.error.text}` : run.summary}</span>
        <Duration ms={run.duration_ms} /><Time at={run.created} /></a></>} />
  </div>
}
