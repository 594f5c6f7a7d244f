"""Reads every #include against the table of rooms: a room includes only rooms before it, and a third party's header stays in its room."""
import pathlib
import re
import sys

ROOMS = ["base", "json", "store", "crypto", "net", "ipc", "code", "plugin", "expr", "flow", "engine", "api", "sandbox", "cli"]
OWNERS = {"cjson/cJSON.h": {"json"}, "cJSON.h": {"json"}, "lmdb.h": {"store"}, "civetweb.h": {"net"}, "curl/curl.h": {"net"},
          "libfyaml.h": {"flow"}, "glib.h": {"flow"}, "dlfcn.h": {"plugin", "net"}}
ENGINE_ONLY_BELOW = {"sandbox": {"base", "json", "crypto", "net", "sandbox"}}
root = pathlib.Path(__file__).resolve().parent.parent
wrong = []
for path in sorted((root / "runtime").glob("*/**/*.[ch]")):
    room = path.relative_to(root / "runtime").parts[0]
    allowed = ENGINE_ONLY_BELOW.get(room, set(ROOMS[:ROOMS.index(room) + 1]))
    for name in re.findall(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', path.read_text(), re.M):
        first = name.split("/")[0]
        if first in ROOMS and first not in allowed:
            wrong.append(f"{path.relative_to(root)}: {room} may not include {name}")
        if name in OWNERS and room not in OWNERS[name]:
            wrong.append(f"{path.relative_to(root)}: {name} is another room's")
        if name.startswith("openssl/") and room not in ("crypto", "net"):
            wrong.append(f"{path.relative_to(root)}: {name} is crypto's")
for path in sorted((root / "components").glob("*/*.[ch]")):
    for name in re.findall(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', path.read_text(), re.M):
        if name.startswith("runnel/") and name not in ("runnel/component.h", "runnel/errors.h"):
            wrong.append(f"{path.relative_to(root)}: a component includes only runnel/component.h")
        if name.split("/")[0] in ROOMS:
            wrong.append(f"{path.relative_to(root)}: a component may not include {name}")
print("\n".join(wrong) or "the rooms are in order")
sys.exit(bool(wrong))
