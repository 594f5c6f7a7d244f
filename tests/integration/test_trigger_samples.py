"""The sample projects of workflows/ that are about triggers: each is checked, brought up and run."""

import hashlib
import hmac
import json
import os
import pathlib
import shutil
import urllib.request

from harness import PATIENCE_S, LocalServer, Project, QuietHandler, eventually

SAMPLES = pathlib.Path(__file__).resolve().parent.parent.parent / "workflows"


class Target:
    """Keeps what is posted to it, and answers GET with a status that can be changed."""

    def __enter__(self):
        target = self
        self.posted, self.status = [], "green"

        class Handler(QuietHandler):
            def answer(self, body):
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                target.posted.append((self.path, dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
                self.answer(b"{}")

            def do_GET(self):
                self.answer(json.dumps({"status": target.status}).encode())

        self.server = LocalServer(Handler)
        self.url = self.server.url
        return self

    def __exit__(self, *args):
        self.server.close()


def send(url, body=None, headers=None):
    request = urllib.request.Request(url, body, headers or {})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        return answer.status, dict(answer.headers), answer.read()


def open_sample(project, name):
    for kind in ("workflows", "sources"):
        shutil.rmtree(f"{project.dir}/{kind}", ignore_errors=True)
        if (SAMPLES / name / kind).is_dir():
            shutil.copytree(SAMPLES / name / kind, f"{project.dir}/{kind}")
    done = project.run("check")
    assert "warning" not in done.stdout, done.stdout
    assert project.up(), name
    return {e["workflow"]: e["url"] for e in project.json("endpoints")}


def messages(project):
    return [m["content"] for m in project.received("discord") if "content" in m]


project = Project()
try:
    # each sample is a project as it lies there
    for sample in sorted(path for path in SAMPLES.iterdir() if path.is_dir()):
        done = project.run("check", str(sample), "--data", f"{project.dir}/no-data", check=False)
        assert done.returncode == 0, (sample, done)

    with Target() as target:
        os.environ.update(GITHUB_WEBHOOK_SECRET="a shared secret", UPLOAD_TOKEN="upload-token-1", UPLOAD_TARGET=f"{target.url}/in", STATUS_URL=f"{target.url}/status")

        url = open_sample(project, "http-answer")["films"]
        status, headers, body = send(f"{url}/films?id=1")
        assert status == 200 and json.loads(body)["title"] == "A New Hope", (status, body)
        assert headers["Access-Control-Allow-Origin"] == "*" and headers["cache-control"] == "max-age=60", headers
        project.stop()

        url = open_sample(project, "http-signed")["github"]
        body = b'{"repository":{"full_name":"acme/site"}}'
        signed = {"x-hub-signature-256": "sha256=" + hmac.new(b"a shared secret", body, hashlib.sha256).hexdigest(),
                  "x-github-event": "push", "x-github-delivery": "d-1", "content-type": "application/json"}
        assert send(url, body, signed)[0] == 202
        assert json.loads(send(url, body, signed)[2]) == {"accepted": True, "duplicate": True}
        eventually("Discord hears of it", lambda: messages(project) == ["push in acme/site"])
        project.stop()

        url = open_sample(project, "http-upload")["upload"]
        photo = bytes(range(256)) * 100
        form = (b'--x\r\ncontent-disposition: form-data; name="note"\r\n\r\nhi\r\n--x\r\ncontent-disposition: form-data; name="photo"; '
                b'filename="a.png"\r\ncontent-type: image/png\r\n\r\n' + photo + b"\r\n--x--\r\n")
        assert send(url, form, {"content-type": "multipart/form-data; boundary=x", "authorization": "Bearer upload-token-1"})[0] == 200
        eventually("the file goes on", lambda: target.posted)
        path, headers, got = target.posted[0]
        assert got == photo and path == "/in?note=hi" and headers["content-type"] == "image/png" and headers["x-filename"] == "a.png", (path, headers, len(got))
        project.stop()

        open_sample(project, "schedule")
        assert len(project.json("schedule", "report", "--next", "5")[0]["next"]) == 5
        project.json("fire", "workflows/report/trigger")
        eventually("Discord says good morning", lambda: any(m.startswith("Good morning! It is ") for m in messages(project)))
        project.stop()

        open_sample(project, "watch-url")
        for word in ("green", "red"):
            target.status = word
            project.json("fire", "sources/status")
            project.json("fire", "sources/status")
            eventually(f"told of {word}", lambda: f"The status is now {word}" in messages(project))
        assert len([m for m in messages(project) if m.startswith("The status")]) == 2, messages(project)
        project.stop()

        url = open_sample(project, "many-triggers")["refresh"]
        assert send(f"{url}/refresh", b'{"film":"3"}', {"content-type": "application/json"})[0] == 200
        project.json("fire", "workflows/refresh/nightly")
        by_hand = json.loads(project.run("run", "refresh", "--json").stdout)
        assert by_hand["trigger"] == "by_hand" and by_hand["trigger_event"]["event"] == {"body": {"film": "2"}}, by_hand
        eventually("three runs", lambda: len(project.json("runs", "--workflow", "refresh", "--status", "succeeded")) == 3)
        triggers = set()
        for run in project.json("runs", "--workflow", "refresh"):
            triggers.add(json.loads(project.run("inspect", run["id"], "--json").stdout)["trigger"])
        assert triggers == {"call", "nightly", "by_hand"}, triggers
        project.stop()
    print("samples of triggers: good")
finally:
    project.close()
