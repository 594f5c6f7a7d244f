"""The command line on a terminal: colours, tables that fit, prompts without echo, options chosen by number, Ctrl-C."""
import errno
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

from harness import PATIENCE_S, RUNNEL, Project, eventually

project = Project()


class Terminal:
    """A command on a pseudo-terminal of its own."""

    def __init__(self, *args, columns=80, env=None):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(project.dir)
            os.environ.pop("NO_COLOR", None)
            os.environ.update({"TERM": "xterm", **(env or {})})
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            os.execv(RUNNEL, [RUNNEL, *args])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def read(self):
        """More of what it prints; False at its end."""
        if not select.select([self.fd], [], [], 0.2)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return False
        self.text += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)

    def expect(self, what):
        """Reads until `what` has come; what stands before it is dropped and returned."""
        until = time.monotonic() + PATIENCE_S
        while what not in self.text:
            assert self.read() or what in self.text, f"it ended before {what!r}: {self.text!r}"
            assert time.monotonic() < until, f"never: {what!r} in {self.text!r}"
        before, self.text = self.text.split(what, 1)
        return before

    def type(self, text):
        os.write(self.fd, text.encode())

    def echoes(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def end(self, code=0):
        until = time.monotonic() + PATIENCE_S
        while self.read():
            assert time.monotonic() < until, f"it does not end: {self.text!r}"
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.fd)
        got = os.waitstatus_to_exitcode(status)
        assert got == code, (got, self.text)
        return self.text


def plain(text):
    return re.sub(r"\033\[[0-9;]*m", "", text)


try:
    assert project.up()
    project.send({"messageId": "m-1", "event": "Signed Up", "userId": "ann"})
    eventually("the run ended", lambda: [r["status"] for r in project.json("runs")] == ["succeeded"])

    # a table: a head, colours, local times, durations with a unit, as wide as the terminal
    text = Terminal("runs").end()
    assert "\033[32msucceeded\033[0m" in text and "\033[2mID" in text
    line = plain(text).splitlines()[1]
    assert re.search(r"run_\w+  succeeded  .*  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  \d.* (ms|s)", line), line
    for columns in (60, 100):
        text = plain(Terminal("components", "show", "discord_webhook-send-message", columns=columns).end())
        table = text[text.index("PROP"):].splitlines()
        assert len(table) > 5 and max(map(len, table)) <= columns and any(l.endswith("…") for l in table), table

    # NO_COLOR and TERM=dumb
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        text = Terminal("runs", env=env).end()
        assert "\033" not in text and "succeeded" in text, text

    # --json is indented, and has no colours
    text = Terminal("inspect", "--json").end()
    assert text.startswith("{\n  \"id\"") and "\033" not in text

    # what others wrote cannot move the cursor or change the title
    project.run("run", "segment-to-discord", "--event", '{"event":"a\\u001b]0;owned\\u0007b","messageId":"esc"}')
    text = Terminal("inspect").end()
    assert "\033]" not in text and "\a" not in text and "owned" in text

    # an error is red on stderr, which is this terminal too
    assert "\033[31mrunnel:\033[0m" in Terminal("inspect", "nonsense").end(code=1)

    # accounts add: each field is asked for, the secret one is not echoed, the terminal is as before
    terminal = Terminal("accounts", "add", "typed", "--app", "discord_webhook", "--method", "1")
    terminal.expect(": ")
    assert not terminal.echoes(), "a secret would be echoed"
    terminal.type("https://discord.com/api/webhooks/1234567890/sandbox-token\n")
    text = terminal.end()
    assert "account typed is sealed in the store" in text and "sandbox-token" not in text, text
    assert "account typed works" in Terminal("accounts", "test", "typed").end()
    assert project.json("accounts")[-1]["name"] == "typed"

    # Ctrl-C while a secret is asked for brings the echo back
    terminal = Terminal("accounts", "add", "aborted", "--app", "discord_webhook", "--method", "1")
    terminal.expect(": ")
    eventually("no echo", lambda: not terminal.echoes())
    terminal.type("\x03")
    eventually("the echo is back", terminal.echoes)
    terminal.end(code=-signal.SIGINT)
    assert "aborted" not in [a["name"] for a in project.json("accounts")]

    # the app is asked for, and the way of authenticating where there are several
    terminal = Terminal("accounts", "add", "asked")
    assert "discord_webhook" in terminal.expect("App: ")
    terminal.type("discord_webhook\n")
    terminal.expect("Which? [1] ")
    terminal.type("\n")
    terminal.expect(": ")
    terminal.type("https://discord.com/api/webhooks/1234567890/sandbox-token\n")
    assert "is sealed" in terminal.end()

    # configure: the vendor's live options by number; what is wrong is asked for again; + turns the page
    path = f"{project.dir}/workflows/segment-to-discord.yaml"
    with open(path) as file:
        good = file.read()
    with open(path, "w") as file:
        file.write(good.replace("      workspace: workspaces/acme\n      source: workspaces/acme/sources/web\n",
                                "      # chosen by configure\n").replace("discordWebhook: { account: team-discord }", "username: Bot"))
    terminal = Terminal("configure", "segment-to-discord")
    menu = terminal.expect("number or value")
    number = re.search(r"(\d+)  Acme \(Config API\)", plain(menu)).group(1)
    terminal.expect(": ")
    terminal.type(f"{number}\n")
    menu = terminal.expect("number or value")
    number = re.search(r"(\d+)  [^\n]*workspaces/acme/sources/web\b", plain(menu)).group(1)
    terminal.expect(": ")
    terminal.type("+\n")
    terminal.expect("number or value" if "(no more)" not in terminal.text else "value")
    terminal.expect(": ")
    terminal.type("workspaces/acme/sources/web\n")
    menu = terminal.expect("number or value")
    number = re.search(r"(\d+)  team-discord", plain(menu)).group(1)
    terminal.expect(": ")
    terminal.type(f"{number}\n")
    assert "3 props set" in terminal.end()
    with open(path) as file:
        text = file.read()
    assert "# chosen by configure" in text and '"workspaces/acme/sources/web"' in text and '"team-discord"' in text, text
    assert project.run("check").returncode == 0

    # events -f ends with Ctrl-C and leaves nothing running
    terminal = Terminal("events", "-f")
    terminal.expect("evt_")
    terminal.type("\x03")
    terminal.end(code=-signal.SIGINT)

    # help has its titles in bold
    assert "\033[1mUsage\033[0m" in Terminal("runs", "--help").end()

    # up says what to do next to a person, and stops cleanly at Ctrl-C
    project.stop()
    terminal = Terminal("up", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
    terminal.expect("ready ingest=http://127.0.0.1:")
    terminal.expect("segment-to-discord/segment  active  http://")
    terminal.expect("Ctrl-C stops.")
    terminal.type("\x03")
    assert "stopping" in terminal.end()
    print("terminal: good")
finally:
    project.close()
