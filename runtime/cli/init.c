/* `runnel init`: a first project. */
#include "cli/cli.h"

#include "cli/files.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

struct template_file {
    const char *path;
    const char *text;
};

static const struct template_file project_files[] = {
    {"runnel.yaml",
     "# runnel.yaml: listeners, accounts, limits. Reference: docs/workflow-files.md\n"
     "listen: 127.0.0.1:8080\n"
     "admin: 127.0.0.1:8081\n"
     "# public_url: https://hooks.example.com   # what vendors are given instead of the listener's "
     "own address\n"
     "accounts:\n"
     "  segment:      { app: segment, auth: { access_token: \"${SEGMENT_TOKEN}\", write_key: "
     "\"${SEGMENT_WRITE_KEY}\" } }\n"
     "  team-discord: { app: discord_webhook, auth: { oauth_uid: \"${DISCORD_WEBHOOK_URL}\" } }\n"
     "  google:       { app: google_sheets, auth: { oauth_access_token: \"${GOOGLE_TOKEN}\" } }\n"
     "  crm:          { app: airtable_oauth, auth: { oauth_access_token: \"${AIRTABLE_TOKEN}\" } "
     "}\n"
     "limits: { body: 10MiB, store: 4GiB, history: { bytes: 1GiB, age: 30d } }\n"},
    {".env", "# Values for ${NAME} in runnel.yaml and {{process.env.NAME}} in workflows. These are "
             "the sandbox's: put your own here. Keep this file out of git.\n"
             "SEGMENT_TOKEN=sandbox-token\n"
             "SEGMENT_WRITE_KEY=sandbox-write-key\n"
             "DISCORD_WEBHOOK_URL=https://discord.com/api/webhooks/1234567890/sandbox-token\n"
             "GOOGLE_TOKEN=sandbox-token\n"
             "AIRTABLE_TOKEN=sandbox-token\n"},
    {".gitignore", ".env\n.runnel/\n"},
    {"workflows/segment-to-discord.yaml",
     "# workflows/segment-to-discord.yaml: each Segment event becomes a Discord message, a row in "
     "a sheet and a record in Airtable.\n"
     "name: Segment to Discord, Sheets and Airtable\n"
     "triggers:\n"
     "  - namespace: segment\n"
     "    uses: segment-webhook-destination@0.0.1\n"
     "    props:\n"
     "      segmentApp: { account: segment }\n"
     "      workspace: workspaces/acme\n"
     "      source: workspaces/acme/sources/web\n"
     "settings:\n"
     "  timeout: 30s\n"
     "  concurrency: { workers: 8 }\n"
     "steps:\n"
     "  - namespace: notify\n"
     "    uses: discord_webhook-send-message\n"
     "    props:\n"
     "      discordWebhook: { account: team-discord }\n"
     "      message: \"{{steps.trigger.event.event ?? steps.trigger.event.type}} from "
     "{{steps.trigger.event.userId ?? 'anonymous'}}\"\n"
     "  - namespace: log_row\n"
     "    uses: google_sheets-add-multiple-rows\n"
     "    props:\n"
     "      googleSheets: { account: google }\n"
     "      sheetId: sandbox-sheet\n"
     "      worksheetId: 0\n"
     "      rows: \"{{[[steps.trigger.event.messageId, steps.trigger.event.type, "
     "steps.trigger.event.userId ?? '']]}}\"\n"
     "  - namespace: record\n"
     "    uses: airtable_oauth-create-multiple-records\n"
     "    props:\n"
     "      airtable: { account: crm }\n"
     "      baseId: appSandbox\n"
     "      tableId: Events\n"
     "      records: \"{{[{ Name: steps.trigger.event.event ?? steps.trigger.event.type, User: "
     "steps.trigger.event.userId ?? '' }]}}\"\n"},
};

int cli_write_file(const char *path, const char *text, struct err *err)
{
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        char *folder = xmemdup(path, (size_t)(slash - path));
        int failed = mkdir(folder, 0777) && errno != EEXIST;
        free(folder);
        if (failed)
            return err_set(err, RN_EIO, "the folder of %s cannot be made: %s", path,
                           strerror(errno));
    }
    FILE *file = fopen(path, "wxe");
    if (!file)
        return err_set(err, errno == EEXIST ? RN_EEXISTS : RN_EIO, "%s: %s", path,
                       errno == EEXIST ? "is there already" : strerror(errno));
    bool failed = fputs(text, file) == EOF;
    failed |= fclose(file) != 0;
    return failed ? err_set(err, RN_EIO, "%s cannot be written", path) : 0;
}

static int run_init(const struct args *args)
{
    const char *dir = args->count ? args->positional[0] : ".";
    struct err err = ERR_INIT;
    struct json *answer = json_new_object();
    int rc = 0;
    json_set_string(answer, "project", dir);
    struct json *files = json_set(answer, "files", json_new_array());
    char *marker = xasprintf("%s/runnel.yaml", dir);
    if (access(marker, F_OK) == 0)
        rc = err_set(&err, RN_EEXISTS,
                     "%s is there already: this is a project (`runnel up` runs it)", marker);
    free(marker);
    for (size_t i = 0; i < COUNT_OF(project_files) && rc == 0; i++) {
        char *path = xasprintf("%s/%s", dir, project_files[i].path);
        rc = cli_write_file(path, project_files[i].text, &err);
        if (rc == 0 && strcmp(project_files[i].path, ".env") == 0)
            (void)chmod(path, 0600);
        (void)json_append(files, json_new_string_c(project_files[i].path));
        free(path);
    }
    if (rc == 0 && args->is_json) {
        out_json(answer);
    } else if (rc == 0) {
        printf("A project is in %s:\n"
               "  runnel.yaml                        listeners, accounts, limits\n"
               "  .env                               the accounts' values (the sandbox's for now)\n"
               "  workflows/segment-to-discord.yaml  a Segment event becomes a Discord message, a "
               "row, a record\n\nNext:\n",
               strcmp(dir, ".") == 0 ? "this folder" : dir);
        if (strcmp(dir, ".") != 0)
            printf("  cd %s\n", dir);
        printf("  runnel check\n"
               "  runnel up --sandbox     # then, in another terminal: runnel sandbox send\n");
    }
    json_free(answer);
    return rc ? out_error(&err) : 0;
}

const struct command command_init = {
    .name = "init",
    .usage = "[DIR]",
    .summary = "make a project with a first workflow that works against the sandbox",
    .help = "Writes runnel.yaml, .env, .gitignore and workflows/segment-to-discord.yaml into DIR "
            "(this folder unless\ngiven). Files that are there already are never overwritten.",
    .examples = "runnel init my-project && cd my-project && runnel up --sandbox",
    .max_args = 1,
    .run = run_init,
    .flags = CLI_NO_PROJECT,
};
