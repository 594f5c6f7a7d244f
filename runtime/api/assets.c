/* The console's files. A path is looked up in the table of what was built in, so no path can lead
 * anywhere else. Thread: the listener's. */
#include "api/assets.h"

#include "api/routes.h"

/* No script but our own files, no inline one, nothing from elsewhere, no frame around us. */
#define POLICY                                                                                     \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "              \
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "                   \
    "frame-ancestors 'none'"

static const struct console_asset *find(struct str path)
{
    if (str_eq_c(path, "/"))
        path = STR("/index.html");
    for (size_t i = 0; i < console_asset_count; i++)
        if (str_eq_c(path, console_assets[i].path))
            return &console_assets[i];
    return NULL;
}

static void add_headers(struct http_response *response, const struct console_asset *asset)
{
    static const struct {
        const char *name, *value;
    } headers[] = {
        {"Content-Security-Policy", POLICY},
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Vary", "Accept-Encoding"},
    };
    for (size_t i = 0; i < COUNT_OF(headers); i++)
        (void)!http_response_header(response, headers[i].name, str_from(headers[i].value));
    if (asset)
        (void)!http_response_header(response, "ETag", str_from(asset->etag));
    (void)!http_response_header(
        response, "Cache-Control",
        asset && asset->is_hashed ? STR("public, max-age=31536000, immutable") : STR("no-cache"));
}

bool assets_answer(const struct http_request *request, struct http_response *response)
{
    const struct console_asset *asset = find(request->path);
    if (!asset && str_eq_c(request->path, "/")) {
        http_response_set(
            response, 200, "text/plain; charset=utf-8",
            STR("This runnel was built without the web console (npm was missing). The "
                "API is at /api/v1/.\n"));
        add_headers(response, NULL);
        return true;
    }
    if (!asset)
        return false;
    if (str_eq_c(http_request_header(request, "if-none-match"), asset->etag)) {
        response->status = 304;
        add_headers(response, asset);
        return true;
    }
    bool is_zipped =
        str_find(http_request_header(request, "accept-encoding"), "gzip", 0) >= 0 && asset->gzip;
    const char *start = is_zipped ? asset->gzip : asset->data,
               *end = is_zipped ? asset->gzip_end : asset->data_end;
    http_response_set(response, 200, asset->type, str_n(start, (size_t)(end - start)));
    if (is_zipped)
        (void)!http_response_header(response, "Content-Encoding", STR("gzip"));
    add_headers(response, asset);
    return true;
}
