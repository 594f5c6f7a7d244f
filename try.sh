#!/usr/bin/env bash
# Installs what is missing, builds, and shows the main job: a signed Segment event becomes a Discord message, a row in a sheet and a record
# in Airtable, all against the sandbox on this machine. The project that it makes stays in ./try-project.
set -euo pipefail
cd "$(dirname "$0")"
tools/setup.sh
tools/build.sh release
runnel=$PWD/build/release/runnel
project=$PWD/try-project
[ -f "$project/runnel.yaml" ] || "$runnel" init "$project" >/dev/null
cd "$project"
log=$(mktemp)
ready=$(mktemp)
echo "==> runnel up --sandbox   (project: $project)"
"$runnel" up --sandbox --listen 127.0.0.1:0 --admin 127.0.0.1:0 --sandbox-listen 127.0.0.1:0 >"$ready" 2>"$log" &
pid=$!
trap 'kill -TERM $pid 2>/dev/null; wait $pid 2>/dev/null; rm -f "$log" "$ready"' EXIT
for _ in $(seq 300); do
    grep -q '^ready' "$ready" && break
    kill -0 $pid 2>/dev/null || { cat "$log"; exit 1; }
    sleep 0.1
done
cat "$ready"
export RUNNEL_SANDBOX_URL
RUNNEL_SANDBOX_URL=$(sed 's/.*sandbox=//' "$ready")
echo "==> runnel sandbox send   (the sandbox's Segment signs the event and delivers it)"
"$runnel" sandbox send
echo "==> runnel inspect --wait"
"$runnel" inspect --wait
echo "==> runnel sandbox received"
"$runnel" sandbox received
echo
echo "It works. To go on: cd try-project && ../build/release/runnel up --sandbox"
