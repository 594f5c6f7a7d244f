"""Promise 2: a source run is a transaction. And what its dedupe remembers, over restarts too."""
import concurrent.futures
import json

from harness import TrialProject, post


def say(url, **what):
    return post(url, json.dumps(what))


def emitted(project, name):
    """The ids of the events that were accepted, oldest first."""
    return [e["emit_id"] for e in project.json("events", "--limit", "500", "--source", f"workflows/{name}/trigger")][::-1]


def batch(url, *items):
    events = [{"id": i} if not isinstance(i, tuple) else {"id": i[0], "ts": i[1]} for i in items]
    assert post(url, json.dumps(events))[0] == 200


project = TrialProject()
try:
    project.workflow("count", ["echo"])
    project.workflow("few", ["echo"], trigger="    dedupe: { remember: 3 }\n")
    project.workflow("many", ["echo"])
    project.workflow("greatest", ["echo"], source="greatest")
    project.workflow("last", ["echo"], source="last")
    assert project.up()
    url = project.url("count")

    # what a failed and a crashed run wrote and emitted is nowhere
    assert say(url, do="count", id="one")[0] == 200
    status, body = say(url, do="fail", id="failed")
    assert status >= 500 and b"as told" not in body, (status, body)
    status, body = say(url, do="crash", id="crashed")
    assert status == 503, (status, body)
    assert say(url, do="peek")[1] == b"1"
    assert say(url, do="count", id="two")[0] == 200
    assert emitted(project, "count") == ["one", "two"]
    # the ids of the runs that failed were not remembered either
    assert say(url, do="count", id="crashed")[0] == 200
    assert emitted(project, "count") == ["one", "two", "crashed"]

    # runs at once that read and write the same key: as if one came after the other
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda n: say(url, do="count", id=f"c{n}", ms=20)[0], range(24)))
    good = [n for n, status in enumerate(answers) if status == 200]
    assert good and set(answers) <= {200, 503}, answers
    assert say(url, do="peek")[1] == str(3 + len(good)).encode(), answers
    assert sorted(emitted(project, "count")[3:]) == sorted(f"c{n}" for n in good)
    events = [json.loads(project.run("events", e["id"]).stdout)["event"]["count"] for e in project.json("events", "--limit", "500")]
    assert sorted(events) == list(range(1, 4 + len(good))), "each run saw what the one before had written"

    # unique: an id within the memory is dropped, the oldest is forgotten first
    few, many = project.url("few"), project.url("many")
    for number in range(1, 5):
        say(few, do="emit", id=f"f{number}")
    say(few, do="emit", id="f4")
    say(few, do="emit", id="f2")
    assert emitted(project, "few") == ["f1", "f2", "f3", "f4"]
    say(few, do="emit", id="f1")
    assert emitted(project, "few") == ["f1", "f2", "f3", "f4", "f1"]
    # 10,000 unless configured
    batch(many, *[f"m{n}" for n in range(9999)])
    say(many, do="emit", id="m9999")

    # greatest: the running maximum, inside one batch as well, compared as the numbers they are
    greatest = project.url("greatest")
    batch(greatest, 5, 3, 9007199254740993, 7, 9007199254740992, 9007199254740994)
    assert emitted(project, "greatest") == ["5", "9007199254740993", "9007199254740994"]

    # last: what comes after the stored id in the batch; all, if it is not there; ordered by ts where given
    last = project.url("last")
    batch(last, "a", "b")
    batch(last, "a", "b", "c", "d")
    batch(last, "x", "y")
    batch(last, ("z2", 2000), ("y", 1000), ("z3", 3000))
    assert emitted(project, "last") == ["a", "b", "c", "d", "x", "y", "z2", "z3"]

    # a kill and a start: each memory is still there
    project.kill()
    assert project.up()
    count, few, many, greatest, last = (project.url(n) for n in ("count", "few", "many", "greatest", "last"))
    for url, ids in ((few, ["f3", "f4", "f1"]), (many, ["m0", "m9999"])):
        for i in ids:
            assert say(url, do="emit", id=i)[0] == 200
    batch(greatest, 9007199254740994, 1)
    batch(last, "z2", "z3", "z4")
    assert len(emitted(project, "few")) == 5
    assert emitted(project, "greatest")[-1] == "9007199254740994" and emitted(project, "last")[-1] == "z4"
    assert len(emitted(project, "last")) == 9
    assert emitted(project, "many")[-1] == "m9999"
    # the 10,001st id pushes the first out
    say(many, do="emit", id="m10000")
    say(many, do="emit", id="m1")
    say(many, do="emit", id="m0")
    assert emitted(project, "many")[-2:] == ["m10000", "m0"]
    assert say(count, do="peek")[1] == str(3 + len(good)).encode()
    project.stop()
    print("source: good")
finally:
    project.close()
