/* libcurl's SMTP, one connection for each message: mail is rare. */
#include "net/smtp.h"

#include "base/limits.h"
#include "net/curl_wait.h"
#include "net/http_server_private.h"

#include <curl/curl.h>
#include <sys/socket.h>

struct transfer {
    const struct egress *egress;
    struct err policy; /* why an address was refused */
    struct buf message;
    size_t sent;
    char text[CURL_ERROR_SIZE];
};

static curl_socket_t on_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *t = ctx;
    struct err err = ERR_INIT;
    if (purpose != CURLSOCKTYPE_IPCXN || egress_check(t->egress, &address->addr, &err)) {
        if (!t->policy.code)
            t->policy = err;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t on_read(char *out, size_t size, size_t count, void *ctx)
{
    struct transfer *t = ctx;
    size_t room = size * count, left = t->message.len - t->sent;
    size_t n = room < left ? room : left;
    if (n)
        memcpy(out, t->message.ptr + t->sent, n);
    t->sent += n;
    return n;
}

static int make_envelope(CURL *easy, const struct mail *mail, struct curl_slist **ret,
                         struct err *err)
{
    struct buf address = BUF_INIT(KIB(1));
    int rc = mail_address(mail->from, &address, err);
    if (rc == 0)
        (void)curl_easy_setopt(easy, CURLOPT_MAIL_FROM, buf_c(&address));
    for (size_t i = 0; i < mail->to_count && rc == 0; i++) {
        buf_clear(&address);
        rc = mail_address(mail->to[i], &address, err);
        struct curl_slist *longer = rc ? NULL : curl_slist_append(*ret, buf_c(&address));
        if (rc == 0 && !longer)
            rc = err_set(err, RN_ENOMEM, "no memory");
        *ret = longer ? longer : *ret;
    }
    buf_release(&address);
    return rc;
}

static void set_options(CURL *easy, struct transfer *t, const struct smtp_server *server,
                        int64_t timeout_ms)
{
    bool is_smtps = strncmp(server->url, "smtps:", 6) == 0;
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_URL, server->url);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->text);
    (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, t);
    (void)curl_easy_setopt(easy, CURLOPT_USE_SSL,
                           (long)(is_smtps || server->needs_tls ? CURLUSESSL_ALL : CURLUSESSL_TRY));
    if (server->username)
        (void)curl_easy_setopt(easy, CURLOPT_USERNAME, server->username);
    if (server->password)
        (void)curl_easy_setopt(easy, CURLOPT_PASSWORD, server->password);
    (void)curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    (void)curl_easy_setopt(easy, CURLOPT_READDATA, t);
    (void)curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->message.len);
}

static int translate(const struct transfer *t, const struct smtp_server *server, CURLcode code,
                     int status, struct err *err)
{
    const char *why = t->text[0] ? t->text : curl_easy_strerror(code);
    if (code == CURLE_OK)
        return 0;
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return err_set(err, RN_ECANCELED, "%s: cancelled", server->url);
    if (t->policy.code)
        return err_set(err, RN_EPERM, "%s: %s", server->url, t->policy.text);
    if (code == CURLE_LOGIN_DENIED)
        return err_set(err, RN_EAUTH, "%s: the server does not take username and password: %s",
                       server->url, why);
    if (status >= 500)
        return err_set(err, RN_EFAILED, "%s: refused with %d: %s", server->url, status, why);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return err_set(err, RN_ETIMEDOUT, "%s: timed out: %s", server->url, why);
    return err_set(err, RN_EUNAVAILABLE, "%s: %s", server->url, why);
}

int smtp_send(const struct egress *egress, const struct smtp_server *server,
              const struct mail *mail, int64_t timeout_ms, const atomic_bool *cancelled,
              int *ret_status, struct err *err)
{
    struct transfer t = {.egress = egress, .message = BUF_INIT(4 * LIMIT_SEND_BYTES)};
    struct curl_slist *recipients = NULL;
    CURL *easy = curl_easy_init();
    CURLM *multi = curl_multi_init();
    *ret_status = 0;
    int rc = easy && multi ? mail_write(mail, &t.message, err)
                           : err_set(err, RN_ENOMEM, "libcurl gives no handle");
    rc = rc ? rc : make_envelope(easy, mail, &recipients, err);
    if (rc == 0) {
        set_options(easy, &t, server, timeout_ms);
        (void)curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, recipients);
        CURLcode code = curl_multi_add_handle(multi, easy) == CURLM_OK
                            ? curl_wait(multi, cancelled, http_now_ms() + timeout_ms)
                            : CURLE_FAILED_INIT;
        long status = 0;
        (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        *ret_status = (int)status;
        rc = translate(&t, server, code, (int)status, err);
        (void)curl_multi_remove_handle(multi, easy);
    }
    if (easy)
        curl_easy_cleanup(easy);
    if (multi)
        (void)curl_multi_cleanup(multi);
    curl_slist_free_all(recipients);
    buf_release(&t.message);
    return rc;
}
