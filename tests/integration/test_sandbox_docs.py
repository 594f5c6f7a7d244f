"""docs/components-shipped.md says what the components say; the commands of docs/sandbox.md work as they stand there."""
import os
import re
import shlex
import subprocess
import sys

from harness import RUNNEL, Project, eventually

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
sys.path.insert(0, f"{ROOT}/tools")
import components_doc  # noqa: E402

with open(f"{ROOT}/docs/components-shipped.md", encoding="utf-8") as page:
    assert page.read() == components_doc.page(RUNNEL), "write it anew: tools/components_doc.py RUNNEL > docs/components-shipped.md"

with open(f"{ROOT}/docs/sandbox.md", encoding="utf-8") as page:
    commands = [line for block in re.findall(r"^```sh\n(.*?)^```", page.read(), re.M | re.S) for line in block.splitlines()]
assert len(commands) > 10

project = Project()
try:
    project.up()
    eventually("the source is active", lambda: project.json("sources")[0]["state"] == "active")
    env = {**os.environ, "RUNNEL_SANDBOX_URL": project.sandbox}
    for command in commands:
        words = shlex.split(command, comments=True)
        assert words[:2] == ["runnel", "sandbox"], command
        done = subprocess.run([RUNNEL, *words[1:]], env=env, cwd=project.dir, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, (command, done.returncode, done.stdout, done.stderr)
    project.stop()
    print("the sandbox's docs: good")
finally:
    project.close()
