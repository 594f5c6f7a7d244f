#include "base/err.h"

#include <stdarg.h>

static const struct {
    int code;
    const char *name;
    const char *word;
    const char *sentence;
} codes[] = {
    {RN_OK, "RN_OK", "ok", "done"},
    {RN_EINVAL, "RN_EINVAL", "invalid", "a value is wrong"},
    {RN_ENOMEM, "RN_ENOMEM", "out_of_memory", "a memory limit was met"},
    {RN_ENOTFOUND, "RN_ENOTFOUND", "not_found", "there is no such thing"},
    {RN_EEXISTS, "RN_EEXISTS", "exists", "there is one already"},
    {RN_ETOOBIG, "RN_ETOOBIG", "too_big", "a size is over its limit"},
    {RN_ECONFIG, "RN_ECONFIG", "configuration", "the configuration is wrong"},
    {RN_EAUTH, "RN_EAUTH", "auth", "the credentials were refused"},
    {RN_ERATE, "RN_ERATE", "rate_limited", "rate limited"},
    {RN_ETIMEDOUT, "RN_ETIMEDOUT", "timeout", "the time limit passed"},
    {RN_EUNAVAILABLE, "RN_EUNAVAILABLE", "unavailable", "the other side could not be reached"},
    {RN_EUNKNOWN, "RN_EUNKNOWN", "unknown", "nobody knows whether it was done"},
    {RN_ECANCELED, "RN_ECANCELED", "cancelled", "it was cancelled"},
    {RN_EPERM, "RN_EPERM", "refused", "a policy refuses it"},
    {RN_EHTTP, "RN_EHTTP", "http", "the other side answered with an error"},
    {RN_EIO, "RN_EIO", "io", "a local read or write failed"},
    {RN_ENOSPACE, "RN_ENOSPACE", "no_space", "the store is full"},
    {RN_EFAILED, "RN_EFAILED", "failed", "the component failed"},
    {RN_EPROTOCOL, "RN_EPROTOCOL", "protocol", "the bytes do not follow their format"},
    {RN_EABI, "RN_EABI", "abi", "the plugin is of another ABI"},
    {RN_ECONFLICT, "RN_ECONFLICT", "conflict", "it has changed in the meantime"},
    {RN_EAGAIN, "RN_EAGAIN", "again", "not now"},
};

/* The length of `size` bytes that were cut somewhere, without the beginning of a UTF-8 character at
 * their end. */
static size_t cut_at_character(const char *text, size_t size)
{
    size_t behind = size; /* the last byte that starts a character */
    while (behind > 0 && size - behind < 3 && ((unsigned char)text[behind - 1] & 0xC0) == 0x80)
        behind--;
    if (behind == 0)
        return size;
    unsigned char first = (unsigned char)text[behind - 1];
    size_t needed = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 1;
    return size - (behind - 1) < needed ? behind - 1 : size;
}

int err_set(struct err *err, int code, const char *format, ...)
{
    if (!err)
        return code;
    char text[ERR_TEXT_MAX]; /* the arguments may point into err->text */
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    size_t length = n < 0 ? 0 : (size_t)n;
    if (length >= sizeof(text))
        length = cut_at_character(text, sizeof(text) - 1);
    memcpy(err->text, text, length);
    err->text[length] = '\0';
    err->code = code;
    return code;
}

int err_prefix(struct err *err, const char *format, ...)
{
    if (!err)
        return RN_EFAILED;
    char prefix[ERR_TEXT_MAX / 2];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(prefix, sizeof(prefix), format, args);
    va_end(args);
    if (n < 0)
        prefix[0] = '\0';
    else if ((size_t)n >= sizeof(prefix))
        prefix[cut_at_character(prefix, sizeof(prefix) - 1)] = '\0';
    return err_set(err, err->code, "%s: %s", prefix, err->text);
}

const char *err_name(int code)
{
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        if (codes[i].code == code)
            return codes[i].name;
    return "RN_E?";
}

const char *err_word(int code)
{
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        if (codes[i].code == code)
            return codes[i].word;
    return "failed";
}

const char *err_sentence(int code)
{
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        if (codes[i].code == code)
            return codes[i].sentence;
    return "it failed";
}

int err_from_name(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        if (strcmp(codes[i].name, name) == 0)
            return codes[i].code;
    return RN_EFAILED;
}
