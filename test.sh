#!/usr/bin/env bash
# Installs what is missing, builds three times (address+undefined, thread, release) and runs all tests.
set -euo pipefail
cd "$(dirname "$0")"
tools/setup.sh
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1
echo "==> three builds and their tests: ten to thirty minutes the first time, on two cores"
tools/build.sh asan
tools/build.sh tsan
tools/build.sh release
failed=()
run() { # what, folder, ctest's options…
    echo "==> tests of $1"
    ctest --test-dir "$2" --output-on-failure --no-tests=error -j2 "${@:3}" || failed+=("$1")
}
run "the build with address and undefined sanitizers" build/asan
run "the build with the thread sanitizer" build/tsan -LE fuzz
run "the release build" build/release -LE "fuzz|rivals"
if [ "${#failed[@]}" -gt 0 ]; then
    printf '==> FAILED: %s\n' "${failed[@]}"
    exit 1
fi
echo "==> all tests passed"
