/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writes the seed corpora: seed DIR makes DIR/<target>/ and a file for each byte string in the
 * vectors (VECTORS_DIR) that such a target reads; the form byte and the lengths that a target wants
 * in front are put there.
 */
#include <sys/stat.h>

#include "base/text.h"
#include "fuzz.h"
#include "seed_records.h"
#include "testing.h"

#define SEALED 20 /* a step of fuzz_script.c, as those below */

enum form { FORM_PLAIN, FORM_BYTES, FORM_PIECE, FORM_INFLATE };

static const struct source {
    const char *target, *vectors;
    enum form form;
    uint8_t first;      /* FORM_PIECE: in front of the length; FORM_BYTES: of the bytes */
    const char *filter; /* a member's name begins with it; NULL any */
} sources[] = {
    {"frames", "noise-xx.json", FORM_PLAIN, 0, NULL},
    {"nodes", "nodes.json", FORM_PLAIN, 0, "hex"},
    {"nodes", "adv-pairing.json", FORM_PLAIN, 0, "pair_success_stanza"},
    {"inflate", "nodes.json", FORM_INFLATE, 0, "hex"},
    {"handshake", "noise-xx.json", FORM_PLAIN, 0, "server_hello"},
    {"cert", "noise-xx.json", FORM_PLAIN, 0, "encoded"},
    {"cert", "noise-xx.json", FORM_PLAIN, 0, "certificate_chain"},
    {"adv", "adv-pairing.json", FORM_PLAIN, 0, NULL},
    {"adv", "adv.json", FORM_PLAIN, 0, NULL},
    {"message", "padding.json", FORM_PLAIN, 0, NULL},
    {"message", "signal-1to1.json", FORM_PLAIN, 0, "padded_plaintext"},
    {"message", "history-sync.json", FORM_PLAIN, 0, NULL},
    {"message", "reporting-token.json", FORM_PLAIN, 0, NULL},
    {"message", "message-edit.json", FORM_PLAIN, 0, NULL},
    {"signal", "signal-1to1.json", FORM_PIECE, 0, "ciphertext"},
    {"signal", "signal-1to1.json", FORM_PIECE, 1, "ciphertext"},
    {"signal", "signal-group.json", FORM_PIECE, 2, NULL},
    {"signal", "signal-group.json", FORM_PIECE, 3, NULL},
    {"protobuf", "adv-pairing.json", FORM_PIECE, 0, NULL},
    {"protobuf", "adv-pairing.json", FORM_PIECE, 1, NULL},
    {"protobuf", "adv-pairing.json", FORM_PIECE, 2, NULL},
    {"protobuf", "noise-xx.json", FORM_PIECE, 5, NULL},
    {"protobuf", "noise-xx.json", FORM_PIECE, 7, "server_hello"},
    {"protobuf", "reporting-token.json", FORM_PIECE, 9, NULL},
    {"protobuf", "history-sync.json", FORM_PIECE, 9, NULL},
    {"history", "history-sync.json", FORM_BYTES, 0, "zlib"},
    {"history", "history-sync.json", FORM_BYTES, 1, "history_sync_proto"},
    {"script", "message-edit.json", FORM_PIECE, SEALED, "plain"},
    {"app_state", "app-state.json", FORM_PIECE, 1, "syncd_patch_proto"},
    {"app_state", "app-state.json", FORM_BYTES, 0, NULL},
    {"media", "media-retry.json", FORM_PIECE, 1, NULL},
    {"media", "media.json", FORM_BYTES, 2, "plain"},
    {"media", "history-sync.json", FORM_BYTES, 0, NULL},
    {"session", "nodes.json", FORM_PIECE, 3, "hex"},
    {"session", "nodes.json", FORM_PIECE, 1, "hex"},
    {"session", "adv-pairing.json", FORM_PIECE, 0, "pair_success_stanza"},
};

/* Steps of fuzz_script.c: a message to a contact, and one to a group, each with its queries
 * answered, its ack, and a request to send it again. */
#define FIT 0
#define ACK 3
#define RECEIPT 4
#define SEND 13
static const uint8_t to_contact[] = {
    SEND, 1, 5,       1,               /* id, to, text */
    FIT,  0, 0,       0,    0,   0,    /* usync: the contact and we have no companions */
    FIT,  1, 1,       0,    1,   0,    /* bundles of both */
    ACK,  0, RECEIPT, 0x0d, 5,   2, 0, /* with keys */
    SEND, 2, 5,       1,    ACK, 1, 0, /* refused: 400 */
};
static const uint8_t to_group[] = {
    SEND, 1, 8,       1,                     /* id, to, text */
    FIT,  0, 0,       0,    5,   0, 0, 0, 0, /* w:g2: the contact is in it */
    FIT,  1, 0,       0,    0,   0,          /* usync */
    FIT,  2, 1,       0,    1,   0,          /* bundles of both */
    ACK,  0, RECEIPT, 0x0f, 5,   2, 0,       /* of the member, with keys */
    SEND, 2, 8,       1,    ACK, 1, 5,       /* refused: 421 */
};

static void write_file(const char *dir, const char *target, struct bytes data, unsigned number)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", dir, target);
    mkdir(path, 0755);
    snprintf(path, sizeof(path), "%s/%s/seed-%04u", dir, target, number);
    FILE *f = fopen(path, "w");
    fuzz_require(f && fwrite(data.p, 1, data.n, f) == data.n && fclose(f) == 0);
}

static void write_seed(const char *dir, const struct source *s, struct bytes data)
{
    static unsigned count;
    AUTO_BUF struct buf out = {.max = 1 << 20};
    if (s->form == FORM_BYTES)
        buf_append_u8(&out, s->first);
    if (s->form == FORM_PIECE) {
        buf_append_u8(&out, s->first);
        buf_append_be(&out, 2, (uint32_t)data.n);
    }
    /* The flag byte of a stanza is not part of what is deflated. */
    if (s->form == FORM_INFLATE && data.n > 0)
        data = BYTES(data.p + 1, data.n - 1);
    buf_append(&out, data);
    write_file(dir, s->target, buf_bytes(&out), count++);
}

static void take(const char *dir, const struct source *s, const char *name, const json_t *value);

static void walk(const char *dir, const struct source *s, const char *name, const json_t *value)
{
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)(uintptr_t)value, key, member) take(dir, s, key, member);
    for (size_t i = 0; i < json_array_size(value); i++)
        take(dir, s, name, json_array_get(value, i));
}

static void take(const char *dir, const struct source *s, const char *name, const json_t *value)
{
    const char *hex = json_string_value(value);
    uint8_t bytes[4096];
    size_t n = hex ? strlen(hex) / 2 : 0;
    walk(dir, s, name, value);
    if (!hex || n > sizeof(bytes) || strlen(hex) % 2 ||
        (s->filter && strncmp(name, s->filter, strlen(s->filter)) != 0) ||
        text_hex_decode(bytes_text(hex), bytes, n) < 0)
        return;
    write_seed(dir, s, BYTES(bytes, n));
}

/* A notification of our phone and the blob it tells of, for the way through a session. */
static void write_history(const char *dir)
{
    const json_t *v = testing_vectors("history-sync.json");
    struct bytes message = testing_hex(v, "external_message_proto");
    struct bytes blob = testing_hex(v, "history_sync_proto");
    AUTO_BUF struct buf out = {.max = 4096};
    message = BYTES(message.p + 8, message.n - 8); /* Message, ProtocolMessage, its type */
    buf_append_u8(&out, 2);
    buf_append_be(&out, 2, (uint32_t)message.n);
    buf_append(&out, message);
    buf_append_be(&out, 2, (uint32_t)blob.n);
    buf_append(&out, blob);
    write_file(dir, "history", buf_bytes(&out), 1000);
}

static void write_record(void *ctx, struct bytes seed)
{
    static unsigned count;
    write_file(ctx, "session_record", seed, count++);
}

int main(int argc, char **argv)
{
    fuzz_require(argc == 2);
    mkdir(argv[1], 0755);
    for (size_t i = 0; i < ARRAY_LEN(sources); i++)
        walk(argv[1], &sources[i], "", testing_vectors(sources[i].vectors));
    write_history(argv[1]);
    seed_records(write_record, argv[1]);
    write_file(argv[1], "script", BYTES_ARRAY(to_contact), 1);
    write_file(argv[1], "script", BYTES_ARRAY(to_group), 2);
    return 0;
}
