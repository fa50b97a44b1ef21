/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an operator watches: the log as a file, metrics.prom. */
#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/log.h"
#include "testing.h"
#include "volume/logfile.h"
#include "volume/metrics.h"

static char shared[64], secret[64];
static struct volume v;
static struct volume_log file_log;

static void setup(void)
{
    struct err err;
    log_set_level(LOG_ERROR);
    const char *base = testing_dir();
    snprintf(shared, sizeof(shared), "%s/volume", base);
    snprintf(secret, sizeof(secret), "%s/private", base);
    ck_assert_msg(volume_open(&v, shared, secret, &err) == 0, "%s", err.text);
    volume_log_open(&file_log, &v);
    volume_log_set(&file_log, 4096, 2);
}

static void teardown(void)
{
    volume_log_close(&file_log);
    volume_close(&v);
}

static const char *path_of(const char *name)
{
    static char out[4][200];
    static int at;
    at = (at + 1) % 4;
    snprintf(out[at], sizeof(out[at]), "%s/logs/%s", shared, name);
    return out[at];
}

static int64_t size_of(const char *name)
{
    struct stat st;
    return lstat(path_of(name), &st) == 0 ? st.st_size : -1;
}

static void write_line(const char *text)
{
    volume_log_write(&file_log, bytes_text(text));
}

static void write_lines(int count, size_t n)
{
    char line[2048];
    memset(line, 'x', sizeof(line));
    line[n - 1] = '\n';
    line[n] = '\0';
    for (int i = 0; i < count; i++)
        write_line(line);
}

static const char *content(const char *name)
{
    static char text[20000];
    int fd = open(path_of(name), O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
    text[n > 0 ? n : 0] = '\0';
    close(fd);
    return text;
}

/* ---- the log as a file ------------------------------------------------------------------ */

START_TEST(test_log_write_appends_whole_lines_for_the_group)
{
    struct stat st;
    umask(0077);
    write_line("one\n");
    volume_log_close(&file_log);
    volume_log_open(&file_log, &v);
    write_line("two\n");
    ck_assert_str_eq(content("wabridge.log"), "one\ntwo\n");
    ck_assert_int_eq(stat(path_of("wabridge.log"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0640);
}
END_TEST

START_TEST(test_log_write_beyond_size_rotates_and_keeps_so_many)
{
    write_lines(4, 1024); /* exactly full */
    ck_assert_int_eq(size_of("wabridge.log"), 4096);
    ck_assert_int_eq(size_of("wabridge.log.1"), -1);
    write_line("second\n");
    ck_assert_str_eq(content("wabridge.log"), "second\n");
    ck_assert_int_eq(size_of("wabridge.log.1"), 4096);
    write_lines(4, 1024);
    write_lines(4, 1024);
    write_lines(4, 1024);
    ck_assert_int_eq(size_of("wabridge.log.2"), 4096);
    ck_assert_int_eq(size_of("wabridge.log.3"), -1);
    volume_log_set(&file_log, 4096, 0); /* fewer from now on: the next rotation clears up */
    write_lines(4, 1024);
    ck_assert_int_eq(size_of("wabridge.log"), 1024);
    ck_assert_int_eq(size_of("wabridge.log.1"), -1);
    ck_assert_int_eq(size_of("wabridge.log.2"), -1);
    ck_assert_int_eq(file_log.dropped, 0);
}
END_TEST

START_TEST(test_log_write_full_disk_leaves_no_half_line_and_goes_on)
{
    struct rlimit was, limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &was), 0);
    limit = (struct rlimit){.rlim_cur = 1500, .rlim_max = was.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    write_lines(1, 1024);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    write_lines(2, 1024); /* 476 bytes fit */
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &was), 0);
    ck_assert_int_eq(size_of("wabridge.log"), 1024);
    ck_assert_int_eq(file_log.dropped, 2);
    write_line("room again\n");
    ck_assert_str_eq(content("wabridge.log") + 1024, "room again\n");
}
END_TEST

START_TEST(test_log_tend_file_taken_away_begins_a_new_one)
{
    write_line("one\n");
    ck_assert_int_eq(rename(path_of("wabridge.log"), path_of("elsewhere")), 0);
    volume_log_tend(&file_log);
    write_line("two\n");
    ck_assert_str_eq(content("wabridge.log"), "two\n");
    ck_assert_int_eq(unlink(path_of("wabridge.log")), 0);
    volume_log_tend(&file_log);
    write_line("three\n");
    ck_assert_str_eq(content("wabridge.log"), "three\n");
}
END_TEST

START_TEST(test_log_open_link_fifo_or_directory_is_left_alone)
{
    const char *name = path_of("wabridge.log"), *target = path_of("target");
    for (int i = 0; i < 3; i++) {
        unlink(name);
        if (i == 0)
            ck_assert_int_eq(symlink(target, name), 0);
        else if (i == 1)
            ck_assert_int_eq(mkfifo(name, 0600), 0);
        else
            ck_assert_int_eq(mkdir(name, 0700), 0);
        volume_log_tend(&file_log);
        write_line("nowhere\n");
        ck_assert_int_eq(file_log.fd, -1);
        ck_assert_int_eq(access(target, F_OK), -1);
    }
    ck_assert_int_eq(file_log.dropped, 3);
    ck_assert_int_eq(rmdir(name), 0);
    volume_log_tend(&file_log);
    write_line("here\n");
    ck_assert_str_eq(content("wabridge.log"), "here\n");
}
END_TEST

START_TEST(test_log_rotate_impossible_stops_at_the_bound)
{
    ck_assert_int_eq(mkdir(path_of("wabridge.log.1"), 0700), 0); /* a rename cannot replace it */
    volume_log_set(&file_log, 4096, 1);
    write_lines(20, 1024);
    ck_assert_int_eq(size_of("wabridge.log"), 4096);
    ck_assert_int_eq(file_log.dropped, 16);
    ck_assert_int_eq(rmdir(path_of("wabridge.log.1")), 0);
    volume_log_tend(&file_log);
    write_line("on\n");
    ck_assert_str_eq(content("wabridge.log"), "on\n");
    ck_assert_int_eq(size_of("wabridge.log.1"), 4096);
}
END_TEST

/* ---- metrics ---------------------------------------------------------------------------- */

/*
 * A strict reader of the text format (Prometheus documentation, "Exposition formats"): one HELP and
 * one TYPE before the samples of a family, families not interleaved, no sample twice, label values
 * escaped, numbers as Go reads them, a newline at the end. And the naming rules: a counter ends in
 * _total, nothing else does.
 */
struct parser {
    const char *at;
    char family[100], type[20];
    char families[64][100];
    int family_count;
    char samples[200][300];
    double values[200];
    int sample_count;
};

static void expect(struct parser *p, const char *text)
{
    ck_assert_msg(strncmp(p->at, text, strlen(text)) == 0, "wanted %s at %.60s", text, p->at);
    p->at += strlen(text);
}

static void take_name(struct parser *p, char *out, size_t size)
{
    size_t n = 0;
    while (isalnum((unsigned char)p->at[n]) || p->at[n] == '_')
        n++;
    ck_assert_msg(n > 0 && n < size && !isdigit((unsigned char)*p->at), "name at %.60s", p->at);
    memcpy(out, p->at, n);
    out[n] = '\0';
    p->at += n;
}

static void take_header(struct parser *p)
{
    char name[100];
    expect(p, "# HELP ");
    take_name(p, p->family, sizeof(p->family));
    expect(p, " ");
    ck_assert_int_gt((int)strcspn(p->at, "\n\\"), 3);
    p->at += strcspn(p->at, "\n");
    expect(p, "\n# TYPE ");
    take_name(p, name, sizeof(name));
    ck_assert_str_eq(name, p->family);
    expect(p, " ");
    take_name(p, p->type, sizeof(p->type));
    expect(p, "\n");
    size_t n = strlen(name);
    bool total = n > 6 && strcmp(name + n - 6, "_total") == 0;
    ck_assert_str_eq(p->type, total ? "counter" : "gauge");
    for (int i = 0; i < p->family_count; i++)
        ck_assert_str_ne(p->families[i], name);
    ck_assert_int_lt(p->family_count, 64);
    strcpy(p->families[p->family_count++], name);
}

static void take_labels(struct parser *p)
{
    char name[100];
    expect(p, "{");
    do {
        take_name(p, name, sizeof(name));
        expect(p, "=\"");
        while (*p->at != '"') {
            ck_assert(*p->at && *p->at != '\n');
            if (*p->at == '\\')
                ck_assert(strchr("\\\"n", *++p->at) && *p->at);
            p->at++;
        }
        p->at++;
    } while (*p->at == ',' && p->at++);
    expect(p, "} ");
}

static void take_sample(struct parser *p)
{
    char name[100], *end;
    const char *start = p->at;
    take_name(p, name, sizeof(name));
    ck_assert_str_eq(name, p->family);
    take_labels(p);
    ck_assert_int_lt(p->sample_count, 200);
    char *sample = p->samples[p->sample_count];
    snprintf(sample, sizeof(p->samples[0]), "%.*s", (int)(p->at - 1 - start), start);
    for (int i = 0; i < p->sample_count; i++)
        ck_assert_str_ne(p->samples[i], sample);
    p->values[p->sample_count++] = strtod(p->at, &end);
    ck_assert_ptr_ne(end, p->at);
    p->at = end;
    expect(p, "\n"); /* no time stamp: the textfile collector refuses them */
}

static struct parser *parse(const char *text)
{
    static struct parser p;
    memset(&p, 0, sizeof(p));
    p.at = text;
    while (*p.at) {
        if (*p.at == '#')
            take_header(&p);
        else
            take_sample(&p);
    }
    return &p;
}

static double sample(const struct parser *p, const char *name)
{
    for (int i = 0; i < p->sample_count; i++)
        if (strcmp(p->samples[i], name) == 0)
            return p->values[i];
    ck_abort_msg("no sample %s", name);
    return 0;
}

static const char *const statuses[] = {"STARTING", "STARTING", "RUNNING", NULL};
static const char *const sessions[] = {"NONE", "CONNECTED", NULL};

static struct volume_state state(void)
{
    struct volume_state s = {.tenant_id = "shop-7",
                             .status = "RUNNING",
                             .session_state = "CONNECTED",
                             .stale_after_ms = 32000,
                             .queue_replies = 3};
    s.counters.received = 12;
    s.reconnect.attempt = 2;
    s.process.version = "1.2";
    s.process.wa_version = "a\\b\"c\nd";
    s.last_error.at = 1500;
    strcpy(s.last_error.code, "not_reached");
    return s;
}

START_TEST(test_metrics_write_is_exposition_format)
{
    struct volume_state s = state();
    struct volume_gauges g = {.rss_bytes = 5, .keys_db_bytes = -1, .cpu_ms = 1250};
    struct buf text = {.max = 65536};
    g.statuses = statuses;
    g.sessions = sessions;
    ck_assert_int_eq(volume_metrics_write(&s, &g, 1700000000123, &text), 0);
    const struct parser *p = parse(buf_text(&text));
#define T "{tenant=\"shop-7\""
    ck_assert_double_eq(sample(p, "wabridge_status" T ",status=\"RUNNING\"}"), 1);
    ck_assert_double_eq(sample(p, "wabridge_status" T ",status=\"STARTING\"}"), 0);
    ck_assert_double_eq(sample(p, "wabridge_session_state" T ",state=\"CONNECTED\"}"), 1);
    ck_assert_double_eq(sample(p, "wabridge_session_state" T ",state=\"NONE\"}"), 0);
    ck_assert_double_eq(sample(p, "wabridge_heartbeat_timestamp_seconds" T "}"), 1700000000.123);
    ck_assert_double_eq(sample(p, "wabridge_heartbeat_stale_after_seconds" T "}"), 32);
    ck_assert_double_eq(sample(p, "wabridge_received_total" T "}"), 12);
    ck_assert_double_eq(sample(p, "wabridge_queue_length" T ",queue=\"replies\"}"), 3);
    ck_assert_double_eq(sample(p, "wabridge_process_cpu_seconds_total" T "}"), 1.25);
    ck_assert_double_eq(
        sample(p, "wabridge_info" T ",version=\"1.2\",wa_version=\"a\\\\b\\\"c\\nd\"}"), 1);
    ck_assert_double_eq(
        sample(p, "wabridge_last_error_timestamp_seconds" T ",code=\"not_reached\"}"), 1.5);
    ck_assert_ptr_null(strstr(buf_text(&text), "database=\"keys\"} -")); /* unknown is left out */
    ck_assert_ptr_null(strstr(buf_text(&text), "wabridge_last_seen"));   /* never is left out */
    buf_deinit(&text);
}
END_TEST

START_TEST(test_metrics_every_counter_of_state_is_there)
{
    struct volume_state s = state();
    struct volume_gauges g = {.statuses = statuses, .sessions = sessions};
    struct buf text = {.max = 65536};
    int64_t n = 100;
#define X(name) s.counters.name = n++;
    VOLUME_COUNTERS(X)
#undef X
    ck_assert_int_eq(volume_metrics_write(&s, &g, 1, &text), 0);
    const struct parser *p = parse(buf_text(&text));
    n = 100;
#define X(name) ck_assert_double_eq(sample(p, "wabridge_" #name "_total" T "}"), (double)n++);
    VOLUME_COUNTERS(X)
#undef X
    buf_deinit(&text);
}
END_TEST

START_TEST(test_metrics_write_small_buffer_says_limit)
{
    struct volume_state s = state();
    struct volume_gauges g = {.statuses = statuses, .sessions = sessions};
    struct buf text = {.max = 500};
    ck_assert_int_eq(volume_metrics_write(&s, &g, 1, &text), ERR_LIMIT);
    buf_deinit(&text);
}
END_TEST

START_TEST(test_metrics_publish_measures_this_process)
{
    struct volume_state s = state();
    struct volume_gauges g = {.statuses = statuses, .sessions = sessions};
    struct err err;
    struct stat st;
    char path[200], text[20000];
    volume_metrics_measure(&v, &g);
    ck_assert_int_gt(g.rss_bytes, 100000);
    ck_assert_int_ge(g.cpu_ms, 0);
    ck_assert_int_eq(g.messages_db_bytes, -1);
    ck_assert_int_gt(g.volume_free_bytes, 0);
    ck_assert_int_eq(volume_metrics_publish(&s, &g, &v, 5000, &err), 0);
    snprintf(path, sizeof(path), "%s/metrics.prom", shared);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0640);
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    ck_assert_int_gt(n, 0);
    text[n] = '\0';
    const struct parser *p = parse(text);
    ck_assert_double_eq(sample(p, "wabridge_process_resident_memory_bytes" T "}"),
                        (double)g.rss_bytes);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("observe");
    TCase *log = tcase_create("log"), *metrics = tcase_create("metrics");
    tcase_add_checked_fixture(log, setup, teardown);
    tcase_add_checked_fixture(metrics, setup, teardown);
    tcase_add_test(log, test_log_write_appends_whole_lines_for_the_group);
    tcase_add_test(log, test_log_write_beyond_size_rotates_and_keeps_so_many);
    tcase_add_test(log, test_log_write_full_disk_leaves_no_half_line_and_goes_on);
    tcase_add_test(log, test_log_tend_file_taken_away_begins_a_new_one);
    tcase_add_test(log, test_log_open_link_fifo_or_directory_is_left_alone);
    tcase_add_test(log, test_log_rotate_impossible_stops_at_the_bound);
    tcase_add_test(metrics, test_metrics_write_is_exposition_format);
    tcase_add_test(metrics, test_metrics_every_counter_of_state_is_there);
    tcase_add_test(metrics, test_metrics_write_small_buffer_says_limit);
    tcase_add_test(metrics, test_metrics_publish_measures_this_process);
    suite_add_tcase(s, log);
    suite_add_tcase(s, metrics);
    return testing_run(s);
}
