/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <string.h>

#include "bridge/bridge.h"
#include "cli/cli.h"

static const struct {
    const char *name, *arguments, *text;
    int (*run)(int argc, char **argv);
} verbs[] = {
#define X(function, verb, arguments, text) {verb, arguments, text, function},
    CLI_VERBS(X)
#undef X
};

static int print_help(void)
{
    puts("Usage: wabridge [VERB] [OPTION]...\n"
         "A WhatsApp linked device for one tenant whose interface is files in a volume.\n");
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        printf("  %-13s %s%s%s\n", verbs[i].name, verbs[i].arguments,
               verbs[i].arguments[0] ? ": " : "", verbs[i].text);
    puts("\n'wabridge VERB --help' lists the options of a verb. --version prints the version.\n\n"
         "Exit codes of run:");
#define X(symbol, value, text) printf("  %3d  %s\n", value, text);
    BRIDGE_EXITS(X)
#undef X
    return 0;
}

int main(int argc, char **argv)
{
    static char run[] = "run";
    if (argc > 1 && strcmp(argv[1], "--help") == 0)
        return print_help();
    if (argc > 1 && strcmp(argv[1], "--version") == 0)
        return puts(PACKAGE_STRING) < 0;
    if (argc < 2 || argv[1][0] == '-') {
        argv[0] = run;
        return cli_run(argc, argv);
    }
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    fprintf(stderr, "wabridge: no such verb: %s\nTry 'wabridge --help'.\n", argv[1]);
    return BRIDGE_EXIT_USAGE;
}
