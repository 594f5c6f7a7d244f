/* A message as text: headers that hold no line break of anybody's, bodies in quoted-printable. */
#include "base/encode.h"
#include "base/limits.h"
#include "net/smtp.h"

#include <time.h>

enum { QUOTED_LINE = 74, WORD_BYTES = 42 };

static bool is_plain(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ' || (unsigned char)text.ptr[i] >= 0x7f)
            return false;
    return true;
}

/* RFC 2047: words of base64, cut between characters, one on a line. */
static void add_words(struct buf *out, struct str text)
{
    for (size_t at = 0; at < text.len;) {
        size_t size = text.len - at < WORD_BYTES ? text.len - at : WORD_BYTES;
        while (at + size < text.len && ((unsigned char)text.ptr[at + size] & 0xc0) == 0x80)
            size--;
        buf_add_c(out, at ? "\r\n =?UTF-8?B?" : "=?UTF-8?B?");
        encode_base64(out, text.ptr + at, size, false);
        buf_add_c(out, "?=");
        at += size;
    }
}

static void add_text_header(struct buf *out, const char *name, struct str text)
{
    buf_addf(out, "%s: ", name);
    if (is_plain(text) && text.len <= 70 && str_find(text, "=?", 0) < 0)
        buf_add_str(out, text);
    else
        add_words(out, text);
    buf_add_c(out, "\r\n");
}

/* "Some Name <a@b>" → name and address; without brackets the name is empty. */
static void split_address(struct str text, struct str *ret_name, struct str *ret_address)
{
    struct str whole = str_trim(text);
    ptrdiff_t open = str_find(whole, "<", 0);
    *ret_name = STR_NONE;
    *ret_address = whole;
    if (open < 0 || !str_ends(whole, ">"))
        return;
    *ret_name = str_trim(str_n(whole.ptr, (size_t)open));
    *ret_address = str_n(whole.ptr + open + 1, whole.len - (size_t)open - 2);
    if (ret_name->len >= 2 && str_starts(*ret_name, "\"") && str_ends(*ret_name, "\""))
        *ret_name = str_n(ret_name->ptr + 1, ret_name->len - 2);
}

int mail_address(const char *text, struct buf *out, struct err *err)
{
    struct str name, address;
    split_address(str_from(text), &name, &address);
    ptrdiff_t at = str_find(address, "@", 0);
    bool is_good =
        at > 0 && (size_t)at + 1 < address.len && address.len <= 254 && is_plain(address);
    for (size_t i = 0; i < address.len && is_good; i++)
        is_good = address.ptr[i] != ' ' && !strchr("<>(),;:\\\"[]", address.ptr[i]);
    if (!is_good)
        return err_set(err, RN_EINVAL, "\"%s\" is no mail address", text);
    buf_add_str(out, address);
    return 0;
}

static int add_address(struct buf *out, const char *text, struct err *err)
{
    struct str name, address;
    struct buf bare = BUF_INIT(KIB(1));
    int rc = mail_address(text, &bare, err);
    split_address(str_from(text), &name, &address);
    if (rc == 0 && name.len && is_plain(name) && name.len <= 60) {
        buf_add_char(out, '"');
        for (size_t i = 0; i < name.len; i++) {
            if (strchr("\\\"", name.ptr[i]))
                buf_add_char(out, '\\');
            buf_add_char(out, name.ptr[i]);
        }
        buf_add_c(out, "\" ");
    } else if (rc == 0 && name.len) {
        add_words(out, name);
        buf_add_char(out, ' ');
    }
    if (rc == 0)
        buf_addf(out, name.len ? "<%s>" : "%s", buf_c(&bare));
    buf_release(&bare);
    return rc;
}

static void add_date(struct buf *out, int64_t ms)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm;
    time_t at = (time_t)(ms / 1000);
    (void)gmtime_r(&at, &tm);
    buf_addf(out, "Date: %s, %02d %s %d %02d:%02d:%02d +0000\r\n", days[tm.tm_wday], tm.tm_mday,
             months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* RFC 2045, 6.7. Line ends of any kind become CR LF. */
static void add_quoted(struct buf *out, struct str text)
{
    size_t column = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        unsigned char next = i + 1 < text.len ? (unsigned char)text.ptr[i + 1] : '\n';
        if (c == '\r' && next == '\n')
            continue;
        if (c == '\n') {
            buf_add_c(out, "\r\n");
            column = 0;
            continue;
        }
        bool is_last = next == '\n' || next == '\r';
        bool is_safe = (c > ' ' && c < 0x7f && c != '=') || ((c == ' ' || c == '\t') && !is_last);
        if (column + (is_safe ? 1 : 3) > QUOTED_LINE) {
            buf_add_c(out, "=\r\n");
            column = 0;
        }
        /* a dot at the start of a line is SMTP's own, "From " a mailbox's */
        if (is_safe && !(column == 0 && (c == '.' || c == 'F'))) {
            buf_add_char(out, (char)c);
            column++;
        } else {
            buf_addf(out, "=%02X", c);
            column += 3;
        }
    }
    if (column)
        buf_add_c(out, "\r\n");
}

static void add_part(struct buf *out, const char *type, struct str text)
{
    buf_addf(out,
             "Content-Type: text/%s; charset=utf-8\r\n"
             "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
             type);
    add_quoted(out, text);
}

int mail_write(const struct mail *mail, struct buf *out, struct err *err)
{
    struct buf from = BUF_INIT(KIB(1));
    int rc = mail_address(mail->from, &from, err);
    buf_add_c(out, "From: ");
    rc = rc ? rc : add_address(out, mail->from, err);
    for (size_t i = 0; i < mail->to_count && rc == 0; i++) {
        buf_add_c(out, i ? ",\r\n " : "\r\nTo: ");
        rc = add_address(out, mail->to[i], err);
    }
    if (rc == 0 && !is_plain(str_from(mail->subject)) && !utf8_is_valid(str_from(mail->subject)))
        rc = err_set(err, RN_EINVAL, "the subject is no UTF-8");
    if (rc) {
        buf_release(&from);
        return rc;
    }
    buf_add_c(out, "\r\n");
    add_text_header(out, "Subject", str_from(mail->subject));
    add_date(out, mail->date_ms);
    buf_addf(out, "Message-ID: <%s@%s>\r\nMIME-Version: 1.0\r\nAuto-Submitted: auto-generated\r\n",
             mail->id, strchr(buf_c(&from), '@') + 1);
    buf_release(&from);
    if (mail->text.ptr && mail->html.ptr) {
        buf_addf(out,
                 "Content-Type: multipart/alternative;\r\n boundary=\"=_%s\"\r\n\r\n--=_%s\r\n",
                 mail->id, mail->id);
        add_part(out, "plain", mail->text);
        buf_addf(out, "\r\n--=_%s\r\n", mail->id);
        add_part(out, "html", mail->html);
        buf_addf(out, "\r\n--=_%s--\r\n", mail->id);
    } else {
        add_part(out, mail->html.ptr ? "html" : "plain", mail->html.ptr ? mail->html : mail->text);
    }
    return 0;
}
