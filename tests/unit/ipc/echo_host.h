/* A host process for tests: the test program itself, started again with "test-host". Its calls are
 * {"op":…}. */
#ifndef RUNNEL_TESTS_ECHO_HOST_H
#define RUNNEL_TESTS_ECHO_HOST_H

#include "ipc/host_process.h"
#include "ipc/supervisor.h"
#include "json/json.h"

#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#define ECHO_HOST_THREADS 4

static void echo_list_fds(struct buf *out)
{
    DIR *dir = opendir("/proc/self/fd");
    int own = dirfd(dir), seen[64], count = 0;
    for (struct dirent *entry = readdir(dir); entry && count < 64; entry = readdir(dir)) {
        int64_t fd = 0;
        if (num_parse_i64(str_from(entry->d_name), &fd) == 0 && fd != own)
            seen[count++] = (int)fd;
    }
    closedir(dir);
    buf_add_c(out, "{\"fds\":\"");
    for (int fd = 0; fd < 1024; fd++)
        for (int i = 0; i < count; i++)
            if (seen[i] == fd)
                buf_addf(out, "%d ", fd);
    buf_add_c(out, "\"}");
}

/* Takes time as a component does that waits for something, until it is told to stop. */
static void echo_wait(struct served_call *call)
{
    frame_server_log(call, "info", STR("began"));
    while (!atomic_load(&call->cancelled)) {
        const struct timespec ms = {.tv_nsec = 1000000};
        nanosleep(&ms, NULL);
    }
    frame_server_result(call, STR("{\"cancelled\":true}"), NULL, 0);
}

static void echo_hang(struct served_call *call)
{
    frame_server_log(call, "info", STR("began"));
    for (;;)
        pause();
}

static void echo_eat_memory(void)
{
    for (;;)
        memset(xmalloc(MIB(1)), 1, MIB(1));
}

/* Answers with what the runtime answers. */
static void echo_ask(struct served_call *call)
{
    struct answer_frame *answer = NULL;
    struct err err = ERR_INIT;
    const struct str section = STR("bytes");
    if (frame_server_ask(call, STR("{\"op\":\"twice\"}"), &section, 1, &answer, &err) != 0)
        abort();
    frame_server_result(call, answer->frame.json, answer->frame.sections,
                        answer->frame.section_count);
    frame_server_answer_free(answer);
}

/* More asks than a call may have open, without a thread that waits for any. */
static void echo_ask_much(struct served_call *call)
{
    for (uint16_t number = 1; number <= 2 * LIMIT_ASKS; number++) {
        const struct frame frame = {
            .id = call->frame.id, .kind = FRAME_ASK, .number = number, .json = STR("{}")};
        char bytes[64];
        frame_encode(&frame, bytes);
        if (write(HOST_PROCESS_FD, bytes, frame_size(&frame)) != (ssize_t)frame_size(&frame))
            abort();
    }
    frame_server_result(call, STR("{\"asked\":true}"), NULL, 0);
}

static void echo_handle_odd(struct served_call *call, const char *op)
{
    if (strcmp(op, "crash") == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    } else if (strcmp(op, "exit") == 0) {
        _exit(3);
    } else if (strcmp(op, "alloc") == 0) {
        echo_eat_memory();
    } else if (strcmp(op, "answer-and-crash") == 0) {
        frame_server_result(call, STR("{\"answered\":true}"), NULL, 0);
        frame_server_may_block(call); /* what is unsent leaves */
        (void)signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    } else if (strcmp(op, "garbage") == 0) {
        ssize_t ignored = write(HOST_PROCESS_FD, "not a frame at all, by far", 26);
        (void)ignored;
    }
    /* "none": returns without an answer */
}

static void echo_handle(void *ctx, struct served_call *call)
{
    (void)ctx;
    struct json *json = NULL;
    const struct frame *frame = &call->frame;
    if (frame->json.len < 64 && json_parse(frame->json, &json, NULL) != 0)
        abort();
    const char *op = json ? json_get_c(json, "op") : NULL;
    if (!op || strcmp(op, "echo") == 0) {
        frame_server_result(call, frame->json, frame->sections, frame->section_count);
    } else if (strcmp(op, "wait") == 0) {
        frame_server_may_block(call);
        frame_server_may_block(call);
        echo_wait(call);
    } else if (strcmp(op, "ask") == 0) {
        echo_ask(call);
    } else if (strcmp(op, "ask-much") == 0) {
        echo_ask_much(call);
    } else if (strcmp(op, "stuck") == 0) {
        echo_wait(call);
    } else if (strcmp(op, "hang") == 0) {
        frame_server_may_block(call);
        echo_hang(call);
    } else if (strcmp(op, "fds") == 0) {
        struct buf out = BUF_INIT(KIB(4));
        echo_list_fds(&out);
        frame_server_result(call, buf_str(&out), NULL, 0);
        buf_release(&out);
    } else if (strcmp(op, "env") == 0) {
        struct buf out = BUF_INIT(KIB(16));
        for (char **at = environ; *at; at++)
            buf_addf(&out, "%s\n", *at);
        const struct str text = buf_str(&out);
        frame_server_result(call, STR("{}"), &text, 1);
        buf_release(&out);
    } else if (strcmp(op, "output") == 0) {
        printf("a line of output\n");
        (void)fflush(stdout);
        frame_server_result(call, STR("{}"), NULL, 0);
    } else {
        echo_handle_odd(call, op);
    }
    json_free(json);
}

static int echo_host_main(int argc, char **argv)
{
    const char *mode = argc > 2 ? argv[2] : "";
    host_process_init();
    if (strcmp(mode, "refuse") == 0) {
        struct err err = ERR_INIT;
        (void)err_set(&err, RN_EABI, "the plugin wants \"ABI\" 9");
        return frame_server_hello(HOST_PROCESS_FD, &err) == 0 ? 1 : 2;
    }
    if (strcmp(mode, "exit") == 0)
        return 7;
    if (frame_server_hello(HOST_PROCESS_FD, NULL) != 0)
        return 1;
    return frame_server_run(HOST_PROCESS_FD, ECHO_HOST_THREADS, echo_handle, NULL, NULL) ? 1 : 0;
}

#endif
