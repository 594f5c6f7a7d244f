"""kill -9 at every named write boundary: what was acknowledged is there once, and its run ends."""

from harness import Project, eventually

POINTS = ["store.apply", "store.commit", "store.committed", "source.before_commit", "step.before_call", "step.after_call", "run.before_end"]

project = Project()
try:
    with open(f"{project.dir}/workflows/segment-to-discord.yaml") as file:
        text = file.read()
    # one step, so that the vendors' rate limits do not make the test slow
    text = text[:text.index("steps:")] + """steps:
  - namespace: film
    uses: swapi-get-film
    props: { film: "1" }
    retry: { attempts: 5, backoff: { initial: 1s, max: 1s } }
"""
    with open(f"{project.dir}/workflows/segment-to-discord.yaml", "w") as file:
        file.write(text)
    assert project.up()
    project.stop()

    acknowledged = set()
    number = 0
    for point in POINTS:
        ready = project.up(fault=f"{point}:{25 if point.startswith('store') else 3}")
        for _ in range(40):
            if not ready or project.up_process.poll() is not None:
                break
            number += 1
            message = f"{point}-{number}"
            try:
                deliveries = project.send({"messageId": message, "userId": "ann"})
            except OSError:
                break
            if deliveries and deliveries[0]["status"] == 200:
                acknowledged.add(message)
        if ready and project.up_process.poll() is None:
            eventually(f"killed at {point}", lambda: project.up_process.poll() is not None)
        assert project.up_process.poll() == -9, f"{point} was not met"
    assert project.up()
    eventually("every run ended", lambda: all(r["status"] in ("succeeded", "failed") for r in project.json("runs", "--limit", "500")))
    events = project.json("events", "--limit", "500")
    ids = [e["emit_id"] for e in events]
    assert len(ids) == len(set(ids)), "an event is there twice"
    missing = acknowledged - set(ids)
    assert not missing, f"acknowledged and lost: {missing}"
    runs = project.json("runs", "--limit", "500")
    per_event = {}
    for run in runs:
        per_event[run["event"]] = per_event.get(run["event"], 0) + 1
    assert set(per_event) == {e["id"] for e in events} and set(per_event.values()) == {1}, "each event ran once"
    assert all(r["status"] == "succeeded" for r in runs), [r for r in runs if r["status"] != "succeeded"]
    project.stop()
    print(f"kill -9: good ({len(acknowledged)} acknowledged, {len(ids)} stored)")
finally:
    project.close()
