#!/usr/bin/env bash
# build.sh PRESET [TARGET…]: configures and builds one preset of CMakePresets.json (or only those targets), with progress.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}
shift || true
targets=()
[ $# -eq 0 ] || targets=(--target "$@")
if ! compgen -G "build/cache/quickjs-*/libquickjs.a" >/dev/null; then
    echo "==> building ($preset): one to three minutes the first time, as QuickJS is fetched by npm and compiled too"
else
    echo "==> building ($preset)"
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cmake --preset "$preset" >"$log" 2>&1 || { cat "$log"; exit 1; }
NINJA_STATUS='[%f/%t] ' cmake --build --preset "$preset" "${targets[@]}"
