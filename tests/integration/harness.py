"""Starts the real binary in a folder of its own and talks to it as its users do."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
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
        return dict(part.split("=", 1) for part in line.split()[1:])

    def kill(self):
        self.up_process.send_signal(signal.SIGKILL)
        self.up_process.wait()

    def stop(self):
        if self.up_process and self.up_process.poll() is None:
            self.up_process.send_signal(signal.SIGTERM)
            assert self.up_process.wait(PATIENCE_S) == 0, "a clean stop exits with 0"

    def close(self):
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


def post(url, body, headers=None):
    """Status and body of a POST; status 0 when no answer came."""
    request = urllib.request.Request(url, body if isinstance(body, bytes) else body.encode(), headers or {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


def eventually(what, condition):
    """Waits for a condition, generously; it is looked at again and again, nothing hangs on how long that takes."""
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, f"never: {what}"
        time.sleep(0.05)
