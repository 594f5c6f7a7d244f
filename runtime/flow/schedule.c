#include "flow/schedule.h"

#include "base/limits.h"
#include "flow/names.h"

#include <stdarg.h>

static const char *const missed_names[] = {"once", "skip", "all", NULL};
static const char *const overlap_names[] = {"allow", "skip", "queue", NULL};

/* ---- reading */

struct reading {
    const struct json *config;
    const struct json *where; /* what is wrong */
    struct err *err;
};

static int wrong(struct reading *reading, const struct json *where, const char *text)
{
    reading->where = where;
    return err_set(reading->err, RN_EINVAL, "%s", text);
}

static int check_names(struct reading *reading, const char *const *known)
{
    for (const struct json *m = json_first(reading->config); m; m = json_next(m)) {
        struct nearest nearest;
        struct buf all = BUF_INIT(400);
        bool is_known = false;
        nearest_init(&nearest, str_from(json_name(m)));
        for (size_t i = 0; known[i]; i++) {
            is_known = is_known || strcmp(known[i], json_name(m)) == 0;
            nearest_offer(&nearest, known[i]);
            buf_addf(&all, "%s%s", i ? ", " : "", known[i]);
        }
        char hint[NEAREST_TEXT_MAX];
        if (!is_known) {
            reading->where = m;
            (void)err_set(reading->err, RN_EINVAL, "unknown key \"%s\" in a schedule%s%s",
                          json_name(m), nearest.best ? "" : "; there are: ",
                          nearest.best ? nearest_text(&nearest, hint) : buf_c(&all));
        }
        buf_release(&all);
        if (!is_known)
            return RN_EINVAL;
    }
    return 0;
}

static int read_word(struct reading *reading, const char *name, const char *const *words, int *ret)
{
    const struct json *value = json_get(reading->config, name);
    struct nearest nearest;
    nearest_init(&nearest, json_str(value));
    if (!value)
        return 0;
    for (int i = 0; words[i]; i++) {
        if (str_eq_c(json_str(value), words[i])) {
            *ret = i;
            return 0;
        }
        nearest_offer(&nearest, words[i]);
    }
    char hint[NEAREST_TEXT_MAX];
    reading->where = value;
    return err_set(reading->err, RN_EINVAL, "\"%s\" is one of %s, %s and %s%s", name, words[0],
                   words[1], words[2], nearest_text(&nearest, hint));
}

static int read_duration(struct reading *reading, const char *name, int64_t min_ms, int64_t *ret)
{
    const struct json *value = json_get(reading->config, name);
    int64_t ms = 0;
    if (!value)
        return 0;
    if (!json_is(value, JSON_STRING) || num_parse_duration(json_str(value), &ms)) {
        reading->where = value;
        return err_set(reading->err, RN_EINVAL,
                       "\"%s\" must be a time with its unit (30s, 15m, 6h, 1d)", name);
    }
    if (ms < min_ms || ms > LIMIT_SCHEDULE_EVERY_MS) {
        reading->where = value;
        return err_set(reading->err, RN_EINVAL, "\"%s\" goes from %llds to %lldd", name,
                       (long long)(min_ms / 1000), (long long)(LIMIT_SCHEDULE_EVERY_MS / 86400000));
    }
    *ret = ms;
    return 0;
}

static int read_seconds(struct reading *reading, int64_t *ret_ms)
{
    const struct json *value = json_get(reading->config, "intervalSeconds");
    int64_t seconds = 0;
    if (!value)
        return 0;
    if (!json_to_i64(value, &seconds) || seconds < 1 || seconds > LIMIT_SCHEDULE_EVERY_MS / 1000)
        return wrong(reading, value,
                     "\"intervalSeconds\" is a whole number of seconds, 1 at least");
    *ret_ms = seconds * 1000;
    return 0;
}

static int read_cron(struct reading *reading, struct schedule *schedule)
{
    const struct json *value = json_get(reading->config, "cron"),
                      *zone_value = json_get(reading->config, "timezone");
    struct str name = zone_value ? json_str(zone_value) : STR("UTC");
    if (zone_value && !json_is(zone_value, JSON_STRING))
        return wrong(reading, zone_value, "\"timezone\" is a name, as Europe/Berlin");
    int rc = zone_open(name, &schedule->zone, reading->err);
    if (rc) {
        reading->where = zone_value ? zone_value : reading->config;
        return rc;
    }
    if (!value)
        return 0;
    if (!json_c(value))
        return wrong(reading, value, "\"cron\" is a text in quotes, as \"0 9 * * 1-5\"");
    rc = cron_parse(json_str(value), &schedule->cron, reading->err);
    if (rc) {
        reading->where = value;
        return rc;
    }
    int64_t first = 0;
    if (!cron_next(&schedule->cron, schedule->zone, 0, &first))
        return wrong(reading, value, "this expression never fires: no month has such a day");
    schedule->cron_text = xstrdup(json_c(value));
    return 0;
}

int schedule_parse(const struct json *config, bool is_timer, struct schedule **ret,
                   const struct json **ret_where, struct err *err)
{
    static const char *const keys[] = {"every",   "cron",   "timezone", "on_missed",
                                       "overlap", "jitter", NULL};
    static const char *const timer_keys[] = {"intervalSeconds", "cron", "timezone", "on_missed",
                                             NULL};
    struct reading reading = {.config = config, .where = config, .err = err};
    struct schedule *schedule = xcalloc(1, sizeof(*schedule));
    int missed = MISSED_ONCE, overlap = OVERLAP_ALLOW;
    const char *interval = is_timer ? "intervalSeconds" : "every";
    int rc = 0;
    if (!json_is(config, JSON_OBJECT))
        rc = wrong(&reading, config,
                   is_timer ? "a timer is { intervalSeconds: 900 } or { cron: \"0 * * * *\", "
                              "timezone: Europe/Berlin }"
                            : "a schedule is { every: 15m } or { cron: \"0 9 * * 1-5\", timezone: "
                              "Europe/Berlin }");
    rc = rc ? rc : check_names(&reading, is_timer ? timer_keys : keys);
    rc = rc         ? rc
         : is_timer ? read_seconds(&reading, &schedule->every_ms)
                    : read_duration(&reading, "every", 1000, &schedule->every_ms);
    rc = rc ? rc : read_cron(&reading, schedule);
    rc = rc ? rc : read_word(&reading, "on_missed", missed_names, &missed);
    rc = rc ? rc : read_word(&reading, "overlap", overlap_names, &overlap);
    rc = rc ? rc : read_duration(&reading, "jitter", 0, &schedule->jitter_ms);
    if (rc == 0 && !schedule->every_ms == !schedule->cron_text) {
        reading.where = schedule->every_ms ? json_get(config, interval) : config;
        rc = err_set(err, RN_EINVAL, "a schedule has \"%s\" or \"cron\"%s", interval,
                     schedule->every_ms ? ", not both" : "");
    }
    schedule->on_missed = (enum on_missed)missed;
    schedule->overlap = (enum overlap)overlap;
    if (rc) {
        *ret_where = reading.where;
        schedule_free(schedule);
        return RN_EINVAL;
    }
    *ret = schedule;
    return 0;
}

void schedule_free(struct schedule *schedule)
{
    if (!schedule)
        return;
    zone_free(schedule->zone);
    free(schedule->cron_text);
    free(schedule);
}

/* ---- firing */

int64_t schedule_next(const struct schedule *schedule, int64_t anchor_ms, int64_t after_ms)
{
    int64_t next_s = 0;
    if (!schedule->every_ms)
        return cron_next(&schedule->cron, schedule->zone, after_ms / 1000, &next_s) ? next_s * 1000
                                                                                    : INT64_MAX;
    if (after_ms < anchor_ms)
        return anchor_ms + schedule->every_ms;
    return anchor_ms + ((after_ms - anchor_ms) / schedule->every_ms + 1) * schedule->every_ms;
}

/* FNV-1a: spread is all that is wanted. */
int64_t schedule_jitter(const struct schedule *schedule, struct str id, int64_t at_ms)
{
    uint64_t hash = 0xcbf29ce484222325u;
    if (schedule->jitter_ms <= 0)
        return 0;
    for (size_t i = 0; i < id.len; i++)
        hash = (hash ^ (unsigned char)id.ptr[i]) * 0x100000001b3u;
    for (int i = 0; i < 8; i++)
        hash = (hash ^ (uint64_t)at_ms >> 8 * i % 64) * 0x100000001b3u;
    return (int64_t)(hash >> 16) % schedule->jitter_ms;
}

/* ---- what is told of a firing */

static const char *const weekday_names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                            "Thursday", "Friday", "Saturday"};
static const char *const short_months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static struct json *member(struct json *object, const char *name)
{
    return json_set(object, name, json_new_object());
}

static void set_text(struct json *object, const char *name, const char *format, ...)
    PRINTF_LIKE(3, 4);
static void set_text(struct json *object, const char *name, const char *format, ...)
{
    char text[64];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    json_set_string(object, name, text);
}

/* The shape that Pipedream's schedule triggers give (docs/triggers.md). */
static struct json *moment(const struct zone *zone, int64_t at_ms)
{
    struct wall_time wall;
    struct calendar_day monday;
    char timestamp[WALL_TEXT_MAX];
    wall_time(zone, at_ms / 1000, &wall);
    wall_format(&wall, timestamp);
    calendar_day(wall.day - (wall.date.weekday + 6) % 7, &monday);
    struct json *out = json_new_object();
    struct json *date = member(out, "date");
    json_set_integer(date, "day", wall.date.day);
    json_set_integer(date, "month", wall.date.month);
    json_set_integer(date, "year", wall.date.year);
    struct json *iso = member(out, "iso8601");
    set_text(iso, "date", "%.10s", timestamp);
    set_text(iso, "time", "%s", timestamp + 11);
    json_set_string(iso, "timestamp", timestamp);
    struct json *metadata = member(out, "metadata");
    json_set_string(metadata, "day_name", weekday_names[wall.date.weekday]);
    json_set_integer(metadata, "day_of_week", wall.date.weekday ? wall.date.weekday : 7);
    set_text(metadata, "start_of_week", "%04d-%02d-%02d", monday.year, monday.month, monday.day);
    struct json *pretty = member(out, "pretty");
    set_text(pretty, "date", "%s %d, %d", short_months[wall.date.month - 1], wall.date.day,
             wall.date.year);
    set_text(pretty, "time", "%d:%02d %s", wall.hour % 12 ? wall.hour % 12 : 12, wall.minute,
             wall.hour < 12 ? "AM" : "PM");
    set_text(pretty, "time_24h", "%02d:%02d", wall.hour, wall.minute);
    struct json *time = member(out, "time");
    json_set_integer(time, "hour", wall.hour);
    json_set_integer(time, "minute", wall.minute);
    json_set_integer(time, "second", wall.second);
    json_set_integer(time, "millisecond", at_ms % 1000);
    json_set_string(out, "timezone", zone_name(zone));
    return out;
}

struct json *schedule_event(const struct schedule *schedule, bool is_timer, int64_t at_ms)
{
    struct json *event = json_new_object();
    json_set_integer(event, "timestamp", at_ms / 1000);
    if (schedule->every_ms)
        json_set_integer(event, "interval_seconds", schedule->every_ms / 1000);
    else
        json_set_string(event, "cron", schedule->cron_text);
    struct zone *utc = NULL;
    if (!is_timer && zone_open(STR("UTC"), &utc, NULL) == 0) {
        (void)json_set(event, "timezone_configured", moment(schedule->zone, at_ms));
        (void)json_set(event, "timezone_utc", moment(utc, at_ms));
    }
    zone_free(utc);
    return event;
}

void schedule_describe(const struct schedule *schedule, struct buf *out)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    if (!schedule->every_ms) {
        buf_addf(out, "%s %s", schedule->cron_text, zone_name(schedule->zone));
        return;
    }
    size_t unit = 0;
    while (schedule->every_ms % units[unit].ms)
        unit++;
    buf_addf(out, "every %lld%s", (long long)(schedule->every_ms / units[unit].ms),
             units[unit].unit);
}

void schedule_format(const struct schedule *schedule, int64_t at_ms, char out[WALL_TEXT_MAX])
{
    struct wall_time wall;
    wall_time(schedule->zone, at_ms / 1000, &wall);
    wall_format(&wall, out);
}
