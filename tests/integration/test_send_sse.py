"""$.send.sse: streams of a workflow on both listeners: the last 100 first, live after that, from where one was, over kill -9."""
import http.client
import json
import os
import urllib.parse

from harness import Project, eventually

project = Project()


class Stream:
    """An event stream, message by message."""

    def __init__(self, url, headers=None):
        parts = urllib.parse.urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        self.connection.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""), headers=headers or {})
        self.answer = self.connection.getresponse()
        self.status = self.answer.status
        self.headers = self.answer.headers

    def block(self):
        lines = []
        while line := self.answer.fp.readline().decode().rstrip("\n"):
            lines.append(line)
        return lines

    def next(self, count=1):
        """(id, event, data) of the next messages; comments and the like are skipped."""
        found = []
        while len(found) < count:
            fields = dict(line.split(": ", 1) for line in self.block() if not line.startswith(":"))
            if "data" in fields:
                found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
        return found

    def close(self):
        self.answer.close()
        self.connection.close()


def admin(name, **headers):
    with open(f"{project.dir}/.runnel/admin-token") as file:
        token = file.read().strip()
    return Stream(f"{project.ready['admin']}/api/v1/workflows/{name}/sse", {"authorization": f"Bearer {token}", **headers})


def write(name, code, settings=""):
    with open(f"{project.dir}/workflows/{name}.yaml", "w") as out:
        out.write(f"{settings}triggers:\n- manual: true\nsteps:\n- namespace: say\n  language: node\n  code: |\n    {code}\n")


def run(name, event):
    return project.json("inspect", project.start(name, event), "--wait")


def public(name):
    return next(e["url"] for e in project.json("endpoints") if e["workflow"] == name and e["kind"] == "sse")


try:
    many = "for (let n = steps.trigger.event.from; n < steps.trigger.event.to; n++) $.send.sse({ channel: 'count', payload: { n, text: 'a\\n✓' } })"
    write("quiet", many)
    write("open", many, "settings: { sse: { public: true } }\n")
    write("picky", many, "settings: { sse: { public: true, origins: [\"https://example.com\"] } }\n")
    write("wrong", "$.send.sse(steps.trigger.event)")
    assert "good" in project.run("check").stdout
    assert project.up(), open(f"{project.dir}/up.log").read()

    # ---- the last 100, then live, each once and in order
    assert run("quiet", {"from": 0, "to": 105})["status"] == "succeeded"
    stream = admin("quiet")
    assert stream.status == 200 and stream.headers["content-type"].startswith("text/event-stream"), stream.headers
    got = stream.next(100)
    assert [m[2]["n"] for m in got] == list(range(5, 105)) and got[0] == (6, "count", {"n": 5, "text": "a\n✓"}), got[:2]
    run("quiet", {"from": 105, "to": 107})
    assert [m[2]["n"] for m in stream.next(2)] == [105, 106]
    stream.close()
    again = admin("quiet", **{"last-event-id": "105"})
    assert [m[0] for m in again.next(2)] == [106, 107]
    again.close()
    for wrong, why in (({"payload": 1}, 'needs "channel"'), ({"channel": "a\nb", "payload": 1}, "a channel's name"), ({"channel": "a"}, "needs a payload"),
                       ({"channel": "a", "payload": "x" * 70000}, "at most 64 KiB")):
        error = run("wrong", wrong)["error"]["text"]
        assert why in error, error

    # ---- the ingest listener: only where the file says so, and to whom
    stream = Stream(public("open"), {"origin": "https://anywhere.example"})
    assert stream.status == 200 and stream.headers["access-control-allow-origin"] == "*", (stream.status, stream.headers)
    run("open", {"from": 0, "to": 1})
    assert stream.next()[0][2]["n"] == 0
    assert not [e for e in project.json("endpoints") if e["workflow"] == "quiet"]
    assert Stream(public("open")[:-1] + "0").status == 404
    assert Stream(public("picky"), {"origin": "https://anywhere.example"}).status == 403
    picky = Stream(public("picky"), {"origin": "https://example.com"})
    assert picky.status == 200 and picky.headers["access-control-allow-origin"] == "https://example.com"
    assert Stream(f"{project.ready['admin']}/api/v1/workflows/quiet/sse").status == 401
    assert admin("nobody").status == 404

    # ---- a comment keeps the connection alive
    lines = []
    while not any(line.startswith(": keepalive") for line in lines):
        lines = stream.block()

    # ---- many followers take no thread of those who send events, and there is an end to them
    crowd = [Stream(public("picky")) for _ in range(254)]
    assert {s.status for s in crowd} == {200}
    assert Stream(public("picky")).status == 503
    assert Stream(f"{project.ready['ingest']}/e/none").status == 404
    for follower in crowd:
        follower.close()
    eventually("there is room again", lambda: Stream(public("picky")).status == 200)

    # ---- killed at the end of a run: its messages come once, and the numbers go on
    project.stop()
    assert project.up(fault="run.before_end:1")
    try:
        run("quiet", {"from": 200, "to": 202})
    except (AssertionError, OSError):
        pass
    eventually("killed", lambda: project.up_process.poll() is not None)
    assert project.up()
    stream = admin("quiet", **{"last-event-id": "107"})
    assert [(m[0], m[2]["n"]) for m in stream.next(2)] == [(108, 200), (109, 201)]
    run("quiet", {"from": 300, "to": 301})
    assert [(m[0], m[2]["n"]) for m in stream.next()] == [(110, 300)]
    stream.close()

    # ---- messages of a workflow go with its file
    os.rename(f"{project.dir}/workflows/quiet.yaml", f"{project.dir}/quiet.kept")
    eventually("it is gone", lambda: "quiet" not in [w["id"] for w in project.json("workflows")])
    project.api("reload", {}, "POST")  # returns when all is deployed
    os.rename(f"{project.dir}/quiet.kept", f"{project.dir}/workflows/quiet.yaml")
    eventually("it is back", lambda: "quiet" in [w["id"] for w in project.json("workflows")])
    run("quiet", {"from": 400, "to": 401})
    stream = admin("quiet")
    assert [m[2]["n"] for m in stream.next()] == [400]
    stream.close()
    project.stop()

    for text, why in (("sse: { public: yes please }", '"public"'), ("sse: { origins: [\"https://x\"] }", 'without "public: true"'),
                      ("sse: { public: true, origins: [\"https://x/path\"] }", "an origin is scheme://host"), ("sse: { publik: true }", 'did you mean "public"')):
        write("wrong", "return 1", f"settings: {{ {text} }}\n")
        checked = project.run("check", check=False)
        assert checked.returncode == 1 and why in checked.stdout + checked.stderr and "wrong.yaml:1:" in checked.stdout + checked.stderr, (why, checked)
finally:
    project.close()
print("sse: good")
