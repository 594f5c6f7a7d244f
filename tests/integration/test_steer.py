"""Runs steered by hand: cancel in the queue, while they wait and while they run; resume; workflows switched off and on; over a kill -9."""
import json
import os
import threading

from harness import Project, eventually, post

HELD = "settings: { throttle: { limit: 0, interval: 1s } }\n"
WORKFLOWS = {
    "held": "triggers: [{ namespace: hook, http: {} }]\n" + HELD + "steps: [{ namespace: stop, end: done }]\n",
    "keyed": """
triggers: [{ namespace: hook, http: {} }]
settings: { concurrency: { key: "{{steps.trigger.event.body.key}}", workers: 1 } }
steps: [{ namespace: wait, language: bash, code: "while [ ! -e gate ]; do read -t 0.05 < <(:) || :; done" }]
""",
    "asked": "triggers: [{ namespace: hook, http: { respond: workflow } }]\n" + HELD + "steps: [{ namespace: stop, end: done }]\n",
    "ask": """
triggers: [{ namespace: hand, manual: true }]
steps:
  - { namespace: ask, suspend: { timeout: 1h } }
  - { namespace: stop, end: "{{steps.ask.$resume_data.answer}}" }
""",
}

project = Project()


def urls():
    return {e["workflow"]: e["url"] for e in project.json("endpoints")}


def send(name, count, **body):
    for _ in range(count):
        assert post(urls()[name], json.dumps(body))[0] == 200


def of(name, status):
    return [r["id"] for r in project.json("runs", "--workflow", name, "--status", status, "--limit", "1000")]


def counts(name):
    return next((w["queued"], w["running"]) for w in project.json("workflows") if w["id"] == name)


try:
    for name, text in WORKFLOWS.items():
        with open(f"{project.dir}/workflows/{name}.yaml", "w") as file:
            file.write(text)
    assert project.up(), open(f"{project.dir}/up.log").read()

    # in the queue: one, then by a filter; a kill -9 changes nothing
    send("held", 5)
    first = of("held", "queued")[-1]
    project.run("cancel", first)
    eventually("it is cancelled", lambda: of("held", "cancelled") == [first])
    assert counts("held") == (4, 0)
    assert "neither runs nor waits" in project.run("cancel", first, check=False).stderr
    dry = project.run("cancel", "--status", "queued", "--workflow", "held", "--dry-run")
    assert "4 of 4 would be cancelled" in dry.stderr and len(of("held", "queued")) == 4
    project.kill()
    assert project.up()
    assert of("held", "cancelled") == [first] and len(of("held", "queued")) == 4
    assert len(project.json("cancel", "--status", "queued", "--workflow", "held")) == 4
    eventually("all are cancelled", lambda: len(of("held", "cancelled")) == 5 and counts("held") == (0, 0))
    assert project.json("inspect", first)["error"]["code"] == "cancelled" and not project.json("inspect", first)["steps"]
    project.run("replay", first)
    eventually("its replay waits", lambda: len(of("held", "queued")) == 1)

    # a queue whose workflow is off
    project.run("workflows", "disable", "held")
    waiting = of("held", "queued")
    done = project.run("cancel", *waiting, check=False)
    assert done.returncode == 1 and 'waits for the workflow "held", which is not active' in done.stderr, done
    project.run("workflows", "enable", "held")
    project.run("cancel", *waiting)
    eventually("its replay is cancelled", lambda: not of("held", "queued"))

    # a sender who waits for the answer of a run that never begins
    answers = []
    sender = threading.Thread(target=lambda: answers.append(post(urls()["asked"], "{}")))
    sender.start()
    eventually("it waits", lambda: of("asked", "queued"))
    project.run("cancel", *of("asked", "queued"))
    sender.join(60)
    assert answers[0][0] == 400 and b"no_response" in answers[0][1], answers

    # of a key: one that runs, one behind it; the order of the others stays
    send("keyed", 3, key="a")
    eventually("one runs", lambda: counts("keyed") == (2, 1))
    second, third = of("keyed", "queued")[::-1]
    project.run("cancel", second)
    running = of("keyed", "running")
    project.run("cancel", *running)
    eventually("the third runs", lambda: of("keyed", "running") == [third])
    assert sorted(of("keyed", "cancelled")) == sorted([second, *running])
    open(f"{project.dir}/gate", "w").close()
    eventually("it has run", lambda: of("keyed", "succeeded") == [third])

    # resume, with data; what does not wait says so
    run = project.run("run", "ask", "--no-wait").stdout.strip()
    eventually("it pauses", lambda: of("ask", "paused") == [run])
    project.run("resume", run, "--data", '{"answer":"yes"}')
    eventually("it went on", lambda: project.json("inspect", run)["status"] == "succeeded")
    assert project.json("inspect", run)["exit_reason"] == "yes"
    assert project.run("resume", run, check=False).returncode == 1
    run = project.run("run", "ask", "--no-wait").stdout.strip()
    eventually("it pauses", lambda: of("ask", "paused") == [run])
    project.run("cancel", run)
    eventually("it is cancelled", lambda: of("ask", "cancelled") == [run])

    # off and on
    hook = urls()["keyed"]
    assert "inactive: true" in project.run("workflows", "disable", "keyed").stdout
    eventually("it takes none", lambda: post(hook, "{}")[0] == 404)
    project.run("workflows", "enable", "keyed")
    eventually("it takes them again", lambda: post(hook, "{}")[0] == 200)

    # a file with mistakes is listed: one that was never deployed, and one whose version before goes on
    for name, text in (("wrong", "steps: [{ namespace: a, delya: 1s }]\n"), ("ask", WORKFLOWS["ask"] + "setings: {}\n")):
        with open(f"{project.dir}/workflows/{name}.yaml", "w") as file:
            file.write(text)
    project.api("reload", {})
    listed = {w["id"]: w for w in project.json("workflows")}
    assert listed["wrong"]["errors"] >= 1 and not listed["wrong"]["active"] and "version" not in listed["wrong"], listed["wrong"]
    assert listed["ask"]["errors"] == 1 and listed["ask"]["active"] and listed["ask"]["version"], listed["ask"]
    assert listed["held"]["errors"] == 0
    os.remove(f"{project.dir}/workflows/wrong.yaml")
    project.api("reload", {})
    assert "wrong" not in {w["id"] for w in project.json("workflows")}

    # wrong calls
    for call, says in ((("cancel",), "neither"), (("cancel", run, "--status", "queued"), "both"), (("cancel", "--status", "failed"), "have ended"),
                       (("cancel", "--status", "pasued"), "did you mean paused"), (("resume",), "RUN")):
        done = project.run(*call, check=False)
        assert done.returncode == 2 and says in done.stderr, (call, done)
    project.stop()
    print("steered: good")
finally:
    project.close()
