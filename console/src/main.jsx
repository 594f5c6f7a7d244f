import { render } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { post, query, session } from './api.js'
import { startLive, stopLive } from './live.js'
import { Problem, useLive } from './ui.jsx'
import { Overview } from './pages/overview.jsx'
import { Events, EventPage } from './pages/events.jsx'
import { Runs } from './pages/runs.jsx'
import { RunPage } from './pages/run.jsx'
import { Workflows, WorkflowPage } from './pages/workflows.jsx'
import { DataStorePage, DataStores } from './pages/data.jsx'
import { Accounts, ComponentPage, Components, Logs, Schedules, SourcePage, Sources } from './pages/more.jsx'
import './style.css'

const sections = [['', 'Overview'], ['workflows', 'Workflows'], ['runs', 'Runs'], ['events', 'Events'], ['sources', 'Sources'], ['schedules', 'Schedules'], ['data', 'Data stores'], ['components', 'Components'], ['accounts', 'Accounts'], ['logs', 'Logs']]
const pages = { '': [Overview], workflows: [Workflows, WorkflowPage], runs: [Runs, RunPage], events: [Events, EventPage], sources: [Sources, SourcePage], components: [Components, ComponentPage], accounts: [Accounts], logs: [Logs], schedules: [Schedules], data: [DataStores, DataStorePage] }

function readPlace() {
  const [path, text] = location.hash.replace(/^#\/?/, '').split('?')
  const at = path.indexOf('/')
  const decode = part => { try { return decodeURIComponent(part) } catch { return part } }
  return { section: at < 0 ? path : path.slice(0, at), id: at < 0 ? null : decode(path.slice(at + 1)), params: Object.fromEntries(new URLSearchParams(text || '')) }
}

const go = (path, params = {}) => { location.hash = `#/${path}${query(params)}` }

function SignIn({ error }) {
  const [token, setToken] = useState('')
  const [problem, setProblem] = useState(error)
  const submit = async event => {
    event.preventDefault()
    try { session.set((await post('session', { token: token.trim() })).session) } catch (e) { setProblem(e) }
  }
  return <main class="sign-in"><h1>runnel</h1><form onSubmit={submit}>
    <label>Token<input type="password" autocomplete="current-password" autofocus value={token} onInput={e => setToken(e.target.value)} /></label>
    <p class="dim">It stands in <code>.runnel/admin-token</code>. Or open the link that <code>runnel console</code> prints.</p>
    <Problem error={problem} /><button class="primary">Sign in</button></form></main>
}

function Shell() {
  const [place, setPlace] = useState(readPlace)
  const [state, setState] = useState('connecting')
  const [isOpen, open] = useState(false)
  useEffect(() => {
    const changed = () => { setPlace(readPlace()); open(false); document.getElementById('content')?.focus({ preventScroll: true }) }
    addEventListener('hashchange', changed)
    startLive()
    return () => { removeEventListener('hashchange', changed); stopLive() }
  }, [])
  useLive((topic, value) => { if (topic === 'state') setState(value) })
  const Page = pages[place.section]?.[place.id === null ? 0 : 1]
  useEffect(() => { document.title = `${place.id || sections.find(s => s[0] === place.section)?.[1] || 'runnel'} · runnel` }, [place])
  return <div class="shell">
    <a class="skip" href="#content" onClick={e => { e.preventDefault(); document.getElementById('content').focus() }}>Skip to the content</a>
    <nav class={isOpen ? 'open' : ''} aria-label="Sections">
      <div class="brand"><img src="/icon.svg" alt="" width="24" height="24" /> runnel <span class={`live ${state}`} role="status" title={state}>{state}</span>
        <button class="menu small" aria-expanded={isOpen} onClick={() => open(!isOpen)}>Menu</button></div>
      <ul>{sections.map(([path, name]) => <li><a href={`#/${path}`} aria-current={place.section === path ? 'page' : undefined}>{name}</a></li>)}
        <li><button class="link" onClick={() => session.set(null)}>Sign out</button></li></ul>
    </nav>
    <main id="content" tabIndex={-1}>{Page ? <Page key={place.section + (place.id || '')} id={place.id} params={place.params} go={go} /> : <p>There is no such page.</p>}</main>
  </div>
}

function App() {
  const [isIn, setIn] = useState(!!session.get())
  const [error, setError] = useState(null)
  const [isBusy, setBusy] = useState(location.hash.startsWith('#code='))
  useEffect(() => {
    const changed = () => setIn(!!session.get())
    const useLink = () => {
      if (!location.hash.startsWith('#code=')) return
      const code = location.hash.slice('#code='.length)
      history.replaceState(null, '', '#/') // the code is of no use any more, and stays out of the history
      setBusy(true)
      post('session', { code }).then(answer => session.set(answer.session), e => { if (!session.get()) setError(e) }).finally(() => setBusy(false))
    }
    addEventListener('session', changed)
    addEventListener('storage', changed)
    addEventListener('hashchange', useLink)
    useLink()
    return () => { removeEventListener('session', changed); removeEventListener('storage', changed); removeEventListener('hashchange', useLink) }
  }, [])
  if (isBusy) return null
  return isIn ? <Shell /> : <SignIn error={error} key={error} />
}

render(<App />, document.getElementById('app'))
