/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The documents say what the tables of the program say: no more, no less. */
#include <stdio.h>

#include "bridge/bridge.h"
#include "cli/cli.h"
#include "config/config.h"
#include "store/messages.h"
#include "testing.h"
#include "volume/control.h"
#include "volume/state.h"
#include "wa/session.h"

static const char *slurp(const char *name)
{
    static char text[2][200000];
    static int at;
    const char *dir = getenv("DOCS_DIR");
    char path[1000];
    snprintf(path, sizeof(path), "%s/%s", dir ? dir : "docs", name);
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s is missing", path);
    at = !at;
    size_t n = fread(text[at], 1, sizeof(text[at]) - 1, f);
    fclose(f);
    text[at][n] = '\0';
    return text[at];
}

static int count(const char *text, const char *needle)
{
    int n = 0;
    for (const char *p = strstr(text, needle); p; p = strstr(p + 1, needle))
        n++;
    return n;
}

/* A line that begins with start and then this word, whole. */
static bool has_line(const char *text, const char *start, const char *word)
{
    char needle[300];
    snprintf(needle, sizeof(needle), "%s%s", start, word);
    size_t n = strlen(needle);
    for (const char *p = strstr(text, needle); p; p = strstr(p + 1, needle))
        if (p[-1] == '\n' && strchr(" \n", p[n]))
            return true;
    return false;
}

/* ---- wabridge(1) ------------------------------------------------------------------------ */

static const struct {
    const char *verb, *arguments;
} verbs[] = {
#define X(function, verb, arguments, text) {verb, arguments},
    CLI_VERBS(X)
#undef X
};

START_TEST(test_man_1_every_verb_and_no_other)
{
    const char *page = slurp("man/wabridge.1");
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        ck_assert_msg(has_line(page, ".It Cm ", verbs[i].verb), "verb %s", verbs[i].verb);
    ck_assert_int_eq(count(page, "\n.It Cm "), ARRAY_LEN(verbs));
}
END_TEST

START_TEST(test_man_1_every_option_and_no_other)
{
    static const struct {
        char letter;
        const char *name, *value;
    } options[] = {
#define X(letter, name, value, text) {letter, name, value},
        CLI_OPTIONS(X)
#undef X
    };
    const char *page = slurp("man/wabridge.1");
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        char want[200];
        snprintf(want, sizeof(want), "\n.It Fl %c , Fl -%s%s%s\n", options[i].letter,
                 options[i].name, options[i].value ? " Ns = Ns Ar " : "",
                 options[i].value ? options[i].value : "");
        ck_assert_msg(strstr(page, want) != NULL, "wanted: %s", want);
    }
    ck_assert_int_eq(count(page, "\n.It Fl "), ARRAY_LEN(options));
}
END_TEST

START_TEST(test_man_1_every_exit_code_and_command_and_no_other)
{
    static const int exits[] = {
#define X(symbol, value, text) value,
        BRIDGE_EXITS(X)
#undef X
    };
    static const char *const commands[] = {
#define X(symbol, text) text,
        VOLUME_COMMANDS(X)
#undef X
    };
    const char *page = slurp("man/wabridge.1"), *at = strstr(page, "\n.Sh EXIT STATUS");
    const char *operations = slurp("operations.md");
    ck_assert_ptr_nonnull(at);
    for (size_t i = 0; i < ARRAY_LEN(exits); i++) {
        char number[30];
        snprintf(number, sizeof(number), "%d", exits[i]);
        ck_assert_msg(has_line(at, ".It ", number), "exit %s", number);
        ck_assert_msg(has_line(operations, "| ", number), "exit %s", number);
    }
    ck_assert_int_eq(count(at, "\n.It "), ARRAY_LEN(exits));
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        ck_assert_msg(strstr(page, commands[i]) != NULL, "%s", commands[i]);
}
END_TEST

/* ---- wabridge.yaml(5) ------------------------------------------------------------------- */

static const struct {
    const char *section, *key, *type, *env;
    int64_t min, max;
    bool reload;
} keys[] = {
#define X(section, key, member, type, def, min, max, env, reload)                                  \
    {section, key, #type, env, min, max, reload},
    CONFIG_KEYS(X)
#undef X
};

/* What the page says of one key: from its heading to the next. */
static struct bytes entry_of(const char *page, const char *section, const char *key)
{
    char heading[200];
    snprintf(heading, sizeof(heading), "\n.It Cm %s.%s\n", section, key);
    const char *at = strstr(page, heading);
    ck_assert_msg(at != NULL, "%s.%s", section, key);
    at += strlen(heading) - 1;
    const char *end = strstr(at, "\n.It "), *close = strstr(at, "\n.El");
    if (!end || (close && close < end))
        end = close;
    ck_assert_ptr_nonnull(end);
    return BYTES(at, (size_t)(end - at));
}

START_TEST(test_man_5_every_key_with_range_and_environment_and_no_other)
{
    const char *page = slurp("man/wabridge.yaml.5");
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        char entry[2000], want[200];
        bytes_copy_text(entry_of(page, keys[i].section, keys[i].key), entry, sizeof(entry));
        if (strcmp(keys[i].type, "BOOL") == 0)
            snprintf(want, sizeof(want), "\n[true or false");
        else
            snprintf(want, sizeof(want), "%lld to %lld", (long long)keys[i].min,
                     (long long)keys[i].max);
        ck_assert_msg(strstr(entry, want) != NULL, "%s.%s: %s", keys[i].section, keys[i].key, want);
        snprintf(want, sizeof(want), "%s%s | %s]", keys[i].env ? " | environment " : "",
                 keys[i].env ? keys[i].env : "", keys[i].reload ? "reload" : "restart");
        ck_assert_msg(strstr(entry, want) != NULL, "%s.%s: %s", keys[i].section, keys[i].key, want);
    }
    ck_assert_int_eq(count(page, "\n.It Cm "), ARRAY_LEN(keys));
}
END_TEST

/* The defaults that conf/wabridge.yaml shows (check_config compares that with the table). */
START_TEST(test_man_5_defaults_are_those_of_the_shipped_file)
{
    const char *page = slurp("man/wabridge.yaml.5"), *shipped = slurp("../conf/wabridge.yaml");
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        char section[64], line[200], entry[2000], want[700], *gap;
        if (strcmp(keys[i].key, "id") == 0)
            continue;
        snprintf(section, sizeof(section), "\n%s:\n", keys[i].section);
        snprintf(line, sizeof(line), "\n  #%s: ", keys[i].key);
        const char *at = strstr(strstr(shipped, section), line) + strlen(line);
        snprintf(want, sizeof(want), "\nDefault: %.*s", (int)strcspn(at, "\n"), at);
        bytes_copy_text(entry_of(page, keys[i].section, keys[i].key), entry, sizeof(entry));
        while ((gap = strstr(entry, "\\&")) != NULL)
            memmove(gap, gap + 2, strlen(gap + 2) + 1);
        ck_assert_msg(strstr(entry, want) != NULL, "%s.%s: %s", keys[i].section, keys[i].key, want);
    }
}
END_TEST

/* ---- the other documents ---------------------------------------------------------------- */

START_TEST(test_volume_md_every_column_and_counter)
{
    static const char *const columns[] = {
#define X(name, type) #name,
        STORE_COLUMNS(X)
#undef X
    };
    static const char *const counters[] = {
#define X(name) #name,
        VOLUME_COUNTERS(X)
#undef X
    };
    const char *page = slurp("volume.md"), *at = strstr(page, "\n### Table messages\n");
    char want[100];
    ck_assert_ptr_nonnull(at);
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        snprintf(want, sizeof(want), "`%s`", columns[i]);
        ck_assert_msg(strstr(at, want) != NULL, "%s", want);
    }
    for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
        snprintf(want, sizeof(want), "\n| `%s` |", counters[i]);
        ck_assert_msg(strstr(page, want) != NULL, "%s", want);
    }
}
END_TEST

START_TEST(test_operations_every_code_of_a_closed_connection)
{
    static const char *const codes[] = {
#define X(symbol, code, advice) code,
        WA_CLOSES(X)
#undef X
    };
    const char *page = slurp("operations.md"), *at = strstr(page, "\n## Trouble");
    ck_assert_ptr_nonnull(at);
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        char want[100];
        snprintf(want, sizeof(want), "`%s`", codes[i]);
        ck_assert_msg(strstr(at, want) != NULL, "%s", want);
    }
}
END_TEST

START_TEST(test_environment_is_in_operations_and_the_seeds_in_migrating)
{
    static const char *const seeds[] = {"TENANT_ID", "SESSIONS_PATH", "RATE_LIMIT_MAX_PER_MINUTE",
                                        "HEARTBEAT_INTERVAL_MS", "LOG_LEVEL"};
    const char *operations = slurp("operations.md"), *migrating = slurp("migrating.md");
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        ck_assert_msg(!keys[i].env || strstr(operations, keys[i].env), "%s", keys[i].env);
    for (size_t s = 0; s < ARRAY_LEN(seeds); s++) {
        char want[200];
        size_t i = 0;
        while (i < ARRAY_LEN(keys) && (!keys[i].env || strcmp(keys[i].env, seeds[s]) != 0))
            i++;
        ck_assert_msg(i < ARRAY_LEN(keys), "%s is not heard any more", seeds[s]);
        snprintf(want, sizeof(want), "\n| `%s` | `%s.%s` |", seeds[s], keys[i].section,
                 keys[i].key);
        ck_assert_msg(strstr(migrating, want) != NULL, "%s", want);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("docs");
    TCase *t = tcase_create("docs");
    tcase_add_test(t, test_man_1_every_verb_and_no_other);
    tcase_add_test(t, test_man_1_every_option_and_no_other);
    tcase_add_test(t, test_man_1_every_exit_code_and_command_and_no_other);
    tcase_add_test(t, test_man_5_every_key_with_range_and_environment_and_no_other);
    tcase_add_test(t, test_man_5_defaults_are_those_of_the_shipped_file);
    tcase_add_test(t, test_volume_md_every_column_and_counter);
    tcase_add_test(t, test_operations_every_code_of_a_closed_connection);
    tcase_add_test(t, test_environment_is_in_operations_and_the_seeds_in_migrating);
    suite_add_tcase(s, t);
    return testing_run(s);
}
