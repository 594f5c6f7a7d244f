"""Promise 8: a secret is nowhere but in the hands of the plugin whose account it is."""
import json
import os
import stat
import urllib.request

from harness import PATIENCE_S, TrialProject, post

project = TrialProject()
SECRET = TrialProject.ACCOUNT
SEALED = "sealed-key-9876543210"
try:
    project.run("accounts", "add", "sealed", "--app", "trial", stdin=SEALED + "\n")
    project.workflow("tell", ["tell", ("tell", "", ", fails: true")])
    project.workflow("sealed", [("tell", "", "")])
    with open(f"{project.dir}/workflows/sealed.yaml") as file:
        text = file.read()
    with open(f"{project.dir}/workflows/sealed.yaml", "w") as file:
        file.write(text.replace("account: trial", "account: sealed"))
    ready = project.up()
    assert ready
    for name in ("tell", "sealed"):
        assert post(project.url(name), json.dumps({"do": "tell", "id": "1"}))[0] == 200
        run, = project.ended(name, 1)
        shown = project.run("inspect", run["id"], "--json").stdout
        # the plugin had the key: what it said about it is there, without the key
        assert "the key is" in shown and "it is " in shown, shown

    with open(f"{project.dir}/.runnel/admin-token") as file:
        token = file.read().strip()
    outputs = {"up.log": open(f"{project.dir}/up.log").read()}
    for command in (("runs",), ("events",), ("logs",), ("accounts",), ("sources",), ("workflows",), ("components",), ("endpoints",), ("doctor",)):
        for more in ((), ("--json",)):
            done = project.run(*command, *more, check=False)
            outputs[" ".join(command + more)] = done.stdout + done.stderr
    for name in ("tell", "sealed"):
        run, = project.runs(name)
        for more in ((), ("--json",)):
            outputs[f"inspect {name}{more}"] = project.run("inspect", run["id"], *more).stdout
    request = urllib.request.Request(f"{ready['admin']}/metrics", headers={"authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        outputs["/metrics"] = answer.read().decode()
    for where, text in outputs.items():
        for secret in (SECRET, SEALED):
            assert secret not in text, f"{where} shows a secret"

    # without the token nothing is told, not even what there is
    for header in ({}, {"authorization": "Bearer wrong"}):
        status, body = post(f"{ready['admin']}/api/v1/runs", "", header)
        assert status in (401, 403), (status, body)

    # the environment of the hosts: nothing of ours
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                command = file.read()
            with open(f"/proc/{name}/stat") as file:
                parent = int(file.read().rsplit(")", 1)[1].split()[1])
            if parent != project.up_process.pid or b"-host" not in command:
                continue
            with open(f"/proc/{name}/environ", "rb") as file:
                environment = file.read()
        except (OSError, ValueError, IndexError):
            continue
        for secret in (SECRET, SEALED):
            assert secret.encode() not in environment + command, f"{command} has a secret in its environment"
    project.stop()

    # nothing in the data folder but the sealed text; keys are the owner's alone
    modes = {}
    for folder, _, names in os.walk(f"{project.dir}/.runnel"):
        for name in names:
            path = os.path.join(folder, name)
            if not stat.S_ISREG(os.lstat(path).st_mode):
                continue
            with open(path, "rb") as file:
                data = file.read()
            for secret in (SECRET, SEALED):
                assert secret.encode() not in data, f"{path} has a secret in it"
            if "key" in name or "token" in name:
                modes[name] = stat.S_IMODE(os.stat(path).st_mode)
    assert len(modes) >= 2 and set(modes.values()) == {0o600}, modes
    print(f"secrets: good ({len(outputs)} outputs, {sorted(modes)})")
finally:
    project.close()
