"""`runnel up --sandbox` as the README has it: one process with the vendors beside it; what they know outlives a kill."""
import json
import os
import shutil
import signal
import subprocess
import tempfile

from harness import PATIENCE_S, RUNNEL, eventually

folder = tempfile.mkdtemp(prefix="runnel-test-")
log = open(f"{folder}/up.log", "a")
process = None


def up(*args):
    global process
    process = subprocess.Popen([RUNNEL, "up", "--sandbox", "--sandbox-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
                                *args], cwd=f"{folder}/project", stdout=subprocess.PIPE, stderr=log, text=True)
    line = process.stdout.readline()
    assert line.startswith("ready "), line
    ready = dict(part.split("=", 1) for part in line.split()[1:])
    eventually("the source is active", lambda: runnel("sources", "--json")[0]["state"] == "active")
    return ready["sandbox"]


def runnel(*args, url=None):
    env = {**os.environ, **({"RUNNEL_SANDBOX_URL": url} if url else {})}
    done = subprocess.run([RUNNEL, *args], cwd=f"{folder}/project", env=env, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, (args, done)
    return json.loads(done.stdout) if "--json" in args else done.stdout


def contents(url):
    return [r["received"]["content"] for r in runnel("sandbox", "received", "--vendor", "discord", "--json", url=url)]


try:
    subprocess.run([RUNNEL, "init", f"{folder}/project"], check=True, capture_output=True, timeout=PATIENCE_S)
    url = up()
    assert runnel("sandbox", "send", "--event", '{"event":"First","messageId":"u-1"}', "--json", url=url)[0]["status"] == 200
    eventually("the first run ended", lambda: [r["status"] for r in runnel("runs", "--json")] == ["succeeded"])
    assert contents(url) == ["First from user-1"]
    state = f"{folder}/project/.runnel/sandbox.json"
    eventually("what was received is saved", lambda: "First from user-1" in open(state).read())
    assert os.stat(state).st_mode & 0o777 == 0o600
    process.send_signal(signal.SIGKILL)
    process.wait()

    url = up("--sandbox-limits", "off")
    assert contents(url) == ["First from user-1"]
    assert runnel("sandbox", "send", "--event", '{"event":"Second","messageId":"u-2"}', "--json", url=url)[0]["status"] == 200
    eventually("the second run ended", lambda: [r["status"] for r in runnel("runs", "--json")] == ["succeeded"] * 2)
    assert contents(url)[-1] == "Second from user-1"
    # many at once: 20 messages are over Discord's five in two seconds, which are off here
    sums = runnel("sandbox", "send", "--count", "20", "--json", url=url)
    assert [(s["status"], s["requests"]) for s in sums] == [(200, 20)], sums
    eventually("all have run", lambda: len(contents(url)) == 22)
    # mail goes there, too, without a word in runnel.yaml
    with open(f"{folder}/project/workflows/mail.yaml", "w") as out:
        out.write('triggers:\n- manual: true\nsteps:\n- namespace: mail\n  language: python\n  code: |\n'
                  '    def handler(pd):\n        pd.send.email(subject="Hello", text="from the sandbox")\n')
    eventually("it is deployed", lambda: "mail" in [w["id"] for w in runnel("workflows", "--json")])
    runnel("run", "mail")
    eventually("the mail came", lambda: [(r["received"]["subject"], r["received"]["to"]) for r in runnel("sandbox", "received", "--vendor", "mail", "--json", url=url)]
               == [("Hello", ["owner@example.com"])])
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    done = subprocess.run([RUNNEL, "up", "--sandbox", "--sandbox-limits", "some"], cwd=f"{folder}/project", capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode in (1, 2) and "some" in done.stderr, done
    print("up --sandbox: good")
finally:
    if process and process.poll() is None:
        process.kill()
        process.wait()
    shutil.rmtree(folder, ignore_errors=True)
