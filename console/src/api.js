// Talking to the API. The session is kept for this origin only and sent in a header: there is no cookie, so a browser sends nothing
// by itself for another page.
const KEY = 'runnel-session'

export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `HTTP ${status}`)
    this.status = status
    this.code = problem.code
  }
}

export const session = {
  get: () => localStorage.getItem(KEY),
  set: value => { value ? localStorage.setItem(KEY, value) : localStorage.removeItem(KEY); dispatchEvent(new Event('session')) },
}

// `body`: a value, or JSON text that is sent as it stands.
export async function call(method, path, body, signal) {
  const headers = { authorization: `Bearer ${session.get() || ''}` }
  if (method !== 'GET') headers['content-type'] = 'application/json'
  let response
  try {
    response = await fetch(`/api/v1/${path}`, { method, headers, signal, body: method === 'GET' ? undefined : typeof body === 'string' ? body : JSON.stringify(body ?? {}), credentials: 'omit' })
  } catch (error) {
    if (error.name === 'AbortError') throw error
    throw new ApiError(0, { detail: 'The runtime cannot be reached. Is `runnel up` still running?' })
  }
  const value = exact(await response.text())
  if (response.status === 401 && path !== 'session') session.set(null)
  if (!response.ok) throw new ApiError(response.status, value || {})
  return value
}

export const get = (path, signal) => call('GET', path, undefined, signal)
export const post = (path, body) => call('POST', path, body)
export const put = (path, body) => call('PUT', path, body)
export const del = path => call('DELETE', path)

// A number that a double cannot hold keeps its digits: as a Digits object, which is shown and copied as it came.
export class Digits {
  constructor(text) { this.text = text }
  toJSON() { return JSON.rawJSON ? JSON.rawJSON(this.text) : Number(this.text) }
}

function exact(text) {
  if (!text) return null
  return JSON.parse(text, function (key, value, context) {
    if (typeof value !== 'number' || !context?.source) return value
    return String(value) === context.source || Number.isSafeInteger(value) ? value : isFaithful(value, context.source) ? value : new Digits(context.source)
  })
}

function isFaithful(value, source) {
  return /^-?\d+\.\d+$/.test(source) && source.replace(/0+$/, '').replace(/\.$/, '') === String(value)
}

export const query = values => {
  const text = new URLSearchParams(Object.entries(values).filter(([, v]) => v !== undefined && v !== null && v !== ''))
  return text.size ? `?${text}` : ''
}

export const segment = text => encodeURIComponent(text)
