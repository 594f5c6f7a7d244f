"""`runnel import`: a repository that Pipedream syncs to becomes workflows that run, and what its export lacks is said."""
import json
import pathlib

from harness import Project

FIRST = """# kept as it is
schema: workflow/2022.04
name: First
settings: { error_notification: true, lambda_timeout: 45 }
triggers:
- id: hi_AAAAAAA
steps:
- namespace: check   # a comment
  runtime: nodejs20.x
  uses: filter-continue-based-on-condition@0.0.2
  _props_cursor: dyp_BBBBBBB
  props:
    initialValue: "{{steps.trigger.event.body.n}}"
    condition: GREATER_THAN_EQUALS
    secondValue: '1'
- namespace: work
  runtime: python3.12
  uses: ./work/entry.py
"""
SECOND = """schema: workflow/2022.04
name: Second
triggers:
- id: ti_AAAAAAA
- id: dc_BBBBBBB
steps:
- namespace: message
  uses: discord_webhook-send-message@1.0.1
  props:
    discordWebhook:
      authProvisionId: apn_xxx
    message: hi
- namespace: film
  uses: swapi-get-film@0.0.3
  props: { film: { __lv: { label: A New Hope, value: 1 } } }
- namespace: slack
  uses: slack-send-message@0.4.1
  props: { slack: { authProvisionId: apn_yyy }, text: hi }
"""
BROKEN = "triggers:\n- id: hi_A\nsteps:\n- namespace: work\n  uses: ./work/entry.py\n- namespace: gone\n  uses: ./gone/entry.js\n"

project = Project()
try:
    repo = pathlib.Path(project.dir, "repo")
    for name, text in (("first-p_abc123", FIRST), ("second-p_zz9", SECOND)):
        (repo / name / "work").mkdir(parents=True)
        (repo / name / "workflow.yaml").write_text(text)
    (repo / "first-p_abc123/work/entry.py").write_text("def handler(pd):\n    return pd.steps['trigger']['event']['body']['n'] + 1\n")
    (repo / "README.md").write_text("no workflow")
    workflows = pathlib.Path(project.dir, "workflows")

    first, second = project.json("import", str(repo))
    assert first["files"] == ["workflows/first/work/entry.py", "workflows/first.yaml"], first
    assert second["files"] == ["workflows/second.yaml"], second
    said = "\n".join(second["todo"])
    assert "was a timer" in said and "was an event source" in said and "slack-send-message, which is not installed" in said, said
    assert "apn_" not in said and 'account "slack"' not in said, said

    # what has nothing to be changed is there to the letter
    text = (workflows / "first.yaml").read_text()
    expected = FIRST.replace("- id: hi_AAAAAAA\n", '- id: hi_AAAAAAA\n  namespace: "trigger"\n  http: {}\n')
    expected = expected.replace("filter-continue-based-on-condition@0.0.2", '"filter-continue-based-on-condition"').replace("./work/entry.py", '"./first/work/entry.py"')
    assert text == expected, text
    assert 'discordWebhook: {"account":"team-discord"}' in (workflows / "second.yaml").read_text()
    problems = project.run("check", "--json", check=False)
    errors = [p for p in json.loads(problems.stdout) if p["severity"] == "error"]
    assert [(p["file"], "slack-send-message" in p["text"]) for p in errors] == [("workflows/second.yaml", True)], errors

    # it runs
    done = project.run("run", "first", "--event", '{"body":{"n":3}}', "--json")
    steps = {s["namespace"]: s for s in json.loads(done.stdout)["steps"]}
    assert done.returncode == 0 and steps["work"]["exports"]["$return_value"] == 4, done

    # nothing is written over, and nothing of what cannot be taken whole
    again = project.run("import", str(repo / "first-p_abc123"), check=False)
    assert again.returncode == 1 and "is there already" in again.stderr and "--name" in again.stderr, again
    (repo / "broken-p_1/work").mkdir(parents=True)
    (repo / "broken-p_1/workflow.yaml").write_text(BROKEN)
    (repo / "broken-p_1/work/entry.py").write_text("def handler(pd): pass\n")
    broken = project.run("import", str(repo / "broken-p_1"), check=False)
    assert broken.returncode == 1 and "gone/entry.js" in broken.stderr and not (workflows / "broken").exists(), broken
    named = project.run("import", str(repo / "first-p_abc123"), "--name", "other")
    assert named.returncode == 0 and (workflows / "other/work/entry.py").exists() and "Next: runnel check" in named.stdout, named
    nothing = project.run("import", str(workflows), check=False)
    assert nothing.returncode == 1 and "no workflow.yaml" in nothing.stderr, nothing
    print("import: good")
finally:
    project.close()
