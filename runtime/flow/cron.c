#include "flow/cron.h"

#include "flow/names.h"

enum {
    DAY_S = 86400,
    YEARS_AHEAD = 50, /* 29 February on a given weekday may be 40 years away */
    FIELDS = 5,
};

struct field_spec {
    const char *name;
    int min, max;
    const char *const *names; /* of the values from `first_name` on */
    int first_name, name_count;
};

static const char *const month_names[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                          "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
static const char *const day_names[] = {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"};

enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY };
static const struct field_spec specs[FIELDS] = {
    {"minute", 0, 59, NULL, 0, 0},          {"hour", 0, 23, NULL, 0, 0},
    {"day of month", 1, 31, NULL, 0, 0},    {"month", 1, 12, month_names, 1, 12},
    {"day of week", 0, 7, day_names, 0, 7},
};

static int wrong(const struct field_spec *spec, struct str part, struct err *err)
{
    return err_set(err, RN_EINVAL, "\"" STR_FMT "\" is no %s: it goes from %d to %d%s",
                   STR_ARG(part), spec->name, spec->min, spec->max,
                   spec == &specs[MONTH]     ? " or JAN to DEC"
                   : spec == &specs[WEEKDAY] ? " or SUN to SAT"
                   : spec == &specs[DAY]     ? ", or is L, the last"
                                             : "");
}

static int read_value(const struct field_spec *spec, struct str text, int *ret, struct err *err)
{
    int64_t number;
    if (num_parse_i64(text, &number) == 0 && number >= spec->min && number <= spec->max) {
        *ret = (int)number;
        return 0;
    }
    struct nearest nearest;
    nearest_init(&nearest, text);
    for (int i = 0; i < spec->name_count; i++) {
        if (str_eq_nocase(text, str_from(spec->names[i]))) {
            *ret = spec->first_name + i;
            return 0;
        }
        nearest_offer(&nearest, spec->names[i]);
    }
    if (nearest.best && text.len >= 2 && text.ptr[0] >= 'A') {
        char hint[NEAREST_TEXT_MAX];
        return err_set(err, RN_EINVAL, "\"" STR_FMT "\" is no %s%s", STR_ARG(text), spec->name,
                       nearest_text(&nearest, hint));
    }
    return wrong(spec, text, err);
}

/* "L", "5L", "5#2": what only the day fields have. *ret_is_one says whether it was one. */
static int read_special(const struct field_spec *spec, struct str part, struct cron *cron,
                        bool *ret_is_one, struct err *err)
{
    *ret_is_one = true;
    if (spec == &specs[DAY] && str_eq_nocase(part, STR("L"))) {
        cron->last_day = true;
        return 0;
    }
    int weekday = 0;
    ptrdiff_t hash = str_find(part, "#", 0);
    if (spec == &specs[WEEKDAY] && hash > 0) {
        int64_t nth = 0;
        struct str count = str_n(part.ptr + hash + 1, part.len - (size_t)hash - 1);
        int rc = read_value(spec, str_n(part.ptr, (size_t)hash), &weekday, err);
        if (rc)
            return rc;
        if (num_parse_i64(count, &nth) || nth < 1 || nth > 5)
            return err_set(err, RN_EINVAL,
                           "\"" STR_FMT "\": behind # stands which one of the month, 1 to 5",
                           STR_ARG(part));
        cron->nth[weekday % 7] |= (uint8_t)(1u << nth);
        return 0;
    }
    bool ends_in_l =
        part.len > 1 && (part.ptr[part.len - 1] == 'L' || part.ptr[part.len - 1] == 'l');
    if (spec == &specs[WEEKDAY] && ends_in_l) {
        int rc = read_value(spec, str_n(part.ptr, part.len - 1), &weekday, err);
        if (rc == 0)
            cron->last_weekdays |= (uint8_t)(1u << weekday % 7);
        return rc;
    }
    *ret_is_one = false;
    return 0;
}

/* One element of a list: *, a, a-b, each with /step. */
static int read_range(const struct field_spec *spec, struct str part, uint64_t *bits,
                      struct err *err)
{
    struct str rest = part, range, low;
    bool has_step = str_find(part, "/", 0) >= 0;
    (void)str_cut(&rest, '/', &range);
    int64_t step = 1;
    if (has_step && (num_parse_i64(rest, &step) || step < 1 || step > spec->max))
        return err_set(err, RN_EINVAL, "\"" STR_FMT "\": the step of the %s goes from 1 to %d",
                       STR_ARG(part), spec->name, spec->max);
    int first = spec->min, last = spec == &specs[WEEKDAY] ? 6 : spec->max;
    if (!str_eq_c(range, "*")) {
        bool is_range = str_find(range, "-", 0) >= 0;
        struct str high = range;
        (void)str_cut(&high, '-', &low);
        int rc = read_value(spec, low, &first, err);
        if (rc == 0 && is_range)
            rc = read_value(spec, high, &last, err);
        else if (!has_step)
            last = first;
        if (rc)
            return rc;
        if (spec == &specs[WEEKDAY] && is_range && last < first && last == 0)
            last = 7; /* FRI-SUN */
        if (last < first)
            return err_set(err, RN_EINVAL, "\"" STR_FMT "\": the %s range goes backwards",
                           STR_ARG(part), spec->name);
    }
    for (int value = first; value <= last; value += (int)step)
        *bits |= 1ull << (spec == &specs[WEEKDAY] ? value % 7 : value);
    return 0;
}

static int read_field(const struct field_spec *spec, struct str text, struct cron *cron,
                      uint64_t *ret_bits, struct err *err)
{
    struct str rest = text, part;
    *ret_bits = 0;
    for (bool more = true; more;) {
        more = str_find(rest, ",", 0) >= 0;
        (void)str_cut(&rest, ',', &part);
        bool is_special = false;
        int rc = part.len == 0 ? wrong(spec, text, err)
                               : read_special(spec, part, cron, &is_special, err);
        if (rc == 0 && !is_special)
            rc = read_range(spec, part, ret_bits, err);
        if (rc)
            return rc;
    }
    return 0;
}

static struct str macro(struct str text)
{
    static const char *const macros[][2] = {{"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},
                                            {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
                                            {"@monthly", "0 0 1 * *"},  {"@yearly", "0 0 1 1 *"},
                                            {"@annually", "0 0 1 1 *"}};
    for (size_t i = 0; i < COUNT_OF(macros); i++)
        if (str_eq_nocase(text, str_from(macros[i][0])))
            return str_from(macros[i][1]);
    return text;
}

static size_t split(struct str text, struct str fields[FIELDS])
{
    size_t count = 0, at = 0;
    while (at < text.len) {
        size_t start = at;
        while (at < text.len && text.ptr[at] != ' ' && text.ptr[at] != '\t')
            at++;
        if (at > start && count++ < FIELDS)
            fields[count - 1] = str_n(text.ptr + start, at - start);
        at++;
    }
    return count;
}

int cron_parse(struct str text, struct cron *ret, struct err *err)
{
    struct str fields[FIELDS];
    struct cron cron = {.minutes = 0};
    uint64_t bits[FIELDS];
    struct str whole = str_trim(text);
    if (str_starts(whole, "@") && macro(whole).ptr == whole.ptr)
        return err_set(err, RN_EINVAL,
                       "there is no \"" STR_FMT
                       "\": @hourly, @daily, @weekly, @monthly and @yearly are known",
                       STR_ARG(whole));
    size_t count = split(macro(whole), fields);
    if (count != FIELDS)
        return err_set(err, RN_EINVAL,
                       "a cron expression has five fields (minute, hour, day of month, month, day "
                       "of week); \"" STR_FMT "\" has %zu%s",
                       STR_ARG(whole), count,
                       count == 6 ? ": there are no seconds and no years" : "");
    for (size_t i = 0; i < FIELDS; i++) {
        int rc = read_field(&specs[i], fields[i], &cron, &bits[i], err);
        if (rc)
            return rc;
    }
    cron.minutes = bits[MINUTE];
    cron.hours = (uint32_t)bits[HOUR];
    cron.days = (uint32_t)bits[DAY];
    cron.months = (uint16_t)bits[MONTH];
    cron.weekdays = (uint8_t)bits[WEEKDAY];
    cron.any_day = fields[DAY].ptr[0] == '*';
    cron.any_weekday = fields[WEEKDAY].ptr[0] == '*';
    cron.is_by_clock = fields[MINUTE].ptr[0] == '*' || fields[HOUR].ptr[0] == '*';
    *ret = cron;
    return 0;
}

static bool is_weekday(const struct cron *cron, const struct calendar_day *date)
{
    uint8_t bit = (uint8_t)(1u << date->weekday);
    return cron->weekdays & bit || cron->nth[date->weekday] >> ((date->day - 1) / 7 + 1) & 1u ||
           (cron->last_weekdays & bit && date->day + 7 > date->days_in_month);
}

static bool is_day(const struct cron *cron, int64_t day)
{
    struct calendar_day date;
    calendar_day(day, &date);
    if (!(cron->months >> date.month & 1u))
        return false;
    bool by_day = cron->days >> date.day & 1u || (cron->last_day && date.day == date.days_in_month);
    bool by_weekday = is_weekday(cron, &date);
    return cron->any_day || cron->any_weekday ? by_day && by_weekday : by_day || by_weekday;
}

/* The first matching minute from `from` up to but without `until`, on a clock that nothing changes.
 * -1: none. */
static int64_t first_match(const struct cron *cron, int64_t from, int64_t until)
{
    int64_t minute = from / 60 + (from % 60 > 0 ? 1 : 0);
    while (minute * 60 < until) {
        int64_t day = minute / 1440;
        if (is_day(cron, day))
            for (int64_t m = minute % 1440; m < 1440; m++)
                if (cron->hours >> (m / 60) & 1u && cron->minutes >> (m % 60) & 1u)
                    return (day * 1440 + m) * 60 < until ? (day * 1440 + m) * 60 : -1;
        minute = (day + 1) * 1440;
    }
    return -1;
}

/* Goes through the stretches of time in which the zone's offset stays the same; in each the wall
 * clock simply runs. It begins a day early, to know of an hour that is being repeated now. */
bool cron_next(const struct cron *cron, const struct zone *zone, int64_t after_s, int64_t *ret_s)
{
    int64_t first = after_s + 1, limit = after_s + YEARS_AHEAD * 366ll * DAY_S;
    int64_t start = first - DAY_S, shown_until = INT64_MIN;
    while (start < limit) {
        int64_t offset = zone_offset(zone, start), end = zone_next_change(zone, start, limit);
        int64_t from = (start > first ? start : first) + offset;
        if (!cron->is_by_clock && from < shown_until)
            from = shown_until;
        int64_t found = end > first ? first_match(cron, from, end + offset) : -1;
        if (found >= 0) {
            *ret_s = found - offset;
            return true;
        }
        if (end >= limit)
            return false;
        int64_t next_offset = zone_offset(zone, end);
        if (!cron->is_by_clock && next_offset > offset && end >= first &&
            first_match(cron, end + offset, end + next_offset) >= 0) {
            *ret_s = end;
            return true;
        }
        shown_until = next_offset < offset ? end + offset : INT64_MIN;
        start = end;
    }
    return false;
}
