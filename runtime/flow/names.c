#include "flow/names.h"

enum { NAME_MAX_LENGTH = 128 };

void nearest_init(struct nearest *nearest, struct str wrong)
{
    *nearest = (struct nearest){.wrong = wrong, .distance = SIZE_MAX};
}

static struct str lower(struct str text, char out[NAME_MAX_LENGTH])
{
    size_t len = text.len < NAME_MAX_LENGTH ? text.len : NAME_MAX_LENGTH;
    for (size_t i = 0; i < len; i++)
        out[i] = text.ptr[i] >= 'A' && text.ptr[i] <= 'Z' ? (char)(text.ptr[i] + 32) : text.ptr[i];
    return str_n(out, len);
}

void nearest_offer(struct nearest *nearest, const char *candidate)
{
    if (!candidate || nearest->wrong.len == 0 || nearest->wrong.len > NAME_MAX_LENGTH)
        return;
    struct str right = str_from(candidate);
    size_t longer = right.len > nearest->wrong.len ? right.len : nearest->wrong.len;
    size_t limit = longer <= 3 ? 1 : longer / 3;
    char a[NAME_MAX_LENGTH], b[NAME_MAX_LENGTH];
    struct str wrong_lower = lower(nearest->wrong, a), right_lower = lower(right, b);
    size_t distance = 2 * str_distance(wrong_lower, right_lower, limit);
    /* "segment" for "segment-webhook-destination": what is left out at the end is a likely slip
     * too. */
    if (distance > 2 * limit && wrong_lower.len >= 4 && right_lower.len > wrong_lower.len &&
        memcmp(wrong_lower.ptr, right_lower.ptr, wrong_lower.len) == 0)
        distance = 2 * limit;
    if (distance > 2 * limit)
        return;
    if (!str_eq(nearest->wrong, right) && distance == 0)
        distance = 1; /* only the case differs */
    if (distance < nearest->distance) {
        nearest->distance = distance;
        nearest->best = candidate;
    }
}

const char *nearest_text(const struct nearest *nearest, char out[NEAREST_TEXT_MAX])
{
    out[0] = '\0';
    if (nearest->best)
        snprintf(out, NEAREST_TEXT_MAX, ": did you mean \"%s\"?", nearest->best);
    return out;
}

bool is_identifier(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!is_letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return name.len > 0;
}

bool is_plain_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-' || c == '.'))
            return false;
    }
    return name.len > 0 && name.len <= 100;
}
