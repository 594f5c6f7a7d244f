/* The console's files as the build made them (console/, cmake/Console.cmake): bytes inside the
 * binary. None if it was built without npm. */
#ifndef RUNNEL_API_ASSETS_H
#define RUNNEL_API_ASSETS_H

#include <stdbool.h>
#include <stddef.h>

struct console_asset {
    const char *path; /* "/index.html" */
    const char *type;
    const char *etag; /* with its quotes */
    bool is_hashed;   /* its name changes with its content */
    const char *data, *data_end;
    const char *gzip, *gzip_end;
};

extern const struct console_asset console_assets[];
extern const size_t console_asset_count;

#endif
