"""The live options of every shipped component, page by page, against the sandbox."""
import json

from harness import Project

project = Project()


def offered(component, prop, props, *more):
    answer = project.json("options", component, prop, "--props", json.dumps(props), *more)
    return [(o["label"], o["value"]) if isinstance(o, dict) else (o, o) for o in answer["options"]], answer.get("context")


try:
    project.up()
    segment = {"segmentApp": {"account": "segment"}}
    source = "segment-webhook-destination"
    values, _ = offered(source, "workspace", segment)
    assert values == [("Acme", "e5bdb0902b"), ("Acme (Config API)", "workspaces/acme")], values
    assert [v for _, v in offered(source, "workspace", {**segment, "api": "public"})[0]] == ["e5bdb0902b"]
    assert [v for _, v in offered(source, "workspace", {**segment, "api": "config"})[0]] == ["workspaces/acme"]
    values, _ = offered(source, "source", {**segment, "workspace": "workspaces/acme"})
    assert [v for _, v in values] == [f"workspaces/acme/sources/{name}" for name in ("web", "ios", "android", "server")]
    values, _ = offered(source, "source", {**segment, "workspace": "e5bdb0902b"})
    assert ("Website", "srcWeb7kQ2mD") in values and len(values) == 4
    assert len(offered(source, "source", {**segment, "workspace": "e5bdb0902b"}, "--query", "app")[0]) == 2

    sheets = {"googleSheets": {"account": "google"}}
    rows = "google_sheets-add-multiple-rows"
    assert offered(rows, "drive", sheets)[0] == [("My Drive", "My Drive"), ("Sandbox team", "0ASandboxDrive")]
    assert offered(rows, "sheetId", sheets)[0] == [("Sandbox sheet", "sandbox-sheet")]
    assert offered(rows, "sheetId", sheets, "--query", "budget")[0] == []
    values, _ = offered(rows, "worksheetId", {**sheets, "sheetId": "sandbox-sheet"})
    assert values == [("Events", 0), ("Other", 7), ('It\'s a "test" sheet', 11)], values

    airtable = {"airtable": {"account": "crm"}}
    create = "airtable_oauth-create-multiple-records"
    assert offered(create, "baseId", airtable)[0] == [("Sandbox", "appSandbox")]
    assert offered(create, "baseId", airtable, "--page", "1")[0] == [("Archive", "appArchive")]
    assert offered(create, "baseId", airtable, "--page", "2")[0] == []
    assert offered(create, "tableId", {**airtable, "baseId": "appSandbox"})[0] == [("Events", "tblEvents"), ("Contacts", "tblContacts")]

    films, _ = offered("swapi-get-film", "film", {})
    assert len(films) == 6 and films[0] == ("A New Hope", "1") and films[3] == ("The Phantom Menace", "4")
    assert offered("swapi-get-film", "film", {}, "--query", "clones")[0] == [("Attack of the Clones", "5")]

    # what the vendor says reaches the user
    project.control("faults", {"vendor": "swapi", "status": 500})
    done = project.run("options", "swapi-get-film", "film", check=False)
    assert done.returncode == 1 and "500" in done.stderr, done
    project.stop()
    print("options: good")
finally:
    project.close()
