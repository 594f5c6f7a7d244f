#!/usr/bin/env python3
"""Writes docs/components-shipped.md from what `runnel components` says: `tools/components_doc.py RUNNEL > docs/components-shipped.md`.

A component's own part of the page, which no table can say, stands in NOTES below."""
import json
import subprocess
import sys
import tempfile

HEAD = """# The shipped components

Written by `tools/components_doc.py` from the components themselves; a test compares. Keys and props are those of Pipedream's components of
the same name; where runnel adds a prop or does better, it is said below the table. `runnel components show KEY` prints the same, and
`runnel options KEY PROP` the live options of a prop marked *choose*. Each can be tried without an account: [sandbox.md](sandbox.md).
"""

NOTES = {
    "segment-webhook-destination": """Two of Segment's APIs can register the webhook. The one is chosen by the source's id, `workspaces/…` being the Config API's, unless `api` says it.

- **Config API**: one destination "webhooks" a source, with five hooks at most and one secret. Whoever comes second adds its hook and signs with the
  secret that is there; whoever leaves takes its own hook out, and the last one the destination. Prop `workspace` is needed where `source` is a bare slug.
- **Public API**: a destination *Webhooks (Actions)* and a subscription on it. If the second is refused (it is an alpha feature, five a minute; the
  API's `msBeforeNext` is waited for), the first is deleted. The destination's name carries a mark of this source, so that what a crash left behind is replaced.

A request is good if `x-signature` is the HMAC-SHA1 of its body with the destination's secret, or of the first element's bytes where the body is a list (Segment
signs batches so; the other elements are not covered, which is why `batching` is off). A good one is answered with 200 and the same header once its events are on disk, any
other with 401, and nothing is emitted. Each event is emitted once by its `messageId`; without one, by the signature, in a batch by a hash of the element.""",
    "segment-track": """The six actions check what Segment would drop in silence, and send the step's idempotency key as `messageId`: Segment drops the repetition of an attempt whose answer was lost.""",
    "discord_webhook-send-message": """`allowedMentions` is runnel's: text from events mentions nobody unless you choose it. The message is waited for (`wait=true`), as Discord says nothing of a message that it did not
save. A 429 is waited for as Discord asks. A webhook that Discord calls unknown (404), or whose token it refuses (401), is not called again while the plugin runs: Discord bans addresses that go on.
Discord offers no idempotency for webhooks: after a lost answer the message may be there twice, unless the step says `on_unknown: fail`.""",
    "discord_webhook-send-message-with-file": """The file is sent as `files[0]`, at most 10 MiB of it; `filePath` is a file of the run ([files.md](files.md)). What is said of `discord_webhook-send-message` holds here, too.""",
    "helper_functions-download-file-to-tmp": """`url` takes a file that was sent to an HTTP trigger, too (`{{steps.trigger.event.body.NAME}}`), and `filename` may be left out: both are runnel's. It returns `[filename, path]` as Pipedream's does; the path is
in the run's folder ([files.md](files.md)), not in `/tmp`. A download has at most 32 MiB.""",
    "helper_functions-csv-file-to-objects": """Commas, double quotes, any line end, a byte order mark; what is not UTF-8 is refused. A file has at most 32 MiB, what is returned 16 MiB.""",
    "google_sheets-add-multiple-rows": """`valueInputOption` and `writeOnce` are runnel's. Values are stored as they are (`RAW`): with `USER_ENTERED` a text from an event that begins with `=` becomes a formula. With `writeOnce` the rows and a mark go in one
atomic request, so that an attempt whose answer was lost is not added again; it says `updatedRows`, `updatedColumns` and `updatedCells`, not where they are. If Google refuses the mark, the rows are appended without it and the
log says so. When a worksheet is chosen, its first row is shown (`headersDisplay`). A cell that is a list or an object is written as JSON text; so is a whole number of more than 15 digits, which a spreadsheet would round.""",
    "airtable_oauth-create-multiple-records": """`mergeOn` is runnel's. Ten records a request, 210 ms between two (Airtable takes five a second and base, and refuses everything for 30 s at the sixth; that is waited for once). What a job of several requests
has done when it fails is in the export `created` and in the error. Creating is not repeatable: once something was created the step fails for good, unless `mergeOn` names up to three columns: then each request is an upsert.""",
    "swapi-get-film": "The id is not the number of the episode: 1 is *A New Hope*.",
    "http-new-requests": "The answer goes out after the event is on disk.",
    "http-webhook": "The answer goes out after the event is on disk.",
    "http-custom-request": "A status of 400 or more fails the step, with the answer's beginning in the error. What may be requested: [egress.md](egress.md).",
    "http-get-request": "Either `url` and the plain props beside it, which are easier to write by hand, or `httpRequest` as a whole.",
    "http-post-request": "As `http-get-request`; a `data` that is no text is sent as JSON.",
}


def ask(runnel, folder, *args):
    done = subprocess.run([runnel, *args, "--json", "--project", folder], capture_output=True, text=True, check=True, timeout=120)
    return json.loads(done.stdout)


def cell(text):
    return str(text).replace("\n", " ").replace("|", "\\|")


def row(prop):
    marks = []
    if prop["type"] == "app":
        marks.append(f"account of `{prop['app']}`")
    if prop.get("remoteOptions"):
        marks.append("*choose*")
    if "options" in prop:
        marks.append("one of " + ", ".join(f"`{o['value'] if isinstance(o, dict) else o}`" for o in prop["options"]))
    if "default" in prop:
        marks.append(f"default `{json.dumps(prop['default'], ensure_ascii=False)}`")
    if prop.get("secret"):
        marks.append("secret")
    text = prop.get("description") or prop.get("content") or ""
    need = "" if prop["type"] == "alert" or prop["type"].startswith("$.") else "no" if prop.get("optional") else "yes"
    return f"| `{prop['name']}` | {prop['type']} | {need} | {cell(text)}{' ' if text and marks else ''}{cell('; '.join(marks))} |"


def page(runnel):
    out = [HEAD]
    with tempfile.TemporaryDirectory() as parent:
        folder = f"{parent}/project"
        subprocess.run([runnel, "init", folder], capture_output=True, check=True, timeout=120)
        components = ask(runnel, folder, "components")
    app = None
    for component in sorted(components, key=lambda c: (c["key"].split("-")[0], c["type"] != "source", c["key"])):
        slug = component["key"].split("-")[0]
        if slug != app:
            app = slug
            out.append(f"## {slug}\n")
        out.append(f"### {component['key']}\n\n{component['type'].capitalize()}, {component['version']}. {component['description']}\n")
        out.append("| prop | type | needed | |\n| --- | --- | --- | --- |\n" + "\n".join(row(p) for p in component["props"]) + "\n")
        if component["key"] in NOTES:
            out.append(NOTES[component["key"]] + "\n")
    unknown = set(NOTES) - {c["key"] for c in components}
    assert not unknown, f"NOTES has components that are not there: {unknown}"
    return "\n".join(out)


if __name__ == "__main__":
    sys.stdout.write(page(sys.argv[1]))
