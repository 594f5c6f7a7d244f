"""The stand-ins: the vendors' shapes, errors and limits; faults on request; what is kept over a restart."""
import base64
import concurrent.futures
import json
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request

from harness import RUNNEL, eventually


class Sandbox:
    def __init__(self, *args):
        self.process = subprocess.Popen([RUNNEL, "sandbox", "--listen", "127.0.0.1:0", *args], stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().split("url=")[1].strip()

    def call(self, method, path, body=None, token="sandbox-token", headers=None):
        """Status, headers and parsed body; `token` None: no authorization."""
        head = {"content-type": "application/json", **({"authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, head, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text, status, answer_head = answer.read(), answer.status, answer.headers
        except urllib.error.HTTPError as error:
            text, status, answer_head = error.read(), error.code, error.headers
        return status, answer_head, json.loads(text) if text else None

    def expect(self, status, method, path, body=None, **more):
        got, head, answer = self.call(method, path, body, **more)
        assert got == status, (method, path, got, answer)
        self.head = head
        return answer

    def cli(self, *args, code=0):
        done = subprocess.run([RUNNEL, "sandbox", *args, "--url", self.url], capture_output=True, text=True, timeout=60)
        assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def stop(self):
        self.process.terminate()
        assert self.process.wait(60) == 0


def test_discord(box):
    hook = "/discord/api/webhooks/1234567890/sandbox-token"
    assert box.expect(200, "GET", hook, token=None)["id"] == "1234567890"
    assert box.expect(200, "GET", hook.replace("/api/", "/api/v10/"), token=None)["id"] == "1234567890"
    assert box.expect(204, "POST", hook, {"content": "x"}) is None, "without wait there is no body"
    for name in ("Limit", "Remaining", "Reset", "Reset-After", "Bucket"):
        assert box.head["X-RateLimit-" + name], name
    message = box.expect(200, "POST", hook + "?wait=true&thread_id=1161888007138310001", {"content": "y"})
    assert message["content"] == "y" and message["channel_id"] == "1161888007138310001" and isinstance(message["id"], str)
    assert box.expect(200, "GET", f"{hook}/messages/{message['id']}")["content"] == "y"
    assert box.expect(404, "GET", f"{hook}/messages/1")["code"] == 10008
    assert box.expect(404, "POST", hook + "?thread_id=9", {"content": "y"})["code"] == 10003
    assert box.expect(400, "POST", hook, b"{")["code"] == 50109
    assert box.expect(400, "POST", hook, {"content": ""})["code"] == 50006
    assert box.expect(401, "POST", hook + "x", {"content": "x"})["code"] == 50027
    assert box.expect(404, "POST", hook.replace("1234567890", "1"), {"content": "x"})["code"] == 10015
    box.expect(200, "POST", hook + "?wait=true", {"content": "\U0001f600" * 2000})
    for place, body in (("content", {"content": "x" * 2001}),
                        ("embeds", {"embeds": [{"title": "x"}] * 11}),
                        ("embeds", {"embeds": [{"description": "x" * 4000}, {"description": "x" * 2001}]})):
        answer = box.expect(400, "POST", hook, body)
        assert answer["code"] == 50035 and answer["errors"][place]["_errors"][0]["code"], answer
    answer = box.expect(400, "POST", hook, {"embeds": [{}, {"title": "x" * 257}]})
    assert answer["errors"]["embeds"]["1"]["title"]["_errors"][0]["code"] == "BASE_TYPE_MAX_LENGTH"
    box.expect(204, "DELETE", hook)
    assert box.expect(404, "GET", hook)["code"] == 10015, "deleted"


def test_sheets(box):
    sheet = "/sheets/v4/spreadsheets/sandbox-sheet"
    assert [s["properties"]["title"] for s in box.expect(200, "GET", sheet)["sheets"]][:2] == ["Events", "Other"]
    assert box.expect(401, "GET", sheet, token="no")["error"]["status"] == "UNAUTHENTICATED"
    assert box.expect(404, "GET", "/sheets/v4/spreadsheets/x")["error"]["status"] == "NOT_FOUND"
    append = sheet + "/values/Events!A:A:append"
    assert "valueInputOption" in box.expect(400, "POST", append, {"values": [[1]]})["error"]["message"]
    box.expect(400, "POST", append + "?valueInputOption=RAW", {"values": [[{}]]})
    box.expect(400, "POST", sheet + "/values/Nowhere!A:A:append?valueInputOption=RAW", {"values": [[1]]})
    answer = box.expect(200, "POST", append + "?valueInputOption=RAW", {"values": [["=1+1", "007"], ["b", None, 2.5]]})
    assert answer["tableRange"] == "Events!A1:C1" and answer["updates"]["updatedRange"] == "Events!A2:C3", answer
    assert answer["updates"]["updatedRows"] == 2 and answer["updates"]["updatedCells"] == 4
    box.expect(200, "POST", append + "?valueInputOption=USER_ENTERED", {"values": [["=1+1", "007", "true"]]})
    rows = box.expect(200, "GET", sheet + "/values/Events!A2:C9?valueRenderOption=UNFORMATTED_VALUE")["values"]
    assert rows == [["=1+1", "007"], ["b", "", 2.5], ["=1+1", 7, True]], rows
    assert box.expect(200, "GET", sheet + "/values/Events!1:1")["values"] == [["messageId", "type", "userId"]]
    assert "values" not in box.expect(200, "GET", sheet + "/values/Other")
    box.expect(200, "PUT", sheet + "/values/'It''s%20a%20%22test%22%20sheet'!B2:C3?valueInputOption=RAW", {"values": [[1, 2]]})
    answer = box.expect(200, "GET", sheet + "/values/'It''s%20a%20%22test%22%20sheet'!A1:Z9")
    assert answer["values"] == [[], ["", "1", "2"]] and answer["range"].startswith("'It''s a"), answer
    # batchUpdate is all or nothing, and a metadata id can be taken once
    cells = {"appendCells": {"sheetId": 7, "fields": "userEnteredValue", "rows": [{"values": [{"userEnteredValue": {"stringValue": "a"}}]}]}}
    mark = {"createDeveloperMetadata": {"developerMetadata": {
        "metadataId": 42, "metadataKey": "runnel", "metadataValue": "k", "location": {"spreadsheet": True}, "visibility": "PROJECT"}}}
    answer = box.expect(200, "POST", sheet + ":batchUpdate", {"requests": [cells, mark]})
    assert answer["replies"][0] == {} and answer["replies"][1]["createDeveloperMetadata"]["developerMetadata"]["metadataId"] == 42
    answer = box.expect(400, "POST", sheet + ":batchUpdate", {"requests": [cells, mark]})
    assert "requests[1]" in answer["error"]["message"], answer
    assert box.expect(200, "GET", sheet + "/values/Other")["values"] == [["a"]], "nothing of the second one was done"
    assert box.expect(200, "GET", sheet + "/developerMetadata/42")["metadataValue"] == "k"
    box.expect(404, "GET", sheet + "/developerMetadata/43")
    box.expect(400, "POST", sheet + ":batchUpdate", {"requests": [{"appendCells": {**cells["appendCells"], "fields": ""}}]})
    assert [r["received"]["row"] for r in json.loads(box.cli("received", "--vendor", "sheets", "--last", "1", "--json"))] == [["a"]]


def test_airtable(box):
    table = "/airtable/v0/appSandbox/Events"
    assert [b["id"] for b in box.expect(200, "GET", "/airtable/v0/meta/bases")["bases"]] == ["appSandbox"]
    assert [b["id"] for b in box.expect(200, "GET", "/airtable/v0/meta/bases?offset=itr1")["bases"]] == ["appArchive"]
    assert [t["name"] for t in box.expect(200, "GET", "/airtable/v0/meta/bases/appSandbox/tables")["tables"]] == ["Events", "Contacts"]
    assert box.expect(401, "GET", table, token=None)["error"]["type"] == "AUTHENTICATION_REQUIRED"
    assert box.expect(401, "GET", table, token="x")["error"]["type"] == "UNAUTHORIZED"
    assert box.expect(403, "GET", "/airtable/v0/appSandbox/Nope")["error"]["type"] == "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND"
    assert box.expect(404, "GET", "/airtable/v0/appOther/Events")["error"] == "NOT_FOUND"
    made = box.expect(200, "POST", table, {"records": [{"fields": {"Name": f"n{i}", "Done": False, "Count": i}} for i in range(10)]})["records"]
    assert [r["fields"]["Name"] for r in made] == [f"n{i}" for i in range(10)] and "Done" not in made[0]["fields"]
    box.expect(422, "POST", table, {"records": [{"fields": {}}] * 11})
    for kind, record in (("UNKNOWN_FIELD_NAME", {"fields": {"Nope": 1}}), ("INVALID_VALUE_FOR_COLUMN", {"fields": {"Count": "7"}}),
                         ("INVALID_REQUEST_MISSING_FIELDS", {})):
        answer = box.expect(422, "POST", table, {"records": [{"fields": {"Name": "first"}}, record]})
        assert answer["error"]["type"] == kind, answer
    answer = box.expect(200, "POST", table, {"fields": {"Count": "7"}, "typecast": True, "returnFieldsByFieldId": True})
    assert answer["fields"] == {"fldCount": 7}
    page = box.expect(200, "GET", table + "?pageSize=8")
    assert len(page["records"]) == 8
    rest = box.expect(200, "GET", f"{table}?pageSize=8&offset={page['offset']}")
    assert len(rest["records"]) == 3 and "offset" not in rest, "what was refused was refused whole"
    upsert = {"performUpsert": {"fieldsToMergeOn": ["Name"]},
              "records": [{"fields": {"Name": "n3", "Count": 33}}, {"fields": {"Name": "new"}}, {"fields": {"Name": "new", "Count": 1}}]}
    answer = box.expect(200, "PATCH", table, upsert)
    assert answer["updatedRecords"] == [made[3]["id"], answer["createdRecords"][0]] and len(answer["createdRecords"]) == 1, answer
    assert box.expect(200, "GET", f"{table}/{made[3]['id']}")["fields"] == {"Name": "n3", "Count": 33}
    box.expect(422, "PATCH", table, {**upsert, "performUpsert": {"fieldsToMergeOn": []}})
    box.expect(200, "PATCH", table, {"records": [{"id": made[0]["id"], "fields": {"User": "ann"}}]})
    assert box.expect(200, "DELETE", f"{table}/{made[0]['id']}") == {"id": made[0]["id"], "deleted": True}
    box.expect(404, "GET", f"{table}/{made[0]['id']}")


def test_segment(box):
    # Config API: paging, one destination a source, masks
    config = "/segment-config/v1beta/workspaces"
    assert box.expect(401, "GET", config, token="x") == {"error": "invalid access token", "code": 16}
    assert box.expect(200, "GET", config)["workspaces"][0]["name"] == "workspaces/acme"
    page = box.expect(200, "GET", config + "/acme/sources?page_size=3")
    assert len(page["sources"]) == 3 and page["sources"][0]["name"] == "workspaces/acme/sources/web"
    last = box.expect(200, "GET", f"{config}/acme/sources?page_size=3&page_token={page['next_page_token']}")
    assert len(last["sources"]) == 1 and last["next_page_token"] == ""
    parent = config + "/acme/sources/web/destinations"
    name = "workspaces/acme/sources/web/destinations/webhooks"
    hooks = {"name": name + "/config/hooks", "type": "mixed", "value": [{"hook": box.url + "/http/hook"}]}
    secret = {"name": name + "/config/sharedSecret", "type": "string", "value": "s"}
    body = {"destination": {"name": name, "enabled": True, "connection_mode": "UNSPECIFIED", "config": [secret, hooks]}}
    box.expect(404, "GET", parent + "/webhooks")
    box.expect(400, "POST", parent, {"destination": {"name": "x"}})
    box.expect(404, "POST", config + "/acme/sources/none/destinations", body)
    assert box.expect(200, "POST", parent, body)["connection_mode"] == "CLOUD"
    assert box.expect(409, "POST", parent, body)["code"] == 6
    assert box.expect(400, "PATCH", parent + "/webhooks", {"destination": {"enabled": False}})["code"] == 3
    six = {**hooks, "value": [{"hook": "https://x.test"}] * 6}
    box.expect(400, "PATCH", parent + "/webhooks", {"destination": {"config": [six]}, "update_mask": {"paths": ["destination.config"]}})
    assert len(box.expect(200, "GET", parent + "/webhooks")["config"]) == 2

    # Public API: pages, a subscription is alpha and five a minute
    public = "/segment-public"
    assert box.expect(401, "GET", public + "/", token="x")["errors"][0]["status"] == 401
    assert box.expect(200, "GET", public + "/")["data"]["workspace"]["slug"] == "acme"
    data = box.expect(200, "GET", public + "/sources?pagination[count]=3")["data"]
    assert len(data["sources"]) == 3 and data["pagination"]["totalEntries"] == 4
    more = box.expect(200, "GET", f"{public}/sources?pagination.count=3&pagination.cursor={data['pagination']['next']}")["data"]
    assert len(more["sources"]) == 1 and "next" not in more["pagination"]
    box.expect(400, "GET", public + "/sources?pagination[count]=0")
    assert all(d["slug"] != "actions-webhook" for d in box.expect(200, "GET", public + "/catalog/destinations")["data"]["destinationsCatalog"])
    cursor = base64.b64encode(b"200").decode()
    entry = box.expect(200, "GET", f"{public}/catalog/destinations?pagination[cursor]={cursor}")["data"]["destinationsCatalog"][-1]
    assert entry["slug"] == "actions-webhook" and entry["actions"][0]["slug"] == "send"
    source = data["sources"][0]["id"]
    assert box.expect(400, "POST", public + "/destinations", {"sourceId": "x"})["errors"][0]["field"] == "sourceId"
    made = box.expect(200, "POST", public + "/destinations", {
        "sourceId": source, "metadataId": entry["id"], "name": "n", "enabled": True, "settings": {"sharedSecret": "p"}})["data"]["destination"]
    assert made["metadata"]["slug"] == "actions-webhook"
    path = f"{public}/destinations/{made['id']}"
    alpha = {"content-type": "application/vnd.segment.v1alpha+json"}
    wanted = {"name": "n", "actionId": entry["actions"][0]["id"], "trigger": 'type = "track"', "enabled": True,
              "settings": {"url": box.url + "/http/actions", "method": "PUT", "data": {"@path": "$.properties"}, "enable_batching": True}}
    box.expect(404, "POST", path + "/subscriptions", wanted)
    box.expect(400, "POST", path + "/subscriptions", {**wanted, "trigger": "type ="}, headers=alpha)
    subscription = box.expect(200, "POST", path + "/subscriptions", wanted, headers=alpha)["data"]["destinationSubscription"]
    assert subscription["actionSlug"] == "send" and subscription["destinationId"] == made["id"]

    # delivery: every hook of the source; the classic one signs the body, the other what its mapping makes of it
    sums = json.loads(box.cli("send", "--event", '{"type":"track","properties":{"a":1}}', "--json"))
    assert [s["status"] for s in sums] == [200, 200], sums
    first, second = [r["received"] for r in json.loads(box.cli("received", "--vendor", "http", "--json"))]
    assert first["path"] == "/hook" and first["headers"]["user-agent"] == "Segment.io/1.0" and first["headers"]["x-signature"]
    assert second["path"] == "/actions" and second["method"] == "PUT" and second["body"] == [{"a": 1}]
    assert second["headers"]["user-agent"] == "Segment (Actions)" and second["headers"]["x-signature"] != first["headers"]["x-signature"]
    # the trigger selects; a count and a batch
    assert [s["requests"] for s in json.loads(box.cli("send", "--event", '{"type":"page"}', "--count", "3", "--json"))] == [3]
    assert [s["requests"] for s in json.loads(box.cli("send", "--batch", "--event", '{"properties":{"b":1}}', "--count", "3", "--json"))] == [1, 1]
    box.cli("send", "--event", "[]", code=2)
    box.cli("send", "--source", "ios", code=1)
    # what fails for good is not tried again, what may work later is
    box.cli("fail", "http", "--status", "400", "--times", "1", "--path", "/hook")
    assert [(s["status"], s["tries"]) for s in json.loads(box.cli("send", "--event", '{"type":"page"}', "--json", code=1))] == [(400, 1)]
    box.cli("fail", "http", "--status", "503", "--times", "2", "--path", "/hook")
    assert [(s["status"], s["tries"]) for s in json.loads(box.cli("send", "--event", '{"type":"page"}', "--json"))] == [(200, 3)]
    # of the hooks of a classic destination one is enough
    hooks["value"].append({"hook": box.url + "/http/second"})
    box.expect(200, "PATCH", parent + "/webhooks", {"destination": {"config": [secret, hooks]}, "update_mask": {"paths": ["destination.config"]}})
    box.cli("fail", "http", "--status", "503", "--times", "0", "--path", "/second")
    assert [(s["status"], s["tries"]) for s in json.loads(box.cli("send", "--event", '{"type":"page"}', "--json", code=1))] == [(200, 1), (503, 1)]
    box.cli("heal")
    assert box.expect(200, "DELETE", f"{path}/subscriptions/{subscription['id']}")["data"]["status"] == "SUCCESS"
    assert box.expect(200, "DELETE", path)["data"]["status"] == "SUCCESS"
    box.expect(404, "GET", path)
    assert box.expect(200, "DELETE", parent + "/webhooks") == {}


def test_tracking(box):
    def track(body, path="track", key="sandbox-write-key", status=200):
        basic = base64.b64encode(f"{key}:".encode()).decode()
        return box.expect(status, "POST", f"/segment-tracking/v1/{path}", body, token=None, headers={"authorization": f"Basic {basic}"})
    event = {"userId": "a", "event": "e", "messageId": "m-1"}
    assert track(event) == {"success": True}
    track(event)
    track({"event": "e"})
    track({"userId": "a"})
    track({**event, "messageId": "m-2"}, key="wrong")
    track({"previousId": "a"}, path="alias")
    track({**event, "messageId": "m-3", "properties": {"x": "y" * 33000}}, status=400)
    track(b"{", status=400)
    track({"batch": [{**event, "type": "track", "messageId": f"b-{i}"} for i in range(2)]}, path="batch")
    track({"batch": [{"type": "track"}] * 2501}, path="batch")
    track({"batch": [{"x": "y" * 30000}] * 20}, path="batch", status=400)
    got = [r["received"].get("$discarded") for r in json.loads(box.cli("received", "--vendor", "segment", "--json"))]
    assert got == [None, "duplicate", "no_user_anon_id", "no_event_name", "unknown_write_key", "no_user_anon_id", None, None], got


def test_swapi(box):
    films = box.expect(200, "GET", "/swapi/api/films/", token=None)
    assert films["count"] == 6 and films["next"] is None and films["results"][0]["episode_id"] == 4
    assert box.expect(200, "GET", "/swapi/api/films/?search=hope", token=None)["count"] == 1
    film = box.expect(200, "GET", "/swapi/api/films/4", token=None)  # by way of the redirect
    assert film["title"] == "The Phantom Menace" and list(film)[0] == "title" and list(film)[-1] == "url"
    assert box.expect(404, "GET", "/swapi/api/films/7/", token=None) == {"detail": "Not found"}


def test_faults(box):
    shapes = {"discord": ("/discord/api/webhooks/1234567890/sandbox-token", lambda a: a["message"]),
              "sheets": ("/sheets/v4/spreadsheets/sandbox-sheet", lambda a: a["error"]["status"] == "UNAVAILABLE"),
              "airtable": ("/airtable/v0/meta/bases", lambda a: a["error"]["type"]),
              "segment-config": ("/segment-config/v1beta/workspaces", lambda a: a["code"] == 14),
              "segment-public": ("/segment-public/", lambda a: a["errors"][0]["status"] == 503),
              "swapi": ("/swapi/api/films/", lambda a: a["detail"]), "google": ("/google/tokeninfo", lambda a: a["error"])}
    for vendor, (path, is_good) in shapes.items():
        box.cli("fail", vendor, "--status", "503", "--retry-after", "7")
        answer = box.expect(503, "GET", path)
        assert is_good(answer) and box.head["Retry-After"] == "7", answer
        assert box.call("GET", path)[0] != 503, "once"
    box.cli("fail", "segment", "--method", "POST", "--times", "0")
    assert json.loads(box.cli("fail"))[0]["method"] == "POST"
    box.expect(200, "GET", "/segment-public/")
    box.expect(503, "POST", "/segment-public/destinations", {})
    box.cli("heal")
    assert json.loads(box.cli("fail")) == []
    # done, and not answered
    box.cli("fail", "airtable", "--lose-reply")
    try:
        box.call("POST", "/airtable/v0/appSandbox/Contacts", {"fields": {"Name": "lost"}})
        raise AssertionError("an answer came")
    except OSError:
        pass
    assert [r["fields"]["Name"] for r in box.expect(200, "GET", "/airtable/v0/appSandbox/Contacts")["records"]] == ["lost"]
    box.cli("fail", "discord", "--delay", "20ms")
    box.expect(200, "GET", shapes["discord"][0])
    for wrong in (["fail", "nobody"], ["fail", "discord", "--status", "200"], ["fail", "discord", "--lose-reply", "--status", "500"],
                  ["fail", "discord", "--delay", "1h"]):
        assert subprocess.run([RUNNEL, "sandbox", *wrong, "--url", box.url], capture_output=True, timeout=60).returncode in (1, 2), wrong


def test_limits():
    """The vendors' own limits, which are on unless told otherwise."""
    box = Sandbox()
    hook = "/discord/api/webhooks/1234567890/sandbox-token"
    got = [box.call("POST", hook, {"content": "x"}) for _ in range(6)]
    limited = [g for g in got if g[0] == 429]
    if limited:  # a slow machine may have let the window pass
        status, head, answer = limited[0]
        assert isinstance(answer["retry_after"], float) and answer["global"] is False and int(head["Retry-After"]) >= 1
        assert head["X-RateLimit-Scope"] == "user" and head["X-RateLimit-Remaining"] == "0"
    codes = [box.call("GET", "/sheets/v4/spreadsheets/sandbox-sheet")[0] for _ in range(61)]
    assert codes.count(200) >= 60, codes
    answer = box.call("GET", "/sheets/v4/spreadsheets/sandbox-sheet")
    if 429 in codes:
        assert answer[0] == 429 and answer[2]["error"]["status"] == "RESOURCE_EXHAUSTED" and "per user" in answer[2]["error"]["message"]
    box.stop()
    box = Sandbox("--limits", "2")
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        codes = list(pool.map(lambda _: box.call("GET", "/airtable/v0/appSandbox/Events")[0], range(200)))
    assert codes.count(200) >= 10, codes
    if 429 in codes:  # else 200 requests took 20 s
        assert box.call("GET", "/airtable/v0/appSandbox/Events")[0] == 429, "everything is refused, for 30 s"
    box.stop()
    done = subprocess.run([RUNNEL, "sandbox", "--limits", "many"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "many" in done.stderr


def test_state():
    """What is registered is there after a kill; the file is private."""
    folder = tempfile.mkdtemp(prefix="runnel-test-")
    try:
        path = f"{folder}/state.json"
        box = Sandbox("--state", path)
        name = "workspaces/acme/sources/ios/destinations/webhooks"
        box.expect(200, "POST", "/segment-config/v1beta/workspaces/acme/sources/ios/destinations", {"destination": {"name": name}})
        assert os.stat(path).st_mode & 0o777 == 0o600
        box.expect(200, "POST", "/http/x", {"kept": 1})
        eventually("the received are saved", lambda: '"kept"' in open(path).read())
        box.process.kill()
        box.process.wait()
        box = Sandbox("--state", path)
        box.expect(200, "GET", "/segment-config/v1beta/workspaces/acme/sources/ios/destinations/webhooks")
        assert [r["received"]["body"] for r in json.loads(box.cli("received", "--json"))] == [{"kept": 1}]
        box.cli("reset")
        box.expect(404, "GET", "/segment-config/v1beta/workspaces/acme/sources/ios/destinations/webhooks")
        assert json.loads(box.cli("received", "--json")) == []
        box.stop()
        # memory is bounded: the oldest go
        box = Sandbox("--limits", "off")
        text = "x" * 1000000
        for i in range(20):
            box.expect(200, "POST", "/http/x", {"n": i, "text": text})
        kept = [r["received"]["body"]["n"] for r in json.loads(box.cli("received", "--json"))]
        assert kept[-1] == 19 and 10 < len(kept) < 18, kept
        box.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


shared = Sandbox("--limits", "off")
try:
    for test in (test_segment, test_tracking, test_sheets, test_airtable, test_swapi, test_faults, test_discord):
        test(shared)
    shared.stop()
finally:
    if shared.process.poll() is None:
        shared.process.kill()
test_limits()
test_state()
print("sandbox: good")
