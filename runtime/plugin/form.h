/* Form bodies and queries as JSON objects: name → value, or a list of values where a name is there
 * several times. */
#ifndef RUNNEL_PLUGIN_FORM_H
#define RUNNEL_PLUGIN_FORM_H

#include "json/json.h"

/* application/x-www-form-urlencoded, and query strings. What is no good percent-encoding stays as
 * it is. The caller frees. */
struct json *form_parse(struct str text);
/* multipart/form-data with this content type: fields as strings, files as
 * {"filename","mimetype","data"} (base64). NULL if it does not follow RFC 7578. The caller frees.
 */
struct json *form_parse_multipart(struct str content_type, struct str body);

#endif
