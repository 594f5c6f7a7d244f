/* The reaper and what it looks at: see http_server_private.h. Its thread sleeps while there is no
 * connection, and else looks every TICK_MS. */
#include "net/http_server_private.h"

#include <dirent.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define TICK_MS 200
#define STOP_TICK_MS 10
/* A kept connection this fresh is likely to be between two requests; closing it would only cost a
 * new one. */
#define EVICT_AFTER_MS 50

int64_t http_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int port_of(const struct sockaddr_storage *address)
{
    in_port_t port = 0;
    if (address->ss_family == AF_INET)
        memcpy(&port, (const char *)address + offsetof(struct sockaddr_in, sin_port), sizeof(port));
    else if (address->ss_family == AF_INET6)
        memcpy(&port, (const char *)address + offsetof(struct sockaddr_in6, sin6_port),
               sizeof(port));
    return ntohs(port);
}

static bool is_listener(int fd, int port)
{
    int listening = 0;
    struct sockaddr_storage local = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(listening), local_len = sizeof(local);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening &&
           getsockname(fd, (struct sockaddr *)&local, &local_len) == 0 && port_of(&local) == port;
}

static bool is_connection(int fd, int local_port, const char *peer, int peer_port)
{
    struct sockaddr_storage local = {.ss_family = AF_UNSPEC}, remote = {.ss_family = AF_UNSPEC};
    socklen_t local_len = sizeof(local), remote_len = sizeof(remote);
    char text[HTTP_PEER_MAX];
    return getpeername(fd, (struct sockaddr *)&remote, &remote_len) == 0 &&
           port_of(&remote) == peer_port &&
           getsockname(fd, (struct sockaddr *)&local, &local_len) == 0 &&
           port_of(&local) == local_port &&
           getnameinfo((struct sockaddr *)&remote, remote_len, text, sizeof(text), NULL, 0,
                       NI_NUMERICHOST) == 0 &&
           strcmp(text, peer) == 0;
}

/* `peer` NULL: the listener. */
static int find(int local_port, const char *peer, int peer_port)
{
    DIR *dir = opendir("/proc/self/fd");
    int found = -1;
    struct dirent *entry;
    while (dir && found < 0 && (entry = readdir(dir))) {
        int64_t fd;
        if (num_parse_i64(str_from(entry->d_name), &fd) == 0 && fd <= INT32_MAX &&
            (peer ? is_connection((int)fd, local_port, peer, peer_port)
                  : is_listener((int)fd, local_port)))
            found = (int)fd;
    }
    if (dir)
        (void)closedir(dir);
    return found;
}

int http_socket_find(int local_port, const char *peer, int peer_port)
{
    return find(local_port, peer, peer_port);
}

int http_listener_find(int port)
{
    return find(port, NULL, 0);
}

int http_slot_take_socket(struct http_slots *slots, struct http_slot *slot, const char *peer,
                          int peer_port)
{
    int taken = -1;
    pthread_mutex_lock(&slot->mutex);
    int fd = slot->is_expired ? -1 : http_socket_find(atomic_load(&slots->port), peer, peer_port);
    int stand_in = fd < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (stand_in >= 0)
        taken = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (taken >= 0 && dup3(stand_in, fd, O_CLOEXEC) < 0) {
        (void)close(taken);
        taken = -1;
    }
    if (taken >= 0) {
        slot->peer[0] = '\0'; /* the reaper has nothing to look for any more */
        (void)fcntl(taken, F_SETFL, fcntl(taken, F_GETFL) | O_NONBLOCK);
    }
    if (stand_in >= 0)
        (void)close(stand_in);
    pthread_mutex_unlock(&slot->mutex);
    return taken;
}

/* Called with slot->mutex held. */
static void slot_shut(const struct http_slots *slots, struct http_slot *slot)
{
    if (!slot->peer[0])
        return;
    int fd = http_socket_find(atomic_load(&slots->port), slot->peer, slot->peer_port);
    if (fd >= 0)
        (void)shutdown(fd, slot->state == HTTP_SLOT_WRITING ? SHUT_RDWR : SHUT_RD);
    slot->is_expired = true;
    slot->deadline_ms = 0;
}

static void sweep_deadlines(const struct http_slots *slots, int64_t now_ms)
{
    int is_stopping = atomic_load(&slots->is_stopping);
    for (int i = 0; i < slots->count; i++) {
        struct http_slot *slot = &slots->slots[i];
        pthread_mutex_lock(&slot->mutex);
        if (slot->state != HTTP_SLOT_CLOSED && !slot->is_expired &&
            ((slot->deadline_ms && now_ms >= slot->deadline_ms) || is_stopping == HTTP_STOP_ALL ||
             (is_stopping == HTTP_STOP_IDLE && slot->state == HTTP_SLOT_IDLE)))
            slot_shut(slots, slot);
        pthread_mutex_unlock(&slot->mutex);
    }
}

/* While more connections are open than are kept, the one that has been silent for longest goes. */
static void evict_idle(const struct http_slots *slots, int64_t now_ms)
{
    for (int over = atomic_load(&slots->open) - slots->keep; over > 0; over--) {
        struct http_slot *oldest = NULL;
        int64_t since_ms = now_ms - EVICT_AFTER_MS;
        for (int i = 0; i < slots->count; i++) {
            struct http_slot *slot = &slots->slots[i];
            pthread_mutex_lock(&slot->mutex);
            if (slot->state == HTTP_SLOT_IDLE && !slot->is_expired && slot->since_ms <= since_ms) {
                oldest = slot;
                since_ms = slot->since_ms;
            }
            pthread_mutex_unlock(&slot->mutex);
        }
        if (!oldest)
            return;
        pthread_mutex_lock(&oldest->mutex);
        if (oldest->state == HTTP_SLOT_IDLE && !oldest->is_expired && oldest->since_ms == since_ms)
            slot_shut(slots, oldest);
        pthread_mutex_unlock(&oldest->mutex);
    }
}

static void *reaper_run(void *arg)
{
    struct http_slots *slots = arg;
    pthread_mutex_lock(&slots->mutex);
    while (!slots->is_quitting) {
        int is_stopping = atomic_load(&slots->is_stopping);
        if (atomic_load(&slots->open) == 0 && !is_stopping) {
            pthread_cond_wait(&slots->wake, &slots->mutex);
            continue;
        }
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += (is_stopping ? STOP_TICK_MS : TICK_MS) * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        (void)pthread_cond_timedwait(&slots->wake, &slots->mutex, &until);
        pthread_mutex_unlock(&slots->mutex);
        int64_t now_ms = http_now_ms();
        sweep_deadlines(slots, now_ms);
        evict_idle(slots, now_ms);
        pthread_mutex_lock(&slots->mutex);
    }
    pthread_mutex_unlock(&slots->mutex);
    return NULL;
}

int http_slots_start(struct http_slots *slots, int count, int keep, struct err *err)
{
    pthread_condattr_t attr;
    slots->slots = xcalloc((size_t)count, sizeof(*slots->slots));
    slots->count = count;
    slots->keep = keep;
    for (int i = 0; i < count; i++)
        (void)pthread_mutex_init(&slots->slots[i].mutex, NULL);
    (void)pthread_mutex_init(&slots->mutex, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&slots->wake, &attr);
    (void)pthread_condattr_destroy(&attr);
    if (pthread_create(&slots->thread, NULL, reaper_run, slots) == 0)
        return 0;
    slots->count = 0;
    free(slots->slots);
    slots->slots = NULL;
    return err_set(err, RN_EIO, "the system gives no more threads");
}

void http_slots_wake(struct http_slots *slots)
{
    pthread_mutex_lock(&slots->mutex);
    pthread_cond_signal(&slots->wake);
    pthread_mutex_unlock(&slots->mutex);
}

void http_slots_release(struct http_slots *slots)
{
    if (!slots->slots)
        return;
    pthread_mutex_lock(&slots->mutex);
    slots->is_quitting = true;
    pthread_cond_signal(&slots->wake);
    pthread_mutex_unlock(&slots->mutex);
    (void)pthread_join(slots->thread, NULL);
    for (int i = 0; i < slots->count; i++)
        (void)pthread_mutex_destroy(&slots->slots[i].mutex);
    (void)pthread_mutex_destroy(&slots->mutex);
    (void)pthread_cond_destroy(&slots->wake);
    free(slots->slots);
    slots->slots = NULL;
}

struct http_slot *http_slots_take(struct http_slots *slots)
{
    int index = atomic_fetch_add(&slots->taken, 1);
    return index < slots->count ? &slots->slots[index] : NULL;
}

bool http_slots_are_short(const struct http_slots *slots)
{
    return atomic_load_explicit(&slots->open, memory_order_relaxed) > slots->keep;
}

void http_slot_open(struct http_slots *slots, struct http_slot *slot, const char *peer,
                    int peer_port, int64_t deadline_ms)
{
    pthread_mutex_lock(&slot->mutex);
    slot->state = HTTP_SLOT_IDLE;
    slot->since_ms = http_now_ms();
    slot->deadline_ms = deadline_ms;
    slot->is_expired = false;
    slot->peer_port = peer_port;
    (void)snprintf(slot->peer, sizeof(slot->peer), "%s", peer);
    pthread_mutex_unlock(&slot->mutex);
    slot->is_first = true;
    int open = atomic_fetch_add(&slots->open, 1) + 1;
    if (open == 1 || open > slots->keep)
        http_slots_wake(slots);
}

void http_slot_close(struct http_slots *slots, struct http_slot *slot)
{
    pthread_mutex_lock(&slot->mutex);
    bool was_open = slot->state != HTTP_SLOT_CLOSED;
    slot->state = HTTP_SLOT_CLOSED;
    slot->deadline_ms = 0;
    pthread_mutex_unlock(&slot->mutex);
    if (was_open)
        atomic_fetch_sub(&slots->open, 1);
}

bool http_slot_set(struct http_slot *slot, enum http_slot_state state, int64_t now_ms,
                   int64_t deadline_ms)
{
    pthread_mutex_lock(&slot->mutex);
    bool is_open = !slot->is_expired;
    slot->state = state;
    slot->since_ms = now_ms;
    slot->deadline_ms = deadline_ms;
    pthread_mutex_unlock(&slot->mutex);
    return is_open;
}
