"""kill -9 of a plugin host at random moments, under load: accepted events are there once and their runs end; everything else goes on."""
import concurrent.futures
import os
import random
import signal

from harness import Project, eventually

project = Project()
try:
    path = f"{project.dir}/workflows/segment-to-discord.yaml"
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text[:text.index("steps:")] + """steps:
  - namespace: film
    uses: swapi-get-film
    props: { film: "1" }
    retry: { attempts: 5, backoff: { initial: 1s, max: 1s } }
""")
    assert project.up()
    assert [d["status"] for d in project.send({"messageId": "first"})] == [200]

    def hosts():
        """The pids of the plugin hosts: children of the runtime."""
        pids = []
        for name in os.listdir("/proc"):
            try:
                with open(f"/proc/{name}/stat") as file:
                    parent = int(file.read().rsplit(")", 1)[1].split()[1])
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    command = file.read().split(b"\0")
            except (OSError, ValueError, IndexError):
                continue
            if parent == project.up_process.pid and b"plugin-host" in command:
                pids.append(int(name))
        return pids

    acknowledged = {"first"}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for round_number in range(4):
            sent = {pool.submit(project.send, {"messageId": f"r{round_number}-{i}"}): f"r{round_number}-{i}" for i in range(40)}
            for pid in random.sample(hosts(), 1):
                os.kill(pid, signal.SIGKILL)
            for future, message in sent.items():
                deliveries = future.result()
                if deliveries and deliveries[0]["status"] == 200:
                    acknowledged.add(message)

    assert project.up_process.poll() is None, "the runtime goes on"
    eventually("every run ended", lambda: all(r["status"] in ("succeeded", "failed") for r in project.json("runs", "--limit", "500")))
    ids = [e["emit_id"] for e in project.json("events", "--limit", "500")]
    assert len(ids) == len(set(ids)), "an event is there twice"
    assert acknowledged <= set(ids), f"acknowledged and lost: {acknowledged - set(ids)}"
    runs = project.json("runs", "--limit", "500")
    assert len(runs) == len(ids), "each event ran once"
    assert all(r["status"] == "succeeded" for r in runs), [r for r in runs if r["status"] != "succeeded"][:3]
    assert len(acknowledged) > 100, len(acknowledged)
    project.stop()
    print(f"plugin host: good ({len(acknowledged)} acknowledged, {len(ids)} stored)")
finally:
    project.close()
