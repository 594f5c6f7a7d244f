#!/usr/bin/env bash
# template.sh BUILD SANITIZE CC: a project from the template builds and passes its test, and its plugin is one that the runtime takes.
set -euo pipefail
build=$1 sanitize=$2 cc=$3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$build/runnel" new component my_app --into "$dir"
flags="-O1 -g -Wall -Wextra -Werror"
ldflags=
if [ -n "$sanitize" ]; then
  flags="$flags -fsanitize=$sanitize"
  ldflags="-fsanitize=$sanitize"
fi
make -C "$dir/my_app" test CC="$cc" CFLAGS="$flags" LDFLAGS="$ldflags"
"$build/runnel" plugin-host --describe "$dir/my_app/my_app.so" | grep -q '"key":"my_app-create-note"'
grep -rq '@NAME@\|@TITLE@\|@SDK@' "$dir/my_app" && { echo "a placeholder is left" >&2; exit 1; }
if "$build/runnel" new component my_app --into "$dir" 2>"$dir/second"; then
  echo "a second project over the first" >&2
  exit 1
fi
grep -q "there is one already" "$dir/second"
