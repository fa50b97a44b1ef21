/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>

#include "base/log.h"
#include "config.h"
#include "sim/control.h"
#include "sim/server.h"

#define EXIT_USAGE 64

static const char usage[] =
    "Usage: wabridge-sim [OPTION]...\n"
    "A stand-in for WhatsApp on loopback: server, phones and contacts (docs/simulator.md).\n"
    "\n"
    "      --port N            WebSocket port (0 = any free one, the default)\n"
    "      --control-port N    port of the HTTP control interface (0 = any free one)\n"
    "      --ready-file FILE   write the addresses to FILE once both ports listen\n"
    "      --log-level LEVEL   debug, info, warn or error (warn)\n"
    "      --seed N            make all keys and identifiers from a number\n"
    "      --ref-seconds N     life of the first pairing ref (60); each next has a third\n"
    "      --help, --version\n";

struct options {
    int port, control_port;
    const char *ready_file;
    enum log_level level;
    bool seeded;
    uint64_t seed;
    unsigned ref_seconds;
};

static int bad_usage(const char *what)
{
    fprintf(stderr, "wabridge-sim: %s\nTry 'wabridge-sim --help'.\n", what);
    return EXIT_USAGE;
}

static bool number(const char *text, uint64_t max, uint64_t *out)
{
    return bytes_to_u64(bytes_text(text), out) && *out <= max;
}

static bool take_option(struct options *o, int opt, const char *arg)
{
    uint64_t v = 0;
    bool ok = true;

    switch (opt) {
    case 'p':
        ok = number(arg, 65535, &v);
        o->port = (int)v;
        break;
    case 'c':
        ok = number(arg, 65535, &v);
        o->control_port = (int)v;
        break;
    case 'r':
        o->ready_file = arg;
        break;
    case 'l':
        ok = log_level_parse(arg, &o->level) == 0;
        break;
    case 's':
        o->seeded = ok = number(arg, UINT64_MAX, &o->seed);
        break;
    case 't':
        ok = number(arg, 3600, &v) && v > 0;
        o->ref_seconds = (unsigned)v;
        break;
    default:
        ok = false;
    }
    return ok;
}

/* -1 to go on, or the exit code. */
static int parse(struct options *o, int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"control-port", required_argument, NULL, 'c'},
        {"ready-file", required_argument, NULL, 'r'},
        {"log-level", required_argument, NULL, 'l'},
        {"seed", required_argument, NULL, 's'},
        {"ref-seconds", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    int opt;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (opt == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        if (opt == 'v') {
            puts("wabridge-sim " PACKAGE_VERSION);
            return 0;
        }
        if (opt == '?')
            return bad_usage("bad option");
        if (!take_option(o, opt, optarg))
            return bad_usage("bad value of an option");
    }
    return optind < argc ? bad_usage("too many arguments") : -1;
}

/* Written beside it and renamed, so that nobody reads half of it. */
static int write_ready_file(const char *path, struct bytes json)
{
    struct buf AUTO_BUF temporary;
    FILE *f;
    bool ok;

    buf_init(&temporary, 4096);
    if (buf_printf(&temporary, "%s.tmp", path) != 0)
        return ERR_LIMIT;
    f = fopen(buf_text(&temporary), "we");
    if (!f)
        return ERR_SYSTEM;
    ok = fprintf(f, "%.*s\n", (int)json.n, (const char *)json.p) > 0;
    ok = fclose(f) == 0 && ok;
    return ok && rename(buf_text(&temporary), path) == 0 ? 0 : ERR_SYSTEM;
}

static int announce(struct sim *s, const char *ready_file)
{
    struct buf AUTO_BUF json;

    buf_init(&json, 4096);
    sim_control_ready(s, &json);
    printf("%s\n", buf_text(&json));
    fflush(stdout);
    return ready_file ? write_ready_file(ready_file, buf_bytes(&json)) : 0;
}

static int run(const struct options *o)
{
    struct sim_server *server = NULL;
    struct sim sim;
    struct err err;
    int rc;

    sim_init(&sim, o->ref_seconds, o->seeded, o->seed);
    sim.log_stanzas = o->level == LOG_DEBUG;
    rc = sim_server_open(&server, &sim, o->port, o->control_port, &err);
    if (rc != 0)
        fprintf(stderr, "wabridge-sim: %s\n", err.text);
    else if ((rc = announce(&sim, o->ready_file)) != 0)
        fprintf(stderr, "wabridge-sim: cannot write %s\n", o->ready_file);
    else
        rc = sim_server_run(server);
    sim_server_close(server);
    sim_deinit(&sim);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct options o = {.level = LOG_WARN, .ref_seconds = SIM_REF_SECONDS};
    sigset_t set;
    int code = parse(&o, argc, argv);

    if (code >= 0)
        return code;
    log_set_level(o.level);
    log_set_format(LOG_TEXT);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return run(&o);
}
