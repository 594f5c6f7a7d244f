/* The helper_functions plugin: those of Pipedream's helpers that work on the files of a run. */
#include "helper_functions.h"

const struct rn_app helper_functions_app = {
    .slug = "helper_functions",
    .name = "Helper Functions",
    .description = "Downloads files into the run's folder and reads them.",
};

static const struct rn_app *const apps[] = {&helper_functions_app};
static const struct rn_component *const components[] = {&helper_download_file_to_tmp,
                                                        &helper_csv_file_to_objects};

const struct rn_plugin runnel_plugin = {
    RN_PLUGIN_HEAD,
    .name = "helper_functions",
    .version = "0.0.1",
    .apps = apps,
    .app_count = RN_COUNT(apps),
    .components = components,
    .component_count = RN_COUNT(components),
};
