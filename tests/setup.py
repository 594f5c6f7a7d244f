"""tools/setup.sh installs what CMake looks for: each library of cmake/Dependencies.cmake has its Debian package there."""
import os
import re

root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
packages = {"OpenSSL": "libssl-dev", "CURL": "libcurl4-openssl-dev", "PkgConfig": "pkg-config", "Threads": "build-essential",
            "libcjson": "libcjson-dev", "libfyaml": "libfyaml-dev", "glib-2.0": "libglib2.0-dev", "lmdb": "liblmdb-dev",
            "civetweb": "libcivetweb-dev", "cmocka": "libcmocka-dev"}
with open(f"{root}/cmake/Dependencies.cmake") as file:
    text = file.read()
with open(f"{root}/tools/setup.sh") as file:
    installed = set(re.search(r"packages=\(([^)]*)\)", file.read()).group(1).split())
wanted = re.findall(r"find_package\((\w+)", text) + re.findall(r"pkg_check_modules\(\w+ REQUIRED IMPORTED_TARGET ([\w.-]+)\)", text)
wanted += re.findall(r"find_library\(\w+ (?:NAMES )?([\w-]+)", text)
assert len(wanted) > 8, wanted
for name in wanted:
    assert name in packages, f"{name}: which Debian package has it? Say it here and in tools/setup.sh"
    assert packages[name] in installed, f"tools/setup.sh does not install {packages[name]}, which {name} comes from"
for name in ("cmake", "ninja-build", "wabt", "python3", "ca-certificates", "tzdata"):
    assert name in installed, name
print("setup: good")
