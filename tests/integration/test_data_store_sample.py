"""The sample workflows/data-stores as it stands: its tests, many visits at once over HTTP, and what is offered while one configures."""
import concurrent.futures
import json
import os
import shutil
import urllib.request

from harness import Project

SAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "workflows", "data-stores")
VISITS = 30

project = Project()


def visit(user):
    request = urllib.request.Request(url, json.dumps({"user": user}).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def options(prop="key", query="", **props):
    return project.api("options", {"component": "data_stores-delete-single-record", "prop": prop, "query": query, "props": props})


try:
    os.remove(f"{project.dir}/workflows/segment-to-discord.yaml")
    shutil.copytree(f"{SAMPLE}/workflows", f"{project.dir}/workflows", dirs_exist_ok=True)
    shutil.copy(f"{SAMPLE}/runnel.yaml", f"{project.dir}/runnel.yaml")
    tested = project.run("test", check=False)
    assert tested.returncode == 0 and "2 tests, 0 failed" in tested.stdout, tested
    with open(f"{project.dir}/workflows/visit.test.yaml", "a") as out:
        out.write("  - { name: wrong, event: { body: { user: ada } }, expect: { data_stores: { visits: { ada: 2 } } } }\n")
    tested = project.run("test", check=False)
    assert tested.returncode == 1 and "data_stores.visits.ada: expected 2, got 1" in tested.stdout, tested

    # What is written wrong is told at its place.
    with open(f"{project.dir}/workflows/wrong.yaml", "w") as out:
        out.write("triggers: [{ namespace: hand, manual: true }]\nsteps:\n")
        for name, store in enumerate(('{ stor: x }', '"visits"', '{ store: "a b" }', '{ storeId: "x-{{1 + 1}}" }')):
            out.write(f"  - {{ namespace: s{name}, uses: data_stores-increment-record, props: {{ dataStore: {store}, key: k }} }}\n")
    said = project.run("check", check=False).stdout
    for place, words in (("3:80", 'takes a data store: { store: NAME }, without "stor"'), ("4:78", 'takes a data store: { store: NAME }, not "visits"'),
                         ("5:87", "a data store's name has 1 to 64 letters, digits, - _ ., not \"a b\"")):
        assert any(line.startswith(f"workflows/wrong.yaml:{place}: error: ") and words in line for line in said.split("\n")), (place, said)
    assert said.count("wrong.yaml") == 3, said
    os.remove(f"{project.dir}/workflows/wrong.yaml")

    assert project.up(), open(f"{project.dir}/up.log").read()
    url = project.json("endpoints")[0]["url"]
    assert visit("ada")["text"] == "Welcome, ada!"
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(visit, ["ada"] * VISITS + ["bob"] * VISITS))
    assert sum(answer["text"] == "Welcome, bob!" for answer in answers) <= 1, answers
    assert project.json("data", "get", "visits", "ada") == VISITS + 1, project.json("data", "get", "visits", "ada")
    assert [entry["user"] for entry in project.json("data", "get", "diary", "newcomers")] == ["ada", "bob"]
    assert visit("ada")["most"] == {"user": "ada", "count": VISITS + 2}

    # While one configures: the keys of the store that is named, and of no other.
    store = {"dataStore": {"store": "visits"}}
    assert [o["value"] for o in options(**store)["options"]] == ["ada", "bob"]
    assert [o["value"] for o in options(query="o", **store)["options"]] == ["bob"]
    offered = project.run("options", "data_stores-delete-single-record", "key", "--props", json.dumps(store)).stdout
    assert "ada" in offered and "bob" in offered, offered
    unnamed = project.run("options", "data_stores-delete-single-record", "key", check=False)
    assert unnamed.returncode == 1 and 'the prop "dataStore" names no data store: { store: NAME }' in unnamed.stderr, unnamed
    # Asked for by `configure`: the store by its number, then its keys by theirs.
    with open(f"{project.dir}/workflows/count.yaml", "w") as out:
        out.write("triggers: [{ namespace: hand, manual: true }]\nsteps:\n  - namespace: count\n    uses: data_stores-increment-record\n")
    asked = project.run("configure", "count", stdin="2\n2\n")
    assert "1  diary" in asked.stderr and "2  visits" in asked.stderr and "2  bob" in asked.stderr, asked
    with open(f"{project.dir}/workflows/count.yaml") as file:
        text = file.read()
    assert project.run("check").returncode == 0 and "visits" in text and "bob" in text, text
    project.stop()
finally:
    project.close()
print("the sample of data stores: good")
