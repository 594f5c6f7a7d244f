"""Server-sent events: nothing is missed over a reconnect and a kill -9; as many streams as are allowed take one thread together; one more is
answered 503; a store that is full shows in /readyz."""
import json
import pathlib
import resource
import socket
import urllib.error
import urllib.request

from harness import PATIENCE_S, Project, eventually, post

STREAMS = 2048  # LIMIT_STREAMS
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192) if hard != resource.RLIM_INFINITY else 8192, hard))

WORKFLOW = """triggers:
  - namespace: hook
    http: {}
steps:
  - namespace: tell
    uses: discord_webhook-send-message
    props: { discordWebhook: { account: team-discord }, message: hello }
"""


class Stream:
    def __init__(self, query="", last=None):
        host, port = ready["admin"].split("//")[1].split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
        extra = f"Last-Event-ID: {last}\r\n" if last else ""
        self.socket.sendall(f"GET /api/v1/stream{query} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n{extra}\r\n".encode())
        self.text = b""
        self.last = last
        self.seen = []
        self.head = None

    def read_head(self):
        while b"\r\n\r\n" not in self.text:
            part = self.socket.recv(65536)
            assert part, "the stream ended before its head"
            self.text += part
        self.head, self.text = self.text.split(b"\r\n\r\n", 1)
        return int(self.head.split()[1])

    def read_until(self, condition):
        """Reads messages until the condition holds for those seen."""
        if self.head is None:
            assert self.read_head() == 200, self.head
        while not condition(self.seen):
            part = self.socket.recv(65536)
            assert part, "the stream ended"
            self.text += part
            *messages, self.text = self.text.split(b"\n\n")
            for message in messages:
                fields = dict(line.split(b": ", 1) for line in message.split(b"\n") if b": " in line and not line.startswith(b":"))
                self.last = fields[b"id"].decode() if b"id" in fields else self.last
                if b"event" in fields:
                    self.seen.append((fields[b"event"].decode(), json.loads(fields[b"data"])))
        return self.seen

    def close(self):
        self.socket.close()


def of(seen, topic):
    return [value for name, value in seen if name == topic]


def get(path):
    request = urllib.request.Request(ready["admin"] + path, headers={"authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def threads():
    status = pathlib.Path(f"/proc/{project.up_process.pid}/status").read_text()
    return int(status.split("Threads:")[1].split()[0])


project = Project()
try:
    pathlib.Path(project.dir, "workflows/hook.yaml").write_text(WORKFLOW)
    ready = project.up()
    token = pathlib.Path(project.dir, ".runnel/admin-token").read_text().strip()
    url = next(e["url"] for e in project.json("endpoints") if e["workflow"] == "hook")

    # ---- live
    stream = Stream()
    stream.read_head()
    eventually("the stream says where it is", lambda: stream.read_until(lambda seen: True) is not None)
    assert post(url, '{"n":0}')[0] == 200
    seen = stream.read_until(lambda s: any(r["status"] == "succeeded" for r in of(s, "run")))
    assert len({e["id"] for e in of(seen, "event")}) == 1
    run = of(seen, "run")[-1]
    assert run["workflow"] == "hook" and "text/event-stream" in stream.head.decode()

    # ---- away, over a kill -9: what happened meanwhile comes first, and nothing is left out
    place = stream.last
    stream.close()
    for i in range(1, 20):
        assert post(url, json.dumps({"n": i}))[0] == 200
    project.kill()
    ready = project.up()
    url = next(e["url"] for e in project.json("endpoints") if e["workflow"] == "hook")
    assert post(url, '{"n":20}')[0] == 200
    back = Stream(last=place)
    seen = back.read_until(lambda s: len({r["id"] for r in of(s, "run") if r["status"] == "succeeded"}) >= 20)
    assert len({e["id"] for e in of(seen, "event")}) == 20 and of(seen, "event")[0]["id"] < of(seen, "event")[-1]["id"]
    assert run["id"] not in {r["id"] for r in of(seen, "run")}, "what was seen is not told again"
    back.close()

    # ---- only what is asked for
    only = Stream("?topics=runs&workflow=segment-to-discord", last=place)
    narrow = Stream(f"?topics=runs,events&run={run['id']}", last="0-0-0")
    narrow.read_until(lambda s: any(r["status"] == "succeeded" for r in of(s, "run")))
    assert {r["id"] for r in of(narrow.seen, "run")} == {run["id"]}
    project.send({"messageId": "m-1", "userId": "ann"})
    only.read_until(lambda s: any(r["status"] == "succeeded" for r in of(s, "run")))
    assert {r["workflow"] for r in of(only.seen, "run")} == {"segment-to-discord"} and not of(only.seen, "event")
    totals = Stream("?topics=totals")
    assert of(totals.read_until(lambda s: len(of(s, "totals")) >= 1), "totals")[0]["events"] == 22
    brief = Stream("?topics=events&brief=1", last="0-0-0")
    for i in range(100):
        assert post(url, json.dumps({"n": i}))[0] == 200
    lost = Stream(last="ffffffffff-0-0")
    lost.read_until(lambda s: of(s, "reset"))
    nonsense = Stream(last="nonsense")
    assert nonsense.read_head() == 422
    again = Stream("?topics=events&brief=1", last="0-0-0")
    again.read_until(lambda s: of(s, "more"))
    assert not of(again.seen, "event")
    for s in (only, narrow, totals, brief, lost, nonsense, again):
        s.close()

    # ---- as many as there may be, and no thread for any of them
    before = threads()
    streams = []
    for i in range(STREAMS):
        streams.append(Stream("?topics=events"))
        if i % 16 == 15:  # the listener's queue is short
            for s in streams[-16:]:
                assert s.read_head() == 200
    assert threads() <= before + 2, (before, threads())
    one_more = Stream()
    assert one_more.read_head() == 503 and b"Retry-After" in one_more.head
    one_more.close()
    assert get("/api/v1/status")[0] == 200, "requests are answered beside them"
    assert post(url, '{"n":"for all"}')[0] == 200
    for s in streams:
        s.read_until(lambda seen: of(seen, "event"))
    for s in streams[:100]:
        s.close()
    eventually("their places are free", lambda: Stream().read_head() == 200)
    for s in streams[100:]:
        s.close()
    project.stop()
finally:
    project.close()

# ---- at the quota: not ready, and ready to say so
project = Project()
try:
    pathlib.Path(project.dir, "workflows/hook.yaml").write_text(WORKFLOW.replace("steps:", "settings: { throttle: { limit: 0, interval: 1m } }\nsteps:"))
    settings = pathlib.Path(project.dir, "runnel.yaml")
    settings.write_text(settings.read_text().replace("store: 4GiB", "store: 1MiB"))
    ready = project.up()
    token = pathlib.Path(project.dir, ".runnel/admin-token").read_text().strip()
    url = next(e["url"] for e in project.json("endpoints") if e["workflow"] == "hook")
    assert get("/readyz")[0] == 200
    statuses = [post(url, json.dumps({"fill": "x" * 100000}))[0] for _ in range(20)]
    assert 503 in statuses and statuses[0] == 200, statuses
    status, body = get("/readyz")
    assert status == 503 and "full" in json.loads(body)["detail"], (status, body)
    assert get("/healthz")[0] == 200
    assert b'runnel_ingest_refused_total{status="503"' in get("/metrics")[1]
    project.stop()
    print("streams: good")
finally:
    project.close()
