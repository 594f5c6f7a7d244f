#!/usr/bin/env bash
# Speed and memory beside the floors they stand on: installs what is missing, builds, measures. Seven minutes; bench/run.sh --help.
# Beside it: bench/code_steps.py (what a code step costs), bench/data_stores.py, bench/console.py, bench/node_red.py.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh >&2
tools/build.sh release >&2
exec python3 bench/run.py "$@"
