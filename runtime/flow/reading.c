#include "flow/reading.h"

#include <stdarg.h>

int reading_wrong(struct reading *r, const struct json *where, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    r->where = where;
    return err_set(r->err, RN_EINVAL, "%s", text);
}
