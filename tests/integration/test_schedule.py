"""What the clock fires: one event per firing, also over kill -9; what was missed; what overlaps; by hand."""

import json
import os
import threading
import time

from harness import LocalServer, Project, QuietHandler, eventually

STEP = """steps:
  - namespace: film
    uses: swapi-get-film
    props: { film: "1" }
"""


class Slow:
    """A vendor that answers nobody until it is released."""

    def __enter__(self):
        self.gate = gate = threading.Event()

        class Handler(QuietHandler):
            def do_GET(self):
                gate.wait(120)
                try:
                    self.send_response(200)
                    self.send_header("content-length", "2")
                    self.end_headers()
                    self.wfile.write(b"ok")
                except OSError:
                    pass

        self.server = LocalServer(Handler)
        self.url = self.server.url
        return self

    def release(self):
        self.gate.set()

    def __exit__(self, *args):
        self.gate.set()
        self.server.close()


def write(project, name, trigger, steps=STEP, settings=""):
    with open(f"{project.dir}/workflows/{name}.yaml", "w") as file:
        file.write(f"triggers:\n  - {trigger}\n{settings}{steps}")


def schedules(project, name):
    return [s for s in project.json("schedule", "--next", "3") if f"/{name}/" in s["id"]][0]


def firings(project, name):
    """The moments that were fired, oldest first, as the events have them."""
    events = project.json("events", "--limit", "1000", "--source", f"workflows/{name}/trigger")
    return [json.loads(project.run("events", e["id"]).stdout)["event"] for e in reversed(events)]


project = Project()
try:
    os.remove(f"{project.dir}/workflows/segment-to-discord.yaml")
    write(project, "tick", "schedule: { every: 1s, on_missed: all }")
    write(project, "morning", 'schedule: { cron: "0 9 * * 1-5", timezone: Europe/Berlin }')
    write(project, "lazy", "schedule: { every: 1s, on_missed: skip }")
    assert project.run("check").returncode == 0

    # each firing once, in order, without a gap: also those between a kill and the next start
    for point in ("schedule.before_commit:3", "store.commit:9", "store.committed:9", "run.before_end:3"):
        if project.up(fault=point):
            eventually(f"killed at {point}", lambda: project.up_process.poll() is not None)
        assert project.up_process.poll() == -9, point
    time.sleep(2.5)  # the time that is to be missed
    assert project.up()
    eventually("firings again", lambda: schedules(project, "tick")["fired"] >= 12)
    fired = [e["timestamp"] for e in firings(project, "tick")]
    assert fired == list(range(fired[0], fired[0] + len(fired))), fired
    event = firings(project, "tick")[0]
    assert event["interval_seconds"] == 1 and event["timezone_utc"]["timezone"] == "UTC", event
    assert event["timezone_configured"]["iso8601"]["timestamp"].endswith("+00:00"), event
    assert schedules(project, "lazy")["skipped"] >= 1, "what came due while it was down is left out"
    morning = schedules(project, "morning")
    assert morning["fired"] == 0 and len(morning["next"]) == 3 and all("T09:00:00+0" in n for n in morning["next"]), morning
    so_far = {r["id"] for r in project.json("runs", "--limit", "500", "--workflow", "tick")}
    assert len(so_far) >= len(fired)
    eventually("the run of each firing ends well", lambda: so_far <= {
        r["id"] for r in project.json("runs", "--limit", "1000", "--workflow", "tick", "--status", "succeeded")})

    # by hand: another run, the schedule goes on as it was
    by_hand = project.json("fire", "workflows/morning/trigger")
    assert by_hand["run"].startswith("run_"), by_hand
    run = json.loads(project.run("inspect", by_hand["run"], "--json", "--wait").stdout)
    assert run["status"] == "succeeded" and run["trigger"] == "trigger", run
    assert run["trigger_event"]["event"]["cron"] == "0 9 * * 1-5", run["trigger_event"]
    assert schedules(project, "morning")["next"] == morning["next"]

    # pausing: what comes due while a workflow is inactive is not missed
    project.stop()
    for name in ("tick", "lazy", "morning"):
        os.remove(f"{project.dir}/workflows/{name}.yaml")
    write(project, "paused", "schedule: { every: 1s, on_missed: all }", settings="inactive: true\n")
    assert project.up()
    time.sleep(2.5)
    assert not schedules(project, "paused")["active"]
    write(project, "paused", "schedule: { every: 1s, on_missed: all }")
    eventually("it fires", lambda: schedules(project, "paused")["fired"] >= 2)
    stamps = [e["timestamp"] for e in firings(project, "paused")]
    assert stamps == list(range(stamps[0], stamps[0] + len(stamps))), stamps
    assert schedules(project, "paused")["skipped"] == 0
    project.stop()
    os.remove(f"{project.dir}/workflows/paused.yaml")

    # overlap: the first run of each is held by a slow vendor, also over a kill
    with Slow() as slow:
        steps = f"""steps:
  - namespace: call
    uses: http-get-request
    props: {{ url: "{slow.url}/held" }}
    retry: {{ attempts: 5, backoff: {{ initial: 1s, max: 1s }} }}
"""
        for policy in ("skip", "queue", "allow"):
            write(project, policy, f"schedule: {{ every: 1s, on_missed: all, overlap: {policy} }}", steps)
        assert project.up()
        eventually("three are left out", lambda: schedules(project, "skip")["skipped"] >= 3)
        eventually("three wait", lambda: schedules(project, "queue")["waiting"] >= 3)
        eventually("four run", lambda: schedules(project, "allow")["fired"] >= 4)
        assert schedules(project, "skip")["fired"] == 1 and schedules(project, "queue")["fired"] == 1
        project.kill()
        assert project.up()
        waiting = schedules(project, "queue")
        assert waiting["waiting"] >= 3 and waiting["fired"] == 1, waiting
        slow.release()
        eventually("they go on", lambda: schedules(project, "queue")["fired"] >= 5 and schedules(project, "skip")["fired"] >= 2)
        stamps = [e["timestamp"] for e in firings(project, "queue")]
        assert stamps == list(range(stamps[0], stamps[0] + len(stamps))), stamps
        runs = [r for r in project.json("runs", "--limit", "500", "--workflow", "queue") if r["status"] == "succeeded"]
        spans = sorted((r["started"], r["ended"]) for r in runs)
        assert len(spans) >= 3 and all(a[1] <= b[0] for a, b in zip(spans, spans[1:])), spans
        project.stop()
    print("schedules: good")
finally:
    project.close()
