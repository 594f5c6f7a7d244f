#!/usr/bin/env bash
# Installs what is missing (Debian 12 packages, as root or with sudo) and says what it does. Quick when nothing is missing.
set -euo pipefail
packages=(build-essential cmake ninja-build pkg-config ca-certificates libcivetweb-dev libcurl4-openssl-dev libssl-dev libcjson-dev
          liblmdb-dev libfyaml-dev libglib2.0-dev tzdata wabt libcmocka-dev python3)
command -v dpkg-query >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1 || {
    echo "This is no Debian: install what corresponds to these packages yourself, then tools/build.sh release:"
    echo "  ${packages[*]} nodejs npm"
    exit 1
} >&2
missing=()
for p in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing+=("$p")
done
# npm fetches QuickJS (pinned by hash); a Node.js of another origin serves as well as Debian's.
command -v npm >/dev/null 2>&1 || missing+=(nodejs npm)
[ "${#missing[@]}" -gt 0 ] || exit 0

sudo=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || {
        echo "These packages are missing, and this user is neither root nor has sudo. As root:"
        echo "  apt-get install --no-install-recommends ${missing[*]}"
        exit 1
    } >&2
    sudo=(sudo)
fi
echo "==> installing ${#missing[@]} packages (a minute or two): ${missing[*]}"
apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# One line of progress for each twentieth package; everything if it fails.
"${apt[@]}" update >"$log" 2>&1 || { cat "$log"; exit 1; }
"${apt[@]}" install -y --no-install-recommends "${missing[@]}" 2>&1 </dev/null | tee "$log" |
    awk '/^(Get:|Setting up )/ { if (++n % 20 == 0) { print "    " $0; fflush() } }' || { cat "$log"; exit 1; }
