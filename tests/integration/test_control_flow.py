"""Control flow on the real binary: blocks, waits, calls, errors; and what a kill -9 in the middle leaves."""
import datetime
import json
import urllib.request

from harness import Project, eventually, post

WORKFLOWS = {
    "route": """
triggers: [{ namespace: hand, manual: true }]
steps:
  - namespace: decide
    if:
      - when: "{{steps.trigger.event.n > 10}}"
        steps: [{ namespace: big, uses: swapi-get-film, props: { film: "1" } }]
      - when: "{{steps.trigger.event.n > 5}}"
        steps: [{ namespace: middle, uses: swapi-get-film, props: { film: "2" } }]
    else:
      - { namespace: small, uses: swapi-get-film, props: { film: "3" } }
  - namespace: sort
    switch: "{{steps.trigger.event.kind}}"
    cases:
      - is: [a, b]
        steps: [{ namespace: ab, uses: swapi-get-film, props: { film: "4" } }]
    default:
      - namespace: stop
        end: { reason: "kind {{steps.trigger.event.kind}}" }
  - { namespace: after, uses: swapi-get-film, props: { film: "{{steps.decide.$return_value.$return_value.episode_id ? '5' : '6'}}" } }
""",
    "fan": """
steps:
  - namespace: fan
    parallel:
      left: { steps: [{ namespace: l, uses: swapi-get-film, props: { film: "1" } }] }
      right: { when: "{{steps.trigger.event.right}}", steps: [{ namespace: r, uses: swapi-get-film, props: { film: "2" } }] }
      broken: { when: "{{steps.trigger.event.broken}}", steps: [{ namespace: b, uses: swapi-get-film, props: { film: "99" } }] }
    on_branch_error: continue
""",
    "each": """
steps:
  - namespace: loop
    for_each: "{{steps.trigger.event.films}}"
    concurrency: 3
    on_item_error: continue
    steps:
      - { namespace: film, uses: swapi-get-film, props: { film: "{{steps.loop.item}}" } }
      - namespace: only_first
        if: "{{steps.loop.index === 0}}"
        steps: [{ namespace: again, uses: swapi-get-film, props: { film: "{{steps.film.$return_value.episode_id}}" } }]
  - namespace: stop
    end: "{{steps.loop.$return_value.length}}"
""",
    "caught": """
steps:
  - namespace: broken
    uses: swapi-get-film
    props: { film: "99" }
    on_error:
      - { namespace: rescue, uses: swapi-get-film, props: { film: "{{steps.broken.$error.code ? '1' : '2'}}" } }
  - { namespace: ignored, uses: swapi-get-film, props: { film: "98" }, on_error: continue }
  - namespace: stop
    end: "{{steps.ignored.$error.step}}"
""",
    "outer": """
steps:
  - { namespace: call, workflow: inner, event: { x: "{{steps.trigger.event.x}}" } }
  - namespace: stop
    end: "{{steps.call.$return_value.title}}"
""",
    "inner": """
steps:
  - { namespace: film, uses: swapi-get-film, props: { film: "{{steps.trigger.event.x}}" } }
""",
    "script": """
steps:
  - namespace: which
    if: "{{[1, 2, 3].map(n => n * 2).includes(steps.trigger.event.n)}}"
    steps:
      - { namespace: bad_account, uses: swapi-get-film, props: { film: "{{(() => { throw new Error('no film') })()}}" }, on_error: continue }
      - { namespace: quit, end: "{{['even', steps.trigger.event.n].join(' ')}}" }
  - { namespace: odd, end: { reason: "{{`odd ${steps.trigger.event.n}`}}", status: failed } }
""",
    "patient": """
steps:
  - { namespace: film, uses: swapi-get-film, props: { film: "{{steps.trigger.event.film}}" }, retry: { on: all, attempts: 2, backoff: { initial: 6s, max: 6s } } }
""",
    "pause": """
steps:
  - { namespace: nap, delay: "{{steps.trigger.event.ms}}" }
  - { namespace: after, uses: swapi-get-film, props: { film: "1" } }
""",
    "approve": """
steps:
  - { namespace: ask, suspend: { timeout: 1h } }
  - namespace: stop
    end: "{{steps.ask.$resume_data.answer}}"
""",
    "failing": """
settings: { on_error: told }
steps:
  - { namespace: one, uses: swapi-get-film, props: { film: "1" } }
  - { namespace: bad, uses: swapi-get-film, props: { film: "99" } }
""",
    "told": """
steps:
  - namespace: stop
    end: "{{steps.trigger.event.error.cellId}} of {{steps.trigger.event.original_context.workflow_id}}"
""",
    "retried": """
settings: { auto_retry: [1s, 1s] }
steps:
  - { namespace: bad, uses: swapi-get-film, props: { film: "99" } }
""",
    "guarded": """
env: { TOKEN: "from-the-file", NAME: "{{not an expression}}" }
triggers: [{ namespace: hook, http: { auth: { bearer: "{{process.env.TOKEN}}" } } }]
steps: [{ namespace: done, end: "{{process.env.NAME}}" }]
""",
    "private": """
settings: { data_retention: false }
steps:
  - { namespace: film, uses: swapi-get-film, props: { film: "1" } }
""",
}

project = Project()


def run(name, event, check=True):
    done = project.run("run", name, "--event", "-", "--json", stdin=json.dumps(event), check=False)
    result = json.loads(done.stdout)
    if check:
        assert result["status"] == "succeeded", result
    return result


def paths(result, status="succeeded"):
    return [s["path"] for s in result["steps"] if s["status"] == status]


def begin(name, event):
    """Starts a run and does not wait for it; the run's id."""
    request = urllib.request.Request(f"{ready['admin']}/api/v1/workflows/{name}/run", json.dumps({"event": event}).encode(),
                                     {"authorization": "Bearer " + open(f"{project.dir}/.runnel/admin-token").read().strip()})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["run"]


def status(run_id):
    return project.json("inspect", run_id)["status"]


try:
    for name, text in WORKFLOWS.items():
        with open(f"{project.dir}/workflows/{name}.yaml", "w") as file:
            file.write(text)
    project.run("check")
    ready = project.up()
    assert ready, open(f"{project.dir}/up.log").read()

    assert paths(run("route", {"n": 11, "kind": "b"})) == ["decide", "decide.big", "sort", "sort.ab", "after"]
    assert paths(run("route", {"n": 7, "kind": "a"}))[1] == "decide.middle"
    ended = run("route", {"n": 1, "kind": "z"})
    assert ended["exit_reason"] == "kind z" and paths(ended)[:2] == ["decide", "decide.small"], ended
    assert "after" not in paths(ended)

    fan = run("fan", {"right": True, "broken": True})
    block = next(s for s in fan["steps"] if s["path"] == "fan")
    assert set(block["exports"]["$return_value"]) == {"left", "right", "broken"}, block
    assert block["exports"]["$return_value"]["broken"]["$error"]["step"] == "fan.broken.b"
    fan = run("fan", {})
    assert "fan.right.r" not in paths(fan) and "fan.left.l" in paths(fan)

    each = run("each", {"films": ["1", "2", "99", "3"]})
    assert each["exit_reason"] == "4"
    loop = next(s for s in each["steps"] if s["path"] == "loop")
    assert "$error" in loop["exports"]["$return_value"][2] and "loop[0].only_first.again" in paths(each), loop
    wrong = run("each", {"films": 7}, check=False)
    assert wrong["status"] == "failed" and "for_each needs a list and got number" in wrong["error"]["text"], wrong["error"]

    caught = run("caught", {})
    assert caught["exit_reason"] == "ignored" and "broken.on_error.rescue" in paths(caught), caught

    assert run("outer", {"x": "1"})["exit_reason"] == "A New Hope"
    outer = run("outer", {"x": "99"}, check=False)
    assert outer["status"] == "failed" and "of the workflow \"inner\" failed" in outer["error"]["text"], outer["error"]

    # nobody waits for a workflow that is off
    project.run("workflows", "disable", "inner")
    project.api("reload", {})
    outer = run("outer", {"x": "1"}, check=False)
    assert outer["status"] == "failed" and 'the workflow "inner" is inactive' in outer["error"]["text"], outer["error"]
    project.run("workflows", "enable", "inner")

    # the same with expressions that need the engine
    script = run("script", {"n": 4})
    assert script["exit_reason"] == "even 4" and paths(script, "failed") == ["which.bad_account"], script
    script = run("script", {"n": 5}, check=False)
    assert script["status"] == "failed" and script["error"]["text"] == "odd 5", script

    # a run that waits for its next attempt leaves memory and comes back
    patient = begin("patient", {"film": "99"})
    eventually("it waits", lambda: status(patient) == "waiting")
    eventually("it failed", lambda: status(patient) == "failed")
    assert [s["attempt"] for s in project.json("inspect", patient)["steps"]] == [1, 2]

    # what a person reads: what each block decided, when a step is tried again, the version
    text = project.run("inspect", project.json("runs", "--workflow", "route")[0]["id"]).stdout
    assert "if → else" in text and "switch → default" in text and "version " in text, text
    text = project.run("inspect", fan["id"]).stdout
    assert "parallel → left\n" in text, text
    assert "for_each → 4 items" in project.run("inspect", each["id"]).stdout
    pause = project.json("inspect", patient)["steps"][0]["retry_ms"]
    at = datetime.datetime.fromtimestamp(pause / 1000, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    assert f"is tried again at {at}" in project.run("inspect", patient).stdout
    for command in ("runs", "replay"):
        wrong = project.run(command, "--status", "faild", check=False)
        assert wrong.returncode == 2 and "did you mean failed?" in wrong.stderr, wrong
    assert "no such runs" in project.run("replay", "--status", "cancelled", "--since", "1h").stderr

    # a workflow's own variables reach its trigger and its steps
    hook = next(e["url"] for e in project.json("endpoints") if e["workflow"] == "guarded")
    assert post(hook, "{}")[0] == 401
    assert post(hook, "{}", {"authorization": "Bearer from-the-file"})[0] == 200
    eventually("it ran", lambda: [r.get("exit_reason") for r in project.json("runs", "--workflow", "guarded")] == ["{{not an expression}}"])

    # a failing run tells its error workflow
    assert run("failing", {}, check=False)["status"] == "failed"
    eventually("the error workflow ran", lambda: [r.get("exit_reason") for r in project.json("runs", "--workflow", "told")] == ["bad of failing"])

    retried = run("retried", {}, check=False)
    assert retried["status"] == "failed" and len(retried["steps"]) == 3, retried

    private = begin("private", {"secret": "x"})
    eventually("nothing is kept", lambda: project.run("inspect", private, check=False).returncode == 1)

    # a delay and a suspend survive kill -9, and a resume URL stays good
    short = begin("pause", {"ms": 3000})
    long = begin("pause", {"ms": "1h"})
    asked = begin("approve", {})
    for run_id in (short, long, asked):
        eventually("paused", lambda run_id=run_id: status(run_id) == "paused")
    assert {r["id"] for r in project.json("runs", "--status", "paused")} == {short, long, asked}
    text = project.run("inspect", asked).stdout
    assert "ask  paused" in text and "waits until " in text, text
    urls = project.json("inspect", asked)["steps"][0]["exports"]["$return_value"]
    later = project.json("inspect", long)["steps"][0]["exports"]["$return_value"]
    project.kill()
    old = ready["ingest"]
    ready = project.up()
    eventually("the short delay ended", lambda: status(short) == "succeeded")
    assert status(long) == "paused" and status(asked) == "paused"
    here = {key: url.replace(old, ready["ingest"]) for key, url in urls.items()}
    assert post(here["resume_url"][:-9] + "x/resume", "{}")[0] == 404
    assert post(here["resume_url"], json.dumps({"answer": "yes"}))[0] == 200
    eventually("resumed", lambda: status(asked) == "succeeded")
    assert project.json("inspect", asked)["exit_reason"] == "yes"
    text = project.run("inspect", asked).stdout
    assert "ask  succeeded" in text and "resumed at " in text and '"answer": "yes"' in text.split("$resume_data")[1], text
    assert post(here["resume_url"], "{}")[0] == 409
    assert post(later["cancel_url"].replace(old, ready["ingest"]), "")[0] == 200
    eventually("cancelled", lambda: status(long) == "cancelled")

    # kill -9 in the middle of a loop: it resumes at the item where it was
    films = [str(i % 6 + 1) for i in range(30)]
    project.stop()
    ready = project.up(fault="step.after_call:8")
    try:
        looping = begin("each", {"films": films})
    except OSError:
        looping = None
    eventually("killed", lambda: project.up_process.poll() is not None)
    ready = project.up()
    looping = looping or project.json("runs", "--workflow", "each")[0]["id"]
    eventually("the loop ended", lambda: status(looping) == "succeeded")
    result = project.json("inspect", looping)
    assert result["exit_reason"] == "30"
    done = [s["path"] for s in result["steps"] if s["status"] == "succeeded" and s["path"].endswith("].film")]
    assert len(done) == len(set(done)) == 30, "each item once"
    assert len([s for s in result["steps"] if s["status"] == "unknown"]) >= 1
    project.stop()
    print("control flow: good")
finally:
    project.close()
