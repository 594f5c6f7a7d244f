"""Events that come while a source is being activated, new or changed: what is accepted runs."""
import json
import os

from harness import TrialProject, eventually, post

project = TrialProject()


def workflow(gate):
    with open(f"{project.dir}/workflows/gated.yaml", "w") as out:
        out.write(f"triggers:\n- uses: trial-gated\n  props: {{ trial: {{ account: trial }}, gate: {gate} }}\nsteps:\n- end: done\n  namespace: done\n")
    eventually("the hook waits", lambda: os.path.exists(f"{gate}.waiting"))


try:
    assert project.up(), open(f"{project.dir}/up.log").read()
    for number in (1, 2):  # new; changed
        gate = f"{project.dir}/gate{number}"
        workflow(gate)
        status, body = post(project.url("gated"), json.dumps({"do": "emit", "id": f"during-{number}"}))
        assert status == 200, (status, body)
        open(gate, "w").close()
        eventually("it is active", lambda: [s["state"] for s in project.json("sources")] == ["active"])
        assert [r["status"] for r in project.ended("gated", number)] == ["succeeded"] * number
    project.stop()
finally:
    project.close()
print("events during a deploy: good")
