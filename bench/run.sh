#!/usr/bin/env bash
# One run on one machine: acceptance beside the floors it stands on. About two minutes. SECONDS_EACH=N changes the length of each load (5).
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh
command -v wrk >/dev/null || { [ "$(id -u)" = 0 ] && apt-get install -y -qq wrk >/dev/null || sudo apt-get install -y -qq wrk >/dev/null; }
tools/build.sh release >/dev/null
cmake --build --preset release --target bench_floor >/dev/null
exec python3 bench/run.py
