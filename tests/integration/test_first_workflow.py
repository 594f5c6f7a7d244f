"""The main job: a signed Segment event reaches Discord, Sheets and Airtable, and the run can be inspected."""
import json

from harness import Project, eventually, post

project = Project()
try:
    assert "1 workflow and 1 source are good" in project.run("check").stdout
    ready = project.up()
    assert ready, "up"
    endpoint = project.json("endpoints")[0]
    assert endpoint["state"] == "active" and endpoint["url"].startswith(ready["ingest"]), endpoint

    deliveries = project.send({"messageId": "m-1", "event": "Signed Up", "userId": "ann", "properties": {"id": 9007199254740993}})
    assert [d["status"] for d in deliveries] == [200], deliveries
    assert deliveries[0]["tries"] == 1
    eventually("the run ended", lambda: [r["status"] for r in project.json("runs")] == ["succeeded"])
    assert [m["content"] for m in project.received("discord")] == ["Signed Up from ann"]
    assert [r["row"] for r in project.received("sheets")] == [["m-1", "track", "ann"]]
    assert [r["fields"] for r in project.received("airtable")] == [{"Name": "Signed Up", "User": "ann"}]

    run = project.json("inspect")
    assert [s["namespace"] for s in run["steps"]] == ["notify", "log_row", "record"]
    assert all(s["status"] == "succeeded" and s["attempt"] == 1 and s["inputs"] for s in run["steps"])
    assert "9007199254740993" in project.run("inspect", "--json").stdout, "a 64-bit id survives digit for digit"

    # the same messageId again: accepted, and nothing runs
    assert [d["status"] for d in project.send({"messageId": "m-1", "userId": "ann"})] == [200]
    # a batch is verified by its first element and emits one event per element
    assert [d["status"] for d in project.send(batch=[{"messageId": "b-1", "type": "identify"}, {"messageId": "b-2"}])] == [200]
    eventually("the batch ran", lambda: len([r for r in project.json("runs") if r["status"] == "succeeded"]) == 3)
    assert len(project.json("events")) == 3

    # a bad and a missing signature: 401, and nothing is emitted
    for headers in ({"x-signature": "0" * 40}, {}):
        status, _ = post(endpoint["url"], json.dumps({"type": "track"}), {"content-type": "application/json", **headers})
        assert status == 401, status
    assert post(ready["ingest"] + "/e/nobody", "{}")[0] == 404
    assert len(project.json("events")) == 3

    # run and replay
    done = project.run("run", "segment-to-discord", "--event", "-", "--json", stdin='{"type":"page","messageId":"r-1"}')
    assert json.loads(done.stdout)["status"] == "succeeded"
    replayed = project.json("replay", run["id"])
    eventually("the replay ended", lambda: project.json("inspect", replayed[0]["run"])["status"] == "succeeded")
    assert project.run("run", "no-such-workflow", check=False).returncode == 1

    # a stop and a start: the source is still active, nobody is asked again
    project.stop()
    ready = project.up()
    assert project.json("sources")[0]["state"] == "active"
    project.stop()

    # secrets are not in the store
    data = b"".join(open(f"{project.dir}/.runnel/store/{name}", "rb").read() for name in ("data.mdb",))
    assert b"sandbox-token" not in data, "a secret is in the store"
    print("first workflow: good")
finally:
    project.close()
