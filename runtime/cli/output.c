/* What a person reads: colours on a terminal (NO_COLOR and TERM=dumb are honoured), text of others
 * made harmless, JSON. */
#include "cli/cli.h"

#include "base/clock.h"

#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

static bool shows_color(int fd)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fd) && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
}

bool out_is_terminal(void)
{
    return isatty(STDOUT_FILENO);
}

static const char *color(const char *code)
{
    return shows_color(STDOUT_FILENO) ? code : "";
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

const char *note_style(const char *name)
{
    static const char *const styles[][2] = {
        {"bold", "\033[1m"}, {"dim", "\033[2m"}, {"red", "\033[31m"}, {"reset", "\033[0m"}};
    for (size_t i = 0; i < COUNT_OF(styles) && shows_color(STDERR_FILENO); i++)
        if (strcmp(name, styles[i][0]) == 0)
            return styles[i][1];
    return "";
}

const char *out_status_color(const char *status)
{
    static const char *const good[] = {"succeeded", "active", "ok", "true"}, *const bad[] = {
                                                                                 "failed",
                                                                                 "unknown",
                                                                                 "quarantined",
                                                                                 "bad", "error"};
    if (status && *status == '2' && strlen(status) == 3) /* an HTTP status */
        return out_green();
    if (status && *status >= '3' && *status <= '5' && strlen(status) == 3)
        return out_red();
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (status && strcmp(status, good[i]) == 0)
            return out_green();
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (status && strcmp(status, bad[i]) == 0)
            return out_red();
    return out_yellow();
}

/* C0 and C1 controls, DEL, and what turns the direction of writing around. */
static bool is_harmful(uint32_t c)
{
    return (c < 0x20 && c != '\n') || (c >= 0x7F && c < 0xA0) || (c >= 0x202A && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069);
}

char *out_clean(const char *text)
{
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    struct str all = str_from(text);
    for (size_t at = 0; at < all.len;) {
        size_t start = at;
        uint32_t c = utf8_decode(all, &at);
        if (c == '\t')
            buf_add_char(&out, ' ');
        else if (is_harmful(c))
            buf_add_c(&out, "·");
        else
            buf_add(&out, all.ptr + start, at - start);
    }
    return buf_take(&out, NULL);
}

void out_lines(const char *indent, const char *text)
{
    char *clean = out_clean(text);
    struct str rest = str_from(clean), line = STR_NONE;
    while (str_cut(&rest, '\n', &line))
        printf("%s" STR_FMT "\n", indent, STR_ARG(line));
    free(clean);
}

size_t out_width(const char *text)
{
    struct str all = str_from(text);
    size_t width = 0;
    for (size_t at = 0; at < all.len;) {
        int columns = wcwidth((wchar_t)utf8_decode(all, &at));
        width += columns > 0 ? (size_t)columns : 0;
    }
    return width;
}

size_t out_columns(void)
{
    struct winsize size;
    uint64_t columns = 0;
    const char *given = getenv("COLUMNS");
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
        return size.ws_col;
    if (given && num_parse_u64(str_from(given), &columns) == 0 && columns >= 20)
        return (size_t)columns;
    return SIZE_MAX;
}

char *out_moment(int64_t ms)
{
    char shown[CLOCK_TEXT_MAX] = "";
    time_t seconds = (time_t)(ms / 1000);
    struct tm local;
    if (!out_is_terminal()) {
        clock_format(ms, shown);
    } else {
        localtime_r(&seconds, &local);
        (void)strftime(shown, sizeof(shown), "%Y-%m-%d %H:%M:%S", &local);
    }
    return xstrdup(shown);
}

char *out_duration(int64_t ms)
{
    if (ms < 1000)
        return xasprintf("%lld ms", (long long)ms);
    if (ms < 60000)
        return xasprintf("%lld.%lld s", (long long)(ms / 1000), (long long)(ms / 100 % 10));
    if (ms < 3600000)
        return xasprintf("%lld min %lld s", (long long)(ms / 60000), (long long)(ms / 1000 % 60));
    return xasprintf("%lld h %lld min", (long long)(ms / 3600000), (long long)(ms / 60000 % 60));
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
    char *text = out_clean(err->text[0] ? err->text : err_sentence(err->code));
    fprintf(stderr, "%srunnel:%s %s\n", note_style("red"), note_style("reset"), text);
    free(text);
    return 1;
}
