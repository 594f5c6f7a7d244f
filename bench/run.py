"""Speed and memory of the runtime, each beside the floor it stands on, measured in one run on one machine.

docs/benchmarks.md says what each row is. Real processes, loopback only, every point bounded in time; at the end of each point
the store is opened with nothing but LMDB and has to hold every event that was answered with 2xx, else the run fails."""
import argparse
import contextlib
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FLOOR_SECRET = "bench"
PATIENCE_S = 120
# A measurement (or its floor's) during which other programs had more of the processors than this does not count where there is a better one.
OTHERS_MAX = 0.1
# What is measured, and the floor that its ratio is taken to. Floors come first: in a round they are measured beside what stands on them.
CASES = {
    "floor: read": None,
    "floor: HMAC": None,
    "floor: HMAC + group commit": None,
    "native HTTP trigger, accepted": "floor: HMAC + group commit",
    "Segment source, accepted": "floor: HMAC + group commit",
    "floor: forward": None,
    "Segment event to HTTP action": "floor: forward",
}
FLOOR_MODES = {"floor: read": "read", "floor: HMAC": "hmac", "floor: HMAC + group commit": "commit", "floor: forward": "forward"}
SOURCE = "uses: segment-webhook-destination\nprops:\n  segmentApp: { account: segment }\n  workspace: workspaces/acme\n" \
         "  source: workspaces/acme/sources/web\n"
# One run begins and its step never ends, so that what is measured is accepting alone: every other event waits in the queue.
HOLD = "settings: { timeout: 10m, concurrency: { workers: 1 } }\nsteps:\n  - namespace: hold\n    uses: http-get-request\n" \
       "    props: { url: \"http://127.0.0.1:%d/\" }\n"
NATIVE = "name: Native\ntriggers:\n  - namespace: hook\n    http: {}\n" + HOLD
SEGMENT = "name: Segment\ntriggers:\n  - namespace: segment\n    source: web\n" + HOLD
FORWARD = "name: Forward\ntriggers:\n  - namespace: segment\n    source: web\nsteps:\n  - namespace: post\n    uses: http-post-request\n" \
          "    props:\n      url: http://127.0.0.1:%d/\n      data: \"{{steps.trigger.event}}\"\n"


class Failed(Exception):
    """The benchmark did not do what it measures."""


def program(build, name):
    path = f"{build}/{name}"
    if not os.access(path, os.X_OK):
        raise Failed(f"{path} is not there: run bench/run.sh, which builds it")
    return path


# ---- memory

def family(pid):
    """The process and all that descend from it."""
    children = {}
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            with open(f"/proc/{name}/stat") as file:
                children.setdefault(int(file.read().rsplit(")", 1)[1].split()[1]), []).append(int(name))
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += children.get(one, [])
    return found


def memory(pid):
    """MB of all processes together: RSS, its part that no file backs, and PSS (pages that several share count once)."""
    total = {"rss": 0.0, "anon": 0.0, "pss": 0.0, "processes": 0}
    for one in family(pid):
        with contextlib.suppress(OSError):
            with open(f"/proc/{one}/smaps_rollup") as file:
                kib = {key: int(value) for key, value in re.findall(r"^(\w+):\s+(\d+) kB", file.read(), re.M)}
            total["rss"] += kib.get("Rss", 0) * 1024 / 1e6
            total["anon"] += kib.get("Anonymous", 0) * 1024 / 1e6
            total["pss"] += kib.get("Pss", 0) * 1024 / 1e6
            total["processes"] += 1
    return {key: round(value, 1) for key, value in total.items()}


def cpu_us(pid):
    """Processor time of all processes together so far."""
    ticks = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            with open(f"/proc/{one}/stat") as file:
                ticks += sum(int(field) for field in file.read().rsplit(")", 1)[1].split()[11:13])
    return ticks * 1e6 / os.sysconf("SC_CLK_TCK")


def busy_us():
    """Processor time that all of the machine has spent so far."""
    with open("/proc/stat") as file:
        fields = [int(field) for field in file.readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) * 1e6 / os.sysconf("SC_CLK_TCK")


class Meter:
    """Processor time of a server, for each event, and the share of the machine that others took meanwhile."""

    def __init__(self, pid):
        self.pid, self.start, self.cpu, self.busy = pid, time.monotonic(), cpu_us(pid), busy_us()

    def read(self, point):
        used, busy, seconds = cpu_us(self.pid) - self.cpu, busy_us() - self.busy, time.monotonic() - self.start
        point["cpu_us"] = used / point["accepted"]
        point["others"] = max(0.0, (busy - used - point["load_cpu_us"]) / (seconds * 1e6 * os.cpu_count()))


class Watch(threading.Thread):
    """The most memory while something runs."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.most, self.over = pid, None, threading.Event()

    def run(self):
        while not self.over.wait(0.5):
            now = memory(self.pid)
            if self.most is None or now["anon"] > self.most["anon"]:
                self.most = now

    def end(self):
        self.over.set()
        self.join()
        return self.most


# ---- processes

@contextlib.contextmanager
def process(argv, **options):
    """Ends the process, whatever happens."""
    one = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, **options)
    try:
        yield one
    finally:
        if one.poll() is None:
            one.terminate()
            try:
                one.wait(30)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()
        one.stdout.close()


class Bench:
    faults = ("refused", "errors", "repeated", "unanswered", "starved")  # each makes a measurement worthless

    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.runnel, self.floor = program(args.build, "runnel"), program(args.build, "bench/bench_floor")
        self.load, self.count = program(args.build, "bench/bench_load"), program(args.build, "bench/bench_count")
        self.sandbox_url, self.hold_port = None, None  # of the project at hand; of all
        self.number = 0
        self.points, self.starts, self.idle = [], [], []

    def new_folder(self):
        self.number += 1
        path = f"{self.folder}/{self.number}"
        os.mkdir(path)
        return path

    def stored(self, folder, table=None):
        return int(subprocess.run([self.count, folder] + ([table] if table else []), check=True, capture_output=True, text=True,
                                  timeout=PATIENCE_S).stdout)

    def load_argv(self, port, path, connections, size, seconds=None):
        return [self.load, str(port), path, "--connections", str(connections), "--seconds", seconds or str(self.args.seconds), "--warmup",
                "0" if seconds else str(self.args.warmup), "--bytes", str(size)]

    def run_load(self, *where, secret=FLOOR_SECRET):
        done = subprocess.run(self.load_argv(*where) + ["--secret", secret], capture_output=True, text=True,
                              timeout=self.args.seconds + self.args.warmup + PATIENCE_S)
        return self.result(done.stdout, done.stderr, done.returncode)

    def result(self, out, errors, code):
        if code:
            raise Failed(f"the load generator exited with {code}: {out} {errors}")
        point = json.loads(out)
        for bad in self.faults:
            if point[bad] and not (bad == "starved" and self.args.smoke):
                raise Failed(f"{point[bad]} {bad}: {out}")
        if not point["accepted"] or not (point["rate"] or self.args.smoke):  # a moment may be too short on a busy machine
            raise Failed(f"nothing was accepted: {out}")
        return point

    @contextlib.contextmanager
    def target(self, connections, size):
        """The load generator as vendor and sender: gives its port and a function that begins the load and returns its result."""
        argv = self.load_argv(0, "-", connections, size) + ["--deliver"]
        with process(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as load:
            port = int(load.stdout.readline().split()[1])

            def begin(line):
                out, errors = load.communicate(line + "\n", timeout=self.args.seconds + self.args.warmup + PATIENCE_S)
                point = self.result(out, errors, load.returncode)
                if point["delivered"] != point["accepted"]:
                    raise Failed(f"{point['accepted']} were accepted and {point['delivered']} came in at the target")
                return point
            yield port, begin

    # ---- floors

    def measure_floor(self, mode, connections, size):
        folder = self.new_folder()
        if mode == "forward":
            with self.target(connections, size) as (port, begin), \
                    process([self.floor, mode, folder, f"http://127.0.0.1:{port}/"], stdin=subprocess.PIPE) as floor:
                port, meter = floor.stdout.readline().strip(), Meter(floor.pid)
                point = begin(f"{port} / {FLOOR_SECRET}")
                meter.read(point)
                floor.stdin.close()
                floor.wait(PATIENCE_S)
            return point
        with process([self.floor, mode, folder], stdin=subprocess.PIPE) as floor:
            port, meter = int(floor.stdout.readline()), Meter(floor.pid)
            point = self.run_load(port, "/", connections, size)
            meter.read(point)
            floor.stdin.close()
            floor.wait(PATIENCE_S)
        if mode == "commit" and self.stored(folder) != point["accepted"]:
            raise Failed(f"the floor accepted {point['accepted']} and holds {self.stored(folder)}")
        return point

    # ---- the runtime

    @contextlib.contextmanager
    def sandbox(self):
        """Stand-ins of the vendors, new for each project: their Segment takes five hooks for a source, as the real one does."""
        with contextlib.suppress(OSError):
            os.remove(f"{self.folder}/sandbox.json")
        with process([self.runnel, "sandbox", "--listen", "127.0.0.1:0", "--state", f"{self.folder}/sandbox.json"],
                     stderr=subprocess.DEVNULL) as sandbox:
            self.sandbox_url = sandbox.stdout.readline().split("url=")[1].strip()
            yield

    def project(self, workflow, has_source):
        project = self.new_folder() + "/project"
        subprocess.run([self.runnel, "init", project], check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE_S)
        with open(f"{project}/runnel.yaml", "a") as out:
            out.write("egress:\n  allow: [127.0.0.0/8]\n  rewrite:\n"
                      f'    "https://platform.segmentapis.com": "{self.sandbox_url}/segment-config"\n')
        os.remove(f"{project}/workflows/segment-to-discord.yaml")
        with open(f"{project}/workflows/bench.yaml", "w") as out:
            out.write(workflow)
        if has_source:
            os.makedirs(f"{project}/sources", exist_ok=True)
            with open(f"{project}/sources/web.yaml", "w") as out:
                out.write(SOURCE)
        return project

    @contextlib.contextmanager
    def up(self, project):
        """A runtime that is ready; gives its process and the time from exec to its `ready` line."""
        start = time.monotonic()
        with open(f"{project}/up.log", "w") as log, \
                process([self.runnel, "up", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"], cwd=project, stderr=log) as runtime:
            line = runtime.stdout.readline()
            if not line.startswith("ready "):
                with open(f"{project}/up.log") as text:
                    raise Failed(f"the runtime did not start: {text.read()}")
            yield runtime, (time.monotonic() - start) * 1000

    def endpoint(self, project):
        """Port and path of the one endpoint, and the secret that the source registered at the sandbox's Segment."""
        done = subprocess.run([self.runnel, "sources", "--json"], cwd=project, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
        source = json.loads(done.stdout)[0]
        if source["state"] != "active":
            raise Failed(f"the source is not active: {source}")
        port, path = re.fullmatch(r"http://127.0.0.1:(\d+)(/.*)", source["endpoint"]).groups()
        if source["component"] == "http":
            return int(port), path, None
        with open(f"{self.folder}/sandbox.json") as file:
            destinations = json.load(file)["state"]["segment"]["config"].values()
        for destination in destinations:
            config = {one["name"].rsplit("/", 1)[1]: one["value"] for one in destination["config"]}
            hooks = config["hooks"] if isinstance(config["hooks"], list) else [config["hooks"]]
            if any(source["endpoint"] in json.dumps(hook) for hook in hooks):
                return int(port), path, config["sharedSecret"]
        return int(port), path, None

    def measure_runtime(self, case, connections, size):
        if case == "Segment event to HTTP action":
            with self.target(connections, size) as (target_port, begin):
                return self.measure_project(FORWARD % target_port, True, lambda port, path, secret: begin(f"{port} {path} {secret}"))
        is_segment = case.startswith("Segment")
        return self.measure_project((SEGMENT if is_segment else NATIVE) % self.hold_port, is_segment,
                                    lambda port, path, secret: self.run_load(port, path, connections, size, secret=secret or FLOOR_SECRET))

    def measure_project(self, workflow, has_source, load):
        with self.sandbox():
            return self.measure_deployed(self.project(workflow, has_source), has_source, load)

    def measure_deployed(self, project, has_source, load):
        with self.up(project) as (runtime, _):
            port, path, secret = self.endpoint(project)
            if has_source and not secret:
                raise Failed("the sandbox's Segment has no secret for the endpoint")
            watch = Watch(runtime.pid)
            watch.start()
            meter = Meter(runtime.pid)
            point = load(port, path, secret)
            meter.read(point)
            point["memory"] = watch.end()
            runtime.kill()  # at once: what was answered has to be there all the same
            runtime.wait()
        held = self.stored(f"{project}/.runnel/store", "events")
        if held != point["accepted"]:
            raise Failed(f"{point['accepted']} events were answered with 2xx and the store holds {held}")
        return point

    # ---- start-up and idle memory: the project of `runnel init`, its source active, its four plugins used

    def measure_idle(self):
        project = self.new_folder() + "/project"
        subprocess.run([self.runnel, "init", project], check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE_S)
        with open(f"{project}/runnel.yaml", "a") as out:
            out.write("egress:\n  allow: [127.0.0.0/8]\n  rewrite:\n")
            for host, path in (("platform.segmentapis.com", "segment-config"), ("discord.com", "discord"), ("sheets.googleapis.com", "sheets"),
                               ("www.googleapis.com", "google"), ("oauth2.googleapis.com", "google"), ("api.airtable.com", "airtable")):
                out.write(f'    "https://{host}": "{self.sandbox_url}/{path}"\n')
        idle = {}
        with self.up(project):
            pass  # the first start registers the source at its vendor; the others find it there
        for _ in range(self.args.starts):
            with self.up(project) as (runtime, milliseconds):
                self.starts.append(round(milliseconds, 1))
                time.sleep(0.3)
                idle["after start"] = memory(runtime.pid)
        with self.up(project) as (runtime, _):
            port, path, secret = self.endpoint(project)
            subprocess.run(self.load_argv(port, path, 1, 700, "0.01") + ["--secret", secret], check=True, stdout=subprocess.DEVNULL,
                           timeout=PATIENCE_S)
            until = time.monotonic() + PATIENCE_S
            while True:
                runs = json.loads(subprocess.run([self.runnel, "runs", "--json"], cwd=project, capture_output=True, text=True, check=True,
                                                 timeout=PATIENCE_S).stdout)
                if runs and all(run["status"] == "succeeded" for run in runs):
                    break
                if time.monotonic() > until:
                    raise Failed(f"the sample workflow's runs did not succeed: {runs[:2]}")
                time.sleep(0.1)
            time.sleep(0.3)
            idle["after runs through all plugins"] = memory(runtime.pid)
            until = time.monotonic() + PATIENCE_S
            while self.args.waits and memory(runtime.pid)["processes"] > 1:  # those that nobody calls end after a minute
                if time.monotonic() > until:
                    raise Failed("idle plugin hosts do not end")
                time.sleep(0.5)
            if self.args.waits:
                idle["a minute later"] = memory(runtime.pid)
        self.idle.append(idle)

    # ---- the whole

    def measure(self):
        with socket.create_server(("127.0.0.1", 0)) as hold:
            self.hold_port = hold.getsockname()[1]
            with self.sandbox():
                self.measure_idle()
            plan = [(size, connections) for size in self.args.bytes
                    for connections in (self.args.connections if size == self.args.bytes[0] else self.args.large_connections)]
            for round_ in range(self.args.rounds):
                for size, connections in plan:
                    self.measure_point(round_, size, connections)

    def settle(self):
        """Waits until nobody else works on the machine, as long as it may."""
        until = time.monotonic() + self.args.settle
        while time.monotonic() < until:
            before = busy_us()
            time.sleep(0.25)
            if (busy_us() - before) / (0.25e6 * os.cpu_count()) < 0.05:
                return

    def measure_point(self, round_, size, connections):
        floors = {}
        for case, floor in CASES.items():
            if self.args.only and not re.search(self.args.only, case):
                continue
            mode = FLOOR_MODES.get(case)
            self.settle()
            point = self.measure_floor(mode, connections, size) if mode else self.measure_runtime(case, connections, size)
            floors[case] = point
            point.update(case=case, connections=connections, size=size, round=round_)
            if floor in floors and floors[floor]["rate"]:
                point["ratio"] = round(point["rate"] / floors[floor]["rate"], 3)
                point["others"] = max(point["others"], floors[floor]["others"])
            self.points.append(point)
            if not self.args.quiet:
                ratio = f"  {point['ratio']:.2f} of the floor" if "ratio" in point else ""
                print(f"  {case:32}{size:>6} B {connections:>4} connections {point['rate']:>8.0f}/s {point['cpu_us']:>6.1f} µs of CPU each, others {point['others']:3.0%}{ratio}", file=sys.stderr, flush=True)


# ---- what came out

def median(points, key):
    values = [point[key] for point in points if key in point]
    return statistics.median(values) if values else None


def summarize(bench, args):
    rows = []
    for case in CASES:
        for size in args.bytes:
            for connections in sorted({p["connections"] for p in bench.points}):
                points = [p for p in bench.points if (p["case"], p["size"], p["connections"]) == (case, size, connections)]
                if not points:
                    continue
                undisturbed = [p for p in points if p["others"] <= OTHERS_MAX]
                rounds, points = len(points), undisturbed or points
                most = max((p["memory"] for p in points if p.get("memory")), key=lambda m: m["anon"], default=None)
                rows.append({"case": case, "bytes": points[0]["bytes"], "connections": connections, "rate": median(points, "rate"),
                             "cpu_us": median(points, "cpu_us"), "p50_us": median(points, "p50_us"), "p99_us": median(points, "p99_us"), "ratio": median(points, "ratio"),
                             "ratios": [p["ratio"] for p in points if "ratio" in p], "floor": CASES[case],
                             "rounds": rounds, "undisturbed": len(undisturbed), "others": median(points, "others"),
                             "least": min(p["least"] for p in points), "most": max(p["most"] for p in points), "memory": most})
    return {"date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "machine": machine(), "command": " ".join(["bench/run.sh"] + sys.argv[1:]),
            "rounds": args.rounds, "seconds": args.seconds, "rows": rows, "idle": bench.idle[0] if bench.idle else None,
            "start_ms": statistics.median(bench.starts) if bench.starts else None, "starts_ms": bench.starts}


def machine():
    with open("/proc/cpuinfo") as file:
        model = re.search(r"model name\s*:\s*(.*)", file.read())
    return f"{os.cpu_count()} × {model.group(1) if model else platform.machine()}, Linux {platform.release()}"


def time_text(us):
    return f"{us / 1000:.2f} ms"


def print_table(summary):
    print(f"{summary['date']}, {summary['machine']}; {summary['command']}; medians of {summary['rounds']} rounds of {summary['seconds']} s, "
          f"of those that others did not disturb\n")
    print("| what | body | connections | requests/s | p50 | p99 | CPU each | of the floor | memory in load (anonymous / RSS) |")
    print("| --- |" + " --: |" * 8)
    for row in summary["rows"]:
        ratio = f"{row['ratio']:.2f}" if row["ratio"] is not None else ""
        ratio += "" if row["undisturbed"] else " (disturbed)"
        memory_text = f"{row['memory']['anon']:.0f} / {row['memory']['rss']:.0f} MB" if row["memory"] else ""
        print(f"| {row['case']} | {row['bytes']} | {row['connections']} | {row['rate']:,.0f} | {time_text(row['p50_us'])} | "
              f"{time_text(row['p99_us'])} | {row['cpu_us']:.0f} µs | {ratio} | {memory_text} |")
    print()
    for when, used in (summary["idle"] or {}).items():
        print(f"Idle {when}: RSS of all {used['processes']:.0f} processes together {used['rss']:.1f} MB (PSS {used['pss']:.1f} MB, anonymous {used['anon']:.1f} MB)")
    if summary["start_ms"] is not None:
        print(f"Start to ready: {summary['start_ms']:.0f} ms (median of {len(summary['starts_ms'])})")


def numbers(text):
    return [int(one) for one in text.split(",")]


def report(summary, show, to):
    """The table; with --json the summary, to standard output instead of it ("-") or to a file as well."""
    if to == "-":
        print(json.dumps(summary, indent=1))
        return
    show(summary)
    if to:
        with open(to, "w") as out:
            json.dump(summary, out, indent=1)


def read_args():
    parser = argparse.ArgumentParser(prog="bench/run.sh", description=__doc__)
    parser.add_argument("--build", default=f"{ROOT}/build/release", help="the build folder (%(default)s)")
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement (%(default)s)")
    parser.add_argument("--warmup", type=float, default=0.5, help="seconds before each that do not count (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="the table has their medians (%(default)s)")
    parser.add_argument("--connections", type=numbers, default=[16, 64, 256], help="keep-alive connections (16,64,256)")
    parser.add_argument("--bytes", type=numbers, default=[700, 20000], help="sizes of a body (700,20000)")
    parser.add_argument("--large-connections", type=numbers, default=[64], help="for all sizes but the first (64)")
    parser.add_argument("--starts", type=int, default=5, help="how often start-up is measured (%(default)s)")
    parser.add_argument("--settle", type=float, default=0, help="wait so many seconds, at most, before each until nobody else works on the machine")
    parser.add_argument("--only", help="a regular expression: only these rows")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="the result as JSON, to standard output or a file")
    parser.add_argument("--smoke", action="store_true", help="a moment of everything, to see that it works; its numbers mean nothing")
    args = parser.parse_args()
    args.build = os.path.abspath(args.build)
    args.quiet = args.smoke
    args.waits = not args.smoke and args.starts > 1
    if args.smoke:
        args.seconds, args.warmup, args.rounds, args.starts, args.settle = 0.2, 0.0, 1, 1, 0
        args.connections, args.large_connections = [4], [4]
    return args


def main():
    args = read_args()
    with tempfile.TemporaryDirectory(prefix="runnel-bench-") as folder:
        try:
            bench = Bench(args, folder)
            bench.measure()
        except Failed as failure:
            print(f"bench: {failure}", file=sys.stderr)
            return 1
    summary = summarize(bench, args)
    report(summary, print_table, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
