"""settings.memory of a workflow: its actions have plugin processes with that limit, beside those of the others."""
import json
import os
import urllib.request

from harness import TrialProject, eventually

SANITIZED = bool(os.environ.get("RUNNEL_SANITIZE"))
MIB = 1 << 20


def workflow(project, name, memory, *steps):
    """Steps: what, more lines of the step, more props."""
    text = f"triggers: [{{ namespace: hand, manual: true }}]\nsettings: {{ {memory} }}\nsteps:\n"
    for number, (what, more, props) in enumerate(steps, 1):
        text += f"  - namespace: step_{number}\n    uses: trial-do\n{more}    props: {{ trial: {{ account: trial }}, what: {what}{props} }}\n"
    with open(f"{project.dir}/workflows/{name}.yaml", "w") as out:
        out.write(text)


def run(project, name):
    return json.loads(project.run("run", name, "--event", "{}", "--json", check=False).stdout)


def hosts(project):
    """Limit (None: limits.plugin_memory) → state of the trial plugin's processes."""
    return {h.get("memory"): h for h in project.api("status")["plugins"] if h["plugin"] == "trial"}


if SANITIZED:
    print("a sanitizer's memory is not under the limits: nothing to see")
    raise SystemExit(0)
project = TrialProject(limits="plugin_memory: 512MiB")
try:
    workflow(project, "greedy", "memory: 64MiB", ("eat", "    retry: { attempts: 2, backoff: { initial: 10ms, max: 10ms } }\n", ""))
    workflow(project, "once", "memory: 64MiB", ("eat", "    on_unknown: fail\n", ""))
    workflow(project, "small", "memory: 32MiB", ("echo", "", ""), ("use-memory", "    retry: { attempts: 1 }\n", ", max: 100"))
    workflow(project, "plain", "timeout: 30s", ("use-memory", "", ", max: 100"), ("echo", "", ""))
    with open(f"{project.dir}/workflows/many.yaml", "w") as out:
        out.write("triggers: [{ namespace: hand, manual: true }]\nsettings: { memory: 32MiB }\nsteps:\n  - namespace: each\n"
                  '    for_each: "{{Array(40).fill(1)}}"\n    concurrency: 40\n    steps:\n'
                  "      - { namespace: one, uses: trial-do, props: { trial: { account: trial }, what: echo, value: \"{{steps.each.item}}\" } }\n")
    project.run("check")
    assert project.up()
    assert run(project, "plain")["status"] == "succeeded"
    plain = hosts(project)[None]["pid"]

    # too much: that call alone, counted as an attempt, with its reason
    result = run(project, "greedy")
    assert result["status"] == "failed" and result["error"]["code"] == "out_of_memory", result["error"]
    assert "ran out of memory (limit 64 MiB)" in result["error"]["text"], result["error"]
    assert [s["error"]["code"] for s in result["steps"]] == ["out_of_memory"] * 2, result["steps"]

    # nobody knows what it had done before: who does not want it done twice is told so
    result = run(project, "once")
    assert result["status"] == "failed" and result["error"]["code"] == "unknown" and "out of memory" in result["error"]["text"], result["error"]
    assert len(result["steps"]) == 1, result["steps"]

    # a component that is told that there is no more says so itself
    result = run(project, "small")
    assert result["status"] == "failed" and result["error"]["code"] == "out_of_memory" and "there is not so much" in result["error"]["text"], result["error"]

    # the least that may be said carries a plugin with many calls at once
    result = run(project, "many")
    assert result["status"] == "succeeded", result["error"]

    # the others have a process of their own, which did not notice
    assert run(project, "plain")["status"] == "succeeded"
    now = hosts(project)
    assert set(now) == {None, 64 * MIB, 32 * MIB}, now
    assert now[None]["pid"] == plain and now[None]["crashes"] == 0 and now[64 * MIB]["crashes"] == 3, now
    request = urllib.request.Request(project.ready["admin"] + "/metrics", headers={"authorization": "Bearer " + open(f"{project.dir}/.runnel/admin-token").read().strip()})
    with urllib.request.urlopen(request, timeout=60) as answer:
        series = [line.rsplit(" ", 1)[0] for line in answer.read().decode().splitlines() if line.startswith("runnel_plugin_starts_total{")]
    assert len(series) == len(set(series)) >= 3, series
    eventually("the runs are over", lambda: all(r["status"] in ("succeeded", "failed") for r in project.json("runs")))
    project.stop()
    print("plugin memory ok")
finally:
    project.close()
