"""Data stores on the real binary: every request, many runs on one counter, and a kill -9 in the middle."""
import json

from harness import TrialProject, eventually, post

EVENTS = 40

project = TrialProject()
JOURNAL = f"{project.dir}/journal"


def said(run):
    return project.json("inspect", run["id"])["steps"][-1]["exports"]["$return_value"]


def journal():
    with open(JOURNAL) as lines:
        return len(lines.readlines())


def send(name, number):
    status, _ = post(project.url(name), json.dumps({"do": "emit", "id": f"{name}-{number}"}))
    assert status in (200, 202), status


try:
    project.workflow("every", [("use-store", "", ", value: {deep: [1, 9007199254740993]}, store: { store: one }")])
    project.workflow("count", [("count", "", f", journal: {JOURNAL}, store: {{ storeId: numbers }}")])
    project.workflow("none", [("count", "", "")])
    assert project.up(), open(f"{project.dir}/up.log").read()

    send("every", 1)
    run = project.ended("every", 1)[0]
    assert run["status"] == "succeeded", project.json("inspect", run["id"])
    assert said(run) == [["a", "c"], [["c", 3]], 4], said(run)

    send("none", 1)
    run = project.ended("none", 1)[0]
    error = project.json("inspect", run["id"])["error"]["text"]
    assert run["status"] == "failed" and "names no data store" in error, error

    # Many runs count at once; nobody's step is lost, and each sees a number of its own.
    for number in range(EVENTS):
        send("count", number)
    numbers = sorted(said(run) for run in project.ended("count", EVENTS))
    assert numbers == list(range(1, EVENTS + 1)), numbers

    # Killed after a call: what was counted is on disk; the step is done again, as a step is.
    project.stop()
    assert project.up(fault="step.after_call:3")
    url = project.url("count")
    try:
        for number in range(EVENTS, EVENTS + 10):
            post(url, json.dumps({"do": "emit", "id": f"count-{number}"}))
    except (AssertionError, StopIteration, OSError):
        pass  # it is gone
    eventually("killed", lambda: project.up_process.poll() is not None)
    assert project.up(), open(f"{project.dir}/up.log").read()
    for number in range(EVENTS, EVENTS + 10):
        send("count", number)
    eventually("all have ended", lambda: all(r["status"] == "succeeded" for r in project.runs("count")))
    project.ended("count", EVENTS + 10)
    send("count", EVENTS + 10)
    last = max(said(run) for run in project.ended("count", EVENTS + 11))
    assert EVENTS + 11 <= last <= journal(), (last, journal())

    # A prop that is no data store is refused before anything runs.
    project.workflow("wrong", [("count", "", ", store: { shop: one }")])
    checked = project.run("check", check=False)
    assert checked.returncode == 1 and "takes a data store: { store: NAME }" in checked.stdout + checked.stderr, checked
    project.stop()
finally:
    project.close()
print("data stores: good")
