/* Code steps: code in the workflow file or in a file beside it, its language, its props.
 *
 * A file's text belongs to the workflow's version: it is written behind the workflow's own text,
 * one comment line each (`#runnel:file {"path":…,"text":…}`), so that what is kept of a version is
 * one text, its hash covers the code, and a diff shows what has changed. */
#include "flow/load.h"
#include "flow/yaml.h"

#include "base/file.h"
#include "code/syntax.h"

#include <limits.h>

#define FILE_MARK "\n#runnel:file "

/* ---- the texts behind the workflow's */

size_t workflow_own_size(struct str text)
{
    ptrdiff_t at = str_find(text, FILE_MARK, 0);
    return at < 0 ? text.len : (size_t)at;
}

struct json *workflow_text_files(struct str text)
{
    struct json *files = json_new_object();
    for (ptrdiff_t at = str_find(text, FILE_MARK, 0); at >= 0;
         at = str_find(text, FILE_MARK, (size_t)at + 1)) {
        size_t start = (size_t)at + strlen(FILE_MARK);
        struct str rest = str_n(text.ptr + start, text.len - start), line;
        struct json *entry = NULL;
        if (!str_cut(&rest, '\n', &line) || json_parse(line, &entry, NULL))
            continue;
        if (json_get_c(entry, "path") && json_get_c(entry, "text"))
            json_set_str(files, json_get_c(entry, "path"), json_get_text(entry, "text"));
        json_free(entry);
    }
    return files;
}

static void add_file(struct workflow *workflow, const char *path, struct str code)
{
    struct buf text = BUF_INIT(2 * LIMIT_JSON_BYTES);
    buf_add_c(&text, workflow->text);
    buf_add_c(&text, FILE_MARK "{\"path\":");
    json_write_string(&text, str_from(path));
    buf_add_c(&text, ",\"text\":");
    json_write_string(&text, code);
    buf_add_char(&text, '}');
    free(workflow->text);
    workflow->text = buf_take(&text, NULL);
}

/* ---- a file beside the workflow's */

/* "./work/entry.js" of workflows/x.yaml is "workflows/work/entry.js"; NULL when that leaves the
 * project. */
static char *path_of(struct str uses)
{
    struct str parts[32] = {STR("workflows")}, part;
    size_t count = 1;
    while (str_cut(&uses, '/', &part)) {
        if (part.len == 0 || str_eq_c(part, "."))
            continue;
        if (str_eq_c(part, "..")) {
            if (count == 0)
                return NULL;
            count--;
        } else if (count == COUNT_OF(parts)) {
            return NULL;
        } else {
            parts[count++] = part;
        }
    }
    struct buf path = BUF_INIT(PATH_MAX);
    for (size_t i = 0; i < count; i++)
        buf_addf(&path, "%s" STR_FMT, i ? "/" : "", STR_ARG(parts[i]));
    return buf_take(&path, NULL);
}

/* A link that leads out of the project is no part of it. */
static int read_inside(const struct project *project, const char *path, char **ret,
                       size_t *ret_size, struct err *err)
{
    char real[PATH_MAX];
    char *whole = xasprintf("%s/%s", project->dir, path);
    int code = 0;
    size_t dir = strlen(project->dir);
    if (!realpath(whole, real))
        code = err_set(err, RN_ENOTFOUND, "there is no file %s", path);
    else if (strncmp(real, project->dir, dir) != 0 || real[dir] != '/')
        code = err_set(err, RN_EPERM, "%s leads out of the project's folder", path);
    else if (file_read(real, "it", LIMIT_CODE_TEXT, ret, ret_size, err))
        code = err_prefix(err, "%s", path);
    free(whole);
    return code;
}

static void read_file(struct steps_reader *reader, const struct json *uses, struct code *code)
{
    struct file *file = reader->file;
    size_t size = 0;
    struct err err = ERR_INIT;
    code->file = path_of(json_str(uses));
    if (!code->file) {
        at_value(file, uses, "\"" STR_FMT "\" is outside of the project's folder",
                 STR_ARG(json_str(uses)));
        return;
    }
    struct str ending = str_from(strrchr(code->file, '.'));
    if (str_eq_c(ending, ".js") || str_eq_c(ending, ".mjs"))
        code->language = CODE_NODE;
    else if (str_eq_c(ending, ".py"))
        code->language = CODE_PYTHON;
    else if (str_eq_c(ending, ".sh"))
        code->language = CODE_BASH;
    else
        at_value(file, uses, "the code of a step is a .js, .mjs, .py or .sh file, not \"%s\"",
                 code->file);
    struct json *kept =
        file->load->is_kept ? workflow_text_files(str_from(reader->workflow->text)) : NULL;
    if (json_get_c(kept, code->file)) {
        code->text = xstrdup(json_get_c(kept, code->file));
    } else if (!file->load->project->dir ||
               read_inside(file->load->project, code->file, &code->text, &size, &err)) {
        at_value(file, uses, "%s", err.code ? err.text : "there is no such file");
    } else if (!utf8_is_valid(str_n(code->text, size)) || strlen(code->text) != size) {
        at_value(file, uses, "%s is no UTF-8 text", code->file);
    } else if (!file->load->is_kept) {
        add_file(reader->workflow, code->file, str_n(code->text, size));
    }
    json_free(kept);
}

/* ---- language */

static void read_language(struct steps_reader *reader, const struct json *item, struct code *code)
{
    struct file *file = reader->file;
    const char *name = json_get(item, "language") ? "language" : "runtime";
    const char *text = json_get_c(item, name);
    enum code_language language = code->language;
    char shown_text[SHOWN_MAX];
    if (!json_get(item, name)) {
        if (!code->file)
            at_value(file, item, "a code step needs a \"language\": node, python or bash");
    } else if (!text || !code_language_parse(text, &language)) {
        at_value(file, json_get(item, name),
                 "the \"%s\" of a code step is node, python or bash, "
                 "not %s",
                 name, shown(json_get(item, name), shown_text));
    } else if (code->file && language != code->language) {
        at_value(file, json_get(item, name), "%s is code for %s, not for %s", code->file,
                 code_language_name(code->language), code_language_name(language));
    } else {
        code->language = language;
    }
}

static void warn_of_interpreter(struct file *file, const struct json *item, const struct code *code)
{
    if (file->load->is_kept)
        return;
    char *program = code_interpreter(code->language, file->load->project->dir);
    if (!program)
        warn_value(file, item, "%s is not installed here, so that this step will fail: %s",
                   code_language_name(code->language), code_install_hint(code->language));
    free(program);
}

/* Code from Pipedream writes to /tmp, which is a folder of this machine here. */
static void warn_of_tmp(struct file *file, const struct json *item, const struct code *code)
{
    static const struct {
        const char *paths, *way;
    } by_language[CODE_LANGUAGES] = {
        [CODE_NODE] = {"$.files", "$.files.path(\"NAME\")"},
        [CODE_PYTHON] = {"pd.files", "pd.files.path(\"NAME\")"},
        [CODE_BASH] = {"RUNNEL_FILES", "\"$RUNNEL_FILES/NAME\""},
    };
    struct str text = str_from(code->text ? code->text : "");
    if (file->load->is_kept || str_find(text, "/tmp/", 0) < 0 ||
        str_find(text, by_language[code->language].paths, 0) >= 0 ||
        str_find(text, "STASH_DIR", 0) >= 0)
        return;
    const struct json *at =
        json_get(item, "code") ? json_get(item, "code") : json_get(item, "uses");
    warn_value(file, at ? at : item,
               "/tmp is the machine's own folder here, shared by all and never cleared; a file of "
               "the run is %s (docs/files.md)",
               by_language[code->language].way);
}

/* ---- props */

static void check_account(struct file *file, const struct json *prop)
{
    const struct json *name = json_get(prop, "account");
    if (json_get(prop, "authProvisionId"))
        at_value(
            file, prop,
            "prop \"%s\": authProvisionId is an account at Pipedream; write { account: NAME }, "
            "an account of runnel.yaml",
            json_name(prop));
    if (!name || json_count(prop) != 1 || file->load->is_kept)
        return;
    if (!json_is(name, JSON_STRING) || !account_app_of(file->load, json_str(name)))
        at_value(file, name,
                 "there is no account \"" STR_FMT "\": declare it in runnel.yaml, or run `runnel "
                 "accounts add`",
                 STR_ARG(json_str(name)));
}

const struct json *data_store_name(const struct json *prop)
{
    const struct json *name =
        json_get(prop, "store") ? json_get(prop, "store") : json_get(prop, "storeId");
    return json_is(prop, JSON_OBJECT) && json_count(prop) == 1 ? name : NULL;
}

static void check_store(struct file *file, const struct json *prop, enum code_language language)
{
    const struct json *name = data_store_name(prop);
    if (!name)
        return;
    if (language == CODE_BASH)
        at_name(file, prop,
                "prop \"%s\": a bash step has no data stores; use node, python or a data_stores "
                "action",
                json_name(prop));
    else if (!has_expression(json_str(name)) && !str_is_name(json_str(name), LIMIT_DATA_NAME))
        at_value(file, name, "prop \"%s\": a data store's name has 1 to %d letters, digits, - _ .",
                 json_name(prop), LIMIT_DATA_NAME);
}

static void read_props(struct steps_reader *reader, const struct json *item, struct step *step)
{
    struct file *file = reader->file;
    const struct json *props = field(file, item, "props", JSON_OBJECT);
    struct json *kept = json_new_object();
    for (const struct json *prop = json_first(props); prop; prop = json_next(prop)) {
        const char *name = json_name(prop);
        if (strcmp(name, "__configurableProps") == 0)
            continue; /* what Pipedream's editor knows of them */
        if (step->code->language == CODE_BASH && !is_identifier(str_from(name)))
            at_name(file, prop, "a bash step gets its props as variables: \"%s\" is no name of one",
                    name);
        check_account(file, prop);
        check_store(file, prop, step->code->language);
        const struct json *option = json_get(json_get(prop, "__lv"), "value");
        (void)json_set(kept, name, json_copy(option ? option : prop));
    }
    step->use.props = json_copy(kept);
    step->use.template = template_read(reader, props, kept);
}

/* ---- the step */

static void note_place(struct file *file, const struct code *code, const struct json *text)
{
    const struct load *load = file->load;
    bool is_meant = !load->draft_of || strcmp(load->draft_of, file->name) == 0;
    if (!load->checks_code || !is_meant || !code->text[0])
        return;
    file->codes = xrealloc(file->codes, (file->code_count + 1) * sizeof(*file->codes));
    file->codes[file->code_count++] = (struct code_place){.code = code, .text = text};
}

static bool is_path(const struct json *uses)
{
    return str_starts(json_str(uses), "./") || str_starts(json_str(uses), "../");
}

bool code_step_read(struct steps_reader *reader, const struct json *item, struct step *step)
{
    static const char *const keys[] = {"code",    "language", "uses",       "props",
                                       "timeout", "retry",    "on_unknown", NULL};
    struct file *file = reader->file;
    const struct json *text = json_get(item, "code"), *uses = json_get(item, "uses");
    if (!text && !json_get(item, "language") && !is_path(uses))
        return false;
    step->kind = STEP_CODE;
    step->code = xcalloc(1, sizeof(*step->code));
    step_check_keys(file, item, keys, "a code step");
    if (text && uses) {
        at_name(file, text, "a step has \"code\" or \"uses\", not both");
    } else if (text) {
        const char *code = field_text(file, item, "code");
        step->code->text = xstrdup(code ? code : "");
        if (strlen(step->code->text) > LIMIT_CODE_TEXT)
            at_value(file, text, "the code of a step has at most %zu bytes: put it into modules",
                     (size_t)LIMIT_CODE_TEXT);
    } else if (is_path(uses)) {
        read_file(reader, uses, step->code);
    } else if (uses) {
        at_name(file, json_get(item, "language"),
                "\"language\" belongs to \"code\", or to a \"uses\" that names a file: ./name.js");
    } else {
        at_value(file, item, "a code step needs \"code\", or \"uses\" with a file: ./name.js");
    }
    read_language(reader, item, step->code);
    read_props(reader, item, step);
    warn_of_interpreter(file, item, step->code);
    warn_of_tmp(file, item, step->code);
    if (step->code->file)
        step->code->name = xstrdup(step->code->file);
    else
        step->code->name = xasprintf("%s:%s", file->name, step->namespace_ ? step->namespace_ : "");
    if (!step->code->text)
        step->code->text = xstrdup("");
    note_place(file, step->code, text);
    return true;
}

/* ---- parsing the code */

static size_t offset_of(struct str text, size_t line, size_t column)
{
    struct str rest = text, part = text;
    while (line-- && str_cut(&rest, '\n', &part)) {
    }
    size_t start = (size_t)(part.ptr - text.ptr);
    return start + (column && column <= part.len + 1 ? column - 1 : 0);
}

static void say_syntax(struct file *file, const struct code_place *place,
                       const struct syntax_check *check)
{
    const struct code *code = place->code;
    if (!place->text) {
        problem_add(file->load->problems, code->file, (int)check->line, (int)check->column, "%s",
                    check->error);
        return;
    }
    struct yaml_place at = yaml_place_of(file->doc, place->text, false);
    if (check->line)
        at = yaml_place_in(file->doc, place->text,
                           offset_of(check->text, check->line, check->column));
    problem_add(file->load->problems, file->name, at.line, at.column, "the step's code: %s",
                check->error);
}

void code_check_syntax(struct file *file)
{
    size_t count = file->load->checks_code ? file->code_count : 0;
    struct syntax_check *checks = xcalloc(count + 1, sizeof(*checks));
    for (size_t i = 0; i < count; i++)
        checks[i] = (struct syntax_check){.language = file->codes[i].code->language,
                                          .text = str_from(file->codes[i].code->text)};
    if (count)
        syntax_check_all(file->load->project->dir, checks, count);
    for (size_t i = 0; i < count; i++) {
        if (checks[i].error)
            say_syntax(file, &file->codes[i], &checks[i]);
        free(checks[i].error);
    }
    free(checks);
    free(file->codes);
    file->codes = NULL;
    file->code_count = 0;
}

void code_free(struct code *code)
{
    if (!code)
        return;
    free(code->file);
    free(code->name);
    free(code->text);
    free(code);
}
