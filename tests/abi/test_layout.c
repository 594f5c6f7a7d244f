/* Sizes and places of ABI 1.0 on a 64-bit machine. A change here breaks every built plugin: it
 * needs a new major number (sdk/ABI.md). */
#include <stdio.h>

#include <runnel/component.h>

static int failures;

static void check(const char *what, size_t is, size_t wanted)
{
    if (is == wanted)
        return;
    (void)fprintf(stderr, "%s is %zu, the ABI has %zu\n", what, is, wanted);
    failures++;
}

#define SIZE(struct_, size_) check("the size of " #struct_, sizeof(struct struct_), size_)
#define OFFSET(struct_, member_, at_)                                                              \
    check("the place of " #struct_ "." #member_, offsetof(struct struct_, member_), at_)

int main(void)
{
    if (sizeof(void *) != 8)
        return 0;
    SIZE(rn_plugin, 64);
    SIZE(rn_component, 112);
    SIZE(rn_app, 72);
    SIZE(rn_prop, 136);
    SIZE(rn_auth, 48);
    SIZE(rn_auth_field, 40);
    SIZE(rn_input, 16);
    SIZE(rn_options_query, 32);
    SIZE(rn_http_request, 152);
    SIZE(rn_http_response, 56);
    SIZE(rn_emit_meta, 40);
    SIZE(rn_part, 40);
    SIZE(rn_pair, 16);
    SIZE(rn_api, 624);
    OFFSET(rn_plugin, abi_major, 0);
    OFFSET(rn_plugin, abi_minor, 4);
    OFFSET(rn_plugin, struct_size, 8);
    OFFSET(rn_plugin, component_size, 12);
    OFFSET(rn_plugin, app_size, 16);
    OFFSET(rn_plugin, prop_size, 20);
    OFFSET(rn_plugin, components, 56);
    OFFSET(rn_component, props, 48);
    OFFSET(rn_component, run, 104);
    OFFSET(rn_app, prop_definitions, 40);
    OFFSET(rn_app, test, 64);
    OFFSET(rn_prop, options, 48);
    OFFSET(rn_prop, definition, 88);
    OFFSET(rn_prop, format, 128);
    OFFSET(rn_http_request, json, 80);
    OFFSET(rn_http_request, retry_after_path, 144);
    OFFSET(rn_http_response, json, 32);
    OFFSET(rn_emit_meta, ts, 32);
    OFFSET(rn_api, json_parse, 8);
    OFFSET(rn_api, prop, 192);
    OFFSET(rn_api, db_get, 240);
    OFFSET(rn_api, event, 272);
    OFFSET(rn_api, export_value, 352);
    OFFSET(rn_api, http, 384);
    OFFSET(rn_api, hmac_hex, 400);
    OFFSET(rn_api, deadline_ms, 488);
    OFFSET(rn_api, temp_dir, 536);
    OFFSET(rn_api, respond_now, 544);
    OFFSET(rn_api, flow_wait, 552);
    OFFSET(rn_api, rerun_value, 576);
    OFFSET(rn_api, store, 584);
    OFFSET(rn_api, dir_path, 592);
    OFFSET(rn_api, dir_write, 608);
    OFFSET(rn_api, send, 616);
    SIZE(rn_store_request, 40);
    SIZE(rn_store_answer, 24);
    return failures;
}
