"""What a code step costs, warm and cold, beside the floors: starting its interpreter for nothing, and a trivial component's action.

    python3 bench/code_steps.py --build build/release

The real runtime with its store on this disk, loopback only, about half a minute. Warm: one run with a loop of steps that do nothing, one after the other, the
first ones left out. Cold: runs of one step, each of a workflow that has not run yet. The ratios are taken within a round; the table has the medians of all rounds."""
import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from run import PATIENCE_S, ROOT, Failed, cpu_us, machine, process, program, report  # noqa: E402

CODE = {"node": "return 1;", "python": "def handler(pd):\n    return 1\n", "bash": ":"}
FLOORS = {"node": ["node", "-e", "0"], "python": ["python3", "-c", "0"], "bash": ["bash", "-c", ":"]}
ACTION = "  uses: filter-continue-based-on-condition\n  props: { initialValue: abc, condition: CONTAINS, secondValue: a }\n"
HEAD = "triggers: [{ namespace: hand, manual: true }]\nsettings: { timeout: 60s }\nsteps:\n"


def step(kind, indent):
    if kind == "action":
        text = f"- namespace: one\n{ACTION}"
    else:
        text = f"- namespace: one\n  language: {kind}\n  code: |\n" + "".join(f"    {line}\n" for line in CODE[kind].split("\n"))
    return "".join(f"{indent}{line}\n" for line in text.rstrip().split("\n"))


class Runtime:
    def __init__(self, args, folder):
        self.args, self.dir = args, f"{folder}/project"
        self.runnel = program(args.build, "runnel")
        subprocess.run([self.runnel, "init", self.dir], check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE_S)
        os.remove(f"{self.dir}/workflows/segment-to-discord.yaml")
        for kind in ("action", *CODE):
            self.write(f"warm-{kind}", HEAD + '  - namespace: loop\n    for_each: "{{Array(steps.trigger.event.count).fill(1)}}"\n    steps:\n' + step(kind, "      "))
            for number in range(args.colds):
                self.write(f"cold-{kind}-{number}", HEAD + step(kind, "  "))

    def write(self, name, text):
        with open(f"{self.dir}/workflows/{name}.yaml", "w") as out:
            out.write(text)

    @contextlib.contextmanager
    def up(self):
        with open(f"{self.dir}/up.log", "w") as log, \
                process([self.runnel, "up", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"], cwd=self.dir, stderr=log) as self.process:
            line = self.process.stdout.readline()
            if not line.startswith("ready "):
                with open(f"{self.dir}/up.log") as text:
                    raise Failed(f"the runtime did not start: {text.read()}")
            self.admin = line.split("admin=")[1].strip()
            with open(f"{self.dir}/.runnel/admin-token") as file:
                self.token = file.read().strip()
            yield

    def api(self, path, body=None):
        request = urllib.request.Request(f"{self.admin}/api/v1/{path}", None if body is None else json.dumps(body).encode(),
                                         {"authorization": f"Bearer {self.token}", "content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def run(self, workflow, event):
        """How long a run takes, from the request to its end, in ms; it has to succeed."""
        begin = time.monotonic()
        run = self.api(f"workflows/{workflow}/run", {"event": event})["run"]
        detail = self.api(f"runs/{run}?wait_ms=30000")
        took = (time.monotonic() - begin) * 1000
        if detail["status"] != "succeeded":
            raise Failed(f"{workflow}: {detail['status']}: {detail.get('error')}")
        return took

    def warm(self, kind):
        """ms of a step, and µs of the processor: a long run less a short one, so that what a run costs beside its steps falls out."""
        self.run(f"warm-{kind}", {"count": self.args.few})
        short = self.run(f"warm-{kind}", {"count": self.args.few})
        used = cpu_us(self.process.pid)
        long = self.run(f"warm-{kind}", {"count": self.args.few + self.args.steps})
        used = cpu_us(self.process.pid) - used
        return (long - short) / self.args.steps, used / (self.args.few + self.args.steps)

    def cold(self, kind):
        return statistics.median(self.run(f"cold-{kind}-{number}", {}) for number in range(self.args.colds))


def spawn(argv, times):
    """ms of one process, from its start to its end."""
    begin = time.monotonic()
    for _ in range(times):
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=PATIENCE_S)
    return (time.monotonic() - begin) * 1000 / times


def measure_round(args):
    """ms by (what, kind)."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="runnel-bench-") as folder:
        runtime = Runtime(args, folder)
        with runtime.up():
            # The first call of a plugin starts its process: once a round.
            found["cold", "action"] = runtime.run("cold-action-0", {})
            found["warm", "action"], found["cpu", "action"] = runtime.warm("action")
            for kind in args.kinds:
                found["floor", kind] = spawn(FLOORS[kind], args.spawns)
                found["cold", kind] = runtime.cold(kind)
                found["warm", kind], found["cpu", kind] = runtime.warm(kind)
    return found


def summarize(args, rounds):
    rows = []

    def median(value):
        return statistics.median(value(one) for one in rounds)

    for kind in args.kinds:
        rows.append({"what": f"floor: {' '.join(FLOORS[kind])}", "ms": median(lambda one: one["floor", kind])})
    for kind in ("action", *args.kinds):
        for heat in ("warm", "cold"):
            row = {"what": "a component's action" if kind == "action" else f"{kind} step", "heat": heat, "ms": median(lambda one: one[heat, kind])}
            if heat == "warm":
                row["cpu_us"] = median(lambda one: one["cpu", kind])
            if kind != "action":
                row["of_floor"] = median(lambda one: one[heat, kind] / one["floor", kind])
                row["of_action"] = median(lambda one: one[heat, kind] / one[heat, "action"])
            rows.append(row)
    return {"date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "machine": machine(),
            "command": " ".join(["python3", "bench/code_steps.py"] + sys.argv[1:]), "rounds": len(rounds), "rows": rows}


def print_table(summary):
    print(f"{summary['date']}, {summary['machine']}; {summary['command']}; medians of {summary['rounds']} rounds\n")
    print("| what | | time | CPU | of starting its interpreter | of an action |")
    print("| --- | --- | --: | --: | --: | --: |")
    for row in summary["rows"]:
        cpu = f"{row['cpu_us']:.0f} µs" if "cpu_us" in row else ""
        ratios = [f"{row[name]:.2f}" if name in row else "" for name in ("of_floor", "of_action")]
        print(f"| {row['what']} | {row.get('heat', '')} | {row['ms']:.2f} ms | {cpu} | {ratios[0]} | {ratios[1]} |")


def read_args():
    parser = argparse.ArgumentParser(prog="bench/code_steps.py", description=__doc__)
    parser.add_argument("--build", default=f"{ROOT}/build/release", help="the build folder (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="the table has their medians (%(default)s)")
    parser.add_argument("--steps", type=int, default=500, help="that are measured in a loop (%(default)s)")
    parser.add_argument("--colds", type=int, default=5, help="workflows that have not run yet, of each language (%(default)s)")
    parser.add_argument("--spawns", type=int, default=10, help="processes of a floor (%(default)s)")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="the result as JSON, to standard output or a file")
    parser.add_argument("--smoke", action="store_true", help="a moment of everything, to see that it works; its numbers mean nothing")
    args = parser.parse_args()
    args.build, args.few = os.path.abspath(args.build), 50
    if args.smoke:
        args.rounds, args.steps, args.few, args.colds, args.spawns = 1, 5, 2, 1, 1
    args.kinds = [kind for kind in CODE if shutil.which(FLOORS[kind][0])]
    return args


def main():
    args = read_args()
    try:
        rounds = []
        for _ in range(args.rounds):
            rounds.append(measure_round(args))
            if not args.smoke:
                print("  " + ", ".join(f"{heat} {kind} {ms:.2f}" for (heat, kind), ms in rounds[-1].items()), file=sys.stderr, flush=True)
    except Failed as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    summary = summarize(args, rounds)
    report(summary, print_table, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
