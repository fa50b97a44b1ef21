/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The verbs of the program: one file each, one table in main.c. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>

#include "base/attr.h"

/* X(function, verb, arguments, what it does) */
#define CLI_VERBS(X)                                                                               \
    X(cli_run, "run", "", "run the bridge of one tenant (default)")                                \
    X(cli_check_config, "check-config", "", "read the configuration, print it or what is wrong")   \
    X(cli_status, "status", "", "say what state.json says; 0 running, 1 not, 3 stale")             \
    X(cli_health, "health", "", "0 when the bridge is alive, or with --ready connected; else 1")   \
    X(cli_qr, "qr", "", "draw the QR, again when it changes, until the device is linked")          \
    X(cli_ctl, "ctl", "stop|reload|logout|pair|release|passkey [ANSWER]",                          \
      "give a command and wait for its answer")                                                    \
    X(cli_send, "send", "TO TEXT", "send a message through the outbox and wait for its result")    \
    X(cli_backup, "backup", "DIR", "copy both databases into DIR; the bridge may run meanwhile")   \
    X(cli_messages, "messages", "", "print the message log")                                       \
    X(cli_events, "events", "", "print what happened: states and errors")                          \
    X(cli_try_reply, "try-reply", "[TEXT]...", "say what a message would get, or each line read")

/* argv[0] is the verb; the result is the exit code. */
#define X(function, verb, arguments, text) int function(int argc, char **argv);
CLI_VERBS(X)
#undef X

/* X(letter, long name, name of its value or NULL, text) */
#define CLI_OPTIONS(X)                                                                             \
    X('c', "config", "FILE", "configuration; default /etc/wabridge/wabridge.yaml if it is there")  \
    X('d', "volume", "DIR", "shared directory; default VOLUME_PATH, the configuration, /volume")   \
    X('j', "json", NULL, "print JSON")                                                             \
    X('r', "ready", NULL, "ask for connected, not only alive")                                     \
    X('t', "timeout-ms", "N", "how long to wait for the answer; default 10000")                    \
    X('f', "follow", NULL, "go on printing what comes")                                            \
    X('o', "once", NULL, "draw what there is and end")                                             \
    X('p', "phone", "NUMBER", "pair by a code for this phone number, in international digits")     \
    X('C', "chat", "JID", "this chat only")                                                        \
    X('s', "search", "TEXT", "with all these words, or words that begin so")                       \
    X('n', "limit", "N", "the newest N; default 50")                                               \
    X('L', "log-content", NULL, "for debugging: log level debug, with the texts of messages")      \
    X('S', "no-sandbox", NULL, "for debugging: do not confine the process")                        \
    X('h', "help", NULL, "print this help")

struct cli_options {
    const char *config, *volume, *chat, *search, *phone;
    bool json, ready, follow, once, log_content, no_sandbox;
    int timeout_ms, limit;
    const char *argument; /* the first word that is no option; NULL when there is none */
    char **words;         /* all of them, in argv */
    int word_count;
};

#define CLI_ANY_WORDS (-1)
/* Reads the options whose letters are in allowed ("h" always). -1: go on; else the exit code (help
 * printed, or usage error). words: how many more are wanted, or CLI_ANY_WORDS. */
int cli_parse(int argc, char **argv, const char *allowed, int words, struct cli_options *out);
/* "wabridge VERB: …" to stderr; the exit code for a usage error. */
int cli_usage_error(const char *verb, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* getenv for config_load. */
const char *cli_env(const char *name);
/* The file to read, "" for none; option may be NULL. */
const char *cli_config_path(const char *option);
/* The shared directory for the verbs that look at it, into out. */
void cli_volume_path(const struct cli_options *options, char out[512]);
void cli_sleep_ms(int ms);

#endif
