"""kill -9 of a plugin host at random moments, under load: accepted events are there once and their runs end; everything else goes on."""
import concurrent.futures
import json
import os
import random
import signal
import threading

from harness import TrialProject, eventually, post

ROUNDS, EVENTS, SENDERS = 6, 40, 6

project = TrialProject()
try:
    retry = "    retry: { attempts: 10, backoff: { initial: 10ms, max: 100ms } }\n"
    project.workflow("load", [("echo", retry, ""), ("echo", retry, ""), ("echo", retry, "")])
    assert project.up()
    url = project.url("load")

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

    sent = threading.Semaphore(0)

    def send(name):
        """True: acknowledged. A sender that hears 503 tries again, as senders do; that must not make a second event."""
        status = 0
        for _ in range(5):
            status, body = post(url, json.dumps({"do": "emit", "id": name}))
            sent.release()
            assert status in (200, 503), (status, body)
            if status == 200:
                return True
        return False

    acknowledged, kills = set(), 0
    with concurrent.futures.ThreadPoolExecutor(SENDERS) as pool:
        for number in range(ROUNDS):
            names = [f"r{number}-{i}" for i in range(EVENTS)]
            answers = [pool.submit(send, name) for name in names]
            for _ in range(random.randrange(EVENTS // 2)):
                sent.acquire()
            for pid in hosts()[:1]:
                os.kill(pid, signal.SIGKILL)
                kills += 1
            acknowledged |= {name for name, answer in zip(names, answers) if answer.result()}

    assert project.up_process.poll() is None, "the runtime goes on"
    eventually("every run ended", lambda: all(r["status"] in ("succeeded", "failed") for r in project.every("runs")))
    ids = [e["emit_id"] for e in project.every("events")]
    assert len(ids) == len(set(ids)), "an event is there twice"
    assert acknowledged <= set(ids), f"acknowledged and lost: {acknowledged - set(ids)}"
    runs = project.every("runs")
    assert len(runs) == len(ids), "each event ran once"
    assert all(r["status"] == "succeeded" for r in runs), [r for r in runs if r["status"] != "succeeded"][:3]
    assert kills and len(acknowledged) > ROUNDS * EVENTS / 2, (kills, len(acknowledged))
    project.stop()
    print(f"plugin host: good ({kills} kills, {len(acknowledged)} acknowledged, {len(ids)} stored)")
finally:
    project.close()
