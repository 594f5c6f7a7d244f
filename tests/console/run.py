"""Runs a script of this folder in real Chromium, against the real binary: run.py SCRIPT.mjs. Installs what is missing of the browser side by
itself (playwright-core from the lock file into $RUNNEL_CACHE; Debian's chromium)."""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "integration"))
from harness import PATIENCE_S, Project  # noqa: E402

if not shutil.which("chromium"):
    sudo = [] if os.getuid() == 0 else ["sudo"]
    subprocess.run([*sudo, "apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], check=True, stdout=subprocess.DEVNULL)

lock = hashlib.sha256((here / "package-lock.json").read_bytes()).hexdigest()[:16]
modules = pathlib.Path(os.environ["RUNNEL_CACHE"]) / f"console-tests-{lock}"
if not (modules / "node_modules").is_dir():
    work = pathlib.Path(tempfile.mkdtemp(prefix="console-tests.", dir=modules.parent))
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(here / name, work)
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=work, check=True)
    try:
        work.rename(modules)
    except OSError:  # another test was first
        shutil.rmtree(work)

WORKFLOW = """name: Greet
triggers:
  - namespace: hook
    http: {}
steps:
  - namespace: notify
    uses: discord_webhook-send-message
    retry: { attempts: 1 }
    props:
      discordWebhook: { account: team-discord }
      message: "hello {{steps.trigger.event.body.user.name.toUpperCase()}}"
  - namespace: log_row
    uses: google_sheets-add-multiple-rows
    props:
      googleSheets: { account: google }
      sheetId: sandbox-sheet
      worksheetId: 0
      rows: "{{[[steps.trigger.event.body.name, steps.notify.$return_value.id]]}}"
"""
BLOCKS = """name: Blocks
triggers:
  - namespace: hook
    http: {}
steps:
  - namespace: kind
    switch: "{{steps.trigger.event.body.type}}"
    cases:
      - is: order
        steps:
          - namespace: each_item
            for_each: "{{steps.trigger.event.body.items}}"
            steps:
              - namespace: post_item
                uses: discord_webhook-send-message
                props: { discordWebhook: { account: team-discord }, message: item }
      - is: note
        steps:
          - namespace: tell
            uses: discord_webhook-send-message
            props: { discordWebhook: { account: team-discord }, message: note }
    default:
      - namespace: wait
        delay: 1s
"""

ASK = """name: Ask
triggers: [{ namespace: hand, manual: true }]
steps:
  - { namespace: question, suspend: { timeout: 1h } }
  - { namespace: stop, end: "{{steps.question.$resume_data.answer}}" }
"""

project = Project()
profile = tempfile.mkdtemp(prefix="runnel-chromium-")
try:
    pathlib.Path(project.dir, "workflows/greet.yaml").write_text(WORKFLOW)
    pathlib.Path(project.dir, "workflows/blocks.yaml").write_text(BLOCKS)
    pathlib.Path(project.dir, "workflows/ask.yaml").write_text(ASK)
    ready = project.up()
    assert ready, "up"
    link = project.json("console")["url"]
    token = pathlib.Path(project.dir, ".runnel/admin-token").read_text().strip()
    endpoints = {e["workflow"]: e["url"] for e in project.json("endpoints")}
    settings = {"admin": ready["admin"], "link": link, "token": token, "endpoint": endpoints["greet"], "endpoints": endpoints, "dir": project.dir, "profile": profile, "sandbox": project.sandbox}
    env = dict(os.environ, CONSOLE=json.dumps(settings), PLAYWRIGHT=str(modules / "node_modules/playwright-core/index.mjs"))
    done = subprocess.run(["node", str(here / sys.argv[1])], env=env, timeout=PATIENCE_S * 8)
    assert done.returncode == 0, f"{sys.argv[1]} failed"
    project.stop()
finally:
    project.close()
    shutil.rmtree(profile, ignore_errors=True)
