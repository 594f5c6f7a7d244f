"""Actions that delay, suspend and rerun their workflow by the SDK; the runtime is killed while they wait."""
import json

from harness import TrialProject, eventually, post

project = TrialProject()
JOURNAL = f"{project.dir}/journal"


def step(what, more=""):
    return (what, "", f", journal: {JOURNAL}, mark: {what}{more}")


def journal(mark):
    try:
        with open(JOURNAL) as lines:
            return [line.split()[1] for line in lines if line.split()[0] == mark]
    except FileNotFoundError:
        return []


def begin(name):
    """Starts a run of the workflow; its id, once it waits (or, with a short wait, has waited)."""
    before = {r["id"] for r in project.runs(name)}
    status, _ = post(project.url(name), json.dumps({"do": "emit", "id": f"{name}-{len(before)}"}))
    assert status in (200, 202), status
    eventually(f"{name} waits", lambda: [r for r in project.runs(name) if r["id"] not in before and r["status"] in ("paused", "succeeded")])
    return next(r["id"] for r in project.runs(name) if r["id"] not in before)


def inspect(run):
    return project.json("inspect", run)


def ended(run):
    eventually(f"{run} ends", lambda: inspect(run)["status"] in ("succeeded", "failed", "cancelled"))
    return inspect(run)


def said(result, namespace="step_1"):
    """What the last attempt of the step returned."""
    return [s for s in result["steps"] if s["path"] == namespace][-1]["exports"]["$return_value"]


def again():
    """kill -9 and a new start, with other ports: the URLs of the runtime before do not hold any more."""
    project.kill()
    assert project.up(), open(f"{project.dir}/up.log").read()


def here(url):
    """The URL of a run that waits, at the runtime that runs now."""
    return project.ready["ingest"] + "/r/" + url.split("/r/")[1]


try:
    after = step("done", ", value: 1")
    project.workflow("delayed", [step("delay", ", ms: 4000"), after])
    project.workflow("resumed", [step("delay", ", ms: 86400000"), after])
    project.workflow("asked", [step("suspend", ""), after])
    project.workflow("unheard", [step("suspend", ", ms: 300"), after])
    project.workflow("thrice", [step("rerun", ", ms: 300, max: 3"), after])
    project.workflow("poked", [step("rerun", ", ms: 86400000"), after])
    assert project.up(), open(f"{project.dir}/up.log").read()

    runs = {name: begin(name) for name in ("delayed", "resumed", "asked", "poked")}
    thrice = begin("thrice")
    urls = {name: said(inspect(run)) for name, run in runs.items()}
    again()

    # The delay ends by itself, and the step that asked for it is not called again.
    result = ended(runs["delayed"])
    assert result["status"] == "succeeded", result
    assert [s["attempt"] for s in result["steps"]] == [1, 1], result["steps"]

    # So does each rerun, three times in all; the context goes from one to the next.
    result = ended(thrice)
    assert result["status"] == "succeeded", result
    assert said(result)["runs"] == 4 and said(result)["seen"] == 3, said(result)

    # Those of a day end by their URLs, also those given out before the kill.
    for name in ("resumed", "asked", "poked"):
        assert inspect(runs[name])["status"] == "paused", name
        status, body = post(here(urls[name]["resume_url"]), json.dumps({"answer": name}))
        assert status == 200, (name, status, body)
    result = ended(runs["resumed"])
    assert result["status"] == "succeeded", result
    result = ended(runs["asked"])
    assert result["status"] == "succeeded", result
    result = ended(runs["poked"])
    assert result["status"] == "succeeded", result
    poked = said(result)
    assert poked["runs"] == 2 and poked["seen"] == 1, poked
    assert poked["callback"]["method"] == "POST" and poked["callback"]["body"] == {"answer": "poked"}, poked

    # A suspend that nobody answers is cancelled; so is a run whose cancel URL is called.
    status, _ = post(project.url("unheard"), json.dumps({"do": "emit", "id": "unheard"}))
    assert project.ended("unheard", 1)[0]["status"] == "cancelled", project.runs("unheard")
    run = begin("asked")
    status, body = post(here(said(inspect(run))["cancel_url"]), "{}")
    assert status == 200, (status, body)
    assert ended(run)["status"] == "cancelled"

    # Each step was called as often as it says.
    counts = {mark: len(journal(mark)) for mark in ("delay", "suspend", "rerun", "done")}
    assert counts == {"delay": 2, "suspend": 3, "rerun": 6, "done": 5}, counts
    project.stop()
finally:
    project.close()
print("ok")
