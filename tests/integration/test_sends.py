"""$.send: what runs send when they have ended, on the real binary: HTTP requests, emits that start other workflows, over kill -9."""
import base64
import json
import threading
import time
import urllib.request

from harness import LocalServer, Project, QuietHandler, eventually

got, answers, lock, hold, at_once = [], [], threading.Lock(), threading.Event(), [0]
hold.set()


class Receiver(QuietHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        with lock:
            got.append({"method": self.command, "path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}, "body": body})
            status, headers = answers.pop(0) if answers else (200, {})
        if self.path == "/slow":
            with lock:
                at_once.append(at_once[-1] + 1)
            hold.wait(60)
            with lock:
                at_once.append(at_once[-1] - 1)
        self.send_response(status)
        for name, value in {**headers, "content-length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    do_GET = do_POST = do_PUT = answer


server = LocalServer(Receiver)
HERE = server.url
project = Project()


def write(name, text):
    with open(f"{project.dir}/workflows/{name}.yaml", "w") as out:
        out.write(text)


def code(name, text, language="node", triggers="- manual: true", head=""):
    body = "\n".join(f"      {line}" for line in text.replace("HERE", HERE).splitlines())
    write(name, f"{head}triggers:\n{triggers}\nsteps:\n- namespace: send\n  language: {language}\n  code: |\n{body}\n")


def run(name, event=None):
    return project.json("inspect", project.start(name, event), "--wait")


def sends(run_id):
    return [s for step in project.json("inspect", run_id)["steps"] for s in step.get("sends", [])]


def settled(run_id):
    eventually(f"what {run_id} sent is settled", lambda: all(s["state"] not in ("waiting", "queued", "retrying") for s in sends(run_id)))
    return sends(run_id)


def events(**query):
    return project.every("events", **query)


def listen(name, of, channel=None, extra=""):
    code(name, "return [steps.trigger.event, steps.trigger.context.hops]",
         triggers=f"- workflow: {of}\n" + (f"  channel: {channel}\n" if channel else "") + extra)


try:
    code("http", """
$.send.http({ method: "POST", url: "HERE/in?a=1", params: { b: ["x y", 2] }, data: { n: 12345678901234567890n, text: "ä" },
  headers: { "X-One": "1", Authorization: "Bearer of-nobody" } });
$.send.http({ url: "HERE/plain", data: "as it is", method: "put", auth: { username: "u", password: "very-secret" } });
$.send.http({ url: "HERE/get" });
return got()
function got() { return "returned" }
""")
    code("python", """
def handler(pd):
    pd.send.http(method="POST", url="HERE/py", data={"x": [1, None]})
    pd.send.http({"url": "HERE/py2"})
    pd.send.emit({"from": "python"}, "snakes")
    return 1
""", "python")
    code("emitter", """
$.send.emit({ n: steps.trigger.event.n, big: 9007199254740993n });
$.send.emit("a text", "orders");
return 1
""")
    listen("first", "emitter")
    listen("second", "workflows/emitter.yaml")
    listen("orders", "emitter", "orders")
    listen("snakes", "python", "snakes")
    code("echo", "$.send.emit(steps.trigger.event.n ?? 1)", triggers="- manual: true\n- workflow: echo\n  namespace: again")
    write("partly", f"""triggers:
- manual: true
steps:
- namespace: good
  language: node
  code: |
    $.send.http({{ url: "{HERE}/good" }}); $.send.emit({{ from: "good" }})
- namespace: bad
  retry: {{ attempts: 1 }}
  language: node
  code: |
    $.send.http({{ url: "{HERE}/bad" }}); throw new Error("it was too much")
""")
    listen("told", "partly", "$errors")
    code("long", "$.send.emit('x'.repeat(10000))")
    code("elsewhere", f"$.send.http({{ url: 'http://localhost:{server.server_port}/elsewhere' }})")
    code("large", "$.send.http({ url: 'HERE/large', data: 'y'.repeat(4 << 20) })")
    code("flood", "for (let n = 0; n < 10001; n++) $.send.emit(n)")
    code("flood_bytes", "for (let n = 0; n < 3; n++) $.send.emit('x'.repeat(7 << 20))")
    code("thousand", "for (let n = 0; n < 1000; n++) $.send.http({ url: 'HERE/n', data: { n } })")
    code("wrong", "$.send.http(steps.trigger.event)")
    code("mail", "$.send.email({ subject: 's', text: 't' })")
    checked = project.run("check")
    assert "the workflow listens to itself" in checked.stdout + checked.stderr, checked
    assert project.up(), open(f"{project.dir}/up.log").read()

    # ---- HTTP: as it was asked, with a key, after the run; secrets are not shown
    done = run("http")
    assert done["status"] == "succeeded", done
    shown = settled(done["id"])
    assert [(s["state"], s["status"], s["tries"]) for s in shown] == [("sent", 200, 1)] * 3, shown
    assert shown[0]["headers"] == {"X-One": "1", "Authorization": "[redacted]"} and shown[0]["data"]["n"] == 12345678901234567890, shown
    assert "very-secret" not in json.dumps(project.json("inspect", done["id"])) and "sealed" not in json.dumps(shown), shown
    by_path = {r["path"]: r for r in got}
    posted = by_path["/in?a=1&b=x%20y&b=2"]
    assert posted["method"] == "POST" and json.loads(posted["body"]) == {"n": 12345678901234567890, "text": "ä"}, posted
    assert posted["headers"]["content-type"] == "application/json" and posted["headers"]["x-one"] == "1", posted
    assert posted["headers"]["authorization"] == "Bearer of-nobody" and len(posted["headers"]["idempotency-key"]) == 32, posted
    assert by_path["/plain"]["method"] == "PUT" and by_path["/plain"]["body"] == "as it is", by_path["/plain"]
    assert by_path["/plain"]["headers"]["authorization"] == "Basic " + base64.b64encode(b"u:very-secret").decode()
    assert by_path["/get"]["method"] == "GET" and len({r["headers"]["idempotency-key"] for r in got}) == 3, got
    text = project.run("inspect", done["id"]).stdout
    assert "sends" in text and "/in?a=1&b=x%20y&b=2" in text and "sent" in text, text
    assert any("$.send.http" in line["text"] for line in project.json("logs", done["id"])), project.json("logs", done["id"])

    # ---- what cannot be sent fails the step, and says why
    for wrong, why in (({"url": "ftp://x"}, "begins with http://"), ({"url": HERE, "body": 1}, 'takes no "body"'), ({}, 'needs "url"'),
                       ({"url": HERE, "header": {}}, 'did you mean "headers"'), ({"url": HERE, "headers": {"a": "b\nc"}}, "none that HTTP allows")):
        failed = run("wrong", wrong)
        assert failed["status"] == "failed" and why in failed["error"]["text"], failed["error"]
    failed = run("mail")
    assert failed["status"] == "failed" and "add: smtp: {" in failed["error"]["text"], failed

    # ---- retries: with the same key; 4xx is final
    got.clear()
    answers[:] = [(503, {"retry-after": "0"}), (429, {"retry-after": "0"})]
    code("one", '$.send.http({ url: "HERE/one" })')
    eventually("it is deployed", lambda: any(w["id"] == "one" for w in project.json("workflows")))
    shown = settled(run("one")["id"])
    assert shown[0]["state"] == "sent" and shown[0]["tries"] == 3 and len({r["headers"]["idempotency-key"] for r in got}) == 1, (shown, got)
    answers[:] = [(404, {})]
    shown = settled(run("one")["id"])
    assert shown[0]["state"] == "failed" and shown[0]["status"] == 404 and shown[0]["tries"] == 1 and "404" in shown[0]["error"], shown

    # ---- emits: an event of the workflow, a run of each that listens
    done = run("emitter", {"n": 7})
    for name, expected in (("first", {"n": 7, "big": 9007199254740993}), ("second", {"n": 7, "big": 9007199254740993}), ("orders", "a text")):
        eventually(f"{name} ran", lambda: [r["status"] for r in project.json("runs", "-w", name)] == ["succeeded"])
        child = project.json("inspect", project.json("runs", "-w", name)[0]["id"])
        assert child["steps"][0]["exports"]["$return_value"] == [expected, 1], child
    emitted = events(source="workflows/emitter")
    assert [(e.get("channel"), e["source"]) for e in emitted] == [("orders", "workflows/emitter"), (None, "workflows/emitter")], emitted
    assert [s["event_id"] for s in sends(done["id"])] == [e["id"] for e in emitted[::-1]], (sends(done["id"]), emitted)
    replayed = project.json("replay", emitted[1]["id"])
    assert sorted(r["workflow"] for r in replayed) == ["first", "second"], replayed
    eventually("they ran again", lambda: len(project.json("runs", "-w", "second")) == 2)
    run("python")
    eventually("snakes ran", lambda: [r["status"] for r in project.json("runs", "-w", "snakes")] == ["succeeded"])

    # ---- a chain ends
    run("echo", {"n": 1})
    eventually("the chain has ended", lambda: len(project.json("runs", "-w", "echo", "-n", "100")) == 17
               and all(r["status"] == "succeeded" for r in project.json("runs", "-w", "echo", "-n", "100")))
    last = sends(project.json("runs", "-w", "echo")[0]["id"])
    assert last[0]["state"] == "refused" and "16 times already" in last[0]["error"], last

    # ---- a long event is kept once: as the event
    shown = sends(run("long")["id"])[0]
    assert shown["state"] == "sent" and "event" not in shown and project.json("events", shown["event_id"])["event"] == "x" * 10000, shown

    # ---- megabytes arrive whole; more than a run may send fails the step, and nothing of it is sent
    got.clear()
    assert settled(run("large")["id"])[0]["state"] == "sent" and got[0]["body"] == "y" * (4 << 20)
    before = len(events())
    for name, why in (("flood", "a run sends 10000 things at most"), ("flood_bytes", "16777216 bytes")):
        failed = run(name)
        assert failed["status"] == "failed" and why in failed["error"]["text"] and sends(failed["id"]) == [], failed["error"]
    assert len(events()) == before + 2  # of the two runs themselves

    # ---- a thousand requests of one run, each once
    got.clear()
    shown = settled(run("thousand")["id"])
    assert len(shown) == 1000 and {s["state"] for s in shown} == {"sent"}
    assert sorted(json.loads(r["body"])["n"] for r in got) == list(range(1000)) and len({r["headers"]["idempotency-key"] for r in got}) == 1000

    # ---- all of it is counted
    with open(f"{project.dir}/.runnel/admin-token") as file:
        token = file.read().strip()
    with urllib.request.urlopen(urllib.request.Request(f"{project.ready['admin']}/metrics", headers={"authorization": f"Bearer {token}"})) as answer:
        metrics = answer.read().decode()
    assert 'runnel_sends_total{kind="emit",state="refused"} 1\n' in metrics and 'runnel_sends_total{kind="http",state="failed"} 1\n' in metrics, metrics
    assert "runnel_sends_waiting 0\n" in metrics, metrics

    # ---- a failed run: what completed steps sent goes out, what the failing one sent does not; $errors
    got.clear()
    failed = run("partly")
    assert failed["status"] == "failed", failed
    assert [s["state"] for s in settled(failed["id"])] == ["sent", "sent"], sends(failed["id"])
    assert [r["path"] for r in got] == ["/good"], got
    eventually("told of the error", lambda: [r["status"] for r in project.json("runs", "-w", "told")] == ["succeeded"])
    event = project.json("inspect", project.json("runs", "-w", "told")[0]["id"])["trigger_event"]
    assert event["channel"] == "$errors" and "it was too much" in event["event"]["error"]["message"], event

    # ---- a host that does not answer gets its share of the deliveries, and the others go on
    code("slow", "for (let n = 0; n < 40; n++) $.send.http({ url: 'HERE/slow', data: n })")
    eventually("it is deployed", lambda: any(w["id"] == "slow" for w in project.json("workflows")))
    with lock:
        got.clear()
        hold.clear()
    slow = run("slow")
    eventually("four are under way", lambda: len(got) >= 4)
    assert settled(run("elsewhere")["id"])[0]["state"] == "sent"
    assert not [s for s in sends(slow["id"]) if s["state"] == "sent"]
    hold.set()
    assert max(at_once) == 4 or len(got) > 41, at_once  # on a machine so slow that tries run out of time, the server still holds old ones
    assert {s["state"] for s in settled(slow["id"])} == {"sent"}

    # ---- killed between the end of the run and the delivery: delivered by the next process; emitted once
    for fault, deliveries in (("run.before_end:1", 1), ("outbox.before_send:1", 1), ("outbox.sent:1", 2)):
        project.stop()
        got.clear()
        code("both", '$.send.http({ url: "HERE/both" }); $.send.emit({ a: 1 }); return 1')
        listen("heard", "both")
        assert project.up()
        before = len(events(source="workflows/both"))
        project.stop()
        assert project.up(fault=fault)
        project.start("both")
        eventually("killed", lambda: project.up_process.poll() is not None)
        assert project.up()
        runs = project.json("runs", "-w", "both")
        eventually("it ended", lambda: project.json("runs", "-w", "both")[0]["status"] == "succeeded")
        assert settled(runs[0]["id"])[0]["state"] == "sent", sends(runs[0]["id"])
        assert len(got) == deliveries and len({r["headers"]["idempotency-key"] for r in got}) == 1, (fault, got)
        assert len(events(source="workflows/both")) == before + 1, (fault, events(source="workflows/both"))
        eventually("heard", lambda: len([r for r in project.json("runs", "-w", "heard") if r["status"] == "succeeded"]) == before + 1)

    # ---- nobody is there for long: it waits on disk, and other deliveries go on
    closed = LocalServer(Receiver)
    address = closed.url
    closed.close()
    code("gone", f'$.send.http({{ url: "{address}/x" }})')
    eventually("it is deployed", lambda: any(w["id"] == "gone" for w in project.json("workflows")))
    done = run("gone")
    eventually("it waits for the next try", lambda: sends(done["id"])[0]["state"] == "retrying")
    assert sends(done["id"])[0]["next_ms"] > time.time() * 1000, sends(done["id"])
    assert settled(run("http")["id"])[0]["state"] == "sent"
    project.stop()

    # ---- at the quota an emit is refused, as an event from outside is, and the run says so
    with open(f"{project.dir}/runnel.yaml") as file:
        settings = file.read()
    with open(f"{project.dir}/runnel.yaml", "w") as out:
        out.write(settings.replace("store: 4GiB", "store: 3MiB"))
    code("fill", "for (let i = 0; i < 60; i++) $.send.emit('x'.repeat(60000))")
    listen("never", "fill", extra="settings: { throttle: { limit: 0 } }\n".replace("settings", "  namespace: n\nsettings"))
    write("late", "triggers:\n- manual: true\nsteps:\n- namespace: hold\n  suspend: { timeout: 1h }\n"
          "- namespace: send\n  language: python\n  code: |\n    def handler(pd):\n        pd.send.emit('too late')\n")
    assert project.up()
    late = project.start("late")
    eventually("it waits", lambda: project.json("inspect", late)["status"] == "paused")
    project.start("fill")
    eventually("the store is full", lambda: project.api("status")["store"]["full"])
    project.api(f"runs/{late}/resume", {}, "POST")
    eventually("it is refused", lambda: "not emitted: the store is full" in open(f"{project.dir}/up.log").read())  # the run itself may be pruned already
    assert events(source="workflows/late") == []
    project.stop()
    with open(f"{project.dir}/runnel.yaml", "w") as out:
        out.write(settings)

    # ---- without a runtime: `runnel run` delivers what its run has sent, and leaves the rest
    got.clear()
    alone = project.json("run", "one")
    assert [r["path"] for r in got] == ["/one"], got
    assert [s["state"] for step in alone["steps"] for s in step["sends"]] == ["sent"], alone

    # ---- tests of workflows: what would be sent is seen, and nothing is sent
    got.clear()
    with open(f"{project.dir}/workflows/http.test.yaml", "w") as out:
        out.write(f"""tests:
  - name: right
    expect: {{ sends: [{{ kind: http, method: PUT, url: "{HERE}/plain", data: as it is, step: send }}] }}
  - name: wrong
    expect: {{ sends: [{{ kind: emit }}] }}
  - name: none
    expect: {{ sends: [] }}
""")
    results = json.loads(project.run("test", "http", "--json", check=False).stdout)
    assert [r["ok"] for r in results] == [True, False, False] and got == [], (results, got)
    assert "sends[0]: no send is like" in results[1]["failures"][0], results[1]["failures"]
    assert {s["state"] for step in results[0]["run"]["steps"] for s in step["sends"]} == {"not sent"}, results[0]["run"]

    # ---- check
    for text, why in (("- workflow: emiter", 'did you mean "emitter"'), ("- workflow: emitter\n  channel: $logs", "there is no channel"),
                      ("- workflow: bad\n  channel: $errors", "cannot be told of its own errors"), ("- workflow: emitter\n  props: {}", "belongs to a source")):
        code("bad", "return 1", triggers=text)
        checked = project.run("check", check=False)
        assert checked.returncode == 1 and why in checked.stdout + checked.stderr and "bad.yaml:" in checked.stdout + checked.stderr, (why, checked)
finally:
    project.close()
    server.close()
print("sends: good")
