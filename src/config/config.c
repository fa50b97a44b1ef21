/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config/config.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "config/check.h"
#include "config/hours.h"
#include "config/yaml.h"

enum key_type { KEY_TEXT, KEY_INT, KEY_BOOL };

struct key {
    const char *section, *name;
    size_t offset; /* of the member in struct config */
    enum key_type type;
    const char *text; /* default of a TEXT */
    int64_t number;   /* default of an INT or BOOL */
    int64_t min, max;
    const char *env; /* NULL: none */
    bool reload;
};

#define DEFAULT_TEXT(d) .text = (d)
#define DEFAULT_INT(d) .number = (d)
#define DEFAULT_BOOL(d) .number = (d)

static const struct key keys[CONFIG_KEY_COUNT] = {
#define X(section_, key_, member_, type_, def_, min_, max_, env_, reload_)                         \
    {.section = section_,                                                                          \
     .name = key_,                                                                                 \
     .offset = offsetof(struct config, member_),                                                   \
     .type = KEY_##type_,                                                                          \
     DEFAULT_##type_(def_),                                                                        \
     .min = min_,                                                                                  \
     .max = max_,                                                                                  \
     .env = env_,                                                                                  \
     .reload = reload_},
    CONFIG_KEYS(X)
#undef X
};

static const char *(*const checks[CONFIG_KEY_COUNT])(const char *) = {
    [CONFIG_KEY_tenant_id] = config_check_tenant_id,
    [CONFIG_KEY_business_name] = config_check_line,
    [CONFIG_KEY_volume_path] = config_check_line,
    [CONFIG_KEY_private_path] = config_check_line,
    [CONFIG_KEY_key_file] = config_check_line,
    [CONFIG_KEY_old_key_file] = config_check_line,
    [CONFIG_KEY_endpoint] = config_check_endpoint,
    [CONFIG_KEY_noise_root] = config_check_noise_root,
    [CONFIG_KEY_wa_version] = config_check_version,
    [CONFIG_KEY_version_url] = config_check_version_url,
    [CONFIG_KEY_device_name] = config_check_line,
    [CONFIG_KEY_ca_file] = config_check_line,
    [CONFIG_KEY_replies_type] = config_check_template,
    [CONFIG_KEY_replies_file] = config_check_line,
    [CONFIG_KEY_replies_directory] = config_check_line,
    [CONFIG_KEY_replies_language] = config_check_language,
    [CONFIG_KEY_replies_hours] = config_hours_check,
    [CONFIG_KEY_replies_time_zone] = config_zone_check,
    [CONFIG_KEY_media_types] = config_check_line,
    [CONFIG_KEY_log_level] = config_check_log_level,
    [CONFIG_KEY_log_format] = config_check_log_format,
};

/* One run of config_load. */
struct load {
    struct config *out;
    struct config_report *report;
    bool refused[CONFIG_KEY_COUNT]; /* a value was given and was not good */
};

static void *slot(struct config *c, const struct key *k)
{
    return (char *)c + k->offset;
}

static const char *value_text(const struct config *c, const struct key *k)
{
    return (const char *)c + k->offset;
}

static int64_t value_number(const struct config *c, const struct key *k)
{
    int64_t number;
    bool truth;
    if (k->type == KEY_BOOL) {
        memcpy(&truth, (const char *)c + k->offset, sizeof(truth));
        return truth;
    }
    memcpy(&number, (const char *)c + k->offset, sizeof(number));
    return number;
}

static void put_number(struct config *c, const struct key *k, int64_t number)
{
    bool truth = number != 0;
    if (k->type == KEY_BOOL)
        memcpy(slot(c, k), &truth, sizeof(truth));
    else
        memcpy(slot(c, k), &number, sizeof(number));
}

static void put_defaults(struct config *c)
{
    *c = (struct config){0};
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        if (keys[i].type == KEY_TEXT)
            bytes_copy_text(bytes_text(keys[i].text), slot(c, &keys[i]), CONFIG_TEXT_MAX);
        else
            put_number(c, &keys[i], keys[i].number);
    }
}

/* ---- one value ---------------------------------------------------------------------------------
 */

static const char *unit(const struct key *k)
{
    static const struct {
        const char *suffix, *unit;
    } units[] = {
        {"_ms", " milliseconds"},
        {"_s", " seconds"},
        {"_per_minute", " messages a minute"},
        {"_cap", " replies a day"},
        {"_messages", " messages"},
        {"_per_chat", " messages"},
        {"_attempts", " attempts"},
        {"_days", " days"},
        {"_mb", " megabytes"},
        {"keep", " files"},
    };
    size_t n = strlen(k->name);
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        size_t m = strlen(units[i].suffix);
        if (n >= m && strcmp(k->name + n - m, units[i].suffix) == 0)
            return units[i].unit;
    }
    return "";
}

static int refuse_type(struct load *l, const struct key *k, struct config_place at,
                       const char *found)
{
    if (k->type == KEY_TEXT)
        config_report_add(l->report, at, "%s.%s must be text, not %s", k->section, k->name, found);
    else if (k->type == KEY_BOOL)
        config_report_add(l->report, at, "%s.%s must be true or false, without quotes, not %s",
                          k->section, k->name, found);
    else
        config_report_add(l->report, at,
                          "%s.%s must be a whole number without quotes (%" PRId64 " to %" PRId64
                          "%s), not %s",
                          k->section, k->name, k->min, k->max, unit(k), found);
    return ERR_CONFIG;
}

static int set_text(struct load *l, const struct key *k, struct config_place at, struct bytes text)
{
    const char *(*check)(const char *) = checks[k - keys];
    if (!config_check_printable(text)) {
        config_report_add(l->report, at,
                          "%s.%s contains control characters or bytes that are no text", k->section,
                          k->name);
        return ERR_CONFIG;
    }
    const char *wrong = check ? check((const char *)text.p) : NULL;
    if (wrong) {
        config_report_add(l->report, at, "%s.%s %s", k->section, k->name, wrong);
        return ERR_CONFIG;
    }
    if (text.n < (uint64_t)k->min || text.n > (uint64_t)k->max) {
        config_report_add(l->report, at,
                          "%s.%s must be %" PRId64 " to %" PRId64 " bytes long, not %zu",
                          k->section, k->name, k->min, k->max, text.n);
        return ERR_CONFIG;
    }
    bytes_copy_text(text, slot(l->out, k), CONFIG_TEXT_MAX);
    return 0;
}

/* Decimal digits with an optional minus; no leading zero, which YAML takes for octal. What does not
 * fit is the end of the scale. */
static bool decimal(struct bytes text, int64_t *out)
{
    bool minus = text.n > 0 && text.p[0] == '-';
    struct bytes digits = minus ? BYTES(text.p + 1, text.n - 1) : text;
    uint64_t size;
    if (digits.n == 0 || (digits.n > 1 && digits.p[0] == '0'))
        return false;
    for (size_t i = 0; i < digits.n; i++)
        if (digits.p[i] < '0' || digits.p[i] > '9')
            return false;
    if (!bytes_to_u64(digits, &size) || size > INT64_MAX)
        size = INT64_MAX;
    *out = minus ? -(int64_t)size : (int64_t)size;
    return true;
}

static int set_int(struct load *l, const struct key *k, struct config_place at, struct bytes text)
{
    int64_t number;
    char quoted[CONFIG_QUOTE_SIZE];
    if (!decimal(text, &number))
        return refuse_type(l, k, at, config_quote(text, quoted));
    if (number < k->min || number > k->max) {
        config_report_add(l->report, at, "%s.%s must be %" PRId64 " to %" PRId64 "%s, not %.*s",
                          k->section, k->name, k->min, k->max, unit(k),
                          (int)(text.n < 40 ? text.n : 40), (const char *)text.p);
        return ERR_CONFIG;
    }
    put_number(l->out, k, number);
    return 0;
}

static int set_bool(struct load *l, const struct key *k, struct config_place at, struct bytes text)
{
    char quoted[CONFIG_QUOTE_SIZE];
    if (!bytes_is(text, "true") && !bytes_is(text, "false"))
        return refuse_type(l, k, at, config_quote(text, quoted));
    put_number(l->out, k, bytes_is(text, "true"));
    return 0;
}

/* text has a NUL behind it. */
static void set(struct load *l, const struct key *k, struct config_place at, struct bytes text,
                enum config_from from)
{
    int rc = k->type == KEY_TEXT  ? set_text(l, k, at, text)
             : k->type == KEY_INT ? set_int(l, k, at, text)
                                  : set_bool(l, k, at, text);
    if (rc < 0)
        l->refused[k - keys] = true;
    else
        l->out->origins[k - keys] = (struct config_origin){from, at.line, at.column};
}

/* ---- the file ----------------------------------------------------------------------------------
 */

static void take_value(struct load *l, const struct key *k, const struct config_node *value)
{
    if (value->type == CONFIG_NODE_TEXT && (value->plain || k->type == KEY_TEXT)) {
        set(l, k, value->at, value->text, CONFIG_FROM_FILE);
        return;
    }
    l->refused[k - keys] = true;
    if (value->type == CONFIG_NODE_TEXT)
        refuse_type(l, k, value->at, "a text in quotes");
    else if (value->type != CONFIG_NODE_REFUSED)
        refuse_type(l, k, value->at, config_node_kind(value));
}

static const struct key *find_key(struct bytes section, struct bytes name)
{
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++)
        if (bytes_is(section, keys[i].section) && bytes_is(name, keys[i].name))
            return &keys[i];
    return NULL;
}

/* The names of the keys of one section; how many. */
static size_t names_in(struct bytes section, const char *names[CONFIG_KEY_COUNT])
{
    size_t count = 0;
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++)
        if (bytes_is(section, keys[i].section))
            names[count++] = keys[i].name;
    return count;
}

static void take_section(struct load *l, const struct config_node *section)
{
    const char *names[CONFIG_KEY_COUNT];
    size_t count = names_in(section->key, names);
    if (config_node_is_empty(section) || section->type == CONFIG_NODE_REFUSED)
        return;
    if (section->type != CONFIG_NODE_MAP) {
        config_report_add(l->report, section->at, "%s must be a map with keys of its own, not %s",
                          (const char *)section->key.p, config_node_kind(section));
        return;
    }
    for (const struct config_node *value = section->first; value; value = value->next) {
        const struct key *k = find_key(section->key, value->key);
        if (k)
            take_value(l, k, value);
        else
            config_report_unknown(l->report, value->key_at, value->key, names, count);
    }
}

static void take_file(struct load *l, const struct config_node *root)
{
    const char *names[CONFIG_KEY_COUNT];
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++)
        names[i] = keys[i].section;
    for (const struct config_node *section = root->first; section; section = section->next) {
        const char *ignored[CONFIG_KEY_COUNT];
        if (names_in(section->key, ignored) > 0)
            take_section(l, section);
        else
            config_report_unknown(l->report, section->key_at, section->key, names,
                                  CONFIG_KEY_COUNT);
    }
}

/* Whether the file, if any, could be read as YAML. */
static bool load_file(struct load *l, const char *path)
{
    AUTO_ARENA struct arena arena = {0};
    if (!path || !*path)
        return true;
    if (!bytes_copy_text(bytes_text(path), l->out->path, sizeof(l->out->path))) {
        config_report_add(l->report, (struct config_place){"", 0, 0},
                          "the path of the configuration is longer than %zu bytes",
                          sizeof(l->out->path) - 1);
        return false;
    }
    const struct config_node *root = config_yaml_load(&arena, path, l->report);
    if (root)
        take_file(l, root);
    return root != NULL;
}

/* ---- the environment, and all together ---------------------------------------------------------
 */

static void load_environment(struct load *l, const char *(*env)(const char *name))
{
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        char where[64];
        const char *value = keys[i].env ? env(keys[i].env) : NULL;
        if (!value || !*value)
            continue;
        snprintf(where, sizeof(where), "environment %s", keys[i].env);
        set(l, &keys[i], (struct config_place){where, 0, 0}, bytes_text(value),
            CONFIG_FROM_ENVIRONMENT);
    }
}

/* Where to point for a problem of two keys: at the first of them that was set. */
static struct config_place place_of(const struct load *l, enum config_key a, enum config_key b)
{
    enum config_key key = l->out->origins[a].from != CONFIG_FROM_DEFAULT ? a : b;
    struct config_origin o = l->out->origins[key];
    if (o.from == CONFIG_FROM_FILE)
        return (struct config_place){l->out->path, o.line, o.column};
    return (struct config_place){o.from == CONFIG_FROM_ENVIRONMENT ? "environment" : l->out->path,
                                 0, 0};
}

static void check_apart(struct load *l, enum config_key key, const char *what)
{
    const struct config *c = l->out;
    const struct key *k = &keys[key];
    if (l->refused[key] || l->refused[CONFIG_KEY_volume_path] ||
        !config_check_inside(value_text(c, k), c->volume_path))
        return;
    config_report_add(l->report, place_of(l, key, CONFIG_KEY_volume_path),
                      "%s.%s must not be volume.path or inside it: it holds %s", k->section,
                      k->name, what);
}

static void check_paths(struct load *l)
{
    check_apart(l, CONFIG_KEY_private_path, "the keys of the account");
    check_apart(l, CONFIG_KEY_key_file, "the key to the keys");
    check_apart(l, CONFIG_KEY_old_key_file, "the key to the keys");
}

static void check_order(struct load *l, enum config_key low, enum config_key high)
{
    const struct key *a = &keys[low], *b = &keys[high];
    int64_t from = value_number(l->out, a), to = value_number(l->out, b);
    if (l->refused[low] || l->refused[high] || from <= to)
        return;
    config_report_add(l->report, place_of(l, low, high),
                      "%s.%s (%" PRId64 ") must not be above %s.%s (%" PRId64 ")", a->section,
                      a->name, from, b->section, b->name, to);
}

static void check_tenant(struct load *l)
{
    struct config *c = l->out;
    if (!*c->tenant_id && !l->refused[CONFIG_KEY_tenant_id])
        config_report_add(l->report, (struct config_place){c->path, 0, 0},
                          "tenant.id is missing: set it in the file or in TENANT_ID");
    if (!*c->business_name)
        bytes_copy_text(bytes_text(c->tenant_id), c->business_name, sizeof(c->business_name));
}

int config_load(struct config *out, const char *path, const char *(*env)(const char *name),
                struct config_report *report)
{
    struct load l = {.out = out, .report = report};
    int before = report->errors;
    put_defaults(out);
    bool readable = load_file(&l, path);
    load_environment(&l, env);
    if (readable) {
        check_tenant(&l);
        check_paths(&l);
        check_order(&l, CONFIG_KEY_reconnect_initial_ms, CONFIG_KEY_reconnect_max_ms);
    }
    return report->errors > before ? ERR_CONFIG : 0;
}

/* ---- afterwards --------------------------------------------------------------------------------
 */

static bool differs(const struct config *a, const struct config *b, const struct key *k)
{
    if (k->type == KEY_TEXT)
        return strcmp(value_text(a, k), value_text(b, k)) != 0;
    return value_number(a, k) != value_number(b, k);
}

void config_diff(const struct config *old, const struct config *fresh, struct buf *applied,
                 struct buf *restart)
{
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        struct buf *out = keys[i].reload ? applied : restart;
        if (differs(old, fresh, &keys[i]))
            buf_printf(out, "%s%s.%s", out->n ? ", " : "", keys[i].section, keys[i].name);
    }
}

static void print_value(const struct config *c, const struct key *k, struct buf *out)
{
    if (k->type == KEY_TEXT)
        json_escape(out, bytes_text(value_text(c, k)));
    else if (k->type == KEY_BOOL)
        buf_append_text(out, value_number(c, k) ? "true" : "false");
    else
        buf_printf(out, "%" PRId64, value_number(c, k));
}

static void print_origin(const struct config *c, const struct key *k, struct buf *out)
{
    const struct config_origin *o = &c->origins[k - keys];
    if (o->from == CONFIG_FROM_FILE)
        buf_printf(out, " # file, line %d\n", o->line);
    else if (o->from == CONFIG_FROM_ENVIRONMENT)
        buf_printf(out, " # environment %s\n", k->env);
    else
        buf_append_text(out, " # default\n");
}

void config_print(const struct config *c, struct buf *out)
{
    const char *section = "";
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        if (strcmp(section, keys[i].section) != 0) {
            section = keys[i].section;
            buf_printf(out, "%s:\n", section);
        }
        buf_printf(out, "  %s: ", keys[i].name);
        print_value(c, &keys[i], out);
        print_origin(c, &keys[i], out);
    }
}
