"""What `runnel check` says of control flow and settings: one table of mistakes, each with its place and the way out."""
import os

from harness import Project

MISTAKES = [
    ("""steps:
  - { namespace: a, if: "steps.trigger.event.x", steps: [] }
""", '2:25: a condition is one expression, such as "{{steps.trigger.event.total > 100}}", or true or false, not "steps.trigger.event.x"'),
    ("""steps:
  - namespace: a
    if: "{{true}}"
""", '2:5: "steps" is missing: the list of steps to run then'),
    ("""steps:
  - namespace: a
    if:
      - whan: "{{true}}"
        steps: []
""", '4:9: unknown key "whan" in an entry: did you mean "when"?'),
    ("""steps:
  - namespace: a
    if: "{{true}}"
    steps: [{ namespace: inner, end: x }]
  - { namespace: b, end: "{{steps.inner.x}}" }
""", '5:29: steps.inner is inside the block "a" and not seen behind it: use steps.a.$return_value'),
    ("""steps:
  - namespace: a
    if: "{{true}}"
    steps: [{ namespace: one, delay: 1s }]
    else: [{ namespace: two, end: "{{steps.one.x}}" }]
""", '5:38: steps.one is in another branch of "a": one branch does not see another'),
    ("""steps:
  - namespace: loop
    for_each: "{{steps.trigger.event.list}}"
    steps: [{ namespace: x, end: "{{steps.loop.itme}}" }]
""", '4:37: warning: inside the loop, steps.loop has "item" and "index", no "itme"'),
    ("""steps:
  - { namespace: loop, for_each: 7, steps: [] }
""", '2:34: "for_each" is a list, or one expression that gives one, such as "{{steps.trigger.event.items}}", not 7'),
    ("""steps:
  - namespace: s
    switch: "{{1}}"
    cases: [{ steps: [] }]
""", '4:13: "is" is missing in this entry'),
    ("""steps:
  - namespace: p
    parallel: { a: { steps: [] } }
    on_branch_error: stop
""", '4:22: "on_branch_error" is "wait" (the others still run, then it fails), "cancel" (the others are cancelled) or "continue" (it does not fail), not "stop"'),
    ("""steps:
  - { namespace: d, delay: 5 }
""", '2:28: "delay" is a time with its unit from 1ms to 366d'),
    ("""steps:
  - { namespace: c, workflow: segment-to-discrod }
""", '2:31: there is no workflow "segment-to-discrod": did you mean "segment-to-discord"?'),
    ("""steps:
  - { namespace: a, end: x }
  - namespace: b
    if: "{{true}}"
    steps: [{ namespace: a, end: y }]
""", '5:26: another step has the namespace "a" already'),
    ("""steps:
  - { namespace: a, end: x, on_error: ignore }
""", '2:39: "on_error" is fail, continue, or a list of steps to run then, not "ignore"'),
    ("""steps: [{ namespace: a, end: x }]
settings: { auto_retry: 5 }
""", '2:25: "auto_retry" is true (8 tries over 10 hours) or a list of 1 to 50 pauses ([1m, 10m, 1h]), not 5'),
    ("""steps: [{ namespace: a, end: x }]
settings: { concurrency: { key: userId } }
""", '2:33: "key" is an expression of the event, such as "{{steps.trigger.event.userId}}", not "userId"'),
    ("""steps: [{ namespace: a, end: x }]
settings: { concurrency: { key: "{{steps.a.x}}" } }
""", '2:36: there is no step or trigger "a" before this'),
    ("""steps: [{ namespace: a, end: x }]
settings: { throttle: { interval: 1s } }
""", '2:23: "throttle" needs "limit": how many runs begin per interval'),
    ("""steps: [{ namespace: a, end: x }]
settings: { on_error: mistaken }
""", '2:23: a workflow cannot be told of its own errors: name another one'),
    ("""steps: [{ namespace: a, end: x }]
settings: { queues: { size: 5 } }
""", '2:13: unknown key "queues" in "settings": did you mean "queue"?'),
    ("""steps: [{ namespace: a, end: x }]
env: { REGION: 7 }
""", "2:16: the value of a variable is a text: put 7 in quotes"),
    ("""steps:
  - { namespace: r, respond: { status: 99 } }
""", '2:40: "status" must be a whole number from 100 to 599, not 99'),
    ("""steps:
  - { namespace: a, end: "{{step.trigger.event.id}}" }
""", '2:29: warning: "step" is no name here; there are steps, process.env and JavaScript\'s own: did you mean "steps"?'),
    ("""steps:
  - { namespace: a, end: "{{[1].map(step => step.x)}} {{body.id}}" }
""", '2:57: warning: "body" is no name here: did you mean steps.trigger.event.body?'),
    ("""steps:
  - { namespace: a, end: "{{fetch('https://x.example')}}" }
""", "2:29: warning: there is no fetch in expressions: a code step has it"),
]

project = Project()
try:
    path = f"{project.dir}/workflows/mistaken.yaml"
    for text, expected in MISTAKES:
        if "warning: " not in expected:
            place, _, words = expected.partition(": ")
            expected = f"{place}: error: {words}"
        with open(path, "w") as file:
            file.write(text)
        done = project.run("check", check=False)
        said = done.stdout + done.stderr
        assert f"workflows/mistaken.yaml:{expected}" in said, f"{text}\nexpected {expected}\ngot {said}"
        assert done.returncode == (0 if "warning" in expected else 1), said
        errors = [line for line in said.splitlines() if line.startswith("workflows/mistaken.yaml") and " error: " in line]
        assert len(errors) == done.returncode, f"one mistake, one line: {errors}"
    os.remove(path)
    print(f"check: good ({len(MISTAKES)} mistakes)")
finally:
    project.close()
