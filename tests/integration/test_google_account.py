"""Google accounts of every kind: a service account's assertion is signed by the runtime and verified by the sandbox, tokens are kept and renewed."""
import json

from harness import Project, eventually

project = Project()
try:
    key = project.control("google/service-account")
    with open(f"{project.dir}/runnel.yaml") as source:
        text = source.read()
    old = 'google:       { app: google_sheets, auth: { oauth_access_token: "${GOOGLE_TOKEN}" } }'
    assert old in text
    wrong = {**key, "client_email": "nobody@sandbox-project.iam.gserviceaccount.com"}
    with open(f"{project.dir}/runnel.yaml", "w") as out:
        out.write(text.replace(old, 'google: { app: google_sheets, auth: { service_account: "${SERVICE_ACCOUNT}" } }\n'
                               '  stranger: { app: google_sheets, auth: { service_account: "${STRANGER}" } }\n'
                               '  refreshed: { app: google_sheets, auth: { client_id: sandbox-client, client_secret: sandbox-secret, '
                               'refresh_token: sandbox-refresh } }\n'
                               '  stale: { app: google_sheets, auth: { client_id: sandbox-client, client_secret: sandbox-secret, refresh_token: gone } }'))
    with open(f"{project.dir}/.env", "a") as out:
        out.write(f"SERVICE_ACCOUNT='{json.dumps(key)}'\nSTRANGER='{json.dumps(wrong)}'\n")
    project.run("check")
    project.up()
    for name, code, part in (("google", 0, ""), ("refreshed", 0, ""), ("stranger", 1, "account not found"), ("stale", 1, "expired or revoked")):
        done = project.run("accounts", "test", name, check=False)
        assert done.returncode == code and part in done.stdout + done.stderr, (name, done)
        assert "PRIVATE KEY" not in done.stdout + done.stderr
    eventually("the source is active", lambda: project.json("sources")[0]["state"] == "active")
    assert [d["status"] for d in project.send({"messageId": "g-1"})] == [200]
    eventually("the run ended", lambda: [r["status"] for r in project.json("runs")] == ["succeeded"])
    assert [r["row"][0] for r in project.received("sheets")] == ["g-1"]
    # Google forgets the token: the step is told 401, and a new token is asked for
    project.control("faults", {"vendor": "sheets", "status": 401, "times": 1})
    assert [d["status"] for d in project.send({"messageId": "g-2"})] == [200]
    eventually("the second run ended", lambda: sorted(r["status"] for r in project.json("runs")) == ["succeeded", "succeeded"])
    project.stop()
    print("google accounts: good")
except BaseException:
    print(open(f"{project.dir}/up.log").read()[-3000:])
    raise
finally:
    project.close()
