/* fuzz: flow */
/* Cron expressions: what is taken fires at whole minutes, each behind the one before, in a zone
 * whose clocks change; what is refused says why. */
#include "fuzz.h"

#include "flow/cron.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct zone *zone;
    struct cron cron;
    struct err err = ERR_INIT;
    if (!zone)
        FUZZ_CHECK(zone_open(STR("Australia/Lord_Howe"), &zone, &err) == 0);
    if (size > 200)
        return 0;
    int rc = cron_parse(str_n(data, size), &cron, &err);
    if (rc) {
        FUZZ_CHECK(rc == RN_EINVAL && err.text[0]);
        return 0;
    }
    FUZZ_CHECK(cron.minutes && cron.hours && cron.months);
    int64_t at = 1775300000; /* a day before the clocks change */
    for (int i = 0; i < 5; i++) {
        int64_t next = 0;
        if (!cron_next(&cron, zone, at, &next))
            break;
        FUZZ_CHECK(next > at && next % 60 == 0);
        at = next;
    }
    return 0;
}
