#!/usr/bin/env bash
# symbols.sh NM DIR: every plugin in DIR defines exactly one dynamic symbol, the data `runnel_plugin`.
set -euo pipefail
count=0
for plugin in "$2"/*.so; do
  [ -e "$plugin" ] || break
  found=$("$1" -D --defined-only "$plugin" | awk '$2 != "A" { print $2, $3 }')
  case "$found" in
  "D runnel_plugin" | "R runnel_plugin" | "B runnel_plugin") ;;
  *)
    echo "$plugin exports: ${found:-nothing}; expected runnel_plugin alone" >&2
    exit 1
    ;;
  esac
  count=$((count + 1))
done
[ "$count" -gt 0 ] || { echo "no plugin in $2" >&2; exit 1; }
echo "$count plugins, one symbol each"
