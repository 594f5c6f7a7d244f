"""The folder of a run: the same for all its steps, over retries, pauses and a kill -9; bounded; gone when the run has ended."""
import json
import os
import shutil
import stat
import urllib.request

from harness import Project, eventually, post

SAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "workflows", "files", "workflows", "orders.yaml")


def workflow(*steps, head=""):
    text = f"triggers: [{{ namespace: hand, manual: true }}]\n{head}steps:\n"
    for name, language, code, *more in steps:
        text += f"  - namespace: {name}\n    language: {language}\n{''.join(more)}    code: |\n"
        text += "".join(f"      {line}\n" for line in code.strip("\n").split("\n"))
    return text


WAIT = "  - { namespace: wait, suspend: {} }\n"
READ = ("read", "bash", 'echo "text=$(cat "$RUNNEL_FILES/kept.txt")" >> "$PIPEDREAM_EXPORTS"')
ONCE = "    retry: { attempts: 1 }\n"
WORKFLOWS = {
    "shared": workflow(
        ("bash", "bash", 'echo "from bash" > "$RUNNEL_FILES/kept.txt"; t=$(mktemp); echo "tmp=$t" >> "$PIPEDREAM_EXPORTS"; [ "$STASH_DIR" = "$RUNNEL_FILES" ]'),
        ("node", "node", """
const fs = await import("node:fs"), os = await import("node:os");
const refused = [];
for (const bad of ["../kept.txt", "/etc/passwd", "/tmp/../x", "link/passwd"]) {
  fs.rmSync($.files.path() + "/link", { force: true });
  fs.symlinkSync("/etc", $.files.path() + "/link");
  try { $.files.path(bad); } catch (error) { refused.push(error.message); }
}
fs.rmSync($.files.path() + "/link");
const copy = await $.files.open("/tmp/copy.txt").fromFile($.files.path("kept.txt"));
return { refused, tmpdir: os.tmpdir(), stash: `${process.env.STASH_DIR || "/tmp"}`, dir: $.files.path(), text: await $.files.openDescriptor(JSON.parse(JSON.stringify(copy))).toEncodedString() };
"""),
        ("python", "python", """
import os, tempfile
def handler(pd):
    refused = []
    os.symlink("/etc", pd.files.path() + "/link")
    for bad in ("../kept.txt", "/etc/passwd", "link/passwd"):
        try:
            pd.files.path(bad)
        except ValueError as error:
            refused.append(str(error))
    os.remove(pd.files.path() + "/link")
    return {"refused": refused, "tmpdir": tempfile.gettempdir(), "text": open(pd.files.path("/tmp/copy.txt")).read(), "mode": os.stat(pd.files.path()).st_mode}
""")),
    "retried": workflow(("work", "bash", """
if [ -e "$TMPDIR/first" ]; then echo "again=yes" >> "$PIPEDREAM_EXPORTS"; else touch "$TMPDIR/first"; exit 1; fi
""", "    retry: { on: all }\n")),
    "paused": workflow(("write", "bash", 'echo "before the kill" > "$RUNNEL_FILES/kept.txt"')) + WAIT + workflow(READ).split("steps:\n", 1)[1],
    "killed": workflow(("write", "python", "def handler(pd):\n    open(pd.files.path('kept.txt'), 'w').write('before the kill')\n"),
                       ("hang", "bash", '[ -e "$RUNNEL_FILES/began" ] || { touch "$RUNNEL_FILES/began"; sleep 1000; }', "    timeout: 10m\n"), READ),
    "long-bash": workflow(("work", "bash", 'head -c 2000000 /dev/zero > "$RUNNEL_FILES/long"', ONCE)),
    "long-node": workflow(("work", "node", '(await import("node:fs")).writeFileSync($.files.path("long"), Buffer.alloc(2000000));', ONCE)),
    "long-python": workflow(("work", "python", "def handler(pd):\n    open(pd.files.path('long'), 'wb').write(bytes(2000000))\n", ONCE)),
    "many": workflow(("work", "bash", 'for i in 1 2 3; do head -c 500000 /dev/zero > "$RUNNEL_FILES/$i"; done', ONCE)),
    "own-tmpdir": workflow(("work", "python", "import tempfile\ndef handler(pd):\n    return [tempfile.gettempdir(), pd.files.path()]\n")) + "env: { TMPDIR: /var/tmp }\n",
}


def folders(project):
    path = f"{project.dir}/.runnel/files"
    return sorted(os.listdir(path)) if os.path.isdir(path) else []


def run(project, name, event="{}"):
    done = project.run("run", name, "--event", event, "--json", check=False)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def exports(result, name):
    return [s for s in result["steps"] if s["namespace"] == name][-1]["exports"]


def test_shared(project):
    result = run(project, "shared")
    assert result["status"] == "succeeded", result["error"]
    folder = f"{os.path.realpath(project.dir)}/.runnel/files/{result['id']}"
    node, python = (exports(result, name)["$return_value"] for name in ("node", "python"))
    assert exports(result, "bash")["tmp"].startswith(folder + "/"), exports(result, "bash")
    assert (node["dir"], node["tmpdir"], node["stash"], python["tmpdir"]) == (folder,) * 4, (node, python)
    assert (node["text"], python["text"]) == ("from bash\n",) * 2, (node, python)
    assert stat.S_IMODE(python["mode"]) == 0o700, oct(python["mode"])
    for refused, count in ((node["refused"], 4), (python["refused"], 3)):
        assert len(refused) == count and all("is no file of this run: it is to be a name, or a path in " + folder in text for text in refused), refused
    assert [s["files"] for s in result["steps"]] == [{"count": 2, "bytes": 10}, {"count": 3, "bytes": 20}, {"count": 3, "bytes": 20}], result["steps"]
    assert "files of the run  3, 20 bytes" in project.run("inspect", result["id"]).stdout
    assert folders(project) == [], "the folder goes when the run has ended"
    again = run(project, "retried")
    assert again["status"] == "succeeded" and exports(again, "work") == {"again": "yes"}, again
    own = exports(run(project, "own-tmpdir"), "work")["$return_value"]
    assert own[0] == "/var/tmp" and "/.runnel/files/run_" in own[1], own


def test_limits(project):
    for name, *words in (("long-bash", "a file got longer than `limits: { files: … }`"), ("many", "1500000 bytes, more than the 1048576 of `limits: { files: … }` in runnel.yaml")):
        result = run(project, name)
        assert result["status"] == "failed" and result["error"]["code"] == "too_big", result["error"]
        assert all(word in result["error"]["text"] for word in words), result["error"]
    for name in ("long-node", "long-python"):
        result = run(project, name)
        assert result["status"] == "failed" and "file too large" in result["error"]["text"].lower(), result["error"]
    assert folders(project) == []


def test_kill(project):
    assert project.up()
    killed = project.json("run", "killed", "--event", "{}", "--no-wait")["run"]
    began = f"{project.dir}/.runnel/files/{killed}/began"
    eventually("the second step runs", lambda: os.path.exists(began))
    paused = project.json("run", "paused", "--event", "{}", "--no-wait")["run"]
    eventually("it waits", lambda: project.json("inspect", paused)["status"] == "paused")
    ended = project.json("run", "retried", "--event", "{}")["id"]
    project.kill()
    for left in (ended, "run_0000000000000"):  # as if it had been killed between a run's end and this
        os.makedirs(f"{project.dir}/.runnel/files/{left}/inner")
        with open(f"{project.dir}/.runnel/files/{left}/inner/file", "w") as out:
            out.write("left behind")
    assert project.up()
    eventually("what is left of runs that have ended is swept", lambda: not {ended, "run_0000000000000"} & set(folders(project)))
    eventually("the killed one ends", lambda: project.json("inspect", killed)["status"] == "succeeded")
    assert exports(project.json("inspect", killed), "read") == {"text": "before the kill"}
    assert folders(project) == [paused], "a run that waits keeps its files"
    url = exports(project.json("inspect", paused), "wait")["$return_value"]["resume_url"]
    urllib.request.urlopen(urllib.request.Request(project.ready["ingest"] + "/r/" + url.split("/r/")[1], b"{}"), timeout=60).close()
    eventually("the other one ends", lambda: project.json("inspect", paused)["status"] == "succeeded")
    assert exports(project.json("inspect", paused), "read") == {"text": "before the kill"}
    eventually("their folders go", lambda: folders(project) == [])
    project.stop()


ROWS = "item,count,price\r\n\"tea, green\",2,3.50\r\ncups,4,1.25\r\n"
FORM = f'--x\r\nContent-Disposition: form-data; name="orders"; filename="../../my orders.csv"\r\nContent-Type: text/csv\r\n\r\n{ROWS}\r\n--x--\r\n'


def send_form(project):
    url = next(e["url"] for e in project.json("endpoints") if e["workflow"] == "orders")
    assert post(url, FORM, {"content-type": "multipart/form-data; boundary=x"})[0] == 200


def ended(project, count):
    runs = []

    def have_ended():
        runs[:] = project.json("runs", "--workflow", "orders")
        return len(runs) == count and all(r["status"] in ("succeeded", "failed") for r in runs)
    eventually("the run ends", have_ended)
    run = project.json("inspect", runs[0]["id"])
    assert run["status"] == "succeeded", run["error"]
    return run


def test_sample(project):
    """A file comes in with a form, goes through the run's folder, and leaves as an attachment."""
    shutil.copy(SAMPLE, f"{project.dir}/workflows/orders.yaml")
    assert project.up()
    send_form(project)
    run = ended(project, 1)
    assert exports(run, "save")["$return_value"] == ["orders.csv", f"{os.path.realpath(project.dir)}/.runnel/files/{run['id']}/orders.csv"], exports(run, "save")
    assert exports(run, "read")["$return_value"] == [{"item": "tea, green", "count": "2", "price": "3.50"}, {"item": "cups", "count": "4", "price": "1.25"}]
    message = project.received("discord")[-1]
    assert message["content"] == "2 orders, 12.00 EUR", message
    assert [(a["filename"], a["size"], a["content_type"]) for a in message["attachments"]] == [("report.txt", 93, "application/octet-stream")], message
    assert exports(run, "post")["$return_value"]["attachments"] == message["attachments"]
    eventually("its folder goes", lambda: folders(project) == [])
    project.stop()


def test_sample_killed(project):
    """The same, killed behind each of the steps: what it had written and what nobody knew the end of."""
    for number in range(1, 5):
        assert project.up(fault=f"step.after_call:{number}")
        send_form(project)
        project.up_process.wait(60)
        assert len(folders(project)) == 1, folders(project)
        assert project.up()
        run = ended(project, 1 + number)
        assert len([s for s in run["steps"] if s["status"] == "unknown"]) == 1, run["steps"]
        assert project.received("discord")[-1]["attachments"][0]["size"] == 93
        eventually("its folder goes", lambda: folders(project) == [])
        project.stop()


def main():
    project = Project()
    try:
        os.remove(f"{project.dir}/workflows/segment-to-discord.yaml")
        with open(f"{project.dir}/runnel.yaml") as file:
            text = file.read()
        with open(f"{project.dir}/runnel.yaml", "w") as out:
            out.write(text.replace("limits: {", "limits: { files: 1MiB,"))
        for name, text in WORKFLOWS.items():
            with open(f"{project.dir}/workflows/{name}.yaml", "w") as out:
                out.write(text)
        for test in (test_shared, test_limits, test_kill, test_sample, test_sample_killed):
            test(project)
            print(test.__name__, "ok", flush=True)
    finally:
        project.close()


if __name__ == "__main__":
    main()
