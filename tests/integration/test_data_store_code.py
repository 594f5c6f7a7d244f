"""Data stores in code steps on the real binary: every request of node and python, what is refused, and a kill -9 in the middle."""
import json
import os

from harness import Project, eventually

NODE = """
export default defineComponent({
  props: { store: { type: "data_store" }, other: { type: "data_store", optional: true } },
  async run({ steps }) {
    const { store } = this, said = {};
    said.absent = [await store.get("none") ?? "undefined", await store.has("none"), await store.delete("none"), await store.setTtl("none", 5)];
    await store.set("list", [1, { deep: 9007199254740993n }]);
    await store.set("null", null);
    await store.set(7, "a number as key");
    said.list = await store.get("list");
    said.has = [await store.has("list"), await store.has("null"), await store.get("null"), await store.get("7")];
    await store.set("short", "lived", { ttl: 0.001 });
    while (await store.has("short"));
    await store.set("kept", 1, { ttl: 0.05 });
    said.ttl = [await store.setTtl("kept", null), await store.setTtl("kept", 1000)];
    said.count = [await store.increment("count"), await store.increment("count", 41), await store.increment("big", 9007199254740993n)];
    said.swapped = [await store.compareAndSet("cas", undefined, "a"), await store.compareAndSet("cas", undefined, "b"),
      await store.compareAndSet("cas", "a", "c"), await store.get("cas"), await store.compareAndSet("cas", "c", undefined), await store.has("cas")];
    said.keys = await store.keys();
    said.items = [];
    for await (const [key, value] of store) said.items.push([key, value]);
    await Promise.all(Array.from({ length: 50 }, () => store.increment("together")));
    said.together = await store.get("together");
    said.text = JSON.stringify(this.store);
    said.deleted = await store.delete("list");
    await store.clear();
    said.left = await store.keys();
    said.other = this.other === undefined;
    return said;
  },
});
"""
PYTHON = """
def handler(pd):
    ds, said = pd.inputs["store"], {}
    said["absent"] = [ds.get("none", "undefined"), ds.has("none"), ds.delete("none"), ds.set_ttl("none", 5)]
    ds["list"] = [1, {"deep": 9007199254740993}]
    ds["null"] = None
    ds[7] = "a number as key"
    said["list"] = ds["list"]
    said["has"] = ["list" in ds, "null" in ds, ds["null"], ds["7"]]
    ds.set("short", "lived", ttl=0.001)
    while "short" in ds:
        pass
    ds.set("kept", 1, ttl=0.05)
    said["ttl"] = [ds.set_ttl("kept", None), ds.set_ttl("kept", ttl=1000)]
    said["count"] = [ds.increment("count"), ds.increment("count", 41), ds.increment("big", 9007199254740993)]
    said["swapped"] = [ds.compare_and_set("cas", None, "a"), ds.compare_and_set("cas", None, "b"), ds.compare_and_set("cas", "a", "c"), ds["cas"],
                       ds.compare_and_set("cas", "c", None), "cas" in ds]
    said["keys"] = ds.keys()
    said["items"] = [[key, value] for key, value in ds.items()]
    import threading
    threads = [threading.Thread(target=ds.increment, args=("together", 10)) for _ in range(5)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    said["together"] = ds["together"]
    said["text"] = '{"store":"numbers"}'
    for wrong in (KeyError, TypeError):
        try:
            ds["none"]
        except wrong:
            pass
    del ds["list"]
    said["deleted"] = list(ds) == ds.keys() and "list" not in ds
    ds.clear()
    said["left"] = ds.keys()
    said["other"] = True
    return said
"""
SAID = {
    "absent": ["undefined", False, False, False], "list": [1, {"deep": 9007199254740993}], "has": [True, True, None, "a number as key"],
    "ttl": [True, True], "count": [1, 42, 9007199254740993], "swapped": [True, False, True, "c", True, False],
    "keys": ["7", "big", "count", "kept", "list", "null"],
    "items": [["7", "a number as key"], ["big", 9007199254740993], ["count", 42], ["kept", 1], ["list", [1, {"deep": 9007199254740993}]], ["null", None]],
    "together": 50, "text": '{"store":"numbers"}', "deleted": True, "left": [], "other": True,
}
MANY = 2500  # of keys: three pages
WORKFLOWS = {
    "node": ("node", NODE, "store: { store: numbers }"),
    "python": ("python", PYTHON, "store: { storeId: numbers }"),
    "pages-node": ("node", f"""
for (let i = 0; i < {MANY}; i += 50) await Promise.all(Array.from({{ length: 50 }}, (_, n) => this.store.set(`k${{String(i + n).padStart(5, "0")}}`, i + n)));
let sum = 0;
for await (const [, value] of this.store) sum += value;
return [(await this.store.keys()).length, sum];
""", "store: { store: many }"),
    "pages-python": ("python", """
def handler(pd):
    return [len(pd.inputs["store"].keys()), sum(value for _, value in pd.inputs["store"].items())]
""", "store: { store: many }"),
    "big-node": ("node", 'await this.store.set("big", "x".repeat(2 << 20));', "store: { store: numbers }"),
    "big-python": ("python", "def handler(pd):\n    pd.inputs['store']['big'] = 'x' * (2 << 20)\n", "store: { store: numbers }"),
    "text-node": ("node", 'await this.store.set("t", "x");\nawait this.store.increment("t");', "store: { store: texts }"),
    "text-python": ("python", "def handler(pd):\n    pd.inputs['store']['t'] = 'x'\n    pd.inputs['store'].increment('t')\n", "store: { store: texts }"),
    "key-node": ("node", 'await this.store.get({});', "store: { store: numbers }"),
    "undefined-node": ("node", 'await this.store.set("a", undefined);', "store: { store: numbers }"),
    "missing-node": ("node", NODE, ""),
    "named-node": ("node", NODE, 'store: { store: "{{steps.trigger.event.none ?? 7}}" }'),
    "named-python": ("python", PYTHON, 'store: { store: "{{steps.trigger.event.none ?? 7}}" }'),
    # Awaited or not, what is read comes after what was written before it.
    "order-node": ("node", "const { store } = this; for (let i = 0; i < 100; i++) store.set('o', i); return [await store.get('o'), await store.has('o')];",
                   "store: { store: order }"),
    "left-node": ("node", "this.store.set('left', 'behind'); return 1;", "store: { store: order }"),
    # More at once than may be open, each answer larger than a socket takes.
    "flood-node": ("node", f"""
await Promise.all(Array.from({{ length: 40 }}, (_, n) => this.store.set(`f${{n}}`, "y".repeat(100000))));
const all = async () => {{ let size = 0; for await (const [, text] of this.store) size += text.length; return size; }};
return (await Promise.all(Array.from({{ length: 30 }}, all))).every((size) => size === 4000000);
""", "store: { store: flood }"),
    "ask-spin-node": ("node", "for (;;) await this.store.get('x');", "store: { store: order }", "    timeout: 2s\n    retry: { attempts: 1 }\n"),
    "ask-spin-python": ("python", "def handler(pd):\n    while True:\n        pd.inputs['store'].has('x')\n", "store: { store: order }",
                        "    timeout: 2s\n    retry: { attempts: 1 }\n"),
    # What an expression makes is never a store, whatever it looks like.
    "looks-node": ("node", "return [typeof this.order.get, this.order.store];", 'order: "{{steps.trigger.event}}"'),
    "dynamic-node": ("node", 'return this.store.increment("a");', 'store: { store: "of-{{steps.trigger.event.who}}" }'),
    # The code says to descriptor 3 itself what it likes: the runtime gives out only what the step's props name.
    "forged-python": ("python", """
def handler(pd):
    pd.inputs["store"]._name = "secrets"
    return pd.inputs["store"].get("a")
""", "store: { store: numbers }"),
    "garbled-python": ("python", "import os\ndef handler(pd):\n    os.write(3, b'\\xff' * 64)\n    import time\n    time.sleep(1000)\n", "store: { store: numbers }"),
}


def workflow(language, code, props, more=""):
    code = "".join(f"      {line}\n" for line in code.strip("\n").split("\n"))
    return (f"triggers: [{{ namespace: hand, manual: true }}]\nsteps:\n  - namespace: work\n    language: {language}\n{'' if 'timeout' in more else '    timeout: 2m'}\n"
            f"    props: {{ {props} }}\n{more}    code: |\n{code}")


def value(run):
    return run["steps"][-1]["exports"]["$return_value"]


project = Project()
os.makedirs(f"{project.dir}/workflows", exist_ok=True)


def write(name, text):
    with open(f"{project.dir}/workflows/{name}.yaml", "w") as out:
        out.write(text)


def run(name, event="{}"):
    done = project.run("run", name, "--event", event, "--json", check=False)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def failed(name, *words):
    ended = run(name)
    assert ended["status"] == "failed", ended
    for word in words:
        assert word in ended["error"]["text"], (word, ended["error"])


try:
    for name, parts in WORKFLOWS.items():
        write(name, workflow(*parts))
    # Wrong in the file: told by check, at its place.
    write("bash", workflow("bash", "true", "store: { store: numbers }"))
    write("name", workflow("node", "return 1;", "store: { store: 'no name' }"))
    checked = project.run("check", check=False)
    for text in ("workflows/bash.yaml:6:14: error: prop \"store\": a bash step has no data stores",
                 "workflows/name.yaml:6:30: error: prop \"store\": a data store's name has 1 to 64 letters"):
        assert text in checked.stdout + checked.stderr, checked
    for name in ("bash", "name"):
        os.unlink(f"{project.dir}/workflows/{name}.yaml")

    # `runnel test` has a store of its own: the tests' records are not the project's.
    with open(f"{project.dir}/workflows/dynamic-node.test.yaml", "w") as out:
        out.write("tests:\n  - { name: counts, event: { who: test }, expect: { steps: { work: { exports: { $return_value: 1 } } } } }\n"
                  "  - { name: counts anew, event: { who: test }, expect: { steps: { work: { exports: { $return_value: 1 } } } } }\n")
    tested = project.run("test", check=False)
    assert tested.returncode == 0, tested

    assert project.up(), open(f"{project.dir}/up.log").read()
    assert project.json("data") == [], "a test has left something behind"
    for language in ("node", "python"):
        ended = run(language)
        assert ended["status"] == "succeeded", ended
        assert value(ended) == SAID, (language, value(ended))
        assert value(run(f"pages-{language}")) == [MANY, sum(range(MANY))]
        failed(f"big-{language}", 'data store "numbers": a value of 2097154 bytes; 1048576 are allowed', f"workflows/big-{language}.yaml:work")
        failed(f"text-{language}", 'data store "texts": the record "t" is no integer: its type is string')
        failed(f"named-{language}", 'the prop "store" names no data store')
    failed("key-node", "TypeError: a data store's key is a string, not object")
    failed("undefined-node", "TypeError: a data store takes JSON values, not undefined")
    failed("missing-node", "ConfigurationError", "props: { store: { store: NAME } }")
    failed("forged-python", 'no data store prop of the step names the store "secrets"')
    failed("garbled-python", "closed or garbled its descriptor 3")
    assert value(run("order-node")) == [99, True]
    assert value(run("left-node")) == 1
    eventually("what was not awaited is written, too", lambda: project.run("data", "get", "order", "left", check=False).stdout.strip() == '"behind"')
    assert value(run("flood-node")) is True
    failed("ask-spin-node", "longer than its time limit of 2000 ms")
    failed("ask-spin-python", "longer than its time limit of 2000 ms")
    assert value(run("looks-node", '{"store":"numbers"}')) == ["undefined", "numbers"]
    assert [value(run("dynamic-node", '{"who":"ada"}')) for _ in range(3)] == [1, 2, 3]
    assert value(run("dynamic-node", '{"who":"bob"}')) == 1

    # A dry replay says what would be, and writes nothing.
    before = project.json("data")
    ended = run("dynamic-node", '{"who":"ada"}')
    assert value(ended) == 4
    replayed = project.run("replay", ended["id"], "--dry-run", "--diff", check=False)
    assert replayed.returncode == 0, replayed
    assert run("dynamic-node", '{"who":"ada"}')["steps"][-1]["exports"]["$return_value"] == 5 and len(before) == len(project.json("data"))

    # Killed with half of it written: what the code was told is written is there, and the step is done again.
    write("kill", workflow("python", """
import time
def handler(pd):
    ds = pd.inputs["store"]
    if ds.increment("tries") == 1:
        ds["half"] = "written"
        open("mark", "w").close()
        time.sleep(1000)
    return [ds["tries"], ds["half"]]
""", "store: { store: killed }"))
    eventually("deployed", lambda: any(w["id"] == "kill" for w in project.json("workflows")))
    started = project.json("run", "kill", "--no-wait")["run"]
    eventually("half is written", lambda: os.path.exists(f"{project.dir}/mark"))
    project.kill()
    assert project.up()
    eventually("the run ends", lambda: project.json("inspect", started)["status"] == "succeeded")
    assert value(project.json("inspect", started)) == [2, "written"]
    project.stop()
finally:
    project.close()
print("data stores in code steps: good")
