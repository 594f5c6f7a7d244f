"""The console's bars, in one run on one machine: how soon the overview works from a cold cache, how long a page of a list of 100,000 runs takes, and
what ten pages that are open and streaming cost those who send events.

    python3 bench/console.py --build build/release --cache build/cache

Real processes, real Chromium, loopback only. The browser is on the same processors as the runtime and the load, so the ratio is the worst case; it is
also taken with ten streams without a browser, which is what the runtime itself pays. Prints a table, and exits with 1 where a bar is missed."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
parser = argparse.ArgumentParser()
parser.add_argument("--build", default=str(ROOT / "build/release"))
parser.add_argument("--cache", default=str(ROOT / "build/cache"))
parser.add_argument("--runs", type=int, default=100000)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--seconds", type=int, default=4)
args = parser.parse_args()
args.build = str(pathlib.Path(args.build).resolve())
os.environ["RUNNEL"] = f"{args.build}/runnel"
sys.path.insert(0, str(ROOT / "tests/integration"))
from harness import PATIENCE_S, Project, eventually  # noqa: E402

WORKFLOW = "triggers:\n  - namespace: hook\n    http: {}\nsteps:\n  - { namespace: done, end: done }\n"
PAUSED = "settings: { throttle: { limit: 0, interval: 1m } }\n" + WORKFLOW


def get(path):
    request = urllib.request.Request(f"{ready['admin']}/api/v1/{path}", headers={"authorization": f"Bearer {token}"})
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        text = answer.read()
    return (time.perf_counter() - began) * 1000, json.loads(text)


def load(url, seconds, connections=32):
    port, path = url.split("//")[1].split(":")[1].split("/", 1)
    done = subprocess.run([f"{args.build}/bench/bench_load", port, f"/{path}", "--connections", str(connections), "--seconds", str(seconds), "--warmup", "1", "--bytes", "512"],
                          capture_output=True, text=True, timeout=seconds + PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def rate(result):
    return next(result[name] for name in ("per_second", "rate", "accepted_per_second", "requests_per_second") if name in result)


class Readers:
    """Ten streams that are read as the pages read them, without the browser."""

    def __init__(self, count):
        self.answers, self.bytes = [], 0
        for _ in range(count):
            request = urllib.request.Request(f"{ready['admin']}/api/v1/stream?topics=events,runs,logs,totals&brief=1", headers={"authorization": f"Bearer {token}"})
            answer = urllib.request.urlopen(request, timeout=PATIENCE_S)
            self.answers.append(answer)
            threading.Thread(target=self.drain, args=(answer,), daemon=True).start()

    def drain(self, answer):
        try:
            while part := answer.read1(65536):
                self.bytes += len(part)
        except (OSError, ValueError, AttributeError):
            pass

    def close(self):
        for answer in self.answers:
            answer.fp.raw._sock.shutdown(2)


project = Project()
rows, is_good = [], True


def row(name, value, bar, good):
    global is_good
    is_good = is_good and good
    rows.append((name, value, bar, "yes" if good else "NO"))
    print(f"{name:64} {value:>14}  {bar:12} {'yes' if good else 'NO'}", flush=True)


try:
    pathlib.Path(project.dir, "workflows/many.yaml").write_text(WORKFLOW)
    pathlib.Path(project.dir, "workflows/accept.yaml").write_text(PAUSED)
    ready = project.up()
    token = pathlib.Path(project.dir, ".runnel/admin-token").read_text().strip()
    urls = {e["workflow"]: e["url"] for e in project.json("endpoints")}
    while get("status")[1]["store"]["runs"] < args.runs:
        load(urls["many"], 5)
    eventually("every run has ended", lambda: get("status")[1]["store"]["queued"] == 0)
    count = get("status")[1]["store"]["runs"]

    # ---- pages of the list
    for name, query in (("first", "runs?limit=200"), ("of one workflow", "runs?limit=200&workflow=many"), ("by status, none fits (20,000 looked at)", "runs?limit=200&status=failed"), ("by text, none fits (20,000 looked at)", "runs?limit=200&text=nowhere")):
        times = [get(query)[0] for _ in range(30)]
        row(f"a page of {count:,} runs, {name}: median", f"{statistics.median(times):.1f} ms", "< 50 ms", statistics.median(times) < 50)
    cursor, times = "", []
    for _ in range(100):
        ms, page = get(f"runs?limit=200{'&cursor=' + cursor if cursor else ''}")
        times.append(ms)
        cursor = page["next"]
        if not cursor:
            break
    row(f"a page of {count:,} runs, 100 pages one after the other: longest", f"{max(times):.1f} ms", "< 50 ms", max(times) < 50)

    # ---- the browser: opened once, told by lines what to do
    lock = next(pathlib.Path(args.cache).glob("console-tests-*/node_modules/playwright-core/index.mjs"))
    settings = json.dumps({"admin": ready["admin"], "token": token, "profile": ""})
    browser = subprocess.Popen(["node", str(ROOT / "bench/console.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               env=dict(os.environ, CONSOLE=settings, PLAYWRIGHT=str(lock)))

    def tell(word):
        browser.stdin.write(word + "\n")
        browser.stdin.flush()
        return json.loads(browser.stdout.readline())

    opened = tell("open")["ms"]
    row("overview interactive, cold cache: median of 5", f"{statistics.median(opened):.0f} ms", "< 1000 ms", statistics.median(opened) < 1000)
    scrolled = tell("scroll")
    row("run list, scrolled through 20,000 entries: longest frame", f"{scrolled['longest']:.0f} ms", "-", True)

    # ---- acceptance, with and without
    rates = {"none": [], "ten streams": [], "ten pages": []}
    for _ in range(args.rounds):
        rates["none"].append(rate(load(urls["accept"], args.seconds)))
        readers = Readers(10)
        rates["ten streams"].append(rate(load(urls["accept"], args.seconds)))
        readers.close()
        tell("pages")
        rates["ten pages"].append(rate(load(urls["accept"], args.seconds)))
        tell("close")
    for name, list_ in rates.items():
        print(f"accepted a second, {name}: {' '.join(f'{r:,.0f}' for r in list_)}")
    base = max(rates["none"])  # best of the rounds: what others do on the machine only takes away
    row("accepted with ten streams read / with none", f"{max(rates['ten streams']) / base:.2f}", ">= 0.95", max(rates["ten streams"]) / base >= 0.95)
    row("accepted with ten pages in Chromium beside it / with none", f"{max(rates['ten pages']) / base:.2f}", ">= 0.95", max(rates["ten pages"]) / base >= 0.95)
    browser.stdin.close()
    browser.wait(PATIENCE_S)
    project.stop()
finally:
    project.close()
sys.exit(0 if is_good else 1)
