"""segment-webhook-destination end to end with both of Segment's APIs, and how steps fare when a vendor fails."""
import hashlib
import hmac
import json
import os
import urllib.error
import urllib.request

from harness import PATIENCE_S, Project, eventually, post

WORKFLOW = """name: {name}
triggers:
  - namespace: segment
    uses: segment-webhook-destination
    props:
      segmentApp: {{ account: segment }}
{props}
steps:
  - namespace: notify
    uses: discord_webhook-send-message
    props:
      discordWebhook: {{ account: team-discord }}
      message: "{name} {{{{steps.trigger.event.type}}}} {{{{steps.trigger.event.messageId ?? 'no id'}}}}"
"""


def write(project, name, /, **props):
    lines = "\n".join(f"      {key}: {json.dumps(value)}" for key, value in props.items())
    path = f"{project.dir}/workflows/{name}.yaml"
    with open(path + ".draft", "w") as out:
        out.write(WORKFLOW.format(name=name, props=lines))
    os.rename(path + ".draft", path)


def remove(project, name):
    os.unlink(f"{project.dir}/workflows/{name}.yaml")


def states(project):
    return sorted(source["state"] for source in project.json("sources"))


def saved(project):
    """What the sandbox's Segment has: hooks of web's classic destination, destinations of the Public API."""
    config = project.vendor("segment-config", "/v1beta/workspaces/acme/sources/web/destinations")["destinations"]
    hooks = [h["hook"] for d in config for c in d["config"] if c["name"].endswith("/hooks") for h in c["value"]]
    return hooks, project.vendor("segment-public", "/destinations")["data"]["destinations"]


class Segment(Project):
    def vendor(self, name, path):
        request = urllib.request.Request(f"{self.sandbox}/{name}{path}", headers={"authorization": "Bearer sandbox-token"})
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def messages(self, name):
        return sorted(m["content"] for m in self.received("discord") if m["content"].startswith(name + " "))

    def stays(self, condition):
        """A condition that holds, and still does when everything that is queued has run."""
        assert condition()
        eventually("nothing is running", lambda: all(r["status"] not in ("running", "queued") for r in self.json("runs")))
        assert condition()


def test_both_apis(project):
    os.unlink(f"{project.dir}/workflows/segment-to-discord.yaml")
    ready = project.up()
    assert ready

    # half-way: the destination is made, the subscription refused; nothing is left, and the next try succeeds
    project.control("faults", {"vendor": "segment-public", "method": "POST", "path": "/subscriptions", "status": 403, "times": 1})
    write(project, "modern", workspace="e5bdb0902b", source="srcWeb7kQ2mD", name="Modern", trigger='type = "track" or type = "identify"')
    eventually("the second try of the activation", lambda: states(project) == ["active"])
    hooks, destinations = saved(project)
    assert hooks == [] and len(destinations) == 1 and destinations[0]["settings"]["sharedSecret"], destinations
    assert destinations[0]["name"].startswith("Modern "), destinations

    # a workflow on the Config API, and a second one on the same source: its hook stands beside the first
    write(project, "classic", workspace="workspaces/acme", source="workspaces/acme/sources/web")
    eventually("two are active", lambda: states(project) == ["active", "active"])
    write(project, "second", workspace="workspaces/acme", source="workspaces/acme/sources/web")
    eventually("three are active", lambda: states(project) == ["active"] * 3)
    hooks, _ = saved(project)
    endpoints = {e["workflow"]: e["url"] for e in project.json("endpoints")}
    assert len(hooks) == 2 and set(hooks) == {endpoints["classic"], endpoints["second"]}, (hooks, endpoints)

    # one event reaches all three, signed with two secrets
    deliveries = project.send({"type": "track", "messageId": "e-1"})
    assert [d["status"] for d in deliveries] == [200] * 3 and all(d["tries"] == 1 for d in deliveries), deliveries
    for name in ("classic", "second", "modern"):
        eventually(f"{name} has run", lambda name=name: project.messages(name) == [f"{name} track e-1"])
    # the trigger of the Public API selects
    assert len(project.send({"type": "page", "messageId": "e-2"})) == 2
    eventually("the classic ones have run", lambda: project.messages("second")[0] == "second page e-2")
    project.stays(lambda: project.messages("modern") == ["modern track e-1"])
    # the same messageId again is accepted and not run
    assert [d["status"] for d in project.send({"type": "track", "messageId": "e-1"})] == [200] * 3
    project.stays(lambda: len(project.messages("classic")) == 2)

    # batches on the Public API: one signature, by the first element; one event each
    write(project, "modern", workspace="e5bdb0902b", source="srcWeb7kQ2mD", name="Modern", batching=True)
    eventually("batching is on", lambda: batching(project))
    project.send(batch=[{"type": "identify", "messageId": "b-1"}, {"type": "track", "messageId": "b-2"}, {"type": "track", "messageId": "b-2"}])
    eventually("the batch has run", lambda: project.messages("modern") == ["modern identify b-1", "modern track b-2", "modern track e-1"])
    # a signature over the whole batch is none of Segment's
    secret = saved(project)[1][0]["settings"]["sharedSecret"].encode()
    url = next(e["url"] for e in project.json("endpoints") if e["workflow"] == "modern")
    first, second = b'{"type":"track","n":1.0}', b'{ "type" : "track", "n":2 }'

    def sign(text):
        return {"content-type": "application/json", "x-signature": hmac.new(secret, text, hashlib.sha1).hexdigest()}
    assert post(url, b"[" + first + b"," + second + b"]", sign(b"[" + first + b"," + second + b"]"))[0] == 401
    assert post(url, b" [ " + first + b" , " + second + b" ] ", sign(first))[0] == 200
    eventually("events without a messageId have run", lambda: project.messages("modern").count("modern track no id") == 2)
    assert post(url, b"[" + first + b"]", sign(first))[0] == 200
    project.stays(lambda: project.messages("modern").count("modern track no id") == 2)
    assert post(url, first, {"content-type": "application/json"})[0] == 401
    assert post(url, first, {"content-type": "application/json", "x-signature": "0" * 40})[0] == 401

    # taken away one by one: the other's hook stays, the last one takes the destination along
    remove(project, "classic")
    eventually("one hook is left", lambda: saved(project)[0] == [endpoints["second"]])
    remove(project, "second")
    eventually("no hook is left", lambda: saved(project)[0] == [])
    remove(project, "modern")
    eventually("no destination is left", lambda: saved(project)[1] == [])


def batching(project):
    """Whether the destination that is there, which may just be going, has a subscription with batches."""
    for d in saved(project)[1]:
        try:
            subscriptions = project.vendor("segment-public", f"/destinations/{d['id']}/subscriptions")["data"]["subscriptions"]
        except urllib.error.HTTPError:
            return False
        if any(s["settings"]["enable_batching"] for s in subscriptions):
            return set(states(project)) == {"active"}
    return False


def test_failing_vendors(project):
    with open(f"{project.dir}/workflows/all.yaml", "w") as out:
        out.write("""name: All
triggers:
  - namespace: segment
    uses: segment-webhook-destination
    props:
      segmentApp: { account: segment }
      workspace: workspaces/acme
      source: workspaces/acme/sources/server
steps:
  - namespace: row
    uses: google_sheets-add-multiple-rows
    on_unknown: retry
    props:
      googleSheets: { account: google }
      sheetId: sandbox-sheet
      worksheetId: 0
      rows: "{{[[steps.trigger.event.messageId]]}}"
  - namespace: record
    uses: airtable_oauth-create-multiple-records
    props:
      airtable: { account: crm }
      baseId: appSandbox
      tableId: Contacts
      mergeOn: ["Message ID"]
      records: "{{[{ 'Message ID': steps.trigger.event.messageId }]}}"
  - namespace: track
    uses: segment-track
    props:
      segmentApp: { account: segment }
      userId: "{{steps.trigger.event.userId}}"
      event: seen
""")
    eventually("it is active", lambda: states(project) == ["active"])

    def send(message):
        body = {"source": "server", "event": {"type": "track", "userId": "u", "messageId": message}}
        assert [d["status"] for d in project.control("segment/send", body)["deliveries"]] == [200]
        eventually(f"{message} has run", lambda: any(
            r["status"] == "succeeded" for r in project.json("runs") if message in json.dumps(project.json("inspect", r["id"]))))

    # a lost reply: each vendor has done what it was asked; the repetition finds that out, and nothing is there twice
    for vendor, path in (("sheets", ":batchUpdate"), ("airtable", "/Contacts"), ("segment-tracking", "/track")):
        project.control("faults", {"vendor": vendor, "path": path, "lose_reply": True})
    send("lost-1")
    assert [r["row"] for r in project.received("sheets")] == [["lost-1"]]
    records = project.vendor("airtable", "/v0/appSandbox/Contacts")["records"]
    assert [r["fields"]["Message ID"] for r in records] == ["lost-1"], records
    events = project.received("segment")
    assert [e.get("$discarded") for e in events] == [None, "duplicate"] and events[0]["messageId"] == events[1]["messageId"], events
    # a vendor that is down for a while is tried again
    project.control("faults", {"vendor": "airtable", "status": 503, "times": 1})
    project.control("faults", {"vendor": "sheets", "status": 429, "retry_after": 0, "times": 1})
    send("down-1")
    assert [r["row"] for r in project.received("sheets")] == [["lost-1"], ["down-1"]]
    remove(project, "all")


project = Segment()
try:
    test_both_apis(project)
    test_failing_vendors(project)
    project.stop()
    print("segment's apis: good")
except BaseException:
    print(open(f"{project.dir}/up.log").read()[-4000:])
    raise
finally:
    project.close()
