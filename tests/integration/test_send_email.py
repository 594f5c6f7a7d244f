"""$.send.email: a message as Python's own library reads it, over a mail server that refuses and delays, and the sandbox's."""
import base64
import email
import email.policy
import os
import socketserver
import threading

from harness import Project, eventually

mails, refusals = [], []


class Smtp(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as a client needs."""

    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        self.say("220 test ESMTP")
        mail = {"to": []}
        while line := self.rfile.readline().decode().rstrip("\r\n"):
            verb = line.upper()
            if verb.startswith("EHLO"):
                self.wfile.write(b"250-test\r\n250 AUTH PLAIN\r\n")
            elif verb.startswith("AUTH PLAIN"):
                encoded = line[10:].strip()
                if not encoded:
                    self.say("334 ")
                    encoded = self.rfile.readline().decode().strip()
                mail["auth"] = base64.b64decode(encoded).split(b"\0")[1:]
                self.say("235 ok" if mail["auth"][1] == b"right-password" else "535 no")
            elif verb.startswith("MAIL FROM:"):
                mail["from"] = line[10:].split(">")[0].strip(" <")
                self.say("250 ok")
            elif verb.startswith("RCPT TO:"):
                mail["to"].append(line[8:].split(">")[0].strip(" <"))
                self.say(refusals.pop(0) if refusals else "250 ok")
            elif verb == "DATA":
                self.say("354 go on")
                text = b""
                while (part := self.rfile.readline()) != b".\r\n":
                    text += part[1:] if part.startswith(b"..") else part
                mail["raw"] = text
                mail["message"] = email.message_from_bytes(text, policy=email.policy.default)
                mails.append(mail)
                self.say("250 taken")
            elif verb == "QUIT":
                return self.say("221 bye")
            else:
                self.say("250 ok")


server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Smtp)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
project = Project()
LONG = "Grüße an alle, die das hier lesen, mit einem Betreff, der länger ist als eine Zeile sein darf – ✓"


def settings(url, more=""):
    with open(f"{project.dir}/runnel.yaml", "w") as out:
        out.write(f"egress: {{ allow: [127.0.0.0/8] }}\nsmtp:\n  url: {url}\n{more}")


def write(name, code, language="node"):
    body = "\n".join(f"      {line}" for line in code.splitlines())
    with open(f"{project.dir}/workflows/{name}.yaml", "w") as out:
        out.write(f"triggers:\n- manual: true\nsteps:\n- namespace: mail\n  language: {language}\n  code: |\n{body}\n")


def sent(name, event=None):
    run = project.start(name, event)
    eventually(f"{name} ended", lambda: project.json("inspect", run)["status"] in ("succeeded", "failed"))

    def sends():
        return [s for step in project.json("inspect", run)["steps"] for s in step.get("sends", [])]

    eventually("it is settled", lambda: all(s["state"] in ("sent", "failed") for s in sends()))
    return sends()


try:
    os.remove(f"{project.dir}/workflows/segment-to-discord.yaml")
    with open(f"{project.dir}/.env", "a") as out:
        out.write("MAIL_PASSWORD=right-password\n")
    login = '  from: "Täglich \\"der\\" Bericht <runnel@example.com>"\n  to: owner@example.com\n  username: runnel\n  password: "${MAIL_PASSWORD}"\n'
    settings(f"smtp://127.0.0.1:{server.server_address[1]}", login)
    write("both", f"$.send.email({{ subject: '{LONG}', text: steps.trigger.event.text, html: '<p>Grüße = \\u2713</p>' }})")
    write("python", "def handler(pd):\n    pd.send.email(subject='plain', text='one line', to=['Ann <ann@example.com>', 'bob@example.com'])", "python")
    write("wrong", "$.send.email(steps.trigger.event)")
    assert "good" in project.run("check").stdout
    assert "mail" in project.run("doctor", check=False).stdout
    assert project.up(), open(f"{project.dir}/up.log").read()

    # ---- both bodies, everything as it was written: a dot alone, long lines, blanks at an end, characters of all kinds
    text = "first\n.\n..two\nFrom me\n" + "x" * 200 + " \nÄ=\t\nlast ✓"
    shown = sent("both", {"text": text})
    assert [(s["state"], s["status"], s["tries"]) for s in shown] == [("sent", 250, 1)], shown
    mail = mails.pop()
    message = mail["message"]
    assert mail["from"] == "runnel@example.com" and mail["to"] == ["owner@example.com"] and mail["auth"] == [b"runnel", b"right-password"], mail
    assert message["subject"] == LONG and message["from"] == '"Täglich \\"der\\" Bericht" <runnel@example.com>' and message["to"] == "owner@example.com", message
    assert message.get_content_type() == "multipart/alternative" and not message.defects, message.defects
    bodies = {part.get_content_type(): part.get_content().replace("\r\n", "\n") for part in message.iter_parts()}
    assert bodies["text/plain"].rstrip("\n") == text, bodies["text/plain"]
    assert bodies["text/html"].rstrip("\n") == "<p>Grüße = ✓</p>", bodies
    assert all(len(line) <= 78 for line in mail["raw"].split(b"\r\n")), mail["raw"]
    assert message["message-id"].endswith("@example.com>") and message["date"], message

    shown = sent("python")
    assert shown[0]["to"] == ["Ann <ann@example.com>", "bob@example.com"], shown
    assert mails[0]["to"] == ["ann@example.com", "bob@example.com"] and mails[0]["message"].get_content().strip() == "one line", mails
    mails.clear()

    # ---- no header of anybody's making
    for wrong, why in (({"subject": "a\r\nBcc: eve@example.com", "text": "t"}, "the subject is one line"),
                       ({"subject": "s", "text": "t", "to": "a@b.c\nBcc: eve@example.com"}, '"to" is an address'),
                       ({"subject": "s"}, 'needs "text" or "html"'), ({"text": "t"}, 'needs "subject"')):
        run = project.start("wrong", wrong)
        error = project.json("inspect", run, "--wait")["error"]["text"]
        assert why in error, error

    # ---- "later" is tried again with the same id; "no" is final
    refusals[:] = ["451 later"]
    shown = sent("both", {"text": "again"})
    assert shown[0]["state"] == "sent" and shown[0]["tries"] == 2 and len(mails) == 1, shown
    refusals[:] = ["550 no such user"]
    shown = sent("both", {"text": "never"})
    assert shown[0]["state"] == "failed" and shown[0]["tries"] == 1 and "550" in shown[0]["error"], shown
    project.stop()

    # ---- a wrong password; TLS that is demanded and not offered: the message is not given away
    mails.clear()
    settings(f"smtp://127.0.0.1:{server.server_address[1]}", login.replace("${MAIL_PASSWORD}", "wrong"))
    project.up()
    shown = sent("both", {"text": "t"})
    assert shown[0]["state"] == "failed" and "username and password" in shown[0]["error"] and not mails, shown
    project.stop()
    settings(f"smtp://127.0.0.1:{server.server_address[1]}", "  from: a@b.c\n  to: a@b.c\n  starttls: true\n")
    project.up()
    run = project.start("both")
    eventually("it is not sent", lambda: [s["state"] for step in project.json("inspect", run)["steps"] for s in step.get("sends", [])] == ["retrying"] or
               project.json("inspect", run)["status"] == "failed")
    assert not mails, mails
    project.stop()

    # ---- an address of one's own network needs leave
    with open(f"{project.dir}/runnel.yaml", "w") as out:
        out.write(f"smtp: {{ url: \"smtp://127.0.0.1:{server.server_address[1]}\", from: a@b.c, to: a@b.c }}\n")
    project.up()
    shown = sent("python")
    assert shown[0]["state"] == "failed" and "egress.allow" in shown[0]["error"], shown
    project.stop()

    # ---- the sandbox takes it and lists it
    settings(project.control("smtp")["url"], "  from: runnel@example.com\n  to: Owner <owner@example.com>\n")
    project.up()
    sent("both", {"text": "a ✓\n.\nb"})
    taken = project.received("mail")
    assert len(taken) == 1 and taken[0]["subject"] == LONG and taken[0]["text"] == "a ✓\n.\nb\n" and taken[0]["html"] == "<p>Grüße = ✓</p>\n", taken
    assert taken[0]["from"] == "runnel@example.com" and taken[0]["to"] == ["owner@example.com"] and taken[0]["headers"]["to"] == '"Owner" <owner@example.com>', taken
    project.stop()

    # ---- check
    for text, why in (("smtp: { url: \"http://x\", from: a@b.c }", '"url" is smtps://HOST'), ("smtp: { url: \"smtp://x\" }", '"smtp" needs "from"'),
                      ("smtp: { url: \"smtp://x\", from: nobody }", '"from" is an address'), ("smtp: { url: \"smtp://x\", from: a@b.c, user: x }", 'did you mean "username"')):
        with open(f"{project.dir}/runnel.yaml", "w") as out:
            out.write(text + "\n")
        checked = project.run("check", check=False)
        assert checked.returncode == 1 and why in checked.stdout + checked.stderr and "runnel.yaml:1:" in checked.stdout + checked.stderr, (why, checked)
finally:
    project.close()
    server.shutdown()
print("email: good")
