// The node worker of runnel's code steps. Descriptor 3 carries messages: a u32 number, u32 lengths of four parts, the parts. Number 0
// brings one call at a time (the call, the code, the inputs, the steps), and takes what ends it (the answer, the exports). Any other
// number is an ask of ours to the runtime (JSON, up to two values), and comes back with its answer (JSON, a value).
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import v8 from "node:v8";
import vm from "node:vm";
import { Console } from "node:console";
import { randomBytes } from "node:crypto";
import { Writable } from "node:stream";
import { createRequire, isBuiltin } from "node:module";
import { pathToFileURL, fileURLToPath } from "node:url";

const LIMIT_EXPORT_BYTES = 16 << 20, LIMIT_DELAY_MS = 366 * 86400000;

// ---- what the code prints is in the pipe before the step's answer is sent, which Node's own streams do not promise
for (const [name, fd] of [["stdout", 1], ["stderr", 2]]) {
  const stream = new Writable({
    write(chunk, _, done) {
      for (let at = 0; at < chunk.length; ) at += fs.writeSync(fd, chunk, at);
      done();
    },
  });
  Object.defineProperty(process, name, { value: Object.assign(stream, { fd, isTTY: false }), configurable: true });
}
globalThis.console = new Console(process.stdout, process.stderr);

// ---- numbers that a double cannot hold: integers are BigInts, others know their digits
const MARK = `number:${randomBytes(12).toString("hex")}:`;
const stringify = JSON.stringify;
class ExactNumber {
  #digits;
  constructor(digits) { this.#digits = digits; Object.freeze(this); }
  toString() { return this.#digits; }
  valueOf() { return Number(this.#digits); }
  toJSON() { return MARK + this.#digits; }
  [Symbol.for("nodejs.util.inspect.custom")]() { return this.#digits; }
}
Object.defineProperty(BigInt.prototype, "toJSON", { value() { return MARK + this.toString(); }, configurable: true, writable: true });
const UNMARK = new RegExp(`"${MARK}(-?[0-9][0-9.eE+-]*)"`, "g");
function toJson(value, replacer, space) {
  const text = stringify(value, replacer, space);
  return text === undefined || !text.includes(MARK) ? text : text.replace(UNMARK, "$1");
}
JSON.stringify = toJson;

function canonical(text) { // digits and exponent: 1.50e3 → "15e2"
  const [, sign, whole, fraction = "", exponent = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const digits = (whole + fraction).replace(/^0+/, ""), short = digits.replace(/0+$/, "");
  return short === "" ? "0" : `${sign}${short}e${Number(exponent) - fraction.length + digits.length - short.length}`;
}
function isExact(text) {
  const number = Number(text);
  return Number.isFinite(number) && (/^-?\d+$/.test(text) ? Number.isSafeInteger(number) : canonical(text) === canonical(String(number)));
}
function fromJson(text) {
  if (!/\d[\d.]{15}|\d[eE][+-]?\d/.test(text)) return JSON.parse(text);
  let isMarked = false;
  const marked = text.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g, (token) => {
    if (token[0] === '"' || isExact(token)) return token;
    isMarked = true;
    return `"${MARK}${token}"`;
  });
  if (!isMarked) return JSON.parse(text);
  return JSON.parse(marked, (_, value) => {
    if (typeof value !== "string" || !value.startsWith(MARK)) return value;
    const digits = value.slice(MARK.length);
    return /^-?\d+$/.test(digits) ? BigInt(digits) : new ExactNumber(digits);
  });
}

// ---- code: a module each, evaluated anew for each call
const outside = new Map();
globalThis.defineComponent = (component) => component;

const EXPORTS = /^\s*export\s+(default\b|\{|const\b|let\b|async\b|function\b)/m;
const isModule = (code) => EXPORTS.test(code) || code.includes("import.meta");
const asModule = (code) => EXPORTS.test(code) ? code : `export default { async run({ steps, $ }) {${code}\n} }`; // on the first line, so that line numbers stay
function locate(specifier, base) {
  if (isBuiltin(specifier)) return specifier;
  if (/^\.{0,2}\//.test(specifier)) {
    const url = new URL(specifier, base);
    try { url.searchParams.set("v", String(fs.statSync(fileURLToPath(url)).mtimeMs)); } catch { /* import says it better */ }
    return url.href; // an edited file is another module
  }
  if (/^[a-z]+:/.test(specifier)) return specifier;
  const name = specifier.replace(/^(@[^/@]+\/[^/@]+|[^/@]+)@[^/]+/, "$1"); // "axios@^1": the version is package.json's
  try { return import.meta.resolve(name, base); } catch (error) {
    try { return pathToFileURL(createRequire(base).resolve(name)).href; } catch { /* the first error is the better one */ }
    throw new Error(`cannot find the package "${name}": run \`npm install ${name}\` in the project's folder (${error.message})`);
  }
}
async function outsideModule(specifier, base) {
  const url = locate(specifier, base);
  if (!outside.has(url)) {
    const namespace = await import(url), names = Object.keys(namespace);
    const module = new vm.SyntheticModule(names, function () { for (const name of names) this.setExport(name, namespace[name]); },
      { identifier: url });
    await module.link(() => {});
    await module.evaluate();
    outside.set(url, module);
  }
  return outside.get(url);
}
// A module's syntax error does not say where it is; a script's does. What only modules have is made its like, on the same lines.
function placeSyntaxError(name, text, error) {
  const script = text.replace(/^(\s*)export\s+default\b/gm, "$1void          ").replace(/^(\s*)export\b/gm, "$1      ").replace(/^\s*import\b.*$/gm, "");
  try {
    new vm.Script(`(async () => {${script}\n})`, { filename: name });
  } catch (again) {
    if (again.name === "SyntaxError" && again.message === error.message) error.stack = again.stack;
  }
  return error;
}
function compileModule(name, text, options) {
  try {
    return new vm.SourceTextModule(text, options);
  } catch (error) {
    throw error?.name === "SyntaxError" ? placeSyntaxError(name, text, error) : error;
  }
}
// Plain code is a script, compiled once and run anew: a microsecond.
const PLAIN_HEAD = '"use strict";(async function ({ steps, $ }) {';
const scripts = new Map();
function plainFunction(call, code, base) {
  const key = `${call.name}\n${code}`;
  let script = scripts.get(key);
  if (!script) {
    script = new vm.Script(`${PLAIN_HEAD}${code}\n})`, { filename: call.name, columnOffset: -PLAIN_HEAD.length,
      importModuleDynamically: (specifier) => outsideModule(specifier, base) });
    if (scripts.size >= 64) scripts.delete(scripts.keys().next().value);
    scripts.set(key, script);
  }
  return script.runInThisContext();
}
// Node never lets go of a module, so a process that has evaluated many, or holds much, is not used again.
const LIMIT_MODULES = 4096;
let modules = 0;
const isWornOut = (call) => modules >= LIMIT_MODULES || v8.getHeapStatistics().used_heap_size > call.memory / 2;

async function loadComponent(call, code) {
  const base = pathToFileURL(call.base).href;
  if (!isModule(code)) return { run: plainFunction(call, code, base) };
  const options = {
    identifier: call.name,
    initializeImportMeta(meta) { meta.url = base; meta.filename = call.base; meta.dirname = path.dirname(call.base); },
    importModuleDynamically: (specifier) => outsideModule(specifier, base),
  };
  // Each has a text of its own: Node goes through all that have the same one. No cachedData: V8 would bind the code to the import
  // callback of the module that it was made from, which is gone.
  const module = compileModule(call.name, `${asModule(code)}\n//${++modules}`, options);
  await module.link((specifier) => outsideModule(specifier, base));
  await module.evaluate();
  const component = module.namespace.default;
  if (typeof component === "function") return { run: component };
  if (typeof component?.run !== "function") throw new Error("the code exports no component: export default defineComponent({ async run({ steps, $ }) { … } })");
  return component;
}

// ---- files of the run
const hasOwnTmpDir = process.env.TMPDIR !== undefined;
function enterFiles({ dir }) {
  process.env.RUNNEL_FILES = process.env.STASH_DIR = dir; // the second: components of Pipedream, which take it for /tmp
  if (!hasOwnTmpDir) process.env.TMPDIR = dir;
}
function pathIn(dir, name) { // "/tmp/x" is what Pipedream's code calls it
  const text = String(name), root = [dir, "/tmp"].find((one) => text === one || text.startsWith(`${one}/`));
  const whole = path.join(dir, root ? text.slice(root.length) : text);
  let there = whole;
  while (there !== dir && !fs.lstatSync(there, { throwIfNoEntry: false })) there = path.dirname(there);
  if ((!root && path.isAbsolute(text)) || !`${whole}/`.startsWith(`${dir}/`) || fs.realpathSync(there) !== there)
    throw new Error(`"${text}" is no file of this run: it is to be a name, or a path in ${dir}`);
  return whole;
}
class RunFile {
  constructor(whole) { this.path = whole; this.name = path.basename(whole); }
  toBuffer() { return fs.promises.readFile(this.path); }
  toEncodedString(encoding = "utf8") { return fs.promises.readFile(this.path, encoding); }
  async toFile(to) { await fs.promises.copyFile(this.path, to); }
  async createReadStream() { return fs.createReadStream(this.path); }
  async createWriteStream() { return fs.createWriteStream(this.path); }
  async fromFile(from) { await fs.promises.copyFile(from, this.path); return this; }
  async fromReadableStream(stream) { await fs.promises.writeFile(this.path, stream); return this; }
  async fromUrl(url, options) {
    const response = await fetch(url, options);
    if (!response.ok) throw new Error(`${url} answered ${response.status} ${response.statusText}`);
    return this.fromReadableStream(response.body ?? "");
  }
  async delete() { await fs.promises.rm(this.path, { force: true }); }
  toJSON() { return { path: this.path, name: this.name }; }
}
function makeFiles({ dir }) {
  const open = (name) => new RunFile(pathIn(dir, name));
  return { path: (name = dir) => pathIn(dir, name), open, openDescriptor: (file) => open(file.path) };
}

// ---- what the code is given
function checkMs(ms, what) {
  if (!Number.isInteger(ms) || ms < 1 || ms > LIMIT_DELAY_MS) throw new RangeError(`${what}: a whole number of milliseconds from 1 to ${LIMIT_DELAY_MS} is wanted, not ${String(ms)}`);
  return ms;
}
function exportText(name, value) {
  let text;
  try { text = toJson(value); } catch (error) { throw new TypeError(`"${name}" cannot be exported as JSON: ${error.message}`); }
  return text;
}
function makeDollar(call, steps, state) {
  const urls = () => ({ resume_url: `${call.resume_url}/resume`, cancel_url: `${call.resume_url}/cancel` });
  const pause = (flow) => { state.flow = flow; return urls(); };
  const sending = (kind, fields) => {
    if (typeof fields !== "object" || fields === null || Array.isArray(fields)) throw new TypeError(`$.send.${kind} takes an object, not ${fields === null ? "null" : typeof fields}`);
    state.sends.push(exportText(`$.send.${kind}`, { ...fields, kind }));
  };
  const send = {
    http: (request) => sending("http", request),
    email: (mail) => sending("email", mail),
    emit: (event, channel) => sending("emit", { event, channel }),
    sse: (message) => sending("sse", message),
    s3() { throw new Error("$.send.s3 is not there: call the bucket's API from an action"); },
  };
  return {
    export(name, value) {
      const text = exportText(String(name), value);
      if (text !== undefined) state.exports.set(String(name), text);
    },
    async respond(response = {}) {
      const { status = 200, headers = {}, body, immediate = false } = response;
      if (!Number.isInteger(status) || status < 100 || status > 599) throw new RangeError(`$.respond: the status is a number from 100 to 599, not ${String(status)}`);
      const content = body instanceof Uint8Array ? { $base64: Buffer.from(body).toString("base64") } : body;
      state.respond ??= exportText("$.respond", { status, headers, body: content, immediate: Boolean(immediate) });
    },
    flow: {
      exit(reason) { state.exit = { reason: reason === undefined ? null : String(reason) }; },
      delay: (ms) => pause({ kind: "delay", ms: checkMs(ms, "$.flow.delay") }),
      suspend: (ms) => pause({ kind: "suspend", ms: ms === undefined ? 0 : checkMs(ms, "$.flow.suspend") }),
      rerun: (ms, context, max = 10) => {
        const text = context === undefined ? undefined : JSON.parse(stringify(context) ?? "null");
        return pause({ kind: "rerun", ms: ms === undefined || ms === null ? LIMIT_DELAY_MS : checkMs(ms, "$.flow.rerun"), context: text, max });
      },
      refreshTimeout() { throw new Error("$.flow.refreshTimeout is not there: set `timeout` on the step"); },
    },
    send,
    files: makeFiles(call.files),
    context: {
      ...steps.trigger?.context, deadline: call.deadline, JIT: false, idempotency_key: call.idempotency_key, attempt: call.attempt,
      run: { runs: call.runs, context: call.rerun?.context, callback_request: call.rerun?.callback },
    },
  };
}
const STORE_TYPE = "data_store";
function makeThis(component, inputs, state) {
  const self = {}, stores = state.call.stores;
  for (const [name, prop] of Object.entries(component.props ?? {})) if (prop?.default !== undefined) self[name] = structuredClone(prop.default);
  Object.assign(self, inputs);
  for (const [name, store] of Object.entries(stores)) {
    if (typeof store !== "string" || store === "") throw new ConfigurationError(`the prop "${name}" names no data store: what stands for the name is no text`);
    self[name] = new DataStore(store, state);
  }
  for (const [name, prop] of Object.entries(component.props ?? {}))
    if ((prop === STORE_TYPE || prop?.type === STORE_TYPE) && !(name in stores) && !(prop.optional && self[name] === undefined))
      throw new ConfigurationError(`the prop "${name}" is a data store: write it in the workflow file as props: { ${name}: { store: NAME } }`);
  for (const [name, method] of Object.entries(component.methods ?? {})) self[name] = method;
  return self;
}

// ---- data stores
class ConfigurationError extends Error { name = "ConfigurationError"; }
class DataStoreError extends Error { name = "DataStoreError"; }
const asks = new Map();
let lastAsk = 0;
function ask(state, request, values) {
  if (current !== state) throw new Error("the step has ended: await what you ask a data store for");
  const texts = values.map((value) => Buffer.from(value));
  if (texts.some((text) => text.length > LIMIT_EXPORT_BYTES)) throw new RangeError(`a value for a data store has more than ${LIMIT_EXPORT_BYTES} bytes`);
  lastAsk = (lastAsk + 1) >>> 0 || 1;
  send(lastAsk, [Buffer.from(toJson(request)), ...texts]);
  return new Promise((resolve) => asks.set(lastAsk, resolve));
}
const READS = new Set(["get", "has", "keys", "items"]);
class DataStore {
  #name;
  #state;
  constructor(name, state) { this.#name = name; this.#state = state; Object.freeze(this); }
  // What is read comes after what was written before it, awaited or not. `value` is the answer's own JSON; the error is made here, so that its stack shows the code's line.
  async #ask(op, request, ...values) {
    const { writes } = this.#state, isRead = READS.has(op);
    while (isRead && writes.size) await Promise.all(writes);
    const asked = ask(this.#state, { op: `store_${op}`, store: this.#name, ...request }, values);
    if (!isRead) writes.add(asked);
    const [answer, value] = await asked;
    writes.delete(asked);
    if (answer.error) throw Object.assign(new DataStoreError(`data store "${this.#name}": ${answer.error.text}`), { code: answer.error.code });
    return { ...answer, value: value === "" ? answer.value : fromJson(value) };
  }
  static #key(key) {
    if (typeof key !== "string" && typeof key !== "number" && typeof key !== "bigint") throw new TypeError(`a data store's key is a string, not ${key === null ? "null" : typeof key}`);
    return String(key);
  }
  static #text(value) {
    const text = toJson(value);
    if (text === undefined) throw new TypeError(`a data store takes JSON values, not ${typeof value}`);
    return text;
  }
  static #ttl(seconds) {
    if (typeof seconds !== "number" || !(seconds > 0)) throw new RangeError(`a ttl is a number of seconds over 0, not ${String(seconds)}`);
    return Math.max(1, Math.round(seconds * 1000));
  }
  static #ttlOf(options) { return options?.ttl === undefined || options.ttl === null ? {} : { ttl_ms: DataStore.#ttl(options.ttl) }; }
  async get(key) { return (await this.#ask("get", { key: DataStore.#key(key) })).value; }
  async set(key, value, options) { await this.#ask("set", { key: DataStore.#key(key), ...DataStore.#ttlOf(options), value: 0 }, DataStore.#text(value)); }
  async setTtl(key, ttl) {
    return (await this.#ask("set_ttl", { key: DataStore.#key(key), ttl_ms: ttl === null ? 0 : DataStore.#ttl(ttl) })).found;
  }
  async has(key) { return (await this.#ask("has", { key: DataStore.#key(key) })).found; }
  async delete(key) { return (await this.#ask("delete", { key: DataStore.#key(key) })).found; }
  async clear() { await this.#ask("clear", {}); }
  async increment(key, by = 1) {
    if (typeof by !== "bigint" && !Number.isSafeInteger(by)) throw new TypeError(`increment: a whole number is wanted, not ${String(by)}`);
    return (await this.#ask("increment", { key: DataStore.#key(key), by })).value;
  }
  async compareAndSet(key, expected, value, options) {
    const values = [], request = { key: DataStore.#key(key), ...DataStore.#ttlOf(options) };
    for (const [name, given] of Object.entries({ expected, value }))
      if (given !== undefined) request[name] = values.push(DataStore.#text(given)) - 1;
    return (await this.#ask("compare_and_set", request, ...values)).swapped;
  }
  async *#pages(op, keyOf) {
    for (let after = "", more = true; more; ) {
      const page = await this.#ask(op, { after });
      yield* page.value;
      more = page.more;
      if (more) after = keyOf(page.value.at(-1));
    }
  }
  async keys() {
    const keys = [];
    for await (const key of this.#pages("keys", (last) => last)) keys.push(key);
    return keys;
  }
  entries() { return this.#pages("items", ([key]) => key); }
  [Symbol.asyncIterator]() { return this.entries(); }
  toJSON() { return { store: this.#name }; }
  [Symbol.for("nodejs.util.inspect.custom")]() { return `DataStore(${this.#name})`; }
}

// ---- errors
function describe(call, error) {
  if (!(error instanceof Error) && typeof error?.stack !== "string") return { text: `the code threw ${typeof error === "string" ? error : stringify(error) ?? String(error)}` };
  const stack = String(error.stack).split("\n"), own = stack.find((line) => line.includes(`${call.name}:`));
  const place = own?.slice(own.indexOf(`${call.name}:`)).match(/^.*?:\d+(?::\d+)?/)?.[0];
  const name = error.name && error.name !== "Error" ? `${error.name}: ` : "";
  const kept = stack.filter((line) => line.includes(`${call.name}:`) || !/^\s+at /.test(line));
  return { text: `${name}${error.message}${place ? ` (at ${place.replace(/^\s*at\s+/, "")})` : ""}`, stack: kept.join("\n"),
    code: error.name === "ConfigurationError" ? "RN_ECONFIG" : undefined };
}

// ---- one call
let current = null;
function send(number, parts) {
  const head = Buffer.alloc(20);
  head.writeUInt32LE(number, 0);
  parts.forEach((part, i) => head.writeUInt32LE(part.length, 4 + 4 * i));
  socket.write(Buffer.concat([head, ...parts]));
}

function answer(state, error, leave) {
  if (current !== state) return; // answered already
  current = null;
  let exports = `{${[...state.exports].map(([name, text]) => `${stringify(name)}:${text}`).join(",")}}`;
  if (Buffer.byteLength(exports) > LIMIT_EXPORT_BYTES) {
    error ??= { code: "RN_ETOOBIG", text: `the exports have more than ${LIMIT_EXPORT_BYTES} bytes` };
    exports = "{}";
  }
  const members = error ? [`"error":${stringify({ code: error.code ?? "RN_EFAILED", text: error.text.slice(0, 4000) })}`] : ['"ok":true'];
  if (!error) {
    if (state.exit) members.push(`"exit":${stringify(state.exit)}`);
    if (state.flow) members.push(`"flow":${toJson(state.flow)}`);
    if (state.respond) members.push(`"respond":${state.respond}`);
    if (state.sends.length) members.push(`"sends":[${state.sends.join(",")}]`);
  }
  if (leave) members.push('"leave":true');
  const json = Buffer.from(`{${members.join(",")},"exports":0}`);
  if (json.length > LIMIT_EXPORT_BYTES) return answerTooBig(state);
  send(0, [json, Buffer.from(exports)]);
}
function answerTooBig(state) {
  current = state;
  state.respond = state.flow = undefined;
  state.sends = [];
  answer(state, { code: "RN_ETOOBIG", text: `the response and what is sent have more than ${LIMIT_EXPORT_BYTES} bytes` });
}
function fail(state, error, leave) {
  const what = describe(state.call, error);
  if (what.stack) console.error(what.stack);
  answer(state, what, leave);
}
async function run(call, code, inputs, steps) {
  asks.clear(); // what nobody has awaited
  const state = current = { call, exports: new Map(), sends: [], writes: new Set() };
  try {
    enterFiles(call.files);
    const component = await loadComponent(call, code), seen = fromJson(steps), $ = makeDollar(call, seen, state);
    const value = await component.run.call(makeThis(component, fromJson(inputs), state), { steps: seen, $ });
    if (value !== undefined) $.export("$return_value", value);
    answer(state, undefined, isWornOut(call));
  } catch (error) {
    fail(state, error);
  }
}
for (const name of ["uncaughtException", "unhandledRejection"])
  process.on(name, (error) => {
    if (current) fail(current, error, true);
    else console.error(error);
  });

// ---- `runnel check`: code that is only parsed. [code, …] comes in, [null | {text, line, column}, …] goes out
function checkOne(code) {
  const name = "code", plain = !isModule(code);
  try {
    if (plain) new vm.Script(`${PLAIN_HEAD}${code}\n})`, { filename: name, columnOffset: -PLAIN_HEAD.length });
    else compileModule(name, asModule(code), { identifier: name });
    return null;
  } catch (error) {
    // "code:3", the line, and where in it: "   ^^^"
    const [place, , marks = ""] = String(error.stack).split("\n"), line = Number(/^code:(\d+)/.exec(place)?.[1] ?? 0), at = marks.search(/\^/);
    return { text: `${error.name}: ${error.message}`, line, column: line > 1 && at >= 0 ? at + 1 : 0 }; // the first line is behind a head of ours
  }
}
if (process.argv.includes("--check")) {
  fs.writeSync(1, stringify(JSON.parse(fs.readFileSync(0, "utf8")).map(checkOne)));
  process.exit(0);
}

// ---- the socket
const socket = new net.Socket({ fd: 3 });
const HEAD = 20;
let chunks = [], size = 0, whole = 0; // of the message that comes in; 0: its head is not there yet
const lengths = (head) => [4, 8, 12, 16].map((at) => head.readUInt32LE(at));
function take() { // one whole message
  const all = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks), number = all.readUInt32LE(0);
  let at = HEAD;
  const parts = lengths(all).map((length) => all.toString("utf8", at, (at += length)));
  chunks = at < all.length ? [all.subarray(at)] : [];
  size -= at;
  whole = 0;
  if (number === 0) {
    const [call, code, inputs, steps] = parts;
    run(JSON.parse(call), code, inputs, steps);
  } else {
    const resolve = asks.get(number);
    asks.delete(number);
    resolve?.([fromJson(parts[0]), parts[1]]);
  }
}
socket.on("data", (chunk) => {
  chunks.push(chunk);
  size += chunk.length;
  for (;;) {
    if (!whole && size >= HEAD) {
      if (chunks.length > 1) chunks = [Buffer.concat(chunks)];
      whole = lengths(chunks[0]).reduce((a, b) => a + b, HEAD);
    }
    if (!whole || size < whole) return;
    take();
  }
});
socket.on("end", () => process.exit(0));
socket.on("error", () => process.exit(0));
