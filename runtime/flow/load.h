/* Private to the room: what the readers of one load share, and the readers themselves. */
#ifndef RUNNEL_FLOW_LOAD_H
#define RUNNEL_FLOW_LOAD_H

#include "flow/names.h"
#include "flow/project.h"

/* Where components and apps come from: a catalog, or a test's own. */
struct lookup {
    const struct component_def *(*component)(void *ctx, struct str key, const char *version);
    const struct component_def *(*component_at)(void *ctx, size_t index); /* NULL past the end */
    const struct app_def *(*app)(void *ctx, struct str slug);
    const struct app_def *(*app_at)(void *ctx, size_t index); /* NULL past the end */
    void *ctx;
};

/* The lookup of a catalog; {NULL} for NULL. */
struct lookup lookup_of_catalog(struct catalog *catalog);

/* One load of a project, or of one kept workflow. */
struct load {
    struct project *project;
    struct problems *problems;
    struct lookup lookup; /* .component NULL: components are not looked up */
    account_lookup accounts;
    void *accounts_ctx;
    struct expr_engine *expressions; /* or NULL */
    bool checks_code;                /* asks the interpreters whether code can be parsed */
    const char *draft_of;            /* the file that has this text instead; NULL: none */
    struct str draft;
    /* a text kept earlier: what is gone meanwhile (components, accounts) is no problem */
    bool is_kept;
    struct map broken_sources; /* "sources/<name>" of files with mistakes, to any value */
    char **workflow_ids;       /* the files of workflows/, borrowed; NULL in a kept text */
    size_t workflow_id_count;
    struct json *dotenv;  /* what .env says: an object of strings */
    struct map env_names; /* process.env names that files use, to any value */
};

/* A file being read. */
struct file {
    struct load *load;
    const char *name; /* as problems show it */
    struct yaml_doc *doc;
    const struct json *env; /* a workflow's own variables; NULL: none */
    struct code_place *codes;
    size_t code_count;
};

/* Where the code of a step is written. */
struct code_place {
    const struct code *code;
    const struct json *text; /* in the file; NULL: in a file of its own */
};

/* project_load() with a lookup of the caller's. */
int project_load_with(const struct project_options *options, const struct lookup *lookup,
                      struct project **ret, struct problems *problems, struct err *err) MUST_USE;
struct workflow *workflow_parse_with(const char *id, struct str text, const struct project *project,
                                     const struct lookup *lookup, struct problems *problems);

/* A project with its defaults, one reference. */
struct project *project_new(void);

/* ---------------------------------------------------------------- fields (fields.c) */

/* A problem at a value, or at its name. */
void at_value(const struct file *file, const struct json *value, const char *format, ...)
    PRINTF_LIKE(3, 4);
void at_name(const struct file *file, const struct json *member, const char *format, ...)
    PRINTF_LIKE(3, 4);
void warn_value(const struct file *file, const struct json *value, const char *format, ...)
    PRINTF_LIKE(3, 4);
void warn_name(const struct file *file, const struct json *member, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Reports members whose names are not in `known` (ends with NULL), with the nearest. */
void check_keys(const struct file *file, const struct json *object, const char *const *known,
                const char *where);
/* A value as a message shows it: `"text"`, `12`, `a list` …; short, in `out`. */
#define SHOWN_MAX 80
const char *shown(const struct json *value, char out[SHOWN_MAX]);
/* The member if it is there, is not null and has the kind; a problem and NULL if it has another. */
const struct json *field(const struct file *file, const struct json *object, const char *name,
                         enum json_kind kind);
/* A string without U+0000, borrowed; a number is no string. NULL if absent or wrong. */
const char *field_text(const struct file *file, const struct json *object, const char *name);
bool field_bool(const struct file *file, const struct json *object, const char *name,
                bool otherwise);
/* From `min` to `max`, or a problem and `otherwise`. */
int64_t field_count(const struct file *file, const struct json *object, const char *name,
                    int64_t min, int64_t max, int64_t otherwise);
int64_t field_duration(const struct file *file, const struct json *object, const char *name,
                       int64_t max_ms, int64_t otherwise);
uint64_t field_bytes(const struct file *file, const struct json *object, const char *name,
                     uint64_t max, uint64_t otherwise);

/* ------------------------------------------------------------------- files (files.c) */

/* The names in `dir` that end in ".yaml", without the end, sorted; others that look like YAML are
 * warned about. */
size_t files_list(struct load *load, const char *dir, const char *shown_dir, char ***ret);
void names_free(char **names, size_t count);

/* --------------------------------------------------------------------- env (env.c) */

/* Reads the text of a .env file into `env`, an object of strings; mistakes under the name `file`.
 * */
void env_parse(const char *file, struct str text, struct json *env, struct problems *problems);
/* A string of runnel.yaml with ${NAME} filled in; a problem for each that has no value. The caller
 * frees. NULL if one was reported. */
char *env_expand(const struct file *file, const struct json *string);
/* Notes the names behind `process.env` in the {{ … }} of a string, and warns of those that have no
 * value. */
void env_note_uses(const struct file *file, const struct json *string);
/* Notes a name that {{process.env}} is to see. */
void env_note(struct load *load, struct str name);
/* The object of strings for {{process.env}}: .env and the noted names. */
struct json *env_collect(const struct load *load);
/* The value in the process's environment or .env; NULL if neither has it. */
const char *env_value(const struct load *load, const char *name);

/* ------------------------------------------------------------ runnel.yaml (settings.c) */

void settings_read(struct file *file, const struct json *root);
/* smtp.c */
void smtp_read(struct file *file, const struct json *root);
void smtp_release(struct smtp *smtp);
/* accounts.c */
void accounts_read(struct file *file, const struct json *accounts);

/* ------------------------------------------------------- what a component is used with */

/* The namespaces of a workflow, and what a step may know of each. */
enum name_state {
    NAME_READY,
    NAME_SELF,
    NAME_LATER,
    NAME_DISABLED,
    NAME_INSIDE, /* in a block that has ended: only the block's exports are seen */
    NAME_BESIDE, /* in another branch of the same block */
    NAME_LOOP    /* the for_each around: item and index */
};

struct names {
    struct known_name {
        const char *name; /* borrowed */
        enum name_state state;
        const char *block; /* NAME_INSIDE, NAME_BESIDE: the block's name, borrowed */
    } * list;
    size_t count;
};

/* Reads `uses`, `props`, `dynamic_props` of `object` into *ret. `known`: NULL for a source.
 * `is_draft`: missing props are no problem. (use.c) */
void use_read(struct file *file, const struct json *object, bool is_source,
              const struct names *known, bool is_draft, struct use *ret);
void use_release(struct use *use);
/* Checks the props against the component's definitions and gives them as they are to be kept.
 * (check_props.c) */
struct json *props_check(const struct file *file, const struct json *owner,
                         const struct json *props, const struct use *use, bool is_draft);
/* The app of an account of the project; NULL: there is no such account. */
const char *account_app_of(const struct load *load, struct str name);
/* Checks every {{ … }} in the value; `known` NULL: only process.env may be used. True if all are
 * well. (references.c) */
bool templates_check(const struct file *file, const struct json *value, const struct names *known);
/* Whether a string has a {{ … }} in it; and whether it is one whole {{ … }}, which may have any
 * type. */
bool has_expression(struct str text);
bool is_whole_expression(struct str text);

/* --------------------------------------------------------------- sources and workflows */

/* sources/<name>.yaml; NULL if it has mistakes. */
struct source *source_parse(struct load *load, const char *name, struct str text);
struct source *source_new(char *id, const char *file_name);
void source_free(struct source *source);
/* `dedupe: { remember: N }` of a source or a trigger. */
void source_read_dedupe(const struct file *file, const struct json *object, struct source *source);
/* The sources that its triggers declare are added to the project unless this is a kept text. NULL
 * if it has mistakes. */
struct workflow *workflow_read(struct load *load, const char *id, const char *name,
                               struct str text);
void workflow_read_triggers(struct file *file, const struct json *root, struct workflow *workflow);
/* `workflow:` of a trigger (listens.c) */
void listen_read(struct file *file, const struct json *item, struct workflow *workflow,
                 struct trigger *trigger);
/* Warns of workflows that start each other in a circle. When all have been read. */
void listens_check(struct load *load);
void workflow_read_steps(struct file *file, const struct json *root, struct workflow *workflow);
/* Reports a text that is no workflow's id, with the nearest. */
void workflow_check_id(const struct file *file, const struct json *value);
/* The same for an id that is part of the text. */
void workflow_check_named(const struct file *file, const struct json *value, struct str id);
/* settings: and env: (workflow_settings.c) */
void workflow_read_settings(struct file *file, const struct json *root, struct workflow *workflow);
void project_add_source(struct project *project, struct source *source);

/* ------------------------------------------------------------- steps (steps.c and others) */

/* The reading of one workflow's steps. */
struct steps_reader {
    struct file *file;
    struct workflow *workflow;
    struct names names; /* of all triggers and steps of the file */
    int depth;          /* of blocks */
};

/* Reads a list of steps, those in blocks too. `block` is the namespace of the block around it
 * ("" at the top): when the list has ended its names are NAME_INSIDE. */
void steps_read(struct steps_reader *reader, const struct json *list, const char *block,
                struct step_list *ret);
void steps_release(struct step_list *steps);
struct known_name *names_find(struct names *names, const char *name);
/* Keys that every step has; further keys follow, and NULL. */
void step_check_keys(const struct file *file, const struct json *item, const char *const *own,
                     const char *where);
/* The value compiled, with its {{ … }} checked; NULL after a problem. Takes `value` (the values in
 * it are copies; `at` is where problems are reported). */
struct expr_template *template_read(struct steps_reader *reader, const struct json *at,
                                    struct json *value);
/* True if the item is a block; it has been read then (blocks.c). */
bool block_read(struct steps_reader *reader, const struct json *item, struct step *step);
/* The same for a code step (code.c). */
bool code_step_read(struct steps_reader *reader, const struct json *item, struct step *step);
/* Has the code of the file's steps parsed, if the load wants that. While the document is there. */
void code_check_syntax(struct file *file);
void code_free(struct code *code); /* NULL is fine */
/* The same for workflow, delay, suspend, respond and end (flow_steps.c). */
bool flow_step_read(struct steps_reader *reader, const struct json *item, struct step *step);

#endif
