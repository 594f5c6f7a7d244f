#include "plugin/scaffold.h"

#include "base/buf.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef RUNNEL_DATADIR
#define RUNNEL_DATADIR "share"
#endif

enum { TEMPLATE_FILE_MAX = 65536, NAME_MAX_BYTES = 64 };

struct scaffold {
    const char *name;
    char *title;     /* "my_app" → "My App" */
    char *sdk;       /* or "" */
    char *from, *to; /* folders */
};

static bool is_slug(const char *name)
{
    size_t size = strlen(name);
    if (size < 1 || size > NAME_MAX_BYTES || name[0] < 'a' || name[0] > 'z')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == size;
}

static char *make_title(const char *name)
{
    char *title = xstrdup(name);
    bool is_start = true;
    for (char *c = title; *c; c++) {
        if (is_start && *c >= 'a' && *c <= 'z')
            *c = (char)(*c - ('a' - 'A'));
        is_start = *c == '_';
        if (is_start)
            *c = ' ';
    }
    return title;
}

/* <exe>/sdk in a build tree, <prefix>/share/runnel in an installation. */
static int find_template(struct scaffold *s, struct err *err)
{
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    char *slash = NULL;
    if (n > 0) {
        exe[n] = '\0';
        slash = strrchr(exe, '/');
    }
    if (!slash)
        return err_set(err, RN_EIO, "the program's own path is not known");
    *slash = '\0';
    s->sdk = xasprintf("%s/sdk", exe);
    s->from = xasprintf("%s/share/runnel/template", s->sdk);
    if (access(s->from, R_OK) == 0)
        return 0;
    free(s->from);
    free(s->sdk);
    s->sdk = xstrdup("");
    s->from = xasprintf("%s/../%s/runnel/template", exe, RUNNEL_DATADIR);
    if (access(s->from, R_OK) == 0)
        return 0;
    return err_set(err, RN_ENOTFOUND, "the SDK's template is not at %s: is runnel's SDK installed?",
                   s->from);
}

static void replace(struct buf *out, struct str text, const struct scaffold *s, bool is_file_name)
{
    const struct {
        const char *mark;
        const char *value;
    } marks[] = {{"@NAME@", s->name}, {"@TITLE@", s->title}, {"@SDK@", s->sdk}, {"NAME", s->name}};
    size_t first = is_file_name ? 3 : 0, end = is_file_name ? 4 : 3;
    for (size_t at = 0; at < text.len;) {
        size_t i = first;
        struct str rest = str_n(text.ptr + at, text.len - at);
        while (i < end && !str_starts(rest, marks[i].mark))
            i++;
        if (i == end) {
            buf_add_char(out, text.ptr[at++]);
            continue;
        }
        buf_add_c(out, marks[i].value);
        at += strlen(marks[i].mark);
    }
}

static int write_file(const struct scaffold *s, const char *name, struct err *err)
{
    char *from = xasprintf("%s/%s", s->from, name);
    struct buf path = BUF_INIT(PATH_MAX), text = BUF_INIT((size_t)TEMPLATE_FILE_MAX * 4);
    buf_addf(&path, "%s/", s->to);
    /* A file of this name in the tree would be git's own there. */
    replace(&path, strcmp(name, "gitignore") == 0 ? STR(".gitignore") : str_from(name), s, true);
    char *content = xmalloc(TEMPLATE_FILE_MAX);
    FILE *in = fopen(from, "re"), *out = in ? fopen(buf_c(&path), "wxe") : NULL;
    size_t size = in ? fread(content, 1, TEMPLATE_FILE_MAX, in) : 0;
    replace(&text, str_n(content, size), s, false);
    bool is_written = out && fwrite(buf_c(&text), 1, text.len, out) == text.len;
    int code = 0;
    if (out && fclose(out))
        is_written = false;
    if (!is_written)
        code = err_set(err, RN_EIO, "%s: %s", in ? buf_c(&path) : from, strerror(errno));
    if (in)
        (void)fclose(in);
    free(content);
    free(from);
    buf_release(&path);
    buf_release(&text);
    return code;
}

static int copy_template(const struct scaffold *s, struct err *err)
{
    if (mkdir(s->to, 0777))
        return err_set(err, errno == EEXIST ? RN_EEXISTS : RN_EIO, "%s: %s", s->to,
                       errno == EEXIST ? "there is one already" : strerror(errno));
    DIR *dir = opendir(s->from);
    if (!dir)
        return err_set(err, RN_EIO, "%s: %s", s->from, strerror(errno));
    int code = 0;
    const struct dirent *entry;
    while (!code && (entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            code = write_file(s, entry->d_name, err);
    (void)closedir(dir);
    return code;
}

int component_scaffold(const char *parent, const char *name, char **ret_dir, struct err *err)
{
    if (!is_slug(name))
        return err_set(
            err, RN_EINVAL,
            "\"%s\" is no app name: lower case letters, digits and underscores, a letter first",
            name);
    struct scaffold s = {.name = name,
                         .title = make_title(name),
                         .to = strcmp(parent, ".") == 0 ? xstrdup(name)
                                                        : xasprintf("%s/%s", parent, name)};
    int code = find_template(&s, err);
    if (!code)
        code = copy_template(&s, err);
    if (!code) {
        *ret_dir = s.to;
        s.to = NULL;
    }
    free(s.title);
    free(s.sdk);
    free(s.from);
    free(s.to);
    return code;
}
