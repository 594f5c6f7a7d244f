"""`runnel test` and `runnel record`: the samples' own tests pass; a wrong expectation, a missing mock and a bad file are said; a
recorded run passes until the workflow changes, and nobody is reached."""
import json
import os
import shutil
import tempfile

from harness import Project, eventually

SAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "workflows")

project = Project()
try:
    for name in sorted(os.listdir(SAMPLES)):
        tests = [f for f in os.listdir(f"{SAMPLES}/{name}/workflows") if f.endswith(".test.yaml")]
        if not tests:
            continue
        with tempfile.TemporaryDirectory() as work:  # the samples' folder stays as it is
            shutil.copytree(f"{SAMPLES}/{name}", f"{work}/{name}")
            assert "good" in project.run("check", cwd=f"{work}/{name}").stdout
            results = json.loads(project.run("test", "--json", cwd=f"{work}/{name}").stdout)
            assert results and all(r["ok"] for r in results), [r["failures"] for r in results if not r["ok"]]

    # what goes wrong is said
    with open(f"{project.dir}/workflows/films.yaml", "w") as file:
        file.write("""
steps:
  - { namespace: film, uses: swapi-get-film, props: { film: "{{steps.trigger.event.id}}" } }
  - { namespace: done, end: "{{steps.film.$return_value.title}}" }
""")
    with open(f"{project.dir}/workflows/films.test.yaml", "w") as file:
        file.write("""
tests:
  - name: wrong
    event: { id: "1" }
    mocks: { steps: { film: { return: { title: A New Hope } } } }
    expect: { exit_reason: Another Hope, not_run: [film], steps: { film: { inputs: { film: "2" } }, gone: { status: succeeded } } }
  - name: no mock
    event: { id: "1" }
""")
    done = project.run("test", "films", "--json", check=False)
    assert done.returncode == 1
    wrong, unmocked = json.loads(done.stdout)
    assert wrong["failures"] == ['exit_reason: expected "Another Hope", got "A New Hope"',
                                 'steps.film.inputs.film: expected "2", got "1"',
                                 "steps.gone: the step did not run",
                                 "not_run: the step film ran"], wrong["failures"]
    assert any("https://swapi.dev/api/films/1/ has no mock" in f for f in unmocked["failures"]), unmocked["failures"]
    with open(f"{project.dir}/workflows/films.test.yaml", "w") as file:
        file.write("tests:\n  - name: x\n    expects: {}\n")
    done = project.run("test", "films", check=False)
    assert done.returncode == 1 and 'films.test.yaml:3:5: unknown key "expects" in a test; there are: name, event' in done.stderr, done.stderr
    os.remove(f"{project.dir}/workflows/films.test.yaml")

    # record: a run becomes a test, which passes until the workflow changes
    assert project.up()
    assert [d["status"] for d in project.send({"messageId": "m-1", "event": "Signed Up", "userId": "ann"})] == [200]
    eventually("the run ended", lambda: [r["status"] for r in project.json("runs")] == ["succeeded"])
    run = project.json("runs")[0]["id"]
    project.run("record", run)
    again = project.run("record", run, check=False)
    assert again.returncode == 1 and "it is there already" in again.stderr
    project.stop()
    path = f"{project.dir}/workflows/segment-to-discord.test.yaml"
    text = open(path).read()
    assert "sandbox-token" not in text, "a secret is in the recorded test"
    received = len(project.received("discord"))
    assert "1 test, 0 failed" in project.run("test").stdout
    workflow = f"{project.dir}/workflows/segment-to-discord.yaml"
    with open(workflow) as file:
        before = file.read()
    with open(workflow, "w") as file:
        file.write(before.replace("from", "by"))
    done = project.run("test", check=False)
    assert done.returncode == 1 and 'steps.notify.inputs.message: expected "Signed Up from ann", got "Signed Up by ann"' in done.stdout, done.stdout
    assert len(project.received("discord")) == received, "a test reaches nobody"

    # a dry replay shows what the change would do to a past run
    done = project.run("replay", run, "--dry-run", "--diff")
    assert '~ notify.inputs.message: expected "Signed Up from ann", got "Signed Up by ann"' in done.stdout, done.stdout
    diff = json.loads(project.run("replay", "--status", "succeeded", "--dry-run", "--diff", "--json").stdout)
    assert [d["run"] for d in diff] == [run] and not diff[0]["same"], diff
    assert len(project.received("discord")) == received and len(project.json("runs")) == 1

    # a run that somebody resumed and that an action ended is recorded with both
    gated = """
triggers: [{ namespace: hand, manual: true }]
steps:
  - { namespace: ask, suspend: { timeout: 1h } }
  - { namespace: gate, uses: filter-exit-based-on-condition, props: { initialValue: "{{steps.ask.$resume_data.total}}", condition: LESS_THAN, secondValue: "5" } }
  - { namespace: film, uses: swapi-get-film, props: { film: "1" } }
"""
    with open(f"{project.dir}/workflows/gated.yaml", "w") as file:
        file.write(gated)
    assert project.up()
    stopped = project.run("run", "gated", "--no-wait").stdout.strip()
    eventually("it pauses", lambda: project.json("inspect", stopped)["status"] == "paused")
    project.run("resume", stopped, "--data", '{"total":3}')
    eventually("it ended", lambda: project.json("inspect", stopped)["status"] == "succeeded")
    assert [s["path"] for s in project.json("inspect", stopped)["steps"]] == ["ask", "gate"]
    project.run("record", stopped)
    assert "1 test, 0 failed" in project.run("test", "gated").stdout
    assert "no difference" in project.run("replay", stopped, "--dry-run", "--diff").stdout
    with open(f"{project.dir}/workflows/gated.test.yaml", "a") as file:
        file.write("  - name: typo\n    mocks: { steps: { ask: { resumed: { total: 9 } } } }\n")
    done = project.run("test", "gated", check=False)
    assert done.returncode == 1 and 'unknown key "resumed" in a step\'s mock; there are: return, exports, error, resume, exit' in done.stderr, done.stderr
    os.remove(f"{project.dir}/workflows/gated.test.yaml")

    # `run` takes the files as they are at that moment, and says so where it cannot
    with open(f"{project.dir}/workflows/gated.yaml", "w") as file:
        file.write("triggers: [{ namespace: hand, manual: true }]\nsteps: [{ namespace: stop, end: other }]\n")
    assert project.json("run", "gated")["exit_reason"] == "other"
    with open(f"{project.dir}/workflows/gated.yaml", "a") as file:
        file.write("nonsense: 1\n")
    done = project.run("run", "gated", check=False)
    assert done.returncode == 1 and 'gated.yaml:3:1: error: unknown key "nonsense"' in done.stderr and "mend" in done.stderr, done
    os.remove(f"{project.dir}/workflows/gated.yaml")
    project.stop()

    # versions: what was deployed can be listed, compared and brought back
    assert project.up()
    eventually("deployed", lambda: len(project.json("workflows", "history", "segment-to-discord")) == 2)
    difference = project.run("workflows", "diff", "segment-to-discord").stdout
    assert "+      message:" in difference and "by {{" in difference, difference
    project.run("workflows", "rollback", "segment-to-discord")
    with open(workflow) as file:
        assert file.read() == before
    done = project.run("replay", run, "--dry-run", "--diff")
    assert "no difference" in done.stdout, done.stdout
    unknown = project.run("workflows", "rollback", "segment-to-discord", "ffff", check=False)
    assert unknown.returncode == 1 and "no version ffff" in unknown.stderr
    project.stop()
    print("workflow tests: good")
finally:
    project.close()
