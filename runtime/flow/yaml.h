/* YAML to JSON with places. The only room that knows libfyaml. YAML 1.2 core rules: only
 * true/false/null (and ~, empty) and numbers are typed; on, yes, no, 012 and 12:30 stay strings;
 * numbers keep their literal. Duplicate keys, several documents, bad UTF-8, tabs for indentation,
 * depth over LIMIT_YAML_DEPTH, more than LIMIT_YAML_NODES nodes after aliases, and merge keys are
 * problems. */
#ifndef RUNNEL_FLOW_YAML_H
#define RUNNEL_FLOW_YAML_H

#include "flow/problem.h"

struct yaml_doc;

/* Parses `text`; what is wrong goes to `problems` under the name `file`. NULL if there is no usable
 * document. The caller frees. */
struct yaml_doc *yaml_parse(const char *file, struct str text, struct problems *problems);
void yaml_free(struct yaml_doc *doc);
/* The tree; owned by the doc. */
const struct json *yaml_root(const struct yaml_doc *doc);
/* Where a value of the tree begins; for a member with `at_name`, where its name does. {1, 1} if it
 * is not of this doc. */
struct yaml_place {
    int line, column;
};
struct yaml_place yaml_place_of(const struct yaml_doc *doc, const struct json *value, bool at_name);
/* Where the byte at `offset` of a string value stands in the file (as near as quoting and folding
 * allow). */
struct yaml_place yaml_place_in(const struct yaml_doc *doc, const struct json *string,
                                size_t offset);

/* Sets a value in a YAML text and leaves everything else, comments and order too, as it is. `path`:
 * "steps[1].props.message"; missing mappings on the way are made. The new text in *ret (freed by
 * the caller). RN_EINVAL when the path does not fit the document. */
int yaml_set(struct str text, const char *path, const struct json *value, char **ret,
             struct err *err) MUST_USE;

#endif
