"""rn_send_…: what a component's action sends goes the same way as a code step's; an account's secrets go out and are not shown."""
import json

from harness import LocalServer, QuietHandler, TrialProject, eventually, post

got = []


class Receiver(QuietHandler):
    def do_POST(self):
        got.append((dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(204)
        self.end_headers()


server = LocalServer(Receiver)
project = TrialProject(settings="egress: { allow: [127.0.0.0/8] }\n")
URL = server.url


def start(name, number):
    status, _ = post(project.url(name), json.dumps({"do": "emit", "id": f"{name}-{number}"}))
    assert status in (200, 202), status


def sends(run):
    return [s for step in project.json("inspect", run["id"])["steps"] for s in step.get("sends", [])]


try:
    what = f'{{http: {{url: "{URL}/{project.ACCOUNT}", data: {{$base64: "AP8=", mimetype: image/x}}}}, emit: {{key: {project.ACCOUNT}}}, channel: c, sse: [1]}}'
    project.workflow("sender", [("send", "", f", value: {what}")])
    project.workflow("failing", [("send", "    retry: { attempts: 2, backoff: { initial: 1ms, max: 1ms } }\n", f", value: {what}, fails: true")])
    with open(f"{project.dir}/workflows/listener.yaml", "w") as out:
        out.write("triggers:\n- workflow: sender\n  channel: c\nsteps:\n- namespace: done\n  end: \"{{steps.trigger.event.key}}\"\n")
    assert "good" in project.run("check").stdout
    assert project.up(), open(f"{project.dir}/up.log").read()

    start("sender", 1)
    run = project.ended("sender", 1)[0]
    eventually("all is sent", lambda: [s["state"] for s in sends(run)] == ["sent"] * 3)
    headers, body = got[0]
    assert headers["x-what"] == project.ACCOUNT and headers["Content-Type"] == "image/x" and body == b"\x00\xff", got
    assert [s["kind"] for s in sends(run)] == ["http", "emit", "sse"], sends(run)
    assert sends(run)[0]["url"] == f"{URL}/[redacted]" and sends(run)[0]["headers"] == {"x-what": "[redacted]"}, sends(run)
    listener = project.ended("listener", 1)[0]
    assert listener["exit_reason"] == "[redacted]", listener  # as in exports: a secret does not leave its step
    # nowhere on the disk is the secret, nor in what was said
    for shown in (project.run("inspect", run["id"], "--json").stdout, project.run("logs").stdout, open(f"{project.dir}/up.log").read()):
        assert project.ACCOUNT not in shown, shown

    start("failing", 1)
    run = project.ended("failing", 1)[0]
    assert run["status"] == "failed" and sends(run) == [] and len(got) == 1, (run, sends(run), got)

    # what cannot be sent is a failure of the step that is not tried again
    project.workflow("wrong", [("send", "", ", value: {http: {url: nowhere}}")])
    eventually("it is deployed", lambda: any(w["id"] == "wrong" for w in project.json("workflows")))
    start("wrong", 1)
    run = project.ended("wrong", 1)[0]
    assert run["status"] == "failed" and len(project.json("inspect", run["id"])["steps"]) == 1 and "begins with http://" in run["error"]["text"], run
    project.stop()
finally:
    project.close()
    server.close()
print("sends of actions: good")
