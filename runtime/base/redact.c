#include "base/redact.h"

#include "base/encode.h"

/* The forms of a secret that are looked for: as it is, as in a JSON string, percent-encoded, and in
 * base64 at each of the three places where it can stand in a longer text (basic credentials). */
enum { FORMS_MAX = 9 };

struct forms {
    struct buf text[FORMS_MAX];
    size_t count;
};

static void add_form(struct forms *forms, struct buf *text)
{
    bool is_new = text->len >= REDACT_LENGTH_MIN;
    for (size_t i = 0; i < forms->count && is_new; i++)
        is_new = !str_eq(buf_str(&forms->text[i]), buf_str(text));
    if (is_new && forms->count < FORMS_MAX)
        forms->text[forms->count++] = *text;
    else
        buf_release(text);
}

static void add_escaped(struct forms *forms, struct str secret)
{
    static const char plain[] = "\"\\\b\f\n\r\t";
    static const char letters[] = "\"\\bfnrt";
    struct buf out = BUF_INIT(secret.len * 6 + 1);
    for (size_t i = 0; i < secret.len; i++) {
        char c = secret.ptr[i];
        const char *at = c ? strchr(plain, c) : NULL;
        if (at)
            buf_addf(&out, "\\%c", letters[at - plain]);
        else if ((unsigned char)c < 0x20)
            buf_addf(&out, "\\u%04x", (unsigned)(unsigned char)c);
        else
            buf_add_char(&out, c);
    }
    add_form(forms, &out);
}

/* With `before` bytes in front: the digits that depend on the secret alone. */
static void add_base64(struct forms *forms, struct str secret, size_t before, bool url)
{
    struct buf raw = BUF_INIT(secret.len + 2), all = BUF_INIT(secret.len * 2 + 16);
    buf_add(&raw, "\0\0", before);
    buf_add_str(&raw, secret);
    encode_base64(&all, raw.ptr, raw.len, url);
    size_t start = (before * 8 + 5) / 6;
    size_t end = raw.len * 8 / 6;
    struct buf out = BUF_INIT(secret.len * 2 + 16);
    if (all.ptr && end > start)
        buf_add(&out, all.ptr + start, end - start);
    buf_release(&raw);
    buf_release(&all);
    add_form(forms, &out);
}

static void make_forms(struct forms *forms, struct str secret)
{
    forms->count = 0;
    struct buf as_is = BUF_INIT(secret.len);
    buf_add_str(&as_is, secret);
    add_form(forms, &as_is);
    add_escaped(forms, secret);
    struct buf percent = BUF_INIT(secret.len * 3);
    encode_percent(&percent, secret);
    add_form(forms, &percent);
    for (size_t before = 0; before < 3; before++) {
        add_base64(forms, secret, before, false);
        add_base64(forms, secret, before, true);
    }
}

static void release_forms(struct forms *forms)
{
    for (size_t i = 0; i < forms->count; i++) {
        mem_wipe(forms->text[i].ptr, forms->text[i].len);
        buf_release(&forms->text[i]);
    }
}

static const char *find(struct str text, struct str needle)
{
    return needle.len && text.len >= needle.len ? memmem(text.ptr, text.len, needle.ptr, needle.len)
                                                : NULL;
}

bool redact_is_needed(struct str text, const struct str *secrets, size_t count)
{
    bool is_needed = false;
    for (size_t i = 0; i < count && !is_needed; i++) {
        if (secrets[i].len < REDACT_LENGTH_MIN)
            continue;
        struct forms forms;
        make_forms(&forms, secrets[i]);
        for (size_t j = 0; j < forms.count && !is_needed; j++)
            is_needed = find(text, buf_str(&forms.text[j])) != NULL;
        release_forms(&forms);
    }
    return is_needed;
}

/* Marks what is secret first: secrets may overlap or be part of each other, and then all of it has
 * to go. */
static void mark(char *marks, struct str text, struct str needle)
{
    size_t from = 0;
    while (from < text.len) {
        const char *at = find(str_n(text.ptr + from, text.len - from), needle);
        if (!at)
            return;
        memset(marks + (at - text.ptr), 1, needle.len);
        from = (size_t)(at - text.ptr) + 1;
    }
}

void redact_text(struct buf *out, struct str text, const struct str *secrets, size_t count)
{
    if (!redact_is_needed(text, secrets, count)) {
        buf_add_str(out, text);
        return;
    }
    char *marks = xcalloc(text.len + 1, 1);
    for (size_t i = 0; i < count; i++) {
        if (secrets[i].len < REDACT_LENGTH_MIN)
            continue;
        struct forms forms;
        make_forms(&forms, secrets[i]);
        for (size_t j = 0; j < forms.count; j++)
            mark(marks, text, buf_str(&forms.text[j]));
        release_forms(&forms);
    }
    for (size_t i = 0; i < text.len;) {
        size_t end = i + 1;
        while (end < text.len && marks[end] == marks[i])
            end++;
        if (marks[i])
            buf_add_c(out, REDACTED);
        else
            buf_add(out, text.ptr + i, end - i);
        i = end;
    }
    free(marks);
}
