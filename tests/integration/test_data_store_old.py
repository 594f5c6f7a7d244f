"""Old records of data stores: swept without anybody writing, a cleared store drained in pieces; kill -9 in the middle of both."""
import json
import os
import re
import urllib.error
import urllib.request

from harness import Project, eventually

RECORDS = 3000
project = Project()
FILL = """triggers: [{ namespace: hand, manual: true }]
steps:
  - namespace: fill
    language: node
    timeout: 2m
    props: { store: { store: many }, brief: { store: brief } }
    code: |
      const text = "x".repeat(1000), { count, ttl } = steps.trigger.event, store = ttl ? this.brief : this.store;
      for (let i = 0; i < count; i += 50)
        await Promise.all(Array.from({ length: 50 }, (_, n) => store.set(`key-${i + n}`, text, ttl ? { ttl } : {})));
"""


def used():
    with open(f"{project.dir}/.runnel/admin-token") as file:
        request = urllib.request.Request(f"{project.ready['admin']}/metrics", headers={"authorization": f"Bearer {file.read().strip()}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return int(re.search(r"^runnel_store_bytes (\d+)$", answer.read().decode(), re.M).group(1))


def fill(event):
    done = project.run("run", "fill", "--event", event, "--json")
    assert '"succeeded"' in done.stdout, done


def ask(**request):
    return project.api("data-stores", request)


def killed():
    eventually("killed", lambda: project.up_process.poll() is not None)


try:
    os.remove(f"{project.dir}/workflows/segment-to-discord.yaml")
    with open(f"{project.dir}/workflows/fill.yaml", "w") as out:
        out.write(FILL)
    assert project.up(), open(f"{project.dir}/up.log").read()
    fill('{"count":0}')  # what a run takes is there before one counts
    before = used()
    room = RECORDS * 1000

    # Cleared: empty at once, and what is written then is kept while the old records go.
    fill(f'{{"count":{RECORDS}}}')
    assert used() > before + room
    project.stop()
    assert project.up(fault="store.apply:4")
    try:
        assert project.run("data", "clear", "many").stdout == f"{RECORDS} records deleted\n"
        assert ask(op="keys", store="many") == {"ok": True, "more": False, "keys": []}
        ask(op="set", store="many", key="kept", value=1)
    except OSError:
        pass  # gone already: what was to be shown is shown below
    killed()
    assert project.up(fault="store.apply:3")
    killed()  # while it drains
    assert project.up()
    assert ask(op="get", store="many", key="key-1")["found"] is False
    eventually("drained", lambda: used() < before + room / 10)
    ask(op="set", store="many", key="later", value=2)
    assert ask(op="get", store="many", key="later")["value"] == 2

    # Expired: gone for everybody, and removed though nobody writes.
    fill('{"count":1000,"ttl":1}')
    eventually("over", lambda: ask(op="keys", store="brief")["keys"] == [])
    project.kill()
    assert project.up()
    eventually("swept", lambda: used() < before + room / 10)
    project.stop()

    # At the quota nothing is set, counters go on, and a store that is cleared makes room.
    with open(f"{project.dir}/runnel.yaml", "w") as out:
        out.write("limits: { store: 16MiB }\n")
    assert project.up(), open(f"{project.dir}/up.log").read()

    def refused(**request):
        try:
            return not ask(store="full", **request)
        except urllib.error.HTTPError as error:
            return "the store is at its quota" in json.load(error)["detail"]

    stored = 0
    while not refused(op="set", key=f"big-{stored}", value="x" * 1000000):
        stored += 1
        assert stored < 20
    assert refused(op="compare_and_set", key="other", value="x" * 1000000)
    assert ask(op="increment", store="full", key="count")["value"] == 1
    assert ask(op="clear", store="full")["count"] == stored + 1
    eventually("there is room again", lambda: not refused(op="compare_and_set", key="other", value="x" * 1000000))
    project.stop()
finally:
    project.close()
print("old records: good")
