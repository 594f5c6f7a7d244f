"""docs/openapi.json against the running server: every route that the one has, the other has; every documented status is provoked, and each
answer fits its schema. Then paging, filters, and who is kept out."""
import json
import pathlib
import re
import urllib.error
import urllib.parse
import urllib.request

from harness import PATIENCE_S, Project, eventually, post

DOC = json.loads((pathlib.Path(__file__).resolve().parents[2] / "docs/openapi.json").read_text())
TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list, "null": type(None)}


def check(value, schema, where):
    """JSON Schema, as far as the file uses it."""
    if "$ref" in schema:
        schema = DOC["components"]["schemas"][schema["$ref"].split("/")[-1]]
    for part in schema.get("allOf", ()):
        check(value, part, where)
    kinds = schema.get("type")
    if kinds:
        kinds = kinds if isinstance(kinds, list) else [kinds]
        assert any(isinstance(value, TYPES[k]) and not (k == "integer" and isinstance(value, bool)) for k in kinds), f"{where}: {value!r} is no {kinds}"
    if "enum" in schema:
        assert value in schema["enum"], f"{where}: {value!r} is not in {schema['enum']}"
    if "pattern" in schema:
        assert re.search(schema["pattern"], value), f"{where}: {value!r} is not {schema['pattern']}"
    if isinstance(value, dict):
        for name in schema.get("required", ()):
            assert name in value, f"{where}: {name} is missing in {sorted(value)}"
        for name, member in value.items():
            if name in schema.get("properties", {}):
                check(member, schema["properties"][name], f"{where}.{name}")
            else:
                assert schema.get("additionalProperties", True), f"{where}: {name} is not described"
    if isinstance(value, list) and "items" in schema:
        for i, item in enumerate(value):
            check(item, schema["items"], f"{where}[{i}]")


WORKFLOW = """name: Hook
triggers:
  - namespace: hook
    http: {}
  - namespace: hand
    manual: true
steps:
  - namespace: tell
    uses: discord_webhook-send-message
    props: { discordWebhook: { account: team-discord }, message: "{{steps.trigger.event.body.text}}" }
"""
HELD = "triggers: [{ namespace: hand, manual: true }]\nsettings: { throttle: { limit: 0, interval: 1s } }\nsteps: [{ namespace: stop, end: done }]\n"
PATIENT = """triggers:
  - namespace: hook
    http: {}
steps:
  - namespace: hold
    suspend: { timeout: 1h }
"""
covered = set()
project = Project()


def raw(method, path, body=None, headers=None, token=True):
    data = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode() if method != "GET" else None
    request = urllib.request.Request(ready["admin"] + path, data=data, method=method, headers={**({"authorization": f"Bearer {secret}"} if token else {}), **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def call(expected, method, template, body=None, query="", **names):
    """One request; its answer is checked against what the file says of it."""
    path = re.sub(r"\{(\w+)\}", lambda m: urllib.parse.quote(names[m.group(1)], safe=""), template)
    status, headers, text = raw(method, path + query, body)
    assert status == expected, f"{method} {path}{query}: {status}, not {expected}: {text[:300]}"
    described = DOC["paths"][template][method.lower()]["responses"]
    assert str(status) in described, f"{method} {template} does not describe {status}"
    kind = headers["Content-Type"].split(";")[0]
    assert kind in described[str(status)]["content"], f"{method} {template}: {kind}"
    value = json.loads(text) if "json" in kind else text.decode()
    check(value, described[str(status)]["content"][kind]["schema"], f"{method} {template} {status}")
    covered.add((method.lower(), template, str(status)))
    return value


A = "/api/v1/"
try:
    pathlib.Path(project.dir, "workflows/hook.yaml").write_text(WORKFLOW)
    pathlib.Path(project.dir, "workflows/patient.yaml").write_text(PATIENT)
    pathlib.Path(project.dir, "workflows/held.yaml").write_text(HELD)
    ready = project.up()
    secret = pathlib.Path(project.dir, ".runnel/admin-token").read_text().strip()
    urls = {e["workflow"]: e["url"] for e in project.json("endpoints")}

    # ---- the routes: the server's and the file's are the same
    own = {(r["method"].lower(), r["path"]) for r in call(200, "GET", A)["data"]}
    told = {(method, re.sub(r"\{\w+\}", "*", path)) for path, item in DOC["paths"].items() for method in item if method != "parameters" and path.startswith(A) and path != A}
    assert own == told, f"only the server has {own - told}, only the file has {told - own}"
    status, headers, _ = raw("PATCH", A + "runs")
    assert status == 405 and headers["Allow"] == "GET"
    assert raw("GET", A + "nothing")[0] == 404
    assert raw("POST", A + "reload", b"{nonsense")[0] == 400

    # ---- something to look at
    for i in range(12):
        assert post(urls["hook"], json.dumps({"text": f"message {i}"}))[0] == 200
    assert post(urls["patient"], "{}")[0] == 200
    eventually("the runs ended", lambda: sum(r["status"] == "succeeded" for r in call(200, "GET", A + "runs")["data"]) == 12)
    runs, events = call(200, "GET", A + "runs")["data"], call(200, "GET", A + "events")["data"]
    done = next(r for r in runs if r["status"] == "succeeded")
    eventually("one run waits", lambda: call(200, "GET", A + "runs", query="?workflow=patient")["data"][0]["status"] in ("waiting", "paused"))
    waiting = call(200, "GET", A + "runs", query="?workflow=patient")["data"][0]["id"]

    # ---- looking
    for path in ("status", "workflows", "sources", "endpoints", "schedules", "components", "accounts", "logs"):
        call(200, "GET", A + path)
    text = json.dumps(call(200, "GET", A + "accounts"))
    for secret_value in ("sandbox-token", "PRIVATE KEY"):
        assert secret_value not in text, "an account shows a secret"
    workflow = call(200, "GET", A + "workflows/{workflow}", workflow="hook")
    assert workflow["text"] == WORKFLOW and workflow["definition"]["steps"][0]["namespace"] == "tell" and workflow["problems"] == []
    versions = call(200, "GET", A + "workflows/{workflow}/versions", workflow="hook")["data"]
    assert [v["version"] for v in versions] == [workflow["version"]] and versions[0]["current"]
    assert call(200, "GET", A + "versions/{version}", version=workflow["version"])["text"] == WORKFLOW
    call(200, "GET", A + "sources/{source}", source="workflows/hook/hook")
    call(200, "GET", A + "components/{key}", key="discord_webhook-send-message")
    call(200, "GET", A + "events/{event}", event=events[0]["id"])
    detail = call(200, "GET", A + "runs/{run}", run=done["id"])
    assert detail["steps"][0]["inputs"]["message"].startswith("message ")
    for template, names in ((A + "workflows/{workflow}", {"workflow": "none"}), (A + "workflows/{workflow}", {"workflow": "../runnel"}), (A + "workflows/{workflow}/versions", {"workflow": "none"}),
                            (A + "versions/{version}", {"version": "0" * 64}), (A + "sources/{source}", {"source": "none"}), (A + "components/{key}", {"key": "none"}),
                            (A + "events/{event}", {"event": "evt_0000000000000"}), (A + "runs/{run}", {"run": "run_0000000000000"})):
        call(404, "GET", template, **names)
    call(422, "GET", A + "events/{event}", event="nonsense")
    call(422, "GET", A + "runs/{run}", run="nonsense")
    call(422, "GET", A + "runs", query="?cursor=nonsense")
    call(422, "GET", A + "events", query="?since=yesterday")
    call(422, "GET", A + "stream", query="?topics=weather")
    call(404, "GET", A + "workflows/{workflow}/sse", workflow="none")
    call(422, "GET", A + "workflows/{workflow}/sse", query="?from=never", workflow="hook")

    # ---- paging and filters
    def pages(path, query):
        seen, cursor = [], ""
        for _ in range(100):
            answer = call(200, "GET", A + path, query=f"?{query}{'&cursor=' + cursor if cursor else ''}")
            seen += answer["data"]
            cursor = answer["next"]
            if not cursor:
                return seen
        raise AssertionError("paging never ends")
    assert [r["id"] for r in pages("runs", "limit=5")] == [r["id"] for r in runs]
    assert [e["id"] for e in pages("events", "limit=4")] == [e["id"] for e in events]
    assert len(pages("runs", "workflow=hook&limit=5")) == 12 and len(pages("runs", "status=succeeded&limit=7")) == 12
    assert pages("runs", "status=failed") == []
    assert len(pages("runs", "text=MESSAGE%2011&limit=3")) == 1
    assert [r["event"] for r in pages("runs", f"event={events[3]['id']}")] == [events[3]["id"]]
    assert len(pages("events", "source=workflows/patient/hook")) == 1
    middle = events[6]["received"]
    assert len(pages("events", f"since={middle}")) + len(pages("events", f"until={middle}")) == 13

    # ---- acting
    assert call(200, "POST", A + "sources/{source}/emit", {"event": {"body": {"text": "by hand"}}, "summary": "hand"}, source="workflows/hook/hook")["runs"][0]["workflow"] == "hook"
    call(404, "POST", A + "sources/{source}/emit", source="none")
    started = call(200, "POST", A + "workflows/{workflow}/run", {"event": {"body": {"text": "x"}}}, workflow="hook")["run"]
    assert call(200, "GET", A + "runs/{run}", query="?wait_ms=30000", run=started)["status"] == "succeeded"
    call(404, "POST", A + "workflows/{workflow}/run", workflow="none")
    call(409, "DELETE", A + "events/{event}", event=call(200, "GET", A + "runs/{run}", run=waiting)["event"])
    call(409, "POST", A + "runs/{run}/resume", run=done["id"])
    call(404, "POST", A + "runs/{run}/resume", run="run_0000000000000")
    call(422, "POST", A + "runs/{run}/resume", run="nonsense")
    call(200, "POST", A + "runs/{run}/resume", {"go": True}, run=waiting)
    eventually("the run goes on", lambda: call(200, "GET", A + "runs/{run}", run=waiting)["status"] == "succeeded")
    post(urls["patient"], "{}")
    eventually("another waits", lambda: call(200, "GET", A + "runs", query="?workflow=patient")["data"][0]["status"] in ("waiting", "paused"))
    call(200, "POST", A + "runs/{run}/cancel", run=call(200, "GET", A + "runs", query="?workflow=patient")["data"][0]["id"])
    call(404, "POST", A + "runs/{run}/cancel", run=done["id"])
    call(422, "POST", A + "runs/{run}/cancel", run="nonsense")
    held = call(200, "POST", A + "workflows/{workflow}/run", {"event": {}}, workflow="held")["run"]
    call(200, "POST", A + "workflows/{workflow}/disable", workflow="held")
    call(409, "POST", A + "runs/{run}/cancel", run=held)
    call(200, "POST", A + "workflows/{workflow}/enable", workflow="held")
    call(200, "POST", A + "runs/{run}/cancel", run=held)
    call(200, "DELETE", A + "events/{event}", event=events[-1]["id"])
    call(404, "DELETE", A + "events/{event}", event=events[-1]["id"])
    call(422, "DELETE", A + "events/{event}", event="nonsense")
    assert len(call(200, "POST", A + "replay", {"id": done["id"]})["data"]) == 1
    many = call(200, "POST", A + "replay", {"ids": [done["id"], "run_0000000000000"]})["data"]
    assert "run" in many[0] and "error" in many[1]
    edited = call(200, "POST", A + "replay", {"id": done["id"], "event": {"body": {"text": "edited"}}})["data"][0]["run"]
    shown = call(200, "GET", A + "runs/{run}", query="?wait_ms=30000", run=edited)
    assert shown["trigger"] == done["trigger"] == "hook", shown  # not the manual one, by which it would be run by hand
    assert shown["trigger_event"]["event"] == {"body": {"text": "edited"}} and shown["replay_of"] == done["id"], shown
    call(404, "POST", A + "replay", {"id": "run_0000000000000"})
    call(422, "POST", A + "replay", {})

    # ---- the file is the truth
    file = pathlib.Path(project.dir, "workflows/hook.yaml")
    bad = call(200, "PUT", A + "workflows/{workflow}", {"text": WORKFLOW.replace("message:", "massage:")}, workflow="hook")
    assert not bad["written"] and bad["problems"][0]["line"] == 10 and file.read_text() == WORKFLOW
    wrong_code = call(200, "PUT", A + "workflows/{workflow}", {"text": "triggers: [{ namespace: hook, http: {} }]\nsteps:\n  - namespace: a\n    language: python\n"
                      "    code: |\n      def handler(pd):\n        return 1 +\n", "dry_run": True}, workflow="hook")
    assert [p["line"] for p in wrong_code["problems"]] == [7] and "SyntaxError" in wrong_code["problems"][0]["text"], wrong_code
    wrong_expression = call(200, "PUT", A + "workflows/{workflow}", {"text": "triggers: [{ namespace: hook, http: {} }]\nsteps:\n  - { namespace: a, end: '{{ 1 +* 2 }}' }\n",
                                                                     "dry_run": True}, workflow="hook")
    assert "SyntaxError" in wrong_expression["problems"][0]["text"], wrong_expression
    dry = call(200, "PUT", A + "workflows/{workflow}", {"changes": [{"path": "steps[0].props.message", "value": "new"}], "dry_run": True}, workflow="hook")
    assert '"new"' in dry["text"] and file.read_text() == WORKFLOW
    call(409, "PUT", A + "workflows/{workflow}", {"text": WORKFLOW, "base": "0" * 64}, workflow="hook")
    call(404, "PUT", A + "workflows/{workflow}", {"text": WORKFLOW}, workflow="none")
    call(422, "PUT", A + "workflows/{workflow}", {}, workflow="hook")
    assert call(200, "PUT", A + "workflows/{workflow}", {"changes": [{"path": "steps[0].props.message", "value": "new"}], "base": workflow["version"]}, workflow="hook")["written"]
    assert '"new"' in file.read_text()
    assert len(call(200, "GET", A + "workflows/{workflow}/versions", workflow="hook")["data"]) == 2
    call(200, "POST", A + "workflows/{workflow}/disable", workflow="hook")
    assert "inactive: true" in file.read_text()
    assert post(urls["hook"], "{}")[0] == 404
    call(422, "POST", A + "workflows/{workflow}/run", workflow="hook")
    call(200, "POST", A + "workflows/{workflow}/enable", workflow="hook")
    assert "inactive: false" in file.read_text() and post(urls["hook"], '{"text":"x"}')[0] == 200
    for verb in ("enable", "disable"):
        call(404, "POST", A + "workflows/{workflow}/" + verb, workflow="none")

    # ---- accounts, options, props
    account = {"name": "second", "app": "discord_webhook", "auth": {"oauth_uid": "https://discord.com/api/webhooks/1/secret-of-the-second"}}
    call(200, "POST", A + "accounts", account)
    assert "secret-of-the-second" not in json.dumps(call(200, "GET", A + "accounts"))
    call(409, "POST", A + "accounts", {**account, "name": "team-discord"})
    call(422, "POST", A + "accounts", {"name": "third"})
    call(200, "POST", A + "accounts/{account}/test", account="segment")
    call(404, "POST", A + "accounts/{account}/test", account="none")
    call(200, "DELETE", A + "accounts/{account}", account="second")
    call(404, "DELETE", A + "accounts/{account}", account="second")
    options = call(200, "POST", A + "options", {"component": "google_sheets-add-multiple-rows", "prop": "worksheetId", "props": {"googleSheets": {"account": "google"}, "sheetId": "sandbox-sheet"}})
    assert options["options"], options
    call(404, "POST", A + "options", {"component": "none", "prop": "x"})
    call(422, "POST", A + "options", {})
    call(200, "POST", A + "props", {"component": "discord_webhook-send-message", "props": {}})
    call(404, "POST", A + "props", {"component": "none"})
    call(422, "POST", A + "props", {})
    call(200, "POST", A + "reload")
    call(404, "POST", A + "fire", {"id": "none"})
    call(422, "POST", A + "fire", {})

    # ---- data stores
    call(200, "POST", A + "data-stores", {"op": "set", "store": "seen", "key": "a", "value": {"n": 1}})
    assert call(200, "POST", A + "data-stores", {"op": "get", "store": "seen", "key": "a"})["value"] == {"n": 1}
    assert call(200, "POST", A + "data-stores", {"op": "get", "store": "seen", "key": "b"})["found"] is False
    assert call(200, "POST", A + "data-stores", {"op": "increment", "store": "seen", "key": "c", "by": 5})["value"] == 5
    assert call(200, "POST", A + "data-stores", {"op": "keys", "store": "seen"})["keys"] == ["a", "c"]
    assert [(s["name"], s["keys"]) for s in call(200, "GET", A + "data-stores")["data"]] == [("seen", 2)]
    assert call(200, "POST", A + "data-stores", {"op": "delete", "store": "seen", "key": "a"})["found"] is True
    call(422, "POST", A + "data-stores", {"store": "seen"})
    project.run("data", "set", "seen", "ann", '{"visits":3}', "--ttl", "7d")
    assert json.loads(project.run("data", "get", "seen", "ann").stdout) == {"visits": 3}
    assert project.run("data", "keys", "seen").stdout.split() == ["ann", "c"]
    assert "deleted" in project.run("data", "delete", "seen", "ann").stdout
    gone = project.run("data", "get", "seen", "ann", check=False)
    assert gone.returncode == 1 and 'has no key "ann"' in gone.stderr

    # ---- signing in
    link = call(200, "POST", A + "session/link")["url"]
    code = link.split("#code=")[1]
    session = call(200, "POST", A + "session", {"code": code})["session"]
    call(401, "POST", A + "session", {"code": code})
    call(401, "POST", A + "session", {"token": "wrong"})
    call(200, "POST", A + "session", {"token": secret})
    assert raw("GET", A + "status", headers={"authorization": f"Bearer {session}"}, token=False)[0] == 200
    prefix, expiry, signature = session.split("_")
    for forged in (f"{prefix}_{int(expiry) + 1}_{signature}", f"{prefix}_{expiry}_{signature[:-1]}", f"{prefix}_{expiry}_", "rs__", ""):
        assert raw("GET", A + "status", headers={"authorization": f"Bearer {forged}"}, token=False)[0] == 401, forged

    # ---- every route keeps out: no token, a wrong token, a foreign Host, a foreign Origin
    admin = ready["admin"].split("//")[1]
    for template, item in DOC["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            path, verb = re.sub(r"\{\w+\}", "x", template), method.upper()
            if "400" in operation["responses"]:
                assert raw(verb, path, b"{nonsense")[0] == 400, path
                covered.add((method, template, "400"))
            if "401" in operation["responses"] and operation.get("security") != []:
                for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {secret}"}, {"cookie": f"session={session}; token={secret}"}):
                    status, answered, text = raw(verb, path + f"?token={secret}", headers=headers, token=False)
                    assert status == 401 and answered["WWW-Authenticate"] == "Bearer", (path, headers, status)
                    check(json.loads(text), {"$ref": "#/components/schemas/Problem"}, path)
                covered.add((method, template, "401"))
            if "403" in operation["responses"]:
                for headers in ({"Host": "evil.example"}, {"Host": f"localhost.evil.example:{admin.split(':')[1]}"}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": f"http://127.0.0.1:{int(admin.split(':')[1]) + 1}"}):
                    status, answered, _ = raw(verb, path, headers=headers)
                    assert status == 403 and "Access-Control-Allow-Origin" not in answered, (path, headers, status)
                covered.add((method, template, "403"))
    # a form that another page posts carries nothing that lets it in
    assert raw("POST", A + "workflows/hook/disable", b"a=b", {"content-type": "application/x-www-form-urlencoded", "Origin": "https://evil.example"}, token=False)[0] == 403
    assert raw("POST", A + "workflows/hook/disable", b"a=b", {"content-type": "text/plain"}, token=False)[0] == 401
    status, answered, _ = raw("OPTIONS", A + "status", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}, token=False)
    assert status == 403 and not any(name.lower().startswith("access-control") for name in answered)

    # ---- the console's files: only those, under a strict policy
    status, answered, page = raw("GET", "/", token=False)
    assert status == 200 and "script-src 'self'" in answered["Content-Security-Policy"] and "unsafe" not in answered["Content-Security-Policy"]
    assert b"<script>" not in page and b" on" + b"load=" not in page
    for path in ("/../runnel.yaml", "/assets/../../runnel.yaml", "/assets/%2e%2e/%2e%2e/runnel.yaml", "/..%2f..%2fetc/passwd", "//etc/passwd", "/assets/", "/.runnel/admin-token", "/index.html/../.env", "/assets/..\\..\\runnel.yaml"):
        status, _, text = raw("GET", path, token=False)
        assert status in (400, 404) and b"listen" not in text and secret.encode() not in text, (path, status)

    # ---- the rest: metrics, health, the end
    assert post(project.ready["ingest"] + "/r/run_0000000000000/1/token/resume", "{}")[0] == 404
    metrics = call(200, "GET", "/metrics")
    for name in ("runnel_ingest_accepted_total", 'runnel_ingest_refused_total{status="404",reason="resume"} 1', "runnel_queue_depth", "runnel_queue_age_seconds", 'runnel_runs{state="running"} 0', 'runnel_runs{state="paused"}', 'runnel_runs_ended_total{status="succeeded"}',
                 'runnel_step_duration_seconds_bucket{component="discord_webhook-send-message",le="+Inf"}', "runnel_plugin_starts_total", "runnel_plugin_crashes_total", "runnel_store_bytes", "runnel_store_quota_bytes",
                 "runnel_store_commit_seconds_count", "runnel_store_operations_total"):
        assert name in metrics, name
    for line in metrics.splitlines():
        assert re.match(r'^(# (HELP|TYPE) runnel_\w+ .+|runnel_\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? [0-9.e+-]+)$', line), line
    call(200, "GET", "/healthz")
    call(200, "GET", "/readyz")
    for elsewhere in (("get", A + "stream", "200"), ("get", A + "stream", "503"), ("get", A + "workflows/{workflow}/sse", "200"),
                      ("get", A + "workflows/{workflow}/sse", "503"), ("get", "/readyz", "503")):
        covered.add(elsewhere)  # test_streams.py, test_send_sse.py
    covered.add(("post", A + "fire", "200"))  # test_schedules.py
    call(200, "POST", A + "shutdown")
    project.up_process.wait(PATIENCE_S)

    wanted = {(method, path, status) for path, item in DOC["paths"].items() for method, operation in item.items() if method != "parameters" for status in operation["responses"]}
    assert not wanted - covered, f"documented and never seen: {sorted(wanted - covered)}"
    print(f"api: {len(covered)} answers of {len(told)} routes are as docs/openapi.json says")
finally:
    project.close()
