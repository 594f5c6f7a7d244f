"""Requests/s, p50 and p99 of durable acceptance, each beside its floor, at 16, 64 and 256 keep-alive connections; RSS; start-up time. Traffic stays on loopback and ends by itself."""
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RUNNEL, FLOOR = f"{ROOT}/build/release/runnel", f"{ROOT}/build/release/bench/bench_floor"
SECONDS = int(os.environ.get("SECONDS_EACH", "5"))
CONNECTIONS = (16, 64, 256)
EVENT = {"type": "track", "event": "Order Completed", "userId": "user-1", "anonymousId": "a" * 36, "timestamp": "2026-11-24T00:00:00.000Z",
         "context": {"ip": "127.0.0.1", "library": {"name": "analytics.js", "version": "4.1.0"}, "userAgent": "Mozilla/5.0 " + "x" * 120},
         "properties": {"revenue": 49.95, "currency": "EUR", "products": [{"id": i, "name": "thing"} for i in range(4)]}}

LUA = """
-- every request has a messageId of its own; segment's are signed beforehand, a ring of them a thread
local bodies, signatures, at = {}, {}, 0
local thread_count = 0
function setup(thread) thread:set("number", thread_count); thread_count = thread_count + 1 end
function init(args)
  local file = io.open(os.getenv("BENCH_BODIES") .. number, "r")
  for line in file:lines() do
    local signature, body = line:match("^(%S+) (.*)$")
    bodies[#bodies + 1] = body; signatures[#signatures + 1] = signature
  end
  file:close()
end
function request()
  at = at % #bodies + 1
  return wrk.format("POST", nil, {["Content-Type"] = "application/json", ["X-Signature"] = signatures[at]}, bodies[at])
end
"""


def write_bodies(folder, secret):
    import hashlib
    import hmac
    import uuid
    for thread in range(2):
        with open(f"{folder}/bodies{thread}", "w") as out:
            for _ in range(60000):
                body = json.dumps({**EVENT, "messageId": str(uuid.uuid4())}, separators=(",", ":"))
                out.write(hmac.new(secret.encode(), body.encode(), hashlib.sha1).hexdigest() + " " + body + "\n")


def load(folder, url, connections):
    env = dict(os.environ, BENCH_BODIES=f"{folder}/bodies")
    out = subprocess.run(["wrk", "-t2", f"-c{connections}", f"-d{SECONDS}s", "--latency", "-s", f"{folder}/post.lua", url], env=env,
                         capture_output=True, text=True, timeout=SECONDS + 60).stdout
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
    p50, p99 = (re.search(rf"{p}%\s+(\S+)", out).group(1) for p in (50, 99))
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return rate, p50, p99, int(bad.group(1)) if bad else 0


def rss_mib(pid):
    """Of a process and its children, in MiB."""
    total = 0
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/stat") as file:
                parent = int(file.read().rsplit(")", 1)[1].split()[1])
            if int(name) != pid and parent != pid:
                continue
            with open(f"/proc/{name}/status") as file:
                total += int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))
        except (OSError, ValueError, AttributeError):
            continue
    return total / 1024


def up(project):
    start = time.monotonic()
    process = subprocess.Popen([RUNNEL, "up", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"], cwd=project, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)
    line = process.stdout.readline()
    return process, (time.monotonic() - start) * 1000, line


def call(url, data=None):
    request = urllib.request.Request(url, json.dumps(data).encode() if data is not None else None, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def main():
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/post.lua", "w") as out:
            out.write(LUA)
        write_bodies(folder, "bench")
        for mode in ("read", "hmac", "commit"):
            data = f"{folder}/{mode}"
            os.mkdir(data)
            floor = subprocess.Popen([FLOOR, mode, data], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            port = floor.stdout.readline().strip()
            rows[f"floor: {mode}"] = [load(folder, f"http://127.0.0.1:{port}/", c) for c in CONNECTIONS]
            floor.stdin.close()
            floor.wait()

        project = f"{folder}/project"
        subprocess.run([RUNNEL, "init", project], check=True, stdout=subprocess.DEVNULL)
        sandbox = subprocess.Popen([RUNNEL, "sandbox", "--listen", "127.0.0.1:0", "--state", f"{folder}/state.json"],
                                   stdout=subprocess.PIPE, text=True)
        url = sandbox.stdout.readline().split("url=")[1].strip()
        os.remove(f"{project}/workflows/segment-to-discord.yaml")
        os.makedirs(f"{project}/sources")
        with open(f"{project}/sources/web.yaml", "w") as out:
            out.write("uses: segment-webhook-destination\nprops:\n  segmentApp: { account: segment }\n  workspace: workspaces/acme\n"
                      "  source: workspaces/acme/sources/web\n")
        with open(f"{project}/workflows/native.yaml", "w") as out:
            out.write("name: Native\ntriggers:\n  - namespace: hook\n    http: {}\nsettings: { concurrency: { workers: 1 } }\nsteps: []\n")
        with open(f"{project}/runnel.yaml", "a") as out:
            out.write(f'egress:\n  allow: [127.0.0.0/8]\n  rewrite: {{ "https://platform.segmentapis.com": "{url}/segment-config" }}\n')
        process, _, line = up(project)
        idle = rss_mib(process.pid)
        sources = json.loads(subprocess.run([RUNNEL, "sources", "--json"], cwd=project, capture_output=True, text=True, check=True).stdout)
        assert all(s["state"] == "active" for s in sources), sources
        endpoint = {s["id"]: s["endpoint"] for s in sources}
        with open(f"{folder}/state.json") as file:
            destination = next(iter(json.load(file)["segment"].values()))
        secret = next(c["value"] for c in destination["config"] if c["name"].endswith("/sharedSecret"))
        rows["native HTTP trigger"] = [load(folder, endpoint["workflows/native/hook"], c) for c in CONNECTIONS]
        write_bodies(folder, secret)
        rows["Segment source"] = [load(folder, endpoint["sources/web"], c) for c in CONNECTIONS]
        loaded = rss_mib(process.pid)
        process.terminate()
        process.wait()
        process, start_ms, _ = up(project)
        process.terminate()
        process.wait()
        sandbox.kill()
        sandbox.wait()

    print(f"{'':24}" + "".join(f"{c:>9} conn  p50       p99      " for c in CONNECTIONS))
    for name, results in rows.items():
        print(f"{name:24}" + "".join(f"{r:>9.0f}/s    {p50:9} {p99:9}" + (f" {bad} bad" if bad else "") for r, p50, p99, bad in results))
    for name, floor in (("native HTTP trigger", "floor: commit"), ("Segment source", "floor: commit")):
        ratios = ", ".join(f"{rows[name][i][0] / rows[floor][i][0]:.2f} at {c}" for i, c in enumerate(CONNECTIONS))
        print(f"{name} / {floor}: {ratios}")
    print(f"RSS of all processes: {idle:.0f} MiB idle, {loaded:.0f} MiB after the load; start to ready: {start_ms:.0f} ms")
    if any(bad for results in rows.values() for *_, bad in results):
        print("some requests were not accepted", file=sys.stderr)
        return 1
    return 0


sys.exit(main())
