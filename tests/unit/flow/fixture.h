/* A project in a temporary folder and a handful of components to check it against. For test
 * programs of this folder. */
#ifndef TESTS_FLOW_FIXTURE_H
#define TESTS_FLOW_FIXTURE_H

#include "flow/load.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

static struct json *fixture_json(const char *text)
{
    struct json *value = NULL;
    struct err err = ERR_INIT;
    if (json_parse(str_from(text), &value, &err) != 0)
        fail_msg("%s: %s", text, err.text);
    return value;
}

/* ------------------------------------------------------------ components */

static struct prop_def segment_props[] = {
    {.name = "segmentApp", .type = RN_APP, .app = "segment", .label = "", .description = ""},
    {.name = "db", .type = RN_DB_SERVICE, .label = "", .description = ""},
    {.name = "http", .type = RN_HTTP_INTERFACE, .label = "", .description = ""},
    {.name = "workspace",
     .type = RN_STRING,
     .has_remote_options = true,
     .label = "",
     .description = ""},
    {.name = "source",
     .type = RN_STRING,
     .has_remote_options = true,
     .label = "",
     .description = ""},
    {.name = "api", .type = RN_STRING, .flags = RN_OPTIONAL, .label = "", .description = ""},
};
static struct prop_def discord_props[] = {
    {.name = "discordWebhook",
     .type = RN_APP,
     .app = "discord_webhook",
     .label = "",
     .description = ""},
    {.name = "message", .type = RN_STRING, .label = "", .description = ""},
    {.name = "threadID", .type = RN_STRING, .flags = RN_OPTIONAL, .label = "", .description = ""},
    {.name = "username", .type = RN_STRING, .flags = RN_OPTIONAL, .label = "", .description = ""},
    {.name = "embeds", .type = RN_ANY, .flags = RN_OPTIONAL, .label = "", .description = ""},
};
static struct prop_def sheets_props[] = {
    {.name = "googleSheets",
     .type = RN_APP,
     .app = "google_sheets",
     .label = "",
     .description = ""},
    {.name = "sheetId",
     .type = RN_STRING,
     .has_remote_options = true,
     .label = "",
     .description = ""},
    {.name = "worksheetId",
     .type = RN_INTEGER,
     .has_remote_options = true,
     .label = "",
     .description = ""},
    {.name = "rows", .type = RN_STRING, .label = "", .description = ""},
};
static struct prop_def kitchen_props[] = {
    {.name = "count",
     .type = RN_INTEGER,
     .flags = RN_OPTIONAL | RN_HAS_MIN | RN_HAS_MAX,
     .min = 1,
     .max = 10,
     .label = "",
     .description = ""},
    {.name = "ratio",
     .type = RN_INTEGER,
     .is_list = true,
     .flags = RN_OPTIONAL,
     .label = "",
     .description = ""},
    {.name = "tags",
     .type = RN_STRING,
     .is_list = true,
     .flags = RN_OPTIONAL,
     .label = "",
     .description = ""},
    {.name = "isOn", .type = RN_BOOLEAN, .flags = RN_OPTIONAL, .label = "", .description = ""},
    {.name = "map", .type = RN_OBJECT, .flags = RN_OPTIONAL, .label = "", .description = ""},
    {.name = "any", .type = RN_ANY, .flags = RN_OPTIONAL, .label = "", .description = ""},
    {.name = "color", .type = RN_STRING, .flags = RN_OPTIONAL, .label = "", .description = ""},
    {.name = "level", .type = RN_INTEGER, .flags = 0, .label = "", .description = ""},
    {.name = "token",
     .type = RN_STRING,
     .flags = RN_OPTIONAL | RN_SECRET,
     .label = "",
     .description = ""},
    {.name = "request",
     .type = RN_HTTP_REQUEST,
     .flags = RN_OPTIONAL,
     .label = "",
     .description = ""},
    {.name = "hint", .type = RN_ALERT, .label = "", .description = ""},
};
static struct prop_def timer_props[] = {
    {.name = "timer", .type = RN_TIMER_INTERFACE, .label = "", .description = ""},
    {.name = "name", .type = RN_STRING, .label = "", .description = ""},
};
static struct prop_def open_props[] = {
    {.name = "swapi", .type = RN_APP, .app = "swapi", .label = "", .description = ""},
    {.name = "table", .type = RN_STRING, .label = "", .description = ""},
};

#define PROPS(table_) .props = (table_), .prop_count = COUNT_OF(table_)

static const struct component_def fixture_components[] = {
    {.key = "discord_webhook-send-message", .version = "0.0.2", PROPS(discord_props)},
    {.key = "discord_webhook-send-message", .version = "0.0.1", PROPS(discord_props)},
    {.key = "google_sheets-add-multiple-rows",
     .version = "0.0.1",
     .has_additional_props = true,
     PROPS(sheets_props)},
    {.key = "kitchen-sink", .version = "1.0.0", PROPS(kitchen_props)},
    {.key = "kitchen-timer", .version = "1.0.0", .is_source = true, PROPS(timer_props)},
    {.key = "segment-webhook-destination",
     .version = "0.0.1",
     .is_source = true,
     .dedupe = RN_DEDUPE_UNIQUE,
     PROPS(segment_props)},
    {.key = "swapi-get-film", .version = "0.0.1", .has_additional_props = true, PROPS(open_props)},
};

static struct app_def fixture_apps[] = {
    {.slug = "discord_webhook", .name = "Discord"},
    {.slug = "google_sheets", .name = "Sheets"},
    {.slug = "segment", .name = "Segment"},
    {.slug = "swapi", .name = "SWAPI"},
};

static struct json *fixture_kept[16];
static size_t fixture_kept_count;

static const struct json *kept(const char *text)
{
    return fixture_kept[fixture_kept_count++] = fixture_json(text);
}

static struct prop_def *kitchen(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(kitchen_props); i++)
        if (strcmp(kitchen_props[i].name, name) == 0)
            return &kitchen_props[i];
    fail_msg("no prop %s", name);
    return NULL;
}

static int fixture_setup(void **state)
{
    (void)state;
    kitchen("color")->options = kept("[\"red\",\"green\",{\"label\":\"Sky\",\"value\":\"blue\"}]");
    kitchen("level")->default_value = kept("7");
    fixture_apps[0].auths = kept("[{\"kind\":\"keys\",\"fields\":[{\"name\":\"oauth_uid\"}]},{"
                                 "\"kind\":\"keys\",\"fields\":[{\"name\":\"webhook_url\"}]}]");
    fixture_apps[1].auths =
        kept("[{\"kind\":\"google_service_account\",\"fields\":[{\"name\":\"service_account\"}]},"
             "{\"kind\":\"oauth2_refresh\",\"fields\":[{\"name\":\"client_id\"},{\"name\":\"client_"
             "secret\"},{\"name\":\"refresh_token\"}]}]");
    fixture_apps[2].auths =
        kept("[{\"kind\":\"keys\",\"fields\":[{\"name\":\"access_token\"},{\"name\":\"write_key\","
             "\"optional\":true},{\"name\":\"region\",\"default\":\"us\"}]}]");
    fixture_apps[3].auths = kept("[]");
    return 0;
}

static int fixture_teardown(void **state)
{
    (void)state;
    while (fixture_kept_count > 0)
        json_free(fixture_kept[--fixture_kept_count]);
    return 0;
}

static const struct component_def *fixture_component(void *ctx, struct str key, const char *version)
{
    (void)ctx;
    for (size_t i = 0; i < COUNT_OF(fixture_components); i++)
        if (str_eq_c(key, fixture_components[i].key) &&
            (!version || strcmp(version, fixture_components[i].version) == 0))
            return &fixture_components[i];
    return NULL;
}

static const struct component_def *fixture_component_at(void *ctx, size_t index)
{
    (void)ctx;
    return index < COUNT_OF(fixture_components) ? &fixture_components[index] : NULL;
}

static const struct app_def *fixture_app(void *ctx, struct str slug)
{
    (void)ctx;
    for (size_t i = 0; i < COUNT_OF(fixture_apps); i++)
        if (str_eq_c(slug, fixture_apps[i].slug))
            return &fixture_apps[i];
    return NULL;
}

static const struct app_def *fixture_app_at(void *ctx, size_t index)
{
    (void)ctx;
    return index < COUNT_OF(fixture_apps) ? &fixture_apps[index] : NULL;
}

static const struct lookup fixture_lookup = {.component = fixture_component,
                                             .component_at = fixture_component_at,
                                             .app = fixture_app,
                                             .app_at = fixture_app_at};

/* --------------------------------------------------------------- projects */

struct folder {
    char path[64];
};

static struct folder folder_new(void)
{
    struct folder folder = {.path = "/tmp/runnel-flow-XXXXXX"};
    assert_non_null(mkdtemp(folder.path));
    char *path = xasprintf("%s/workflows", folder.path);
    assert_int_equal(mkdir(path, 0755), 0);
    free(path);
    path = xasprintf("%s/sources", folder.path);
    assert_int_equal(mkdir(path, 0755), 0);
    free(path);
    return folder;
}

static void folder_write(const struct folder *folder, const char *name, const char *text)
{
    char *path = xasprintf("%s/%s", folder->path, name);
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    assert_int_equal(fwrite(text, 1, strlen(text), stream), strlen(text));
    assert_int_equal(fclose(stream), 0);
    free(path);
}

static void remove_all(const char *path)
{
    DIR *stream = opendir(path);
    const struct dirent *entry;
    while (stream && (entry = readdir(stream))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char *child = xasprintf("%s/%s", path, entry->d_name);
        if (unlink(child) != 0)
            remove_all(child);
        free(child);
    }
    if (stream)
        closedir(stream);
    (void)rmdir(path);
}

static void folder_remove(struct folder *folder)
{
    remove_all(folder->path);
}

/* The problems as text; the caller frees. */
static char *problems_text(const struct problems *problems)
{
    struct buf out = BUF_INIT(MIB(4));
    problems_write(&out, problems);
    return buf_take(&out, NULL);
}

static struct project *folder_load(const struct folder *folder, struct problems *problems)
{
    struct project_options options = {.dir = folder->path};
    struct project *project = NULL;
    struct err err = ERR_INIT;
    if (project_load_with(&options, &fixture_lookup, &project, problems, &err) != 0)
        fail_msg("%s", err.text);
    return project;
}

#endif
