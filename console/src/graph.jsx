// The graph of a workflow: triggers, steps, and blocks with their branches drawn inside them, to any depth. Each list of steps is laid
// out by dagre; a block is one node of the list around it, as large as what is in it.
import dagre from '@dagrejs/dagre'

const WIDTH = 208, HEIGHT = 52, HEAD = 30, PAD = 14
const kinds = ['if', 'switch', 'parallel', 'for_each', 'workflow', 'delay', 'suspend', 'respond', 'end', 'code']
const words = { for_each: 'for each', workflow: 'run workflow' }

const list = value => Array.isArray(value) ? value : []

// The lists of steps that a step holds: [{name, label, steps}].
export function branchesOf(step) {
  const branches = []
  const rules = (rules, key) => list(rules).forEach((rule, i) => branches.push({ name: String(i + 1), label: String(rule?.[key] ?? ''), steps: list(rule?.steps) }))
  if (step.if !== undefined) {
    if (Array.isArray(step.if)) rules(step.if, 'when')
    else branches.push({ name: '1', label: String(step.if), steps: list(step.steps) })
    if (step.else) branches.push({ name: 'else', label: 'else', steps: list(step.else) })
  } else if (step.switch !== undefined) {
    rules(step.cases, 'is')
    if (step.default) branches.push({ name: 'else', label: 'default', steps: list(step.default) })
  } else if (step.parallel && typeof step.parallel === 'object') {
    for (const [name, branch] of Object.entries(step.parallel)) branches.push({ name, label: name, steps: list(Array.isArray(branch) ? branch : branch?.steps) })
  } else if (step.for_each !== undefined) {
    branches.push({ name: '', label: String(step.for_each), steps: list(step.steps) })
  }
  if (Array.isArray(step.on_error?.steps)) branches.push({ name: 'on_error', label: 'on error', steps: step.on_error.steps })
  else if (Array.isArray(step.on_error)) branches.push({ name: 'on_error', label: 'on error', steps: step.on_error })
  return branches
}

export const kindOf = step => kinds.find(kind => step?.[kind] !== undefined) || 'action'
const title = (step, index) => step?.namespace || `step ${index + 1}`
const subtitle = step => step.uses || words[kindOf(step)] || kindOf(step)

function layoutStep(step, index, prefix) {
  const node = { step, name: title(step, index), path: prefix + title(step, index), kind: kindOf(step), branches: [], width: WIDTH, height: HEIGHT }
  const branches = branchesOf(step || {})
  if (!branches.length) return node
  let x = PAD + 4
  for (const branch of branches) {
    const inner = layoutList(branch.steps, `${node.path}.${branch.name ? `${branch.name}.` : ''}`)
    const width = Math.max(inner.width, 120)
    node.branches.push({ ...branch, ...inner, x, y: HEAD + 22, width, inset: (width - inner.width) / 2 })
    x += width + PAD + 10
  }
  node.width = Math.max(WIDTH, x)
  node.height = HEAD + 22 + Math.max(...node.branches.map(b => b.height)) + PAD
  return node
}

export function layoutList(steps, prefix = '', heads = []) {
  const graph = new dagre.graphlib.Graph()
  graph.setGraph({ rankdir: 'TB', nodesep: 24, ranksep: 28, marginx: 2, marginy: 2 })
  graph.setDefaultEdgeLabel(() => ({}))
  const nodes = [...heads.map(head => ({ ...head, width: WIDTH, height: HEIGHT, branches: [] })), ...list(steps).map((step, i) => layoutStep(step, i, prefix))]
  nodes.forEach((node, i) => graph.setNode(String(i), { width: node.width, height: node.height }))
  for (let i = 0; i < heads.length; i++) if (nodes.length > heads.length) graph.setEdge(String(i), String(heads.length))
  for (let i = heads.length; i + 1 < nodes.length; i++) graph.setEdge(String(i), String(i + 1))
  dagre.layout(graph)
  nodes.forEach((node, i) => { const at = graph.node(String(i)); node.x = at.x - node.width / 2; node.y = at.y - node.height / 2 })
  const edges = graph.edges().map(edge => graph.edge(edge).points)
  const size = graph.graph()
  return { nodes, edges, width: nodes.length ? size.width : 120, height: nodes.length ? size.height : 24 }
}

const cut = (text, max) => text.length > max ? `${text.slice(0, max - 1)}…` : text
const line = points => points.map((p, i) => `${i ? 'L' : 'M'}${p.x.toFixed(1)} ${p.y.toFixed(1)}`).join('')

function Box({ node, outcome, selected, onSelect }) {
  const status = outcome?.(node.path, node.name)
  const isBlock = node.branches.length > 0
  const pick = () => onSelect?.(node)
  const keys = event => { if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); event.stopPropagation(); pick() } }
  return <g transform={`translate(${node.x} ${node.y})`}>
    <g class={`node ${isBlock ? 'block' : ''} ${node.isTrigger ? 'trigger' : ''} ${status ? `s-${status}` : ''} ${selected === node.path ? 'selected' : ''}`} role={onSelect ? 'button' : undefined}
      tabIndex={onSelect ? 0 : undefined} aria-label={`${node.name}${status ? `: ${status}` : ''}`} onClick={pick} onKeyDown={keys}>
      <rect width={node.width} height={node.height} rx="8" />
      <rect class="edge" width="4" height={node.height} rx="2" />
      <text x="14" y="20" class="name">{cut(node.name, 24)}</text>
      <text x={isBlock ? node.width - 12 : 14} y={isBlock ? 20 : 38} class="sub" text-anchor={isBlock ? 'end' : 'start'}>{cut(node.sub || subtitle(node.step), 30)}</text>
      {node.step?.disabled && <text x={node.width - 12} y="20" class="sub" text-anchor="end">off</text>}
    </g>
    {node.branches.map(branch => <g transform={`translate(${branch.x} ${branch.y})`}>
      <rect class="branch" x="-6" y="-18" width={branch.width + 12} height={branch.height + 26} rx="6" />
      <text class="sub" x="0" y="-5">{cut(branch.label, Math.max(12, Math.floor(branch.width / 7)))}</text>
      <g transform={`translate(${branch.inset} 4)`}><Level {...branch} outcome={outcome} selected={selected} onSelect={onSelect} /></g>
    </g>)}
  </g>
}

function Level({ nodes, edges, ...rest }) {
  return <>
    {edges.map(points => <path class="link" d={line(points)} />)}
    {nodes.map(node => <Box node={node} {...rest} />)}
  </>
}

export function triggerHeads(definition) {
  return list(definition?.triggers).map((trigger, i) => ({
    isTrigger: true, step: trigger, kind: 'trigger', name: trigger?.namespace || (i ? `trigger ${i + 1}` : 'trigger'), path: `trigger:${i}`, index: i,
    sub: trigger?.uses || (trigger?.source ? `source ${trigger.source}` : trigger?.workflow ? `workflow ${trigger.workflow}${trigger.channel ? ` · ${trigger.channel}` : ''}` : ['http', 'schedule', 'manual'].find(k => trigger?.[k] !== undefined)) || 'trigger',
  }))
}

export function Graph({ definition, outcome, selected, onSelect }) {
  if (!definition) return <div class="empty">The file cannot be read as YAML.</div>
  const layout = layoutList(definition.steps, '', triggerHeads(definition))
  return <div class="graph"><svg viewBox={`0 0 ${Math.ceil(layout.width)} ${Math.ceil(layout.height)}`} width={Math.ceil(layout.width)} height={Math.ceil(layout.height)} style={{ minWidth: `${Math.ceil(layout.width * 0.6)}px` }} role="group" aria-label="Workflow graph">
    <Level nodes={layout.nodes} edges={layout.edges} outcome={outcome} selected={selected} onSelect={onSelect} />
  </svg></div>
}
