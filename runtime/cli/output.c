#include "cli/cli.h"

#include <unistd.h>

bool out_is_terminal(void)
{
    return isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
}

static const char *color(const char *code)
{
    return out_is_terminal() ? code : "";
}

const char *out_bold(void)
{
    return color("\033[1m");
}

const char *out_dim(void)
{
    return color("\033[2m");
}

const char *out_red(void)
{
    return color("\033[31m");
}

const char *out_green(void)
{
    return color("\033[32m");
}

const char *out_yellow(void)
{
    return color("\033[33m");
}

const char *out_reset(void)
{
    return color("\033[0m");
}

const char *out_status_color(const char *status)
{
    static const char *const good[] = {"succeeded", "active", "ok"}, *const bad[] = {"failed",
                                                                                     "unknown",
                                                                                     "quarantined"};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (status && strcmp(status, good[i]) == 0)
            return out_green();
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (status && strcmp(status, bad[i]) == 0)
            return out_red();
    return out_yellow();
}

/* Bytes of a terminal's escapes in a vendor's text would be obeyed: control characters are shown as
 * dots. */
static char *cell(const struct json *value)
{
    char *text = !value                        ? xstrdup("")
                 : json_is(value, JSON_STRING) ? str_dup(json_str(value))
                                               : json_text(value, NULL);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            *c = '.';
    return text;
}

static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

static void print_row(const struct json *row, const struct column *columns, size_t count,
                      const size_t *widths)
{
    for (size_t c = 0; c < count; c++) {
        char *text = cell(json_get(row, columns[c].member));
        if (!out_is_terminal()) {
            printf("%s%s", c ? "\t" : "", text);
        } else {
            bool is_status =
                strcmp(columns[c].member, "status") == 0 || strcmp(columns[c].member, "state") == 0;
            printf("%s%s%s", is_status ? out_status_color(text) : "", text,
                   is_status ? out_reset() : "");
            for (size_t pad = width_of(text); c + 1 < count && pad < widths[c] + 2; pad++)
                putchar(' ');
        }
        free(text);
    }
    putchar('\n');
}

void out_table(const struct json *list, const struct column *columns, size_t count)
{
    size_t widths[16] = {0};
    for (size_t c = 0; c < count; c++) {
        widths[c] = strlen(columns[c].title);
        for (const struct json *row = json_first(list); row; row = json_next(row)) {
            char *text = cell(json_get(row, columns[c].member));
            size_t width = width_of(text);
            widths[c] = width > widths[c] ? width : widths[c];
            free(text);
        }
    }
    if (out_is_terminal()) {
        for (size_t c = 0; c < count; c++)
            printf("%s%-*s%s%s", out_dim(), c + 1 < count ? (int)widths[c] : 0, columns[c].title,
                   out_reset(), c + 1 < count ? "  " : "\n");
    }
    for (const struct json *row = json_first(list); row; row = json_next(row))
        print_row(row, columns, count, widths);
}

void out_json(const struct json *value)
{
    struct buf text = BUF_INIT(SIZE_MAX / 2);
    if (isatty(STDOUT_FILENO))
        json_write_pretty(&text, value);
    else
        json_write(&text, value);
    printf("%s\n", buf_c(&text));
    buf_release(&text);
}

int out_error(const struct err *err)
{
    fflush(stdout);
    fprintf(stderr, "runnel: %s\n", err->text[0] ? err->text : err_sentence(err->code));
    return 1;
}

int cli_list(const char *project, const char *path, bool as_json, const struct column *columns,
             size_t count, const char *none)
{
    struct client *client = client_open(project, true);
    struct json *list = NULL;
    struct err err = ERR_INIT;
    if (!client)
        return 1;
    int rc = client_call(client, "GET", path, NULL, &list, &err);
    client_close(client);
    if (rc)
        return out_error(&err);
    if (as_json)
        out_json(list);
    else if (json_count(list) == 0)
        fprintf(stderr, "%s\n", none);
    else
        out_table(list, columns, count);
    json_free(list);
    return 0;
}
