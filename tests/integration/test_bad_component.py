"""Promises 3, 4 and 5: a step is at-least-once and says so; nothing is stuck; a bad component harms only itself."""
import json
import os
import shutil

from harness import TrialProject, eventually, post

SANITIZED = bool(os.environ.get("RUNNEL_SANITIZE"))
RETRY = "    retry: { attempts: 4, backoff: { initial: 10ms, max: 10ms } }\n"
SHORT = "    timeout: 1s\n    retry: { attempts: 1 }\n"


def fire(project, name, number=1):
    status, body = post(project.url(name), json.dumps({"do": "emit", "id": f"{name}-{number}"}))
    assert status == 200, (name, status, body)


def only_run(project, name):
    run, = project.ended(name, 1)
    return project.json("inspect", run["id"])


def error_of(run):
    return json.dumps(run["error"])


project = TrialProject(limits="plugin_memory: 96MiB")
journal = f"{project.dir}/journal"


def notes(mark):
    with open(journal) as file:
        return [line.split()[1] for line in file if line.split()[0] == mark]


def noted(what, mark, more=""):
    return what, more, f", journal: {journal}, mark: {mark}"


try:
    # a second copy of the plugin's neighbour: another plugin that must go on
    with open(f"{project.dir}/workflows/neighbour.yaml", "w") as out:
        out.write('triggers:\n  - uses: http-webhook\nsteps:\n'
                  '  - namespace: film\n    uses: http-get-request\n    props: { url: "http://127.0.0.1:1/" }\n')
    project.workflow("again", [noted("fail-first", "again", RETRY), noted("echo", "second")])
    project.workflow("crash-once", [noted("crash-first", "crash-once", RETRY)])
    project.workflow("crash-unknown", [noted("crash", "crash-unknown", "    retry: { attempts: 4 }\n    on_unknown: fail\n"), "echo"])
    project.workflow("wait", [("wait", SHORT, "")])
    project.workflow("spin", [("spin", SHORT, "")])
    project.workflow("eat", [("eat", "    on_unknown: fail\n", "")])
    with open(f"{project.dir}/workflows/crash.yaml", "w") as out:
        out.write("triggers:\n  - http: {}\nsteps:\n  - namespace: step_1\n    uses: trial-do\n    on_unknown: fail\n"
                  "    props: { trial: { account: trial }, what: crash }\n")
    project.workflow("good", ["echo"])
    project.workflow("held", [noted("wait", "held", "    on_unknown: fail\n")])
    project.workflow("parked", [noted("wait-first", "parked", RETRY)])
    project.run("check")
    assert project.up()

    # the idempotency key is that of the step, over its attempts, and no other step's
    fire(project, "again")
    run = only_run(project, "again")
    assert run["status"] == "succeeded", run
    first, second = notes("again"), notes("second")
    assert len(first) == 2 and len(set(first)) == 1 and second and second[0] != first[0], (first, second)

    # a crash during a call: unknown, shown as such, retried with the same key
    fire(project, "crash-once")
    run = only_run(project, "crash-once")
    assert run["status"] == "succeeded", run
    keys = notes("crash-once")
    assert len(keys) == 2 and len(set(keys)) == 1, keys
    assert "unknown" in json.dumps(run), run

    # on_unknown: fail does not call again, and says that nobody knows
    fire(project, "crash-unknown")
    run = only_run(project, "crash-unknown")
    assert run["status"] == "failed" and "unknown" in json.dumps(run), run
    assert len(notes("crash-unknown")) == 1

    # the deadline of a step: one that listens is asked, one that spins is killed, with its host alone
    for name in ("wait", "spin"):
        fire(project, name)
        run = only_run(project, name)
        assert run["status"] == "failed" and "deadline" in error_of(run), run

    # memory: the host's limit, not the machine's
    if not SANITIZED:
        fire(project, "eat")
        run = only_run(project, "eat")
        assert run["status"] == "failed" and "ran out of memory (limit 96 MiB)" in error_of(run), run

    # after all that the plugin works, and so does the other one
    fire(project, "good")
    assert only_run(project, "good")["status"] == "succeeded"
    assert project.up_process.poll() is None

    # the runtime is killed during a call of a step that must not be called again
    fire(project, "held")
    eventually("the call has begun", lambda: os.path.exists(journal) and notes("held"))
    project.kill()
    assert project.up()
    run = only_run(project, "held")
    assert run["status"] == "failed" and "on_unknown: fail" in error_of(run), run
    assert len(notes("held")) == 1

    # a clean stop during a call: the run is parked, not ended, and goes on after the start
    fire(project, "parked")
    eventually("the call has begun", lambda: notes("parked"))
    project.stop()
    assert project.up()
    run = only_run(project, "parked")
    assert run["status"] == "succeeded" and len(set(notes("parked"))) == 1 and len(notes("parked")) == 2, (run, notes("parked"))

    # crashes in a row, with no good answer in between: quarantined, which is to be seen; the other plugin goes on
    for number in range(1, 7):
        assert post(project.url("crash"), "{}")[0] == 200
        project.ended("crash", number)
    run = project.json("inspect", project.runs("crash")[0]["id"])
    assert "quarantined after 5 crashes in a row" in error_of(run), run
    status, body = post(project.url("good"), json.dumps({"do": "emit", "id": "refused"}))
    assert status == 503, (status, body)
    done = project.run("doctor", check=False)
    assert done.returncode == 1 and "quarantined" in done.stdout, done
    status, _ = post(project.url("neighbour"), '{"id":1}')
    assert status == 200, status
    eventually("the neighbour ran", lambda: [r["status"] for r in project.runs("neighbour")] == ["failed"])

    # wrong files are refused with the reason, and change nothing
    shutil.copy(f"{project.dir}/runnel.yaml", f"{project.dir}/not-a-plugin.so")
    done = project.run("components", "install", f"{project.dir}/not-a-plugin.so", check=False)
    assert done.returncode == 1 and "is no shared object" in done.stderr, done
    project.stop()
    print("bad component: good")
finally:
    project.close()
