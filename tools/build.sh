#!/usr/bin/env bash
# build.sh PRESET: configures and builds one preset of CMakePresets.json, with progress.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}
echo "==> building ($preset); the first time QuickJS is compiled too (half a minute)"
cmake --preset "$preset" >"/tmp/runnel-cmake-$preset-$$.log" 2>&1 || { cat "/tmp/runnel-cmake-$preset-$$.log"; exit 1; }
rm -f "/tmp/runnel-cmake-$preset-$$.log"
NINJA_STATUS='[%f/%t] ' cmake --build --preset "$preset"
