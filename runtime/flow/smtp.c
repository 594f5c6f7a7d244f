/* `smtp:` of runnel.yaml: where mail goes. */
#include "flow/load.h"

void smtp_release(struct smtp *smtp)
{
    free(smtp->url);
    free(smtp->from);
    free(smtp->to);
    free(smtp->username);
    free(smtp->password);
    *smtp = (struct smtp){.url = NULL};
}

static bool is_smtp_url(struct str url)
{
    struct str rest;
    if (str_starts(url, "smtps://"))
        rest = str_n(url.ptr + 8, url.len - 8);
    else if (str_starts(url, "smtp://"))
        rest = str_n(url.ptr + 7, url.len - 7);
    else
        return false;
    for (size_t i = 0; i < rest.len; i++)
        if ((unsigned char)rest.ptr[i] <= ' ' || strchr("?#@\\/", rest.ptr[i]))
            return false;
    return rest.len > 0;
}

/* One line with an @ in its middle; the server knows the rest. */
static bool is_address(struct str text)
{
    ptrdiff_t at = str_find(text, "@", 0);
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return false;
    return at > 0 && (size_t)at + 1 < text.len;
}

static char *read_text(struct file *file, const struct json *smtp, const char *name)
{
    return field_text(file, smtp, name) ? env_expand(file, json_get(smtp, name)) : NULL;
}

static char *read_address(struct file *file, const struct json *smtp, const char *name)
{
    char *text = read_text(file, smtp, name);
    if (text && !is_address(str_from(text)))
        at_value(file, json_get(smtp, name),
                 "\"%s\" is an address, such as runnel@example.com, not \"%s\"", name, text);
    return text;
}

void smtp_read(struct file *file, const struct json *root)
{
    static const char *const keys[] = {"url",      "starttls", "from", "to",
                                       "username", "password", NULL};
    static const char *const needed[] = {"url", "from"};
    const struct json *smtp = field(file, root, "smtp", JSON_OBJECT);
    struct smtp *ret = &file->load->project->smtp;
    if (!smtp)
        return;
    check_keys(file, smtp, keys, "\"smtp\"");
    for (size_t i = 0; i < COUNT_OF(needed); i++)
        if (!json_get(smtp, needed[i]))
            at_name(file, smtp, "\"smtp\" needs \"%s\": %s", needed[i],
                    i ? "the sender's address" : "smtps://HOST or smtp://HOST:PORT");
    ret->url = read_text(file, smtp, "url");
    if (ret->url && !is_smtp_url(str_from(ret->url)))
        at_value(
            file, json_get(smtp, "url"),
            "\"url\" is smtps://HOST, or smtp://HOST:PORT, without user and path (\"username\" "
            "and \"password\" are keys of their own)");
    ret->from = read_address(file, smtp, "from");
    ret->to = read_address(file, smtp, "to");
    ret->username = read_text(file, smtp, "username");
    ret->password = read_text(file, smtp, "password");
    ret->needs_tls = field_bool(file, smtp, "starttls", false);
    if (json_get(smtp, "password") && !json_get(smtp, "username"))
        at_name(file, json_get(smtp, "password"), "\"password\" without \"username\"");
}
