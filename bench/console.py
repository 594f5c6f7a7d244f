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


def browser_s(pid):
    """Seconds of processor time that the browser's processes have used."""
    parents, used = {}, {}
    for name in os.listdir("/proc"):
        try:
            fields = pathlib.Path(f"/proc/{name}/stat").read_text().rsplit(")", 1)[1].split() if name.isdigit() else None
        except OSError:
            continue
        if fields:
            parents[int(name)], used[int(name)] = int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descends(one):
        while one in parents and one != pid:
            one = parents[one]
        return one == pid

    return sum(seconds for one, seconds in used.items() if descends(one))


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
    lock = next(pathlib.Path(args.cache).glob("console-tests-*/node_modules/playwright-core/index.mjs"), None)
    if not lock:
        sys.exit(f"{args.cache} has no playwright-core: run `ctest --test-dir {args.build} -R console.story` first, which fetches it and Chromium")
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
    # What each round has is taken to what is accepted before and after it with nothing open: the store grows meanwhile, and others come and go.
    ratios, none = {"ten streams": [], "ten pages": []}, [rate(load(urls["accept"], args.seconds))]

    def compare(name):
        with_it = rate(load(urls["accept"], args.seconds))
        return name, with_it, browser_s(browser.pid)

    def after(name, with_it, used_s):
        none.append(rate(load(urls["accept"], args.seconds)))
        ratios[name].append(with_it / ((none[-2] + none[-1]) / 2))
        print(f"accepted a second: {none[-2]:,.0f} with nothing open, {with_it:,.0f} with {name}, {none[-1]:,.0f} with nothing open"
              f"{f'; the browser used {used_s / (args.seconds + 1):.2f} processors' if used_s else ''}")

    for _ in range(args.rounds):
        readers = Readers(10)
        compared = compare("ten streams")
        readers.close()
        after(compared[0], compared[1], 0)
        tell("pages")
        began_s = browser_s(browser.pid)
        compared = compare("ten pages")
        tell("close")
        after(compared[0], compared[1], compared[2] - began_s)
    for name, what in (("ten streams", "ten streams read"), ("ten pages", "ten pages in Chromium beside it")):
        ratio = statistics.median(ratios[name])
        row(f"accepted with {what} / with nothing open: median", f"{ratio:.2f}", ">= 0.95", ratio >= 0.95)
    browser.stdin.close()
    browser.wait(PATIENCE_S)
    project.stop()
finally:
    project.close()
sys.exit(0 if is_good else 1)
