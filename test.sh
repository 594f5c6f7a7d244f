#!/usr/bin/env bash
# Installs what is missing, builds three times (address+undefined, thread, release) and runs all tests.
set -euo pipefail
cd "$(dirname "$0")"
tools/setup.sh
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1
tools/build.sh asan
tools/build.sh tsan
tools/build.sh release
status=0
echo "==> tests under address and undefined"
ctest --test-dir build/asan --output-on-failure -j2 || status=1
echo "==> tests under thread"
ctest --test-dir build/tsan --output-on-failure -j2 -LE fuzz || status=1
echo "==> all tests of the release build"
ctest --test-dir build/release --output-on-failure -j2 -LE fuzz || status=1
exit $status
