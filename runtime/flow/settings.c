/* runnel.yaml, but for its accounts. */
#include "flow/load.h"

#include <arpa/inet.h>

enum { ENTRIES_MAX = 1000 };

/* A text with ${NAME} filled in; the caller frees. NULL if absent or wrong. */
static char *read_expanded(struct file *file, const struct json *object, const char *name)
{
    const char *text = field_text(file, object, name);
    return text ? env_expand(file, json_get(object, name)) : NULL;
}

static void replace(char **old, char *text)
{
    free(*old);
    *old = text;
}

/* ------------------------------------------------------------- addresses */

static bool is_port(struct str text)
{
    uint64_t port;
    return num_parse_u64(text, &port) == 0 && port <= 65535;
}

/* Cuts ":port" off host:port or [host]:port. False if there is no valid port. */
static bool split_port(struct str text, struct str *ret_host)
{
    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    if (colon == 0 || !is_port(str_n(text.ptr + colon, text.len - colon)))
        return false;
    struct str host = str_n(text.ptr, colon - 1);
    if (str_starts(host, "[") && str_ends(host, "]"))
        host = str_n(host.ptr + 1, host.len - 2);
    else if (host.len && memchr(host.ptr, ':', host.len))
        return false;
    *ret_host = host;
    return true;
}

static int address_bits(struct str text)
{
    unsigned char bytes[16];
    char copy[64];
    if (text.len == 0 || text.len >= sizeof(copy))
        return 0;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, bytes) == 1)
        return 32;
    return inet_pton(AF_INET6, copy, bytes) == 1 ? 128 : 0;
}

/* CIDR, or an address with or without a port. */
static bool is_network(struct str text)
{
    struct str rest = text, host;
    if (memchr(text.ptr, '/', text.len)) {
        uint64_t bits;
        (void)str_cut(&rest, '/', &host);
        return num_parse_u64(rest, &bits) == 0 && address_bits(host) > 0 &&
               bits <= (uint64_t)address_bits(host);
    }
    return address_bits(text) > 0 || (split_port(text, &host) && address_bits(host) > 0);
}

static void read_listen(struct file *file, const struct json *root, const char *name, char **ret)
{
    char *text = read_expanded(file, root, name);
    struct str host;
    if (!text)
        return;
    if (split_port(str_from(text), &host) && host.len > 0) {
        replace(ret, text);
        return;
    }
    at_value(file, json_get(root, name),
             "\"%s\" must be an address and a port, such as 127.0.0.1:8080, not \"%s\"", name,
             text);
    free(text);
}

/* scheme://host[:port] and, where `has_path`, more. */
static bool is_http_url(struct str url, bool has_path)
{
    struct str rest;
    if (str_starts(url, "https://"))
        rest = str_n(url.ptr + 8, url.len - 8);
    else if (str_starts(url, "http://"))
        rest = str_n(url.ptr + 7, url.len - 7);
    else
        return false;
    for (size_t i = 0; i < rest.len; i++)
        if ((unsigned char)rest.ptr[i] <= ' ' || strchr("?#@\\", rest.ptr[i]))
            return false;
    const char *slash = rest.len ? memchr(rest.ptr, '/', rest.len) : NULL;
    size_t host = slash ? (size_t)(slash - rest.ptr) : rest.len;
    return host > 0 && (has_path || !slash);
}

static void read_public_url(struct file *file, const struct json *root, struct project *project)
{
    char *text = read_expanded(file, root, "public_url");
    if (!text)
        return;
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == '/')
        text[--len] = '\0';
    if (is_http_url(str_from(text), true)) {
        replace(&project->public_url, text);
        return;
    }
    at_value(file, json_get(root, "public_url"),
             "\"public_url\" must be an http or https URL without query, such as "
             "https://hooks.example.com, not \"%s\"",
             text);
    free(text);
}

/* ------------------------------------------------------------------ parts */

static char *read_path(struct file *file, const struct json *object, const char *name,
                       const char *dir)
{
    char *text = read_expanded(file, object, name);
    if (!text || text[0] == '/')
        return text;
    char *path = xasprintf("%s/%s", dir, text);
    free(text);
    return path;
}

static void read_tls(struct file *file, const struct json *root, struct project *project)
{
    static const char *const keys[] = {"certificate", "key", NULL};
    const struct json *tls = field(file, root, "tls", JSON_OBJECT);
    if (!tls)
        return;
    check_keys(file, tls, keys, "\"tls\"");
    for (size_t i = 0; keys[i]; i++)
        if (!json_get(tls, keys[i]))
            at_name(file, tls, "\"tls\" needs \"%s\": the path of a PEM file", keys[i]);
    project->tls_certificate = read_path(file, tls, "certificate", project->dir);
    project->tls_key = read_path(file, tls, "key", project->dir);
}

static void read_egress(struct file *file, const struct json *root, struct project *project)
{
    static const char *const keys[] = {"allow", "rewrite", NULL};
    const struct json *egress = field(file, root, "egress", JSON_OBJECT);
    check_keys(file, egress, keys, "\"egress\"");
    const struct json *allow = field(file, egress, "allow", JSON_ARRAY);
    if (json_count(allow) > ENTRIES_MAX) {
        at_name(file, allow, "more than %d entries", ENTRIES_MAX);
        allow = NULL;
    }
    project->egress_allow = xcalloc(json_count(allow) + 1, sizeof(*project->egress_allow));
    for (const struct json *item = json_first(allow); item; item = json_next(item)) {
        char *text = json_is(item, JSON_STRING) ? env_expand(file, item) : NULL;
        char value[SHOWN_MAX];
        if (text && is_network(str_from(text))) {
            project->egress_allow[project->egress_allow_count++] = text;
            continue;
        }
        if (text || !json_is(item, JSON_STRING))
            at_value(file, item,
                     "an entry of \"allow\" is a network (10.0.0.0/8) or an address with or "
                     "without a port (127.0.0.1:9400), not %s",
                     shown(item, value));
        free(text);
    }
    const struct json *rewrite = field(file, egress, "rewrite", JSON_OBJECT);
    if (json_count(rewrite) > ENTRIES_MAX) {
        at_name(file, rewrite, "more than %d entries", ENTRIES_MAX);
        rewrite = NULL;
    }
    project->rewrites = xcalloc(json_count(rewrite) + 1, sizeof(*project->rewrites));
    for (const struct json *item = json_first(rewrite); item; item = json_next(item)) {
        char *to = json_is(item, JSON_STRING) ? env_expand(file, item) : NULL;
        char value[SHOWN_MAX];
        bool is_from = is_http_url(str_from(json_name(item)), false),
             is_to = to && is_http_url(str_from(to), true);
        if (!is_from)
            at_name(file, item,
                    "a name in \"rewrite\" is scheme://host or scheme://host:port, not \"%s\"",
                    json_name(item));
        if (!is_to && (to || !json_is(item, JSON_STRING)))
            at_value(file, item,
                     "a value in \"rewrite\" is an http or https URL without query, not %s",
                     shown(item, value));
        if (is_from && is_to)
            project->rewrites[project->rewrite_count++] =
                (struct rewrite){.from = xstrdup(json_name(item)), .to = to};
        else
            free(to);
    }
}

static void read_limits(struct file *file, const struct json *root, struct project *project)
{
    static const char *const keys[] = {"body", "store", "history", "plugin_memory", "files", NULL};
    static const char *const history_keys[] = {"bytes", "age", NULL};
    const int64_t years = 100LL * 366 * 24 * 3600 * 1000;
    const struct json *limits = field(file, root, "limits", JSON_OBJECT);
    check_keys(file, limits, keys, "\"limits\"");
    project->limits.body =
        (size_t)field_bytes(file, limits, "body", LIMIT_HTTP_BODY_MAX, project->limits.body);
    project->limits.store =
        field_bytes(file, limits, "store", UINT64_MAX >> 1, project->limits.store);
    project->limits.plugin_memory =
        (size_t)field_bytes(file, limits, "plugin_memory", GIB(64), project->limits.plugin_memory);
    project->limits.files =
        field_bytes(file, limits, "files", LIMIT_FILES_MAX, project->limits.files);
    const struct json *history = field(file, limits, "history", JSON_OBJECT);
    check_keys(file, history, history_keys, "\"history\"");
    project->limits.history_bytes =
        field_bytes(file, history, "bytes", UINT64_MAX >> 1, project->limits.history_bytes);
    project->limits.history_age_ms =
        field_duration(file, history, "age", years, project->limits.history_age_ms);
    if (project->limits.store < MIB(1))
        at_value(file, json_get(limits, "store"), "a store of less than 1MiB holds nothing");
}

static void read_env(struct file *file, const struct json *root)
{
    const struct json *env = field(file, root, "env", JSON_ARRAY);
    for (const struct json *item = json_first(env); item; item = json_next(item)) {
        char value[SHOWN_MAX];
        if (json_c(item) && is_identifier(json_str(item)))
            env_note(file->load, json_str(item));
        else
            at_value(file, item, "an entry of \"env\" is the name of a variable, not %s",
                     shown(item, value));
    }
}

void settings_read(struct file *file, const struct json *root)
{
    static const char *const keys[] = {"listen", "admin",  "public_url", "tls",  "accounts",
                                       "egress", "limits", "env",        "smtp", NULL};
    struct project *project = file->load->project;
    if (json_is(root, JSON_NULL))
        return; /* an empty file: everything by default */
    if (!json_is(root, JSON_OBJECT)) {
        at_value(file, root, "runnel.yaml is a mapping: listen, admin, accounts …");
        return;
    }
    check_keys(file, root, keys, "runnel.yaml");
    read_listen(file, root, "listen", &project->listen);
    read_listen(file, root, "admin", &project->admin);
    read_public_url(file, root, project);
    read_tls(file, root, project);
    read_egress(file, root, project);
    read_limits(file, root, project);
    smtp_read(file, root);
    read_env(file, root);
    accounts_read(file, field(file, root, "accounts", JSON_OBJECT));
}
