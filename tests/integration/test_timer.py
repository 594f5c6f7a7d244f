"""Sources with a timer: each change is emitted once, also over kill -9; failures are shown and tried at the next tick; by hand."""

import json
import os

from harness import LocalServer, Project, QuietHandler, eventually


class Feed:
    """A URL whose answer is a list that grows by one with each question."""

    def __enter__(self):
        feed = self
        self.asked, self.fails = 0, False

        class Handler(QuietHandler):
            def do_GET(self):
                feed.asked += 1
                body = json.dumps(list(range(feed.asked))).encode()
                self.send_response(404 if feed.fails else 200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = LocalServer(Handler)
        self.url = f"{self.server.url}/feed"
        return self

    def __exit__(self, *args):
        self.server.close()


project = Project()
try:
    with Feed() as feed:
        os.remove(f"{project.dir}/workflows/segment-to-discord.yaml")
        os.makedirs(f"{project.dir}/sources", exist_ok=True)

        def write(timer):
            with open(f"{project.dir}/sources/feed.yaml", "w") as file:
                file.write(f'uses: http-watch-url\nprops:\n  url: "{feed.url}"\n  emitAsArray: true\n  emitBodyOnly: true\n  timer: {timer}\n')

        write("{ intervalSecond: 1 }")
        wrong = project.run("check", check=False)
        assert wrong.returncode == 1 and 'did you mean "intervalSeconds"' in wrong.stdout, wrong.stdout
        write('{ cron: "0 25 * * *", timezone: UTC }')
        wrong = project.run("check", check=False)
        assert wrong.returncode == 1 and "no hour" in wrong.stdout, wrong.stdout
        write("{ intervalSeconds: 1 }")
        for name in ("one", "two"):  # one source, two workflows; one of them has another trigger as well
            with open(f"{project.dir}/workflows/{name}.yaml", "w") as file:
                file.write("triggers:\n  - source: feed\n" + ("  - namespace: clock\n    schedule: { every: 1h }\n" if name == "two" else "") +
                           'steps:\n  - namespace: film\n    uses: swapi-get-film\n    props: { film: "1" }\n')
        assert project.run("check").returncode == 0

        def timer():
            return [s for s in project.json("schedule") if s["id"] == "sources/feed"][0]

        def emitted():
            events = project.json("events", "--limit", "1000", "--source", "sources/feed")
            return [json.loads(project.run("events", e["id"]).stdout)["event"] for e in reversed(events)]

        for point in ("schedule.before_source:2", "source.before_commit:2", "store.commit:8", "store.committed:8"):
            if project.up(fault=point):
                eventually(f"killed at {point}", lambda: project.up_process.poll() is not None)
            assert project.up_process.poll() == -9, point
        assert project.up()
        fired = timer()["fired"]
        eventually("it goes on", lambda: timer()["fired"] >= fired + 3)
        items = emitted()
        assert items == list(range(len(items))) and len(items) >= 4, items

        # by hand, and a run that fails
        asked = feed.asked
        assert project.json("fire", "sources/feed")["id"] == "sources/feed"
        assert feed.asked > asked
        feed.fails = True
        eventually("the failure is shown", lambda: "404" in timer().get("error", ""))
        assert any("run failed" in l["text"] for l in project.json("logs", "sources/feed"))
        fired = timer()["fired"]
        eventually("it is tried again", lambda: timer()["fired"] > fired)
        feed.fails = False
        eventually("and is well again", lambda: "error" not in timer())
        wrong = project.run("fire", "sources/fed", check=False)
        assert wrong.returncode == 1 and "there is no" in wrong.stderr, wrong.stderr

        # the other trigger of the workflow, seen in inspect
        run = project.json("fire", "workflows/two/clock")["run"]
        detail = json.loads(project.run("inspect", run, "--json", "--wait").stdout)
        assert detail["trigger"] == "clock" and detail["trigger_event"]["event"]["interval_seconds"] == 3600, detail
        assert "clock" in project.run("inspect", run).stdout

        eventually("each event ran in both workflows", lambda: all(
            len(project.json("runs", "--workflow", w, "--status", "succeeded", "--limit", "1000")) >= len(items) for w in ("one", "two")))
        project.stop()
    print(f"timers of sources: good ({len(items)} items)")
finally:
    project.close()
