/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bridge/fetch.h against a forked server that sends what it is told, byte by byte. */
#define _GNU_SOURCE /* strcasestr */
#include "testing.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/err.h"
#include "bridge/fetch.h"
#include "bridge/trust.h"
#include "bridge/link.h"
#include "bridge/lws.h"

#define BODY_MAX 100000
#define LONG_MS 10000

/* ---- the server ----------------------------------------------------------------------------- */

struct script {
    struct bytes answer;
    size_t repeat;    /* the last `repeat` bytes of the answer again and again, until the end */
    size_t cut;       /* pieces of so many bytes; 0 all at once */
    bool hold, reset; /* at the end: keep open, or RST instead of FIN */
};

static pid_t server;
static uint16_t port;
static int request_pipe; /* what the server was asked */

static int listen_somewhere(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    port = ntohs(a.sin_port);
    return fd;
}

static void read_request(int fd, int out)
{
    char text[8192];
    size_t n = 0;
    while (n < sizeof(text) - 1) {
        ssize_t got = recv(fd, text + n, sizeof(text) - 1 - n, 0);
        if (got <= 0)
            break;
        n += (size_t)got;
        text[n] = '\0';
        if (strstr(text, "\r\n\r\n"))
            break;
    }
    if (write(out, text, n) != (ssize_t)n)
        _exit(1);
}

static bool send_all(int fd, const uint8_t *p, size_t n, size_t cut)
{
    for (size_t at = 0; at < n;) {
        size_t piece = cut && cut < n - at ? cut : n - at;
        ssize_t sent = send(fd, p + at, piece, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += (size_t)sent;
    }
    return true;
}

static _Noreturn void serve(int listener, int out, const struct script *s)
{
    int fd = accept(listener, NULL, NULL), on = 1;
    char byte;
    setsockopt(fd, IPPROTO_TCP, 1, &on, sizeof(on)); /* TCP_NODELAY */
    read_request(fd, out);
    if (send_all(fd, s->answer.p, s->answer.n, s->cut))
        while (s->repeat && send_all(fd, s->answer.p + s->answer.n - s->repeat, s->repeat, 0))
            continue;
    if (s->hold)
        (void)!recv(fd, &byte, 1, 0);
    struct linger hard = {.l_onoff = 1};
    if (s->reset)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    close(fd);
    _exit(0);
}

static void start_server(const struct script *s)
{
    int ends[2], listener = listen_somewhere();
    ck_assert_int_eq(pipe(ends), 0);
    server = fork();
    ck_assert_int_ge(server, 0);
    if (server == 0)
        serve(listener, ends[1], s);
    close(listener);
    close(ends[1]);
    request_pipe = ends[0];
}

static void stop_server(void)
{
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    close(request_pipe);
}

/* ---- the client ----------------------------------------------------------------------------- */

static struct bridge_loop *loop;
static struct {
    int rc, status, count;
    int64_t retry_after_s;
    char error[200];
    struct buf body;
} got;

static void done(void *ctx, const struct bridge_fetch_result *r)
{
    (void)ctx;
    got.rc = r->rc;
    got.status = r->status;
    got.count++;
    got.retry_after_s = r->retry_after_s;
    snprintf(got.error, sizeof(got.error), "%s", r->error);
    buf_init(&got.body, BODY_MAX);
    ck_assert_int_eq(buf_append(&got.body, r->body), 0);
    bridge_loop_stop(loop);
}

static void give_up(void *ctx)
{
    (void)ctx;
    bridge_loop_stop(loop);
}

static void open_loop(void)
{
    static const struct bridge_loop_config config = {.ca_file = "", .wake = give_up};
    struct err err;
    memset(&got, 0, sizeof(got));
    ck_assert_int_eq(bridge_loop_open(&loop, &config, &err), 0);
}

static void close_all(void)
{
    bridge_loop_close(loop);
    buf_deinit(&got.body);
}

static const struct bridge_fetch_header headers[] = {{"origin", "https://web.whatsapp.com"},
                                                     {"x-test", "1"}};

static struct bridge_fetch *start(const char *path, int64_t timeout_ms, size_t body_max,
                                  int (*data)(void *ctx, struct bytes piece))
{
    char url[200];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", port, path);
    const struct bridge_fetch_request request = {.url = url,
                                                 .headers = headers,
                                                 .header_count = ARRAY_LEN(headers),
                                                 .body_max = body_max,
                                                 .timeout_ms = timeout_ms};
    const struct bridge_fetch_events events = {.data = data, .done = done};
    struct err err = {0};
    struct bridge_fetch *f = bridge_fetch_start(loop, &request, &events, &err);
    ck_assert_msg(f != NULL, "%s", err.text);
    return f;
}

static void run(const struct script *s, int64_t timeout_ms, size_t body_max,
                int (*data)(void *ctx, struct bytes piece))
{
    start_server(s);
    open_loop();
    start("/a/b?c=d&e=f", timeout_ms, body_max, data);
    bridge_loop_wake_at(loop, clock_mono_ms() + LONG_MS);
    bridge_loop_run(loop);
    ck_assert_int_eq(got.count, 1);
    stop_server();
}

#define ANSWER(text)                                                                               \
    {                                                                                              \
        .answer = {(const uint8_t *)(text), sizeof(text) - 1 }                                     \
    }

/* ---- answers -------------------------------------------------------------------------------- */

START_TEST(test_fetch_content_length_gives_body)
{
    char request[4096] = "";
    const struct script s = ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    start_server(&s);
    open_loop();
    start("/a/b?c=d&e=f", LONG_MS, BODY_MAX, NULL);
    bridge_loop_run(loop);
    ck_assert_int_eq(got.rc, 0);
    ck_assert_int_eq(got.status, 200);
    ck_assert_str_eq(got.error, "");
    ck_assert(bytes_is(buf_bytes(&got.body), "hello"));
    ck_assert_int_gt(read(request_pipe, request, sizeof(request) - 1), 0);
    ck_assert_ptr_nonnull(strstr(request, "GET /a/b?c=d&e=f HTTP/1.1\r\n"));
    ck_assert_ptr_nonnull(strcasestr(request, "\r\norigin: https://web.whatsapp.com\r\n"));
    ck_assert_ptr_nonnull(strcasestr(request, "\r\nx-test: 1\r\n"));
    stop_server();
    close_all();
}
END_TEST

START_TEST(test_fetch_chunked_in_small_pieces_gives_body)
{
    struct script s = ANSWER("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                             "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n");
    s.cut = 1;
    run(&s, LONG_MS, BODY_MAX, NULL);
    ck_assert_int_eq(got.rc, 0);
    ck_assert(bytes_is(buf_bytes(&got.body), "hello"));
    close_all();
}
END_TEST

START_TEST(test_fetch_empty_body_is_whole)
{
    const struct script s = ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    run(&s, LONG_MS, BODY_MAX, NULL);
    ck_assert_int_eq(got.rc, 0);
    ck_assert_int_eq(got.status, 200);
    ck_assert_uint_eq(got.body.n, 0);
    close_all();
}
END_TEST

static const struct {
    const char *answer;
    int status, retry_after_s;
} others[] = {
    {"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone", 404, 0},
    {"HTTP/1.1 503 Busy\r\nRetry-After: 17\r\nContent-Length: 0\r\n\r\n", 503, 17},
    {"HTTP/1.1 429 Slow\r\nRetry-After: 99999999\r\nContent-Length: 0\r\n\r\n", 429, 86400},
    {"HTTP/1.1 503 Busy\r\nRetry-After: Fri, 01 Jan 2027 00:00:00 GMT\r\n\r\n", 503, 0},
    {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 302, 0},
    {"HTTP/1.1 401 No\r\nContent-Length: 9999999\r\n\r\n", 401, 0},
    {"HTTP/1.1 204 Nothing\r\n\r\n", 204, 0},
};

START_TEST(test_fetch_other_status_gives_status_without_body)
{
    const struct script s = {.answer = bytes_text(others[_i].answer), .hold = true};
    run(&s, LONG_MS, BODY_MAX, NULL);
    ck_assert_msg(got.rc == 0, "%s: %s", others[_i].answer, got.error);
    ck_assert_int_eq(got.status, others[_i].status);
    ck_assert_int_eq(got.retry_after_s, others[_i].retry_after_s);
    ck_assert_uint_eq(got.body.n, 0);
    close_all();
}
END_TEST

static const struct {
    struct script script;
    int rc;
} broken[] = {
    {ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"), ERR_SYSTEM},
    {ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\nhello"), ERR_LIMIT},
    {ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello"), ERR_LIMIT},
    {ANSWER("HTTP/1.1 200 OK\r\n\r\nhello"), ERR_PROTOCOL},
    {ANSWER("HTTP/1.1 200 OK\r\nConte"), ERR_SYSTEM},
    {ANSWER("SSH-2.0-OpenSSH_9.2\r\n\r\n"), ERR_SYSTEM},
    {ANSWER(""), ERR_SYSTEM},
    {{.answer = {(const uint8_t *)"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", 44},
      .reset = true},
     ERR_SYSTEM},
    {{.answer =
          {(const uint8_t *)"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
           57},
      .repeat = 10},
     ERR_LIMIT},
    {{.answer = {(const uint8_t *)"HTTP/1.1 200 OK\r\nX: y\r\n", 23}, .repeat = 6}, ERR_SYSTEM},
};

START_TEST(test_fetch_broken_answer_fails)
{
    run(&broken[_i].script, LONG_MS, BODY_MAX, NULL);
    ck_assert_msg(got.rc == broken[_i].rc, "%d: %d %s", _i, got.rc, got.error);
    ck_assert_str_ne(got.error, "");
    ck_assert_uint_eq(got.body.n, 0);
    close_all();
}
END_TEST

/* The longest headers that real servers send (policies of the content) are a few KiB. */
START_TEST(test_fetch_long_headers_are_read)
{
    AUTO_BUF struct buf answer;
    buf_init(&answer, 30000);
    buf_append_text(&answer, "HTTP/1.1 200 OK\r\nContent-Security-Policy: ");
    while (answer.n < 20000)
        buf_append_text(&answer, "default-src ");
    buf_append_text(&answer, "\r\nContent-Length: 2\r\n\r\nok");
    const struct script s = {.answer = buf_bytes(&answer)};
    run(&s, LONG_MS, BODY_MAX, NULL);
    ck_assert_msg(got.rc == 0, "%s", got.error);
    ck_assert(bytes_is(buf_bytes(&got.body), "ok"));
    close_all();
}
END_TEST

/* ---- time ----------------------------------------------------------------------------------- */

static const struct script silent[] = {
    {.hold = true},
    {.answer = {(const uint8_t *)"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", 44},
     .hold = true},
};

START_TEST(test_fetch_silent_server_times_out)
{
    int64_t before = clock_mono_ms();
    run(&silent[_i], 300, BODY_MAX, NULL);
    ck_assert_int_eq(got.rc, ERR_TIMEOUT);
    ck_assert_int_ge(clock_mono_ms() - before, 300);
    ck_assert_int_lt(clock_mono_ms() - before, LONG_MS);
    close_all();
}
END_TEST

/* ---- the sink ------------------------------------------------------------------------------- */

static size_t sunk;
static struct bridge_fetch *to_cancel;

static int take(void *ctx, struct bytes piece)
{
    (void)ctx;
    sunk += piece.n;
    return 0;
}

static int refuse(void *ctx, struct bytes piece)
{
    (void)ctx;
    sunk += piece.n;
    return ERR_STORE;
}

static int cancel_it(void *ctx, struct bytes piece)
{
    (void)ctx;
    sunk += piece.n;
    bridge_fetch_cancel(to_cancel);
    bridge_loop_wake_at(loop, clock_mono_ms() + 200);
    return 0;
}

START_TEST(test_fetch_data_gets_every_piece)
{
    AUTO_BUF struct buf answer;
    buf_init(&answer, 1 << 20);
    buf_append_text(&answer, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    memset(buf_reserve(&answer, 1000000), 'x', 1000000);
    answer.n += 1000000;
    const struct script s = {.answer = buf_bytes(&answer)};
    sunk = 0;
    run(&s, LONG_MS, 1000000, take);
    ck_assert_msg(got.rc == 0, "%s", got.error);
    ck_assert_uint_eq(sunk, 1000000);
    ck_assert_uint_eq(got.body.n, 0);
    close_all();
}
END_TEST

START_TEST(test_fetch_data_that_refuses_ends_with_its_code)
{
    struct script s = ANSWER("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    s.repeat = 10;
    sunk = 0;
    run(&s, LONG_MS, BODY_MAX, refuse);
    ck_assert_int_eq(got.rc, ERR_STORE);
    ck_assert_uint_lt(sunk, 20000);
    close_all();
}
END_TEST

START_TEST(test_fetch_cancel_in_data_tells_nothing_more)
{
    struct script s = ANSWER("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    s.repeat = 10;
    start_server(&s);
    open_loop();
    sunk = 0;
    to_cancel = start("/", LONG_MS, BODY_MAX, cancel_it);
    bridge_loop_run(loop);
    ck_assert_uint_gt(sunk, 0);
    size_t until_then = sunk;
    bridge_loop_wake_at(loop, clock_mono_ms() + 100);
    bridge_loop_run(loop);
    ck_assert_uint_eq(sunk, until_then);
    ck_assert_int_eq(got.count, 0);
    stop_server();
    close_all();
}
END_TEST

START_TEST(test_fetch_cancel_at_once_tells_nothing)
{
    const struct script s = {.hold = true};
    start_server(&s);
    open_loop();
    bridge_fetch_cancel(start("/", LONG_MS, BODY_MAX, NULL));
    bridge_fetch_cancel(NULL);
    bridge_loop_wake_at(loop, clock_mono_ms() + 100);
    bridge_loop_run(loop);
    ck_assert_int_eq(got.count, 0);
    stop_server();
    close_all();
}
END_TEST

/* ---- TLS ------------------------------------------------------------------------------------ */

/* A certificate for localhost and an `openssl s_server -WWW` that serves the test's directory. */
static void start_tls_server(char ca[300])
{
    char command[1200];
    const char *dir = testing_dir();
    close(listen_somewhere());
    snprintf(ca, 300, "%s/ca.pem", dir);
    snprintf(command, sizeof(command),
             "cd %s && printf 'HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello' >answer && "
             "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "
             "/CN=localhost -addext subjectAltName=DNS:localhost -keyout key.pem -out ca.pem "
             ">openssl.log 2>&1",
             dir);
    ck_assert_int_eq(system(command), 0);
    server = fork();
    ck_assert_int_ge(server, 0);
    if (server == 0) {
        snprintf(command, sizeof(command),
                 "cd %s && exec openssl s_server -HTTP -quiet -accept 127.0.0.1:%u -cert ca.pem "
                 "-key key.pem -alpn http/1.1 >>openssl.log 2>&1",
                 dir, port);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
}

/* Dials until the server listens; then the result stands in `got`. */
static void fetch_tls(const char *host, const char *ca)
{
    const struct bridge_loop_config config = {.tls = true, .ca_file = ca, .wake = give_up};
    const struct bridge_fetch_events events = {.done = done};
    int64_t until = clock_mono_ms() + LONG_MS;
    char url[100];
    struct err err = {0};
    snprintf(url, sizeof(url), "https://%s:%u/answer", host, port);
    const struct bridge_fetch_request request = {
        .url = url, .body_max = BODY_MAX, .timeout_ms = LONG_MS};
    memset(&got, 0, sizeof(got));
    ck_assert_int_eq(bridge_loop_open(&loop, &config, &err), 0);
    do {
        usleep(20000);
        buf_deinit(&got.body);
        got.count = 0;
        if (bridge_fetch_start(loop, &request, &events, &err))
            bridge_loop_run(loop);
    } while ((got.count == 0 || strcmp(got.error, "Unable to connect") == 0) &&
             clock_mono_ms() < until);
}

START_TEST(test_fetch_tls_trusts_only_the_authority)
{
    char ca[300];
    start_tls_server(ca);
    fetch_tls("localhost", ca);
    ck_assert_msg(got.rc == 0, "%s", got.error);
    ck_assert(bytes_is(buf_bytes(&got.body), "hello"));
    close_all();
    fetch_tls("127.0.0.1", ca); /* another name than the certificate's */
    ck_assert_int_eq(got.rc, ERR_SYSTEM);
    close_all();
    fetch_tls("localhost", "");
    ck_assert_int_eq(got.rc, ERR_SYSTEM);
    ck_assert_uint_eq(got.body.n, 0);
    close_all();
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
}
END_TEST

/* ---- refused at once ------------------------------------------------------------------------ */

static const struct {
    const char *url, *header;
    int rc;
} refused[] = {
    {"https://127.0.0.1/", "x", ERR_UNSUPPORTED},
    {"http://example.org/", "x", ERR_INVALID},
    {"ftp://127.0.0.1/", "x", ERR_INVALID},
    {"http://user@127.0.0.1/", "x", ERR_INVALID},
    {"http://127.0.0.1/a b", "x", ERR_INVALID},
    {"http://127.0.0.1/a\r\nx: y", "x", ERR_INVALID},
    {"http://127.0.0.1:99999/", "x", ERR_INVALID},
    {"http://127.0.0.1/", "x\r\ny: z", ERR_INVALID},
    {"", "x", ERR_INVALID},
};

START_TEST(test_fetch_start_refuses)
{
    const struct bridge_fetch_header header = {"a", refused[_i].header};
    const struct bridge_fetch_request request = {
        .url = refused[_i].url, .headers = &header, .header_count = 1, .timeout_ms = 1000};
    const struct bridge_fetch_events events = {.done = done};
    struct err err = {0};
    open_loop();
    ck_assert_ptr_null(bridge_fetch_start(loop, &request, &events, &err));
    ck_assert_msg(err.code == refused[_i].rc, "%s: %s", refused[_i].url, err.text);
    close_all();
}
END_TEST

START_TEST(test_fetch_start_nobody_listens_fails)
{
    struct err err = {0};
    char url[64];
    close(listen_somewhere());
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port);
    const struct bridge_fetch_request request = {.url = url, .timeout_ms = 5000};
    const struct bridge_fetch_events events = {.done = done};
    open_loop();
    if (bridge_fetch_start(loop, &request, &events, &err)) {
        bridge_loop_run(loop);
        err.code = got.rc;
        ck_assert_str_ne(got.error, "");
    }
    ck_assert_int_eq(err.code, ERR_SYSTEM);
    close_all();
}
END_TEST

static void touch(const char *dir, const char *name)
{
    char path[400];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    ck_assert(f && fclose(f) == 0);
}

START_TEST(test_trust_prefers_a_hashed_directory_to_the_file)
{
    const char *dir = testing_dir();
    unsetenv("SSL_CERT_FILE");
    setenv("SSL_CERT_DIR", dir, 1);
    touch(dir, "ca-bundle.crt");
    touch(dir, "0123abc.0");
    touch(dir, "0123abcd.r0");
    bridge_trust_prefer_directory();
    ck_assert_ptr_null(getenv("SSL_CERT_FILE"));
    touch(dir, "0123abcd.0");
    bridge_trust_prefer_directory();
    ck_assert_str_eq(getenv("SSL_CERT_FILE"), "/dev/null");
    setenv("SSL_CERT_FILE", "/the/operators.pem", 1);
    bridge_trust_prefer_directory();
    ck_assert_str_eq(getenv("SSL_CERT_FILE"), "/the/operators.pem");
}
END_TEST

/* A wake-up of libwebsockets' own would double those of an idle bridge. */
START_TEST(test_loop_at_rest_only_its_own_timer_is_set)
{
    static const struct bridge_loop_config config = {.tls = true, .ca_file = "", .wake = give_up};
    struct err err = {0};
    memset(&got, 0, sizeof(got));
    ck_assert_int_eq(bridge_loop_open(&loop, &config, &err), 0);
    bridge_loop_wake_at(loop, clock_mono_ms() + 10);
    bridge_loop_run(loop); /* what a new context has to do first */
    bridge_loop_wake_at(loop, clock_mono_ms() + 3600000);
    /* In order of time, ours is the first; certificates are looked at once a day. */
    ck_assert_ptr_eq(lws_dll2_get_head(loop->timer.list.owner), &loop->timer.list);
    close_all();
}
END_TEST

/* An address that the kernel refuses before anything is sent. */
START_TEST(test_fetch_refused_at_once_is_told_to_the_fetch)
{
    static const struct bridge_loop_config config = {.tls = true, .ca_file = "", .wake = give_up};
    struct err err = {0};
    const struct bridge_fetch_request request = {.url = "https://255.255.255.255/",
                                                 .timeout_ms = 5000};
    const struct bridge_fetch_events events = {.done = done};
    memset(&got, 0, sizeof(got));
    ck_assert_int_eq(bridge_loop_open(&loop, &config, &err), 0);
    ck_assert_msg(bridge_fetch_start(loop, &request, &events, &err) != NULL, "%s", err.text);
    bridge_loop_run(loop);
    ck_assert_int_eq(got.count, 1);
    ck_assert_int_eq(got.rc, ERR_SYSTEM);
    close_all();
}
END_TEST

START_TEST(test_fetch_start_too_many_is_limit)
{
    struct bridge_fetch *all[BRIDGE_FETCH_PARALLEL];
    struct err err = {0};
    char url[64];
    int listener = listen_somewhere();
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port);
    const struct bridge_fetch_request request = {.url = url, .timeout_ms = 5000};
    const struct bridge_fetch_events events = {.done = done};
    open_loop();
    for (size_t i = 0; i < BRIDGE_FETCH_PARALLEL; i++)
        ck_assert_ptr_nonnull(all[i] = bridge_fetch_start(loop, &request, &events, &err));
    ck_assert_ptr_null(bridge_fetch_start(loop, &request, &events, &err));
    ck_assert_int_eq(err.code, ERR_LIMIT);
    for (size_t i = 0; i < BRIDGE_FETCH_PARALLEL; i++)
        bridge_fetch_cancel(all[i]);
    bridge_loop_wake_at(loop, clock_mono_ms() + 50);
    bridge_loop_run(loop);
    ck_assert_ptr_nonnull(all[0] = bridge_fetch_start(loop, &request, &events, &err));
    bridge_fetch_cancel(all[0]);
    ck_assert_int_eq(got.count, 0);
    close_all();
    close(listener);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fetch");
    TCase *t = tcase_create("fetch");
    tcase_set_timeout(t, 30);
    tcase_add_test(t, test_fetch_content_length_gives_body);
    tcase_add_test(t, test_fetch_chunked_in_small_pieces_gives_body);
    tcase_add_test(t, test_fetch_empty_body_is_whole);
    tcase_add_loop_test(t, test_fetch_other_status_gives_status_without_body, 0, ARRAY_LEN(others));
    tcase_add_loop_test(t, test_fetch_broken_answer_fails, 0, ARRAY_LEN(broken));
    tcase_add_test(t, test_fetch_long_headers_are_read);
    tcase_add_loop_test(t, test_fetch_silent_server_times_out, 0, ARRAY_LEN(silent));
    tcase_add_test(t, test_fetch_data_gets_every_piece);
    tcase_add_test(t, test_fetch_data_that_refuses_ends_with_its_code);
    tcase_add_test(t, test_fetch_cancel_in_data_tells_nothing_more);
    tcase_add_test(t, test_fetch_cancel_at_once_tells_nothing);
    tcase_add_test(t, test_fetch_tls_trusts_only_the_authority);
    tcase_add_loop_test(t, test_fetch_start_refuses, 0, ARRAY_LEN(refused));
    tcase_add_test(t, test_fetch_start_nobody_listens_fails);
    tcase_add_test(t, test_loop_at_rest_only_its_own_timer_is_set);
    tcase_add_test(t, test_fetch_refused_at_once_is_told_to_the_fetch);
    tcase_add_test(t, test_trust_prefers_a_hashed_directory_to_the_file);
    tcase_add_test(t, test_fetch_start_too_many_is_limit);
    suite_add_tcase(s, t);
    return testing_run(s);
}
