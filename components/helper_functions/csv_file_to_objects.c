/* helper_functions-csv-file-to-objects: the records of a file of the run. */
#include "helper_functions.h"

#include <stdio.h>

static bool is_empty(struct rn_run *run, const struct rn_json *fields)
{
    for (const struct rn_json *f = rn_json_first(run, fields); f; f = rn_json_next(run, f)) {
        size_t size = 0;
        (void)rn_json_text(run, f, &size);
        if (size)
            return false;
    }
    return true;
}

/* {header: field}; a header that is there twice has the later field. */
static struct rn_json *object_of(struct rn_run *run, const struct rn_json *headers,
                                 const struct rn_json *fields)
{
    struct rn_json *object = rn_json_object(run);
    const struct rn_json *field = rn_json_first(run, fields);
    for (const struct rn_json *h = rn_json_first(run, headers); h && field;
         h = rn_json_next(run, h), field = rn_json_next(run, field))
        rn_json_set(run, object, rn_json_text(run, h, NULL), rn_json_copy(run, field));
    return object;
}

static int32_t refuse(struct rn_run *run, const struct csv *csv, const char *why)
{
    char line[32];
    (void)snprintf(line, sizeof(line), "%zu", csv->line);
    return rn_fail(run, RN_EINVAL, RN_TEXT(run, "line ", line, " of the file: ", why));
}

/* What is wrong with a record, or *ret_fields is what it holds; NULL: it is left out. */
static const char *next_record(struct rn_run *run, struct csv *csv, size_t width,
                               struct rn_json **ret_fields)
{
    const char *wrong = NULL;
    struct rn_json *fields = csv_record(run, csv, &wrong);
    size_t count = wrong ? 0 : rn_json_size(run, fields);
    bool is_blank = fields && is_empty(run, fields);
    if ((is_blank && count == 1 && rn_prop_boolean(run, "skipEmptyLines")) ||
        (is_blank && rn_prop_boolean(run, "skipRecordsWithEmptyValues")))
        fields = NULL;
    else if (!wrong && width && count != width)
        wrong = "it has another number of fields than the first one";
    *ret_fields = wrong ? NULL : fields;
    return rn_prop_boolean(run, "skipRecordsWithError") ? NULL : wrong;
}

static int32_t read_records(struct rn_run *run, struct csv *csv, struct rn_json *records)
{
    bool has_headers = rn_prop_boolean(run, "hasHeaders");
    const struct rn_json *headers = NULL;
    size_t width = 0;
    while (csv->at < csv->size) {
        struct rn_json *fields = NULL;
        const char *wrong = next_record(run, csv, width, &fields);
        if (wrong)
            return refuse(run, csv, wrong);
        if (!fields)
            continue;
        width = rn_json_size(run, fields);
        if (has_headers && !headers)
            headers = fields;
        else
            rn_json_append(run, records, headers ? object_of(run, headers, fields) : fields);
    }
    return 0;
}

static int32_t csv_file_to_objects(struct rn_run *run)
{
    const void *data = NULL;
    size_t size = 0;
    struct csv csv;
    struct rn_json *records = rn_json_array(run);
    int32_t err = rn_dir_read(run, DIR_PROP, rn_prop_string(run, "filePath"), &data, &size);
    if (err)
        return err;
    err = csv_begin(&csv, data, size);
    if (err)
        return rn_fail(run, err, "there is no memory for the file");
    err = read_records(run, &csv, records);
    csv_end(&csv);
    if (err)
        return err;
    const struct rn_json *count = rn_json_integer(run, (int64_t)rn_json_size(run, records));
    rn_summary(run, RN_TEXT(run, "Converted ", rn_json_print(run, count, NULL),
                            " records from CSV to objects."));
    return rn_return(run, records);
}

static const struct rn_prop props[] = {
    {.name = "app", .type = RN_APP, .app = &helper_functions_app, .flags = RN_OPTIONAL},
    {.name = "filePath",
     .type = RN_STRING,
     .label = "CSV File Path",
     .description = "The file in the run's folder: `example.csv`, `/tmp/example.csv`, or the path "
                    "that a step has returned."},
    {.name = "hasHeaders",
     .type = RN_BOOLEAN,
     .flags = RN_OPTIONAL,
     .label = "File Contains Headers",
     .description = "Whether the first record has the names of the fields: then each of the others "
                    "is an object, else a list.",
     .default_json = "false"},
    {.name = "skipEmptyLines",
     .type = RN_BOOLEAN,
     .flags = RN_OPTIONAL,
     .label = "Skip Empty Lines",
     .description = "Whether lines without anything are left out.",
     .default_json = "true"},
    {.name = "skipRecordsWithEmptyValues",
     .type = RN_BOOLEAN,
     .flags = RN_OPTIONAL,
     .label = "Skip Records With Empty Values",
     .description = "Whether records of which all fields are empty are left out.",
     .default_json = "false"},
    {.name = "skipRecordsWithError",
     .type = RN_BOOLEAN,
     .flags = RN_OPTIONAL,
     .label = "Skip Records With Error",
     .description = "Whether records that are wrong (quotes, number of fields) are left out. "
                    "Otherwise the step fails and names the line.",
     .default_json = "false"},
    {.name = DIR_PROP,
     .type = RN_DIR,
     .format = "read",
     .flags = RN_OPTIONAL,
     .description = "The folder of the run; takes no value."},
};

const struct rn_component helper_csv_file_to_objects = {
    .key = "helper_functions-csv-file-to-objects",
    .name = "CSV File To Objects",
    .version = "0.0.1",
    .description = "Reads a CSV file of the run's folder (docs/files.md) into a list",
    .type = RN_ACTION,
    .annotations = RN_READ_ONLY,
    .props = props,
    .prop_count = RN_COUNT(props),
    .run = csv_file_to_objects,
};
