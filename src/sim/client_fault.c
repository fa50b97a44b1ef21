/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/client.h"
#include "sim/deflate.h"
#include "sim/server.h"
#include "wa/frame.h"

#define BOMB_BYTES (256u << 20)
#define DEEP_LEVELS 100000
#define TOKEN_IQ 0x19

/* A frame of any bytes, well encrypted. */
static void send_raw(struct sim_client *c, struct bytes plain)
{
    if (wa_frame_begin(&c->out, plain.n + 16) == 0)
        wa_cipher_seal(&c->send, plain, &c->out);
    sim_link_want_write(c->link);
}

static void send_harmless(struct sim_client *c)
{
    struct wa_node *ib;

    sim_client_ib(c, "tos", &ib);
    sim_client_send(c, ib);
}

static void do_close(struct sim_client *c)
{
    sim_client_kill(c, "fault");
}

static void do_half_open(struct sim_client *c)
{
    sim_link_freeze(c->link);
}

static void do_truncated_frame(struct sim_client *c)
{
    send_harmless(c);
    if (c->out.n > 4)
        c->out.n -= 4;
    sim_client_end(c, "fault");
}

static void do_overlong_frame(struct sim_client *c)
{
    buf_append_be(&c->out, 3, WA_FRAME_MAX);
    buf_append_text(&c->out, "no such thing follows");
    sim_link_want_write(c->link);
}

static void do_malformed_node(struct sim_client *c)
{
    static const uint8_t stanza[] = {0x00, 0xf8, 0x02, 0x6c, 0xfc, 0x10, 0xaa, 0xbb};

    send_raw(c, BYTES_ARRAY(stanza));
}

static void do_zip_bomb(struct sim_client *c)
{
    struct buf AUTO_BUF stanza;

    buf_init(&stanza, WA_FRAME_MAX);
    if (sim_deflate_bomb(&stanza, BOMB_BYTES) == 0)
        send_raw(c, buf_bytes(&stanza));
}

/* Each level: a list of tag and content, whose content is a list of one node. */
static void do_deep_node(struct sim_client *c)
{
    static const uint8_t level[] = {0xf8, 0x02, TOKEN_IQ, 0xf8, 0x01},
                         leaf[] = {0xf8, 0x01, TOKEN_IQ};
    struct buf AUTO_BUF stanza;

    buf_init(&stanza, WA_FRAME_MAX);
    buf_append_u8(&stanza, 0);
    for (int i = 0; i < DEEP_LEVELS; i++)
        buf_append(&stanza, BYTES_ARRAY(level));
    buf_append(&stanza, BYTES_ARRAY(leaf));
    send_raw(c, buf_bytes(&stanza));
}

static void do_stream_error(struct sim_client *c)
{
    if (!sim_client_last_words(c))
        sim_client_stream_error(c, c->faults.code, NULL);
}

/* Strikes at the next frame, so one is sent. */
static void do_bad_server_mac(struct sim_client *c)
{
    c->faults.left[SIM_FAULT_BAD_SERVER_MAC]++;
    send_harmless(c);
}

static void (*const at_once[SIM_FAULT_COUNT])(struct sim_client *c) = {
    [SIM_FAULT_CLOSE] = do_close,
    [SIM_FAULT_HALF_OPEN] = do_half_open,
    [SIM_FAULT_BAD_SERVER_MAC] = do_bad_server_mac,
    [SIM_FAULT_TRUNCATED_FRAME] = do_truncated_frame,
    [SIM_FAULT_OVERLONG_FRAME] = do_overlong_frame,
    [SIM_FAULT_MALFORMED_NODE] = do_malformed_node,
    [SIM_FAULT_ZIP_BOMB] = do_zip_bomb,
    [SIM_FAULT_DEEP_NODE] = do_deep_node,
    [SIM_FAULT_STREAM_ERROR] = do_stream_error,
};

void sim_client_faults(struct sim_client *c)
{
    for (int i = 0; i < SIM_FAULT_COUNT; i++) {
        enum sim_fault f = (enum sim_fault)i;

        if (c->phase != SIM_PHASE_UNPAIRED && c->phase != SIM_PHASE_LINKED)
            return;
        if (at_once[f] && sim_fault_take(&c->faults, f))
            at_once[f](c);
    }
}
