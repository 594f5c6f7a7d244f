/* Reading what an option names. */
#include "cli/cli.h"

#include "base/limits.h"

#include <errno.h>

int cli_read_json(const char *given, struct json **ret, struct err *err)
{
    if (!given) {
        *ret = json_new_object();
        return 0;
    }
    if (*given == '{' || *given == '[')
        return json_parse(str_from(given), ret, err) ? err_prefix(err, "the JSON given") : 0;
    FILE *file = strcmp(given, "-") == 0 ? stdin : fopen(given, "re");
    if (!file)
        return err_set(err, RN_ENOTFOUND,
                       "%s cannot be read: %s (give a file, - for standard input, or the JSON "
                       "itself)",
                       given, strerror(errno));
    struct buf text = BUF_INIT(LIMIT_JSON_BYTES);
    char chunk[65536];
    size_t n;
    while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
        buf_add(&text, chunk, n);
    if (file != stdin)
        fclose(file);
    int rc = buf_is_overflowed(&text)
                 ? err_set(err, RN_ETOOBIG, "more than %zu MiB", LIMIT_JSON_BYTES >> 20)
                 : json_parse(buf_str(&text), ret, err);
    buf_release(&text);
    return rc ? err_prefix(err, "%s", strcmp(given, "-") == 0 ? "standard input" : given) : 0;
}
