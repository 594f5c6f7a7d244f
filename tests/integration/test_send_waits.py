"""What steps have sent is held until the run ends: over a delay, a stop and a kill -9, a replay from a step, a cancellation, a run that keeps nothing."""
from harness import LocalServer, Project, QuietHandler, eventually

got = []


class Receiver(QuietHandler):
    def do_GET(self):
        got.append(self.path)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()


server = LocalServer(Receiver)
HERE = server.url
project = Project()


def write(name, middle, head=""):
    with open(f"{project.dir}/workflows/{name}.yaml", "w") as out:
        out.write(f"{head}triggers:\n- manual: true\nsteps:\n- namespace: first\n  language: node\n  code: |\n    $.send.http({{ url: '{HERE}/first' }}); $.send.emit(1)\n"
                  f"{middle}- namespace: last\n  language: node\n  code: |\n    $.send.http({{ url: '{HERE}/last' }})\n")


def sends(run):
    return [s for step in project.json("inspect", run)["steps"] for s in step.get("sends", [])]


def states(run):
    return [s["state"] for s in sends(run)]


def status(run):
    return project.json("inspect", run)["status"]


def events():
    return len(project.every("events", source="workflows/held"))


try:
    write("held", "- namespace: hold\n  suspend: { timeout: 1h }\n")
    write("gone", "", "settings: { data_retention: false }\n")
    assert project.up(), open(f"{project.dir}/up.log").read()

    # ---- held while the run waits, over a kill -9 and a clean stop; then all of it, once
    run = project.start("held")
    eventually("it waits", lambda: status(run) == "paused")
    assert states(run) == ["waiting", "waiting"] and got == [], (sends(run), got)
    assert "sealed" not in project.run("inspect", run, "--json").stdout
    project.kill()
    assert project.up()
    eventually("it waits again", lambda: status(run) == "paused")
    project.stop()
    assert project.up()
    assert states(run) == ["waiting", "waiting"] and got == [] and events() == 0
    project.api(f"runs/{run}/resume", {}, "POST")
    eventually("it is all sent", lambda: states(run) == ["sent"] * 3)
    assert sorted(got) == ["/first", "/last"] and events() == 1, got

    # ---- a replay from a step does not send again what came before it
    got.clear()
    again = project.json("replay", run, "--from-step", "last")[0]["run"]
    eventually("it waits, as a replayed pause does", lambda: status(again) == "paused")
    project.api(f"runs/{again}/resume", {}, "POST")
    eventually("it is sent", lambda: states(again) == ["sent"])
    assert got == ["/last"] and events() == 1, got

    # ---- a cancelled run sends what its steps have sent until then
    got.clear()
    run = project.start("held")
    eventually("it waits", lambda: status(run) == "paused")
    project.api(f"runs/{run}/cancel", {}, "POST")
    eventually("it is cancelled", lambda: status(run) == "cancelled")
    eventually("it is sent", lambda: states(run) == ["sent", "sent"])
    assert got == ["/first"] and events() == 2, got

    # ---- a run of which nothing is kept sends all the same
    got.clear()
    project.start("gone")
    eventually("it is delivered", lambda: sorted(got) == ["/first", "/last"])
    eventually("nothing is left", lambda: project.json("runs", "-w", "gone") == [])
    project.stop()

    # ---- killed with a step's result in its hands: the step is done again, and its sends are made once
    got.clear()
    write("twice", "")
    for fault in ("step.after_call:1", "step.before_call:2", "step.after_call:2", "run.before_end:1"):
        assert project.up(fault=fault)
        try:
            project.start("twice")
        except (AssertionError, OSError):
            pass
        eventually("killed", lambda: project.up_process.poll() is not None)
        assert project.up()
        if not project.json("runs", "-w", "twice"):
            project.start("twice")
        eventually("it ended", lambda: [r["status"] for r in project.json("runs", "-w", "twice")][:1] == ["succeeded"])
        run = project.json("runs", "-w", "twice")[0]["id"]
        eventually("it is sent", lambda: states(run) == ["sent"] * 3)
        assert sorted(got) == ["/first", "/last"], (fault, got)
        got.clear()
        project.stop()
finally:
    project.close()
    server.close()
print("sends of runs that wait: good")
