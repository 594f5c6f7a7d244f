"""The ingest listener of the real binary, spoken to over raw sockets; and promise 6: what comes in comes out."""
import base64
import json
import os
import select
import signal
import socket
import ssl
import subprocess
import threading
import urllib.parse

from harness import PATIENCE_S, TrialProject, post

LIMIT_HEADERS, LIMIT_COUNT, BODY = 16384, 64, 10 << 20


class Edge:
    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.host, self.port, self.path = parts.hostname, parts.port, parts.path

    def connect(self):
        return socket.create_connection((self.host, self.port), PATIENCE_S)

    def head(self, method="POST", path=None):
        return f"{method} {path or self.path} HTTP/1.1\r\nHost: h\r\n".encode()

    def say(self, data, shut=False):
        """All that is answered until the listener closes the connection."""
        with self.connect() as s:
            try:
                s.sendall(data)
                if shut:
                    s.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # closed already: what it said before is what counts
            return read_all(s)

    def status(self, data, shut=False):
        return int((self.say(data, shut) or b"HTTP/1.1 000").split()[1])


def read_all(s):
    got = b""
    try:
        while chunk := s.recv(65536):
            got += chunk
    except ConnectionResetError:
        pass
    return got


def read_answer(s):
    """Head and body of one answer on a connection that is kept."""
    got = b""
    while b"\r\n\r\n" not in got:
        chunk = s.recv(65536)
        assert chunk, got
        got += chunk
    head, body = got.split(b"\r\n\r\n", 1)
    size = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < size:
        body += s.recv(65536)
    return head, body


project = TrialProject(limits=f"body: {BODY}")
try:
    project.workflow("edge", [("echo", "", ', value: "{{steps.trigger.event}}"')])
    project.workflow("off", ["echo"])
    assert project.up()
    edge = Edge(project.url("edge"))
    off = Edge(project.url("off")).path
    project.api("workflows/off/disable", {})

    def good(s, body, method="POST", more=b""):
        s.sendall(edge.head(method) + more + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        head, answer = read_answer(s)
        assert head.split()[1] == b"200", (head, answer)
        return head, answer

    # a sender that never gets done: cut off with 408 when its time (30 s) is over; looked at in the end
    slow = {}

    def never_done(name, data):
        slow[name] = edge.status(data)

    slow_threads = [threading.Thread(target=never_done, args=pair) for pair in (
        ("head", b"POST / HTTP/1.1\r\nHo"), ("body", edge.head() + b"Content-Length: 10\r\n\r\n12"),
        ("chunk", edge.head() + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12"))]
    for thread in slow_threads:
        thread.start()

    # every trap: refused, closed, and the request that hides behind it is never served
    event = json.dumps({"do": "emit", "id": "smuggled"}).encode()
    smuggled = edge.head() + b"Content-Length: %d\r\n\r\n" % len(event) + event
    many = b"".join(b"X-%d: 1\r\n" % i for i in range(LIMIT_COUNT + 6))
    traps = [
        (edge.head() + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (edge.head() + b"Content-Length: 3\r\nContent-Length: 30\r\n\r\nabc", 400),
        (edge.head() + b"Content-Length: 5abc\r\n\r\nabcde", 400),
        (edge.head() + b"Content-Length: +5\r\n\r\nabcde", 400),
        (edge.head() + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (edge.head() + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (edge.head() + b"\r\n", 411),
        (edge.head() + many + b"Content-Length: 5\r\n\r\nabcde", 431),
        (edge.head() + b"X: " + b"a" * LIMIT_HEADERS + b"\r\n\r\n", 431),
        (edge.head() + b"Content-Length: %d\r\n\r\n" % (BODY + 1), 413),
        (edge.head() + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % (BODY + 1) + b"a" * (BODY + 1) + b"\r\n0\r\n\r\n", 413),
        (b"POST %s HTTP/1.1\r\nContent-Length: 0\r\n\r\n" % edge.path.encode(), 400),
        (edge.head(path=edge.path + "%00x") + b"Content-Length: 0\r\n\r\n", 400),
        (edge.head() + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n", 400),
        (b"NONSENSE\r\n\r\n", 400),
    ]
    for data, expected in traps:
        answer = edge.say(data + smuggled)
        assert answer.count(b"HTTP/1.1 ") == 1 and int(answer.split()[1]) == expected, (expected, data[:80], answer[:200])
    # bodies that end too soon
    for data in (edge.head() + b"Content-Length: 100\r\n\r\nhello", edge.head() + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel"):
        assert edge.status(data, shut=True) == 400, data
    assert project.every("events") == [], "something of a refused request was taken for a request"

    # unknown and switched off: 404, with the reason
    for path, reason in (("/", b"endpoints are at"), ("/e/nobody", b"no such endpoint"), (off, b"not active")):
        answer = edge.say(edge.head(path=path) + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
        assert answer.split()[1] == b"404" and reason in answer, (path, answer)
    # <key>.localhost is the same endpoint
    key = edge.path.split("/")[2]
    body = b'{"do":"emit","id":"by-host"}'
    answer = edge.say(b"POST /any/path HTTP/1.1\r\nHost: %s.localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (key.encode(), len(body)) + body)
    assert answer.split()[1] == b"200", answer

    # HEAD has no body; Expect: 100-continue gets its interim answer before the body is sent
    with edge.connect() as s:
        s.sendall(edge.head("HEAD", path="/e/nobody") + b"\r\n" + edge.head("GET", path="/e/nobody") + b"Connection: close\r\n\r\n")
        both = read_all(s)
        assert both.count(b"HTTP/1.1 404") == 2 and both.count(b"no such endpoint") == 1, both
    with edge.connect() as s:
        body = b'{"do":"emit","id":"expected"}'
        s.sendall(edge.head() + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        interim = s.recv(4096)
        assert interim.startswith(b"HTTP/1.1 100 "), interim
        s.sendall(body)
        assert read_answer(s)[0].split()[1] == b"200"

    # what comes in comes out, through the event, an expression, the action, its export and the history
    exact = ('{"do":"emit","id":"exact","big":9007199254740993,"neg":-9223372036854775808,"huge":123456789012345678901234567890,'
             '"dec":0.1234567890123456789012345,"exp":1e400,"zero":"a\\u0000b","wide":"\\ud83d\\ude00 \u00e9"}')
    with edge.connect() as s:
        good(s, exact.encode())
        good(s, bytes(range(256)))
    run = next(r for r in project.ended("edge", 4) if "exact" in project.run("events", r["event"]).stdout)
    shown = project.run("inspect", run["id"], "--json").stdout
    for text in ("9007199254740993", "-9223372036854775808", "123456789012345678901234567890", "0.1234567890123456789012345", "1e400"):
        assert shown.count(text) >= 3, f"{text}: in the event, the input and the export: {shown}"
    exported = json.loads(shown)["steps"][0]["exports"]["$return_value"]
    assert exported["zero"] == "a\0b" and exported["wide"] == "\U0001f600 \u00e9", exported
    bodies = [json.loads(project.run("events", r["event"], "--json").stdout)["event"] for r in project.runs("edge")]
    assert base64.b64encode(bytes(range(256))).decode() in [b.get("base64") for b in bodies]

    # overload: the plugin's host is stopped and more bytes come than may wait for one. What is too much is told so at once, with
    # Retry-After; all else is answered when the host goes on; there are as many events as answers of 200
    before = len(project.every("events"))
    host = next(p["pid"] for p in project.api("status")["plugins"] if p["plugin"] == "trial")
    os.kill(host, signal.SIGSTOP)
    waiting = []
    for number in range(24):
        s = edge.connect()
        body = json.dumps({"do": "small", "id": f"overload-{number}", "pad": "x" * (8 << 20)}).encode()
        s.sendall(edge.head() + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        waiting.append(s)
    refused_at_once = select.select(waiting, [], [], PATIENCE_S)[0]
    os.kill(host, signal.SIGCONT)
    answers = [read_all(s) for s in waiting]
    for s in waiting:
        s.close()
    statuses = [int((a or b"- 0").split()[1]) for a in answers]
    assert refused_at_once and set(statuses) == {200, 503}, statuses
    assert all(b"retry-after:" in a.lower() for a, status in zip(answers, statuses) if status == 503)
    assert len(project.every("events")) == before + statuses.count(200), statuses

    for thread in slow_threads:
        thread.join()
    assert slow == {"head": 408, "body": 408, "chunk": 408}, slow
    project.stop()

    # a listener with TLS; public_url is what vendors are given
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                    "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
                   cwd=project.dir, check=True, capture_output=True)
    with open(f"{project.dir}/runnel.yaml", "a") as out:
        out.write("tls: { certificate: cert.pem, key: key.pem }\n")
    ready = project.up()
    assert ready and ready["ingest"].startswith("https://"), ready
    url = project.url("edge")
    assert url.startswith(ready["ingest"])
    trusted = ssl.create_default_context(cafile=f"{project.dir}/cert.pem")
    status, body = post(url, '{"do":"emit","id":"tls"}', context=trusted)
    assert status == 200, (status, body)
    assert post(url.replace("https://", "http://"), "{}")[0] in (0, 400), "plain HTTP on a TLS listener"
    project.stop()

    os.rename(f"{project.dir}/key.pem", f"{project.dir}/away.pem")
    done = project.run("check", check=False)
    up = project.run("up", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", check=False)
    assert up.returncode == 1 and "key.pem" in up.stderr, (done, up)

    with open(f"{project.dir}/runnel.yaml") as file:
        text = file.read()
    with open(f"{project.dir}/runnel.yaml", "w") as file:
        file.write(text.replace("tls: {", "public_url: https://hooks.example.com\n# tls: {"))
    ready = project.up()
    assert ready and ready["ingest"].startswith("http://")
    url = project.url("edge")
    assert url.startswith("https://hooks.example.com/e/"), url
    assert post(ready["ingest"] + urllib.parse.urlsplit(url).path, '{"do":"emit","id":"public"}')[0] == 200
    project.stop()
    print(f"edge: good ({len(traps)} traps, {statuses.count(503)} of {len(statuses)} answered 503 in the overload)")
finally:
    project.close()
