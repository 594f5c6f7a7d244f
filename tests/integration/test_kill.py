"""kill -9 at every named write boundary, under load, again and again: what was acknowledged is there once, and its run ends.

The points are read from the source, so that a new one is not forgotten. Each round starts the runtime with one point armed, sends
events from several senders at once until the runtime is dead, and the next round's start takes up what the dead one left."""
import concurrent.futures
import json
import pathlib
import re

from harness import TrialProject, eventually, post

ROOT = pathlib.Path(__file__).parents[2]
POINTS = sorted({name for path in (ROOT / "runtime").rglob("*.c") for name in re.findall(r'fault_point\("([a-z_.]+)"\)', path.read_text())})
AT = {"store": (1, 40, 150), "source": (2, 40), "step": (3, 60, 130), "run": (2, 40)}  # the n-th passage, per round
DEPLOY = [p for p in POINTS if p.startswith("deploy.")]
# The points of the clock are met in test_schedule.py, those of the outbox in test_sends.py.
LOAD = [p for p in POINTS if p.split(".")[0] in AT]
assert set(POINTS) == {*DEPLOY, *LOAD, *(p for p in POINTS if p.startswith(("schedule.", "outbox.")))}, f"which test meets them? {POINTS}"
SENDERS, EVENTS = 4, 400

project = TrialProject()
journal = f"{project.dir}/journal"
try:
    note = f", journal: {journal}, mark: \"{{{{steps.trigger.event.id}}}}\""
    retry = "    retry: { attempts: 8, backoff: { initial: 10ms, max: 50ms } }\n"
    steps = [("echo", retry, f"{note}, value: \"{{{{steps.trigger.event}}}}\""), ("echo", retry, note),
             ("echo", retry, f"{note}, value: \"{{{{steps.step_1.$return_value.id}}}}\"")]
    project.workflow("load", steps)
    assert project.up()
    endpoint = project.url("load").split("/e/")[1]
    project.stop()

    acknowledged, killed = set(), 0

    def send_all(ingest, numbers, prefix):
        """Sends until no answer comes; the ids that were acknowledged."""
        good = set()
        for number in numbers:
            name = f"{prefix}-{number}"
            status, _ = post(f"{ingest}/e/{endpoint}", json.dumps({"do": "emit", "id": name, "number": 9007199254740993}))
            if status == 200:
                good.add(name)
            elif status == 0:
                break
        return good

    for point in LOAD:
        for passage in AT[point.split(".")[0]]:
            ready = project.up(fault=f"{point}:{passage}")
            if ready:
                with concurrent.futures.ThreadPoolExecutor(SENDERS) as pool:
                    for good in pool.map(lambda n: send_all(ready["ingest"], range(n, EVENTS, SENDERS), f"{point}-{passage}"), range(SENDERS)):
                        acknowledged |= good
                eventually(f"killed at {point}", lambda: project.up_process.poll() is not None)
            assert project.up_process.poll() == -9, f"{point} was not met"
            killed += 1

    # while a source is brought up: the next start brings it up, under the URL that it had
    for point in DEPLOY:
        name = point.replace(".", "-")
        project.workflow(name, ["echo"])
        assert not project.up(fault=point) and project.up_process.poll() == -9, f"{point} was not met"
        assert project.up()
        assert post(project.url(name), json.dumps({"do": "emit", "id": name}))[0] == 200
        assert {s["state"] for s in project.json("sources")} == {"active"}
        project.ended(name, 1)
        project.kill()

    ready = project.up()
    assert ready
    # what a sender repeats because it heard nothing, or although it heard: known ids do not run twice
    again = sorted(acknowledged)[::7]
    for name in again:
        assert post(f"{ready['ingest']}/e/{endpoint}", json.dumps({"do": "emit", "id": name}))[0] == 200
    events = project.every("events", source="workflows/load/trigger")

    def all_runs():
        return project.every("runs", workflow="load")

    eventually("every run ended", lambda: all(r["status"] in ("succeeded", "failed") for r in all_runs()))
    runs = all_runs()
    ids = [e["emit_id"] for e in events]
    assert len(ids) == len(set(ids)), "an event is there twice"
    assert acknowledged <= set(ids), f"acknowledged and lost: {acknowledged - set(ids)}"
    assert sorted(r["event"] for r in runs) == sorted(e["id"] for e in events), "each event ran once"
    assert {r["status"] for r in runs} == {"succeeded"}, [r for r in runs if r["status"] != "succeeded"][:3]

    # each step was called at least once, and all its calls bore the same key; no two steps shared one
    keys = {}
    with open(journal) as file:
        for line in file:
            name, key = line.split()
            keys.setdefault(name, set()).add(key)
    assert set(keys) == set(ids)
    assert {len(k) for k in keys.values()} == {len(steps)}, [n for n, k in keys.items() if len(k) != len(steps)][:3]
    assert len(set().union(*keys.values())) == len(steps) * len(ids)
    calls = sum(1 for _ in open(journal))

    # a call that was cut off is to be seen as such
    unknown = 0
    for run in runs:
        if unknown:
            break
        unknown += sum("unknown" in json.dumps(s) for s in project.json("inspect", run["id"])["steps"])
    assert unknown, "no step shows that an outcome was unknown"
    assert len(acknowledged) > 200, (len(acknowledged), killed)
    project.stop()
    print(f"kill -9: good ({killed} kills, {len(acknowledged)} acknowledged, {len(ids)} stored, {calls} calls of {len(ids) * len(steps)} steps)")
finally:
    project.close()
