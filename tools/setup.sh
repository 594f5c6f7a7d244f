#!/usr/bin/env bash
# Installs what is missing (Debian 12 packages, as root or with sudo) and says what it does. Quick when nothing is missing.
set -euo pipefail
packages=(build-essential cmake ninja-build pkg-config libcivetweb-dev libcurl4-openssl-dev libssl-dev libcjson-dev
          liblmdb-dev libfyaml-dev libglib2.0-dev tzdata wabt libcmocka-dev python3)
missing=()
for p in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing+=("$p")
done
# npm fetches QuickJS (pinned by hash); a Node.js of another origin serves as well as Debian's.
command -v npm >/dev/null 2>&1 || missing+=(nodejs npm)
if [ "${#missing[@]}" -gt 0 ]; then
    sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    echo "==> installing: ${missing[*]}"
    "${sudo[@]}" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
