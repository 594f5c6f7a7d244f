"""A file with a mistake, saved while events come: the version before goes on, with every kind of trigger, over a restart and a kill -9;
nothing that was accepted meanwhile is lost, and the mended file takes over."""
import json
import os
import pathlib

from harness import TrialProject, eventually, post

os.environ["ONLY_HERE"] = "one"  # of the process, and named by one file only, which will be broken
project = TrialProject()
FLOWS = pathlib.Path(project.dir, "workflows")
SHARED = "triggers: [{ namespace: t, source: shared }]\nsteps: [{ namespace: stop, end: \"one {{steps.trigger.event.id}}\" }]\n"
SHARED_A = SHARED.replace("one", "{{process.env.ONLY_HERE}}")
OWN = "triggers: [{ namespace: t, uses: trial-unique, props: { trial: { account: trial } } }]\nsteps: [{ namespace: stop, end: \"one {{steps.trigger.event.id}}\" }]\n"
HTTP = "triggers: [{ namespace: t, http: {} }, { namespace: clock, schedule: { every: 1h } }]\nsteps: [{ namespace: code, uses: ./code.sh }, { namespace: stop, end: \"{{steps.code.said}} {{steps.trigger.event.body?.id ?? 'clock'}}\" }]\n"
NAMES = ("shared-a", "own", "http")


def write(name, text):
    (FLOWS / f"{name}.yaml").write_text(text)


def reasons(name):
    return sorted(r.get("exit_reason") or r["status"] for r in project.json("runs", "--workflow", name, "--limit", "1000"))


def send(mark):
    """An event to each; what is to come of it is what each workflow said of the events before, and of this one."""
    shared = next(s["endpoint"] for s in project.json("sources") if s["id"] == "sources/shared")
    assert post(shared, json.dumps({"do": "emit", "id": mark}))[0] == 200
    assert post(project.url("own"), json.dumps({"do": "emit", "id": mark}))[0] == 200
    assert post(project.url("http"), json.dumps({"id": mark}))[0] == 200
    sent.append(mark)


def all_said(expected):
    return all(reasons(name) == sorted(expected) for name in NAMES) and reasons("shared-b") == sorted(f"one {m}" for m in sent)


try:
    os.makedirs(f"{project.dir}/sources")
    pathlib.Path(project.dir, "sources/shared.yaml").write_text("uses: trial-unique\nprops: { trial: { account: trial } }\n")
    (FLOWS / "code.sh").write_text('echo said=one >> "$PIPEDREAM_EXPORTS"\n')
    for name, text in (("shared-a", SHARED_A), ("shared-b", SHARED), ("own", OWN), ("http", HTTP)):
        write(name, text)
    project.run("check")
    sent = []
    assert project.up(), open(f"{project.dir}/up.log").read()
    send("good")
    eventually("all ran", lambda: all_said(["one good"]))
    versions = {w["id"]: w["version"] for w in project.json("workflows")}

    # a mistake in three of the four files, and one that was never good
    for name, text in (("shared-a", SHARED_A.replace("{{process.env.ONLY_HERE}}", "one")), ("own", OWN), ("http", HTTP)):
        write(name, text.replace("end:", "ned:").replace("one", "two"))
    write("never", "steps: 7\n")
    (FLOWS / "code.sh").write_text('echo said=two >> "$PIPEDREAM_EXPORTS"\n')
    project.api("reload", {})
    listed = {w["id"]: w for w in project.json("workflows")}
    assert all(listed[n]["errors"] and listed[n]["active"] and listed[n]["version"] == versions[n] for n in NAMES), listed
    assert listed["never"]["errors"] and not listed["never"]["active"]
    send("broken")
    eventually("the versions before ran", lambda: all_said(["one good", "one broken"]))
    project.run("fire", "workflows/http/clock")
    eventually("the clock, too", lambda: "one clock" in reasons("http"))

    # over a restart, and a kill
    project.stop()
    assert project.up()
    send("restarted")
    project.kill()
    assert project.up()
    send("killed")
    expected = ["one good", "one broken", "one restarted", "one killed"]
    eventually("they go on", lambda: all(sorted(r for r in reasons(n) if "clock" not in r) == sorted(expected) for n in NAMES))
    assert {w["id"]: w["version"] for w in project.json("workflows") if w["id"] in versions} == versions
    assert len(project.json("workflows", "history", "http")) == 1

    # mended: the new one takes over; and a version that was there before is the newest again
    for name, text in (("shared-a", SHARED), ("own", OWN), ("http", HTTP)):
        write(name, text.replace("one", "two"))
    (FLOWS / "never.yaml").unlink()
    project.api("reload", {})
    send("mended")
    expected.append("two mended")
    eventually("the new ones run", lambda: all(sorted(r for r in reasons(n) if "clock" not in r) == sorted(expected) for n in NAMES))
    write("own", OWN)
    project.api("reload", {})
    history = project.json("workflows", "history", "own")
    assert [v["version"] == versions["own"] for v in history] == [True, False, True], history
    write("own", OWN.replace("end:", "ned:"))
    project.stop()
    assert project.up()
    send("again")
    eventually("it runs as it was last", lambda: "one again" in reasons("own"))
    assert reasons("shared-b") == sorted(f"one {m}" for m in sent)

    # a file that is gone is not kept
    (FLOWS / "own.yaml").unlink()
    project.api("reload", {})
    assert "own" not in {w["id"] for w in project.json("workflows")}
    project.stop()
    print(f"a broken file: good ({len(sent)} events)")
finally:
    project.close()
