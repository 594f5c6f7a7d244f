"""The native HTTP trigger: who gets in, what the event is, what the sender gets, and kill -9 in between."""

import base64
import hashlib
import hmac
import http.client
import json
import os
import threading
import urllib.parse

from harness import PATIENCE_S, Project, eventually


def request(url, method="POST", body=b"", headers=None, path=""):
    """Status, headers in lower case, body; status 0 when no answer came."""
    parts = urllib.parse.urlsplit(url + path)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE_S)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body, {"content-length": str(len(body)), **(headers or {})})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, {}, b""
    finally:
        connection.close()


JSON = {"content-type": "application/json"}
FILM = """steps:
  - namespace: film
    uses: swapi-get-film
    props: { film: "1" }
"""


def write(project, name, http, steps=FILM, head=""):
    with open(f"{project.dir}/workflows/{name}.yaml", "w") as file:
        file.write(f"{head}triggers:\n  - http: {http}\n{steps}")


def events(project, name):
    listed = project.json("events", "--limit", "500", "--source", f"workflows/{name}/trigger")
    return [json.loads(project.run("events", e["id"]).stdout)["event"] for e in listed]


project = Project()
try:
    os.remove(f"{project.dir}/workflows/segment-to-discord.yaml")
    with open(f"{project.dir}/.env", "a") as env:
        env.write("HOOK_SECRET=It's a Secret to Everybody\nHOOK_TOKEN=open-sesame-token\n")
    write(project, "open", "{}")
    write(project, "github", '{ auth: { github: { secret: "{{process.env.HOOK_SECRET}}" } } }')
    write(project, "token", '{ auth: { bearer: "{{process.env.HOOK_TOKEN}}" }, methods: [POST, PUT], path: [/orders, /orders/*] }')
    write(project, "unset", '{ auth: { bearer: "{{process.env.HOOK_MISSING}}" } }')
    write(project, "cors", "{ cors: { origins: [https://app.example.com], headers: [content-type], credentials: true, max_age: 10m } }")
    write(project, "fixed", "{ respond: { status: 202, headers: { x-kind: fixed }, body: { ok: true } } }")
    write(project, "once", '{ dedupe: { id: "{{steps.trigger.event.headers[\'x-delivery\']}}" } }')
    respond = "  - namespace: say\n    respond: { status: 201, headers: { x-film: \"{{steps.film.$return_value.title}}\" }, body: \"{{steps.trigger.event.body}}\"%s }\n"
    write(project, "answer", "{ respond: workflow }", FILM + respond % "")
    write(project, "early", "{ respond: workflow }", "steps:\n" + (respond % ", immediate: true").replace("{{steps.film.$return_value.title}}", "x") + FILM[7:])
    write(project, "action", "{ respond: workflow }", """steps:
  - namespace: say
    uses: http-return-http-response
    props: { resStatusCode: 203, resBody: "{{steps.trigger.event.body.photo}}", immediate: true }
""" + FILM[7:])
    write(project, "silent", "{ respond: workflow }")
    write(project, "sick", "{ respond: workflow }", 'steps:\n  - namespace: bad\n    uses: swapi-get-film\n    props: { film: "{{steps.trigger.event.nothing.here}}" }\n')
    write(project, "unheard", "{}", "steps:\n" + respond.replace("steps.film.$return_value.title", "steps.trigger.event.path") % "")
    assert "nobody waits for this response" in project.run("check").stdout
    os.remove(f"{project.dir}/workflows/unheard.yaml")
    ready = project.up()
    url = {e["workflow"]: e["url"] for e in project.json("endpoints")}
    listed = {e["workflow"]: e for e in project.json("endpoints")}
    assert listed["github"]["auth"] == "signature" and listed["token"]["auth"] == "bearer" and listed["open"]["auth"] == "none", listed
    assert listed["open"]["kind"] == "http"

    # the event
    status, headers, body = request(url["open"], "POST", b'{"id":9007199254740993}', {**JSON, "X-Two": "b"}, "/a%20b?x=1&x=2&y=")
    assert status == 200 and json.loads(body) == {"accepted": True}, (status, body)
    event = events(project, "open")[0]
    assert event["method"] == "POST" and event["path"] == "/a%20b" and event["query"] == {"x": ["1", "2"], "y": ""}, event
    assert event["body"] == {"id": 9007199254740993} and event["client_ip"] == "127.0.0.1" and event["headers"]["x-two"] == "b", event
    assert event["url"] == url["open"] + "/a%20b?x=1&x=2&y=", event
    assert request(url["open"], "GET")[0] == 200 and events(project, "open")[0]["body"] is None
    assert request(url["open"], "POST", b"{oops", JSON)[0] == 400
    request(url["open"], "POST", b"a=1&b=x+y&a=2", {"content-type": "application/x-www-form-urlencoded"})
    assert events(project, "open")[0]["body"] == {"a": ["1", "2"], "b": "x y"}
    request(url["open"], "POST", b"\xff\x00\xfe", {"content-type": "application/octet-stream"})
    assert events(project, "open")[0]["body"] == {"$base64": base64.b64encode(b"\xff\x00\xfe").decode()}
    picture = bytes(range(256)) * 40 + b"\r\n--b\r\n"
    multipart = (b"--bound\r\ncontent-disposition: form-data; name=\"note\"\r\n\r\nhello\r\n"
                 b"--bound\r\ncontent-disposition: form-data; name=\"photo\"; filename=\"p.png\"\r\ncontent-type: image/png\r\n\r\n"
                 + picture + b"\r\n--bound--\r\n")
    assert request(url["open"], "POST", multipart, {"content-type": "multipart/form-data; boundary=bound"})[0] == 200
    form = events(project, "open")[0]["body"]
    assert form["note"] == "hello" and form["photo"]["filename"] == "p.png" and form["photo"]["mimetype"] == "image/png", form
    assert base64.b64decode(form["photo"]["$base64"]) == picture and form["photo"]["size"] == len(picture)
    status, _, body = request(url["open"], "POST", multipart[:-40], {"content-type": "multipart/form-data; boundary=bound"})
    assert status == 400 and b"multipart" in body, (status, body)

    # who gets in
    sign = lambda secret, data: "sha256=" + hmac.new(secret, data, hashlib.sha256).hexdigest()
    good = sign(b"It's a Secret to Everybody", b"Hello, World!")
    assert request(url["github"], "POST", b"Hello, World!", {"x-hub-signature-256": good})[0] == 200
    status, _, body = request(url["github"], "POST", b"Hello, World?", {"x-hub-signature-256": good})
    assert status == 401 and json.loads(body)["error"] == "unauthorized", (status, body)
    assert request(url["github"], "POST", b"Hello, World!")[0] == 401
    assert len(events(project, "github")) == 1, "what is refused leaves nothing"
    bearer = {"authorization": "Bearer open-sesame-token"}
    assert request(url["token"], "PUT", b"x", bearer, "/orders/7")[0] == 200
    assert "open-sesame" not in json.dumps(events(project, "token")), "the token is no part of the event"
    status, headers, _ = request(url["token"], "PUT", b"x", {"authorization": "Bearer open-sesame-tokem"}, "/orders")
    assert status == 401 and headers["www-authenticate"] == "Bearer"
    assert request(url["token"], "PUT", b"x", bearer, "/other")[0] == 404
    status, headers, _ = request(url["token"], "DELETE", b"", bearer, "/orders")
    assert status == 405 and headers["allow"] == "POST, PUT", (status, headers)
    assert "unset" not in url or request(url["unset"], "POST", b"x", {"authorization": "Bearer "})[0] == 404, "no secret lets nobody in"

    # CORS
    status, headers, _ = request(url["open"], "OPTIONS")
    assert status == 204 and headers["access-control-allow-origin"] == "*", headers
    assert headers["access-control-allow-methods"] == "GET,HEAD,PUT,PATCH,POST,DELETE"
    app = {"origin": "https://app.example.com", "access-control-request-method": "POST"}
    status, headers, _ = request(url["cors"], "OPTIONS", b"", app)
    assert status == 204 and headers["access-control-allow-origin"] == "https://app.example.com" and headers["vary"] == "Origin", headers
    assert headers["access-control-allow-credentials"] == "true" and headers["access-control-max-age"] == "600"
    assert headers["access-control-allow-headers"] == "content-type"
    assert request(url["cors"], "POST", b"{}", {**JSON, **app})[1]["access-control-allow-origin"] == "https://app.example.com"
    assert "access-control-allow-origin" not in request(url["cors"], "OPTIONS", b"", {"origin": "https://evil.example.com"})[1]

    # answers
    status, headers, body = request(url["fixed"], "POST", b"{}", JSON)
    assert status == 202 and headers["x-kind"] == "fixed" and json.loads(body) == {"ok": True} and headers["content-type"] == "application/json"
    status, headers, body = request(url["answer"], "POST", b'{"n":12345678901234567890}', JSON)
    assert status == 201 and headers["x-film"] == "A New Hope" and body == b'{"n":12345678901234567890}', (status, headers, body)
    assert request(url["early"], "POST", b'"text"', JSON)[2] == b"text"
    status, headers, body = request(url["action"], "POST", multipart, {"content-type": "multipart/form-data; boundary=bound"})
    assert status == 203 and headers["content-type"] == "image/png" and body == picture, (status, headers, len(body))
    status, _, body = request(url["silent"], "POST", b"{}", JSON)
    assert status == 400 and json.loads(body)["error"] == "no_response", (status, body)
    assert request(url["sick"], "POST", b"{}", JSON)[0] == 400

    # dedupe, and what leaves nothing or starts nothing
    deliver = lambda i: json.loads(request(url["once"], "POST", b"{}", {**JSON, "x-delivery": i})[2])
    assert deliver("a") == {"accepted": True} and deliver("a") == {"accepted": True, "duplicate": True} and deliver("b") == {"accepted": True}
    assert len(events(project, "once")) == 2
    before = len(events(project, "open"))
    assert request(url["open"], "POST", b"{}", {**JSON, "runnel-notrigger": "1"})[0] == 200
    assert request(url["open"], "POST", b"{}", JSON, "?x-pd-notrigger=1")[0] == 200
    assert len(events(project, "open")) == before + 2
    runs = project.json("runs", "--limit", "500", "--workflow", "open")
    assert len(runs) == before, "kept as events, but nothing ran"
    kept = project.json("events", "--limit", "1", "--source", "workflows/open/trigger")[0]["id"]
    project.run("replay", kept)
    eventually("unless it is replayed", lambda: len(project.json("runs", "--limit", "500", "--workflow", "open")) == before + 1)
    assert request(url["answer"], "POST", b'"kept nowhere"', {**JSON, "runnel-nostore": "1"})[2] == b"kept nowhere"
    eventually("and is gone", lambda: len(project.json("runs", "--limit", "500", "--workflow", "answer")) == 1)
    assert len(events(project, "answer")) == 1

    # a kill between acceptance and answer: the sender hears nothing, the run ends all the same
    project.stop()
    project.up(fault="step.before_call:1")
    url = {e["workflow"]: e["url"] for e in project.json("endpoints")}
    got = []
    sender = threading.Thread(target=lambda: got.append(request(url["answer"], "POST", b'"again"', JSON)))
    sender.start()
    eventually("killed", lambda: project.up_process.poll() is not None)
    sender.join(PATIENCE_S)
    assert got and got[0][0] == 0, got
    project.up()
    eventually("the run ends", lambda: [r["status"] for r in project.json("runs", "--workflow", "answer", "--limit", "1")] == ["succeeded"])
    url = {e["workflow"]: e["url"] for e in project.json("endpoints")}
    assert request(url["answer"], "POST", b'"and on"', JSON)[2] == b"and on"

    # killed while nothing is to be kept: the run ends after the restart, and is gone then
    project.stop()
    project.up(fault="run.before_end:1")
    url = {e["workflow"]: e["url"] for e in project.json("endpoints")}
    runs = len(project.json("runs", "--workflow", "open", "--limit", "500"))
    assert request(url["open"], "POST", b'"secret"', {**JSON, "runnel-nostore": "1"})[0] == 200
    eventually("killed", lambda: project.up_process.poll() is not None)
    project.up()
    url = {e["workflow"]: e["url"] for e in project.json("endpoints")}
    eventually("gone", lambda: len(project.json("runs", "--workflow", "open", "--limit", "500")) == runs)
    assert "secret" not in json.dumps(events(project, "open"))

    # a sender that goes away: the run goes on
    count = len(project.json("runs", "--workflow", "answer", "--limit", "500"))
    parts = urllib.parse.urlsplit(url["answer"])
    gone = http.client.HTTPConnection(parts.hostname, parts.port)
    gone.request("POST", parts.path, b'"bye"', JSON)
    gone.close()
    eventually("its run ends", lambda: [r["status"] for r in project.json("runs", "--workflow", "answer", "--limit", "500")] == ["succeeded"] * (count + 1))
    project.stop()
    print("HTTP trigger: good")
finally:
    project.close()
