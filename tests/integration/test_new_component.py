"""`runnel new component` builds and passes its own test in one command; an installed plugin is taken by the running runtime."""
import os
import subprocess
import tempfile

from harness import Project, eventually

project = Project()
try:
    with tempfile.TemporaryDirectory() as work:
        project.run("new", "component", "notes", cwd=work)
        done = subprocess.run(["make", "test"], cwd=f"{work}/notes", capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        assert project.up()
        assert "notes" not in project.run("components").stdout
        project.run("components", "install", f"{work}/notes/notes.so")
        eventually("the runtime took the plugin", lambda: "notes-create-note" in project.run("components").stdout)
        files = os.listdir(f"{project.dir}/.runnel/components")
        assert any(len(name) == 67 and name.endswith(".so") for name in files), files
        assert project.json("components", "show", "notes-create-note")["type"] == "action"

        # what is no plugin is refused with a sentence, and nothing changes
        with open(f"{work}/junk.so", "w") as out:
            out.write("not a library")
        refused = project.run("components", "install", f"{work}/junk.so", check=False)
        assert refused.returncode == 1 and refused.stderr.startswith("runnel: "), refused
        project.run("components", "uninstall", "notes")
        eventually("it is gone", lambda: "notes" not in project.run("components").stdout)
        project.stop()
    print("new component: good")
finally:
    project.close()
