"""workflows/send-and-emit with `up --sandbox`, as its first lines say."""
import json
import pathlib
import shutil
import subprocess
import tempfile
import urllib.request

from harness import PATIENCE_S, RUNNEL, eventually

SAMPLE = pathlib.Path(__file__).resolve().parents[2] / "workflows/send-and-emit"
work = tempfile.mkdtemp(prefix="runnel-test-")
folder, process = f"{work}/send-and-emit", None


def runnel(*args):
    done = subprocess.run([RUNNEL, *args], cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, (args, done)
    return json.loads(done.stdout) if "--json" in args else done.stdout


def received(vendor):
    return [r["received"] for r in runnel("sandbox", "received", "--vendor", vendor, "--json")]


try:
    shutil.copytree(SAMPLE, folder)
    assert "warning" not in runnel("check")
    process = subprocess.Popen([RUNNEL, "up", "--sandbox", "--sandbox-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
                               cwd=folder, stdout=subprocess.PIPE, stderr=open(f"{work}/up.log", "w"), text=True)
    assert process.stdout.readline().startswith("ready ")
    urls = {e["kind"]: e["url"] for e in runnel("endpoints", "--json")}
    order = {"id": 7, "customer": "ann@example.com", "total": "19.99"}
    request = urllib.request.Request(urls["http"], json.dumps(order).encode(), {"content-type": "application/json"})
    assert urllib.request.urlopen(request, timeout=PATIENCE_S).status in (200, 202)
    eventually("the chat and the customer hear of it", lambda: received("discord") and received("mail"))
    assert [m["content"] for m in received("discord")] == ["Order 7: 19.99"], received("discord")
    mail = received("mail")[0]
    assert mail["to"] == ["ann@example.com"] and mail["subject"] == "Your order 7 – thank you" and "<b>19.99</b>" in mail["html"], mail
    with urllib.request.urlopen(urls["sse"], timeout=PATIENCE_S) as stream:
        lines = []
        while not any(line.startswith(b"data: ") for line in lines):
            lines.append(stream.readline())
    assert b"event: orders\n" in lines and json.loads(lines[-1][6:]) == {"id": 7, "total": "19.99"}, lines

    runnel("run", "order", "--event", '{"body":{"total":"1"}}', "--no-wait")
    eventually("the owner hears of it", lambda: len(received("mail")) == 2)
    assert received("mail")[1]["to"] == ["owner@example.com"] and received("mail")[1]["text"].startswith("an order without an id"), received("mail")
finally:
    if process:
        process.terminate()
        process.wait(PATIENCE_S)
    shutil.rmtree(work, ignore_errors=True)
print("send-and-emit: good")
