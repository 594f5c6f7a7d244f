"""Installs the vendors' clients into BUILD/vendors (once for each lock file) and runs them against two sandboxes."""
import hashlib
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
RUNNEL, INTO = os.environ["RUNNEL"], os.environ["VENDORS_DIR"]
SKIPPED = 77


def install(npm):
    with open(f"{HERE}/package-lock.json", "rb") as lock:
        wanted = hashlib.sha256(lock.read()).hexdigest()
    mark = f"{INTO}/installed"
    if os.path.exists(mark) and open(mark).read() == wanted:
        return True
    print("installing the vendors' clients (npm ci) …", flush=True)
    shutil.rmtree(INTO, ignore_errors=True)
    os.makedirs(INTO)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(f"{HERE}/{name}", INTO)
    done = subprocess.run([npm, "ci", "--ignore-scripts"], cwd=INTO, timeout=400)
    if done.returncode == 0:
        with open(mark, "w") as out:
            out.write(wanted)
    return done.returncode == 0


def sandbox(limits):
    process = subprocess.Popen([RUNNEL, "sandbox", "--listen", "127.0.0.1:0", "--limits", limits], stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().split("url=")[1].strip()


npm, node = shutil.which("npm"), shutil.which("node")
if not npm or not node:
    print("skipped: npm is not here (tools/setup.sh installs it)")
    sys.exit(SKIPPED)
if not install(npm):
    print("skipped: npm cannot install the vendors' clients here")
    sys.exit(SKIPPED)
shutil.copy(f"{HERE}/clients.test.mjs", INTO)
free, limited = sandbox("off"), sandbox("real")
try:
    env = {**os.environ, "SANDBOX_URL": free[1], "LIMITED_URL": limited[1]}
    sys.exit(subprocess.run([node, "--test", "clients.test.mjs"], cwd=INTO, env=env, timeout=500).returncode)
finally:
    for process, _ in (free, limited):
        process.terminate()
        process.wait(60)
