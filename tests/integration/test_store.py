"""Promise 7: the store is bounded, and says so; and what a data folder is not used for."""
import json
import os
import urllib.error
import urllib.request

from harness import PATIENCE_S, TrialProject, eventually

QUOTA = 2 << 20

project = TrialProject(limits="store: 2MiB, history: { bytes: 512KiB, age: 30d }")
gate = f"{project.dir}/gate"


def emit(url, name, size):
    """Status and Retry-After."""
    request = urllib.request.Request(url, json.dumps({"do": "emit", "id": name, "pad": "x" * size}).encode(), {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status, None
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("Retry-After")


def store():
    return project.api("status")["store"]


def refused(*parts):
    """`up` ends with 1, and says what is the matter and what to do."""
    done = project.run("up", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", check=False)
    assert done.returncode == 1 and not done.stdout, done
    for part in parts:
        assert part in done.stderr, (part, done.stderr)


try:
    project.workflow("free", ["echo"])
    project.workflow("held", [("gate", "    timeout: 10m\n", f", value: {gate}"), "echo"])
    assert project.up()
    free, held = project.url("free"), project.url("held")

    # history is pruned by bytes: much more goes through than there is room for, and nothing is refused
    for number in range(200):
        assert emit(free, f"f{number}", 20_000)[0] == 200, number
        if number % 20 == 0:
            eventually("the runs keep up", lambda: store()["live"] + store()["queued"] < 5)
    eventually("the runs ended", lambda: store()["live"] == store()["queued"] == 0)
    eventually("old history is gone", lambda: store()["used_bytes"] < QUOTA * 0.75)
    assert 0 < store()["events"] < 200 and store()["used_bytes"] < QUOTA, store()

    # at the quota new events are refused, and the runs that hold it finish
    accepted = 0
    while True:
        status, after = emit(held, f"h{accepted}", 60_000)
        if status != 200:
            break
        accepted += 1
        assert accepted < 200, "the quota is never reached"
    assert status == 503 and int(after) > 0, (status, after)
    assert accepted > 5 and store()["full"], (accepted, store())
    open(gate, "w").close()
    eventually("all that were accepted have ended", lambda: store()["live"] == store()["queued"] == 0)
    # finished runs make room: events are taken again
    eventually("events are taken again", lambda: emit(free, "again", 100)[0] == 200)
    assert project.up_process.poll() is None

    # a second runtime on the same folder
    refused("already", "runnel down")
    assert emit(free, "still here", 100)[0] == 200
    project.kill()

    # what a killed runtime left behind names a pid: it is not taken for a runtime, whoever has that pid now (after a restart of a
    # container it is often the new runtime's own)
    left = f"{project.dir}/.runnel/runtime.json"
    with open(left) as file:
        state = json.load(file)
    with open(left, "w") as file:
        json.dump({**state, "pid": os.getpid()}, file)
    assert "no runtime is up" in project.run("down", check=False).stderr
    assert project.up(), "a pid that lives is no runtime"
    project.kill()

    # what is no store of ours is not touched
    path = f"{project.dir}/.runnel/store/data.mdb"
    with open(path, "rb") as file:
        whole = file.read()
    for name, data, parts in (("foreign", b"SQLite format 3\0" + bytes(16384), ("is not a runnel store", "--data")),
                              ("torn", whole[:5000], ("damaged",)),
                              ("overwritten", os.urandom(len(whole)), ("is not a runnel store",))):
        with open(path, "wb") as file:
            file.write(data)
        refused(*parts)
        with open(path, "rb") as file:
            assert name == "torn" or file.read() == data, f"{name}: it was written to"
    with open(path, "wb") as file:
        file.write(whole)
    assert project.up()
    project.stop()
    print(f"store: good ({accepted} events filled it)")
finally:
    project.close()
