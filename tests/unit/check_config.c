/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "testing.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/err.h"
#include "config/check.h"
#include "config/replies.h"
#include "config/yaml.h"

enum type { TEXT, INT, BOOL };

/* The list again, from the header, with defaults as they stand in YAML. */
static const struct row {
    const char *section, *key;
    enum type type;
    const char *def;
    int64_t min, max;
    const char *env;
    bool reload;
} rows[] = {
#define X(section, key, member, type, def, min, max, env, reload)                                  \
    {section, key, type, #def, min, max, env, reload},
    CONFIG_KEYS(X)
#undef X
};

/* ---- an environment, files and reports ---------------------------------------------------------
 */

static char env_names[8][64], env_values[8][800];
static size_t env_count;

static void env_clear(void)
{
    env_count = 0;
}

static void env_set(const char *name, const char *value)
{
    ck_assert(env_count < ARRAY_LEN(env_names));
    snprintf(env_names[env_count], sizeof(env_names[0]), "%s", name);
    snprintf(env_values[env_count++], sizeof(env_values[0]), "%s", value);
}

static const char *env_get(const char *name)
{
    for (size_t i = 0; i < env_count; i++)
        if (strcmp(env_names[i], name) == 0)
            return env_values[i];
    return NULL;
}

static char file_path[256];

static const char *file_bytes(struct bytes content)
{
    if (!*file_path)
        snprintf(file_path, sizeof(file_path), "%s/t.yaml", testing_dir());
    FILE *f = fopen(file_path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(content.n ? content.p : (const uint8_t *)"", 1, content.n, f),
                      content.n);
    ck_assert_int_eq(fclose(f), 0);
    return file_path;
}

static const char *file(const char *content)
{
    return file_bytes(bytes_text(content));
}

static struct buf slurp(const char *name)
{
    char path[1024];
    const char *dir = getenv("CONF_DIR");
    struct buf out;
    snprintf(path, sizeof(path), "%s/%s", dir ? dir : "conf", name);
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s", path);
    buf_init(&out, 1 << 20);
    uint8_t *at = buf_reserve(&out, 100000);
    out.n = fread(at, 1, 100000, f);
    fclose(f);
    return out;
}

static struct config config;
static struct config_report report;
static struct config_replies replies;

static void fresh(void)
{
    env_clear();
    *file_path = '\0';
    config_report_deinit(&report);
    memset(&config, 0xa5, sizeof(config));
}

static int load(const char *content)
{
    config_report_deinit(&report);
    return config_load(&config, content ? file(content) : NULL, env_get, &report);
}

/* The report with the path of the file shown as "f". */
static const char *problems(void)
{
    static char out[70000];
    const char *p = buf_text(&report.text);
    size_t n = 0, length = strlen(file_path);
    while (*p && n + 1 < sizeof(out)) {
        if (length && strncmp(p, file_path, length) == 0) {
            out[n++] = 'f';
            p += length;
        } else {
            out[n++] = *p++;
        }
    }
    out[n] = '\0';
    return out;
}

static void assert_loads(const char *content)
{
    int rc = load(content);
    ck_assert_msg(rc == 0 && report.errors == 0, "%s", problems());
    ck_assert_uint_eq(report.text.n, 0);
}

static void assert_refused(const char *content, const char *want)
{
    int rc = load(content);
    ck_assert_str_eq(problems(), want);
    ck_assert_int_eq(rc, ERR_CONFIG);
    int lines = 0;
    for (const char *p = want; *p; p++)
        lines += *p == '\n';
    ck_assert_int_eq(report.errors, lines);
}

/* ---- yaml --------------------------------------------------------------------------------------
 */

static struct arena arena;

static struct config_node *parse(const char *text)
{
    arena_deinit(&arena);
    config_report_deinit(&report);
    return config_yaml_parse(&arena, "f", bytes_text(text), &report);
}

START_TEST(test_yaml_parse_tree_has_positions)
{
    const struct config_node *root =
        parse("# c\na: 1\nb:\n  - x\n  - \"y\\u00e9\"\n\u00e9\u00e9: {k: v}\n");
    ck_assert_ptr_nonnull(root);
    ck_assert_int_eq(report.errors, 0);
    ck_assert_int_eq(root->type, CONFIG_NODE_MAP);
    ck_assert_uint_eq(root->count, 3);
    const struct config_node *a = root->first, *b = a->next, *c = b->next;
    ck_assert(bytes_is(a->key, "a") && bytes_is(a->text, "1") && a->plain);
    ck_assert(a->key_at.line == 2 && a->key_at.column == 1);
    ck_assert(a->at.line == 2 && a->at.column == 4);
    ck_assert_int_eq(b->type, CONFIG_NODE_LIST);
    ck_assert_uint_eq(b->count, 2);
    ck_assert(bytes_is(b->first->next->text, "y\u00e9") && !b->first->next->plain);
    ck_assert(b->first->next->at.line == 5 && b->first->next->at.column == 5);
    ck_assert(c->at.line == 6 && c->at.column == 5); /* characters, not bytes */
    ck_assert(bytes_is(c->first->text, "v"));
    ck_assert_ptr_null(c->next);
    ck_assert_str_eq(c->at.path, "f");
}
END_TEST

START_TEST(test_yaml_parse_empty_is_empty_map)
{
    static const char *const texts[] = {"",      "\n\n", "# only a comment\n",
                                        "---\n", "{}",   "---\n...\n"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const struct config_node *root = parse(texts[i]);
        ck_assert_msg(root && root->type == CONFIG_NODE_MAP && root->count == 0, "%zu: %s", i,
                      problems());
    }
    ck_assert_ptr_nonnull(config_yaml_parse(&arena, "f", BYTES_NONE, &report));
}
END_TEST

START_TEST(test_yaml_parse_line_ends_and_bom_are_taken)
{
    const struct config_node *root = parse("\xef\xbb\xbf"
                                           "a: 1\r\nb: 2\r\n");
    ck_assert_msg(root && root->count == 2, "%s", problems());
    ck_assert(bytes_is(root->first->key, "a") && bytes_is(root->first->next->text, "2"));
}
END_TEST

/* root: whether a tree is still given. */
static const struct refused {
    const char *text, *want;
    bool root;
} refused[] = {
    {"a: &x 1\n", "f:1:4: anchors (&name) are not supported\n", true},
    {"a: &x [1]\nb: *x\n",
     "f:1:4: anchors (&name) are not supported\nf:2:4: aliases (*name) are not supported\n", true},
    {"a: &x {b: 1}\n", "f:1:4: anchors (&name) are not supported\n", true},
    {"a: !!str 1\nb: !x [1]\nc: !y {}\n",
     "f:1:4: tags (!name) are not supported\nf:2:4: tags (!name) are not supported\n"
     "f:3:4: tags (!name) are not supported\n",
     true},
    {"a:\n  <<: {b: 1}\n", "f:2:3: merge keys (<<) are not supported\n", true},
    {"a: 1\n? [x]\n: 2\n", "f:2:3: a key must be text, not a list\n", true},
    {"? {x: 1}\n: 2\n", "f:1:3: a key must be text, not a map\n", true},
    {"a: 1\nb: 2\na: 3\n", "f:3:1: repeated key \"a\" (first on line 1)\n", true},
    {"a: \"x\\0y\"\n", "f:1:4: a text may not contain the NUL character\n", true},
    {"a: 1\n---\nb: 2\n", "f:2:1: only one document (---) may be in a file\n", true},
    {"- a\n", "f:1:1: the file must be a map (\"key: value\"), not a list\n", false},
    {"hello\n", "f:1:1: the file must be a map (\"key: value\"), not text\n", false},
    {"a: [1, 2\nb: 3\n",
     "f:2:2: did not find expected ',' or ']' (while parsing a flow sequence)\n", false},
    {"a: b: c\n", "f:1:5: mapping values are not allowed in this context\n", false},
    {"a:\n\tb: 1\n",
     "f:2:1: found character that cannot start any token (while scanning for the next token)\n",
     false},
    {"a: \"x\n", "f:2:1: found unexpected end of stream (while scanning a quoted scalar)\n", false},
    {"a: 1\n\u00e9: \xff\n", "f:2:4: invalid leading UTF-8 octet\n", false},
    {"a: \x01\n", "f:1:4: control characters are not allowed\n", false},
    {"a: *nowhere\n", "f:1:4: aliases (*name) are not supported\n", true},
    {"[[[[[[[[[[[[[[[[[", "f:1:17: more than 16 levels deep\n", false},
};

START_TEST(test_yaml_parse_refused_gives_position)
{
    const struct config_node *root = parse(refused[_i].text);
    ck_assert_str_eq(problems(), refused[_i].want);
    ck_assert(refused[_i].root == (root != NULL));
}
END_TEST

/* before, then each that many times, with its number in place of '%'. */
static const char *many(size_t count, const char *before, const char *each)
{
    static struct buf out;
    size_t n = strcspn(each, "%");
    buf_deinit(&out);
    buf_init(&out, 4 << 20);
    buf_append_text(&out, before);
    for (size_t i = 0; i < count; i++) {
        buf_append(&out, BYTES(each, n));
        if (each[n])
            buf_printf(&out, "%zu%s", i, each + n + 1);
    }
    return buf_text(&out);
}

START_TEST(test_yaml_parse_over_limits_is_refused)
{
    ck_assert_ptr_null(parse(many(50001, "a:\n", "- %\n")));
    ck_assert_ptr_nonnull(strstr(problems(), "more than 50000 values"));
    ck_assert_ptr_nonnull(parse(many(100, "", "k%: x\n")));
    ck_assert_ptr_null(parse(many(101, "", "k%: x\n")));
    ck_assert_str_eq(problems(), "f:101:1: more than 100 keys in one map\n");
    ck_assert_ptr_null(parse(many(300000, "", "# %\n")));
    ck_assert_str_eq(problems(), "f: larger than 1048576 bytes\n");
}
END_TEST

START_TEST(test_yaml_load_bad_file_is_reported)
{
    char want[600];
    const char *dir = testing_dir();
    ck_assert_ptr_null(config_yaml_load(&arena, "/nonexistent/x.yaml", &report));
    ck_assert_str_eq(problems(),
                     "/nonexistent/x.yaml: cannot be read: No such file or directory\n");
    config_report_deinit(&report);
    ck_assert_ptr_null(config_yaml_load(&arena, dir, &report));
    snprintf(want, sizeof(want), "%s: cannot be read: not a regular file\n", dir);
    ck_assert_str_eq(problems(), want);
    config_report_deinit(&report);
    char fifo[300];
    snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    ck_assert_ptr_null(config_yaml_load(&arena, fifo, &report));
    ck_assert_ptr_nonnull(strstr(problems(), "not a regular file"));
    config_report_deinit(&report);
    ck_assert_ptr_null(config_yaml_load(&arena, file(many(300000, "", "# %\n")), &report));
    ck_assert_str_eq(problems(), "f: larger than 1048576 bytes\n");
    config_report_deinit(&report);
    const char *large = many(1048576 / 8, "", "# abcde\n");
    ck_assert_uint_eq(strlen(large), 1048576);
    ck_assert_ptr_nonnull(config_yaml_load(&arena, file(large), &report));
}
END_TEST

/* ---- names and texts ---------------------------------------------------------------------------
 */

START_TEST(test_nearest_distance_up_to_two)
{
    static const char *const known[] = {"whatsapp", "log", "id", "heartbeat"};
    static const struct {
        const char *text, *want;
    } names[] = {
        {"whatsap", "whatsapp"},
        {"whastapp", "whatsapp"},
        {"wahtsap", "whatsapp"},
        {"hwatspap", "whatsapp"},
        {"whatsapppp", "whatsapp"},
        {"what", NULL},
        {"Log", "log"},
        {"di", "id"},
        {"xy", NULL},
        {"heart", NULL},
        {"haertbaet", "heartbeat"},
        {"", NULL},
        {"hxeartxbeatx", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *got = config_nearest(bytes_text(names[i].text), known, ARRAY_LEN(known));
        ck_assert_msg(got ? names[i].want && strcmp(got, names[i].want) == 0 : !names[i].want,
                      "%s: %s", names[i].text, got ? got : "(none)");
    }
    ck_assert_ptr_null(config_nearest(bytes_text(many(5000, "", "%")), known, ARRAY_LEN(known)));
}
END_TEST

START_TEST(test_quote_long_and_strange_is_cut_and_escaped)
{
    char out[CONFIG_QUOTE_SIZE];
    ck_assert_str_eq(config_quote(bytes_text("a\"\n"), out), "\"a\\\"\\n\"");
    ck_assert_str_eq(config_quote(bytes_text(many(60, "", "x")), out),
                     "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"...");
    config_quote(bytes_text(many(60, "", "\x01")), out);
    ck_assert_uint_eq(strlen(out), 48 * 6 + 5);
}
END_TEST

START_TEST(test_check_printable_control_characters_are_refused)
{
    static const char *const bad[] = {"\x01",
                                      "a\x7f",
                                      "\xc2\x80",
                                      "\xc2\x85",
                                      "\xe2\x80\xa8",
                                      "\xe2\x80\xa9",
                                      "\xef\xbb\xbf",
                                      "\xef\xbf\xbe",
                                      "\xef\xbf\xbf",
                                      "\xff",
                                      "\r"};
    static const char *const good[] = {"", "a\n\tb", "\u00a0\u00e9", "\u200d\ufe0f\U0001f44d",
                                       "\u2026\ufffd"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert_msg(!config_check_printable(bytes_text(bad[i])), "bad %zu", i);
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        ck_assert_msg(config_check_printable(bytes_text(good[i])), "good %zu", i);
}
END_TEST

START_TEST(test_check_endpoint_good_and_bad)
{
    static const char *const good[] = {
        "wss://web.whatsapp.com/ws/chat",
        "wss://h",
        "wss://h:443",
        "wss://h:1/a?b=c",
        "wss://[2001:db8::1]:8443/x",
        "wss://192.0.2.7/",
        "ws://localhost:1234/ws/chat",
        "ws://LOCALHOST",
        "ws://127.0.0.1:9",
        "ws://127.255.1.2/x",
        "ws://[::1]:80/x",
        "ws://[0:0::0:1]",
    };
    static const char *const bad[] = {
        "",
        "h",
        "http://h",
        "https://h",
        "wss://",
        "wss:///x",
        "wss://:80",
        "wss://h:",
        "wss://h:0",
        "wss://h:65536",
        "wss://h:8a",
        "wss://h:80:80",
        "wss://u@h/",
        "wss://u:p@h/",
        "wss://h/#x",
        "wss://h?x",
        "wss://h h",
        "wss://h\u00e9",
        "wss://h_h",
        "wss://.h",
        "wss://a..b",
        "wss://-h",
        "wss://[::1",
        "wss://[x]",
        "wss://[::1]x",
        "wss://::1",
        "ws://h",
        "ws://128.0.0.1",
        "ws://127.0.0.1.evil.example",
        "ws://localhost.example",
        "ws://[::2]",
        "ws://127.1",
        "ws://localhost@evil.example/",
        "WSS://h",
        "ws://example.com/#localhost",
        "ws://127.0.0.1\\@h/",
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        ck_assert_msg(!config_check_endpoint(good[i]), "%s: %s", good[i],
                      config_check_endpoint(good[i]));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert_msg(config_check_endpoint(bad[i]) != NULL, "%s", bad[i]);
}
END_TEST

START_TEST(test_check_url_clear_text_only_on_this_machine)
{
    ck_assert(!config_check_url("https://mmg.whatsapp.net/a?b=c&d"));
    ck_assert(!config_check_url("http://127.0.0.1:8080/a"));
    ck_assert_ptr_nonnull(config_check_url("http://mmg.whatsapp.net/a"));
    ck_assert_ptr_nonnull(config_check_url("wss://mmg.whatsapp.net/a"));
    ck_assert_ptr_nonnull(config_check_url("https://a@b/"));
    ck_assert_ptr_nonnull(config_check_url("https://"));
}
END_TEST

START_TEST(test_check_other_texts_good_and_bad)
{
    ck_assert_ptr_null(config_check_tenant_id("Az0._-"));
    ck_assert_ptr_nonnull(config_check_tenant_id("a b"));
    ck_assert_ptr_nonnull(config_check_tenant_id("a/b"));
    ck_assert_ptr_nonnull(config_check_tenant_id(".."));
    ck_assert_ptr_nonnull(config_check_tenant_id("caf\u00e9"));
    ck_assert_ptr_null(config_check_version("2.3000.4294967295"));
    ck_assert_ptr_null(config_check_version(""));
    ck_assert_ptr_null(config_check_version_url(""));
    ck_assert_ptr_null(config_check_version_url("none"));
    ck_assert_ptr_null(config_check_version_url("https://other.example/sw.js"));
    ck_assert_ptr_null(config_check_version_url("http://127.0.0.1:8000/sw.js"));
    ck_assert_ptr_nonnull(config_check_version_url("http://other.example/sw.js"));
    ck_assert_ptr_nonnull(config_check_version_url("nowhere"));
    ck_assert_ptr_nonnull(config_check_version("2.3000.4294967296"));
    ck_assert_ptr_nonnull(config_check_version("2.3000"));
    ck_assert_ptr_nonnull(config_check_version("2.3000.1.1"));
    ck_assert_ptr_nonnull(config_check_version("2..1"));
    ck_assert_ptr_nonnull(config_check_version("2.3000.1a"));
    ck_assert(config_check_inside("/a/b", "/a") && config_check_inside("/a", "/a/"));
    ck_assert(config_check_inside("/a/", "/a") && config_check_inside("/b", "/"));
    ck_assert(!config_check_inside("/ab", "/a") && !config_check_inside("/", "/a"));
}
END_TEST

/* ---- every key ---------------------------------------------------------------------------------
 */

/* The default of a row without the quotes of the C source. */
static const char *default_text(const struct row *r)
{
    static char out[CONFIG_TEXT_MAX];
    size_t n = strlen(r->def);
    if (r->type != TEXT)
        return r->def;
    ck_assert(bytes_copy_text(BYTES(r->def + 1, n - 2), out, sizeof(out)));
    return out;
}

START_TEST(test_keys_defaults_are_within_range)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *r = &rows[i];
        int64_t n = r->type == TEXT  ? (int64_t)strlen(default_text(r))
                    : r->type == INT ? strtoll(r->def, NULL, 10)
                                     : strcmp(r->def, "true") == 0;
        bool required = i == CONFIG_KEY_tenant_id;
        ck_assert_msg(required ? n == 0 : n >= r->min && n <= r->max, "%s.%s", r->section, r->key);
        ck_assert(r->type != TEXT || r->max < CONFIG_TEXT_MAX);
    }
}
END_TEST

/* One key in a file, with a tenant id unless it is that key. */
static const char *one(const struct row *r, const char *value)
{
    static char out[2000];
    if (strcmp(r->section, "tenant") == 0 && strcmp(r->key, "id") != 0)
        snprintf(out, sizeof(out), "tenant:\n  %s: %s\n  id: t\n", r->key, value);
    else
        snprintf(out, sizeof(out), "%s:\n  %s: %s\n%s", r->section, r->key, value,
                 strcmp(r->section, "tenant") == 0 ? "" : "tenant:\n  id: t\n");
    return out;
}

static void assert_one_problem_at(const struct row *r, const char *value, const char *part)
{
    char want[100];
    int rc = load(one(r, value));
    snprintf(want, sizeof(want), "f:2:%zu: %s.%s ", 5 + strlen(r->key), r->section, r->key);
    ck_assert_msg(rc == ERR_CONFIG && report.errors == 1 &&
                      strncmp(problems(), want, strlen(want)) == 0 && strstr(problems(), part),
                  "%s.%s: %s -> %s (want %s … %s)", r->section, r->key, value, problems(), want,
                  part);
}

START_TEST(test_keys_wrong_type_is_reported_at_value)
{
    static const char *const not_numbers[] = {"abc",  "1.5",    "0x10", "1_000", "010",
                                              "'10'", "\"10\"", "--",   "+1",    "1e3",
                                              "true", "~",      "10s"};
    static const char *const not_truths[] = {"yes", "on", "True", "1", "'true'", "~"};
    const struct row *r = &rows[_i];
    assert_one_problem_at(r, "[1]", "not a list");
    assert_one_problem_at(r, "{a: 1}", "not a map");
    if (r->type == TEXT)
        assert_one_problem_at(r, "\"a\\u0001\"", "control characters");
    for (size_t i = 0; r->type == INT && i < ARRAY_LEN(not_numbers); i++)
        assert_one_problem_at(r, not_numbers[i], "must be a whole number without quotes (");
    for (size_t i = 0; r->type == BOOL && i < ARRAY_LEN(not_truths); i++)
        assert_one_problem_at(r, not_truths[i], "must be true or false, without quotes, not ");
}
END_TEST

START_TEST(test_keys_out_of_range_is_reported_with_range)
{
    const struct row *r = &rows[_i];
    char range[100], value[700];
    if (r->type == BOOL)
        return;
    snprintf(range, sizeof(range), "must be %" PRId64 " to %" PRId64, r->min, r->max);
    if (r->type == INT) {
        snprintf(value, sizeof(value), "%" PRId64, r->max + 1);
        assert_one_problem_at(r, value, range);
        snprintf(value, sizeof(value), "%" PRId64, r->min - 1);
        assert_one_problem_at(r, value, range);
        assert_one_problem_at(r, "99999999999999999999999999", range);
        assert_one_problem_at(r, "-99999999999999999999999999", range);
        snprintf(value, sizeof(value), "%" PRId64, r->min);
        if (_i != CONFIG_KEY_reconnect_max_ms) /* its minimum is below the default of the other */
            assert_loads(one(r, value));
        return;
    }
    memset(value, 'x', sizeof(value));
    value[r->max + 1] = '\0';
    assert_one_problem_at(r, value, "must be");
    if (r->min > 0)
        assert_one_problem_at(r, "''", "must be");
}
END_TEST

/* A good value for each key that is not its default. */
static const char *other_value(const struct row *r)
{
    static const struct {
        const char *key, *value;
    } special[] = {
        {"endpoint", "wss://other.example/x"},
        {"noise_root", "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"},
        {"version", "2.1.0"},
        {"version_url", "https://other.example/sw.js"},
        {"level", "debug"},
        {"format", "text"},
        {"keep", "7"},
        {"hours", "Mon-Fri 09:00-18:00"},
        {"time_zone", "Africa/Nairobi"},
    };
    for (size_t i = 0; i < ARRAY_LEN(special); i++)
        if (strcmp(special[i].key, r->key) == 0)
            return special[i].value;
    if (r->type == TEXT)
        return strcmp(r->key, "path") == 0 ? "/other" : "other";
    if (r->type == BOOL)
        return strcmp(r->def, "true") == 0 ? "false" : "true";
    return r->max < 2000 ? "20" : "2000";
}

/* The value of a key as config_print shows it, with its comment. */
static const char *shown(const struct row *r)
{
    static struct buf out;
    static char section[100], key[100];
    buf_deinit(&out);
    buf_init(&out, 1 << 20);
    buf_append_u8(&out, '\n');
    config_print(&config, &out);
    snprintf(section, sizeof(section), "\n%s:\n", r->section);
    snprintf(key, sizeof(key), "\n  %s: ", r->key);
    char *at = strstr((char *)(uintptr_t)buf_text(&out), section);
    ck_assert_ptr_nonnull(at);
    at = strstr(at + 1, key);
    ck_assert_ptr_nonnull(at);
    at += strlen(key);
    at[strcspn(at, "\n")] = '\0';
    return at;
}

START_TEST(test_keys_value_in_file_is_taken)
{
    const struct row *r = &rows[_i];
    char want[600];
    const char *q = r->type == TEXT ? "\"" : "";
    assert_loads(one(r, other_value(r)));
    snprintf(want, sizeof(want), "%s%s%s # file, line 2", q, other_value(r), q);
    ck_assert_str_eq(shown(r), want);
    ck_assert_int_eq(config.origins[_i].from, CONFIG_FROM_FILE);
    ck_assert_int_eq(config.origins[_i].column, (int)strlen(r->key) + 5);
}
END_TEST

START_TEST(test_keys_environment_wins_over_file)
{
    const struct row *r = &rows[_i];
    char want[900];
    const char *q = r->type == TEXT ? "\"" : "";
    if (!r->env)
        return;
    env_set(r->env, other_value(r));
    assert_loads(one(r, _i == CONFIG_KEY_tenant_id ? "t" : default_text(r)));
    snprintf(want, sizeof(want), "%s%s%s # environment %s", q, other_value(r), q, r->env);
    ck_assert_str_eq(shown(r), want);
    env_clear();
    env_set(r->env, "");
    assert_loads(one(r, other_value(r)));
    ck_assert_ptr_nonnull(strstr(shown(r), "# file, line 2"));
    env_clear();
    env_set(r->env, r->type == INT ? "1x" : "a\x01");
    load(one(r, other_value(r)));
    snprintf(want, sizeof(want), "environment %s: %s.%s ", r->env, r->section, r->key);
    ck_assert_msg(strncmp(problems(), want, strlen(want)) == 0, "%s", problems());
    ck_assert_int_eq(report.errors, 1);
}
END_TEST

START_TEST(test_keys_diff_names_what_changed)
{
    const struct row *r = &rows[_i];
    char want[100];
    AUTO_BUF struct buf applied, restart;
    buf_init(&applied, 4096);
    buf_init(&restart, 4096);
    assert_loads("tenant: {id: t, business_name: b}");
    struct config old = config;
    config_diff(&old, &config, &applied, &restart);
    ck_assert_uint_eq(applied.n + restart.n, 0);
    assert_loads(one(r, other_value(r)));
    strcpy(config.business_name, _i == CONFIG_KEY_business_name ? "other" : "b");
    config_diff(&old, &config, &applied, &restart);
    snprintf(want, sizeof(want), "%s.%s", r->section, r->key);
    ck_assert_str_eq(buf_text(r->reload ? &applied : &restart), want);
    ck_assert_uint_eq((r->reload ? &restart : &applied)->n, 0);
}
END_TEST

/* ---- conf/wabridge.yaml ------------------------------------------------------------------------
 */

/* The shipped file with every "#key: value" line made a setting; "# text" stays a comment. */
static struct buf uncommented(void)
{
    AUTO_BUF struct buf text = slurp("wabridge.yaml");
    struct buf out;
    buf_init(&out, 1 << 20);
    const char *p = buf_text(&text);
    for (const char *next; *p; p = next) {
        size_t n = strcspn(p, "\n") + 1, blanks = strspn(p, " ");
        next = p + n;
        if (p[blanks] == '#' && p[blanks + 1] >= 'a' && p[blanks + 1] <= 'z') {
            buf_append(&out, BYTES(p, blanks));
            buf_append(&out, BYTES(p + blanks + 1, n - blanks - 1));
        } else {
            buf_append(&out, BYTES(p, n));
        }
    }
    return out;
}

START_TEST(test_shipped_file_sets_only_the_tenant)
{
    AUTO_BUF struct buf text = slurp("wabridge.yaml");
    assert_loads(buf_text(&text));
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++)
        ck_assert_msg((config.origins[i].from == CONFIG_FROM_FILE) == (i == CONFIG_KEY_tenant_id),
                      "%s.%s", rows[i].section, rows[i].key);
}
END_TEST

START_TEST(test_shipped_file_shows_every_key_with_its_default)
{
    AUTO_BUF struct buf all = uncommented();
    assert_loads("tenant: {id: my-shop}");
    struct config defaults = config;
    assert_loads(buf_text(&all)); /* strict: also says that each key there is known */
    AUTO_BUF struct buf applied, restart;
    buf_init(&applied, 4096);
    buf_init(&restart, 4096);
    config_diff(&defaults, &config, &applied, &restart);
    ck_assert_str_eq(buf_text(&applied), "");
    ck_assert_str_eq(buf_text(&restart), "");
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++)
        ck_assert_msg(config.origins[i].from == CONFIG_FROM_FILE, "%s.%s is not in the file",
                      rows[i].section, rows[i].key);
}
END_TEST

static const char *unit_of(const struct row *r)
{
    static const char *const units[][2] = {
        {"_ms", "milliseconds"},   {"_s", "seconds"},         {"_minute", "messages a minute"},
        {"_cap", "replies a day"}, {"_messages", "messages"}, {"_chat", "messages"},
        {"_attempts", "attempts"}, {"days", "days"},          {"_mb", "megabytes"},
        {"keep", "files"},         {"rounds", "series"}};
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        size_t n = strlen(units[i][0]);
        if (strlen(r->key) >= n && strcmp(r->key + strlen(r->key) - n, units[i][0]) == 0)
            return units[i][1];
    }
    ck_abort_msg("%s.%s has no unit", r->section, r->key);
    return "";
}

START_TEST(test_shipped_file_documents_every_key)
{
    AUTO_BUF struct buf all = uncommented();
    const struct row *r = &rows[_i];
    char kind[100], want[300];
    if (r->type == TEXT)
        snprintf(kind, sizeof(kind), "text, %" PRId64 " to %" PRId64 " bytes", r->min, r->max);
    else if (r->type == INT)
        snprintf(kind, sizeof(kind), "%s, %" PRId64 " to %" PRId64, unit_of(r), r->min, r->max);
    else
        snprintf(kind, sizeof(kind), "true or false");
    snprintf(want, sizeof(want), "  # [%s%s%s | %s]\n  %s: ", kind, r->env ? " | environment " : "",
             r->env ? r->env : "", r->reload ? "reload" : "restart", r->key);
    char section[64];
    snprintf(section, sizeof(section), "\n%s:\n", r->section);
    const char *at = strstr(buf_text(&all), section);
    ck_assert_ptr_nonnull(at);
    const char *found = strstr(at, want);
    ck_assert_msg(found != NULL, "%s.%s: not found: %s", r->section, r->key, want);
    for (const char *p = at + 1; p < found; p++) /* no other section begins between */
        ck_assert(p[0] != '\n' || p[1] == ' ' || p[1] == '\n');
}
END_TEST

/* ---- whole files -------------------------------------------------------------------------------
 */

START_TEST(test_load_nothing_needs_tenant_id)
{
    assert_refused(NULL, "tenant.id is missing: set it in the file or in TENANT_ID\n");
    assert_refused("", "f: tenant.id is missing: set it in the file or in TENANT_ID\n");
    env_set("TENANT_ID", "shop-7");
    assert_loads(NULL);
    ck_assert_str_eq(config.tenant_id, "shop-7");
    ck_assert_str_eq(config.business_name, "shop-7");
    ck_assert_str_eq(config.path, "");
    ck_assert_str_eq(config.volume_path, "/volume");
    ck_assert_int_eq(config.max_reply_age_s, 600);
    ck_assert(config.replies_enabled && !config.replies_groups);
    assert_loads("");
    ck_assert_str_eq(config.path, file_path);
}
END_TEST

START_TEST(test_load_text_takes_plain_scalars_literally)
{
    assert_loads("tenant:\n  id: 007\n  business_name: 'true'\nwhatsapp: {device_name: 1e3}\n");
    ck_assert_str_eq(config.tenant_id, "007");
    ck_assert_str_eq(config.business_name, "true");
    ck_assert_str_eq(config.device_name, "1e3");
    assert_loads("tenant: {id: t}\nrate_limit:\n  warning: |\n    One\n    two \U0001f64f\n");
    ck_assert_str_eq(config.rate_limit_warning, "One\ntwo \U0001f64f\n");
    assert_loads("tenant: {id: t, business_name: '${HOME}'}");
    ck_assert_str_eq(config.business_name, "${HOME}");
}
END_TEST

START_TEST(test_load_empty_sections_are_taken)
{
    assert_loads("tenant:\n  id: t\nwhatsapp:\nlog: {}\n");
    ck_assert_str_eq(config.log_level, "info");
}
END_TEST

START_TEST(test_load_all_problems_are_reported)
{
    env_set("HEARTBEAT_INTERVAL_MS", "5");
    env_set("LOG_LEVEL", "loud");
    assert_refused(
        "tenant:\n  id: a/b\n  nmae: x\n"
        "whatsap:\n  endpoint: x\n"
        "whatsapp:\n  endpoint: ws://example.com\n  endpoint: wss://h\n"
        "log: info\n"
        "replies:\n  enabled: yes\n  max_reply_age_s: 604801\n  queue_per_caht: 3\n"
        "  groups: *x\n"
        "tenant: {id: t}\n"
        "zzz: 1\n",
        "f:8:3: repeated key \"endpoint\" (first on line 7)\n"
        "f:14:11: aliases (*name) are not supported\n"
        "f:15:1: repeated key \"tenant\" (first on line 1)\n"
        "f:2:7: tenant.id may contain only A-Z, a-z, 0-9, dot, underscore and hyphen\n"
        "f:3:3: unknown key \"nmae\"\n"
        "f:4:1: unknown key \"whatsap\" (did you mean \"whatsapp\"?)\n"
        "f:7:13: whatsapp.endpoint may use ws:// (not encrypted) only for localhost, "
        "127.0.0.0/8 or [::1]; use wss://\n"
        "f:9:6: log must be a map with keys of its own, not text\n"
        "f:11:12: replies.enabled must be true or false, without quotes, not \"yes\"\n"
        "f:12:20: replies.max_reply_age_s must be 0 to 604800 seconds, not 604801\n"
        "f:13:3: unknown key \"queue_per_caht\" (did you mean \"queue_per_chat\"?)\n"
        "f:16:1: unknown key \"zzz\"\n"
        "environment HEARTBEAT_INTERVAL_MS: heartbeat.interval_ms must be 100 to 3600000 "
        "milliseconds, not 5\n"
        "environment LOG_LEVEL: log.level must be debug, info, warn or error\n");
    ck_assert_int_eq(config.heartbeat_interval_ms, 15000);
    ck_assert_str_eq(config.log_level, "info");
}
END_TEST

START_TEST(test_load_syntax_error_still_reports_environment)
{
    env_set("TENANT_ID", "a b");
    assert_refused(
        "tenant:\n  id: [\n",
        "f:3:1: did not find expected node content (while parsing a flow node)\n"
        "environment TENANT_ID: tenant.id may contain only A-Z, a-z, 0-9, dot, underscore "
        "and hyphen\n");
}
END_TEST

START_TEST(test_load_unreadable_file_is_reported)
{
    ck_assert_int_eq(config_load(&config, "/nonexistent/c.yaml", env_get, &report), ERR_CONFIG);
    ck_assert_str_eq(problems(),
                     "/nonexistent/c.yaml: cannot be read: No such file or directory\n");
    config_report_deinit(&report);
    const char *path = many(600, "/", "x");
    ck_assert_int_eq(config_load(&config, path, env_get, &report), ERR_CONFIG);
    ck_assert_str_eq(problems(), "the path of the configuration is longer than 511 bytes\n");
}
END_TEST

START_TEST(test_load_keys_that_contradict_are_reported)
{
    assert_refused(
        "tenant: {id: t}\nreconnect:\n  max_ms: 500\n",
        "f:3:11: reconnect.initial_ms (1000) must not be above reconnect.max_ms (500)\n");
    assert_refused("tenant: {id: t}\nprivate:\n  path: /volume/keys\n",
                   "f:3:9: private.path must not be volume.path or inside it: it holds the keys of "
                   "the account\n");
    assert_refused(
        "tenant: {id: t}\nprivate:\n  key_file: /volume/key\n",
        "f:3:13: private.key_file must not be volume.path or inside it: it holds the key "
        "to the keys\n");
    env_set("VOLUME_PATH", "/private");
    assert_refused("tenant: {id: t}\n",
                   "environment: private.path must not be volume.path or inside it: it holds the "
                   "keys of the account\n");
}
END_TEST

START_TEST(test_load_many_problems_stay_within_the_report)
{
    load(many(90, "tenant: {id: t}\n", "k%: 1\n"));
    ck_assert_int_eq(report.errors, 90);
    AUTO_BUF struct buf text;
    buf_init(&text, 1 << 20);
    for (int i = 0; i < 1000; i++)
        buf_printf(&text, "%s{%d: \"%090d\"}", i ? ", " : "tenant: {id: t}\nx: [", i, i);
    buf_append_text(&text, "]\n");
    load(buf_text(&text));
    ck_assert_int_eq(report.errors, 1);
    buf_clear(&text);
    buf_append_text(&text, "a: [");
    for (int i = 0; i < 3000; i++)
        buf_printf(&text, "%s!t &a x", i ? ", " : "");
    buf_append_text(&text, "]\n");
    load(buf_text(&text));
    ck_assert_int_gt(report.errors, 6000);
    ck_assert_uint_le(report.text.n, 65536);
}
END_TEST

START_TEST(test_print_loads_again_as_the_same)
{
    AUTO_BUF struct buf out, applied, restart, again;
    buf_init(&out, 1 << 20);
    buf_init(&again, 1 << 20);
    buf_init(&applied, 4096);
    buf_init(&restart, 4096);
    env_set("RATE_LIMIT_MAX_PER_MINUTE", "7");
    assert_loads(
        "tenant: {id: t, business_name: \"Caf\u00e9 \\\"#1\\\": \\\\ {x} \u00a0\U0001f600\"}\n"
        "rate_limit: {warning: \"a\\n\\tb  \\n\"}\nlog: {content: true}\n");
    struct config old = config;
    config_print(&config, &out);
    env_clear();
    assert_loads(buf_text(&out));
    config_diff(&old, &config, &applied, &restart);
    ck_assert_uint_eq(applied.n + restart.n, 0);
    ck_assert_int_eq(config.rate_limit_max_per_minute, 7);
    ck_assert_str_eq(config.rate_limit_warning, "a\n\tb  \n");
    ck_assert_ptr_nonnull(strstr(buf_text(&out), "  max_per_minute: 7 # environment RATE_LIMIT"));
    ck_assert_ptr_nonnull(strstr(buf_text(&out), "  max_attempts: 20 # default\n"));
    ck_assert_ptr_nonnull(strstr(buf_text(&out), "  content: true # file, line 3\n"));
}
END_TEST

/* Loads a template file alone. */
static int load_template(const char *path)
{
    struct config c = {.replies_language = CONFIG_LANGUAGE_AUTO};
    snprintf(c.replies_file, sizeof(c.replies_file), "%s", path);
    config_report_deinit(&report);
    config_replies_deinit(&replies);
    return config_replies_load(&replies, &c, &report);
}

static void truncations(struct buf *text, bool whole_config)
{
    for (size_t n = 0; n <= text->n; n++) {
        const char *path = file_bytes(BYTES(text->p, n));
        config_report_deinit(&report);
        int rc;
        if (whole_config) {
            rc = config_load(&config, path, env_get, &report);
        } else {
            rc = load_template(path);
        }
        ck_assert((rc == 0) == (report.errors == 0));
        ck_assert((rc == 0) == (report.text.n == 0));
    }
}

START_TEST(test_load_every_truncation_does_not_crash)
{
    AUTO_BUF struct buf shipped = slurp("wabridge.yaml"), all = uncommented(),
                        demo = slurp("replies/demo.yaml");
    truncations(&shipped, true);
    truncations(&all, true);
    truncations(&demo, false);
}
END_TEST

/* ---- replies -----------------------------------------------------------------------------------
 */

static int load_replies(const char *content)
{
    return load_template(file(content));
}

START_TEST(test_replies_load_good_file_is_taken)
{
    ck_assert_int_eq(load_replies("language: en\n"
                                  "intents:\n"
                                  "  - name: greeting\n"
                                  "    keywords: [hello, \"good morning\", 1, true]\n"
                                  "    reply: \"Hello {customer_name} } {message}\"\n"
                                  "  - {name: b-2_x, keywords: [x], reply: 'y'}\n"
                                  "fallback:\n"
                                  "  reply: |\n"
                                  "    One\n"
                                  "\n"
                                  "    two  \n"
                                  "\n"),
                     0);
    const struct config_intent *i = replies.languages->intents;
    ck_assert_str_eq(replies.languages->tag, "en");
    ck_assert_str_eq(i->name, "greeting");
    ck_assert_uint_eq(i->keyword_count, 4);
    ck_assert_str_eq(i->keywords[1], "good morning");
    ck_assert_str_eq(i->keywords[3], "true");
    ck_assert_str_eq(i->reply.text, "Hello {customer_name} } {message}");
    ck_assert_str_eq(i->next->name, "b-2_x");
    ck_assert_ptr_null(i->next->next);
    ck_assert_str_eq(replies.languages->fallback.text, "One\n\ntwo");
}
END_TEST

START_TEST(test_replies_load_parts_may_be_left_out)
{
    ck_assert_int_eq(load_replies("intents:\n- {name: a, keywords: [x], reply: y}\n"), 0);
    ck_assert_ptr_null(replies.languages->fallback.text);
    ck_assert_str_eq(replies.languages->tag, "");
    ck_assert_int_eq(load_replies("intents:\nfallback: {reply: y}\n"), 0);
    ck_assert_ptr_null(replies.languages->intents);
    ck_assert_str_eq(replies.languages->fallback.text, "y");
}
END_TEST

START_TEST(test_replies_load_no_path_gives_built_in)
{
    ck_assert_int_eq(load_template(""), 0);
    ck_assert_ptr_null(replies.languages->intents);
    ck_assert_ptr_nonnull(strstr(replies.languages->fallback.text, "thank you"));
}
END_TEST

static const struct {
    const char *text, *want;
} bad_replies[] = {
    {"", "f:1:1: there is no reply: intents or a fallback must be given\n"},
    {"intents: []\n", "f:1:1: there is no reply: intents or a fallback must be given\n"},
    {"intent: []\nfallback: {reply: x}\n",
     "f:1:1: unknown key \"intent\" (did you mean \"intents\"?)\n"},
    {"intents: {a: 1}\n", "f:1:10: intents must be a list (- name: …), not a map\n"},
    {"intents:\n- hello\n",
     "f:2:3: an intent must be a map with name, keywords and reply, not text\n"},
    {"intents:\n- name: a\n", "f:2:3: keywords is missing\nf:2:3: reply is missing\n"},
    {"intents:\n- keywords: [x]\n  reply: y\n  replay: z\n",
     "f:4:3: unknown key \"replay\" (did you mean \"reply\"?)\nf:2:3: name is missing\n"},
    {"intents:\n- name: A b\n  keywords: [x]\n  reply: y\n",
     "f:2:9: name \"A b\" may contain only a-z, 0-9, _ and -\n"},
    {"intents:\n- name: fallback\n  keywords: [x]\n  reply: y\n",
     "f:2:9: name \"fallback\" is taken by the fallback\n"},
    {"intents:\n- {name: a, keywords: [x], reply: y}\n- {name: a, keywords: [x], reply: y}\n",
     "f:3:10: a second intent with the name \"a\"\n"},
    {"intents:\n- name: a\n  keywords: hello\n  reply: y\n",
     "f:3:13: keywords must be a list ([hello, hi]), not text\n"},
    {"intents:\n- name: a\n  keywords: []\n  reply: y\n",
     "f:3:13: keywords must be 1 to 200, not 0\n"},
    {"intents:\n- name: a\n  keywords: [x, '', [y], '?!', {z: 1}]\n  reply: y\n",
     "f:3:17: a keyword must not be empty\nf:3:21: a keyword must be text, not a list\n"
     "f:3:26: keyword \"?!\" has no letter or digit\n"
     "f:3:32: a keyword must be text, not a map (a text with { or : in it needs quotes)\n"},
    {"fallback:\n  reply: \"Hi {custommer_name}\"\n",
     "f:2:10: unknown variable \"{custommer_name}\" (known: {business_name}, {customer_name}, "
     "{message})\n"},
    {"fallback:\n  reply: \"a { b\"\n",
     "f:2:10: unknown variable \"{ b\" (known: {business_name}, {customer_name}, {message})\n"},
    {"fallback:\n  reply: \"{{message}}\"\n", "f:2:10: unknown variable \"{{message}\" (known: "
                                              "{business_name}, {customer_name}, {message})\n"},
    {"fallback:\n  reply: {customer_name}\n",
     "f:2:10: reply must be text, not a map (a text with { or : in it needs quotes)\n"},
    {"fallback:\n  reply: ''\n", "f:2:10: reply must not be empty\n"},
    {"fallback:\n  reply: \" \\n \"\n", "f:2:10: reply must not be empty\n"},
    {"fallback:\n  reply: \"a\\u0007\"\n", "f:2:10: reply contains control characters\n"},
    {"fallback: hello\n", "f:1:11: fallback must be a map with a reply, not text\n"},
    {"fallback:\n", "f:1:10: fallback must be a map with a reply, not text\n"},
    {"fallback: {}\n", "f:1:11: reply is missing\n"},
    {"language: [en]\nfallback: {reply: x}\n", "f:1:11: language must be text, not a list\n"},
    {"fallback: *x\n", "f:1:11: aliases (*name) are not supported\n"},
    {"intents:\n- *x\n- {name: *x, keywords: *x, reply: *x}\n",
     "f:2:3: aliases (*name) are not supported\nf:3:10: aliases (*name) are not supported\n"
     "f:3:24: aliases (*name) are not supported\nf:3:35: aliases (*name) are not supported\n"},
};

START_TEST(test_replies_load_bad_file_gives_position)
{
    int rc = load_replies(bad_replies[_i].text);
    ck_assert_str_eq(problems(), bad_replies[_i].want);
    ck_assert_int_eq(rc, ERR_CONFIG);
    ck_assert_ptr_null(replies.languages);
    ck_assert_ptr_null(replies.arena.blocks);
}
END_TEST

START_TEST(test_replies_load_over_limits_is_refused)
{
    ck_assert_int_eq(
        load_replies(many(200, "intents:\n", "- {name: n%, keywords: [x], reply: y}\n")), 0);
    ck_assert_int_eq(
        load_replies(many(201, "intents:\n", "- {name: n%, keywords: [x], reply: y}\n")),
        ERR_CONFIG);
    ck_assert_str_eq(problems(), "f:2:1: intents must be at most 200, not 201\n");
    ck_assert_int_eq(
        load_replies(many(201, "intents:\n- name: a\n  reply: y\n  keywords:\n", "  - k%\n")),
        ERR_CONFIG);
    ck_assert_str_eq(problems(), "f:5:3: keywords must be 1 to 200, not 201\n");
    ck_assert_int_eq(load_replies(many(4096, "fallback:\n  reply: ", "x")), 0);
    ck_assert_int_eq(load_replies(many(4097, "fallback:\n  reply: ", "x")), ERR_CONFIG);
    ck_assert_str_eq(problems(), "f:2:10: reply must be at most 4096 bytes long, not 4097\n");
    ck_assert_int_eq(
        load_replies(many(101, "intents:\n- name: a\n  reply: y\n  keywords:\n  - ", "x")),
        ERR_CONFIG);
    ck_assert_str_eq(problems(), "f:5:5: a keyword must be at most 100 bytes long, not 101\n");
}
END_TEST

START_TEST(test_replies_load_unreadable_file_is_reported)
{
    ck_assert_int_eq(load_template("/nonexistent/r.yaml"), ERR_CONFIG);
    ck_assert_str_eq(problems(),
                     "/nonexistent/r.yaml: cannot be read: No such file or directory\n");
}
END_TEST

START_TEST(test_replies_demo_is_good_and_short)
{
    AUTO_BUF struct buf demo = slurp("replies/demo.yaml");
    static const char *const wanted[] = {"greeting",     "hours", "prices", "location",
                                         "order-status", "human", "thanks"};
    ck_assert_msg(load_replies(buf_text(&demo)) == 0, "%s", problems());
    size_t found = 0;
    for (const struct config_intent *i = replies.languages->intents; i; i = i->next) {
        ck_assert_uint_le(strlen(i->reply.text), 500);
        for (size_t w = 0; w < ARRAY_LEN(wanted); w++)
            found += strcmp(wanted[w], i->name) == 0;
    }
    ck_assert_uint_eq(found, ARRAY_LEN(wanted));
    ck_assert_uint_le(strlen(replies.languages->fallback.text), 500);
}
END_TEST

/* The example in docs/replies.md is a file that loads. */
START_TEST(test_replies_documented_example_loads)
{
    char path[1024], text[20000];
    const char *dir = getenv("DOCS_DIR");
    snprintf(path, sizeof(path), "%s/replies.md", dir ? dir : "docs");
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s", path);
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = '\0';
    char *begin = strstr(text, "```yaml\n");
    ck_assert_ptr_nonnull(begin);
    char *end = strstr(begin + 8, "\n```");
    ck_assert_ptr_nonnull(end);
    *end = '\0';
    ck_assert_msg(load_replies(begin + 8) == 0, "%s", problems());
    ck_assert_str_eq(replies.languages->intents->name, "hours");
}
END_TEST

/* ---- the suite ---------------------------------------------------------------------------------
 */

static void add_yaml(Suite *suite)
{
    TCase *t = tcase_create("yaml");
    tcase_add_checked_fixture(t, fresh, NULL);
    tcase_add_test(t, test_yaml_parse_tree_has_positions);
    tcase_add_test(t, test_yaml_parse_empty_is_empty_map);
    tcase_add_test(t, test_yaml_parse_line_ends_and_bom_are_taken);
    tcase_add_loop_test(t, test_yaml_parse_refused_gives_position, 0, (int)ARRAY_LEN(refused));
    tcase_add_test(t, test_yaml_parse_over_limits_is_refused);
    tcase_add_test(t, test_yaml_load_bad_file_is_reported);
    tcase_add_test(t, test_nearest_distance_up_to_two);
    tcase_add_test(t, test_quote_long_and_strange_is_cut_and_escaped);
    tcase_add_test(t, test_check_printable_control_characters_are_refused);
    tcase_add_test(t, test_check_endpoint_good_and_bad);
    tcase_add_test(t, test_check_url_clear_text_only_on_this_machine);
    tcase_add_test(t, test_check_other_texts_good_and_bad);
    suite_add_tcase(suite, t);
}

static void add_keys(Suite *suite)
{
    TCase *t = tcase_create("keys");
    tcase_add_checked_fixture(t, fresh, NULL);
    tcase_add_test(t, test_keys_defaults_are_within_range);
    tcase_add_loop_test(t, test_keys_wrong_type_is_reported_at_value, 0, CONFIG_KEY_COUNT);
    tcase_add_loop_test(t, test_keys_out_of_range_is_reported_with_range, 0, CONFIG_KEY_COUNT);
    tcase_add_loop_test(t, test_keys_value_in_file_is_taken, 0, CONFIG_KEY_COUNT);
    tcase_add_loop_test(t, test_keys_environment_wins_over_file, 0, CONFIG_KEY_COUNT);
    tcase_add_loop_test(t, test_keys_diff_names_what_changed, 0, CONFIG_KEY_COUNT);
    tcase_add_loop_test(t, test_shipped_file_documents_every_key, 0, CONFIG_KEY_COUNT);
    tcase_add_test(t, test_shipped_file_sets_only_the_tenant);
    tcase_add_test(t, test_shipped_file_shows_every_key_with_its_default);
    suite_add_tcase(suite, t);
}

static void add_load(Suite *suite)
{
    TCase *t = tcase_create("load");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, fresh, NULL);
    tcase_add_test(t, test_load_nothing_needs_tenant_id);
    tcase_add_test(t, test_load_text_takes_plain_scalars_literally);
    tcase_add_test(t, test_load_empty_sections_are_taken);
    tcase_add_test(t, test_load_all_problems_are_reported);
    tcase_add_test(t, test_load_syntax_error_still_reports_environment);
    tcase_add_test(t, test_load_unreadable_file_is_reported);
    tcase_add_test(t, test_load_keys_that_contradict_are_reported);
    tcase_add_test(t, test_load_many_problems_stay_within_the_report);
    tcase_add_test(t, test_print_loads_again_as_the_same);
    tcase_add_test(t, test_load_every_truncation_does_not_crash);
    suite_add_tcase(suite, t);
}

static void add_replies(Suite *suite)
{
    TCase *t = tcase_create("replies");
    tcase_add_checked_fixture(t, fresh, NULL);
    tcase_add_test(t, test_replies_load_good_file_is_taken);
    tcase_add_test(t, test_replies_load_parts_may_be_left_out);
    tcase_add_test(t, test_replies_load_no_path_gives_built_in);
    tcase_add_loop_test(t, test_replies_load_bad_file_gives_position, 0,
                        (int)ARRAY_LEN(bad_replies));
    tcase_add_test(t, test_replies_load_over_limits_is_refused);
    tcase_add_test(t, test_replies_load_unreadable_file_is_reported);
    tcase_add_test(t, test_replies_demo_is_good_and_short);
    tcase_add_test(t, test_replies_documented_example_loads);
    suite_add_tcase(suite, t);
}

int main(void)
{
    Suite *suite = suite_create("config");
    add_yaml(suite);
    add_keys(suite);
    add_load(suite);
    add_replies(suite);
    return testing_run(suite);
}
