"""Each command of the command line, in a pipe: the words that matter, the shape of --json, the exit codes."""
import json
import os
import re
import signal
import subprocess
import tempfile

from harness import PATIENCE_S, RUNNEL, Project, eventually

project = Project()


def call(*args, code=0, stdin=None, cwd=None, env=None):
    done = subprocess.run([RUNNEL, *args], cwd=cwd or project.dir, input=stdin or "", capture_output=True, text=True, timeout=PATIENCE_S,
                          env=dict(os.environ, **(env or {})))
    assert done.returncode == code, (args, done)
    assert "\033" not in done.stdout + done.stderr, f"colours in a pipe: {args}"
    return done


def wrong(*args, says):
    """A wrong call: exit code 2, what is wrong on stderr, nothing on stdout."""
    done = call(*args, code=2)
    assert says in done.stderr and not done.stdout, (args, done.stderr)
    return done.stderr


def following(*args):
    return subprocess.Popen([RUNNEL, *args], cwd=project.dir, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


try:
    # ---- help teaches: every command has a usage, examples and its options; the overview names every command
    overview = call("--help").stdout
    names = re.findall(r"^  ([a-z]+) {2,}", overview, re.M)
    for name in ("init", "up", "down", "check", "run", "events", "runs", "inspect", "replay", "logs", "components", "accounts", "options",
                 "configure", "endpoints", "sandbox", "new", "doctor", "completion", "console", "schedule", "fire"):
        assert name in names, name
    for name in names:
        text = call(name, "--help").stdout
        assert text.startswith(f"runnel {name}: ") and f"\nUsage\n  runnel {name}" in text and "--help" in text, text
        assert text == call("help", name).stdout
    assert call("--version").stdout.startswith("runnel ")
    assert call(code=2).stderr == overview

    # ---- wrong calls name the nearest right word and where to read more
    wrong("runz", says='did you mean `runnel runs`')
    wrong("xyzzy", says="`runnel --help` lists them")
    assert "runnel runs --help" in wrong("runs", "--jsn", says="did you mean --json?")
    wrong("runs", "--status", "succeded", says="did you mean succeeded?")
    wrong("runs", "--limit", "many", says='--limit takes a number from 1 to 1000, not "many"')
    wrong("runs", "--limit", says="a value is missing behind --limit")
    wrong("runs", "extra", says='"extra" is one argument too many')
    wrong("runs", "--json=1", says="--json")
    wrong("run", says="an argument is missing")
    wrong("accounts", "ad", "x", says="did you mean `runnel accounts add`?")
    wrong("accounts", "add", says="add needs NAME")
    wrong("sandbox", "sed", says="did you mean `runnel sandbox send`?")
    wrong("new", "thing", "x", says="only: component")
    wrong("new", "workflow", "x y", says="letters, digits")
    wrong("new", "workflow", "x", "--trigger", "mail", says="http, schedule or manual")
    wrong("replay", says="")

    # ---- nothing there yet: what to do next, and no output for a script to stumble over
    assert "runnel run WORKFLOW" in call("runs").stderr
    assert call("runs", "--json").stdout == "[]\n"
    assert "runnel endpoints" in call("events").stderr
    assert "no runs yet" in call("inspect", code=1).stderr
    assert "start it with `runnel up`" in call("down", code=1).stderr
    with tempfile.TemporaryDirectory() as empty:
        assert "run `runnel init` there" in call("check", code=1, cwd=empty).stderr
        assert json.loads(call("doctor", "--json", code=1, cwd=empty).stdout)[-1]["state"] == "bad"
        made = json.loads(call("init", "shop", "--json", cwd=empty).stdout)
        assert made["project"] == "shop" and "workflows/segment-to-discord.yaml" in made["files"]
        assert "is there already" in call("init", "shop", code=1, cwd=empty).stderr
        assert os.stat(f"{empty}/shop/.env").st_mode & 0o777 == 0o600
        # a command finds the project from a folder inside it, and by --project from anywhere
        assert "1 workflow" in call("check", cwd=f"{empty}/shop/workflows").stdout
        assert "1 workflow" in call("check", "shop", cwd=empty).stdout
        assert call("--project", "shop", "runs", "--json", cwd=empty).stdout == "[]\n"
        assert call("runs", "--json", "--project=shop", cwd=empty).stdout == "[]\n"
        # another data folder
        call("runs", "--json", "--data", f"{empty}/data", "--project", "shop", cwd=empty)
        assert os.path.isdir(f"{empty}/data/store")

    # ---- check
    path = f"{project.dir}/workflows/segment-to-discord.yaml"
    with open(path) as file:
        good = file.read()
    with open(path, "w") as file:
        file.write(good.replace("message:", "mesage:"))
    done = call("check", code=1)
    assert re.search(r'^workflows/segment-to-discord\.yaml:\d+:\d+: error: .*"mesage".*"message"', done.stdout, re.M), done.stdout
    problems = json.loads(call("check", "--json", code=1).stdout)
    assert problems and {"file", "line", "column", "text"} <= set(problems[0]), problems
    with open(path, "w") as file:
        file.write(good)

    # ---- the runtime
    assert project.up()
    assert "is up for this project already" in call("up", code=1).stderr
    deliveries = project.send({"messageId": "m-1", "event": "Signed Up", "userId": "ann"})
    assert [d["status"] for d in deliveries] == [200]
    eventually("the run ended", lambda: [r["status"] for r in project.json("runs")] == ["succeeded"])

    line = call("runs").stdout.rstrip("\n").split("\t")
    assert line[0].startswith("run_") and line[1:3] == ["succeeded", "segment-to-discord"] and line[3].endswith("Z"), line
    assert call("runs", "--status", "failed", "--json").stdout == "[]\n"
    assert project.json("runs", "-w", "segment-to-discord", "-n", "1")[0]["id"] == line[0]
    event = project.json("events")[0]
    assert {"id", "received", "source", "summary"} <= set(event)
    assert project.json("events", event["id"])["event"]["event"] == "Signed Up"
    assert "is no event's id" in call("events", "nonsense", code=1).stderr
    for name, members in (("workflows", {"id", "name", "active", "queued", "running"}), ("sources", {"id", "component", "state"}),
                          ("endpoints", {"workflow", "namespace", "url", "state"}), ("components", {"key", "version", "type", "name"}),
                          ("accounts", {"name", "app", "from", "fields"})):
        item = project.json(name)[0]
        assert members <= set(item), (name, item)
        first = call(name).stdout.splitlines()[0]
        assert "\t" in first, first

    text = call("inspect").stdout
    for word in ("succeeded", "Received track event", "notify", "inputs", "exports", "Message sent successfully", "discord_webhook-send-message@"):
        assert word in text, word
    assert "is no run's id" in call("inspect", "nonsense", code=1).stderr

    # run: inline JSON, a file, standard input; what failed is exit code 1
    text = call("run", "segment-to-discord", "--event", '{"messageId":"r-1","type":"page","event":"Viewed"}').stdout
    assert text.index("notify") < text.index("log_row") < text.index("record") and "succeeded" in text
    with open(f"{project.dir}/event.json", "w") as file:
        file.write('{"messageId":"r-2","type":"page"}')
    assert project.json("run", "segment-to-discord", "--event", "event.json")["status"] == "succeeded"
    assert json.loads(call("run", "segment-to-discord", "--event", "-", "--json", stdin='{"type":"page","messageId":"r-3"}').stdout)["status"] == "succeeded"
    assert call("run", "segment-to-discord", "--no-wait").stdout.startswith("run_")
    assert 'did you mean "segment-to-discord"?' in call("run", "segment-to-discor", code=1).stderr
    assert "nothing.json cannot be read" in call("run", "segment-to-discord", "--event", "nothing.json", code=1).stderr
    assert "line 1, column" in call("run", "segment-to-discord", "--event", "{nonsense", code=1).stderr
    project.control("faults", {"vendor": "discord", "status": 400, "times": 1})
    done = call("run", "segment-to-discord", code=1)
    assert "failed" in done.stdout and "400" in done.stdout, done.stdout
    assert project.json("runs", "--status", "failed")

    # -f: what was there, then what comes; one JSON object a line
    follower, logs = following("events", "-f", "--json", "-n", "2"), following("logs", "-f")
    for _ in range(2):
        assert json.loads(follower.stdout.readline())["id"].startswith("evt_")
    project.send({"messageId": "f-1", "event": "Followed"})
    assert json.loads(follower.stdout.readline())["emit_id"] == "f-1"
    for process in (follower, logs):
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)

    # a workflow to begin with, of each trigger: good as it is, and it runs
    for trigger, event in (("http", {"body": {"name": "Ann"}}), ("schedule", {"timezone_utc": {"iso8601": {"timestamp": "now"}}}), ("manual", None)):
        name = f"new-{trigger}"
        assert f"workflows/{name}.yaml is a workflow that runs" in call("new", "workflow", name, "--trigger", trigger).stdout
        assert json.loads(call("run", name, "--json", *(["--event", json.dumps(event)] if event else [])).stdout)["status"] == "succeeded"
    assert "is there already" in call("new", "workflow", "new-http", code=1).stderr
    assert "warning" not in call("check").stdout
    assert "no project here" in subprocess.run([RUNNEL, "new", "workflow", "x"], cwd="/", capture_output=True, text=True).stderr
    for trigger in ("http", "schedule", "manual"):
        os.remove(f"{project.dir}/workflows/new-{trigger}.yaml")

    # options: with the project's only account of the app; a wrong prop is named
    found = project.json("options", "segment-webhook-destination", "workspace")["options"]
    assert {"label", "value"} <= set(found[0]) and "workspaces/acme" in [o["value"] for o in found], found
    assert 'did you mean "workspace"?' in call("options", "segment-webhook-destination", "workspce", code=1).stderr
    assert "did you mean" in call("options", "segment-webhook-destinatio", "workspace", code=1).stderr

    # components
    shown = call("components", "show", "discord_webhook-send-message").stdout
    assert "discord_webhook-send-message@" in shown and "allowedMentions" in shown and "required" in shown
    assert "did you mean" in call("components", "show", "discord_webhook-send-mesage", code=1).stderr
    assert "event.json is no shared object" in call("components", "install", "event.json", code=1).stderr
    shown = call("components", "show", "filter-continue-based-on-condition").stdout
    assert "condition is one of" in shown and "  GREATER_THAN_EQUALS  " in shown and "= false" in shown, shown

    # accounts: answers line by line where there is no terminal; values are never shown
    done = call("accounts", "add", "second-discord", "--app", "discord_webhook", "--method", "1",
                stdin="https://discord.com/api/webhooks/1234567890/sandbox-token\n" * 3)
    assert "sealed" in done.stdout
    listed = call("accounts").stdout
    assert "second-discord\tdiscord_webhook\tstore" in listed and "sandbox-token" not in listed
    assert project.json("accounts", "test", "second-discord") == {"account": "second-discord", "works": True}
    assert 'did you mean "discord_webhook"?' in call("accounts", "add", "x", "--app", "discord_webhok", code=1).stderr
    assert call("accounts", "remove", "second-discord").stdout == "account second-discord is removed\n"
    call("accounts", "test", "second-discord", code=1)

    # doctor
    items = project.json("doctor", "--accounts")
    states = {i["check"]: i["state"] for i in items}
    assert states["store"] == states["runtime"] == states["files"] == states["account"] == "ok", items
    os.chmod(f"{project.dir}/.env", 0o644)
    done = call("doctor", code=1)
    assert "chmod 600" in done.stdout and "1 thing to mend" in done.stdout, done.stdout
    os.chmod(f"{project.dir}/.env", 0o600)

    # configure, without a terminal: the file keeps its comments, its order and what was there
    with open(path, "w") as file:
        file.write(good.replace("      workspace: workspaces/acme\n", "      # which workspace\n").replace(
            "      tableId: Events\n", "") + "# the end\n")
    done = call("configure", "segment-to-discord", "--json", stdin="workspaces/acme\nEvents\n")
    assert [s["path"] for s in json.loads(done.stdout)["set"]] == ["triggers[0].props.workspace", "steps[2].props.tableId"], done
    with open(path) as file:
        text = file.read()
    assert "# which workspace" in text and text.endswith("# the end\n") and "{{steps.trigger.event.event ??" in text
    eventually("the file is good", lambda: call("check").returncode == 0)
    assert "cannot be read" in call("configure", "nothing", code=1).stderr
    with open(path, "w") as file:
        file.write(good)

    # down waits until the runtime has gone
    assert json.loads(call("down", "--json").stdout) == {"stopped": True, "deactivated": False}
    assert project.up_process.wait(PATIENCE_S) == 0

    # completion is a script that bash takes, made of the same tables
    script = call("completion", "bash").stdout + 'COMP_WORDS=(runnel runs --st); COMP_CWORD=2; _runnel; echo "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stdout.split() == ["--status"], done
    print("command line: good")
finally:
    project.close()
