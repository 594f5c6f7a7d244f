"""Settings on the real binary: order per key, throttle, queue size; ten thousand delays; replay in bulk and from a step."""
import concurrent.futures
import datetime
import http.client
import json
import os
import pathlib
import urllib.request

from harness import Project, eventually, post

WORKFLOWS = {
    "keyed": """
triggers: [{ namespace: hook, http: {} }]
settings: { concurrency: { key: "{{steps.trigger.event.body.key}}", workers: 1, total: 16 } }
steps: [{ namespace: film, uses: swapi-get-film, props: { film: "1" } }]
""",
    "slow": """
triggers: [{ namespace: hook, http: {} }]
settings: { throttle: { limit: 3, interval: 1h } }
steps: [{ namespace: stop, end: done }]
""",
    "small": """
triggers: [{ namespace: hook, http: {} }]
settings: { throttle: { limit: 0, interval: 1s }, queue: { size: 5 } }
steps: [{ namespace: stop, end: done }]
""",
    "naps": """
triggers: [{ namespace: hook, http: {} }]
steps: [{ namespace: nap, delay: "{{steps.trigger.event.body.ms}}" }]
""",
    "two": """
triggers: [{ namespace: hook, http: {} }]
steps:
  - { namespace: one, uses: swapi-get-film, props: { film: "1" } }
  - { namespace: bad, uses: swapi-get-film, props: { film: "99" } }
""",
}
EVENTS, KEYS, NAPS = 5000, 100, 10000

def test_memory_given_back():
    """A good part of what a long loop has taken goes back to the system when nothing runs any more."""
    loop = Project()
    try:
        pathlib.Path(loop.dir, "workflows/loop.yaml").write_text(
            "triggers: [{ namespace: hand, manual: true }]\nsettings: { timeout: 120s }\nsteps:\n"
            "  - namespace: each\n    for_each: '{{Array(3000).fill(1)}}'\n    concurrency: 8\n"
            "    steps: [{ namespace: big, language: node, code: \"return 'x'.repeat(4000)\" }]\n")
        assert loop.up()
        base = memory_kib(loop.up_process.pid)
        assert loop.json("run", "loop", "--event", "{}")["status"] == "succeeded"
        most = memory_kib(loop.up_process.pid)
        assert most > base + 15 * 1024, (base, most)
        eventually("memory is given back", lambda: memory_kib(loop.up_process.pid) < base + 0.7 * (most - base))
        loop.stop()
    finally:
        loop.close()


project = Project()


def urls():
    return {e["workflow"]: e["url"] for e in project.json("endpoints")}


def send_all(url, bodies):
    """Posts over keep-alive connections, in order; the bodies that got 200."""
    host = url.split("/")[2]
    path = "/" + url.split("/", 3)[3]
    done = []
    connection = http.client.HTTPConnection(host, timeout=120)
    for body in bodies:
        for _ in range(5):  # a listener may close an idle connection
            try:
                connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                break
            except (http.client.HTTPException, OSError):
                connection.close()
        if answer.status == 200:
            done.append(body)
    connection.close()
    return done


def api(path):
    request = urllib.request.Request(f"{ready['admin']}/api/v1/{path}",
                                     headers={"authorization": "Bearer " + open(f"{project.dir}/.runnel/admin-token").read().strip()})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def memory_kib(pid):
    """Memory of its own: the store's pages, which the kernel may drop at will, do not count."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon:"))


def counts(workflow):
    return next(w for w in project.json("workflows") if w["id"] == workflow)


try:
    for name, text in WORKFLOWS.items():
        with open(f"{project.dir}/workflows/{name}.yaml", "w") as file:
            file.write(text)
    ready = project.up()
    assert ready, open(f"{project.dir}/up.log").read()
    url = urls()

    # what is read at the start only, and is changed now, is said
    with open(f"{project.dir}/runnel.yaml") as file:
        before = file.read()
    with open(f"{project.dir}/runnel.yaml", "w") as file:
        file.write(before.replace("egress:\n  allow: [127.0.0.0/8]", "egress:\n  allow: [127.0.0.0/8, 10.0.0.0/8]").replace("body: 10MiB", "body: 1MiB"))
    eventually("it is said", lambda: "of limits, egress holds from the next start on" in open(f"{project.dir}/up.log").read())
    with open(f"{project.dir}/runnel.yaml", "w") as file:
        file.write(before)

    # order per key: 5,000 events over 100 keys, from 10 senders with 10 keys each, so that each key's order is known
    senders = [[{"key": f"k{s * 10 + i % 10}", "n": i} for i in range(EVENTS // 10)] for s in range(10)]
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        sent = sum(len(done) for done in pool.map(lambda bodies: send_all(url["keyed"], bodies), senders))
    assert sent == EVENTS, sent
    eventually("all keyed runs ended", lambda: counts("keyed")["queued"] == 0 and counts("keyed")["running"] == 0)
    runs, cursor = [], ""
    while cursor is not None:
        page = api(f"runs?limit=500&workflow=keyed{cursor and '&cursor=' + cursor}")
        runs += page["data"]
        cursor = page["next"]
    assert len(runs) == EVENTS and all(r["status"] == "succeeded" for r in runs)
    assert len({r["event"] for r in runs}) == EVENTS
    per_key = {}
    for r in runs:
        per_key.setdefault(r["key"], []).append((r["event"], r["started"], r["ended"]))
    assert len(per_key) == KEYS
    for key, list_ in per_key.items():
        list_.sort()  # ids grow in the order of arrival
        for (_, _, ended), (_, started, _) in zip(list_, list_[1:]):
            assert ended <= started, f"{key}: a run began before the one before it had ended"

    # throttle: three in the window, the others wait
    assert len(send_all(url["slow"], [{}] * 5)) == 5
    eventually("three ran", lambda: len(project.json("runs", "--workflow", "slow", "--status", "succeeded")) == 3)
    project.stop()
    ready = project.up()
    url = urls()
    assert counts("slow")["queued"] == 2, "the window is known after a restart"

    # a full queue refuses, and drops nothing
    assert len(send_all(url["small"], [{}] * 5)) == 5
    assert post(url["small"], "{}")[0] == 503
    assert counts("small")["queued"] == 5

    # bulk replay, and from a step
    assert len(send_all(url["two"], [{}] * 3)) == 3
    eventually("they failed", lambda: len(project.json("runs", "--workflow", "two", "--status", "failed")) == 3)
    dry = json.loads(project.run("replay", "--status", "failed", "--workflow", "two", "--dry-run", "--json").stdout)
    assert len(dry) == 3, dry
    with open(f"{project.dir}/workflows/two.yaml", "w") as file:
        file.write(WORKFLOWS["two"].replace('"99"', '"2"'))
    eventually("the file was read", lambda: project.run("check", check=False).returncode == 0)
    project.stop()
    ready = project.up()
    url = urls()
    replayed = json.loads(project.run("replay", "--status", "failed", "--workflow", "two", "--since", "1h", "--from-step", "failed",
                                      "--rate", "100/s", "--json").stdout)
    assert len(replayed) == 3
    for r in replayed:
        eventually("replayed", lambda r=r: project.json("inspect", r["run"])["status"] == "succeeded")
        steps = project.json("inspect", r["run"])["steps"]
        assert [s["path"] for s in steps] == ["one", "bad"] and steps[0].get("replayed") and not steps[1].get("replayed"), steps

    # what was replayed is not replayed a second time, unless told so; a replay that failed is one to replay
    done = project.run("replay", "--status", "failed", "--workflow", "two", "--since", "1h")
    assert "3 left out, replayed already" in done.stderr and "no such runs" in done.stderr, done
    with open(f"{project.dir}/workflows/two.yaml", "w") as file:
        file.write(WORKFLOWS["two"])
    project.api("reload", {})
    again = json.loads(project.run("replay", "--status", "failed", "--workflow", "two", "--again", "--json").stdout)
    assert len(again) == 3
    eventually("they failed again", lambda: len(project.json("runs", "--workflow", "two", "--status", "failed")) == 6)
    dry = json.loads(project.run("replay", "--status", "failed", "--workflow", "two", "--dry-run", "--json").stdout)
    assert {r["id"] for r in dry} == {r["run"] for r in again}, dry

    # ten thousand delays: little memory, and in time after a restart
    project.stop()
    ready = project.up()
    url = urls()
    base = memory_kib(project.up_process.pid)
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        assert sum(len(done) for done in pool.map(lambda n: send_all(url["naps"], [{"ms": 600000}] * n), [NAPS // 10] * 10)) == NAPS
    assert len(send_all(url["naps"], [{"ms": 5000}] * 200)) == 200
    eventually("all pause", lambda: counts("naps")["queued"] == 0 and counts("naps")["running"] == 0)
    project.kill()
    ready = project.up()
    grown = memory_kib(project.up_process.pid) - base
    eventually("the short ones ended", lambda: len(project.json("runs", "--workflow", "naps", "--status", "succeeded", "--limit", "500")) == 200)

    def ms(text):
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000

    late = max(ms(r["ended"]) - ms(r["started"]) - 5000 for r in project.json("runs", "--workflow", "naps", "--status", "succeeded", "--limit", "500"))
    print(f"10,000 waiting delays: {grown} KiB; those of 5 s ended {late:.0f} ms after their time at the latest, over a restart")
    if not os.environ.get("RUNNEL_SANITIZE"):  # a sanitizer has memory of its own
        assert grown < 10 * 1024, grown
    assert 0 <= late < 30000, late

    project.stop()
    if not os.environ.get("RUNNEL_SANITIZE"):
        test_memory_given_back()
    print("settings: good")
finally:
    project.close()
