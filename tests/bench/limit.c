/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * limit DIR: what this machine needs for the things that no auto-responder can do without. Prints
 * "NAME MICROSECONDS", the median of ROUNDS batches each.
 *
 *   sync      4 KiB appended to a file in DIR and fdatasync, as one commit of a write-ahead log
 *   x25519    one Diffie-Hellman on Curve25519 by libcrypto: a turn of a ratchet takes two
 *   aes_kib   AES-256-GCM of 1 KiB, libcrypto
 *   round_trip  two wake-ups: epoll_wait, woken through a pipe from another process, and back
 *
 * limit DIR RATE SECONDS: the same sync, and two in a row in two files, RATE times a second and not
 * as fast as it goes. Prints p50 and p99 of both: "one_p50 MICROSECONDS" and so on.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#define ROUNDS 9

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void die(const char *why)
{
    fprintf(stderr, "limit: %s\n", why);
    exit(1);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const char *name, void (*once)(void *), void *ctx, int times)
{
    double took[ROUNDS];
    for (int r = 0; r < ROUNDS; r++) {
        double start = now_us();
        for (int i = 0; i < times; i++)
            once(ctx);
        took[r] = (now_us() - start) / times;
    }
    qsort(took, ROUNDS, sizeof(took[0]), by_size);
    printf("%s %.3f\n", name, took[ROUNDS / 2]);
}

static void append_and_sync(void *ctx)
{
    static const char page[4096];
    int fd = *(int *)ctx;
    if (write(fd, page, sizeof(page)) != (ssize_t)sizeof(page) || fdatasync(fd) != 0)
        die("cannot write");
}

static void agree(void *ctx)
{
    EVP_PKEY **keys = ctx;
    unsigned char secret[32];
    size_t n = sizeof(secret);
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(keys[0], NULL);
    if (!c || EVP_PKEY_derive_init(c) != 1 || EVP_PKEY_derive_set_peer(c, keys[1]) != 1 ||
        EVP_PKEY_derive(c, secret, &n) != 1)
        die("X25519 failed");
    EVP_PKEY_CTX_free(c);
}

static void seal(void *ctx)
{
    static const unsigned char key[32], iv[12], text[1024];
    static unsigned char out[1040];
    int n;
    if (EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, iv) != 1 ||
        EVP_EncryptUpdate(ctx, out, &n, text, sizeof(text)) != 1 ||
        EVP_EncryptFinal_ex(ctx, out + n, &n) != 1)
        die("AES-GCM failed");
}

struct ends {
    int epoll, in, out;
};

static void ping(void *ctx)
{
    struct ends *e = ctx;
    struct epoll_event event;
    char byte = 0;
    if (write(e->out, &byte, 1) != 1 || epoll_wait(e->epoll, &event, 1, -1) != 1 ||
        read(e->in, &byte, 1) != 1)
        die("the pipe is broken");
}

static int watch(int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(0);
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    return epoll;
}

static void echo(int in, int out)
{
    struct epoll_event event;
    char byte;
    int epoll = watch(in);
    while (epoll_wait(epoll, &event, 1, -1) == 1 && read(in, &byte, 1) == 1)
        if (write(out, &byte, 1) != 1)
            break;
    _exit(0);
}

/* Both sides of a round trip are woken: it is printed as two. */
static void measure_wakeup(void)
{
    int to[2], from[2];
    if (pipe(to) != 0 || pipe(from) != 0)
        die("no pipe");
    pid_t child = fork();
    if (child == 0) {
        close(to[1]);
        echo(to[0], from[1]);
    }
    close(to[0]);
    struct ends e = {.epoll = watch(from[0]), .in = from[0], .out = to[1]};
    measure("round_trip", ping, &e, 2000);
    close(to[1]);
    waitpid(child, NULL, 0);
}

struct file {
    char path[4096];
    int fd;
};

static struct file open_in(const char *dir, const char *name)
{
    struct file f;
    snprintf(f.path, sizeof(f.path), "%s/%s", dir, name);
    f.fd = open(f.path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (f.fd < 0)
        die("the directory cannot be written to");
    return f;
}

static void discard(const struct file *f)
{
    close(f->fd);
    unlink(f->path);
}

static void print_shares(const char *name, double *took, size_t n)
{
    qsort(took, n, sizeof(took[0]), by_size);
    printf("%s_p50 %.3f\n%s_p99 %.3f\n", name, took[n / 2], name, took[n * 99 / 100]);
}

/* What a disk that rests in between does with one synced write, and with two in a row. */
static void measure_at_pace(const char *dir, long rate, long seconds)
{
    struct file first = open_in(dir, "limit.1"), second = open_in(dir, "limit.2");
    size_t n = (size_t)(rate * seconds);
    double *one = calloc(n, sizeof(*one)), *two = calloc(n, sizeof(*two)), start = now_us();
    for (size_t i = 0; i < n; i++) {
        double due = start + (double)(i + 1) * 1e6 / (double)rate, left = due - now_us();
        if (left > 0)
            usleep((useconds_t)left);
        double began = now_us();
        append_and_sync(&first.fd);
        one[i] = now_us() - began;
        append_and_sync(&second.fd);
        two[i] = now_us() - began;
    }
    print_shares("one", one, n);
    print_shares("two", two, n);
    free(one);
    free(two);
    discard(&first);
    discard(&second);
}

static void measure_primitives(const char *dir)
{
    struct file f = open_in(dir, "limit.1");
    measure("sync", append_and_sync, &f.fd, 100);
    discard(&f);
    EVP_PKEY *keys[2] = {EVP_PKEY_Q_keygen(NULL, NULL, "X25519"),
                         EVP_PKEY_Q_keygen(NULL, NULL, "X25519")};
    measure("x25519", agree, keys, 500);
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    measure("aes_kib", seal, cipher, 5000);
    measure_wakeup();
}

int main(int argc, char **argv)
{
    long rate = argc == 4 ? strtol(argv[2], NULL, 10) : 0;
    long seconds = argc == 4 ? strtol(argv[3], NULL, 10) : 0;
    if (argc == 2)
        measure_primitives(argv[1]);
    else if (rate > 0 && rate <= 10000 && seconds > 0 && seconds <= 3600)
        measure_at_pace(argv[1], rate, seconds);
    else
        die("usage: limit DIR [RATE SECONDS]");
    return 0;
}
