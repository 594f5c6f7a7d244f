"""`runnel check`: one mistake, one message, at its place, with the right name. Each line of the table is a file, what is replaced, and what is said."""
import json
import os
import shutil
import subprocess
import tempfile

RUNNEL = os.environ["RUNNEL"]
project = tempfile.mkdtemp(prefix="runnel-check-")
W, Y, E = "workflows/segment-to-discord.yaml", "runnel.yaml", ".env"
MISTAKES = [
    (W, "    props:\n", "\tprops:\n", "tab"),
    (W, "trigger" "s:", "trigers:", 'unknown key "trigers" in a workflow: did you mean "triggers"?'),
    (W, "namespace: log_row", "namespace: notify", 'has the namespace "notify" already'),
    (W, "namespace: log_row", "namespace: log-row", '"log-row" is none'),
    (W, "@0.0.1", "@9.9.9", 'there is no version 9.9.9 of "segment-webhook-destination", only 0.0.1'),
    (W, "send-message", "send-mesage", 'did you mean "discord_webhook-send-message"?'),
    (W, "uses: discord_webhook-send-message", "uses: segment-webhook-destination", 'is a source: it stands under "triggers"'),
    (W, "uses: segment-webhook-destination@0.0.1", "uses: discord_webhook-send-message", 'is an action: it stands under "steps"'),
    (W, "account: team-discord", "account: team", 'there is no account "team": did you mean "team-discord"?'),
    (W, "account: team-discord", "account: crm", 'the account "crm" is one of airtable_oauth'),
    (W, "discordWebhook: { account: team-discord }", "discordWebhook: team-discord", "{ account: team-discord }"),
    (W, "      baseId: appSandbox\n", "", 'needs the prop "baseId"'),
    (W, "baseId:", "baseID:", '"baseID"'),
    (W, "'anonymous'}}", "'anonymous'", "{{ is not closed"),
    (W, "?? 'anonymous'", "?? ?? 'anonymous'", "SyntaxError"),
    (W, "steps.trigger.event.userId ?? 'anonymous'", "steps.record.x", 'the step "record" comes later in the file'),
    (W, "steps.trigger.event.userId ?? 'anonymous'", "steps.triger.event", 'did you mean "trigger"?'),
    (W, "steps.trigger.event.userId ?? 'anonymous'", "steps.notify.x", "is this step itself"),
    (W, "timeout: 30s", "timeout: 30", "must be a time with its unit"),
    (W, "timeout: 30s", "timeout: 30d", 'not "30d"'),
    (W, "workers: 8", "workers: -1", "must be a whole number from 1"),
    (W, "concurrency:", "concurency:", 'did you mean "concurrency"?'),
    (W, "name: Segment", "name: A\nname: Segment", 'the key "name" is here twice; it stands on line 2 already'),
    (W, "    uses: discord_webhook-send-message\n", "", 'a step needs "uses"'),
    (Y, "listen: 127.0.0.1:8080", "listen: 8080", "put it in quotes"),
    (Y, "listen:", "lissen:", 'did you mean "listen"?'),
    (Y, "127.0.0.1:8081", "127.0.0.1:99999", "must be an address and a port"),
    (Y, "app: segment", "app: segmnt", 'there is no app "segmnt": did you mean "segment"?'),
    (Y, "oauth_uid", "oauth_id", 'did you mean "oauth_uid"?'),
    (Y, "${DISCORD_WEBHOOK_URL}", "${DISCORD_WEBHOK_URL}", 'did you mean "DISCORD_WEBHOOK_URL"?'),
    (Y, "${DISCORD_WEBHOOK_URL}", "${DISCORD", "begins the name of a variable"),
    (Y, "10MiB", "10 megs", "must be a size"),
    (Y, "age: 30d", "age: forever", "must be a time with its unit"),
    (Y, "limits:", "public_url: hooks.example.com\nlimits:", "must be an http or https URL"),
    (Y, "limits:", "egress: { allow: [999.1.1.1] }\nlimits:", 'not "999.1.1.1"'),
    (Y, "limits:", "egress: { rewrite: { discord.com: 'http://127.0.0.1' } }\nlimits:", 'not "discord.com"'),
    (Y, "limits:", "limit:", 'did you mean "limits"?'),
    (E, "GOOGLE_TOKEN=", "GOOGLE TOKEN=", '"=" is missing'),
    (E, "AIRTABLE_TOKEN=sandbox-token", 'AIRTABLE_TOKEN="sandbox-token', "the quote that opens here is not closed"),
    (E, "GOOGLE_TOKEN=sandbox-token\n", "", "${GOOGLE_TOKEN} has no value"),
]

CODE = """triggers: [{ namespace: hand, manual: true }]
steps:
  - { namespace: good, language: node, code: "await 1; return { a: steps.trigger }" }
  - { namespace: fine, language: python, code: "from os import path as handler" }
  - namespace: plain
    language: node
    code: |
      const x = 1;
      return x +* 2;
  - namespace: module
    language: node
    code: |
      import fs from "node:fs";
      export default defineComponent({
        async run({ steps, $ }) {
          const y = = 2;
        },
      });
  - namespace: snake
    language: python
    code: |
      def handler(pd):
          return 1 +
  - { namespace: nothing, language: python, code: "x = 1" }
  - namespace: shell
    language: bash
    code: |
      echo hi
      )
  - { namespace: file, uses: ./entry.js }
"""
CODE_PLACES = [("workflows/code.yaml", 9, 17), ("workflows/code.yaml", 16, 21), ("workflows/code.yaml", 23, 21), ("workflows/code.yaml", 24, 51),
               ("workflows/code.yaml", 29, 7), ("workflows/entry.js", 3, 7)]


def check():
    done = subprocess.run([RUNNEL, "check", "--json"], cwd=project, capture_output=True, text=True, timeout=120)
    return done.returncode, json.loads(done.stdout)


try:
    subprocess.run([RUNNEL, "init", project], check=True, stdout=subprocess.DEVNULL)
    texts = {name: open(f"{project}/{name}").read() for name in (W, Y, E)}
    assert check() == (0, [])
    for name, old, new, says in MISTAKES:
        assert old in texts[name], old
        with open(f"{project}/{name}", "w") as file:
            file.write(texts[name].replace(old, new, 1))
        code, problems = check()
        errors = [p for p in problems if not p.get("warning") and p.get("severity", "error") == "error"]
        assert code == 1 and len(errors) == 1, (new, problems)
        assert says in errors[0]["text"] and errors[0]["line"] > 0 and errors[0]["column"] > 0, (new, errors)
        with open(f"{project}/{name}", "w") as file:
            file.write(texts[name])
    # Several mistakes in one mapping are all found.
    with open(f"{project}/workflows/http.yaml", "w") as file:
        file.write("triggers:\n  - namespace: hook\n    http:\n      methods: [POTS]\n      pth: /x\n      auth: { kind: hmac }\n      cors: { origins: 1 }\n"
                   "steps: [{ namespace: done, end: done }]\n")
    code, problems = check()
    assert code == 1 and [p["line"] for p in problems] == [4, 5, 6, 7], problems
    os.remove(f"{project}/workflows/http.yaml")
    # Code that its interpreter cannot parse, where it is wrong: the place in the file, not in the code.
    with open(f"{project}/workflows/code.yaml", "w") as file:
        file.write(CODE)
    with open(f"{project}/workflows/entry.js", "w") as file:
        file.write("// a file of its own\nexport default { run() { return 1 } }\nconst = 2;\n")
    code, problems = check()
    assert code == 1 and [(p["file"], p["line"], p["column"]) for p in problems] == CODE_PLACES, problems
    assert [p for p in problems if "SyntaxError: invalid syntax" in p["text"]] and [p for p in problems if "no `def handler(pd):`" in p["text"]], problems
    print(f"check: good ({len(MISTAKES)} mistakes)")
finally:
    shutil.rmtree(project, ignore_errors=True)
