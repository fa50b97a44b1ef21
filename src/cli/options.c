/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bridge/bridge.h"

#define CONFIG_DEFAULT "/etc/wabridge/wabridge.yaml"

static const struct {
    char letter;
    const char *name, *value, *text;
} options[] = {
#define X(letter, name, value, text) {letter, name, value, text},
    CLI_OPTIONS(X)
#undef X
};

static const struct {
    const char *verb, *arguments, *text;
} verbs[] = {
#define X(function, verb, arguments, text) {verb, arguments, text},
    CLI_VERBS(X)
#undef X
};

static bool is_allowed(const char *allowed, char letter)
{
    return letter == 'h' || strchr(allowed, letter);
}

static int print_help(const char *verb, const char *allowed)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(verbs[i].verb, verb) == 0)
            printf("Usage: wabridge %s [OPTION]... %s\n%s\n\n", verb, verbs[i].arguments,
                   verbs[i].text);
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (!is_allowed(allowed, options[i].letter))
            continue;
        char left[40];
        snprintf(left, sizeof(left), "--%s%s%s", options[i].name, options[i].value ? "=" : "",
                 options[i].value ? options[i].value : "");
        printf("  -%c, --%-18s  %s\n", options[i].letter, left + 2, options[i].text);
    }
    return 0;
}

int cli_usage_error(const char *verb, const char *fmt, ...)
{
    va_list ap;
    fprintf(stderr, "wabridge %s: ", verb);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nTry 'wabridge %s --help'.\n", verb);
    return BRIDGE_EXIT_USAGE;
}

static bool read_number(const char *text, int *out)
{
    char *end;
    long v = strtol(text, &end, 10);
    if (*text == '\0' || *end || v < 0 || v > INT_MAX)
        return false;
    *out = (int)v;
    return true;
}

/* False when the value is not of the option's kind. */
static bool take(struct cli_options *o, char letter, const char *value)
{
    switch (letter) {
    case 'c':
        o->config = value;
        return true;
    case 'd':
        o->volume = value;
        return true;
    case 'p':
        o->phone = value;
        return true;
    case 'C':
        o->chat = value;
        return true;
    case 's':
        o->search = value;
        return true;
    case 'j':
        return o->json = true;
    case 'r':
        return o->ready = true;
    case 'f':
        return o->follow = true;
    case 'o':
        return o->once = true;
    case 'L':
        return o->log_content = true;
    case 'S':
        return o->no_sandbox = true;
    case 't':
        return read_number(value, &o->timeout_ms);
    default:
        return read_number(value, &o->limit);
    }
}

/* The tables that getopt_long wants, for the allowed options. */
static void make_tables(const char *allowed, struct option *longs, char *shorts)
{
    *shorts++ = ':';
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (!is_allowed(allowed, options[i].letter))
            continue;
        *longs++ = (struct option){
            .name = options[i].name,
            .has_arg = options[i].value ? required_argument : no_argument,
            .val = options[i].letter,
        };
        *shorts++ = options[i].letter;
        if (options[i].value)
            *shorts++ = ':';
    }
    *longs = (struct option){0};
    *shorts = '\0';
}

int cli_parse(int argc, char **argv, const char *allowed, int words, struct cli_options *out)
{
    struct option longs[ARRAY_LEN(options) + 1];
    char shorts[2 * ARRAY_LEN(options) + 2];
    const char *verb = argv[0];
    int letter;
    *out = (struct cli_options){.timeout_ms = 10000, .limit = 50};
    make_tables(allowed, longs, shorts);
    opterr = 0;
    optind = 1;
    while ((letter = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (letter == 'h')
            return print_help(verb, allowed);
        if (letter == ':')
            return cli_usage_error(verb, "%s needs a value", argv[optind - 1]);
        if (letter == '?')
            return cli_usage_error(verb, "unknown option %s", argv[optind - 1]);
        if (!take(out, (char)letter, optarg))
            return cli_usage_error(verb, "not a number: %s", optarg);
    }
    static const char *const wrong[] = {"unexpected words", "one word is wanted",
                                        "two words are wanted"};
    out->words = argv + optind;
    out->word_count = argc - optind;
    if (words != CLI_ANY_WORDS && out->word_count != words)
        return cli_usage_error(verb, "%s", wrong[words]);
    if (out->word_count > 0)
        out->argument = argv[optind];
    return -1;
}

const char *cli_env(const char *name)
{
    return getenv(name);
}

const char *cli_config_path(const char *option)
{
    if (option)
        return option;
    return access(CONFIG_DEFAULT, F_OK) == 0 ? CONFIG_DEFAULT : "";
}

/* A configuration with mistakes elsewhere still says where its volume is. */
void cli_volume_path(const struct cli_options *o, char out[512])
{
    struct config config;
    struct config_report report = {0};
    if (o->volume) {
        snprintf(out, 512, "%s", o->volume);
        return;
    }
    config_load(&config, cli_config_path(o->config), cli_env, &report);
    config_report_deinit(&report);
    snprintf(out, 512, "%s", config.volume_path);
}

void cli_sleep_ms(int ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}
