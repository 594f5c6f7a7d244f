/* Accounts: named credentials, from runnel.yaml or sealed in the store, and the tokens fetched with
 * them. One fetch per account at a time; whoever asks meanwhile waits for it. Values leave this
 * file only for the plugin whose app the account is of. Thread: any; `lock` guards all. */
#include "crypto/jwt.h"
#include "engine/internal.h"

#include "base/encode.h"

enum {
    TOKEN_EARLY_MS = 60000,    /* a token is fetched anew this long before it ends */
    TOKEN_PLUGIN_LEAST_S = 60, /* a token endpoint that says less is taken to mean this */
    TOKEN_TIMEOUT_MS = 20000,
};

struct waiter {
    struct waiter *next;
    account_done done;
    void *ctx;
};

/* What is known of an account in this process: its token. Fields are read from the project or the
 * store at each resolve. */
struct token {
    char *value;
    int64_t expires_ms;
    bool is_fetching;
    struct waiter *waiters;
};

struct accounts {
    struct engine *engine;
    pthread_mutex_t lock;
    pthread_cond_t idle; /* fetches == 0 */
    struct map tokens;   /* name → struct token */
    int fetches;
};

struct accounts *accounts_new(struct engine *engine)
{
    struct accounts *accounts = xcalloc(1, sizeof(*accounts));
    accounts->engine = engine;
    pthread_mutex_init(&accounts->lock, NULL);
    pthread_cond_init(&accounts->idle, NULL);
    return accounts;
}

static void token_free(void *value)
{
    struct token *token = value;
    if (token->value)
        mem_wipe(token->value, strlen(token->value));
    free(token->value);
    free(token);
}

void accounts_free(struct accounts *accounts)
{
    if (!accounts)
        return;
    pthread_mutex_lock(&accounts->lock);
    while (accounts->fetches)
        pthread_cond_wait(&accounts->idle, &accounts->lock);
    pthread_mutex_unlock(&accounts->lock);
    map_release(&accounts->tokens, token_free);
    pthread_cond_destroy(&accounts->idle);
    pthread_mutex_destroy(&accounts->lock);
    free(accounts);
}

/* Reads and unseals a record. RN_ENOTFOUND without a text. */
static int read_sealed(struct accounts *accounts, const char *space, const char *name,
                       struct json **ret, struct err *err)
{
    struct store_view *view = NULL;
    int rc = store_view_begin(accounts->engine->store, &view, err);
    if (rc)
        return rc;
    struct buf plain = BUF_INIT(MIB(1));
    const struct seal_key *key = NULL;
    struct str sealed;
    rc = kv_get(STORE_VIEW(view), space, str_from(name), &sealed);
    if (rc == 0)
        rc = engine_seal_key(accounts->engine, &key, err);
    if (rc == 0)
        rc = unseal(key, sealed, str_from(name), &plain, err);
    store_view_end(view);
    if (rc == 0)
        rc = json_parse(buf_str(&plain), ret, err);
    if (plain.ptr)
        mem_wipe(plain.ptr, plain.len);
    buf_release(&plain);
    return rc;
}

struct sealed_write {
    const char *space, *name;
    struct str sealed; /* ptr NULL: delete */
};

static int apply_sealed(struct store_tx *tx, void *ctx, struct err *err)
{
    const struct sealed_write *write = ctx;
    if (!write->sealed.ptr)
        return kv_delete(tx, write->space, str_from(write->name), err);
    return kv_put(tx, write->space, str_from(write->name), write->sealed, err);
}

static int write_sealed(struct accounts *accounts, const char *space, const char *name,
                        const struct json *value, struct err *err)
{
    const struct seal_key *key = NULL;
    int rc = engine_seal_key(accounts->engine, &key, err);
    if (rc)
        return rc;
    struct buf sealed = BUF_INIT(MIB(1));
    size_t size = 0;
    char *text = json_text(value, &size);
    rc = seal(key, str_n(text, size), str_from(name), &sealed, err);
    mem_wipe(text, size);
    free(text);
    if (rc == 0) {
        struct sealed_write write = {space, name, buf_str(&sealed)};
        rc = store_run(accounts->engine->store, apply_sealed, &write, false, err);
    }
    buf_release(&sealed);
    return rc;
}

/* The app and the fields of an account, copied. */
static int find(struct accounts *accounts, const char *name, char **ret_app,
                struct json **ret_fields, struct err *err)
{
    struct project *project = engine_project(accounts->engine);
    for (size_t i = 0; i < project->account_count; i++) {
        if (strcmp(project->accounts[i].name, name) == 0) {
            *ret_app = xstrdup(project->accounts[i].app);
            *ret_fields = json_copy(project->accounts[i].auth);
            project_unref(project);
            return 0;
        }
    }
    project_unref(project);
    struct json *record = NULL;
    int rc = read_sealed(accounts, SPACE_ACCOUNTS, name, &record, err);
    if (rc == RN_ENOTFOUND)
        return err_set(
            err, RN_ECONFIG,
            "there is no account \"%s\": add it to runnel.yaml or with `runnel accounts add %s`",
            name, name);
    if (rc)
        return rc;
    const char *app = json_get_c(record, "app");
    *ret_app = xstrdup(app ? app : "");
    *ret_fields = json_take(record, "auth");
    json_free(record);
    return 0;
}

static bool has_required_fields(const struct json *auth, const struct json *fields)
{
    for (const struct json *f = json_first(json_get(auth, "fields")); f; f = json_next(f)) {
        const char *name = json_get_c(f, "name");
        if (!json_get_bool(f, "optional", false) && name && !json_get(fields, name))
            return false;
    }
    return true;
}

/* The first way of authenticating whose required fields the account has; NULL: none fits. */
static const struct json *choose_auth(const struct app_def *app, const struct json *fields)
{
    for (const struct json *a = json_first(app->auths); a; a = json_next(a))
        if (has_required_fields(a, fields))
            return a;
    return NULL;
}

/* What a fetch needs, copied so that the project may change meanwhile. */
struct fetch {
    struct accounts *accounts;
    char *name;
    char *kind;
    char *token_url, *scope;
    struct json *fields;
};

static void fetch_free(struct fetch *fetch)
{
    free(fetch->name);
    free(fetch->kind);
    free(fetch->token_url);
    free(fetch->scope);
    json_free(fetch->fields);
    free(fetch);
}

static void add_form(struct buf *form, const char *name, struct str value)
{
    buf_addf(form, "%s%s=", form->len ? "&" : "", name);
    encode_percent(form, value);
}

static int service_account_form(const struct fetch *fetch, struct buf *form, struct err *err)
{
    struct json *key = NULL;
    int rc = json_parse(json_get_text(fetch->fields, "service_account"), &key, err);
    if (rc)
        return err_set(err, RN_ECONFIG,
                       "account \"%s\": service_account is not the JSON of a key file",
                       fetch->name);
    const char *email = json_get_c(key, "client_email"), *pem = json_get_c(key, "private_key");
    const char *audience = json_get_c(key, "token_uri");
    struct buf jwt = BUF_INIT(KIB(64));
    if (!email || !pem) {
        rc = err_set(err, RN_ECONFIG,
                     "account \"%s\": service_account has no client_email or no private_key",
                     fetch->name);
    } else {
        int64_t now_s = clock_now_ms() / 1000;
        struct json *claims = json_new_object();
        json_set_string(claims, "iss", email);
        json_set_string(claims, "scope", fetch->scope);
        json_set_string(claims, "aud", audience ? audience : fetch->token_url);
        json_set_integer(claims, "iat", now_s);
        json_set_integer(claims, "exp", now_s + 3600);
        size_t size = 0;
        char *text = json_text(claims, &size);
        rc = jwt_sign_rs256(str_n(text, size), str_from(pem), json_get_c(key, "private_key_id"),
                            &jwt, err);
        free(text);
        json_free(claims);
    }
    if (rc == 0) {
        add_form(form, "grant_type", STR("urn:ietf:params:oauth:grant-type:jwt-bearer"));
        add_form(form, "assertion", buf_str(&jwt));
    }
    buf_release(&jwt);
    json_free(key);
    return rc;
}

static void refresh_form(const struct fetch *fetch, struct buf *form)
{
    struct json *rotated = NULL;
    struct str refresh_token = json_get_text(fetch->fields, "refresh_token");
    if (read_sealed(fetch->accounts, SPACE_TOKENS, fetch->name, &rotated, NULL) == 0 &&
        str_eq(json_get_text(rotated, "for"), refresh_token))
        refresh_token = json_get_text(rotated, "refresh_token");
    add_form(form, "grant_type", STR("refresh_token"));
    add_form(form, "refresh_token", refresh_token);
    add_form(form, "client_id", json_get_text(fetch->fields, "client_id"));
    add_form(form, "client_secret", json_get_text(fetch->fields, "client_secret"));
    json_free(rotated);
}

/* A vendor that rotates refresh tokens: the new one is kept, together with the one it stands for.
 */
static void keep_rotated(const struct fetch *fetch, const struct json *answer)
{
    struct str given = json_get_text(answer, "refresh_token");
    struct str original = json_get_text(fetch->fields, "refresh_token");
    if (!given.len || str_eq(given, original))
        return;
    struct json *record = json_new_object();
    json_set_str(record, "for", original);
    json_set_str(record, "refresh_token", given);
    struct err err = ERR_INIT;
    if (write_sealed(fetch->accounts, SPACE_TOKENS, fetch->name, record, &err))
        log_error("account %s: the new refresh token could not be kept: %s", fetch->name, err.text);
    json_free(record);
}

static int read_token(const struct fetch *fetch, struct fetch_response *response, char **ret_token,
                      int64_t *ret_expires_ms, struct err *err)
{
    struct json *answer = NULL;
    int rc = 0;
    if (json_parse(buf_str(&response->body), &answer, NULL))
        answer = NULL;
    const char *token = json_get_c(answer, "access_token");
    if (response->status != 200 || !token) {
        const char *what = json_get_c(answer, "error");
        const char *more = json_get_c(answer, "error_description");
        rc = err_set(err, response->status >= 500 ? RN_EUNAVAILABLE : RN_EAUTH,
                     "account \"%s\": %s answered %d%s%s%s%s", fetch->name, fetch->token_url,
                     response->status, what ? ": " : "", what ? what : "", more ? ": " : "",
                     more ? more : "");
    } else {
        int64_t seconds = json_get_i64(answer, "expires_in", 3600);
        if (seconds < TOKEN_PLUGIN_LEAST_S)
            seconds = TOKEN_PLUGIN_LEAST_S;
        *ret_token = xstrdup(token);
        *ret_expires_ms = clock_now_ms() + seconds * 1000;
        keep_rotated(fetch, answer);
    }
    json_free(answer);
    return rc;
}

static int fetch_token(const struct fetch *fetch, char **ret_token, int64_t *ret_expires_ms,
                       struct err *err)
{
    struct buf form = BUF_INIT(KIB(128));
    int rc = 0;
    if (strcmp(fetch->kind, "google_service_account") == 0)
        rc = service_account_form(fetch, &form, err);
    else
        refresh_form(fetch, &form);
    if (rc == 0) {
        struct fetch_header headers[] = {{"content-type", "application/x-www-form-urlencoded"},
                                         {"accept", "application/json"}};
        struct fetch_request request = {
            .method = "POST",
            .url = fetch->token_url,
            .headers = headers,
            .header_count = COUNT_OF(headers),
            .body = buf_str(&form),
            .timeout_ms = TOKEN_TIMEOUT_MS,
            .is_safe = true,
        };
        struct fetch_response response = {0};
        rc = http_client_fetch(fetch->accounts->engine->client, &request, &response, err);
        if (rc == 0)
            rc = read_token(fetch, &response, ret_token, ret_expires_ms, err);
        else
            (void)err_prefix(err, "account \"%s\"", fetch->name);
        fetch_response_release(&response);
    }
    if (form.ptr)
        mem_wipe(form.ptr, form.len);
    buf_release(&form);
    return rc;
}

static struct json *with_token(const struct json *fields, const char *token)
{
    struct json *auth = json_copy(fields);
    json_remove(
        auth, "refresh_token"); /* a component gets the access token, not what makes more of them */
    json_remove(auth, "client_secret");
    json_remove(auth, "service_account");
    json_set_string(auth, "oauth_access_token", token);
    return auth;
}

static void *fetch_main(void *ctx)
{
    struct fetch *fetch = ctx;
    struct accounts *accounts = fetch->accounts;
    struct err err = ERR_INIT;
    char *value = NULL;
    int64_t expires_ms = 0;
    int rc = fetch_token(fetch, &value, &expires_ms, &err);
    pthread_mutex_lock(&accounts->lock);
    struct token *token = map_get(&accounts->tokens, str_from(fetch->name));
    struct waiter *waiters = token->waiters;
    token->waiters = NULL;
    token->is_fetching = false;
    if (rc == 0) {
        free(token->value);
        token->value = xstrdup(value);
        token->expires_ms = expires_ms;
    }
    pthread_mutex_unlock(&accounts->lock);
    struct json *auth = rc == 0 ? with_token(fetch->fields, value) : NULL;
    while (waiters) {
        struct waiter *next = waiters->next;
        waiters->done(waiters->ctx, rc, auth, &err);
        free(waiters);
        waiters = next;
    }
    json_free(auth);
    free(value);
    fetch_free(fetch);
    pthread_mutex_lock(&accounts->lock);
    if (--accounts->fetches == 0)
        pthread_cond_signal(&accounts->idle);
    pthread_mutex_unlock(&accounts->lock);
    return NULL;
}

/* Hands out the token, or joins or starts its fetch. Takes `fields`. */
static void resolve_token(struct accounts *accounts, const char *name, const struct json *auth,
                          struct json *fields, account_done done, void *ctx)
{
    pthread_mutex_lock(&accounts->lock);
    struct token *token = map_get(&accounts->tokens, str_from(name));
    if (!token) {
        token = xcalloc(1, sizeof(*token));
        (void)map_put(&accounts->tokens, str_from(name), token);
    }
    if (token->value && token->expires_ms - TOKEN_EARLY_MS > clock_now_ms()) {
        struct json *values = with_token(fields, token->value);
        pthread_mutex_unlock(&accounts->lock);
        done(ctx, 0, values, NULL);
        json_free(values);
        json_free(fields);
        return;
    }
    struct waiter *waiter = xcalloc(1, sizeof(*waiter));
    *waiter = (struct waiter){token->waiters, done, ctx};
    token->waiters = waiter;
    bool must_fetch = !token->is_fetching;
    token->is_fetching = true;
    accounts->fetches += must_fetch ? 1 : 0;
    pthread_mutex_unlock(&accounts->lock);
    if (!must_fetch) {
        json_free(fields);
        return;
    }
    struct fetch *fetch = xcalloc(1, sizeof(*fetch));
    const char *scope = json_get_c(auth, "scope"), *url = json_get_c(auth, "token_url");
    *fetch = (struct fetch){
        .accounts = accounts,
        .name = xstrdup(name),
        .kind = xstrdup(json_get_c(auth, "kind")),
        .token_url = xstrdup(url ? url : ""),
        .scope = scope ? xstrdup(scope) : NULL,
        .fields = fields,
    };
    pthread_t thread;
    if (pthread_create(&thread, NULL, fetch_main, fetch))
        abort();
    pthread_detach(thread);
}

void accounts_resolve(struct accounts *accounts, const char *name, const char *app_slug,
                      account_done done, void *ctx)
{
    struct err err = ERR_INIT;
    char *app_of = NULL;
    struct json *fields = NULL;
    struct catalog *catalog = engine_catalog(accounts->engine);
    const struct app_def *app = NULL;
    const struct json *auth = NULL;
    int rc = find(accounts, name, &app_of, &fields, &err);
    if (rc == 0 && app_slug && strcmp(app_slug, app_of) != 0)
        rc =
            err_set(&err, RN_ECONFIG, "account \"%s\" is of %s, not of %s", name, app_of, app_slug);
    if (rc == 0 && !(app = catalog_app(catalog, str_from(app_of))))
        rc = err_set(&err, RN_ECONFIG,
                     "account \"%s\" is of %s, and no installed plugin has that app", name, app_of);
    if (rc == 0 && !(auth = choose_auth(app, fields)))
        rc =
            err_set(&err, RN_ECONFIG,
                    "account \"%s\" lacks a field that %s needs (see `runnel accounts add --help`)",
                    name, app_of);
    const char *kind = json_get_c(auth, "kind");
    if (rc) {
        done(ctx, rc, NULL, &err);
        json_free(fields);
    } else if (!kind || strcmp(kind, "keys") == 0) {
        done(ctx, 0, fields, NULL);
        json_free(fields);
    } else {
        resolve_token(accounts, name, auth, fields, done, ctx);
    }
    free(app_of);
    catalog_unref(catalog);
}

struct wait {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool is_done;
    int code;
    struct json *auth;
    struct err err;
};

static void wait_done(void *ctx, int code, const struct json *auth, const struct err *err)
{
    struct wait *wait = ctx;
    pthread_mutex_lock(&wait->lock);
    wait->code = code;
    wait->auth = auth ? json_copy(auth) : NULL;
    if (err)
        wait->err = *err;
    wait->is_done = true;
    pthread_cond_signal(&wait->cond);
    pthread_mutex_unlock(&wait->lock);
}

int accounts_resolve_wait(struct accounts *accounts, const char *name, const char *app,
                          struct json **ret, struct err *err)
{
    struct wait wait = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    accounts_resolve(accounts, name, app, wait_done, &wait);
    pthread_mutex_lock(&wait.lock);
    while (!wait.is_done)
        pthread_cond_wait(&wait.cond, &wait.lock);
    pthread_mutex_unlock(&wait.lock);
    pthread_cond_destroy(&wait.cond);
    pthread_mutex_destroy(&wait.lock);
    if (wait.code)
        return err_set(err, wait.code, "%s", wait.err.text);
    *ret = wait.auth;
    return 0;
}

bool accounts_invalidate(struct accounts *accounts, const char *name)
{
    pthread_mutex_lock(&accounts->lock);
    struct token *token = map_get(&accounts->tokens, str_from(name));
    bool had = token && token->value;
    if (had)
        token->expires_ms = 0;
    pthread_mutex_unlock(&accounts->lock);
    return had;
}

void accounts_forget_file(struct accounts *accounts)
{
    pthread_mutex_lock(&accounts->lock);
    size_t at = 0;
    for (const struct map_entry *e; (e = map_next(&accounts->tokens, &at));)
        ((struct token *)e->value)->expires_ms = 0;
    pthread_mutex_unlock(&accounts->lock);
}

int accounts_of_props(struct accounts *accounts, const struct component_def *component,
                      const struct json *props, struct json **ret, struct err *err)
{
    struct json *all = json_new_object();
    for (size_t i = 0; i < component->prop_count; i++) {
        const struct prop_def *prop = &component->props[i];
        const char *name =
            prop->type == RN_APP ? json_get_c(json_get(props, prop->name), "account") : NULL;
        if (!name)
            continue;
        struct json *auth = NULL;
        int rc = accounts_resolve_wait(accounts, name, prop->app, &auth, err);
        if (rc) {
            json_free(all);
            return rc;
        }
        (void)json_set(all, prop->name, auth);
    }
    *ret = all;
    return 0;
}

/* project_load asks for the app of an account that is not in runnel.yaml. The answer is a string of
 * the catalog's or NULL. */
const char *accounts_lookup(void *ctx, struct str name)
{
    struct accounts *accounts = ctx;
    char *key = str_dup(name);
    struct json *record = NULL;
    const char *slug = NULL;
    if (read_sealed(accounts, SPACE_ACCOUNTS, key, &record, NULL) == 0) {
        struct catalog *catalog = engine_catalog(accounts->engine);
        const struct app_def *app =
            catalog ? catalog_app(catalog, json_get_text(record, "app")) : NULL;
        slug = app ? app->slug : "";
        catalog_unref(catalog);
    }
    json_free(record);
    free(key);
    return slug;
}

static void describe(struct json *list, const char *name, const char *app, const char *from,
                     const struct json *fields)
{
    struct json *item = json_append(list, json_new_object());
    json_set_string(item, "name", name);
    json_set_string(item, "app", app);
    json_set_string(item, "from", from);
    struct json *names = json_set(item, "fields", json_new_array());
    for (const struct json *f = json_first(fields); f; f = json_next(f))
        (void)json_append(names, json_new_string_c(json_name(f)));
}

struct each_account {
    struct accounts *accounts;
    struct json *list;
    struct json *names;
};

static int each_name(void *ctx, struct str key, struct str value)
{
    (void)value;
    (void)json_append(((struct each_account *)ctx)->names, json_new_string(key));
    return 0;
}

struct json *engine_accounts(struct engine *engine)
{
    struct each_account each = {engine->accounts, json_new_array(), json_new_array()};
    struct project *project = engine_project(engine);
    for (size_t i = 0; i < project->account_count; i++)
        describe(each.list, project->accounts[i].name, project->accounts[i].app, "file",
                 project->accounts[i].auth);
    project_unref(project);
    struct store_view *view = NULL;
    if (store_view_begin(engine->store, &view, NULL) == 0)
        (void)kv_each(STORE_VIEW(view), SPACE_ACCOUNTS, each_name, &each);
    store_view_end(view);
    for (const struct json *n = json_first(each.names); n; n = json_next(n)) {
        struct json *record = NULL;
        struct err err = ERR_INIT;
        if (read_sealed(engine->accounts, SPACE_ACCOUNTS, json_c(n), &record, &err))
            log_warn("account %s: %s", json_c(n), err.text);
        describe(each.list, json_c(n), json_get_c(record, "app"), "store",
                 json_get(record, "auth"));
        json_free(record);
    }
    json_free(each.names);
    return each.list;
}

static bool is_in_file(struct engine *engine, const char *name)
{
    bool found = false;
    struct project *project = engine_project(engine);
    for (size_t i = 0; i < project->account_count && !found; i++)
        found = strcmp(project->accounts[i].name, name) == 0;
    project_unref(project);
    return found;
}

static int check_fields(const struct app_def *app, const struct json *fields, struct err *err)
{
    for (const struct json *f = json_first(fields); f; f = json_next(f)) {
        bool is_known = false;
        for (const struct json *a = json_first(app->auths); a && !is_known; a = json_next(a))
            for (const struct json *d = json_first(json_get(a, "fields")); d && !is_known;
                 d = json_next(d))
                is_known = str_eq_c(json_get_text(d, "name"), json_name(f));
        if (!is_known)
            return err_set(err, RN_EINVAL, "%s has no auth field \"%s\"", app->slug, json_name(f));
        if (!json_is(f, JSON_STRING))
            return err_set(err, RN_EINVAL, "the auth field \"%s\" is to be text", json_name(f));
    }
    if (!choose_auth(app, fields))
        return err_set(err, RN_EINVAL, "a required auth field of %s is missing", app->slug);
    return 0;
}

int engine_account_add(struct engine *engine, const char *name, const char *app_slug,
                       const struct json *fields, struct err *err)
{
    if (!*name || strlen(name) > 64 ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") !=
            strlen(name))
        return err_set(err, RN_EINVAL,
                       "an account's name is made of letters, digits, - _ and . (64 at most)");
    if (is_in_file(engine, name))
        return err_set(err, RN_EEXISTS, "runnel.yaml has an account \"%s\" already", name);
    struct catalog *catalog = engine_catalog(engine);
    const struct app_def *app = catalog_app(catalog, str_from(app_slug));
    int rc = app ? check_fields(app, fields, err)
                 : err_set(err, RN_ENOTFOUND, "there is no app \"%s\" (see `runnel components`)",
                           app_slug);
    catalog_unref(catalog);
    if (rc)
        return rc;
    struct json *record = json_new_object();
    json_set_string(record, "app", app_slug);
    (void)json_set(record, "auth", json_copy(fields));
    rc = write_sealed(engine->accounts, SPACE_ACCOUNTS, name, record, err);
    json_free(record);
    (void)accounts_invalidate(engine->accounts, name);
    return rc;
}

int engine_account_remove(struct engine *engine, const char *name, struct err *err)
{
    if (is_in_file(engine, name))
        return err_set(err, RN_EEXISTS, "the account \"%s\" is in runnel.yaml: remove it there",
                       name);
    struct json *record = NULL;
    int rc = read_sealed(engine->accounts, SPACE_ACCOUNTS, name, &record, err);
    json_free(record);
    if (rc == RN_ENOTFOUND)
        return err_set(err, rc, "there is no account \"%s\"", name);
    struct sealed_write write = {SPACE_ACCOUNTS, name, STR_NONE};
    rc = store_run(engine->store, apply_sealed, &write, false, err);
    write.space = SPACE_TOKENS;
    return rc ? rc : store_run(engine->store, apply_sealed, &write, false, err);
}
