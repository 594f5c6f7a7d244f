"""Runs what a document shows, in a folder of its own, with the real binary and the sandbox.

A comment before a fenced block says what the block is:

  <!-- run -->             a script: run in the order of the document; it must exit with 0 (`<!-- run exit=1 -->`: with that)
  <!-- output -->          what the script before it printed: `…` stands for anything in a line, a line `…` for any lines
  <!-- file PATH -->       the block is written to PATH
  <!-- append PATH -->     the same, at the end of what is there
  <!-- part of PATH -->    each of its lines stands in that file, in this order
  <!-- up -->              a script whose last command is `runnel up …`: it goes on until the document's end or its `runnel down`
  <!-- help COMMAND -->    what `runnel COMMAND --help` prints
  <!-- not run: WHY -->    only shown

Every block of sh, yaml, json, c and text has such a comment: what is shown is checked, or says why not. Listeners take free ports, so that
documents run side by side: `up` gets the options for it, and the addresses 127.0.0.1:8080, :8081 and :9400 in outputs are these.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

RUNNEL = os.environ["RUNNEL"]
PATIENCE_S = 120
USUAL = {"ingest": "127.0.0.1:8080", "admin": "127.0.0.1:8081", "sandbox": "127.0.0.1:9400"}

SHIM = """#!/bin/bash
# `runnel` of the documents: up takes free ports
if [ "$1" = up ]; then
    shift
    extra=()
    case " $* " in *" --sandbox "*) extra=(--sandbox-listen 127.0.0.1:0) ;; esac
    exec "$REAL_RUNNEL" up "$@" --listen 127.0.0.1:0 --admin 127.0.0.1:0 "${extra[@]}"
fi
exec "$REAL_RUNNEL" "$@"
"""


def blocks(path):
    """(line, kind, argument, language, text) of each fenced block."""
    with open(path) as file:
        lines = file.read().split("\n")
    found, marker, i = [], None, 0
    while i < len(lines):
        comment = re.fullmatch(r"\s*<!-- (.*?) -->", lines[i])
        fence = re.fullmatch(r"(\s*)```(\w*)", lines[i])
        if comment:
            marker = comment.group(1)
        elif fence:
            indent, start, body = fence.group(1), i + 1, []
            i += 1
            while lines[i].strip() != "```":
                body.append(lines[i][len(indent):] if lines[i].startswith(indent) else lines[i])
                i += 1
            found.append((start, marker, fence.group(2), "\n".join(body) + "\n"))
            marker = None
        elif lines[i].strip():
            marker = None
        i += 1
    return found


class Reader:
    """What somebody does who reads the document from its beginning to its end."""

    def __init__(self):
        self.work = tempfile.mkdtemp(prefix="runnel-docs-")
        self.cwd, self.printed, self.up, self.addresses = self.work, "", None, {}
        os.makedirs(f"{self.work}/.bin")
        with open(f"{self.work}/.bin/runnel", "w") as file:
            file.write(SHIM)
        os.chmod(f"{self.work}/.bin/runnel", 0o755)
        self.env = {"PATH": f"{self.work}/.bin:/usr/local/bin:/usr/bin:/bin", "HOME": self.work, "REAL_RUNNEL": RUNNEL, "LANG": "C.UTF-8",
                    "TZ": "UTC"}

    def usual(self, text):
        for name, address in self.addresses.items():
            text = text.replace(address, USUAL[name])
        return text

    def real(self, text):
        for name, address in self.addresses.items():
            text = text.replace(USUAL[name], address)
        return text

    def run(self, text, code):
        end = f"{self.work}/.cwd"
        done = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", f"trap 'pwd >{end}' EXIT\n{self.real(text)}"], cwd=self.cwd, env=self.env,
                              capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
        with open(end) as file:
            self.cwd = file.read().strip()
        self.printed = self.usual(done.stdout + (done.stderr if code else ""))
        if self.up and "runnel down" in text:
            assert self.up.wait(PATIENCE_S) == 0
            self.up, self.addresses = None, {}

    def start(self, text):
        assert not self.up, "one runtime at a time"
        log = open(f"{self.work}/.up.log", "a")
        self.up = subprocess.Popen(["bash", "-e", "-c", re.sub(r"(?m)^(runnel up)", r"exec \1", text)], cwd=self.cwd, env=self.env,
                                   stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.up.stdout.readline()
        with open(f"{self.work}/.up.log") as log:
            assert line.startswith("ready "), f"not ready: {line}{log.read()}"
        self.addresses = {name: url.split("://")[1] for name, url in (part.split("=", 1) for part in line.split()[1:])}
        self.printed = self.usual(line)

    def close(self):
        if self.up and self.up.poll() is None:
            self.up.send_signal(signal.SIGTERM)
            try:
                self.up.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.up.kill()
        shutil.rmtree(self.work, ignore_errors=True)


def matches(shown, printed):
    pattern = ""
    for line in shown.rstrip("\n").split("\n"):
        pattern += "(?:.*\n)*?" if line.strip() == "…" else r"[^\n]*".join(re.escape(part.rstrip() if not more else part) for part, more in
                                                                           ((p, i + 1 < len(line.split("…"))) for i, p in enumerate(line.split("…")))) + r"[ \t]*\n"
    return re.fullmatch(pattern, printed if printed.endswith("\n") else printed + "\n")


def is_part(shown, path):
    with open(path) as file:
        rest = [line.strip() for line in file]
    for line in (l.strip() for l in shown.split("\n")):
        if not line or line == "…":
            continue
        if line not in rest:
            return line
        rest = rest[rest.index(line) + 1:]
    return None


def follow(reader, kind, text):
    word, _, rest = (kind or "").partition(" ")
    if word == "run":
        reader.run(text, int(rest.partition("exit=")[2] or 0))
    elif word == "output":
        assert matches(text, reader.printed), f"shown:\n{text}\nprinted:\n{reader.printed}"
    elif word in ("file", "append"):
        path = os.path.join(reader.cwd, rest)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w" if word == "file" else "a") as file:
            file.write(text)
    elif word == "part":
        missing = is_part(text, os.path.join(reader.cwd, rest.removeprefix("of ")))
        assert missing is None, f"not in the file: {missing}"
    elif word == "up":
        reader.start(text)
    elif word == "help":
        done = subprocess.run([RUNNEL, *rest.split()], env=reader.env, capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.stdout == text, "tools/cli-docs.sh writes docs/cli.md anew"
    else:
        assert kind and kind.startswith("not run: "), f"a block without a word that says what it is: {kind}"


def main(path):
    reader, count = Reader(), 0
    try:
        for line, kind, language, text in blocks(path):
            if language not in ("sh", "yaml", "json", "c", "text", ""):
                continue
            try:
                follow(reader, kind, text)
            except (AssertionError, subprocess.TimeoutExpired, OSError) as error:
                log = f"{reader.work}/.up.log"
                sys.exit(f"{path}:{line}: {kind}: {error}\n" + (open(log).read() if os.path.exists(log) else ""))
            count += not (kind or "").startswith("not run")
        assert count, f"{path}: nothing to run"
        print(f"{os.path.basename(path)}: {count} blocks are good")
    finally:
        reader.close()


main(sys.argv[1])
