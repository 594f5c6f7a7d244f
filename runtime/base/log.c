#include "base/log.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

static atomic_int least = LOG_INFO;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards sink, sink_ctx */
static void (*sink)(void *, enum log_level, const char *);
static void *sink_ctx;

const char *log_level_name(enum log_level level)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    return names[level];
}

void log_set_level(enum log_level level)
{
    atomic_store(&least, (int)level);
}

void log_set_sink(void (*new_sink)(void *, enum log_level, const char *), void *ctx)
{
    pthread_mutex_lock(&lock);
    sink = new_sink;
    sink_ctx = ctx;
    pthread_mutex_unlock(&lock);
}

static void add(char *line, size_t *length, const char *name, const char *value)
{
    if (!value || *length >= LOG_LINE_MAX)
        return;
    int n = snprintf(line + *length, LOG_LINE_MAX - *length, " %s=%s", name, value);
    *length += n > 0 ? (size_t)n : 0;
    if (*length >= LOG_LINE_MAX)
        *length = LOG_LINE_MAX - 1;
}

void log_line(enum log_level level, const struct log_at *at, const char *format, ...)
{
    if ((int)level < atomic_load_explicit(&least, memory_order_relaxed))
        return;
    char line[LOG_LINE_MAX + 1];
    char time[CLOCK_TEXT_MAX];
    clock_format(clock_now_ms(), time);
    int n = snprintf(line, LOG_LINE_MAX, "%s %-5s ", time, log_level_name(level));
    size_t length = (size_t)n;
    va_list args;
    va_start(args, format);
    n = vsnprintf(line + length, LOG_LINE_MAX - length, format, args);
    va_end(args);
    length += n > 0 ? (size_t)n : 0;
    if (length >= LOG_LINE_MAX)
        length = LOG_LINE_MAX - 1;
    if (at) {
        add(line, &length, "workflow", at->workflow);
        add(line, &length, "run", at->run);
        add(line, &length, "step", at->step);
        add(line, &length, "component", at->component);
    }
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7F)
            line[i] = ' ';
    line[length] = '\0';
    pthread_mutex_lock(&lock);
    if (sink) {
        sink(sink_ctx, level, line);
    } else {
        line[length++] = '\n';
        ssize_t ignored = write(STDERR_FILENO, line, length);
        (void)ignored;
    }
    pthread_mutex_unlock(&lock);
}
