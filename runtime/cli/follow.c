/* Following the runtime's stream of server-sent events. What the stream tells is kept back until
 * its mark (`id`) has come, and given on then; a stream that breaks is taken up again at the last
 * mark, so that nothing is missed and nothing comes twice. */
#include "cli/cli.h"

#include <time.h>

enum { AGAIN_MS = 500 };

struct stream {
    const struct follower *follower;
    struct client *client;
    struct err *err;
    char mark[64]; /* "" before the first */
    struct buf line;
    char event[32];
    struct json *data;
    struct json *kept;       /* [[topic, value], …] since the mark */
    bool has_begun, is_told; /* that the runtime is gone */
};

static void drop_open(struct stream *stream)
{
    buf_clear(&stream->line);
    stream->event[0] = '\0';
    json_free(stream->data);
    stream->data = NULL;
    json_free(stream->kept);
    stream->kept = json_new_array();
}

static void message_done(struct stream *stream)
{
    if (strcmp(stream->event, "reset") == 0) {
        fprintf(stderr, "runnel: it was away for too long: some of what happened in between is not "
                        "remembered as a stream any more (`runnel runs`, `runnel events`)\n");
    } else if (stream->event[0] && stream->data) {
        struct json *pair = json_append(stream->kept, json_new_array());
        (void)json_append(pair, json_new_string_c(stream->event));
        (void)json_append(pair, stream->data);
        stream->data = NULL;
    }
    json_free(stream->data);
    stream->data = NULL;
    stream->event[0] = '\0';
}

static int mark_done(struct stream *stream, struct str mark)
{
    const struct follower *follower = stream->follower;
    (void)snprintf(stream->mark, sizeof(stream->mark), STR_FMT, STR_ARG(mark));
    stream->is_told = false;
    if (!stream->has_begun) {
        stream->has_begun = true;
        int rc = follower->begin(follower->ctx, stream->client, stream->err);
        if (rc)
            return rc;
    }
    for (const struct json *k = json_first(stream->kept); k; k = json_next(k))
        follower->each(follower->ctx, json_c(json_first(k)), json_next(json_first(k)));
    if (json_count(stream->kept))
        follower->flush(follower->ctx);
    json_free(stream->kept);
    stream->kept = json_new_array();
    return 0;
}

static int line_done(struct stream *stream, struct str line)
{
    struct str name = STR_NONE, value = line;
    if (!line.len) {
        message_done(stream);
        return 0;
    }
    (void)str_cut(&value, ':', &name);
    value = str_trim(value);
    if (str_eq_c(name, "event")) {
        (void)snprintf(stream->event, sizeof(stream->event), STR_FMT, STR_ARG(value));
    } else if (str_eq_c(name, "data")) {
        json_free(stream->data);
        stream->data = NULL;
        return json_parse_own(value, &stream->data, stream->err);
    } else if (str_eq_c(name, "id")) {
        return mark_done(stream, value);
    }
    return 0;
}

static int take(void *ctx, struct str piece)
{
    struct stream *stream = ctx;
    int rc = 0;
    for (size_t i = 0; i < piece.len && rc == 0; i++) {
        if (piece.ptr[i] != '\n') {
            buf_add_char(&stream->line, piece.ptr[i]);
            continue;
        }
        rc = line_done(stream, buf_str(&stream->line));
        buf_clear(&stream->line);
    }
    return rc;
}

/* The runtime that is up now, as soon as there is one: it may have other ports. */
static struct client *find_again(const struct args *args)
{
    struct json *running = NULL;
    do {
        (void)nanosleep(&(struct timespec){0, AGAIN_MS * 1000000l}, NULL);
        running = client_running(args->data);
    } while (!running);
    json_free(running);
    return client_open(args->project, false);
}

int stream_follow(const struct args *args, const struct follower *follower)
{
    struct err err = ERR_INIT;
    struct stream stream = {.follower = follower, .err = &err, .line = BUF_INIT(SIZE_MAX / 2)};
    stream.client = client_open(args->project, false);
    while (stream.client) {
        drop_open(&stream);
        char *path =
            xasprintf("%s%s%s", follower->path, stream.mark[0] ? "&from=" : "", stream.mark);
        struct err broken = ERR_INIT;
        int rc = client_take(stream.client, path, take, &stream, &broken);
        free(path);
        client_close(stream.client);
        stream.client = NULL;
        if (rc == RN_ECANCELED || !stream.has_begun) {
            (void)out_error(rc == RN_ECANCELED ? &err : &broken);
            break;
        }
        if (!stream.is_told)
            fprintf(stderr,
                    "%sthe runtime is gone; this goes on as soon as it is up again (Ctrl-C "
                    "leaves)%s\n",
                    note_style("dim"), note_style("reset"));
        stream.is_told = true;
        while (!stream.client)
            stream.client = find_again(args);
    }
    json_free(stream.data);
    json_free(stream.kept);
    buf_release(&stream.line);
    return 1;
}
