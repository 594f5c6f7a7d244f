/* The egress policy: ranges that are refused, networks that the user allows, bases that are
 * rewritten. Names are never resolved here. */
#include "net/egress.h"

#include "base/buf.h"
#include "base/limits.h"
#include "json/json.h"

#include <arpa/inet.h>
#include <netinet/in.h>

/* All addresses are held as 16 bytes, IPv4 ones as ::ffff:a.b.c.d, so that the mapped form is the
 * same address. */
struct network {
    unsigned char address[16];
    int bits;
    int port; /* 0: any */
};

struct rewrite {
    char *from; /* scheme://host:port, lower case, the port always there */
    char *to;   /* base URL without a slash at the end */
};

struct egress {
    struct network *allowed;
    size_t allowed_count;
    char **allowed_texts; /* as given, for egress_to_json() */
    struct rewrite *rewrites;
    size_t rewrite_count;
    char **rewrite_texts; /* `from` as given */
    char *catch_base;     /* without a slash at the end; NULL: none */
};

static const unsigned char mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct range {
    const char *address;
    int bits;
    const char *what;
};

/* Never reachable, whatever is allowed: RFC 3927, the metadata services of clouds, what is no host.
 */
static const struct range never[] = {
    {"169.254.0.0", 16, "link-local (cloud metadata)"},
    {"0.0.0.0", 8, "\"this network\""},
    {"224.0.0.0", 4, "multicast"},
    {"240.0.0.0", 4, "reserved or broadcast"},
    {"192.0.0.0", 24, "reserved for protocols"},
    {"168.63.129.16", 32, "a cloud's metadata service"},
    {"100.100.100.200", 32, "a cloud's metadata service"},
    {"fd00:ec2::254", 128, "a cloud's metadata service"},
    {"fd20:ce::254", 128, "a cloud's metadata service"},
    {"fd00:42::42", 128, "a cloud's metadata service"},
    {"fe80::", 10, "link-local"},
    {"fec0::", 10, "site-local"},
    {"ff00::", 8, "multicast"},
    {"::", 128, "no address"},
};

/* Reachable when the user allows it. */
static const struct range private_ranges[] = {
    {"127.0.0.0", 8, "this machine"},
    {"10.0.0.0", 8, "a private network"},
    {"172.16.0.0", 12, "a private network"},
    {"192.168.0.0", 16, "a private network"},
    {"100.64.0.0", 10, "a carrier's private network"},
    {"198.18.0.0", 15, "a network for benchmarks"},
    {"192.0.2.0", 24, "a network for documentation"},
    {"198.51.100.0", 24, "a network for documentation"},
    {"203.0.113.0", 24, "a network for documentation"},
    {"::1", 128, "this machine"},
    {"fc00::", 7, "a private network"},
    {"2001:db8::", 32, "a network for documentation"},
    {"64:ff9b:1::", 48, "a network's own translation to IPv4"},
};

/* IPv4 addresses inside IPv6 ones: translation and tunnels would lead around the ranges above. The
 * IPv4 address stands at `at`, each of its bytes combined with `mask`. */
static const struct {
    const char *address;
    int bits;
    int at;
    unsigned char mask;
} embeddings[] = {
    {"64:ff9b::", 96, 12, 0},    /* NAT64, RFC 6052 */
    {"64:ff9b:1::", 48, 12, 0},  /* RFC 8215, with a prefix of 96 bits */
    {"2002::", 16, 2, 0},        /* 6to4 */
    {"2001::", 32, 12, 0xff},    /* Teredo: the client */
    {"2001::", 32, 4, 0},        /* Teredo: the server */
    {"::", 96, 12, 0},           /* IPv4-compatible, with ::1 and :: looked at before */
    {"::ffff:0:0:0", 96, 12, 0}, /* IPv4-translated, RFC 2765 */
};

/* Either family, into 16 bytes; the width of the text's own address in *ret_width. */
static bool parse_address(const char *text, unsigned char out[16], int *ret_width)
{
    memcpy(out, mapped_prefix, sizeof(mapped_prefix));
    *ret_width = 32;
    if (inet_pton(AF_INET, text, out + 12) == 1)
        return true;
    *ret_width = 128;
    return inet_pton(AF_INET6, text, out) == 1;
}

static bool is_within(const unsigned char address[16], const unsigned char network[16], int bits)
{
    int whole = bits / 8, rest = bits % 8;
    unsigned char mask = (unsigned char)(rest ? 0xff << (8 - rest) : 0);
    return memcmp(address, network, (size_t)whole) == 0 &&
           (!rest || ((address[whole] ^ network[whole]) & mask) == 0);
}

static const char *find_range(const struct range *ranges, size_t count,
                              const unsigned char address[16])
{
    for (size_t i = 0; i < count; i++) {
        unsigned char network[16];
        int width;
        if (parse_address(ranges[i].address, network, &width) &&
            is_within(address, network, ranges[i].bits + 128 - width))
            return ranges[i].what;
    }
    return NULL;
}

struct egress *egress_new(void)
{
    return xcalloc(1, sizeof(struct egress));
}

void egress_free(struct egress *egress)
{
    if (!egress)
        return;
    for (size_t i = 0; i < egress->allowed_count; i++)
        free(egress->allowed_texts[i]);
    for (size_t i = 0; i < egress->rewrite_count; i++) {
        free(egress->rewrites[i].from);
        free(egress->rewrites[i].to);
        free(egress->rewrite_texts[i]);
    }
    free(egress->allowed);
    free(egress->allowed_texts);
    free(egress->rewrites);
    free(egress->rewrite_texts);
    free(egress->catch_base);
    free(egress);
}

/* "a.b.c.d", "a.b.c.d/8", "a.b.c.d:80", "a.b.c.d/8:80", "v6", "v6/64", "[v6]:80", "[v6]/64:80". */
static bool parse_network(struct str text, struct network *network)
{
    struct str host, bits_text = STR_NONE, port_text = STR_NONE;
    char name[64];
    int width;
    uint64_t bits, port = 0;
    bool is_bracketed = text.len && text.ptr[0] == '[';
    if (is_bracketed) {
        const char *end = memchr(text.ptr, ']', text.len);
        if (!end)
            return false;
        host = str_n(text.ptr + 1, (size_t)(end - text.ptr) - 1);
        text = str_n(end + 1, text.len - host.len - 2);
    } else {
        size_t n = 0;
        /* A colon ends an IPv4 address, and is part of an IPv6 one. */
        bool is_v4 = !memchr(text.ptr, ':', text.len) ||
                     (memchr(text.ptr, '.', text.len) && str_find(text, "::", 0) < 0 &&
                      (const char *)memchr(text.ptr, '.', text.len) <
                          (const char *)memchr(text.ptr, ':', text.len));
        while (n < text.len && text.ptr[n] != '/' && !(is_v4 && text.ptr[n] == ':'))
            n++;
        host = str_n(text.ptr, n);
        text = str_n(text.ptr + n, text.len - n);
    }
    if (text.len && text.ptr[0] == '/') {
        size_t n = 1;
        while (n < text.len && text.ptr[n] != ':')
            n++;
        bits_text = str_n(text.ptr + 1, n - 1);
        text = str_n(text.ptr + n, text.len - n);
    }
    if (text.len && text.ptr[0] == ':')
        port_text = str_n(text.ptr + 1, text.len - 1);
    else if (text.len)
        return false;
    if (!host.len || host.len >= sizeof(name))
        return false;
    memcpy(name, host.ptr, host.len);
    name[host.len] = '\0';
    if (!parse_address(name, network->address, &width) || (is_bracketed && width == 32))
        return false;
    bits = (uint64_t)width;
    if (bits_text.ptr && (num_parse_u64(bits_text, &bits) || bits > (uint64_t)width))
        return false;
    if (port_text.ptr && (num_parse_u64(port_text, &port) || port == 0 || port > 65535))
        return false;
    network->bits = (int)bits + 128 - width;
    network->port = (int)port;
    return true;
}

int egress_allow(struct egress *egress, struct str text, struct err *err)
{
    struct network network;
    if (!text.len || !parse_network(text, &network))
        return err_set(err, RN_EINVAL,
                       "\"" STR_FMT
                       "\" is no network: write 127.0.0.1, 10.0.0.0/8, 127.0.0.1:9400, "
                       "::1 or [::1]:9400",
                       STR_ARG(text));
    size_t n = egress->allowed_count++;
    egress->allowed = xrealloc(egress->allowed, (n + 1) * sizeof(*egress->allowed));
    egress->allowed_texts =
        xrealloc(egress->allowed_texts, (n + 1) * sizeof(*egress->allowed_texts));
    egress->allowed[n] = network;
    egress->allowed_texts[n] = str_dup(text);
    return 0;
}

/* The parts of an absolute URL. `user` is without its @, `rest` begins with /, ? or #, or is empty.
 */
struct parts {
    struct str scheme, user, host, port, rest;
};

static bool is_url_text(struct str url)
{
    for (size_t i = 0; i < url.len; i++) {
        unsigned char c = (unsigned char)url.ptr[i];
        /* A backslash is a slash to some readers and not to others. */
        if (c <= ' ' || c == 0x7f || c == '\\')
            return false;
    }
    return true;
}

static bool parse_authority(struct str authority, struct parts *parts)
{
    for (size_t i = authority.len; i > 0; i--)
        if (authority.ptr[i - 1] == '@') {
            parts->user = str_n(authority.ptr, i - 1);
            authority = str_n(authority.ptr + i, authority.len - i);
            break;
        }
    if (memchr(parts->user.ptr ? parts->user.ptr : "", '@', parts->user.len))
        return false;
    size_t n = 0;
    if (authority.len && authority.ptr[0] == '[') {
        const char *end = memchr(authority.ptr, ']', authority.len);
        if (!end)
            return false;
        n = (size_t)(end - authority.ptr) + 1;
    } else {
        while (n < authority.len && authority.ptr[n] != ':')
            n++;
    }
    parts->host = str_n(authority.ptr, n);
    if (n < authority.len) {
        uint64_t port;
        if (authority.ptr[n] != ':')
            return false;
        parts->port = str_n(authority.ptr + n + 1, authority.len - n - 1);
        if (parts->port.len && (num_parse_u64(parts->port, &port) || port == 0 || port > 65535))
            return false;
    }
    return n > 0;
}

/* RN_EINVAL: no URL; RN_EPERM: another scheme. */
static int parse_url(struct str url, struct parts *parts)
{
    *parts = (struct parts){.scheme = STR_NONE};
    ptrdiff_t colon = str_find(url, "://", 0);
    if (!is_url_text(url))
        return RN_EINVAL;
    if (colon <= 0) {
        /* file:/x, javascript:… are URLs too, and refused as such */
        const char *at = url.len ? memchr(url.ptr, ':', url.len) : NULL;
        return at && at > url.ptr && !memchr(url.ptr, '/', (size_t)(at - url.ptr)) &&
                       (url.ptr[0] | 32) >= 'a' && (url.ptr[0] | 32) <= 'z'
                   ? RN_EPERM
                   : RN_EINVAL;
    }
    parts->scheme = str_n(url.ptr, (size_t)colon);
    if (!str_eq_nocase(parts->scheme, STR("http")) && !str_eq_nocase(parts->scheme, STR("https")))
        return RN_EPERM;
    struct str rest = str_n(url.ptr + colon + 3, url.len - (size_t)colon - 3);
    size_t n = 0;
    while (n < rest.len && rest.ptr[n] != '/' && rest.ptr[n] != '?' && rest.ptr[n] != '#')
        n++;
    parts->rest = str_n(rest.ptr + n, rest.len - n);
    return parse_authority(str_n(rest.ptr, n), parts) ? 0 : RN_EINVAL;
}

static char *origin_of(const struct parts *parts)
{
    bool is_https = str_eq_nocase(parts->scheme, STR("https"));
    struct str port = parts->port.len ? parts->port : is_https ? STR("443") : STR("80");
    char *origin = xasprintf("%s://" STR_FMT ":" STR_FMT, is_https ? "https" : "http",
                             STR_ARG(parts->host), STR_ARG(port));
    for (char *at = origin; *at; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at | 32);
    return origin;
}

int egress_rewrite(struct egress *egress, struct str from, struct str to, struct err *err)
{
    struct parts source, target;
    if (parse_url(from, &source) || source.user.ptr || source.rest.len > 1 ||
        (source.rest.len && source.rest.ptr[0] != '/'))
        return err_set(err, RN_EINVAL,
                       "\"" STR_FMT
                       "\" is nothing to rewrite: write scheme://host or scheme://host:port",
                       STR_ARG(from));
    if (parse_url(to, &target) || target.user.ptr ||
        (target.rest.len && (memchr(target.rest.ptr, '?', target.rest.len) ||
                             memchr(target.rest.ptr, '#', target.rest.len))))
        return err_set(err, RN_EINVAL,
                       "\"" STR_FMT
                       "\" is no base URL: write http://host:port or http://host:port/path",
                       STR_ARG(to));
    size_t n = egress->rewrite_count++;
    egress->rewrites = xrealloc(egress->rewrites, (n + 1) * sizeof(*egress->rewrites));
    egress->rewrite_texts =
        xrealloc(egress->rewrite_texts, (n + 1) * sizeof(*egress->rewrite_texts));
    while (str_ends(to, "/"))
        to.len--;
    egress->rewrites[n] = (struct rewrite){.from = origin_of(&source), .to = str_dup(to)};
    egress->rewrite_texts[n] = str_dup(from);
    return 0;
}

int egress_catch(struct egress *egress, struct str base, struct err *err)
{
    struct parts parts;
    if (parse_url(base, &parts) || parts.user.ptr)
        return err_set(err, RN_EINVAL, "\"" STR_FMT "\" is no base URL", STR_ARG(base));
    while (str_ends(base, "/"))
        base.len--;
    free(egress->catch_base);
    egress->catch_base = str_dup(base);
    return 0;
}

/* base/<scheme>/<host[:port]>/<path…> */
static char *caught(const struct egress *egress, const struct parts *parts)
{
    bool is_https = str_eq_nocase(parts->scheme, STR("https"));
    bool has_path = parts->rest.len && parts->rest.ptr[0] == '/';
    return xasprintf("%s/%s/" STR_FMT "%s" STR_FMT "%s" STR_FMT, egress->catch_base,
                     is_https ? "https" : "http", STR_ARG(parts->host), parts->port.len ? ":" : "",
                     STR_ARG(parts->port), has_path ? "" : "/", STR_ARG(parts->rest));
}

int egress_apply(const struct egress *egress, const char *url, char **ret_url, struct err *err)
{
    struct parts parts;
    int code = parse_url(str_from(url), &parts);
    if (code == RN_EPERM)
        return err_set(err, RN_EPERM, "only http:// and https:// URLs can be requested");
    if (code)
        return err_set(err, RN_EINVAL, "the text given as a URL is none");
    char *origin = origin_of(&parts);
    const struct rewrite *found = NULL;
    /* The last one given wins, so that a project's own comes before the sandbox's if it is added
     * later. */
    for (size_t i = egress->rewrite_count; i > 0 && !found; i--)
        if (strcmp(egress->rewrites[i - 1].from, origin) == 0)
            found = &egress->rewrites[i - 1];
    free(origin);
    if (!found) {
        *ret_url = egress->catch_base ? caught(egress, &parts) : xstrdup(url);
        return 0;
    }
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    struct str to = str_from(found->to);
    size_t head = (size_t)str_find(to, "://", 0) + 3;
    /* user:password@ goes along: it is the vendor's, and the stand-in is to see what the vendor
     * would. */
    buf_add(&out, to.ptr, head);
    if (parts.user.ptr) {
        buf_add_str(&out, parts.user);
        buf_add_char(&out, '@');
    }
    buf_add(&out, to.ptr + head, to.len - head);
    if (!parts.rest.len || parts.rest.ptr[0] != '/')
        buf_add_char(&out, '/');
    buf_add_str(&out, parts.rest);
    *ret_url = buf_take(&out, NULL);
    return 0;
}

/* The IPv4 address inside one that is of the embedding `index`. */
static bool find_inner(const unsigned char address[16], size_t index, unsigned char inner[16])
{
    static const unsigned char zeros[15] = {0};
    unsigned char network[16];
    int width;
    if (memcmp(address, zeros, sizeof(zeros)) == 0 && address[15] <= 1)
        return false;
    if (!parse_address(embeddings[index].address, network, &width) ||
        !is_within(address, network, embeddings[index].bits))
        return false;
    memcpy(inner, mapped_prefix, sizeof(mapped_prefix));
    for (int i = 0; i < 4; i++)
        inner[12 + i] = address[embeddings[index].at + i] ^ embeddings[index].mask;
    return true;
}

/* ISATAP (RFC 5214): an IPv4 address behind 0:5efe or 200:5efe in any network. */
static bool find_isatap(const unsigned char address[16], unsigned char inner[16])
{
    static const unsigned char mark[3] = {0x00, 0x5e, 0xfe};
    if ((address[8] & ~2) != 0 || memcmp(address + 9, mark, sizeof(mark)) != 0)
        return false;
    memcpy(inner, mapped_prefix, sizeof(mapped_prefix));
    memcpy(inner + 12, address + 12, 4);
    return true;
}

static bool is_allowed(const struct egress *egress, const unsigned char address[16], int port)
{
    for (size_t i = 0; i < egress->allowed_count; i++) {
        const struct network *network = &egress->allowed[i];
        if (is_within(address, network->address, network->bits) &&
            (!network->port || network->port == port))
            return true;
    }
    return false;
}

static int refuse_private(const char *what, const char *text, int port, struct err *err)
{
    bool is_v6 = strchr(text, ':') != NULL;
    return err_set(err, RN_EPERM,
                   "%s is %s; to allow it, add it to egress.allow in runnel.yaml: %s%s%s:%d", text,
                   what, is_v6 ? "[" : "", text, is_v6 ? "]" : "", port);
}

/* What is never reachable comes before what is allowed, and an address inside another is judged by
 * the same rules as the one that carries it. */
static int check_bytes(const struct egress *egress, const unsigned char address[16], int port,
                       const char *text, struct err *err)
{
    unsigned char inner[COUNT_OF(embeddings) + 1][16];
    size_t count = 0;
    const char *what = find_range(never, COUNT_OF(never), address);
    for (size_t i = 0; i < COUNT_OF(embeddings); i++)
        count += find_inner(address, i, inner[count]);
    count += find_isatap(address, inner[count]);
    for (size_t i = 0; i < count && !what; i++)
        what = find_range(never, COUNT_OF(never), inner[i]);
    if (what)
        return err_set(err, RN_EPERM, "%s is never connected to: it is %s", text, what);
    if (is_allowed(egress, address, port))
        return 0;
    what = find_range(private_ranges, COUNT_OF(private_ranges), address);
    if (what)
        return refuse_private(what, text, port, err);
    for (size_t i = 0; i < count; i++) {
        what = find_range(private_ranges, COUNT_OF(private_ranges), inner[i]);
        if (what && !is_allowed(egress, inner[i], port))
            return refuse_private(what, text, port, err);
    }
    return 0;
}

int egress_check(const struct egress *egress, const struct sockaddr *address, struct err *err)
{
    unsigned char bytes[16];
    char text[INET6_ADDRSTRLEN] = "";
    in_port_t port;
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof(v4));
        memcpy(bytes, mapped_prefix, sizeof(mapped_prefix));
        memcpy(bytes + 12, &v4.sin_addr, 4);
        port = v4.sin_port;
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof(v6));
        memcpy(bytes, &v6.sin6_addr, 16);
        port = v6.sin6_port;
    } else {
        return err_set(err, RN_EPERM, "only IPv4 and IPv6 addresses are connected to");
    }
    if (memcmp(bytes, mapped_prefix, sizeof(mapped_prefix)) == 0)
        (void)inet_ntop(AF_INET, bytes + 12, text, sizeof(text));
    else
        (void)inet_ntop(AF_INET6, bytes, text, sizeof(text));
    return check_bytes(egress, bytes, ntohs(port), text, err);
}

char *egress_to_json(const struct egress *egress)
{
    struct json *root = json_new_object();
    struct json *allow = json_set(root, "allow", json_new_array());
    struct json *rewrite = json_set(root, "rewrite", json_new_array());
    for (size_t i = 0; i < egress->allowed_count; i++)
        (void)json_append(allow, json_new_string_c(egress->allowed_texts[i]));
    for (size_t i = 0; i < egress->rewrite_count; i++) {
        struct json *pair = json_append(rewrite, json_new_array());
        (void)json_append(pair, json_new_string_c(egress->rewrite_texts[i]));
        (void)json_append(pair, json_new_string_c(egress->rewrites[i].to));
    }
    json_set_string(root, "catch", egress->catch_base);
    char *text = json_text(root, NULL);
    json_free(root);
    return text;
}

int egress_from_json(struct str text, struct egress **ret, struct err *err)
{
    struct json *root = NULL;
    int code = json_parse(text, &root, err);
    if (code)
        return code;
    struct egress *egress = egress_new();
    if (!json_is(root, JSON_OBJECT))
        code = err_set(err, RN_EINVAL, "an egress policy is a JSON object");
    for (const struct json *at = json_first(json_get(root, "allow")); at && !code;
         at = json_next(at))
        code = egress_allow(egress, json_str(at), err);
    for (const struct json *at = json_first(json_get(root, "rewrite")); at && !code;
         at = json_next(at))
        code = egress_rewrite(egress, json_str(json_at(at, 0)), json_str(json_at(at, 1)), err);
    if (!code && json_get(root, "catch"))
        code = egress_catch(egress, json_get_text(root, "catch"), err);
    json_free(root);
    if (code)
        egress_free(egress);
    else
        *ret = egress;
    return code;
}
