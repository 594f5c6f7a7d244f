#!/usr/bin/env bash
# Installs what is missing, builds, and shows the main job: a signed Segment event becomes a Discord message, a row in a sheet and a record
# in Airtable, all against the sandbox on this machine. The project that it makes stays in ./try-project.
set -euo pipefail
cd "$(dirname "$0")"
tools/setup.sh
tools/build.sh release try # the runtime and the shipped plugins, without the tests
runnel=$PWD/build/release/runnel
project=$PWD/try-project
[ -f "$project/runnel.yaml" ] || "$runnel" init "$project" >/dev/null
cd "$project"
log=$(mktemp)
ready=$(mktemp)
echo
echo "==> runnel up --sandbox   (project: $project)"
"$runnel" down >/dev/null 2>&1 || true # left over from a try that was cut off
"$runnel" up --sandbox --listen 127.0.0.1:0 --admin 127.0.0.1:0 --sandbox-listen 127.0.0.1:0 >"$ready" 2>"$log" &
pid=$!
trap 'kill -TERM $pid 2>/dev/null; wait $pid 2>/dev/null; rm -f "$log" "$ready"' EXIT
for _ in $(seq 300); do
    grep -q '^ready' "$ready" && break
    kill -0 $pid 2>/dev/null || { cat "$log"; exit 1; }
    sleep 0.1
done
grep '^ready' "$ready" || { echo "the runtime is not ready after 30 s; its log:"; cat "$log"; exit 1; }
show() { echo; echo "==> runnel $*"; "$runnel" "$@"; }
show sandbox send # the sandbox's Segment signs the event and delivers it
show inspect --wait
show sandbox received --last 3
echo
echo "It works: one signed event, accepted and stored, became a message, a row and a record."
echo "Go on with README.md, \"The first workflow in five minutes\". The binary is build/release/runnel; the project is try-project/:"
echo "  cd try-project && ../build/release/runnel up --sandbox"
