"""Channels of a shared source: each workflow hears the channels that it listens to, one workflow several; a replay keeps to them."""
import json
import os

from harness import TrialProject, eventually, post

project = TrialProject()


def listen(name, *channels):
    with open(f"{project.dir}/workflows/{name}.yaml", "w") as out:
        out.write("triggers:\n")
        for channel in channels:
            out.write(f"- namespace: on_{channel or 'default'}\n  source: shared\n" + (f"  channel: {channel}\n" if channel else ""))
        out.write("steps:\n- namespace: done\n  end: done\n")


def heard(name):
    return [(r["trigger"], r["status"]) for r in project.json("runs", "-w", name)]


try:
    os.makedirs(f"{project.dir}/sources", exist_ok=True)
    with open(f"{project.dir}/sources/shared.yaml", "w") as out:
        out.write("uses: trial-unique\nprops: { trial: { account: trial } }\n")
    listen("plain", "")
    listen("special", "gold")
    listen("both", "gold", "silver")
    assert "good" in project.run("check").stdout
    assert project.up(), open(f"{project.dir}/up.log").read()
    url = next(s["endpoint"] for s in project.json("sources") if s["id"] == "sources/shared")
    for number, channel in enumerate((None, "gold", "silver", "lead")):
        status, body = post(url, json.dumps({"do": "emit", "id": f"c-{number}", **({"channel": channel} if channel else {})}))
        assert status == 200, (status, body)
    eventually("all have run", lambda: [len(heard(n)) for n in ("plain", "special", "both")] == [1, 1, 2] and
               all(s == "succeeded" for n in ("plain", "special", "both") for _, s in heard(n)))
    assert heard("plain") == [("on_default", "succeeded")] and heard("special") == [("on_gold", "succeeded")], (heard("plain"), heard("special"))
    assert sorted(t for t, _ in heard("both")) == ["on_gold", "on_silver"], heard("both")

    # a replay of an event goes to those who listen to its channel, by the trigger that does
    silver = next(e["id"] for e in project.every("events", channel="silver"))
    assert [r["workflow"] for r in project.json("replay", silver)] == ["both"]
    eventually("it ran again", lambda: [t for t, _ in heard("both")].count("on_silver") == 2)
    lead = next(e["id"] for e in project.every("events", channel="lead"))
    done = project.run("replay", lead, check=False)
    assert done.returncode == 1 and "no workflow listens" in done.stderr, done

    listen("twice", "gold", "gold")
    checked = project.run("check", check=False)
    assert checked.returncode == 1 and "each event would run it twice" in checked.stdout + checked.stderr, checked
    project.stop()
finally:
    project.close()
print("channels: good")
