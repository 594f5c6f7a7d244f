"""What data stores cost in a code step, and how long other commits wait while a large one is cleared.

    python3 bench/data_stores.py --build build/release

The real runtime with its store on this disk, loopback only, about a minute. In a step: requests one after the other, and all at once. Clearing: a client sets
one record after the other through the API, each committed before its answer, before and after another store of 100,000 records is cleared; a request that does
nothing but read is the floor."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from code_steps import Runtime  # noqa: E402
from run import PATIENCE_S, ROOT, Failed, machine, program  # noqa: E402

NODE = """
const said = {}, { count } = steps.trigger.event;
for (const [name, work] of Object.entries({ get: (i) => this.store.get(`k${i}`), set: (i) => this.store.set(`k${i}`, { n: i }), increment: () => this.store.increment("c") })) {
  let from = performance.now();
  for (let i = 0; i < count; i++) await work(i);
  said[`${name}, one after the other`] = count / (performance.now() - from) * 1000;
  from = performance.now();
  await Promise.all(Array.from({ length: count }, (_, i) => work(i)));
  said[`${name}, all at once`] = count / (performance.now() - from) * 1000;
}
return said;
"""
PYTHON = """
import time
def handler(pd):
    store, said, count = pd.inputs["store"], {}, pd.steps["trigger"]["event"]["count"]
    for name, work in {"get": lambda i: store.get(f"k{i}"), "set": lambda i: store.set(f"k{i}", {"n": i})}.items():
        start = time.perf_counter()
        for i in range(count):
            work(i)
        said[f"{name}, one after the other"] = count / (time.perf_counter() - start)
    return said
"""
FILL = """
const { first, count, size } = steps.trigger.event, text = "x".repeat(size);
await Promise.all(Array.from({ length: count }, (_, i) => this.store.set(`key-${first + i}`, text)));
"""


class Stores(Runtime):
    def __init__(self, args, folder):
        self.args, self.dir = args, f"{folder}/project"
        self.runnel = program(args.build, "runnel")
        subprocess.run([self.runnel, "init", self.dir], check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE_S)
        os.remove(f"{self.dir}/workflows/segment-to-discord.yaml")
        for name, language, code, store in (("node", "node", NODE, "bench"), ("python", "python", PYTHON, "bench"), ("fill", "node", FILL, "large")):
            text = "".join(f"      {line}\n" for line in code.strip().split("\n"))
            self.write(name, "triggers: [{ namespace: hand, manual: true }]\nsettings: { timeout: 60s }\nsteps:\n"
                       f"  - namespace: one\n    language: {language}\n    props: {{ store: {{ store: {store} }} }}\n    code: |\n{text}")

    def value(self, workflow, event):
        run = self.api(f"workflows/{workflow}/run", {"event": event})["run"]
        detail = self.api(f"runs/{run}?wait_ms=60000")
        if detail["status"] != "succeeded":
            raise Failed(f"{workflow}: {detail['status']}: {detail.get('error')}")
        return detail["steps"][-1]["exports"].get("$return_value")

    def ask(self, **request):
        return self.api("data-stores", request)

    def latencies(self, seconds, **request):
        """Of one request after the other, in ms."""
        took, until = [], time.monotonic() + seconds
        while time.monotonic() < until:
            begin = time.monotonic()
            self.ask(**request)
            took.append((time.monotonic() - begin) * 1000)
        return took


def spread(took):
    took = sorted(took)
    return {"requests": len(took), "median_ms": statistics.median(took), "p99_ms": took[int(len(took) * 0.99)], "longest_ms": took[-1]}


def measure(args):
    with tempfile.TemporaryDirectory(prefix="runnel-bench-") as folder:
        stores = Stores(args, folder)
        with stores.up():
            rates = {language: stores.value(language, {"count": args.count}) for language in ("node", "python")}
            for first in range(0, args.records, 5000):
                stores.value("fill", {"first": first, "count": min(5000, args.records - first), "size": args.size})
            setting = {"op": "set", "store": "other", "key": "k", "value": 1}
            floor = spread(stores.latencies(args.seconds, op="get", store="other", key="k"))
            before = spread(stores.latencies(args.seconds, **setting))
            took = []
            clearing = threading.Thread(target=lambda: took.extend(stores.latencies(args.seconds * 4, **setting)))
            clearing.start()
            time.sleep(args.seconds / 2)
            begin = time.monotonic()
            if stores.ask(op="clear", store="large")["count"] != args.records:
                raise Failed("the large store is not what it was to be")
            clear_ms = (time.monotonic() - begin) * 1000
            clearing.join()
            return {"rates": rates, "clear_ms": clear_ms, "commits": {"floor: a get": floor, "a set": before, "a set while the large store goes": spread(took)}}


def main():
    parser = argparse.ArgumentParser(prog="bench/data_stores.py", description=__doc__)
    parser.add_argument("--build", default=f"{ROOT}/build/release", help="the build folder (%(default)s)")
    parser.add_argument("--count", type=int, default=1000, help="requests of each kind in a step (%(default)s)")
    parser.add_argument("--records", type=int, default=100000, help="of the store that is cleared (%(default)s)")
    parser.add_argument("--size", type=int, default=100, help="bytes of each (%(default)s)")
    parser.add_argument("--seconds", type=float, default=5, help="for which a client sets records (%(default)s)")
    parser.add_argument("--json", action="store_true", help="the result as JSON")
    parser.add_argument("--smoke", action="store_true", help="a moment of everything, to see that it works; its numbers mean nothing")
    args = parser.parse_args()
    args.build = os.path.abspath(args.build)
    if args.smoke:
        args.count, args.records, args.seconds = 20, 500, 0.5
    try:
        result = measure(args)
    except Failed as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(result, indent=1))
        return 0
    print(f"{machine()}; python3 bench/data_stores.py --size {args.size}:\n\n| in a step | node | python |\n| --- | --: | --: |")
    for name, rate in result["rates"]["node"].items():
        python = result["rates"]["python"].get(name)
        print(f"| {name} | {rate:,.0f}/s | {f'{python:,.0f}/s' if python else ''} |")
    print(f"\n| through the API, clearing {args.records:,} records ({result['clear_ms']:.0f} ms) | median | p99 | longest |\n| --- | --: | --: | --: |")
    for name, row in result["commits"].items():
        print(f"| {name} | {row['median_ms']:.2f} ms | {row['p99_ms']:.2f} ms | {row['longest_ms']:.1f} ms |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
