"""kill -9 at every step boundary of a run that goes through every construct of a workflow: whatever the moment, the run ends as it does
undisturbed, nothing of it twice.

The run is started again and again with the next passage of a fault point armed, until the point is not met any more."""
import http.client
import json
import os

from harness import TrialProject, eventually

DO = "uses: trial-do, retry: { attempts: 9, backoff: { initial: 10ms, max: 20ms } }"
ACCOUNT = "trial: { account: trial }"


def do(name, value="1", more=""):
    return f"{{ namespace: {name}, {DO}, props: {{ {ACCOUNT}, value: {value} }}{more} }}"


def fail(name, more=""):
    return f"{{ namespace: {name}, {DO}, props: {{ {ACCOUNT}, what: tell, fails: true }}{more} }}"


EVERY = f"""
triggers: [{{ namespace: hook, http: {{ respond: workflow }} }}]
steps:
  - {do("first", '"{{steps.trigger.event.n}}"')}
  - namespace: choose
    if:
      - when: "{{{{steps.first.$return_value === 7}}}}"
        steps: [{do("no")}]
      - when: "{{{{steps.first.$return_value === 1}}}}"
        steps: [{do("yes", '"{{steps.first.$return_value}}"')}]
    else: [{do("other")}]
  - namespace: sort
    switch: "{{{{steps.choose.$return_value.$return_value}}}}"
    cases: [{{ is: [1, 2], steps: [{do("one")}] }}]
    default: [{do("none")}]
  - namespace: fan
    parallel:
      left: {{ steps: [{do("l", "left")}, {{ namespace: short, delay: 1ms }}, {do("l2", "end")}] }}
      right: {{ steps: [{do("r", "right")}] }}
      broken: {{ steps: [{fail("b")}, {do("after_b")}] }}
      unused: {{ when: "{{{{steps.first.$return_value > 1}}}}", steps: [{do("u")}] }}
    on_branch_error: continue
  - namespace: each
    for_each: [10, 20, 30]
    concurrency: 2
    on_item_error: continue
    steps:
      - {do("item", '"{{steps.each.item}}"')}
      - namespace: second
        if: "{{{{steps.each.index === 1}}}}"
        steps: [{fail("bad_item")}]
  - {fail("caught", f", on_error: [{do('rescue', chr(34) + '{{steps.caught.$error.code}}' + chr(34))}]")}
  - {fail("soft", ", on_error: continue")}
  - {{ namespace: nap, delay: 20ms }}
  - {{ namespace: nobody, suspend: {{ timeout: 20ms, on_timeout: continue }} }}
  - {{ namespace: again, uses: trial-do, props: {{ {ACCOUNT}, what: rerun, ms: 5, max: 3 }}, retry: {{ attempts: 9, backoff: {{ initial: 10ms }} }} }}
  - {{ namespace: call, workflow: child, event: {{ n: "{{{{steps.first.$return_value}}}}" }} }}
  - {{ namespace: shoot, workflow: child, event: {{ n: 5 }}, wait: false }}
  - {{ namespace: answer, respond: {{ status: 201, body: {{ n: 1 }} }} }}
  - {{ namespace: stop, end: "{{{{steps.call.$return_value}}}} {{{{steps.each.$return_value.length}}}} {{{{Object.keys(steps.fan.$return_value).sort().join()}}}}" }}
  - {do("never")}
"""
CHILD = f"""
triggers: [{{ namespace: hand, manual: true }}]
steps:
  - {do("inner", '"{{steps.trigger.event.n}}"')}
"""
FAILING = f"""
triggers: [{{ namespace: hand, manual: true }}]
settings: {{ on_error: told, auto_retry: [5ms, 10ms] }}
steps:
  - {do("good")}
  - {fail("bad")}
"""
TOLD = f"""
triggers: [{{ namespace: hand, manual: true }}]
steps: [{{ namespace: said, end: "{{{{steps.trigger.event.error.cellId}}}} of {{{{steps.trigger.event.original_context.id}}}}" }}]
"""
ENDS = ("succeeded", "failed", "cancelled")
POINTS = ("step.before_call", "step.after_call", "run.before_end", "store.commit", "store.committed")

project = TrialProject()


def begin(name):
    """Starts a run; its id is not known where the runtime died over it."""
    try:
        return project.api(f"workflows/{name}/run", {"event": {"n": 1}})["run"]
    except (OSError, ValueError, http.client.HTTPException):
        return None


def shape(run):
    """What is to be the same whenever the runtime was killed; an attempt whose outcome nobody knows is one more, and only that."""
    steps = [s for s in run["steps"] if s["status"] != "unknown"]
    paths = [(s["path"], s["status"], json.dumps(s.get("exports", {}).get("$return_value")) if s.get("kind") in ("if", "switch", "parallel", "for_each") else "")
             for s in steps]
    return run["status"], run.get("exit_reason"), (run.get("error") or {}).get("text"), sorted(paths)


def runs(name):
    return {r["id"]: r for r in project.every("runs", workflow=name)}


def settled():
    return all(r["status"] in ENDS for name in ("every", "child", "failing", "told") for r in runs(name).values())


def is_dead():
    return project.up_process.poll() is not None


def ended_or_died(run):
    try:
        return is_dead() or (settled() and project.api(f"runs/{run}")["status"] in ENDS)
    except (OSError, ValueError, http.client.HTTPException):
        return is_dead()  # it is dying: asked again


def disturb(name, point, passage, known, expected, started):
    """One run of `name` with a kill; whether the point was met. `known`: the runs from before; `started`: how many others it starts."""
    if project.up(fault=f"{point}:{passage}"):
        run = begin(name)
        eventually("killed, or ended", lambda: ended_or_died(run))
        if not is_dead():
            project.stop()
            return False
    assert project.up(), open(f"{project.dir}/up.log").read()
    eventually("every run ended", settled)
    new = [project.api(f"runs/{run}") for run in runs(name) if run not in known]
    assert len(new) <= 1, new
    for run in new:
        assert shape(run) == expected, f"{point}:{passage}\n{shape(run)}\n{expected}"
    for other, count in started.items():
        ids = [run for run, r in runs(other).items() if run not in known]
        assert len(ids) == count * len(new), (f"{point}:{passage}", other, ids)
    project.kill()
    return True


try:
    for name, text in (("every", EVERY), ("child", CHILD), ("failing", FAILING), ("told", TOLD)):
        with open(f"{project.dir}/workflows/{name}.yaml", "w") as file:
            file.write(text)
    project.run("check")
    assert project.up(), open(f"{project.dir}/up.log").read()
    first, bad = begin("every"), begin("failing")
    eventually("every run ended", settled)
    undisturbed, failed = shape(project.api(f"runs/{first}")), shape(project.api(f"runs/{bad}"))
    assert undisturbed[:2] == ("succeeded", "1 3 broken,left,right"), undisturbed
    assert failed[0] == "failed" and sum(p[0] == "bad" for p in failed[3]) == 3, failed
    assert [r["exit_reason"] for r in runs("told").values()] == [f"bad of {bad}"]
    project.stop()

    kills = {}
    step = 7 if os.environ.get("RUNNEL_SANITIZE") else 1
    for name, expected, started in (("every", undisturbed, {"child": 2}), ("failing", failed, {"told": 1})):
        for point in POINTS:
            passage = 1
            while True:
                assert project.up()
                known = {run for n in (name, *started) for run in runs(n)}
                project.kill()
                if not disturb(name, point, passage, known, expected, started):
                    break
                kills[name, point] = kills.get((name, point), 0) + 1
                passage += step
    assert kills["every", "step.before_call"] * step >= 15 and kills["failing", "store.committed"] * step >= 5, kills
    print(f"kill -9 in every construct: good ({sum(kills.values())} kills)")
finally:
    project.close()
