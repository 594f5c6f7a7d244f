"""Code steps on the real binary: node, python and bash; what goes in and comes out, what goes wrong, and what a kill -9 leaves."""
import collections
import json
import os
import shutil
import tempfile
import urllib.request

from harness import Project, eventually

SAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "workflows", "code-steps")


def indent(code):
    return "".join("      " + line + "\n" for line in code.strip("\n").split("\n"))


def workflow(language, code, more="", settings="", after=""):
    return (f"triggers: [{{ namespace: hand, manual: true }}]\nsettings: {{ timeout: 60s{settings} }}\nsteps:\n"
            f"  - namespace: work\n    language: {language}\n{more}    code: |\n{indent(code)}{after}")


EVENT = {"id": 9007199254740993, "price": 1.25, "long": "LONG", "text": "a\u0000b \u00e9 'quoted' $HOME", "list": [1, 2, 3]}
EVENT_TEXT = json.dumps(EVENT).replace('"LONG"', "0.1234567890123456789012")
PROPS = '    props: { id: "{{steps.trigger.event.id}}", word: "it\'s {{steps.trigger.event.list[1]}}", list: "{{steps.trigger.event.list}}" }\n'
SEEN = """
  - namespace: seen
    language: python
    code: |
      def handler(pd):
          return pd.steps["work"]
"""

WORKFLOWS = {
    "value-node": workflow("node", """
export default defineComponent({
  props: { word: { type: "string" }, missing: { type: "string", default: "by default" } },
  methods: { twice(x) { return x + x; } },
  async run({ steps, $ }) {
    const event = steps.trigger.event;
    console.log("one", event.id);
    console.error("two");
    $.export("word", this.twice(this.word));
    $.export("missing", this.missing);
    $.export("json", JSON.parse(JSON.stringify({ kept: [event.price] })));
    return { id: event.id, same: event.id === this.id, next: event.id + 1n, long: event.long, text: event.text, list: this.list,
      env: process.env.GREETING, secret: process.env.RUNNEL_TEST_SECRET ?? null, runs: $.context.run.runs, workflow: $.context.workflow_id };
  },
});
""", PROPS, after=SEEN) + "env: { GREETING: hello }\n",
    "value-python": workflow("python", """
import os
def handler(pd):
    event = pd.steps["trigger"]["event"]
    print("one", event["id"])
    print("two", file=__import__("sys").stderr)
    pd.export("word", pd.inputs["word"] * 2)
    pd.export("missing", "by default")
    pd.export("json", {"kept": [event["price"]]})
    return {"id": event["id"], "same": event["id"] == pd.inputs["id"], "next": event["id"] + 1, "long": event["long"], "text": event["text"],
            "list": pd.inputs["list"], "env": os.environ.get("GREETING"), "secret": os.environ.get("RUNNEL_TEST_SECRET"),
            "runs": pd.context["run"]["runs"], "workflow": pd.context["workflow_id"]}
""", PROPS, after=SEEN) + "env: { GREETING: hello }\n",
    "value-bash": workflow("bash", """
echo "one $id"
echo two >&2
echo "word=first" >> "$PIPEDREAM_EXPORTS"
echo "word=$word$word" >> "$PIPEDREAM_EXPORTS"
echo "list:json=$list" >> "$PIPEDREAM_EXPORTS"
echo "big:json={\\"id\\":$id}" >> "$PIPEDREAM_EXPORTS"
echo "env=$GREETING" >> "$PIPEDREAM_EXPORTS"
echo "secret=${RUNNEL_TEST_SECRET-none}" >> "$PIPEDREAM_EXPORTS"
echo "spaced=  a  =  b " >> "$PIPEDREAM_EXPORTS"
grep -c 0.1234567890123456789012 "$PIPEDREAM_STEPS" | sed 's/^/long=/' >> "$PIPEDREAM_EXPORTS"
inherited=none
for fd in $(seq 3 200); do [ ! -e /proc/$$/fd/$fd ] || inherited=$fd; done
echo "inherited=$inherited" >> "$PIPEDREAM_EXPORTS"
""", PROPS, after=SEEN) + "env: { GREETING: hello }\n",
    "plain-node": workflow("node", """
const { createHash } = await import("node:crypto");
return createHash("sha256").update(String(steps.trigger.event.n)).digest("hex").length;
"""),
    "throw-node": workflow("node", """
function inner() {
  throw new TypeError("no such thing");
}
export default { async run() {
  inner();
} };
"""),
    "throw-python": workflow("python", """
def inner():
    raise KeyError("no such thing")

def handler(pd):
    inner()
"""),
    "syntax-node": workflow("node", "const a = 1;\nconst = 2;\n"),
    "syntax-python": workflow("python", "x = 1\ndef handler(pd:\n"),
    "throw-bash": workflow("bash", 'echo "kept=yes" >> "$PIPEDREAM_EXPORTS"\nfalse_command_that_is_not_there\nexit 3\n'),
    "bad-bash": workflow("bash", 'echo "fine=1" >> "$PIPEDREAM_EXPORTS"\necho "bad:json={" >> "$PIPEDREAM_EXPORTS"\n'),
    "exit-node": workflow("node", 'console.error("leaving"); process.exit(7);'),
    "exit-python": workflow("python", "import os\ndef handler(pd):\n    os._exit(7)\n"),
    "signal-node": workflow("node", "process.kill(process.pid, 'SIGSEGV'); await new Promise(() => {});", "    on_unknown: fail\n"),
    "signal-python": workflow("python", "import os\ndef handler(pd):\n    os.kill(os.getpid(), 11)\n", "    on_unknown: fail\n"),
    "signal-bash": workflow("bash", "kill -11 $$\n", "    on_unknown: fail\n"),
    "stray-node": workflow("node", "setTimeout(() => { throw new Error('too late'); }, 1); await new Promise(() => {});"),
    "spin-node": workflow("node", "for (;;);", "    timeout: 2s\n    retry: { attempts: 1 }\n"),
    "spin-python": workflow("python", "def handler(pd):\n    while True:\n        pass\n", "    timeout: 2s\n    retry: { attempts: 1 }\n"),
    "spin-bash": workflow("bash", "sleep 1000 & echo \"child=$!\" ; sleep 1000", "    timeout: 2s\n    retry: { attempts: 1 }\n"),
    "print-node": workflow("node", "for (let i = 0; i < 100000; i++) console.log('x'.repeat(100)); return 'done';"),
    "print-python": workflow("python", "def handler(pd):\n    for i in range(100000):\n        print('x' * 100)\n    return 'done'\n"),
    "print-bash": workflow("bash", "head -c 10000000 /dev/zero | tr '\\0' 'x' | fold -w 100\n"),
    "memory-node": workflow("node", "const all = []; for (;;) all.push(new Array(1e5).fill(all.length));", "    retry: { attempts: 1 }\n", ", memory: 64MiB"),
    "memory-python": workflow("python", "def handler(pd):\n    return len(bytearray(500_000_000))\n", "    retry: { attempts: 1 }\n", ", memory: 128MiB"),
    "worn-node": "triggers: [{ namespace: hand, manual: true }]\nsettings: { timeout: 60s }\nsteps:\n"
                 '  - namespace: loop\n    for_each: "{{Array(4200).fill(1)}}"\n    steps:\n'
                 "      - { namespace: work, language: node, retry: { attempts: 1 }, code: \"export default { run() { return process.pid; } };\" }\n",
    "exit-flow": workflow("node", "$.flow.exit('enough'); return 1;", after="  - { namespace: never, language: bash, code: exit 1 }\n"),
    "delay-flow": workflow("python", "def handler(pd):\n    return pd.flow.delay(50)['resume_url'][:4]\n", after=SEEN),
    "rerun-flow": workflow("node", """
const { runs, context } = $.context.run;
$.export("contexts", [...(context ?? []), runs]);
if (runs < 3) $.flow.rerun(20, [...(context ?? []), runs], 5);
return runs;
"""),
    "respond": "triggers: [{ namespace: web, http: { respond: workflow } }]\n" + workflow("node", """
await $.respond({ status: 201, headers: { "x-from": "code" }, body: { got: steps.trigger.event.body } });
""").split("\n", 1)[1],
    "file": "triggers: [{ namespace: hand, manual: true }]\nsteps:\n  - { namespace: work, uses: ./parts/entry.py }\n  - { namespace: pause, suspend: {} }\n"
            "  - { namespace: again, uses: ./parts/entry.py }\n",
}


class Runner:
    def __init__(self):
        self.project = Project()
        for name, text in WORKFLOWS.items():
            self.write(f"workflows/{name}.yaml", text)
        self.write("workflows/parts/entry.py", "def handler(pd):\n    return 'first'\n")

    def write(self, path, text):
        whole = os.path.join(self.project.dir, path)
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        with open(whole, "w") as out:
            out.write(text)

    def run(self, name, event="{}"):
        done = self.project.run("run", name, "--event", event, "--json", check=False)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def start(self, name, event="{}"):
        return self.project.json("run", name, "--event", event, "--no-wait")

    def inspect(self, run):
        return self.project.json("inspect", run)

    def close(self):
        self.project.close()


def step(run, name="work"):
    return [s for s in run["steps"] if s["namespace"] == name][-1]


def texts(run, level, name="work"):
    return [line["text"] for line in step(run, name).get("logs", []) if line["level"] == level]


def failed(run, code, *words):
    assert run["status"] == "failed", run
    error = run["error"]
    assert error["code"] == code, error
    for word in words:
        assert word in error["text"], (word, error["text"])
    return error["text"]


def test_values(r):
    for language in ("node", "python"):
        run = r.run(f"value-{language}", EVENT_TEXT)
        assert run["status"] == "succeeded", run
        got = step(run)["exports"]
        value = got["$return_value"]
        assert (value["id"], value["same"], value["next"]) == (EVENT["id"], True, EVENT["id"] + 1), value
        assert (value["text"], value["list"], value["env"], value["secret"]) == (EVENT["text"], [1, 2, 3], "hello", None), value
        assert (value["runs"], value["workflow"]) == (1, f"value-{language}"), value
        assert (got["word"], got["missing"], got["json"]) == ("it's 2it's 2", "by default", {"kept": [1.25]}), got
        assert texts(run, "info") == [f"one {EVENT['id']}{'n' if language == 'node' else ''}"], step(run)
        assert texts(run, "error") == ["two"], step(run)
        text = r.project.run("inspect", run["id"], "--json").stdout
        assert text.count('"long":0.1234567890123456789012') >= 3, "the long decimal comes out as it went in"
        assert step(run, "seen")["exports"]["$return_value"]["word"] == "it's 2it's 2"
    got = step(r.run("value-bash", EVENT_TEXT.replace("\\u0000", "")))["exports"]
    assert (got["word"], got["list"], got["big"], got["env"], got["secret"]) == ("it's 2it's 2", [1, 2, 3], {"id": EVENT["id"]}, "hello", "none"), got
    assert (got["spaced"], got["long"]) == ("  a  =  b ", "1"), got
    assert got["inherited"] == "none", got
    for n in range(5):  # warm: the same code again
        assert step(r.run("plain-node", f'{{"n":{n}}}'))["exports"]["$return_value"] == 64


def test_errors(r):
    failed(r.run("throw-node"), "failed", "TypeError: no such thing", "workflows/throw-node.yaml:work:2:")
    run = r.run("throw-node")
    assert any("workflows/throw-node.yaml:work:5" in text for text in texts(run, "error")), texts(run, "error")
    run = r.run("throw-python")
    failed(run, "failed", "KeyError: 'no such thing'", "workflows/throw-python.yaml:work, line 2")
    assert any('raise KeyError("no such thing")' in text for text in texts(run, "error")), texts(run, "error")
    failed(r.run("syntax-node"), "failed", "SyntaxError", ":2")
    failed(r.run("syntax-python"), "failed", "SyntaxError", "line 2")
    run = r.run("throw-bash")
    failed(run, "failed", "bash exited with status 3", "false_command_that_is_not_there")
    assert step(run)["exports"] == {"kept": "yes"}, step(run)
    failed(r.run("bad-bash"), "invalid", "line 2 of $PIPEDREAM_EXPORTS is not JSON")


def test_ends(r):
    failed(r.run("exit-node"), "failed", "the node process exited with status 7", "leaving")
    failed(r.run("exit-python"), "failed", "the python process exited with status 7")
    for language in ("node", "python", "bash"):
        failed(r.run(f"signal-{language}"), "unknown", "killed by signal 11")
        failed(r.run(f"spin-{language}"), "timeout", "longer than its time limit of 2000 ms")
    failed(r.run("stray-node"), "failed", "too late")
    run = r.run("plain-node")
    assert run["status"] == "succeeded", run  # the others go on


def test_left_behind(r):
    run = r.run("spin-bash")
    child = int(texts(run, "info")[0].split("=")[1])
    eventually("what a step left running is ended with it", lambda: not os.path.exists(f"/proc/{child}") or is_zombie(child))


def is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_output_and_memory(r):
    for language in ("node", "python", "bash"):
        run = r.run(f"print-{language}")
        assert run["status"] == "succeeded", run
        lines = step(run)["logs"]
        assert len(lines) > 5000 and "left out" in lines[-1]["text"], (language, len(lines), lines[-1])
    failed(r.run("memory-node"), "out_of_memory", "ran out of memory (limit 64 MiB)")
    failed(r.run("memory-python"), "out_of_memory", "MemoryError")


def test_worn_out(r):
    """Node never lets go of a module: a process that has evaluated 4,096, or holds too much, is replaced before that fails a step."""
    run = r.run("worn-node")
    assert run["status"] == "succeeded", run["error"]
    pids = [one["$return_value"] for one in step(run, "loop")["exports"]["$return_value"]]
    assert len(pids) == 4200 and max(collections.Counter(pids).values()) <= 4096, collections.Counter(pids)


def test_flow(r):
    run = r.run("exit-flow")
    assert run["status"] == "succeeded" and [s["namespace"] for s in run["steps"]] == ["work"], run
    assert run.get("exit_reason") == "enough" or "enough" in json.dumps(run), run
    run = r.run("delay-flow")
    assert step(run, "seen")["exports"]["$return_value"]["$return_value"] == "http", run
    run = r.run("rerun-flow")
    assert step(run)["exports"]["contexts"] == [1, 2, 3] and step(run)["exports"]["$return_value"] == 3, run


def test_respond(r):
    url = [e for e in r.project.json("endpoints") if e["workflow"] == "respond"][0]["url"]
    request = urllib.request.Request(url, b'{"a":1}', {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert (answer.status, answer.headers["x-from"], json.load(answer)) == (201, "code", {"got": {"a": 1}})


def test_kill(r):
    """Killed while the code runs: its process goes too, and the run ends right after the restart."""
    mark = os.path.join(r.project.dir, "mark")
    r.write("workflows/kill.yaml", workflow("python", f"""
import os, time
def handler(pd):
    first = not os.path.exists({mark!r})
    with open({mark!r}, "a") as out:
        out.write(f"{{os.getpid()}} {{pd.context['idempotency_key']}}\\n")
    if first:
        time.sleep(1000)
    return "done"
""", "    timeout: 10m\n", after="  - { namespace: after, language: bash, code: \"echo last=1 >> $PIPEDREAM_EXPORTS\" }\n"))
    assert r.project.up()
    run = r.start("kill")["run"]
    eventually("the code runs", lambda: os.path.exists(mark) and open(mark).read().endswith("\n"))
    pid = int(open(mark).read().split()[0])
    r.project.kill()
    eventually("its process ends with the runtime", lambda: is_zombie(pid))
    assert r.project.up()
    eventually("the run ends", lambda: r.inspect(run)["status"] == "succeeded")
    attempts = [line.split() for line in open(mark)]
    assert len(attempts) == 2 and attempts[0][1] == attempts[1][1], attempts
    detail = r.inspect(run)
    assert [s["status"] for s in detail["steps"]] == ["unknown", "succeeded", "succeeded"], detail
    assert step(detail)["exports"]["$return_value"] == "done" and step(detail, "after")["exports"] == {"last": "1"}, detail


def test_edited_file(r):
    """A run that waits finishes on the code that it began with; the next one has the new code."""
    run = r.start("file")["run"]
    eventually("it waits", lambda: [s for s in r.inspect(run).get("steps", []) if s["namespace"] == "pause"])
    url = step(r.inspect(run), "pause")["exports"]["$return_value"]["resume_url"]
    before = r.inspect(run)["version"]
    r.write("workflows/parts/entry.py", "def handler(pd):\n    return 'second'\n")
    r.project.stop()
    where = r.project.up()
    assert where
    path = "/r/" + url.split("/r/")[1]
    urllib.request.urlopen(urllib.request.Request(where["ingest"] + path, b"{}"), timeout=60).close()
    eventually("it ends", lambda: r.inspect(run)["status"] == "succeeded")
    detail = r.inspect(run)
    assert step(detail, "again")["exports"]["$return_value"] == "first" and detail["version"] == before, detail
    fresh = r.start("file")["run"]
    eventually("the new one runs", lambda: step_value(r.inspect(fresh)) == "second")
    assert r.inspect(fresh)["version"] != before


def step_value(run):
    done = [s for s in run["steps"] if s["namespace"] == "work" and s["status"] == "succeeded"]
    return done and done[0]["exports"]["$return_value"]


def test_check(r):
    wrong = {
        "language": ("steps:\n  - { namespace: a, language: perl, code: x }\n", "node, python or bash"),
        "none": ("steps:\n  - { namespace: a, code: x }\n", 'needs a "language"'),
        "both": ("steps:\n  - { namespace: a, language: node, code: x, uses: ./a.js }\n", "not both"),
        "missing": ("steps:\n  - { namespace: a, uses: ./a.js }\n", "there is no file workflows/a.js"),
        "outside": ("steps:\n  - { namespace: a, uses: ../../../etc/passwd.sh }\n", "outside of the project"),
        "ending": ("steps:\n  - { namespace: a, uses: ./a.rb }\n", ".js, .mjs, .py or .sh"),
        "later": ("steps:\n  - { namespace: a, language: bash, code: x, props: { b: \"{{steps.b.c}}\" } }\n  - { namespace: b, language: bash, code: x }\n", "steps.b"),
        "tmp": ("steps:\n  - { namespace: a, language: node, code: \"await write('/tmp/x')\" }\n", "2:43: warning: /tmp is the machine's own folder here, shared by all and never cleared; a file of the run is $.files.path(\"NAME\")"),
        "variable": ("steps:\n  - { namespace: a, language: bash, code: x, props: { a-b: 1 } }\n", "no name of one"),
    }
    for name, (text, _) in wrong.items():
        r.write(f"workflows/{name}.yaml", text)
    link = os.path.join(r.project.dir, "workflows/link.sh")
    os.symlink("/etc/hostname", link)
    r.write("workflows/link.yaml", "steps:\n  - { namespace: a, uses: ./link.sh }\n")
    r.write("workflows/braces.yaml", "steps:\n  - { namespace: a, language: node, code: \"return '{{steps.nobody.x}}'\" }\n")
    said = r.project.run("check", check=False)
    assert said.returncode == 1
    lines = (said.stdout + said.stderr).split("\n")
    for name, (_, words) in {**wrong, "link": ("", "leads out of the project")}.items():
        assert any(line.startswith(f"workflows/{name}.yaml:") and words in line for line in lines), (name, words, lines)
    assert not any("braces.yaml" in line and "error" in line for line in lines), lines
    for name in [*wrong, "link", "braces"]:
        os.unlink(os.path.join(r.project.dir, f"workflows/{name}.yaml"))
    empty = tempfile.mkdtemp(prefix="runnel-test-")
    path, os.environ["PATH"] = os.environ["PATH"], empty
    try:
        said = r.project.run("check", check=False)
        assert "node is not installed here" in said.stdout + said.stderr and said.returncode == 0, said
        failed(r.run("plain-node"), "configuration", "node is not installed", "install Node.js")
    finally:
        os.environ["PATH"] = path
        os.rmdir(empty)


def test_sample():
    """The sample project, as it stands."""
    folder = tempfile.mkdtemp(prefix="runnel-test-")
    try:
        shutil.copytree(SAMPLE, folder, dirs_exist_ok=True)
        project = Project()
        try:
            done = project.run("run", "order", "--json", "--event", '{"id":9007199254740993,"lines":[{"price":"19.99","count":3},{"price":"0.01","count":1}]}',
                               cwd=folder)
        finally:
            project.close()
        run = json.loads(done.stdout)
        assert run["status"] == "succeeded", run
        assert step(run, "letter")["exports"]["$return_value"] == "Dear customer, your order 9007199254740993 comes to 59.98 EUR."
        assert step(run, "receipt")["exports"] == {"words": "9", "sent": {"ok": True, "total": "59.98"}}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    os.environ["RUNNEL_TEST_SECRET"] = "of the runtime, not of the code"
    test_sample()
    r = Runner()
    try:
        test_check(r)
        test_kill(r)
        for test in (test_values, test_errors, test_ends, test_left_behind, test_output_and_memory, test_worn_out, test_flow, test_respond, test_edited_file):
            test(r)
            print(test.__name__, "ok", flush=True)
        r.project.stop()
    finally:
        r.close()


if __name__ == "__main__":
    main()
