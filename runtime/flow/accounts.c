/* The accounts of runnel.yaml, against the auth fields that their apps declare. */
#include "flow/load.h"
#include "flow/names.h"

static const struct app_def *find_app(struct file *file, const struct json *value, const char *slug)
{
    const struct lookup *lookup = &file->load->lookup;
    if (!lookup->app)
        return NULL;
    const struct app_def *app = lookup->app(lookup->ctx, str_from(slug));
    if (app)
        return app;
    struct nearest nearest;
    nearest_init(&nearest, str_from(slug));
    const struct app_def *other;
    for (size_t i = 0; (other = lookup->app_at(lookup->ctx, i)); i++)
        nearest_offer(&nearest, other->slug);
    char hint[NEAREST_TEXT_MAX];
    at_value(file, value, "there is no app \"%s\"%s", slug,
             nearest.best ? nearest_text(&nearest, hint)
                          : ": `runnel components` lists what there is");
    return NULL;
}

static void check_names(struct file *file, const struct json *auth, const struct app_def *app)
{
    for (const struct json *given = json_first(auth); given; given = json_next(given)) {
        struct nearest nearest;
        nearest_init(&nearest, str_from(json_name(given)));
        bool is_known = false;
        for (const struct json *kind = json_first(app->auths); kind; kind = json_next(kind)) {
            for (const struct json *item = json_first(json_get(kind, "fields")); item;
                 item = json_next(item)) {
                const char *name = json_get_c(item, "name");
                is_known = is_known || (name && strcmp(name, json_name(given)) == 0);
                nearest_offer(&nearest, name);
            }
        }
        char hint[NEAREST_TEXT_MAX];
        if (!is_known)
            at_name(file, given, "the app %s has no auth field \"%s\"%s", app->slug,
                    json_name(given), nearest_text(&nearest, hint));
    }
}

/* The required fields of one auth kind that are not there; how many are. */
static size_t find_missing(const struct json *auth, const struct json *kind,
                           struct buf *ret_missing, size_t *ret_count)
{
    size_t there = 0;
    *ret_count = 0;
    for (const struct json *item = json_first(json_get(kind, "fields")); item;
         item = json_next(item)) {
        const char *name = json_get_c(item, "name");
        const struct json *given = name ? json_get(auth, name) : NULL;
        bool is_there = given && !json_is(given, JSON_NULL) &&
                        !(json_is(given, JSON_STRING) && json_str(given).len == 0);
        there += is_there ? 1 : 0;
        if (is_there || !name || json_get_bool(item, "optional", false) ||
            json_get(item, "default"))
            continue;
        buf_addf(ret_missing, "%s\"%s\"", (*ret_count)++ ? ", " : "", name);
    }
    return there;
}

/* The first kind whose required fields are all there is the one that is used; if none is, the
 * likeliest is named. */
static void check_required(struct file *file, const struct json *account, const struct json *auth,
                           const struct app_def *app)
{
    struct buf best = BUF_INIT(500);
    size_t best_there = 0;
    bool is_complete = json_count(app->auths) == 0;
    for (const struct json *kind = json_first(app->auths); kind && !is_complete;
         kind = json_next(kind)) {
        struct buf missing = BUF_INIT(500);
        size_t count, there = find_missing(auth, kind, &missing, &count);
        is_complete = count == 0;
        if (best.len == 0 || there > best_there) {
            buf_clear(&best);
            buf_add_str(&best, buf_str(&missing));
            best_there = there;
        }
        buf_release(&missing);
    }
    if (!is_complete)
        at_name(file, auth ? auth : account, "the account \"%s\" lacks %s of the app %s",
                json_name(account), buf_c(&best), app->slug);
    buf_release(&best);
}

static struct json *read_auth(struct file *file, const struct json *auth)
{
    struct json *result = json_new_object();
    for (const struct json *item = json_first(auth); item; item = json_next(item)) {
        char text[SHOWN_MAX];
        if (json_is(item, JSON_NUMBER)) {
            json_set_str(result, json_name(item), json_literal(item));
        } else if (json_is(item, JSON_STRING)) {
            char *value = env_expand(file, item);
            json_set_string(result, json_name(item), value);
            if (value)
                mem_wipe(value, strlen(value));
            free(value);
        } else if (!json_is(item, JSON_NULL)) {
            at_value(file, item, "the auth field \"%s\" must be a text, not %s", json_name(item),
                     shown(item, text));
        }
    }
    return result;
}

void accounts_read(struct file *file, const struct json *accounts)
{
    static const char *const keys[] = {"app", "auth", NULL};
    struct project *project = file->load->project;
    project->accounts = xcalloc(json_count(accounts) + 1, sizeof(*project->accounts));
    for (const struct json *item = json_first(accounts); item; item = json_next(item)) {
        if (!is_plain_name(str_from(json_name(item))))
            at_name(file, item,
                    "an account's name has letters, digits, '-', '_' and '.', 100 at most; \"%s\" "
                    "is none",
                    json_name(item));
        if (!json_is(item, JSON_OBJECT)) {
            at_value(file, item, "an account is a mapping: { app: SLUG, auth: { … } }");
            continue;
        }
        check_keys(file, item, keys, "an account");
        const char *slug = field_text(file, item, "app");
        const struct json *auth = field(file, item, "auth", JSON_OBJECT);
        if (!slug) {
            if (!json_get(item, "app"))
                at_name(file, item, "the account \"%s\" needs \"app\": the slug of its app",
                        json_name(item));
            continue;
        }
        const struct app_def *app = find_app(file, json_get(item, "app"), slug);
        size_t errors = problems_errors(file->load->problems);
        if (app) {
            check_names(file, auth, app);
            if (problems_errors(file->load->problems) ==
                errors) /* else the slip is what is missing */
                check_required(file, item, auth, app);
        }
        project->accounts[project->account_count++] = (struct account_file){
            .name = xstrdup(json_name(item)), .app = xstrdup(slug), .auth = read_auth(file, auth)};
    }
}
