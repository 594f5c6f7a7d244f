#include "flow/load.h"

static const struct component_def *component(void *ctx, struct str key, const char *version)
{
    return catalog_component(ctx, key, version);
}

static const struct component_def *component_at(void *ctx, size_t index)
{
    return index < catalog_component_count(ctx) ? catalog_component_at(ctx, index) : NULL;
}

static const struct app_def *app(void *ctx, struct str slug)
{
    return catalog_app(ctx, slug);
}

static const struct app_def *app_at(void *ctx, size_t index)
{
    return index < catalog_app_count(ctx) ? catalog_app_at(ctx, index) : NULL;
}

struct lookup lookup_of_catalog(struct catalog *catalog)
{
    if (!catalog)
        return (struct lookup){.component = NULL};
    return (struct lookup){.component = component,
                           .component_at = component_at,
                           .app = app,
                           .app_at = app_at,
                           .ctx = catalog};
}
