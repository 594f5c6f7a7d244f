"""runnel beside Node-RED, in one run on one machine: the same load, the same work, and what is left of it after a kill -9.

    python3 bench/node_red.py --build build/release          # fetches Node-RED from npm into build/cache, then about two minutes

Both take a webhook and answer it (runnel when the event is on disk), and both pass each event on with an HTTP request. Loopback only, bounded in
time. The numbers of Node-RED are those of a new installation of it, one process, with nothing but the flow that is measured."""
import argparse
import contextlib
import http.server
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import run as bench  # noqa: E402
from run import Failed, Meter, PATIENCE_S, ROOT, memory, process  # noqa: E402

VERSION = "4.1.15"
ACCEPT = "triggers:\n  - namespace: hook\n    http: {}\nsteps:\n  - { namespace: done, end: done }\n"
PASS_ON = "triggers:\n  - namespace: hook\n    http: {}\nsteps:\n  - namespace: post\n    uses: http-post-request\n    props:\n" \
          "      url: http://127.0.0.1:%d/\n      data: \"{{steps.trigger.event.body}}\"\n"
SLOWLY = "settings: { throttle: { limit: 50, interval: 1s } }\n" + PASS_ON
LOST_EVENTS = 1000
LOST_KILL_AT = 500
SETTINGS = """module.exports = { uiHost: "127.0.0.1", uiPort: %d, httpAdminRoot: false, userDir: %s, flowFile: "flows.json",
  diagnostics: { enabled: false }, telemetry: { enabled: false, updateNotification: false }, runtimeState: { enabled: false },
  credentialSecret: false, logging: { console: { level: "info", metrics: false, audit: false } } }
"""


def install(cache):
    """Node-RED from npm, kept in the cache; returns the program."""
    folder = os.path.join(cache, f"node-red-{VERSION}")
    program = f"{folder}/node_modules/node-red/red.js"
    if not os.path.exists(program):
        os.makedirs(folder, exist_ok=True)
        print(f"fetching Node-RED {VERSION} from npm: half a minute", file=sys.stderr, flush=True)
        subprocess.run(["npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "--omit=optional", f"node-red@{VERSION}"],
                       check=True, stdout=subprocess.DEVNULL, timeout=600)
    return program


def flows(target_port):
    """/accept answers; /pass-on answers and sends the body on; /slowly too, fifty a second."""
    tab = {"id": "tab", "type": "tab", "label": "bench", "disabled": False}

    def node(name, kind, wires, **more):
        return {"id": name, "type": kind, "z": "tab", "wires": wires, **more}

    return [tab, node("in", "http in", [["answer"]], url="/accept", method="post", upload=False),
            node("pass", "http in", [["answer", "prepare"]], url="/pass-on", method="post", upload=False),
            node("slowly", "http in", [["answer", "queue"]], url="/slowly", method="post", upload=False),
            node("queue", "delay", [["prepare"]], pauseType="rate", timeout="1", timeoutUnits="seconds", rate="50", nbRateUnits="1", rateUnits="second",
                 randomFirst="1", randomLast="5", randomUnits="seconds", drop=False, allowrate=False, outputs=1),
            node("answer", "http response", [], statusCode="200", headers={}),
            node("prepare", "function", [["request"]], func='msg.headers = { "content-type": "application/json" }; return msg;', outputs=1),
            node("request", "http request", [[]], method="POST", ret="txt", paytoqs="ignore", url=f"http://127.0.0.1:{target_port}/", persist=True)]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


class Beside(bench.Bench):
    faults = ("refused", "errors", "repeated", "unanswered")  # a connection that starves shows in the p99


class NodeRed:
    name, paths = "Node-RED", {"accept": "/accept", "pass on": "/pass-on", "slowly": "/slowly"}

    def __init__(self, program, folder):
        self.program, self.folder, self.port = program, folder, free_port()

    def prepare(self, kind, target_port):
        with open(f"{self.folder}/flows.json", "w") as out:
            json.dump(flows(target_port), out)
        with open(f"{self.folder}/settings.js", "w") as out:
            out.write(SETTINGS % (self.port, json.dumps(self.folder)))
        return self

    @contextlib.contextmanager
    def up(self):
        start = time.monotonic()
        with open(f"{self.folder}/node-red.log", "w") as log, \
                process(["node", self.program, "--settings", f"{self.folder}/settings.js"], stderr=log) as server:
            for line in server.stdout:
                if "Started flows" in line:
                    break
            else:
                raise Failed(f"Node-RED did not start: see {self.folder}/node-red.log")
            threading.Thread(target=server.stdout.read, daemon=True).start()
            yield server, (time.monotonic() - start) * 1000

    def endpoint(self, kind):
        return self.port, self.paths[kind]


class Runnel:
    name = "runnel"

    def __init__(self, benchmark):
        self.bench = benchmark

    def prepare(self, kind, target_port):
        self.bench.sandbox_url = "http://127.0.0.1:9"  # no vendor is called
        self.project = self.bench.project({"accept": ACCEPT, "pass on": PASS_ON, "slowly": SLOWLY}[kind].replace("%d", str(target_port)), False)
        return self

    def up(self):
        return self.bench.up(self.project)

    def endpoint(self, kind):
        return self.bench.endpoint(self.project)[:2]


# ---- speed

def measure(benchmark, server, kind, connections):
    size = benchmark.args.bytes
    with benchmark.target(connections, size) as (target_port, begin):
        with server.prepare(kind, target_port).up() as (one, start_ms):
            time.sleep(1)
            idle = memory(one.pid)
            port, path = server.endpoint(kind)
            meter = Meter(one.pid)
            if kind == "pass on":
                point = begin(f"{port} {path}")
            else:
                point = benchmark.run_load(port, path, connections, size)
            meter.read(point)
    return {**point, "start_ms": start_ms, "idle": idle}


# ---- what a kill -9 loses

class Remembering(http.server.BaseHTTPRequestHandler):
    """The vendor: remembers which events came. Who calls it holds back: a vendor that takes fifty a second is the usual one."""
    protocol_version, seen, lock = "HTTP/1.1", None, threading.Lock()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.lock:
            self.seen[body["n"]] = self.seen.get(body["n"], 0) + 1
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def send_until_gone(port, path, accepted, kill):
    """Eight senders; an event counts as accepted once it has its 2xx. `kill` is called at LOST_KILL_AT of those."""
    numbers, lock = iter(range(LOST_EVENTS)), threading.Lock()

    def sender():
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps({"n": number}).encode(), {"content-type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                    answer.read()
            except (OSError, urllib.error.URLError):
                return
            with lock:
                accepted.append(number)
                if len(accepted) == LOST_KILL_AT:
                    kill()

    threads = [threading.Thread(target=sender) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(PATIENCE_S)


class Vendor(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # the one that called was killed


def lose(server):
    """(accepted, those of them that never arrived, those that arrived twice)"""
    handler = type("Handler", (Remembering,), {"seen": {}})
    vendor = Vendor(("127.0.0.1", 0), handler)
    threading.Thread(target=vendor.serve_forever, daemon=True).start()
    accepted = []
    with server.prepare("slowly", vendor.server_address[1]).up() as (one, _):
        send_until_gone(*server.endpoint("slowly"), accepted, one.kill)
        one.wait(PATIENCE_S)
    with server.up():
        last, still = -1, 0
        while len(handler.seen) < len(accepted) and still < 20:  # ten seconds in which nothing more comes
            time.sleep(0.5)
            still = still + 1 if len(handler.seen) == last else 0
            last = len(handler.seen)
    vendor.shutdown()
    return len(accepted), len([n for n in accepted if n not in handler.seen]), len([n for n in accepted if handler.seen.get(n, 0) > 1])


# ---- what came out

def row(what, one, other, ratio=""):
    print(f"| {what} | {one} | {other} | {ratio} |", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="bench/node_red.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=f"{ROOT}/build/release", help="the build folder (%(default)s)")
    parser.add_argument("--cache", default=f"{ROOT}/build/cache", help="where Node-RED is kept (%(default)s)")
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="the table has their medians (%(default)s)")
    parser.add_argument("--bytes", type=int, default=700, help="the size of a body (%(default)s)")
    parser.add_argument("--connections", type=int, default=64, help="keep-alive connections (%(default)s)")
    parser.add_argument("--smoke", action="store_true", help="a moment of everything, to see that it works; its numbers mean nothing")
    args = parser.parse_args()
    args.build, args.warmup, args.settle = os.path.abspath(args.build), 1.0, 0
    if args.smoke:
        args.seconds, args.warmup, args.rounds, args.connections = 0.2, 0.0, 1, 4
    program = install(os.path.abspath(args.cache))
    with tempfile.TemporaryDirectory(prefix="runnel-bench-") as folder:
        benchmark = Beside(args, folder)
        points = {}
        for _ in range(args.rounds):
            for kind in ("accept", "pass on"):
                for server in (Runnel(benchmark), NodeRed(program, benchmark.new_folder())):
                    points.setdefault((kind, server.name), []).append(measure(benchmark, server, kind, args.connections))
        lost = {server.name: lose(server) for server in (Runnel(benchmark), NodeRed(program, benchmark.new_folder()))}

    def median(kind, name, of):
        return statistics.median(of(point) for point in points[kind, name])

    print(f"{time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}, {bench.machine()}; {args.connections} connections, {args.bytes} bytes, "
          f"medians of {args.rounds} rounds of {args.seconds:g} s; Node-RED {VERSION}\n")
    print("| | runnel | Node-RED | runnel / Node-RED |\n| --- | --: | --: | --: |")
    for kind, what in (("accept", "webhook answered"), ("pass on", "webhook to HTTP request")):
        for of, text, unit in ((lambda p: p["rate"], "a second", "{:,.0f}"), (lambda p: p["p99_us"] / 1000, "p99", "{:.1f} ms"), (lambda p: p["cpu_us"], "processor time each", "{:.0f} µs")):
            ours, theirs = median(kind, "runnel", of), median(kind, "Node-RED", of)
            row(f"{what}: {text}", unit.format(ours), unit.format(theirs), f"{ours / theirs:.2f}")
    for of, what, unit in ((lambda p: p["idle"]["rss"], "idle memory (RSS of all processes)", "{:.0f} MB"), (lambda p: p["start_ms"], "start to ready", "{:,.0f} ms")):
        ours, theirs = median("accept", "runnel", of), median("accept", "Node-RED", of)
        row(what, unit.format(ours), unit.format(theirs), f"{ours / theirs:.2f}")
    row(f"fifty a second passed on, killed with SIGKILL after {LOST_KILL_AT:,} answers, started again: answered events that never arrived",
        *(f"{lost[name][1]:,} of {lost[name][0]:,}" for name in ("runnel", "Node-RED")))
    row("… that arrived more than once", *(f"{lost[name][2]:,}" for name in ("runnel", "Node-RED")))
    return 1 if lost["runnel"][1] else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        sys.exit(f"bench/node_red.py: {failure}")
