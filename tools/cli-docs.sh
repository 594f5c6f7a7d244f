#!/usr/bin/env bash
# Writes docs/cli.md from what the binary's --help says: tools/cli-docs.sh [RUNNEL]
set -euo pipefail
cd "$(dirname "$0")/.."
runnel=${1:-build/release/runnel}
{
    cat <<'HEAD'
# The command line

What `runnel --help` and `runnel COMMAND --help` print; `tools/cli-docs.sh` writes this file, and a test compares it.

- On a terminal: colours (not with `NO_COLOR` or `TERM=dumb`), tables as wide as the terminal, local times. In a pipe: tab-separated lines without a
  head, times in UTC. `--json` is for scripts; lists are arrays, `-f --json` prints one object a line.
- Results go to stdout; what is said about them (notes, prompts, errors, the runtime's log) to stderr.
- Exit codes: 0 good, 1 the work failed (a failed run, an error in the files, something missing), 2 the call was wrong.
- A command talks to the runtime of its project. Where none is up it opens the project's store itself for as long as it takes; `events -f`,
  `logs -f`, `replay`, `cancel`, `resume`, `down`, `schedule`, `fire` and `console` need a runtime.
- `source <(runnel completion bash)` completes commands, options and workflows.

| variable | |
| --- | --- |
| `RUNNEL_DATA` | the data folder, as `--data` |
| `RUNNEL_SEAL_KEY` | the key that seals accounts (64 hexadecimal digits, or base64 of 32 bytes), instead of `.runnel/keys/seal.key` |
| `RUNNEL_SANDBOX_URL` | where `runnel sandbox send` and the others find the sandbox |
| `NO_COLOR`, `TERM`, `COLUMNS`, `TZ` | as everywhere |

HEAD
    printf '<!-- help --help -->\n```text\n'
    "$runnel" --help
    printf '```\n'
    for name in $("$runnel" --help | sed -n 's/^  \([a-z]\{2,\}\)  *[^ ].*/\1/p' | grep -vx runnel); do
        printf '\n## runnel %s\n\n<!-- help %s --help -->\n```text\n' "$name" "$name"
        "$runnel" "$name" --help
        printf '```\n'
    done
} >docs/cli.md.draft
mv docs/cli.md.draft docs/cli.md
