/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bridge/resolve.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/buf.h"
#include "bridge/loop.h"

#define STACK_BYTES (512u << 10) /* name service modules are guests on it */

/* What the loop and the threads share, behind the lock. The last of them frees it. */
struct shared {
    pthread_mutex_t lock;
    int fd; /* eventfd: somebody is done */
    size_t users;
    struct bridge_question *done;
};

struct bridge_question {
    struct bridge_question *next; /* among those done */
    struct shared *shared;
    char host[BRIDGE_HOST_SIZE];
    struct bridge_addresses found;
    int failure; /* of getaddrinfo */
    /* the loop's */
    bridge_resolved tell; /* NULL: cancelled */
    void *ctx;
};

struct bridge_resolver {
    struct shared *shared;
    size_t open; /* questions without an answer, cancelled ones too */
};

/* ---- what is shared ------------------------------------------------------------------------- */

static struct shared *shared_new(void)
{
    struct shared *s = err_calloc(1, sizeof(*s));
    s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->fd < 0) {
        free(s);
        return NULL;
    }
    pthread_mutex_init(&s->lock, NULL);
    s->users = 1;
    return s;
}

static void shared_leave(struct shared *s)
{
    pthread_mutex_lock(&s->lock);
    bool last = --s->users == 0;
    struct bridge_question *q = s->done;
    pthread_mutex_unlock(&s->lock);
    if (!last)
        return;
    while (q) {
        struct bridge_question *next = q->next;
        free(q);
        q = next;
    }
    pthread_mutex_destroy(&s->lock);
    close(s->fd);
    free(s);
}

static void put_done(struct bridge_question *q)
{
    struct shared *s = q->shared;
    uint64_t one = 1;
    pthread_mutex_lock(&s->lock);
    q->next = s->done;
    s->done = q;
    /* It can only fail when the loop was told so often already that it did not look. */
    ssize_t told = write(s->fd, &one, sizeof(one));
    (void)told;
    pthread_mutex_unlock(&s->lock);
}

/* ---- the addresses -------------------------------------------------------------------------- */

static void add_address(struct bridge_addresses *a, const struct addrinfo *info)
{
    char text[BRIDGE_ADDRESS_SIZE];
    if (a->count == BRIDGE_ADDRESSES_MAX ||
        getnameinfo(info->ai_addr, info->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST))
        return;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->text[i], text) == 0)
            return;
    memcpy(a->text[a->count++], text, sizeof(text));
}

static const struct addrinfo *next_of(const struct addrinfo *info, int family)
{
    while (info && info->ai_family != family)
        info = info->ai_next;
    return info;
}

static void take_turns(struct bridge_addresses *a, const struct addrinfo *first)
{
    int other = first->ai_family == AF_INET ? AF_INET6 : AF_INET;
    const struct addrinfo *ours = first, *theirs = next_of(first, other);
    while (ours || theirs) {
        if (ours) {
            add_address(a, ours);
            ours = next_of(ours->ai_next, first->ai_family);
        }
        if (theirs) {
            add_address(a, theirs);
            theirs = next_of(theirs->ai_next, other);
        }
    }
}

static void *ask(void *arg)
{
    struct bridge_question *q = arg;
    struct shared *s = q->shared;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    q->failure = getaddrinfo(q->host, NULL, &hints, &list);
    if (q->failure == 0) {
        take_turns(&q->found, list);
        freeaddrinfo(list);
    }
    put_done(q);
    shared_leave(s);
    return NULL;
}

/* ---- questions ------------------------------------------------------------------------------ */

static void answer(struct bridge_question *q)
{
    const char *why = q->failure ? gai_strerror(q->failure) : "it has no address";
    if (!q->tell)
        return;
    if (q->found.count > 0)
        q->tell(q->ctx, &q->found, NULL);
    else
        q->tell(q->ctx, NULL, why);
}

static void on_done(void *ctx)
{
    struct bridge_resolver *r = ctx;
    struct shared *s = r->shared;
    uint64_t times;
    pthread_mutex_lock(&s->lock);
    ssize_t got = read(s->fd, &times, sizeof(times));
    (void)got;
    struct bridge_question *q = s->done;
    s->done = NULL;
    pthread_mutex_unlock(&s->lock);
    while (q) {
        struct bridge_question *next = q->next;
        r->open--;
        answer(q);
        free(q);
        q = next;
    }
}

static bool is_numeric(const char *host, struct bridge_addresses *out)
{
    uint8_t address[16];
    if (inet_pton(AF_INET, host, address) != 1 && inet_pton(AF_INET6, host, address) != 1)
        return false;
    bytes_copy_text(bytes_text(host), out->text[0], sizeof(out->text[0]));
    out->count = 1;
    return true;
}

static int start_thread(struct bridge_question *q)
{
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_mutex_lock(&q->shared->lock);
    q->shared->users++;
    pthread_mutex_unlock(&q->shared->lock);
    int rc = pthread_create(&thread, &attr, ask, q);
    pthread_attr_destroy(&attr);
    if (rc != 0)
        shared_leave(q->shared);
    return rc;
}

int bridge_resolve(struct bridge_resolver *r, const char *host, bridge_resolved done, void *ctx,
                   struct bridge_question **out, struct err *err)
{
    size_t n = strlen(host);
    if (n == 0 || n >= BRIDGE_HOST_SIZE)
        return err_set(err, ERR_INVALID, "\"%.60s\" is no name", host);
    if (r->open == BRIDGE_QUESTIONS_MAX)
        return err_set(err, ERR_LIMIT, "the name server has not answered the last %d questions",
                       BRIDGE_QUESTIONS_MAX);
    struct bridge_question *q = err_calloc(1, sizeof(*q));
    q->shared = r->shared;
    q->tell = done;
    q->ctx = ctx;
    memcpy(q->host, host, n);
    r->open++;
    *out = q;
    if (is_numeric(host, &q->found)) {
        put_done(q);
        return 0;
    }
    int rc = start_thread(q);
    if (rc == 0)
        return 0;
    r->open--;
    *out = NULL;
    free(q);
    return err_set(err, ERR_SYSTEM, "no thread for the name server: %s", strerror(rc));
}

void bridge_resolve_cancel(struct bridge_question *q)
{
    if (q)
        q->tell = NULL;
}

/* ---- life ----------------------------------------------------------------------------------- */

int bridge_resolver_open(struct bridge_resolver **out, struct bridge_loop *loop, struct err *err)
{
    struct shared *s = shared_new();
    if (!s)
        return err_sys(err, ERR_SYSTEM, "an eventfd could not be made");
    struct bridge_resolver *r = err_calloc(1, sizeof(*r));
    r->shared = s;
    int rc = bridge_loop_watch(loop, s->fd, on_done, r, err);
    if (rc < 0) {
        bridge_resolver_close(r);
        return rc;
    }
#ifdef M_ARENA_MAX
    /* A heap of its own for a thread that makes one list would stay for the life of the process. */
    mallopt(M_ARENA_MAX, 1);
#endif
    *out = r;
    return 0;
}

void bridge_resolver_close(struct bridge_resolver *r)
{
    if (!r)
        return;
    shared_leave(r->shared);
    free(r);
}
