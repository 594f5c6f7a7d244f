# The python worker of runnel's code steps. Descriptor 3 carries messages: a u32 number, u32 lengths of four parts, the parts. Number 0
# brings one call at a time (the call, the code, the inputs, the steps), and takes what ends it (the answer, the exports). Any other
# number is an ask of ours to the runtime (JSON, up to two values), and comes back with its answer (JSON, a value).
import sys

_path = [entry for entry in sys.path if entry]
sys.path[:] = _path  # the standard library first: never a json.py of the project's

import base64
import json
import linecache
import os
import re
import socket
import struct
import threading
import traceback
from decimal import Decimal

LIMIT_EXPORT_BYTES = 16 << 20
LIMIT_DELAY_MS = 366 * 86400000
MARK = "number:" + os.urandom(12).hex() + ":"
UNMARK = re.compile('"' + MARK + '(-?[0-9][0-9.eE+-]*)"')


# ---- numbers that a float cannot hold are Decimals
def parse_float(text):
    number = float(text)
    if len(text) <= 16 and "e" not in text and "E" not in text:
        return number
    exact = Decimal(text)
    return number if exact.is_finite() and number not in (float("inf"), float("-inf")) and Decimal(repr(number)) == exact else exact


def default(value):
    if isinstance(value, Decimal) and value.is_finite():
        return MARK + format(value, "f") if -400 < value.adjusted() < 400 else MARK + str(value).replace("E+", "e")
    if isinstance(value, (set, frozenset)):
        return list(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"an object of type {type(value).__name__} is no JSON")


def to_json(name, value):
    try:
        text = json.dumps(value, default=default, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f'"{name}" cannot be exported as JSON: {error}') from None
    return UNMARK.sub(r"\1", text) if MARK in text else text


def from_json(text):
    return json.loads(text, parse_float=parse_float)


# ---- what the code is given
class Flow:
    def __init__(self, call, state):
        self._call, self._state = call, state

    def _pause(self, flow):
        self._state["flow"] = flow
        url = self._call["resume_url"]
        return {"resume_url": url + "/resume", "cancel_url": url + "/cancel"}

    @staticmethod
    def _ms(ms, what):
        if not isinstance(ms, (int, float)) or isinstance(ms, bool) or not 1 <= ms <= LIMIT_DELAY_MS:
            raise ValueError(f"{what}: milliseconds from 1 to {LIMIT_DELAY_MS} are wanted, not {ms!r}")
        return int(ms)

    def exit(self, reason=None):
        self._state["exit"] = {"reason": None if reason is None else str(reason)}

    def delay(self, ms):
        return self._pause({"kind": "delay", "ms": self._ms(ms, "pd.flow.delay")})

    def suspend(self, timeout_ms=None):
        return self._pause({"kind": "suspend", "ms": 0 if timeout_ms is None else self._ms(timeout_ms, "pd.flow.suspend")})

    def rerun(self, ms=None, context=None, max_retries=10):
        ms = LIMIT_DELAY_MS if ms is None else self._ms(ms, "pd.flow.rerun")
        return self._pause({"kind": "rerun", "ms": ms, "context": context, "max": max_retries})


class Send:
    def __init__(self, state):
        self._state = state

    def _add(self, kind, fields, more):
        if not isinstance(fields, (dict, type(None))):
            raise TypeError(f"pd.send.{kind} takes a dict, not {type(fields).__name__}")
        self._state["sends"].append(to_json(f"pd.send.{kind}", {**(fields or {}), **more, "kind": kind}))

    def http(self, request=None, **fields):
        self._add("http", request, fields)

    def email(self, mail=None, **fields):
        self._add("email", mail, fields)

    def emit(self, event, channel=None):
        self._add("emit", {"event": event, "channel": channel}, {})

    def sse(self, message=None, **fields):
        self._add("sse", message, fields)

    def s3(self, *_, **__):
        raise NotImplementedError("pd.send.s3 is not there: call the bucket's API from an action")


# ---- data stores
class DataStoreError(Exception):
    pass


class MissingRecord(KeyError, TypeError):  # Pipedream's is a TypeError, a dict's a KeyError
    pass


_lock = threading.Lock()  # guards `_current` and the conversation while a call runs
_current = None


def ask(state, request, values):
    with _lock:
        if _current is not state:
            raise RuntimeError("the step has ended: a data store is for its own code")
        number = state["asks"] = state["asks"] % 0xFFFFFFFF + 1
        send(number, json.dumps(request).encode(), *values)
        parts = receive_message(number)
    return json.loads(parts[0]), parts[1]


class DataStore:
    def __init__(self, name, state):
        self._name, self._state = name, state

    def __repr__(self):
        return f"DataStore({self._name!r})"

    def _ask(self, op, *values, **request):
        values = [to_json(self._name, value).encode() for value in values]
        if any(len(value) > LIMIT_EXPORT_BYTES for value in values):
            raise ValueError(f"a value for a data store has more than {LIMIT_EXPORT_BYTES} bytes")
        answer, value = ask(self._state, {"op": "store_" + op, "store": self._name, **request}, values)
        if "error" in answer:
            raise DataStoreError(f'data store "{self._name}": {answer["error"]["text"]}')
        if value:
            answer["value"] = from_json(value.decode())
        return answer

    @staticmethod
    def _key(key):
        if not isinstance(key, (str, int)) or isinstance(key, bool):
            raise TypeError(f"a data store's key is a str, not {type(key).__name__}")
        return str(key)

    @staticmethod
    def _ttl(ttl):
        if ttl is None:
            return {}
        if not isinstance(ttl, (int, float)) or isinstance(ttl, bool) or not ttl > 0:
            raise ValueError(f"a ttl is a number of seconds over 0, not {ttl!r}")
        return {"ttl_ms": max(1, round(ttl * 1000))}

    def get(self, key, default=None):
        answer = self._ask("get", key=self._key(key))
        return answer["value"] if answer["found"] else default

    def set(self, key, value, ttl=None):
        self._ask("set", value, key=self._key(key), value=0, **self._ttl(ttl))

    def set_ttl(self, key, ttl):
        return self._ask("set_ttl", key=self._key(key), **(self._ttl(ttl) or {"ttl_ms": 0}))["found"]

    def has(self, key):
        return self._ask("has", key=self._key(key))["found"]

    def delete(self, key):
        return self._ask("delete", key=self._key(key))["found"]

    def clear(self):
        self._ask("clear")

    def increment(self, key, by=1):
        if not isinstance(by, int) or isinstance(by, bool):
            raise TypeError(f"increment: an int is wanted, not {by!r}")
        return self._ask("increment", key=self._key(key), by=by)["value"]

    def compare_and_set(self, key, expected, value, ttl=None):
        """None stands for no record: `expected` of a key that must not be there, `value` to delete it."""
        given = {name: content for name, content in (("expected", expected), ("value", value)) if content is not None}
        places = {name: place for place, name in enumerate(given)}
        return self._ask("compare_and_set", *given.values(), key=self._key(key), **places, **self._ttl(ttl))["swapped"]

    def _pages(self, op, key_of):
        after, more = "", True
        while more:
            page = self._ask(op, after=after)
            yield from page["value"]
            more = page["more"]
            after = key_of(page["value"][-1]) if more else after

    def keys(self):
        return list(self._pages("keys", lambda key: key))

    def items(self):
        return ((key, value) for key, value in self._pages("items", lambda item: item[0]))

    def __iter__(self):
        return iter(self._pages("keys", lambda key: key))

    def __contains__(self, key):
        return self.has(key)

    def __getitem__(self, key):
        answer = self._ask("get", key=self._key(key))
        if not answer["found"]:
            raise MissingRecord(key)
        return answer["value"]

    def __setitem__(self, key, value):
        self.set(key, value)

    def __delitem__(self, key):
        self.delete(key)


def with_stores(inputs, stores, state):
    for name, store in stores.items():
        if not isinstance(store, str) or not store:
            raise ConfigurationError(f'the prop "{name}" names no data store: what stands for the name is no text')
        inputs[name] = DataStore(store, state)
    return inputs


# ---- files of the run
_has_own_tmpdir = "TMPDIR" in os.environ


def enter_files(folder):
    os.environ["RUNNEL_FILES"] = os.environ["STASH_DIR"] = folder  # the second: code of Pipedream, which takes it for /tmp
    if not _has_own_tmpdir:
        os.environ["TMPDIR"] = folder
        if "tempfile" in sys.modules:
            sys.modules["tempfile"].tempdir = None  # it remembers where it was


class Files:
    def __init__(self, folder):
        self._folder = folder

    def path(self, name=""):
        """The path of a file of the run; "/tmp/x" is what Pipedream's code calls it."""
        folder, text = self._folder, os.fspath(name)
        root = next((one for one in (folder, "/tmp") if text == one or text.startswith(one + "/")), None)
        inner = text[len(root):].lstrip("/") if root else text
        whole = os.path.normpath(os.path.join(folder, inner))
        if not (whole + "/").startswith(folder + "/") or os.path.realpath(whole) != whole:
            raise ValueError(f'"{text}" is no file of this run: it is to be a name, or a path in {folder}')
        return whole


class Pipedream:
    def __init__(self, call, inputs, steps, state):
        self.steps, self.inputs, self._state = steps, with_stores(inputs, call["stores"], state), state
        self.flow, self.send, self.files = Flow(call, state), Send(state), Files(call["files"]["dir"])
        rerun = call.get("rerun") or {}
        self.context = dict(steps.get("trigger", {}).get("context", {}))
        self.context.update(
            deadline=call["deadline"], JIT=False, idempotency_key=call["idempotency_key"], attempt=call["attempt"],
            run={"runs": call["runs"], "context": rerun.get("context"), "callback_request": rerun.get("callback")})

    def export(self, name, value):
        self._state["exports"][str(name)] = to_json(str(name), value)

    def respond(self, response=None, **fields):
        response = {"status": 200, "headers": {}, "immediate": False, **(response or {}), **fields}
        status = response["status"]
        if not isinstance(status, int) or not 100 <= status <= 599:
            raise ValueError(f"pd.respond: the status is a number from 100 to 599, not {status!r}")
        if isinstance(response.get("body"), (bytes, bytearray)):
            response["body"] = {"$base64": base64.b64encode(response["body"]).decode()}
        self._state.setdefault("respond", to_json("pd.respond", response))


class ConfigurationError(Exception):
    pass


# ---- errors
def describe(call, error):
    if isinstance(error, SyntaxError) and error.filename == call["name"]:
        place = f"line {error.lineno}"
    else:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == call["name"]]
        place = f"line {frames[-1].lineno}" if frames else None
    text = f"{type(error).__name__}: {error}" if not isinstance(error, SystemExit) else f"the code called sys.exit({error.code!r})"
    code = "RN_ENOMEM" if isinstance(error, MemoryError) else "RN_ECONFIG" if type(error).__name__ == "ConfigurationError" else "RN_EFAILED"
    return {"code": code, "text": (text + (f" (at {call['name']}, {place})" if place else ""))[:4000]}


def print_traceback(error):
    shown, tb = error.__traceback__, error.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename == "<string>":  # this worker's own
        tb = tb.tb_next
    shown = tb
    traceback.print_exception(type(error), error, shown)


# ---- one call
def run(call, code, inputs, steps):
    global _current
    state = _current = {"exports": {}, "sends": [], "asks": 0}
    try:
        enter_files(call["files"]["dir"])
        name = call["name"]
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
        sys.path[:] = [os.path.dirname(call["base"]), call["dir"], *_path]
        scope = {"__name__": "code", "__file__": call["base"], "ConfigurationError": ConfigurationError}
        exec(compile(code, name, "exec"), scope)
        handler = scope.get("handler")
        if not callable(handler):
            raise NameError("the code defines no `def handler(pd):`")
        pd = Pipedream(call, from_json(inputs), from_json(steps), state)
        value = handler(pd)
        if value is not None:
            pd.export("$return_value", value)
    except BaseException as error:  # SystemExit and KeyboardInterrupt too: they end the step, not the worker
        if not isinstance(error, SystemExit):
            print_traceback(error)
        return state, describe(call, error)
    finally:
        with _lock:
            _current = None
    return state, None


def answer(state, error):
    exports = "{" + ",".join(json.dumps(name) + ":" + text for name, text in state["exports"].items()) + "}"
    if len(exports) > LIMIT_EXPORT_BYTES:
        error = error or {"code": "RN_ETOOBIG", "text": f"the exports have more than {LIMIT_EXPORT_BYTES} bytes"}
        exports = "{}"
    if not error and len(state.get("respond", "")) + sum(map(len, state["sends"])) > LIMIT_EXPORT_BYTES // 2:
        error = {"code": "RN_ETOOBIG", "text": f"the response and what is sent have more than {LIMIT_EXPORT_BYTES // 2} bytes"}
    members = ['"error":' + json.dumps(error)] if error else ['"ok":true']
    if not error:
        for name in ("exit", "flow"):
            if name in state:
                members.append(f'"{name}":' + to_json(name, state[name]))
        if "respond" in state:
            members.append('"respond":' + state["respond"])
        if state["sends"]:
            members.append('"sends":[' + ",".join(state["sends"]) + "]")
    members.append('"exports":0')
    return ("{" + ",".join(members) + "}").encode(), exports.encode()


def receive(size):
    parts = bytearray()
    while len(parts) < size:
        part = channel.recv(min(size - len(parts), 1 << 20))
        if not part:
            os._exit(0)
        parts += part
    return bytes(parts)


def receive_message(number):
    while True:  # past answers that nobody waits for any more: an exception came between
        got, *lengths = struct.unpack("<5I", receive(20))
        parts = [receive(length) for length in lengths]
        if got == number:
            return parts


def send(number, *parts):
    lengths = [len(part) for part in parts] + [0] * (4 - len(parts))
    channel.sendall(struct.pack("<5I", number, *lengths) + b"".join(parts))


# ---- `runnel check`: code that is only parsed. [code, …] comes in, [null | {text, line, column}, …] goes out
def binds_handler(node):
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return any((alias.asname or alias.name) in ("handler", "*") for alias in node.names)
    return getattr(node, "name", getattr(node, "id", None)) == "handler"


def check_one(code):
    try:
        tree = compile(code, "code", "exec", ast.PyCF_ONLY_AST)
    except SyntaxError as error:
        return {"text": f"{type(error).__name__}: {error.msg}", "line": error.lineno or 0, "column": error.offset or 0}
    except (ValueError, RecursionError, MemoryError) as error:
        return {"text": f"{type(error).__name__}: {error}"}
    if not any(binds_handler(node) for node in ast.walk(tree)):
        return {"text": "the code defines no `def handler(pd):`"}
    return None


if sys.argv[1:] == ["--check"]:
    import ast

    json.dump([check_one(code) for code in json.load(sys.stdin)], sys.stdout)
    sys.exit(0)

channel = socket.socket(fileno=3)
channel.set_inheritable(False)
sys.stdout.reconfigure(line_buffering=True)
while True:
    texts = [part.decode() for part in receive_message(0)]
    result, failure = run(json.loads(texts[0]), *texts[1:])
    try:
        body = answer(result, failure)
    except BaseException as error:
        body = answer({"exports": {}, "sends": []}, {"code": "RN_EFAILED", "text": str(error)[:4000]})
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except Exception:  # the code closed them
        pass
    send(0, *body)
