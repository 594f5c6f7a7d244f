"""`cmake --install` gives a usable installation: the binary finds the shipped plugins, authors build against it with CMake and with
pkg-config, and a workflow runs with what they built."""
import http.server
import json
import os
import shutil
import subprocess
import tempfile
import threading
import urllib.request

RUNNEL = os.environ["RUNNEL"]
CMAKE = os.environ.get("CMAKE", "cmake")
BUILD = os.path.dirname(RUNNEL)
work = tempfile.mkdtemp(prefix="runnel-install-")
prefix = f"{work}/moved/here"
# nothing of the build folder or of the caller's settings helps
env = {"PATH": f"{prefix}/bin:/usr/local/bin:/usr/bin:/bin", "HOME": work, "PKG_CONFIG_PATH": f"{prefix}/lib/pkgconfig"}


def run(*args, cwd=work, code=0, **more):
    done = subprocess.run(args, cwd=cwd, env=env, capture_output=True, text=True, timeout=300, **more)
    assert done.returncode == code, f"{args}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


received = []
up = None


class Vendor(http.server.BaseHTTPRequestHandler):
    """What the template's action talks to."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        received.append((self.path, self.headers["authorization"], body))
        answer = b'{"id":"n1"}'
        self.send_response(201)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


try:
    # installed, and then moved: nothing in it names the prefix
    subprocess.run([CMAKE, "--install", BUILD, "--prefix", f"{work}/first"], check=True, capture_output=True, timeout=300)
    os.makedirs(f"{work}/moved")
    os.rename(f"{work}/first", prefix)
    for path in ("bin/runnel", "include/runnel/component.h", "include/runnel/testing.h", "lib/pkgconfig/runnel.pc", "share/runnel/plugin.map",
                 "lib/cmake/runnel/runnelConfig.cmake", "share/doc/runnel/README.md", "share/bash-completion/completions/runnel"):
        assert os.path.exists(f"{prefix}/{path}"), path

    # the shipped plugins are found without an option
    run("runnel", "init", "project")
    project = f"{work}/project"
    keys = [c["key"] for c in json.loads(run("runnel", "components", "--json", cwd=project))]
    assert {"segment-webhook-destination", "discord_webhook-send-message", "http-get-request"} <= set(keys), keys
    assert "good" in run("runnel", "check", cwd=project)

    # an author with CMake: find_package(runnel)
    run("runnel", "new", "component", "notes")
    with open(f"{work}/notes/CMakeLists.txt") as file:
        text = file.read()
    with open(f"{work}/notes/CMakeLists.txt", "w") as file:
        file.write(text.replace("find_package(runnel REQUIRED)", "find_package(runnel 0.1 REQUIRED)"))
    run(CMAKE, "-S", "notes", "-B", "notes/build", f"-DCMAKE_PREFIX_PATH={prefix}")
    run(CMAKE, "--build", "notes/build")
    run(os.path.join(os.path.dirname(CMAKE), "ctest"), "--test-dir", "notes/build", "--output-on-failure")

    # an author with pkg-config alone
    run("runnel", "new", "component", "memos")
    flags = run("pkg-config", "--cflags", "runnel").split()
    plugin_map = run("pkg-config", "--variable=plugin_map", "runnel").strip()
    assert flags[0].startswith(f"-I{work}") and os.path.exists(plugin_map), (flags, plugin_map)
    run("make", "test", "RUNNEL_SDK=", cwd=f"{work}/memos")

    # both are installed into the project, and a workflow runs with them: a note that comes in goes to the author's vendor
    for name, plugin in (("notes", "notes/build/notes.so"), ("memos", "memos/memos.so")):
        run("runnel", "components", "install", f"{work}/{plugin}", cwd=project)
        assert f"{name}-create-note" in run("runnel", "components", cwd=project)
    vendor = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
    threading.Thread(target=vendor.serve_forever, daemon=True).start()
    os.remove(f"{project}/workflows/segment-to-discord.yaml")
    with open(f"{project}/runnel.yaml", "w") as file:
        file.write(f"""accounts:
  mine: {{ app: memos, auth: {{ api_key: k-1 }} }}
egress: {{ allow: [127.0.0.0/8], rewrite: {{ "https://api.example.com": "http://127.0.0.1:{vendor.server_port}" }} }}
""")
    with open(f"{project}/workflows/copy.yaml", "w") as file:
        file.write("""name: Copy notes
triggers:
  - namespace: note
    uses: notes-new-note
steps:
  - namespace: memo
    uses: memos-create-note
    props: { account: { account: mine }, text: "{{steps.trigger.event.text}}" }
""")
    run("runnel", "check", cwd=project)
    up = subprocess.Popen([f"{prefix}/bin/runnel", "up", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"], cwd=project, env=env,
                          stdout=subprocess.PIPE, text=True)
    assert up.stdout.readline().startswith("ready "), "up"
    url = json.loads(run("runnel", "endpoints", "--json", cwd=project))[0]["url"]
    request = urllib.request.Request(url, b'{"id":"n1","text":"hello"}', {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 204
    shown = json.loads(run("runnel", "inspect", "--wait", "--json", cwd=project))
    assert shown["status"] == "succeeded", shown
    assert received == [("/notes", "Bearer k-1", {"text": "hello", "pinned": False})], received
    run("runnel", "down", cwd=project)
    assert up.wait(60) == 0
    print("installation: good")
finally:
    if up and up.poll() is None:
        up.kill()
    shutil.rmtree(work, ignore_errors=True)
