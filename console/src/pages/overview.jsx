import { useState } from 'preact/hooks'
import { bytes, Duration, Empty, Problem, Status, Time, useLive, useLoad } from '../ui.jsx'

const KEEP = 60

// Differences of the counters, one bar a second.
function Throughput({ samples }) {
  const max = Math.max(1, ...samples.map(s => s.rate))
  return <svg class="chart" viewBox={`0 0 ${KEEP * 6} 60`} preserveAspectRatio="none" role="img" aria-label={`Events a second over the last minute, at most ${max}`}>
    {samples.map((s, i) => <rect x={(KEEP - samples.length + i) * 6} y={60 - s.rate / max * 56} width="5" height={Math.max(1, s.rate / max * 56)} class={s.failed ? 'bad' : ''} />)}
  </svg>
}

export function Overview() {
  const status = useLoad('status')
  const failures = useLoad('runs?status=failed&limit=8')
  const workflows = useLoad('workflows')
  const [totals, setTotals] = useState(null)
  const [samples, setSamples] = useState([])
  useLive((topic, value) => {
    if (topic === 'totals') {
      setTotals(old => {
        if (old && value.ts > old.ts) {
          const seconds = (value.ts - old.ts) / 1000
          setSamples(list => [...list, { rate: Math.max(0, Math.round((value.events - old.events) / seconds)), failed: value.failed > old.failed }].slice(-KEEP))
        }
        return value
      })
    }
    if (topic === 'run' && value.status === 'failed') failures.reload()
  })
  const now = totals || status.value?.totals
  if (!status.value) return <><h1>Overview</h1><Problem error={status.error} retry={status.reload} />{!status.error && <div class="busy">Loading…</div>}</>
  const store = status.value.store
  const part = Math.min(100, store.used_bytes / store.quota_bytes * 100)
  const card = (name, value, hint, href) => <a class="card" href={href}><span>{name}</span><strong>{value}</strong><small>{hint}</small></a>
  return <>
    <h1>Overview</h1>
    {!status.value.accepting && <div class="problem">The runtime is not accepting events.</div>}
    {store.full && <div class="problem">The store is full: new events are refused.</div>}
    <div class="cards">
      {card('Events', samples.length ? `${samples[samples.length - 1].rate}/s` : '–', `${now.events.toLocaleString()} in the store`, '#/events')}
      {card('Queue', now.queued.toLocaleString(), `${now.live.toLocaleString()} running or waiting`, '#/runs?status=queued')}
      {card('Succeeded', now.succeeded.toLocaleString(), 'since the start', '#/runs?status=succeeded')}
      {card('Failed', now.failed.toLocaleString(), 'since the start', '#/runs?status=failed')}
      {card('Refused', now.refused.toLocaleString(), `${now.accepted.toLocaleString()} requests accepted`, '#/sources')}
      <div class="card"><span>Store</span><strong>{bytes(now.used_bytes)}</strong><small>{part.toFixed(1)}% of {bytes(store.quota_bytes)}</small><meter value={part} max="100" high="90" aria-label="Store" /></div>
    </div>
    <section><h2>Throughput</h2><Throughput samples={samples} /></section>
    <div class="columns">
      <section><h2>Last failures</h2>
        {failures.value?.data.length ? <ul class="plain">{failures.value.data.map(run => <li><a href={`#/runs/${run.id}`}><Status is={run.status} /> <b>{run.workflow}</b> {run.error?.step && <code>{run.error.step}</code>} <span class="error-text">{run.error?.text}</span></a> <Time at={run.created} /></li>)}</ul> : <Empty>No run has failed.</Empty>}
      </section>
      <section><h2>Workflows</h2>
        {workflows.value?.data.length ? <ul class="plain">{workflows.value.data.map(w => <li><a href={`#/workflows/${encodeURIComponent(w.id)}`}><b>{w.name}</b></a> {w.active ? <Status is="active" /> : <span class="status">{w.version ? 'inactive' : 'not deployed'}</span>} <small>{w.running} running, {w.queued ?? 0} queued</small>{w.errors > 0 && <> <span class="error-text">✕ {w.errors} {w.errors > 1 ? 'errors' : 'error'} in the file</span></>}</li>)}</ul> : <Empty>No workflow yet: put a file into workflows/.</Empty>}
      </section>
      <section><h2>Plugins</h2>
        <ul class="plain">{status.value.plugins.map(p => <li><b>{p.plugin}</b> {p.state} <small>{p.memory ? `${p.memory / 1048576} MiB, ` : ''}{p.starts} start{p.starts === 1 ? '' : 's'}, {p.crashes} crash{p.crashes === 1 ? '' : 'es'}</small>{p.last_error && <div class="error-text">{p.last_error}</div>}</li>)}</ul>
        <small>Up for <Duration ms={Date.now() - status.value.started_ms} /></small>
      </section>
    </div>
  </>
}
