"""`events -f` and `logs -f` over a kill -9 of the runtime, in a burst that no list would hold: everything once, nothing twice."""
import concurrent.futures
import json
import signal
import subprocess
import threading

from harness import PATIENCE_S, RUNNEL, TrialProject, eventually, post

BURST = 600

project = TrialProject()


class Follower:
    def __init__(self, *args):
        self.lines, self.notes = [], []
        self.process = subprocess.Popen([RUNNEL, *args, "--json"], cwd=project.dir, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.threads = [threading.Thread(target=self.read, args=pair) for pair in ((self.process.stdout, self.lines), (self.process.stderr, self.notes))]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def read(stream, into):
        for line in stream:
            into.append(line)

    def values(self):
        return [json.loads(line) for line in self.lines]

    def end(self):
        assert self.process.poll() is None, self.notes
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE_S)
        for thread in self.threads:
            thread.join()


def send(url, names):
    return [name for name in names if post(url, json.dumps({"do": "emit", "id": name}))[0] == 200]


def burst(mark):
    url = project.url("told")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        sent = [name for part in pool.map(lambda n: send(url, [f"{mark}-{i}" for i in range(n, BURST, 8)]), range(8)) for name in part]
    assert len(sent) == BURST
    eventually("all runs ended", lambda: project.api("status")["store"]["queued"] == project.api("status")["store"]["live"] == 0)
    return sent


followers = []
try:
    project.workflow("told", [("tell", "", "")])
    assert project.up(), open(f"{project.dir}/up.log").read()
    send(project.url("told"), ["before-1", "before-2"])
    project.ended("told", 2)
    source = "workflows/told/trigger"
    events, logs = Follower("events", "-f", "-n", "1"), Follower("logs", "-f")
    own, none = Follower("logs", source, "-f"), Follower("events", "-f", "--source", "workflows/other/trigger")
    followers = [events, logs, own, none]
    eventually("what was there", lambda: len(events.lines) == 1 and len(logs.lines) == 2)

    sent = burst("first")
    eventually("the burst was followed", lambda: len(events.lines) >= 1 + BURST and len(logs.lines) >= 2 + BURST)
    project.kill()
    assert project.up()
    sent += burst("second")
    project.stop()  # in the middle of nothing: what came last was told, and is not told again
    assert project.up()
    sent += send(project.url("told"), ["last"])
    eventually("all was followed", lambda: len(events.lines) >= 1 + len(sent) and len(logs.lines) >= 2 + len(sent))
    for follower in followers:
        follower.end()

    ids = [e["emit_id"] for e in events.values()]
    assert ids[0] == "before-2" and sorted(ids[1:]) == sorted(sent), (len(ids), len(sent))
    assert [e["id"] for e in events.values()] == sorted(e["id"] for e in events.values()), "in the order of acceptance"
    lines = logs.values()
    runs = [line["run"] for line in lines]
    assert len(runs) == len(set(runs)) == 2 + len(sent), (len(runs), len(set(runs)), len(sent))
    assert all("[redacted]" in line["text"] for line in lines)
    assert any("is gone" in note for note in events.notes) and len(events.notes) <= 4, events.notes
    assert not own.lines and not none.lines

    # a call that cannot begin
    project.stop()
    done = project.run("logs", "-f", check=False)
    assert done.returncode == 1 and "no runtime is up" in done.stderr, done
    print(f"follow: good ({len(sent)} events and lines over two restarts)")
finally:
    for follower in followers:
        if follower.process.poll() is None:
            follower.process.kill()
    project.close()
