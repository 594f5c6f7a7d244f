"""Starts the real binary in a folder of its own and talks to it as its users do."""
import http.client
import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

RUNNEL = os.environ["RUNNEL"]
PATIENCE_S = 60


class Project:
    """A sample project (`runnel init`) with the sandbox in a process of its own, so that it survives a kill of the runtime."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="runnel-test-")
        self.up_process = None
        self.run("init", self.dir, cwd="/", project=False)
        self.sandbox_process = subprocess.Popen(
            [RUNNEL, "sandbox", "--listen", "127.0.0.1:0", "--limits", "off"], stdout=subprocess.PIPE, text=True)
        self.sandbox = self.sandbox_process.stdout.readline().split("url=")[1].strip()
        with open(f"{self.dir}/runnel.yaml", "a") as out:
            out.write("egress:\n  allow: [127.0.0.0/8]\n  rewrite:\n")
            for host, base in self.control("rewrites").items():
                out.write(f'    "{host}": "{base}"\n')

    def control(self, path, body=None, method=None):
        """A request to the sandbox's own paths."""
        request = urllib.request.Request(f"{self.sandbox}/_sandbox/{path}", None if body is None else json.dumps(body).encode(),
                                         {"content-type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def run(self, *args, cwd=None, stdin=None, check=True, project=True):
        del project
        done = subprocess.run([RUNNEL, *args], cwd=cwd or self.dir, input=stdin, capture_output=True, text=True, timeout=PATIENCE_S)
        if check and done.returncode:
            raise AssertionError(f"runnel {' '.join(args)} exited with {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def json(self, *args):
        return json.loads(self.run(*args, "--json").stdout)

    def start(self, name, event=None):
        """Starts a run of a workflow by hand, without waiting for it; its id."""
        return self.json("run", name, "--event", json.dumps(event or {}), "--no-wait")["run"]

    def api(self, path, body=None, method=None):
        """A request to the admin API; its answer's JSON."""
        with open(f"{self.dir}/.runnel/admin-token") as file:
            headers = {"authorization": f"Bearer {file.read().strip()}", "content-type": "application/json"}
        request = urllib.request.Request(f"{self.ready['admin']}/api/v1/{path}", None if body is None else json.dumps(body).encode(), headers, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def every(self, what, **query):
        """All items of a list of the API, newest first, page by page; what is new meanwhile is not among them."""
        items, cursor = [], None
        while True:
            page = self.api(f"{what}?" + urllib.parse.urlencode({"limit": 1000, **query, **({"cursor": cursor} if cursor else {})}))
            items += page["data"]
            cursor = page["next"]
            if not cursor:
                return items

    def up(self, fault=None):
        env = dict(os.environ)
        env.pop("RUNNEL_FAULT", None)
        if fault:
            env["RUNNEL_FAULT"] = fault
        self.log = open(f"{self.dir}/up.log", "a")
        self.up_process = subprocess.Popen([RUNNEL, "up", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"], cwd=self.dir,
                                           stdout=subprocess.PIPE, stderr=self.log, text=True, env=env)
        line = self.up_process.stdout.readline()
        if not line.startswith("ready "):
            self.up_process.wait()
            return None
        self.ready = dict(part.split("=", 1) for part in line.split()[1:])
        return self.ready

    def kill(self):
        self.up_process.send_signal(signal.SIGKILL)
        self.up_process.wait()

    def stop(self):
        if self.up_process and self.up_process.poll() is None:
            self.up_process.send_signal(signal.SIGTERM)
            assert self.up_process.wait(PATIENCE_S) == 0, "a clean stop exits with 0"

    def close(self):
        if sys.exc_info()[0] and os.path.exists(f"{self.dir}/up.log"):
            with open(f"{self.dir}/up.log") as file:
                print("what the runtime said last:", *file.readlines()[-80:], sep="\n  ", file=sys.stderr)
        for process in (self.up_process, self.sandbox_process):
            if process and process.poll() is None:
                process.kill()
                process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def received(self, vendor):
        with urllib.request.urlopen(f"{self.sandbox}/_sandbox/received?vendor={vendor}", timeout=30) as answer:
            return [item["received"] for item in json.load(answer)]

    def send(self, event=None, batch=None):
        body = {"batch": batch} if batch else {"event": event or {}}
        request = urllib.request.Request(f"{self.sandbox}/_sandbox/segment/send", json.dumps(body).encode(),
                                         {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.load(answer)["deliveries"]


class TrialProject(Project):
    """A project whose only plugin worth the name is trial.c: sources and actions that do what the event says."""

    ACCOUNT = "trial-key-0123456789"

    def __init__(self, limits=None, settings=""):
        super().__init__()
        os.remove(f"{self.dir}/workflows/segment-to-discord.yaml")
        self.run("components", "install", os.environ["TRIAL"])
        with open(f"{self.dir}/.env", "a") as env:
            env.write(f"TRIAL_KEY={self.ACCOUNT}\n")
        with open(f"{self.dir}/runnel.yaml", "w") as out:
            out.write('accounts:\n  trial: { app: trial, auth: { key: "${TRIAL_KEY}" } }\n' + settings)
            out.write(f"limits: {{ {limits} }}\n" if limits else "")

    def workflow(self, name, steps, source="unique", trigger="", head=""):
        """Writes a workflow of a trial source and the given steps: what, or (what, more lines of the step, more props)."""
        text = f"{head}triggers:\n  - uses: trial-{source}\n    props: {{ trial: {{ account: trial }} }}\n{trigger}steps:\n"
        for number, step in enumerate(steps, 1):
            what, more, props = (step, "", "") if isinstance(step, str) else step
            text += f"  - namespace: step_{number}\n    uses: trial-do\n{more}"
            text += f"    props: {{ trial: {{ account: trial }}, what: {what}{props} }}\n"
        with open(f"{self.dir}/workflows/{name}.yaml", "w") as out:
            out.write(text)

    def url(self, name):
        return next(e["url"] for e in self.json("endpoints") if e["workflow"] == name)

    def runs(self, name):
        return self.json("runs", "--limit", "500", "--workflow", name)

    def ended(self, name, count):
        """The runs of a workflow once `count` of them have ended, oldest first."""
        eventually(f"{count} runs of {name} ended", lambda: len(
            [r for r in self.runs(name) if r["status"] in ("succeeded", "failed", "cancelled")]) >= count)
        return self.runs(name)[::-1]


class QuietHandler(http.server.BaseHTTPRequestHandler):
    """What a test answers with do_GET() …; nothing is printed."""

    def log_message(self, *_):
        pass


class LocalServer(http.server.ThreadingHTTPServer):
    """An HTTP server of the test's own on loopback, at `url`; it answers at once, in threads of its own, until close()."""

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


def post(url, body, headers=None, context=None):
    """Status and body of a POST; status 0 when no answer came."""
    request = urllib.request.Request(url, body if isinstance(body, bytes) else body.encode(), headers or {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S, context=context) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except (OSError, http.client.HTTPException):
        return 0, b""


def eventually(what, condition):
    """Waits for a condition, generously; it is looked at again and again, nothing hangs on how long that takes."""
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, f"never: {what}"
        time.sleep(0.05)
