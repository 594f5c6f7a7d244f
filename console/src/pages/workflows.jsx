import { useEffect, useState } from 'preact/hooks'
import { get, post, put, segment } from '../api.js'
import { Graph } from '../graph.jsx'
import { Duration, Empty, Problem, Status, Tabs, Time, useLive, useLoad } from '../ui.jsx'
import { Configure } from './configure.jsx'
import { EventForm } from './events.jsx'

export function Workflows() {
  const list = useLoad('workflows')
  useLive(topic => { if (topic === 'more' || topic === 'reset') list.reload() })
  return <><h1>Workflows</h1><Problem error={list.error} retry={list.reload} />
    {list.value && !list.value.data.length && <Empty>No workflow yet: put a file into workflows/.</Empty>}
    <div class="cards">{list.value?.data.map(w => <a class="card" href={`#/workflows/${segment(w.id)}`}><span>{w.active ? <Status is="active" /> : w.version ? 'inactive' : 'not deployed'}{w.errors > 0 && <> <span class="error-text">✕ {w.errors} {w.errors > 1 ? 'errors' : 'error'} in the file</span></>}</span><strong class="wrap">{w.name}</strong><small>{w.steps} steps, {w.running} running, {w.queued ?? 0} queued</small><small><code>{w.file}</code></small></a>)}</div></>
}

function Problems({ list }) {
  if (!list?.length) return null
  return <ul class="plain problems">{list.map(p => <li class={p.severity === 'warning' || p.warning ? '' : 'error-text'}>{p.line ? `line ${p.line}: ` : ''}{p.message || p.text}</li>)}</ul>
}

function File({ workflow, onSaved }) {
  const [text, setText] = useState(workflow.text)
  const [problems, setProblems] = useState(workflow.problems)
  const [error, setError] = useState(null)
  const isChanged = text !== workflow.text
  useEffect(() => { setText(workflow.text); setProblems(workflow.problems) }, [workflow.version])
  useEffect(() => {
    if (!isChanged) return undefined
    const timer = setTimeout(() => put(`workflows/${segment(workflow.id)}`, { text, dry_run: true }).then(answer => setProblems(answer.problems), setError), 400)
    return () => clearTimeout(timer)
  }, [text])
  const save = async () => {
    setError(null)
    try {
      const answer = await put(`workflows/${segment(workflow.id)}`, { text, base: workflow.version })
      setProblems(answer.problems)
      if (answer.written) onSaved()
      else setError(new Error('Not saved: the file has errors.'))
    } catch (e) { setError(e) }
  }
  return <div class="panel file">
    <div class="bar"><code>{workflow.file}</code><span class="grow" />{isChanged && <button onClick={() => setText(workflow.text)}>Undo</button>}<button class="primary" disabled={!isChanged} onClick={save}>Save</button></div>
    <Problem error={error} /><Problems list={problems} />
    <textarea aria-label="Workflow file" spellcheck={false} rows={Math.min(40, text.split('\n').length + 2)} value={text} onInput={e => setText(e.target.value)} />
  </div>
}

function LastRuns({ id }) {
  const runs = useLoad(`runs?workflow=${segment(id)}&limit=15`)
  useLive((topic, run) => { if (topic === 'run' && run.workflow === id) runs.reload() })
  return <section><h2>Last runs</h2>{runs.value?.data.length ? <ul class="plain">{runs.value.data.map(r => <li><a href={`#/runs/${r.id}`}><Status is={r.status} /> {r.summary}</a> <Duration ms={r.duration_ms} /> <Time at={r.created} /></li>)}</ul> : <Empty>No run yet.</Empty>}<a href={`#/runs?workflow=${segment(id)}`}>All runs</a></section>
}

function Versions({ id }) {
  const versions = useLoad(`workflows/${segment(id)}/versions`)
  const [shown, show] = useState(null)
  return <div class="panel"><ul class="plain">{versions.value?.data.map(v => <li><button class="small" onClick={async () => show(await get(`versions/${v.version}`))}>{v.version.slice(0, 12)}</button> <Time at={v.ts} /> {v.current && <Status is="active" />}</li>)}</ul>
    {shown && <><h3>{shown.version.slice(0, 12)}</h3><pre>{shown.text}</pre></>}</div>
}

export function WorkflowPage({ id, params, go }) {
  const workflow = useLoad(`workflows/${segment(id)}`)
  const [tab, setTab] = useState('File')
  const [selected, select] = useState(null)
  const [error, setError] = useState(null)
  const [test, setTest] = useState(null)
  useLive(topic => { if (topic === 'reset') workflow.reload() })
  const value = workflow.value
  if (!value) return <><Problem error={workflow.error} retry={workflow.reload} />{!workflow.error && <div class="busy">Loading…</div>}</>
  const toggle = async () => { setError(null); try { await post(`workflows/${segment(id)}/${value.active ? 'disable' : 'enable'}`); workflow.reload() } catch (e) { setError(e) } }
  const openTest = async () => {
    let sample = {}
    try {
      const past = await get(`runs?workflow=${segment(id)}&limit=1`)
      if (past.data[0]) sample = (await get(`events/${past.data[0].event}`)).event
    } catch { /* a sample is a courtesy */ }
    setTest(JSON.stringify(sample, null, 2))
  }
  const runTest = async text => {
    const answer = await post(`workflows/${segment(id)}/run`, `{"event":${text}}`)
    setTest(null)
    go(`runs/${answer.run}`)
  }
  return <>
    <h1>{value.name}</h1>
    <div class="bar">{value.active ? <Status is="active" /> : <span class="status">inactive</span>}<button class="primary" onClick={openTest}>Test</button><button onClick={toggle}>{value.active ? 'Disable' : 'Enable'}</button>{selected && <button onClick={() => setTab('Configure')}>Configure {selected.name}</button>}</div>
    <Problem error={error} />
    <div class="split">
      <section><Graph definition={value.definition} selected={selected?.path} onSelect={node => { select(node); if (node.step?.uses) setTab('Configure') }} /><LastRuns id={id} /></section>
      <section>
        <Tabs tabs={['File', 'Configure', 'Versions']} active={tab} onSelect={setTab} />
        {tab === 'File' && <File workflow={value} onSaved={workflow.reload} />}
        {tab === 'Configure' && <Configure key={selected?.path} workflow={value} node={selected} onSaved={workflow.reload} />}
        {tab === 'Versions' && <Versions id={id} />}
      </section>
    </div>
    {test !== null && <EventForm title={`Test ${value.name}`} start={test} action="Run" onSend={runTest} onClose={() => setTest(null)} />}
  </>
}
