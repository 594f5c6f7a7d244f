#include "flow/http_auth.h"

#include "base/encode.h"
#include "flow/load.h"
#include "flow/reading.h"

enum {
    TOLERANCE_MS = 300000, /* as Stripe and Standard Webhooks have it */
    TOLERANCE_MAX_MS = 86400000,
    SIGNATURES_MAX = 32, /* in one header */
    SECRET_MAX = 4096,
};

struct preset {
    const char *name, *header, *field, *prefix, *content, *timestamp, *secret_prefix;
    enum crypto_digest digest;
    enum text_encoding encoding, secret_encoding;
};

/* Each as its vendor documents it; tests/unit/flow/test_http_auth.c has their examples. */
static const struct preset presets[] = {
    {.name = "standard-webhooks",
     .header = "webhook-signature",
     .prefix = "v1,",
     .content = "{header.webhook-id}.{header.webhook-timestamp}.{body}",
     .timestamp = "{header.webhook-timestamp}",
     .secret_prefix = "whsec_",
     .digest = CRYPTO_SHA256,
     .encoding = ENCODING_BASE64,
     .secret_encoding = ENCODING_BASE64},
    {.name = "github",
     .header = "x-hub-signature-256",
     .prefix = "sha256=",
     .content = "{body}",
     .digest = CRYPTO_SHA256,
     .encoding = ENCODING_HEX},
    {.name = "stripe",
     .header = "stripe-signature",
     .field = "v1",
     .content = "{field.t}.{body}",
     .timestamp = "{field.t}",
     .digest = CRYPTO_SHA256,
     .encoding = ENCODING_HEX},
    {.name = "segment",
     .header = "x-signature",
     .content = "{body}",
     .digest = CRYPTO_SHA1,
     .encoding = ENCODING_HEX},
};

static const char *const kinds[] = {"none",   "bearer", "hmac",    "standard-webhooks",
                                    "github", "stripe", "segment", NULL};
static const char *const digests[] = {"sha1", "sha256", "sha512", NULL};
static const char *const encodings[] = {"text", "hex", "base64", NULL};

/* ---- reading */

static int unknown(struct reading *r, const struct json *where, const char *what, struct str name,
                   const char *const *known)
{
    struct nearest nearest;
    struct buf all = BUF_INIT(400);
    char hint[NEAREST_TEXT_MAX];
    nearest_init(&nearest, name);
    for (size_t i = 0; known[i]; i++) {
        nearest_offer(&nearest, known[i]);
        buf_addf(&all, "%s%s", i ? ", " : "", known[i]);
    }
    int rc = reading_wrong(r, where, "there is no %s \"" STR_FMT "\"%s%s", what,
                           STR_ARG(str_n(name.ptr, name.len < 60 ? name.len : 60)),
                           nearest.best ? "" : "; there are: ",
                           nearest.best ? nearest_text(&nearest, hint) : buf_c(&all));
    buf_release(&all);
    return rc;
}

static int find_word(const char *const *words, struct str word)
{
    for (int i = 0; words[i]; i++)
        if (str_eq_c(word, words[i]))
            return i;
    return -1;
}

static int read_keys(struct reading *r, const struct json *object, const char *const *known)
{
    for (const struct json *m = json_first(object); m; m = json_next(m))
        if (find_word(known, str_from(json_name(m))) < 0)
            return unknown(r, m, "key", str_from(json_name(m)), known);
    return 0;
}

static int read_text(struct reading *r, const struct json *object, const char *name,
                     const char *otherwise, char **ret)
{
    const struct json *value = json_get(object, name);
    if (value && !json_c(value))
        return reading_wrong(r, value, "\"%s\" must be a text", name);
    if (value || otherwise)
        *ret = xstrdup(value ? json_c(value) : otherwise);
    return 0;
}

static int read_word(struct reading *r, const struct json *object, const char *name,
                     const char *const *words, int *ret)
{
    const struct json *value = json_get(object, name);
    if (!value)
        return 0;
    int found = find_word(words, json_str(value));
    if (found < 0)
        return unknown(r, value, name, json_str(value), words);
    *ret = found;
    return 0;
}

static int decode(struct buf *out, struct str text, enum text_encoding encoding)
{
    if (encoding == ENCODING_BASE64)
        return decode_base64(out, text);
    unsigned char *bytes = (unsigned char *)buf_reserve(out, text.len / 2 + 1);
    int rc = bytes ? decode_hex(text, bytes) : RN_ETOOBIG;
    if (rc == 0)
        buf_grew(out, text.len / 2);
    return rc;
}

static int decode_secret(struct reading *r, const struct json *value, enum text_encoding encoding,
                         const char *prefix, struct str *ret)
{
    struct buf out = BUF_INIT(SECRET_MAX);
    struct str text = json_str(value);
    int rc = 0;
    if (prefix && str_starts(text, prefix))
        text = str_n(text.ptr + strlen(prefix), text.len - strlen(prefix));
    if (encoding == ENCODING_TEXT)
        buf_add_str(&out, text);
    else
        rc = decode(&out, text, encoding);
    if (rc || out.len == 0) {
        buf_release(&out);
        return reading_wrong(r, value, rc ? "the secret is not %s" : "the secret is empty%s",
                             rc ? encodings[encoding] : "");
    }
    ret->len = out.len;
    ret->ptr = buf_take(&out, NULL);
    return 0;
}

/* One secret or a list of them. */
static int read_secrets(struct reading *r, const struct json *value, const struct json *owner,
                        enum text_encoding encoding, const char *prefix, struct http_auth *auth)
{
    const struct json *item = json_is(value, JSON_ARRAY) ? json_first(value) : value;
    if (!item)
        return reading_wrong(r, value ? value : owner, "a secret is missing%s",
                             r->is_draft ? "" : ": has the variable that it comes from a value?");
    for (; item; item = json_is(value, JSON_ARRAY) ? json_next(item) : NULL) {
        if (!json_is(item, JSON_STRING) || json_str(item).len == 0)
            return reading_wrong(r, item,
                                 "a secret is a text, as \"{{process.env.WEBHOOK_SECRET}}\"");
        if (auth->secret_count == LIMIT_SIGNATURE_SECRETS)
            return reading_wrong(r, item, "more than %d secrets", LIMIT_SIGNATURE_SECRETS);
        if (r->is_draft && has_expression(json_str(item)))
            continue; /* it has its value when the trigger is deployed */
        int rc = decode_secret(r, item, encoding, prefix, &auth->secrets[auth->secret_count]);
        if (rc)
            return rc;
        auth->secret_count++;
    }
    return 0;
}

/* Calls for each placeholder and each text between; a non-zero return ends it. */
static int each_part(struct str pattern, int (*each)(void *ctx, struct str part, bool is_name),
                     void *ctx)
{
    size_t at = 0;
    while (at < pattern.len) {
        ptrdiff_t open = str_find(pattern, "{", at),
                  close = open < 0 ? -1 : str_find(pattern, "}", (size_t)open);
        size_t end = open < 0 || close < 0 ? pattern.len : (size_t)open;
        int rc = end > at ? each(ctx, str_n(pattern.ptr + at, end - at), false) : 0;
        if (rc == 0 && end < pattern.len)
            rc = each(ctx, str_n(pattern.ptr + open + 1, (size_t)(close - open - 1)), true);
        if (rc)
            return rc;
        at = end < pattern.len ? (size_t)close + 1 : end;
    }
    return 0;
}

static int check_part(void *ctx, struct str part, bool is_name)
{
    bool *has_body = ctx;
    if (!is_name)
        return memchr(part.ptr, '{', part.len) ? RN_EINVAL : 0;
    *has_body |= str_eq_c(part, "body");
    return str_eq_c(part, "body") || str_eq_c(part, "method") || str_eq_c(part, "path") ||
                   str_eq_c(part, "query") || str_starts(part, "header.") ||
                   str_starts(part, "field.")
               ? 0
               : RN_EINVAL;
}

static int check_pattern(struct reading *r, const struct json *object, const char *name,
                         const char *pattern, bool needs_body)
{
    bool has_body = false;
    const struct json *where = json_get(object, name) ? json_get(object, name) : object;
    if (each_part(str_from(pattern), check_part, &has_body))
        return reading_wrong(r, where,
                             "\"%s\" may have {body}, {method}, {path}, {query}, {header.NAME} and "
                             "{field.NAME} in it",
                             name);
    if (needs_body && !has_body)
        return reading_wrong(r, where, "\"%s\" has no {body}: anybody could change it", name);
    return 0;
}

static int read_tolerance(struct reading *r, const struct json *object, struct http_auth *auth)
{
    const struct json *value = json_get(object, "tolerance");
    auth->tolerance_ms = TOLERANCE_MS;
    if (!value)
        return 0;
    if (!auth->timestamp)
        return reading_wrong(r, value, "\"tolerance\" needs a \"timestamp\" that it is for");
    if (!json_is(value, JSON_STRING) || num_parse_duration(json_str(value), &auth->tolerance_ms) ||
        auth->tolerance_ms < 1000 || auth->tolerance_ms > TOLERANCE_MAX_MS)
        return reading_wrong(r, value, "\"tolerance\" is a time from 1s to 1d, as 5m");
    return 0;
}

static void lower(char *text)
{
    for (; text && *text; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text + 32);
}

static int read_hmac(struct reading *r, const struct json *object, struct http_auth *auth)
{
    static const char *const keys[] = {
        "header",          "field",  "prefix",    "algorithm", "encoding", "secret",
        "secret_encoding", "signed", "timestamp", "tolerance", NULL};
    int digest = CRYPTO_SHA256, encoding = ENCODING_HEX, secret_encoding = ENCODING_TEXT;
    int rc = read_keys(r, object, keys);
    rc = rc ? rc : read_text(r, object, "header", NULL, &auth->header);
    rc = rc ? rc : read_text(r, object, "field", NULL, &auth->field);
    rc = rc ? rc : read_text(r, object, "prefix", "", &auth->prefix);
    rc = rc ? rc : read_text(r, object, "signed", "{body}", &auth->content);
    rc = rc ? rc : read_text(r, object, "timestamp", NULL, &auth->timestamp);
    rc = rc ? rc : read_word(r, object, "algorithm", digests, &digest);
    rc = rc ? rc : read_word(r, object, "encoding", encodings, &encoding);
    rc = rc ? rc : read_word(r, object, "secret_encoding", encodings, &secret_encoding);
    if (rc == 0 && !auth->header)
        rc = reading_wrong(r, object, "\"hmac\" needs \"header\": where the signature stands");
    if (rc == 0 && encoding == ENCODING_TEXT)
        rc = reading_wrong(r, json_get(object, "encoding"),
                           "a signature is written as hex or as base64");
    rc = rc ? rc : check_pattern(r, object, "signed", auth->content, true);
    if (rc == 0 && auth->timestamp)
        rc = check_pattern(r, object, "timestamp", auth->timestamp, false);
    rc = rc ? rc : read_tolerance(r, object, auth);
    lower(auth->header);
    auth->digest = (enum crypto_digest)digest;
    auth->encoding = (enum text_encoding)encoding;
    return rc ? rc
              : read_secrets(r, json_get(object, "secret"), object,
                             (enum text_encoding)secret_encoding, NULL, auth);
}

static int read_preset(struct reading *r, const struct json *value, const struct preset *preset,
                       struct http_auth *auth)
{
    static const char *const keys[] = {"secret", "tolerance", NULL};
    const struct json *secret = value;
    auth->header = xstrdup(preset->header);
    auth->field = preset->field ? xstrdup(preset->field) : NULL;
    auth->prefix = xstrdup(preset->prefix ? preset->prefix : "");
    auth->content = xstrdup(preset->content);
    auth->timestamp = preset->timestamp ? xstrdup(preset->timestamp) : NULL;
    auth->digest = preset->digest;
    auth->encoding = preset->encoding;
    auth->tolerance_ms = TOLERANCE_MS;
    int rc = 0;
    if (json_is(value, JSON_OBJECT)) {
        rc = read_keys(r, value, keys);
        rc = rc ? rc : read_tolerance(r, value, auth);
        secret = json_get(value, "secret");
    }
    return rc ? rc
              : read_secrets(r, secret, value, preset->secret_encoding, preset->secret_prefix,
                             auth);
}

int http_auth_parse(const struct json *config, bool is_draft, struct http_auth *ret,
                    const struct json **ret_where, struct err *err)
{
    struct reading r = {.is_draft = is_draft, .where = config, .err = err};
    struct http_auth auth = {.kind = HTTP_AUTH_NONE};
    int rc = 0;
    const struct json *value = json_first(config);
    if (!config || str_eq_c(json_str(config), "none")) {
        *ret = auth;
        return 0;
    }
    if (json_is(config, JSON_STRING) && find_word(kinds, json_str(config)) < 0)
        rc = unknown(&r, config, "auth", json_str(config), kinds);
    else if (!json_is(config, JSON_OBJECT) || json_count(config) != 1)
        rc = reading_wrong(
            &r, config,
            "\"auth\" is none, or a mapping with one of bearer, hmac, standard-webhooks, "
            "github, stripe and segment: auth: { github: { secret: … } }");
    else if (find_word(kinds + 1, str_from(json_name(value))) < 0)
        rc = unknown(&r, value, "auth", str_from(json_name(value)), kinds + 1);
    if (rc == 0) {
        auth.kind = HTTP_AUTH_SIGNATURE;
        if (strcmp(json_name(value), "bearer") == 0) {
            auth.kind = HTTP_AUTH_BEARER;
            rc = read_secrets(&r, value, value, ENCODING_TEXT, NULL, &auth);
        } else if (strcmp(json_name(value), "hmac") == 0) {
            rc = json_is(value, JSON_OBJECT)
                     ? read_hmac(&r, value, &auth)
                     : reading_wrong(&r, value, "\"hmac\" is a mapping: header, secret, …");
        }
        for (size_t i = 0; i < COUNT_OF(presets) && rc == 0; i++)
            if (strcmp(json_name(value), presets[i].name) == 0)
                rc = read_preset(&r, value, &presets[i], &auth);
    }
    if (rc) {
        http_auth_release(&auth);
        *ret_where = r.where;
        return rc;
    }
    *ret = auth;
    return 0;
}

void http_auth_release(struct http_auth *auth)
{
    for (size_t i = 0; i < auth->secret_count; i++) {
        char *secret = (char *)(uintptr_t)auth->secrets[i].ptr;
        mem_wipe(secret, auth->secrets[i].len);
        free(secret);
    }
    free(auth->header);
    free(auth->field);
    free(auth->prefix);
    free(auth->content);
    free(auth->timestamp);
    *auth = (struct http_auth){.kind = HTTP_AUTH_NONE};
}

/* ---- checking */

static int check_bearer(const struct http_auth *auth, const struct http_request *request,
                        struct err *err)
{
    struct str value = http_request_header(request, "authorization");
    bool is_known = false;
    if (value.len < 7 || !str_eq_nocase(str_n(value.ptr, 7), STR("bearer ")))
        return err_set(err, RN_EAUTH, "a bearer token is missing: Authorization: Bearer TOKEN");
    struct str token = str_trim(str_n(value.ptr + 7, value.len - 7));
    for (size_t i = 0; i < auth->secret_count; i++)
        is_known |= crypto_equal(token, auth->secrets[i]);
    return is_known ? 0 : err_set(err, RN_EAUTH, "this bearer token is not the one");
}

/* The part `name` of "t=1,v1=a,v1=b", the nth of that name. */
static struct str field_of(struct str header, struct str name, size_t nth)
{
    struct str part, key;
    while (str_cut(&header, ',', &part)) {
        struct str value = str_trim(part);
        bool has_value = str_find(value, "=", 0) > 0;
        (void)str_cut(&value, '=', &key);
        if (has_value && str_eq(str_trim(key), name) && nth-- == 0)
            return str_trim(value);
    }
    return STR_NONE;
}

struct filling {
    const struct http_auth *auth;
    const struct http_request *request;
    struct str path;
    struct buf *out;
    struct str missing;
};

static int fill_part(void *ctx, struct str part, bool is_name)
{
    struct filling *f = ctx;
    struct str value = part;
    if (!is_name) {
    } else if (str_eq_c(part, "body")) {
        value = f->request->body;
    } else if (str_eq_c(part, "method")) {
        value = str_from(f->request->method);
    } else if (str_eq_c(part, "path")) {
        value = f->path;
    } else if (str_eq_c(part, "query")) {
        value = f->request->query;
    } else if (str_starts(part, "header.")) {
        char *name = str_dup(str_n(part.ptr + 7, part.len - 7));
        lower(name);
        value = http_request_header(f->request, name);
        free(name);
    } else {
        value = field_of(http_request_header(f->request, f->auth->header),
                         str_n(part.ptr + 6, part.len - 6), 0);
    }
    if (is_name && !value.ptr && !str_eq_c(part, "body") && !str_eq_c(part, "query")) {
        f->missing = part;
        return RN_ENOTFOUND;
    }
    buf_add_str(f->out, value);
    return 0;
}

static int fill(const struct http_auth *auth, const struct http_request *request, struct str path,
                const char *pattern, struct buf *out, struct err *err)
{
    struct filling filling = {.auth = auth, .request = request, .path = path, .out = out};
    if (each_part(str_from(pattern), fill_part, &filling) == 0)
        return 0;
    bool is_header = str_starts(filling.missing, "header.");
    struct str name =
        str_n(filling.missing.ptr + (is_header ? 7 : 6), filling.missing.len - (is_header ? 7 : 6));
    return err_set(err, RN_EAUTH, "the %s \"" STR_FMT "\" that goes into the signature is missing",
                   is_header ? "header" : "field", STR_ARG(name));
}

static int check_time(const struct http_auth *auth, const struct http_request *request,
                      struct str path, int64_t now_ms, struct err *err)
{
    struct buf text = BUF_INIT(64);
    int64_t seconds = 0;
    if (!auth->timestamp)
        return 0;
    int rc = fill(auth, request, path, auth->timestamp, &text, err);
    if (rc == 0 &&
        (num_parse_i64(buf_str(&text), &seconds) || seconds < 0 || seconds > INT64_MAX / 1000))
        rc = err_set(err, RN_EAUTH, "the signature's timestamp is no number of seconds");
    int64_t apart = now_ms - seconds * 1000;
    if (rc == 0 && (apart > auth->tolerance_ms || -apart > auth->tolerance_ms))
        rc = err_set(err, RN_EAUTH,
                     "the signature's timestamp is %llds away from now; %llds are allowed",
                     (long long)((apart < 0 ? -apart : apart) / 1000),
                     (long long)(auth->tolerance_ms / 1000));
    buf_release(&text);
    return rc;
}

static bool is_signature_of(const struct http_auth *auth, struct str candidate, struct str content)
{
    struct buf given = BUF_INIT(CRYPTO_DIGEST_MAX + 1);
    bool is_right = false;
    int rc = decode(&given, candidate, auth->encoding);
    for (size_t i = 0; i < auth->secret_count && rc == 0; i++) {
        unsigned char expected[CRYPTO_DIGEST_MAX];
        size_t size = 0;
        crypto_hmac(auth->digest, auth->secrets[i], content, expected, &size);
        is_right |= crypto_equal(buf_str(&given), str_n(expected, size));
    }
    buf_release(&given);
    return is_right;
}

static bool has_signature_of(const struct http_auth *auth, struct str header, struct str content)
{
    struct str rest = header, one;
    for (size_t i = 0; i < SIGNATURES_MAX; i++) {
        if (auth->field) {
            one = field_of(header, str_from(auth->field), i);
            if (!one.ptr)
                return false;
        } else if (!str_cut(&rest, ' ', &one)) {
            return false;
        }
        if (!str_starts(one, auth->prefix))
            continue;
        size_t skipped = strlen(auth->prefix);
        if (is_signature_of(auth, str_n(one.ptr + skipped, one.len - skipped), content))
            return true;
    }
    return false;
}

int http_auth_check(const struct http_auth *auth, const struct http_request *request,
                    struct str path, int64_t now_ms, struct err *err)
{
    if (auth->kind == HTTP_AUTH_NONE)
        return 0;
    if (auth->kind == HTTP_AUTH_BEARER)
        return check_bearer(auth, request, err);
    struct str header = http_request_header(request, auth->header);
    if (!header.ptr)
        return err_set(err, RN_EAUTH, "the signature is missing: the header %s", auth->header);
    int rc = check_time(auth, request, path, now_ms, err);
    if (rc)
        return rc;
    struct buf content = BUF_INIT(LIMIT_FRAME_BYTES);
    rc = fill(auth, request, path, auth->content, &content, err);
    if (rc == 0 && !has_signature_of(auth, header, buf_str(&content)))
        rc = err_set(err, RN_EAUTH, "no signature in the header %s is right for this request",
                     auth->header);
    buf_release(&content);
    return rc;
}
