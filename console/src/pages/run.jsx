import { useEffect, useMemo, useState } from 'preact/hooks'
import { post, segment } from '../api.js'
import { Graph } from '../graph.jsx'
import { Copy, Duration, Empty, JsonTree, Problem, Status, Tabs, Time, useLive, useLoad } from '../ui.jsx'
import { EventForm } from './events.jsx'

const plain = path => path.replace(/\[\d+\]/g, '')

// The worst of what happened at a place of the graph: in a loop it was there many times.
const rank = { succeeded: 1, skipped: 1, running: 2, waiting: 3, paused: 3, unknown: 4, cancelled: 5, failed: 6 }

function lastAttempts(steps) {
  const last = new Map()
  for (const step of steps || []) last.set(`${step.path || step.namespace}`, step)
  return [...last.values()]
}

function findStep(steps, namespace) {
  for (const step of Array.isArray(steps) ? steps : []) {
    if (!step || typeof step !== 'object') continue
    if (step.namespace === namespace) return step
    for (const value of Object.values(step)) {
      const found = Array.isArray(value) ? findStep(value, namespace) || findStep(value.flatMap(v => v?.steps || []), namespace)
        : value && typeof value === 'object' ? findStep(value.steps, namespace) || findStep(Object.values(value).flatMap(v => v?.steps || (Array.isArray(v) ? v : [])), namespace) : null
      if (found) return found
    }
  }
  return null
}

// What later steps see of it: what a resume brought is part of that.
const resultOf = step => step.resumed?.data?.body === undefined ? step.exports : { ...step.exports, $resume_data: step.resumed.data.body }

function Timing({ steps, run }) {
  const from = new Date(run.started || run.created).getTime()
  const until = Math.max(from + 1, run.ended ? new Date(run.ended).getTime() : Date.now())
  return <div class="timing" role="img" aria-label="When each attempt ran">{steps.map(s => {
    const start = new Date(s.started).getTime() - from, length = s.duration_ms ?? until - from - start
    return <div><span>{s.path || s.namespace}{s.attempt > 1 && ` #${s.attempt}`}</span><svg viewBox="0 0 100 6" preserveAspectRatio="none"><rect class={`s-${s.status}`} x={Math.max(0, start / (until - from) * 100)} width={Math.max(0.5, length / (until - from) * 100)} height="6" /></svg><Duration ms={s.duration_ms} /></div>
  })}</div>
}

// What the step sends when the run has ended, and what came of it.
function Sends({ sends }) {
  return sends.map(send => <section>
    <h3>{send.kind} <Status is={send.state} /> {send.status && <code>{send.status}</code>} {send.tries > 1 && `try ${send.tries}`} {send.event_id && <a href={`#/events/${send.event_id}`}>{send.event_id}</a>}</h3>
    {send.error && <div class="problem">{send.error}{send.next_ms && <> — tried again at <Time at={send.next_ms} /></>}</div>}
    <JsonTree value={Object.fromEntries(Object.entries(send).filter(([name]) => !['kind', 'state', 'status', 'tries', 'error', 'next_ms', 'done_ms', 'event_id'].includes(name)))} />
  </section>)
}

function Step({ attempts, definition }) {
  const [index, setIndex] = useState(attempts.length - 1)
  const [tab, setTab] = useState('Result')
  useEffect(() => setIndex(attempts.length - 1), [attempts.length])
  const step = attempts[Math.min(index, attempts.length - 1)]
  const written = findStep(definition?.steps, step.namespace)
  return <div class="panel">
    <h2>{step.path || step.namespace} <Status is={step.status} /> <Duration ms={step.duration_ms} /></h2>
    <div class="bar dim">{step.component}{step.component && written && ''}{attempts.length > 1 && <select aria-label="Attempt" value={index} onChange={e => setIndex(Number(e.target.value))}>{attempts.map((a, i) => <option value={i}>attempt {a.attempt}{a.path !== attempts[0].path ? ` (${a.path})` : ''}: {a.status}</option>)}</select>}</div>
    {step.error && <div class="problem"><b>{step.error.code}</b> {step.error.text}{step.retry_ms && <> — tried again at <Time at={step.retry_ms} /></>}</div>}
    {step.exports?.$summary && <p>{String(step.exports.$summary)}</p>}
    {step.files && <p class="dim">Files of the run: {step.files.count}, {step.files.bytes.toLocaleString()} bytes</p>}
    {step.status === 'paused' && <p>Waits until <Time at={step.wait?.until_ms} />, or for its resume URL.</p>}
    {step.resumed && <p>Resumed <Time at={step.resumed.at_ms} /></p>}
    {step.exit && <p>Ended the run: {step.exit.reason || 'no reason given'}</p>}
    <Tabs tabs={['Result', 'Props', 'Logs', ...(step.sends ? ['Sends'] : [])]} active={tab} onSelect={setTab} />
    {tab === 'Result' && <JsonTree value={resultOf(step)} root={`steps.${step.namespace}`} />}
    {tab === 'Props' && <div class="columns"><section><h3>As written</h3><JsonTree value={written?.props} /></section><section><h3>As sent</h3><JsonTree value={step.inputs} />
      {step.idempotency_key && <p class="dim">Idempotency key <code>{step.idempotency_key}</code></p>}</section></div>}
    {tab === 'Sends' && step.sends && <Sends sends={step.sends} />}
    {tab === 'Logs' && (step.logs?.length ? <pre class="logs">{step.logs.map(l => <div class={`l-${l.level}`}><span class="dim">{new Date(l.ts).toLocaleTimeString()}</span> {l.level} {l.text}</div>)}</pre> : <Empty>The step logged nothing.</Empty>)}
  </div>
}

export function RunPage({ id, go }) {
  const run = useLoad(`runs/${segment(id)}`)
  const version = useLoad(run.value?.version ? `versions/${run.value.version}` : null)
  const [selected, select] = useState(null)
  const [error, setError] = useState(null)
  const [isEditing, edit] = useState(null)
  const [isBringing, bring] = useState(null)
  useEffect(() => select(null), [id])
  useLive((topic, value) => { if ((topic === 'run' && value.id === id) || topic === 'reset' || topic === 'more') run.reload() })
  const value = run.value
  const byPath = useMemo(() => {
    const map = new Map()
    for (const step of value?.steps || []) {
      const path = plain(step.path || step.namespace)
      map.set(path, [...(map.get(path) || []), step])
    }
    return map
  }, [value])
  if (!value) return <><Problem error={run.error} retry={run.reload} />{!run.error && <div class="busy">Loading…</div>}</>
  const attemptsOf = (path, name) => byPath.get(path) || [...byPath.entries()].find(([p]) => p.split('.').pop() === name && p.split('.')[0] === path.split('.')[0])?.[1]
  const outcome = (path, name) => path.startsWith('trigger:') ? 'succeeded'
    : lastAttempts(attemptsOf(path, name)).map(s => s.status).sort((a, b) => (rank[b] || 0) - (rank[a] || 0))[0]
  const failed = value.error?.step && (value.steps || []).findLast(s => s.namespace === value.error.step || s.path === value.error.step)
  const paused = value.status === 'paused' && (value.steps || []).findLast(s => s.status === 'paused')
  const of = failed || paused
  const shown = selected || (of ? plain(of.path || of.namespace) : null)
  const attempts = shown && (byPath.get(shown) || attemptsOf(shown, shown.split('.').pop()))
  const act = async work => { setError(null); try { await work() } catch (e) { setError(e) } }
  const replay = body => act(async () => { const { data } = await post('replay', { id, ...body }); go(`runs/${data[0].run}`) })
  // Sent as text, so that every digit arrives as it stands there.
  const replayEdited = async text => {
    const answer = await post('replay', `{"id":${JSON.stringify(id)},"event":${text}}`)
    edit(null)
    go(`runs/${answer.data[0].run}`)
  }
  const resume = async text => { await post(`runs/${segment(id)}/resume`, text); bring(null); run.reload() }
  const isLive = ['running', 'waiting', 'paused', 'queued'].includes(value.status)
  return <>
    <h1><a href={`#/workflows/${segment(value.workflow)}`}>{value.name || value.workflow}</a></h1>
    <div class="bar"><Status is={value.status} /><Duration ms={value.duration_ms} /><Time at={value.created} /><code>{id}</code><Copy text={id} />
      {value.replay_of && <span class="dim">replay of <a href={`#/${value.replay_of.startsWith('evt') ? 'events' : 'runs'}/${value.replay_of}`}>{value.replay_of}</a></span>}</div>
    {value.error && <div class="problem" id="cause"><b>{value.error.code}</b> {value.error.step && <button class="small" onClick={() => select(failed ? plain(failed.path || failed.namespace) : value.error.step)}>{value.error.step}</button>} {value.error.text}</div>}
    {value.exit_reason && <p>Ended by a step: {value.exit_reason}</p>}
    <Problem error={error} />
    <div class="bar">
      <button class="primary" onClick={() => replay({})}>Replay</button>
      <button onClick={() => edit(JSON.stringify(value.trigger_event?.event ?? {}, null, 2))}>Replay with an edited event</button>
      {attempts && !selected?.startsWith('trigger:') && !isLive && <button onClick={() => replay({ from_step: attempts[0].path || attempts[0].namespace })}>Replay from {attempts[0].namespace}</button>}
      {isLive && <button onClick={() => act(async () => { await post(`runs/${segment(id)}/cancel`); run.reload() })}>Cancel</button>}
      {value.status === 'paused' && <><button onClick={() => act(() => resume())}>Resume</button><button onClick={() => bring('{}')}>Resume with data</button></>}
    </div>
    <div class="split">
      <section><Graph definition={version.value?.definition} outcome={outcome} selected={shown} onSelect={node => select(node.path)} /></section>
      <section>
        {shown?.startsWith('trigger:') || !shown ? <div class="panel"><h2>Event</h2><div class="bar"><a href={`#/events/${value.event}`}><code>{value.event}</code></a><span>{value.trigger_event?.summary}</span></div>
          <JsonTree value={value.trigger_event?.event} root="steps.trigger.event" /></div>
          : attempts ? <Step key={shown} attempts={attempts} definition={version.value?.definition} /> : <Empty>This step did not run.</Empty>}
      </section>
    </div>
    <section><h2>Timing</h2><Timing steps={value.steps || []} run={value} /></section>
    {isBringing !== null && <EventForm title="Resume with data" label="$resume_data of the step" start={isBringing} action="Resume" onSend={resume} onClose={() => bring(null)} />}
    {isEditing !== null && <EventForm title="Replay with an edited event" start={isEditing} action="Replay" onSend={replayEdited} onClose={() => edit(null)} />}
  </>
}
