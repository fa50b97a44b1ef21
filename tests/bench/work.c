/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * work [-n MESSAGES] CONFIG NODES.json
 *
 * A tenant's life as fixed workloads, one after the other, in one process (wire.h). For each prints
 * "NAME DIVISOR syncs writes written_bytes allocations allocated_bytes moments": totals of the
 * bridge's side, and what to divide them by. What is between two workloads is named "-". Under
 * callgrind, which guard.sh tells to, the n-th line has an n-th dump.
 *
 *   decode   every stanza of NODES.json decoded, 100 times
 *   start    to the QR (without what comes before the loop: opening files)
 *   link     scan, first login
 *   login    from the loss of the connection to being connected again
 *   answer   messages that come alone: received, recorded, answered, receipts of the answer
 *   flood    the same, 100 at a time
 *   idle     minutes without anything, from a new login on
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "bridge/bridge.h"
#include "sim/client.h"
#include "sim/phone.h"
#include "sim/scan.h"
#include "wa/node.h"
#include "wire.h"

/* guard.sh tells callgrind to look for it by its name. */
#ifdef __clang__
#define SEPARATE __attribute__((noinline))
#else
#define SEPARATE __attribute__((noinline, noclone))
#endif

#define SHOP "4915100000001"
#define CONTACTS 10
#define DECODE_ROUNDS 100
#define BURST 100
#define TEXT_MAX (1u << 20)
#define STEP_MS 10 /* between two messages that come alone */
#define PATIENCE_MS 60000
#define SETTLE_MS 5000 /* what a login leaves behind */
#define IDLE_MINUTES 10

static struct sim sim;
static struct sim_account *shop, *contacts[CONTACTS];
static struct config config;
static char noise_root[2 * WA_KEY_LEN + 1];
static uint64_t message_count = 200, sent;
static const char *nodes_file;

static void die(const char *why)
{
    fprintf(stderr, "work: %s\n", why);
    exit(1);
}

/* ---- phases: callgrind dumps, and begins to count again, whenever this is called ---------------
 */

SEPARATE static void bench_phase_over(const char *name, uint64_t divisor)
{
    struct count c = count_take();
    printf("%s %llu %llu %llu %llu %llu %llu %llu\n", name, (unsigned long long)divisor,
           (unsigned long long)c.syncs, (unsigned long long)c.writes,
           (unsigned long long)c.written_bytes, (unsigned long long)c.allocations,
           (unsigned long long)c.allocated_bytes, (unsigned long long)c.moments);
}

/* ---- the corpus ------------------------------------------------------------------------------ */

struct corpus {
    struct buf bytes;
    struct bytes stanzas[256];
    size_t count;
};

static void read_file(const char *path, struct buf *out)
{
    uint8_t piece[4096];
    size_t n;
    FILE *f = fopen(path, "re");
    buf_init(out, TEXT_MAX);
    while (f && (n = fread(piece, 1, sizeof(piece), f)) > 0)
        buf_append(out, BYTES(piece, n));
    if (!f)
        die("a file cannot be read");
    fclose(f);
}

static void read_group(struct corpus *c, const struct json_value *group)
{
    for (size_t i = 0; i < json_length(group) && c->count < ARRAY_LEN(c->stanzas); i++) {
        struct bytes hex = bytes_text(json_text(json_at(group, i), "hex", ""));
        uint8_t *p = err_calloc(1, hex.n / 2 + 1);
        struct arena arena = {0};
        struct wa_node *node;
        if (text_hex_decode(hex, p, hex.n / 2) == 0 &&
            wa_node_decode(&arena, BYTES(p, hex.n / 2), &node) == 0)
            c->stanzas[c->count++] = BYTES(p, hex.n / 2);
        arena_deinit(&arena);
    }
}

static void read_corpus(struct corpus *c)
{
    struct json_doc *doc;
    struct buf text;
    struct err err;
    read_file(nodes_file, &text);
    if (json_doc_open(&doc, buf_bytes(&text), &err) != 0)
        die(err.text);
    read_group(c, json_get(json_root(doc), "encode"));
    read_group(c, json_get(json_root(doc), "decode"));
    json_doc_close(doc);
    buf_deinit(&text);
}

SEPARATE static void bench_decode(const struct corpus *c, struct arena *arena)
{
    struct wa_node *node;
    counting = true;
    for (size_t i = 0; i < c->count; i++) {
        wa_node_decode(arena, c->stanzas[i], &node);
        arena_reset(arena);
    }
    counting = false;
}

static void decode(void)
{
    static struct corpus corpus;
    struct arena arena = {0};
    read_corpus(&corpus);
    bench_phase_over("-", 1);
    for (int i = 0; i < DECODE_ROUNDS; i++)
        bench_decode(&corpus, &arena);
    bench_phase_over("decode", DECODE_ROUNDS * corpus.count);
    arena_deinit(&arena);
}

/* ---- the tenant ------------------------------------------------------------------------------ */

static bool is_connected(void)
{
    struct sim_device *d = sim_device_find(shop, 1);
    return d && d->client && d->client->backlog.done;
}

static bool shows_qr(void)
{
    char path[CONFIG_TEXT_MAX + 16];
    snprintf(path, sizeof(path), "%s/qr.txt", config.volume_path);
    return access(path, R_OK) == 0;
}

static void link_device(void)
{
    char path[CONFIG_TEXT_MAX + 16];
    struct sim_scan *scan;
    struct buf qr;
    struct err err;
    if (!wire_until(shows_qr, PATIENCE_MS))
        die("no QR");
    bench_phase_over("start", 1);
    snprintf(path, sizeof(path), "%s/qr.txt", config.volume_path);
    read_file(path, &qr);
    while (qr.n > 0 && qr.p[qr.n - 1] == '\n')
        qr.n--;
    if (sim_scan_begin(shop, buf_bytes(&qr), &scan, &err) != 0)
        die(err.text);
    if (!wire_until(is_connected, PATIENCE_MS))
        die("not connected");
    sim_scan_free(scan);
    buf_deinit(&qr);
}

static void say(void)
{
    struct sim_account *from = contacts[sent % CONTACTS];
    char text[64], id[SIM_ID_MAX + 1];
    struct sim_outgoing m = {.to = shop};
    struct err err;
    snprintf(text, sizeof(text), "What does number %llu cost?", (unsigned long long)++sent);
    m.text = bytes_text(text);
    if (sim_phone_send(from->phone, &m, id, &err) != 0)
        die(err.text);
}

static uint64_t answered(void)
{
    uint64_t n = 0;
    for (size_t i = 0; i < CONTACTS; i++)
        for (const struct sim_arrival *a = sim_phone_arrival(contacts[i]->phone, 0); a;
             a = sim_phone_arrival(contacts[i]->phone, a->seq))
            n++;
    return n;
}

static bool all_answered(void)
{
    return answered() >= sent;
}

static bool never(void)
{
    return false;
}

static void converse(uint64_t messages, uint64_t at_once)
{
    for (uint64_t i = 0; i < messages; i += at_once) {
        for (uint64_t k = 0; k < at_once; k++)
            say();
        wire_settle();
        still_pass(STEP_MS);
    }
    if (!wire_until(all_answered, PATIENCE_MS))
        die("not all were answered");
}

static void script(void)
{
    bench_phase_over("-", 1);
    link_device();
    bench_phase_over("link", 1);
    converse(2 * CONTACTS, 1);
    bench_phase_over("-", 1);
    wire_cut();
    if (!wire_until(is_connected, PATIENCE_MS))
        die("not connected again");
    bench_phase_over("login", 1);
    converse(message_count, 1);
    bench_phase_over("answer", message_count);
    converse(message_count, BURST);
    bench_phase_over("flood", message_count);
    wire_cut();
    if (!wire_until(is_connected, PATIENCE_MS))
        die("not connected a third time");
    wire_until(never, SETTLE_MS);
    bench_phase_over("-", 1);
    wire_until(never, IDLE_MINUTES * INT64_C(60000));
    bench_phase_over("idle", IDLE_MINUTES);
    if (sim.stats.undecryptable || sim.stats.retries || sim.stats.key_reuse)
        die("something could not be read");
}

/* ---- set-up ---------------------------------------------------------------------------------- */

static struct sim_account *make_account(const char *phone)
{
    const struct sim_account_spec spec = {.phone = phone, .name = phone};
    struct sim_account *out;
    struct err err;
    if (sim_account_create(&sim, &spec, &out, &err) != 0)
        die(err.text);
    return out;
}

static void open_sim(void)
{
    struct buf hex;
    char phone[24];
    sim_init(&sim, SIM_REF_SECONDS, true, 1);
    buf_init(&hex, sizeof(noise_root));
    text_hex_append(&hex, BYTES_ARRAY(sim.keys.root.pub));
    bytes_copy_text(buf_bytes(&hex), noise_root, sizeof(noise_root));
    buf_deinit(&hex);
    shop = make_account(SHOP);
    for (int i = 0; i < CONTACTS; i++) {
        snprintf(phone, sizeof(phone), "%d", 999000001 + i);
        contacts[i] = make_account(phone);
    }
}

static const char *env(const char *name)
{
    return strcmp(name, "WABRIDGE_NOISE_ROOT") == 0 ? noise_root : NULL;
}

int main(int argc, char **argv)
{
    struct config_report report = {0};
    if (argc > 3 && strcmp(argv[1], "-n") == 0) {
        message_count = strtoull(argv[2], NULL, 10);
        argc -= 2;
        argv += 2;
    }
    if (argc != 3 || message_count < BURST || message_count % BURST != 0) {
        fputs("usage: work [-n MESSAGES (hundreds)] CONFIG NODES.json\n", stderr);
        return 2;
    }
    nodes_file = argv[2];
    decode();
    open_sim();
    if (config_load(&config, argv[1], env, &report) < 0)
        die(buf_text(&report.text));
    wire_open(&sim, script);
    bridge_run(&config, env, false);
    sim_deinit(&sim);
    return 0;
}
