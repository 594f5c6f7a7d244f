#include "flow/zone.h"

#include "flow/load.h"

#include "base/file.h"

#include <glib.h>

#define ZONE_DIR "/usr/share/zoneinfo"

enum {
    NAME_LENGTH_MAX = 100,
    DAY_S = 86400,
    STEP_S = 200 * DAY_S,     /* a look-ahead that no two changes of a rule fit into by much */
    EPOCH_JULIAN = 719163,    /* GLib counts days from 1 January of the year 1 */
    NAMES_FILE_MAX = 1 << 20, /* tzdata.zi has about 110 KiB */
};

struct zone {
    GTimeZone *zone;
    char *name;
};

/* Only names: GLib would take "/etc/passwd", "+02:00" and "EST5EDT,M3.2.0" as well. */
static bool is_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && (i == 0 || !((c >= '0' && c <= '9') || strchr("_+-/", c))))
            return false;
    }
    return name.len > 0 && name.len <= NAME_LENGTH_MAX;
}

static bool is_in_zone_data(const char *name)
{
    char *path = xasprintf(ZONE_DIR "/%s", name), magic[4] = {0};
    FILE *in = fopen(path, "rb");
    bool is_zone = in && fread(magic, 1, 4, in) == 4 && memcmp(magic, "TZif", 4) == 0;
    if (in)
        (void)fclose(in);
    free(path);
    return is_zone;
}

/* The names that zone data was made of: lines "Z name …" and "L target name". */
static void say_nearest(struct str name, struct err *err)
{
    char *text = NULL, hint[NEAREST_TEXT_MAX];
    size_t size = 0;
    struct nearest nearest;
    nearest_init(&nearest, name);
    if (file_read(ZONE_DIR "/tzdata.zi", "it", NAMES_FILE_MAX, &text, &size, NULL) == 0) {
        struct str rest = str_n(text, size), line, word;
        while (str_cut(&rest, '\n', &line)) {
            bool is_link = str_starts(line, "L ");
            if (!is_link && !str_starts(line, "Z "))
                continue;
            for (int i = 0; i < (is_link ? 3 : 2); i++)
                (void)str_cut(&line, ' ', &word);
            ((char *)(uintptr_t)word.ptr)[word.len] = '\0'; /* its separator, in our own copy */
            nearest_offer(&nearest, word.ptr);
        }
    }
    (void)err_set(err, RN_ENOTFOUND, "there is no time zone \"" STR_FMT "\"%s",
                  STR_ARG(str_n(name.ptr, name.len < NAME_LENGTH_MAX ? name.len : NAME_LENGTH_MAX)),
                  nearest.best ? nearest_text(&nearest, hint)
                               : ": names are those of " ZONE_DIR ", as Europe/Berlin");
    free(text);
}

int zone_open(struct str name, struct zone **ret, struct err *err)
{
    char *text = is_name(name) ? str_dup(name) : NULL;
    GTimeZone *found = text && is_in_zone_data(text) ? g_time_zone_new_identifier(text) : NULL;
    if (!found) {
        free(text);
        say_nearest(name, err);
        return RN_ENOTFOUND;
    }
    *ret = xcalloc(1, sizeof(**ret));
    **ret = (struct zone){found, text};
    return 0;
}

void zone_free(struct zone *zone)
{
    if (!zone)
        return;
    g_time_zone_unref(zone->zone);
    free(zone->name);
    free(zone);
}

const char *zone_name(const struct zone *zone)
{
    return zone->name;
}

static int rule_at(const struct zone *zone, int64_t utc_s)
{
    return g_time_zone_find_interval(zone->zone, G_TIME_TYPE_UNIVERSAL, utc_s);
}

int64_t zone_offset(const struct zone *zone, int64_t utc_s)
{
    return g_time_zone_get_offset(zone->zone, rule_at(zone, utc_s));
}

/* Rules are numbered in the order of time, so the second at which the number grows can be found by
 * halving. */
int64_t zone_next_change(const struct zone *zone, int64_t utc_s, int64_t until_s)
{
    int rule = rule_at(zone, utc_s);
    int64_t same = utc_s, other = utc_s;
    while (other < until_s) {
        other = same + STEP_S < until_s ? same + STEP_S : until_s;
        if (rule_at(zone, other) != rule)
            break;
        same = other;
    }
    if (same >= until_s)
        return until_s;
    while (other - same > 1) {
        int64_t middle = same + (other - same) / 2;
        if (rule_at(zone, middle) == rule)
            same = middle;
        else
            other = middle;
    }
    return other;
}

void calendar_day(int64_t day, struct calendar_day *ret)
{
    GDate date;
    g_date_clear(&date, 1);
    g_date_set_julian(&date, (guint32)(day + EPOCH_JULIAN));
    ret->year = g_date_get_year(&date);
    ret->month = (int)g_date_get_month(&date);
    ret->day = g_date_get_day(&date);
    ret->weekday = (int)g_date_get_weekday(&date) % 7;
    ret->days_in_month = g_date_get_days_in_month(g_date_get_month(&date), g_date_get_year(&date));
}

void wall_time(const struct zone *zone, int64_t utc_s, struct wall_time *ret)
{
    ret->offset_s = zone_offset(zone, utc_s);
    int64_t local = utc_s + ret->offset_s;
    int64_t second = (local % DAY_S + DAY_S) % DAY_S;
    ret->day = (local - second) / DAY_S;
    calendar_day(ret->day, &ret->date);
    ret->hour = (int)(second / 3600);
    ret->minute = (int)(second / 60 % 60);
    ret->second = (int)(second % 60);
}

void wall_format(const struct wall_time *wall, char out[WALL_TEXT_MAX])
{
    int64_t minutes = (wall->offset_s < 0 ? -wall->offset_s : wall->offset_s) / 60;
    (void)snprintf(out, WALL_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d%c%02d:%02d", wall->date.year,
                   wall->date.month, wall->date.day, wall->hour, wall->minute, wall->second,
                   wall->offset_s < 0 ? '-' : '+', (int)(minutes / 60), (int)(minutes % 60));
}
