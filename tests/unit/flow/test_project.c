#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

static const char runnel_yaml[] =
    "# runnel.yaml\n"
    "listen: 127.0.0.1:8080\n"
    "admin: 127.0.0.1:8081\n"
    "public_url: https://hooks.example.com/\n"
    "accounts:\n"
    "  segment:      { app: segment, auth: { access_token: \"${SEGMENT_TOKEN}\", write_key: "
    "\"${SEGMENT_WRITE_KEY}\" } }\n"
    "  team-discord: { app: discord_webhook, auth: { oauth_uid: \"${DISCORD_WEBHOOK_URL}\" } }\n"
    "  google:       { app: google_sheets, auth: { service_account: \"${GOOGLE_JSON}\" } }\n"
    "egress:\n"
    "  allow: [127.0.0.0/8]\n"
    "  rewrite: { \"https://discord.com\": \"http://127.0.0.1:9400/discord\" }    # "
    "scheme://host[:port] → base URL\n"
    "limits: { body: 10MiB, store: 4GiB, history: { bytes: 1GiB, age: 30d } }\n";

static const char dotenv[] =
    "SEGMENT_TOKEN=tok\nexport SEGMENT_WRITE_KEY='wk'\nDISCORD_WEBHOOK_URL=https://discord.com/x # "
    "c\n"
    "GOOGLE_JSON='{\n  \"type\": \"service_account\"\n}'\nCHANNEL=c1\n";

static const char design_workflow[] =
    "# workflows/segment-to-discord.yaml: Pipedream's own keys\n"
    "name: Segment to Discord and Sheets\n"
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
    "      message: \"{{steps.trigger.event.type}} from {{steps.trigger.event.userId ?? "
    "'anonymous'}}\"\n"
    "  - namespace: log_row\n"
    "    uses: google_sheets-add-multiple-rows\n"
    "    props:\n"
    "      googleSheets: { account: google }\n"
    "      sheetId: 1AbC…\n"
    "      worksheetId: 0\n"
    "      rows: \"{{[[steps.trigger.event.messageId, steps.trigger.event.type]]}}\"\n";

static void test_design_project(void **state)
{
    (void)state;
    struct folder folder = folder_new();
    folder_write(&folder, "runnel.yaml", runnel_yaml);
    folder_write(&folder, ".env", dotenv);
    folder_write(&folder, "workflows/segment-to-discord.yaml", design_workflow);
    struct problems problems = PROBLEMS_INIT;
    struct project *project = folder_load(&folder, &problems);
    char *text = problems_text(&problems);
    assert_string_equal(text, "");
    assert_string_equal(project->public_url, "https://hooks.example.com");
    assert_int_equal(project->account_count, 3);
    assert_string_equal(json_get_c(project->accounts[0].auth, "access_token"), "tok");
    assert_string_equal(json_get_c(project->accounts[1].auth, "oauth_uid"),
                        "https://discord.com/x");
    assert_string_equal(json_get_c(project->accounts[2].auth, "service_account"),
                        "{\n  \"type\": \"service_account\"\n}");
    assert_string_equal(project->egress_allow[0], "127.0.0.0/8");
    assert_string_equal(project->rewrites[0].to, "http://127.0.0.1:9400/discord");
    assert_int_equal(project->limits.body, 10 << 20);
    assert_int_equal(project->limits.history_age_ms, 30LL * 86400000);
    assert_string_equal(json_get_c(project->env, "CHANNEL"), "c1");
    assert_int_equal(project->workflow_count, 1);
    const struct workflow *workflow = project_workflow(project, STR("segment-to-discord"));
    assert_ptr_equal(workflow, project_workflow(project, STR("Segment to Discord and Sheets")));
    assert_int_equal(workflow->timeout_ms, 30000);
    assert_int_equal(workflow->workers, 8);
    assert_string_equal(workflow->text, design_workflow);
    assert_int_equal(strlen(workflow->sha256), 64);
    assert_int_equal(workflow->trigger_count, 1);
    assert_string_equal(workflow->triggers[0].source, "workflows/segment-to-discord/segment");
    const struct source *source = project_source(project, str_from(workflow->triggers[0].source));
    assert_non_null(source);
    assert_string_equal(source->use.version, "0.0.1");
    assert_int_equal(source->remember, 10000);
    assert_int_equal(workflow->step_count, 2);
    assert_null(workflow->steps.list[0].use.version);
    assert_string_equal(workflow->steps.list[0].use.component->version, "0.0.2");
    assert_false(expr_is_constant(workflow->steps.list[0].use.template));
    assert_int_equal(workflow->steps.list[0].retry.attempts, 3);
    int64_t number = -1;
    assert_true(json_to_i64(json_get(workflow->steps.list[1].use.props, "worksheetId"), &number));
    assert_int_equal(number, 0);
    struct project *again = project_ref(project);
    project_unref(project);
    assert_int_equal(again->workflow_count, 1);
    project_unref(again);
    problems_release(&problems);
    free(text);
    folder_remove(&folder);
}

static void test_no_project(void **state)
{
    (void)state;
    struct folder folder = folder_new();
    struct project_options options = {.dir = folder.path};
    struct project *project = NULL;
    struct problems problems = PROBLEMS_INIT;
    struct err err = ERR_INIT;
    assert_int_equal(project_load_with(&options, &fixture_lookup, &project, &problems, &err),
                     RN_ENOTFOUND);
    assert_non_null(strstr(err.text, "runnel init"));
    options.dir = "/nonexistent/folder";
    assert_int_equal(project_load_with(&options, &fixture_lookup, &project, &problems, &err),
                     RN_ENOTFOUND);
    assert_non_null(strstr(err.text, "runnel init"));
    assert_null(project);
    folder_write(&folder, "runnel.yaml", "# nothing but defaults\n");
    project = folder_load(&folder, &problems);
    assert_int_equal(problems.count, 0);
    assert_string_equal(project->listen, "127.0.0.1:8080");
    assert_null(project->public_url);
    char **dirs = NULL;
    assert_int_equal(project_watched_dirs(project, &dirs), 3);
    assert_string_equal(dirs[0], project->dir);
    names_free(dirs, 3);
    project_unref(project);
    folder_remove(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_design_project),
                                       cmocka_unit_test(test_no_project)};
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
