/* fuzz: net */
/* Multipart bodies: the first line of the input is the boundary, the rest the body. Parts are views
 * into the body, in order, and never overlap. */
#include "fuzz.h"

#include "net/http_multipart.h"

#include <string.h>

struct seen {
    struct str body;
    const char *end;
    int count;
};

static void check_view(const struct seen *seen, struct str view)
{
    FUZZ_CHECK(view.len == 0 || (view.ptr >= seen->body.ptr &&
                                 view.ptr + view.len <= seen->body.ptr + seen->body.len));
}

static int each(void *ctx, const struct http_part *part)
{
    struct seen *seen = ctx;
    check_view(seen, part->name);
    check_view(seen, part->filename);
    check_view(seen, part->content_type);
    check_view(seen, part->data);
    FUZZ_CHECK(part->name.ptr && utf8_is_valid(part->name) && utf8_is_valid(part->filename));
    FUZZ_CHECK(part->name.len == 0 || part->name.ptr >= seen->end);
    seen->end = part->data.ptr + part->data.len;
    seen->count++;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
    char type[200];
    struct err err = ERR_INIT;
    if (!line || line - data > 100)
        return 0;
    (void)snprintf(type, sizeof(type), "multipart/form-data; boundary=%.*s", (int)(line - data),
                   (const char *)data);
    struct str body = str_n(line + 1, size - (size_t)(line - data) - 1);
    struct seen seen = {.body = body, .end = body.ptr};
    int rc = http_multipart_parse(str_from(type), body, each, &seen, &err);
    FUZZ_CHECK(rc == 0 || rc == RN_EINVAL || rc == RN_ETOOBIG);
    FUZZ_CHECK(rc == 0 || (err.code == rc && err.text[0]));
    FUZZ_CHECK(seen.count <= LIMIT_MULTIPART_PARTS);
    return 0;
}
