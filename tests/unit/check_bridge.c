/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE /* memmem */
#include "testing.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "bridge/bridge.h"
#include "bridge/bridge_internal.h"
#include "bridge/lifecycle.h"
#include "bridge/notify.h"
#include "bridge/policy.h"
#include "bridge/records.h"
#include "bridge/seal.h"

/* ---- lifecycle ------------------------------------------------------------------------------ */

/*
 * The table once more, by hand: one line per event, one letter per state in the order starting,
 * connecting, pairing, passkey, confirm, paused, held, online, retrying, logged_out, replaced,
 * banned, refused, updating, outdated, stopped. A letter is the next state (S C P K M U H O R L D B
 * F N V X),
 * '.' nothing; below it the action (d dial, r retry, w wait, u update, f forget, h halt).
 */
static const struct {
    const char *event, *next, *action;
} cells[] = {
    {"start", "C...............", "d..............."},
    {"qr", ".PP.....P.......", "................"},
    {"passkey", "..KK............", "................"},
    {"confirm", "...M............", "................"},
    {"paired", "..CCC...........", "................"},
    {"connected", ".O......O.......", "................"},
    {"restart", ".CCCC..CC.......", ".dddd..dd......."},
    {"expired", "..C.............", "..d............."},
    {"pause", "..UUU...........", "..www..........."},
    {"passkey_failed", "..CCC...........", "..ddd..........."},
    {"give_up", "..HHH...........", "..hhh..........."},
    {"unconfirmed", ".C......C.......", ".f......f......."},
    {"lost", ".RRRR..RR.......", ".rrrr..rr......."},
    {"logged_out", ".LLLL..LL.......", ".hhhh..hh......."},
    {"replaced", ".DDDD..DD.......", ".hhhh..hh......."},
    {"banned", "BBBBB..BB.......", "wwwww..ww......."},
    {"refused", ".FFFF..FF.......", ".hhhh..hh......."},
    {"outdated", ".NNNN..NN.......", ".uuuu..uu......."},
    {"newer", ".............C..", ".............d.."},
    {"none_newer", ".............V..", ".............w.."},
    {"timer", ".....C..R..C..C.", ".....d..d..d..d."},
    {"reload", "........R.C.CCC.", "........d.d.ddd."},
    {"pair", ".....CC..CCCC...", ".....dd..ffff..."},
    {"stop", "XXXXXXXXXXXXXXX.", "................"},
};
static const char letters[] = "SCPKMUHORLDBFNVX";

static char action_letter(enum bridge_action action)
{
    return action == BRIDGE_DO_NOTHING ? '.' : bridge_action_name(action)[0];
}

START_TEST(test_lifecycle_step_every_cell_as_written_down)
{
    ck_assert_uint_eq(ARRAY_LEN(cells), BRIDGE_EVENT_COUNT);
    ck_assert_uint_eq(sizeof(letters) - 1, BRIDGE_STATE_COUNT);
    for (int e = 0; e < BRIDGE_EVENT_COUNT; e++) {
        ck_assert_str_eq(bridge_event_name((enum bridge_event)e), cells[e].event);
        for (int s = 0; s < BRIDGE_STATE_COUNT; s++) {
            struct bridge_transition t =
                bridge_lifecycle_step((enum bridge_state)s, (enum bridge_event)e);
            char next = t.listed ? letters[t.next] : '.';
            ck_assert_msg(next == cells[e].next[s], "%s on %s leads to %c, not %c",
                          bridge_state_name((enum bridge_state)s), cells[e].event, next,
                          cells[e].next[s]);
            ck_assert_msg(action_letter(t.action) == cells[e].action[s], "%s on %s does %s",
                          bridge_state_name((enum bridge_state)s), cells[e].event,
                          bridge_action_name(t.action));
            if (!t.listed)
                ck_assert_int_eq((int)t.next, s);
        }
    }
}
END_TEST

START_TEST(test_lifecycle_step_from_start_reaches_every_state)
{
    bool reached[BRIDGE_STATE_COUNT] = {[BRIDGE_STARTING] = true};
    for (int round = 0; round < BRIDGE_STATE_COUNT; round++)
        for (int s = 0; s < BRIDGE_STATE_COUNT; s++)
            for (int e = 0; reached[s] && e < BRIDGE_EVENT_COUNT; e++)
                reached[bridge_lifecycle_step((enum bridge_state)s, (enum bridge_event)e).next] =
                    true;
    for (int s = 0; s < BRIDGE_STATE_COUNT; s++)
        ck_assert_msg(reached[s], "%s is never reached", bridge_state_name((enum bridge_state)s));
}
END_TEST

START_TEST(test_lifecycle_step_of_each_waiting_state_has_a_way_out)
{
    static const enum bridge_event ways[] = {BRIDGE_ON_TIMER, BRIDGE_ON_RELOAD, BRIDGE_ON_PAIR};
    for (int s = 0; s < BRIDGE_STATE_COUNT; s++) {
        if (strcmp(bridge_state_status((enum bridge_state)s), "ERROR") != 0 && s != BRIDGE_PAUSED &&
            s != BRIDGE_HELD)
            continue;
        bool out = false;
        for (size_t w = 0; w < ARRAY_LEN(ways); w++)
            out = out || bridge_lifecycle_step((enum bridge_state)s, ways[w]).listed;
        ck_assert_msg(out, "%s cannot be left", bridge_state_name((enum bridge_state)s));
    }
}
END_TEST

START_TEST(test_lifecycle_of_close_each_reason_is_its_event)
{
    static const struct {
        enum wa_close why;
        enum bridge_event event;
    } cases[] = {
        {WA_CLOSE_RESTART, BRIDGE_ON_RESTART},
        {WA_CLOSE_STREAM_END, BRIDGE_ON_LOST},
        {WA_CLOSE_HANDSHAKE, BRIDGE_ON_LOST},
        {WA_CLOSE_PROTOCOL, BRIDGE_ON_LOST},
        {WA_CLOSE_TIMEOUT, BRIDGE_ON_LOST},
        {WA_CLOSE_PAIRING_TIMEOUT, BRIDGE_ON_EXPIRED},
        {WA_CLOSE_PAIRING_REFUSED, BRIDGE_ON_LOST},
        {WA_CLOSE_PASSKEY, BRIDGE_ON_PASSKEY_FAILED},
        {WA_CLOSE_UNCONFIRMED, BRIDGE_ON_UNCONFIRMED},
        {WA_CLOSE_LOGGED_OUT, BRIDGE_ON_LOGGED_OUT},
        {WA_CLOSE_REPLACED, BRIDGE_ON_REPLACED},
        {WA_CLOSE_BANNED, BRIDGE_ON_BANNED},
        {WA_CLOSE_LOCKED, BRIDGE_ON_LOGGED_OUT},
        {WA_CLOSE_VERSION, BRIDGE_ON_OUTDATED},
        {WA_CLOSE_REFUSED, BRIDGE_ON_REFUSED},
        {WA_CLOSE_SERVER, BRIDGE_ON_LOST},
        {WA_CLOSE_RATE, BRIDGE_ON_LOST},
        {WA_CLOSE_STORE, BRIDGE_ON_LOST},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        ck_assert_int_eq(bridge_lifecycle_of_close(cases[i].why), cases[i].event);
}
END_TEST

START_TEST(test_restriction_left_whatever_the_clock_says)
{
    const int64_t begin = 1780000000000, hour = 3600000, years = 300000000000;
    ck_assert_int_eq(bridge_restriction_left_ms(begin, hour, begin), hour);
    ck_assert_int_eq(bridge_restriction_left_ms(begin, hour, begin + hour - 1), 1);
    ck_assert_int_eq(bridge_restriction_left_ms(begin, hour, begin + hour), 0);
    ck_assert_int_eq(bridge_restriction_left_ms(begin, hour, begin + years), 0);
    ck_assert_int_eq(bridge_restriction_left_ms(begin, hour, begin - years), hour);
    ck_assert_int_eq(bridge_restriction_left_ms(begin, 0, begin), 0);
    ck_assert_int_eq(bridge_restriction_left_ms(begin, -1, begin - years), 0);
}
END_TEST

START_TEST(test_version_url_of_whatsapp_alone_unless_it_is_set)
{
    static const char own[] = "https://web.whatsapp.com/sw.js";
    static const struct {
        const char *endpoint, *version_url, *want;
    } cases[] = {
        {"wss://web.whatsapp.com/ws/chat", "", own},
        {"wss://web.whatsapp.com:5222/ws/chat", "", own},
        {"wss://web.whatsapp.com", "", own},
        {"wss://web.whatsapp.com.example/ws/chat", "", NULL},
        {"wss://other.example/web.whatsapp.com", "", NULL},
        {"ws://127.0.0.1:4000/ws/chat", "", NULL},
        {"wss://web.whatsapp.com/ws/chat", "none", NULL},
        {"ws://127.0.0.1:4000/ws/chat", "http://127.0.0.1:1/x", "http://127.0.0.1:1/x"},
    };
    static struct config c;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(c.endpoint, sizeof(c.endpoint), "%s", cases[i].endpoint);
        snprintf(c.version_url, sizeof(c.version_url), "%s", cases[i].version_url);
        ck_assert_pstr_eq(bridge_version_url(&c), cases[i].want);
    }
}
END_TEST

START_TEST(test_state_lasts_what_is_no_station_of_a_start)
{
    for (int s = 0; s < BRIDGE_STATE_COUNT; s++) {
        bool station = s == BRIDGE_STARTING || s == BRIDGE_CONNECTING || s == BRIDGE_PAIRING;
        ck_assert_int_eq(bridge_state_lasts((enum bridge_state)s), !station);
    }
}
END_TEST

START_TEST(test_lifecycle_print_stands_in_the_documentation)
{
    const char *dir = getenv("DOCS_DIR");
    char path[1024];
    struct buf want = {.max = 1 << 20}, have = {.max = 1 << 20};
    snprintf(path, sizeof(path), "%s/lifecycle.md", dir ? dir : "docs");
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s cannot be read", path);
    have.n = fread(buf_reserve(&have, 1 << 16), 1, 1 << 16, f);
    fclose(f);
    bridge_lifecycle_print(&want);
    ck_assert_msg(strstr(buf_text(&have), buf_text(&want)) != NULL,
                  "%s does not hold this table:\n%s", path, buf_text(&want));
    buf_deinit(&want);
    buf_deinit(&have);
}
END_TEST

/* ---- policy --------------------------------------------------------------------------------- */

START_TEST(test_backoff_ms_full_jitter_within_growing_bounds)
{
    static const struct {
        int attempt;
        int64_t initial, max, ceiling;
    } cases[] = {
        {1, 1000, 300000, 1000},
        {2, 1000, 300000, 2000},
        {3, 1000, 300000, 4000},
        {9, 1000, 300000, 256000},
        {10, 1000, 300000, 300000},
        {1000000, 1000, 300000, 300000},
        {1, 10, 10, 10},
        {5, 10, 10, 10},
        {40, 1, 86400000, 86400000},
        {1, 5000, 1000, 1000},
        {0, 1000, 300000, 1000},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t low = bridge_backoff_ms(cases[i].attempt, cases[i].initial, cases[i].max, 0);
        int64_t middle =
            bridge_backoff_ms(cases[i].attempt, cases[i].initial, cases[i].max, UINT32_C(1) << 31);
        int64_t high =
            bridge_backoff_ms(cases[i].attempt, cases[i].initial, cases[i].max, UINT32_MAX);
        ck_assert_int_eq(low, 1);
        ck_assert_int_eq(middle, cases[i].ceiling / 2 + 1);
        ck_assert_int_eq(high, cases[i].ceiling);
    }
}
END_TEST

static struct config defaults(void)
{
    return (struct config){.replies_enabled = true,
                           .max_reply_age_s = 600,
                           .rate_limit_max_per_minute = 3,
                           .rate_limit_warning = "Please wait."};
}

START_TEST(test_answer_decide_only_fresh_text_of_customers)
{
    static const struct {
        struct bridge_asked asked;
        enum bridge_answer want;
    } cases[] = {
        {{WA_KIND_TEXT, true, false, false, 0}, BRIDGE_ANSWER},
        {{WA_KIND_TEXT, true, false, false, -30}, BRIDGE_ANSWER},
        {{WA_KIND_TEXT, true, false, false, 600}, BRIDGE_ANSWER},
        {{WA_KIND_TEXT, true, false, false, 601}, BRIDGE_SILENT_OLD},
        {{WA_KIND_TEXT, false, false, false, 0}, BRIDGE_SILENT_EMPTY},
        {{WA_KIND_TEXT, true, true, false, 0}, BRIDGE_SILENT_OWN},
        {{WA_KIND_TEXT, true, false, true, 0}, BRIDGE_SILENT_GROUP},
        {{WA_KIND_IMAGE, true, false, false, 0}, BRIDGE_ANSWER},
        {{WA_KIND_IMAGE, false, false, false, 0}, BRIDGE_SILENT_EMPTY},
        {{WA_KIND_BUTTON, true, false, false, 0}, BRIDGE_ANSWER},
        {{WA_KIND_REACTION, true, false, false, 0}, BRIDGE_SILENT_KIND},
        {{WA_KIND_EDIT, true, false, false, 0}, BRIDGE_SILENT_KIND},
        {{WA_KIND_REVOKE, false, false, false, 0}, BRIDGE_SILENT_KIND},
        {{WA_KIND_POLL, true, false, false, 0}, BRIDGE_SILENT_KIND},
        {{WA_KIND_VOICE, false, false, false, 0}, BRIDGE_SILENT_KIND},
        {{WA_KIND_PLACEHOLDER, false, false, false, 0}, BRIDGE_SILENT_KIND},
        {{WA_KIND_UNDECRYPTABLE, false, false, false, 0}, BRIDGE_SILENT_KIND},
        {{WA_KIND_OTHER, true, false, false, 0}, BRIDGE_SILENT_KIND},
    };
    struct config c = defaults();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        ck_assert_msg(bridge_answer_decide(&cases[i].asked, &c) == cases[i].want, "case %zu: %s", i,
                      bridge_answer_name(bridge_answer_decide(&cases[i].asked, &c)));
}
END_TEST

START_TEST(test_handed_over_until_released_or_over)
{
    const int64_t at = 1700000000000;
    ck_assert(!bridge_handed_over(0, 60, at));
    ck_assert(!bridge_handed_over(0, 0, at));
    ck_assert(bridge_handed_over(at, 60, at));
    ck_assert(bridge_handed_over(at, 60, at + 59999));
    ck_assert(!bridge_handed_over(at, 60, at + 60000));
    ck_assert(bridge_handed_over(at, 0, at + 1000000000000));
    ck_assert(bridge_handed_over(at, 60, at - 5000)); /* the clock was set back */
}
END_TEST

START_TEST(test_answer_decide_switches_are_obeyed)
{
    const struct bridge_asked user = {WA_KIND_TEXT, true, false, false, 0};
    const struct bridge_asked group = {WA_KIND_TEXT, true, false, true, 0};
    struct config c = defaults();
    c.replies_groups = true;
    ck_assert_int_eq(bridge_answer_decide(&group, &c), BRIDGE_ANSWER);
    c.replies_enabled = false;
    ck_assert_int_eq(bridge_answer_decide(&user, &c), BRIDGE_SILENT_OFF);
}
END_TEST

START_TEST(test_chat_decide_each_guard_and_its_edge)
{
    struct config c = {.replies_cooldown_s = 10, .replies_daily_cap = 3, .ping_pong_silence_s = 60};
    static const struct {
        struct bridge_chat chat;
        enum bridge_answer want;
    } cases[] = {
        {{.now = 100000}, BRIDGE_ANSWER},
        {{.now = 100000, .last_reply_at = 90001}, BRIDGE_SILENT_COOLDOWN},
        {{.now = 100000, .last_reply_at = 90000}, BRIDGE_ANSWER},
        {{.now = 100000, .replies_in_day = 2}, BRIDGE_ANSWER},
        {{.now = 100000, .replies_in_day = 3}, BRIDGE_SILENT_CAP},
        {{.now = 100000, .ping_pong_at = 40001}, BRIDGE_SILENT_BOT},
        {{.now = 100000, .ping_pong_at = 40000}, BRIDGE_ANSWER},
        {{.now = 100000, .ping_pong_at = 99999, .replies_in_day = 9}, BRIDGE_SILENT_BOT},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        ck_assert_msg(bridge_chat_decide(&cases[i].chat, &c) == cases[i].want, "case %zu", i);
    c = (struct config){.ping_pong_silence_s = 60};
    const struct bridge_chat busy = {.now = 100000, .last_reply_at = 99999, .replies_in_day = 500};
    ck_assert_int_eq(bridge_chat_decide(&busy, &c), BRIDGE_ANSWER); /* both guards off */
}
END_TEST

/* Newest first; "I" theirs, "O" ours, "M" the owner's. */
static bool plays(const char *who, const char *const *texts, int64_t apart_ms,
                  const struct config *c)
{
    struct bridge_turn turns[16];
    size_t n = strlen(who), in = 0;
    for (size_t i = 0; i < n; i++)
        turns[i] = (struct bridge_turn){.out = who[i] == 'O',
                                        .from_me = who[i] != 'I',
                                        .at = 1000000 - (int64_t)i * apart_ms,
                                        .text = bytes_text(who[i] == 'O' ? "ours" : texts[in++])};
    return bridge_is_ping_pong(turns, n, c);
}

START_TEST(test_is_ping_pong_only_same_texts_in_turns_and_in_time)
{
    static const char *const same[] = {"Ticket #17 received.", "ticket 16 received", "Ticket #15",
                                       "TICKET 14 received"};
    static const char *const menu[] = {"1", "2", "1", "3"};
    static const char *const ones[] = {"1", "1", "1", "1"};
    static const char *const numbered[] = {"order 1", "order 2", "order 3", "order 4"};
    static const char *const bot[] = {"Karibu!", "Karibu.", "karibu", "Karibu"};
    struct config c = {.ping_pong_messages = 3, .ping_pong_window_s = 60};
    ck_assert(plays("IOIOI", bot, 1000, &c));
    ck_assert(plays("IOIOIO", bot, 1000, &c));
    ck_assert(plays("IOIOI", ones, 1000, &c));
    ck_assert(plays("IOIOI", bot, 15000, &c));
    ck_assert(!plays("IOIOI", bot, 15001, &c)); /* the first is too long ago */
    ck_assert(!plays("IOIO", bot, 1000, &c));
    ck_assert(!plays("IOIOI", same, 1000, &c)); /* the third says something else */
    ck_assert(!plays("IOIOIOI", menu, 1000, &c));
    ck_assert(!plays("IOIOIOI", numbered, 1000, &c));
    ck_assert(!plays("IIIOI", bot, 1000, &c)); /* a person who insists */
    ck_assert(!plays("IOMOI", bot, 1000, &c)); /* the owner is there */
    c.ping_pong_messages = 0;
    ck_assert(!plays("IOIOI", bot, 1000, &c));
}
END_TEST

START_TEST(test_overflow_decide_one_polite_word_a_minute)
{
    struct config c = {.queue_per_chat = 2, .replies_wait_text = "Please wait."};
    ck_assert_int_eq(bridge_overflow_decide(&c, 1, 100000, 0), BRIDGE_OVERFLOW_NONE);
    ck_assert_int_eq(bridge_overflow_decide(&c, 2, 100000, 0), BRIDGE_OVERFLOW_WAIT);
    ck_assert_int_eq(bridge_overflow_decide(&c, 3, 100000, 99000), BRIDGE_OVERFLOW_DROP);
    ck_assert_int_eq(bridge_overflow_decide(&c, 2, 100000, 40001), BRIDGE_OVERFLOW_DROP);
    ck_assert_int_eq(bridge_overflow_decide(&c, 2, 100000, 40000), BRIDGE_OVERFLOW_WAIT);
    c.replies_wait_text[0] = '\0';
    ck_assert_int_eq(bridge_overflow_decide(&c, 2, 100000, 0), BRIDGE_OVERFLOW_DROP);
}
END_TEST

START_TEST(test_typing_ms_grows_with_the_text_up_to_the_maximum)
{
    struct config c = {.delay_min_ms = 1000, .delay_max_ms = 5000};
    ck_assert_int_eq(bridge_typing_ms(&c, 0), 1000);
    ck_assert_int_eq(bridge_typing_ms(&c, 200), 3000);
    ck_assert_int_eq(bridge_typing_ms(&c, 400), 5000);
    ck_assert_int_eq(bridge_typing_ms(&c, 65536), 5000);
    c.delay_max_ms = 10;
    ck_assert_int_eq(bridge_typing_ms(&c, 400), 1000);
    c.delay_min_ms = c.delay_max_ms = 0;
    ck_assert_int_eq(bridge_typing_ms(&c, 400), 0);
}
END_TEST

START_TEST(test_outbox_gap_ms_jitters_around_the_mean)
{
    struct config c = {.outbox_max_per_minute = 30};
    ck_assert_int_eq(bridge_outbox_gap_ms(&c, 0), 1000);
    ck_assert_int_eq(bridge_outbox_gap_ms(&c, UINT32_C(1) << 31), 2000);
    ck_assert_int_eq(bridge_outbox_gap_ms(&c, UINT32_MAX), 2999);
    c.outbox_max_per_minute = 0;
    ck_assert_int_eq(bridge_outbox_gap_ms(&c, UINT32_MAX), 0);
}
END_TEST

START_TEST(test_rate_decide_one_warning_then_silence)
{
    struct config c = defaults();
    ck_assert_int_eq(bridge_rate_decide(&c, 0, 0), BRIDGE_RATE_SEND);
    ck_assert_int_eq(bridge_rate_decide(&c, 2, 1), BRIDGE_RATE_SEND);
    ck_assert_int_eq(bridge_rate_decide(&c, 3, 0), BRIDGE_RATE_WARN);
    ck_assert_int_eq(bridge_rate_decide(&c, 3, 1), BRIDGE_RATE_DROP);
    ck_assert_int_eq(bridge_rate_decide(&c, 900, 1), BRIDGE_RATE_DROP);
    c.rate_limit_warning[0] = '\0';
    ck_assert_int_eq(bridge_rate_decide(&c, 3, 0), BRIDGE_RATE_DROP);
    c.rate_limit_max_per_minute = 0;
    ck_assert_int_eq(bridge_rate_decide(&c, 1000000, 9), BRIDGE_RATE_SEND);
}
END_TEST

START_TEST(test_refusal_text_each_code_has_a_sentence)
{
    static const unsigned codes[] = {400, 401, 403, 404, 406, 408, 421,
                                     429, 463, 475, 479, 500, 503};
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        ck_assert_str_ne(bridge_refusal_text(codes[i]), bridge_refusal_text(999));
    ck_assert_uint_gt(strlen(bridge_refusal_text(999)), 0);
}
END_TEST

START_TEST(test_resend_after_only_temporary_errors_are_tried_again)
{
    static const unsigned final[] = {400, 403, 404, 406, 421, 463, 475, 479, 487};
    bool account;
    for (size_t i = 0; i < ARRAY_LEN(final); i++)
        ck_assert_int_eq(bridge_resend_after(final[i], 1, &account), -1);
    static const unsigned temporary[] = {0, 408, 500, 503};
    for (size_t i = 0; i < ARRAY_LEN(temporary); i++) {
        ck_assert_int_eq(bridge_resend_after(temporary[i], 1, &account), 5000);
        ck_assert(!account);
        ck_assert_int_eq(bridge_resend_after(temporary[i], 3, &account), 20000);
        ck_assert_int_eq(bridge_resend_after(temporary[i], BRIDGE_SEND_ATTEMPTS_MAX, &account), -1);
    }
    ck_assert_int_ge(bridge_resend_after(429, 1, &account), 60000);
    ck_assert(account);
}
END_TEST

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    ck_assert(f != NULL);
    fputs(text, f);
    fclose(f);
}

/* ---- records -------------------------------------------------------------------------------- */

static int open_sealed(struct bridge_records **out, const char *dir, const char *key_file,
                       const char *old_key_file, struct err *err)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/keys.db", dir);
    return bridge_records_open(out, path, key_file, old_key_file, err);
}

static struct bridge_records *open_records(const char *dir)
{
    struct bridge_records *r = NULL;
    struct err err = {0};
    ck_assert_msg(open_sealed(&r, dir, "", "", &err) == 0, "%s", err.text);
    return r;
}

static int get(const struct wa_host *h, enum wa_table table, const char *key, char out[64])
{
    struct buf value = {.max = 63};
    int rc = h->get(h->ctx, table, key, &value);
    bytes_copy_text(buf_bytes(&value), out, 64);
    buf_deinit(&value);
    return rc;
}

START_TEST(test_records_host_keeps_tables_apart_and_survives_a_commit)
{
    const char *dir = testing_dir();
    struct bridge_records *k = open_records(dir);
    struct wa_host h = bridge_records_host(k);
    char value[64];
    for (int t = 0; t < WA_TABLE_COUNT; t++) {
        char text[32];
        snprintf(text, sizeof(text), "value %d", t);
        ck_assert_int_eq(h.put(h.ctx, (enum wa_table)t, "same", bytes_text(text)), 0);
    }
    ck_assert_int_eq(store_keys_commit(bridge_records_store(k), NULL), 0);
    ck_assert_int_eq(h.put(h.ctx, WA_TABLE_SESSION, "same", bytes_text("lost")), 0);
    bridge_records_close(k);

    k = open_records(dir);
    h = bridge_records_host(k);
    for (int t = 0; t < WA_TABLE_COUNT; t++) {
        char text[32];
        snprintf(text, sizeof(text), "value %d", t);
        ck_assert_int_eq(get(&h, (enum wa_table)t, "same", value), 1);
        ck_assert_str_eq(value, text);
    }
    bridge_records_close(k);
}
END_TEST

START_TEST(test_records_host_deletes_by_key_and_prefix)
{
    struct bridge_records *k = open_records(testing_dir());
    struct wa_host h = bridge_records_host(k);
    char value[64];
    ck_assert_int_eq(h.put(h.ctx, WA_TABLE_SESSION, "4915_1:0", bytes_text("a")), 0);
    ck_assert_int_eq(h.put(h.ctx, WA_TABLE_SESSION, "4915_1:7", bytes_text("b")), 0);
    ck_assert_int_eq(h.put(h.ctx, WA_TABLE_SESSION, "4915:0", bytes_text("c")), 0);
    ck_assert_int_eq(h.del_prefix(h.ctx, WA_TABLE_SESSION, "4915_1:"), 0);
    ck_assert_int_eq(get(&h, WA_TABLE_SESSION, "4915_1:0", value), 0);
    ck_assert_int_eq(get(&h, WA_TABLE_SESSION, "4915_1:7", value), 0);
    ck_assert_int_eq(get(&h, WA_TABLE_SESSION, "4915:0", value), 1);
    ck_assert_int_eq(h.del(h.ctx, WA_TABLE_SESSION, "4915:0"), 0);
    ck_assert_int_eq(h.del(h.ctx, WA_TABLE_SESSION, "4915:0"), 0);
    ck_assert_int_eq(get(&h, WA_TABLE_SESSION, "4915:0", value), 0);
    bridge_records_close(k);
}
END_TEST

START_TEST(test_records_same_user_knows_both_addresses_of_one_person)
{
    struct bridge_records *k = open_records(testing_dir());
    struct wa_host h = bridge_records_host(k);
    struct wa_jid pn = wa_jid_make(WA_SERVER_PN, "4915112345678", 0);
    struct wa_jid lid = wa_jid_make(WA_SERVER_LID, "98765", 0);
    struct wa_jid other = wa_jid_make(WA_SERVER_LID, "98766", 0);
    ck_assert(!bridge_records_same_user(&h, &pn, &lid));
    ck_assert_int_eq(h.put(h.ctx, WA_TABLE_LID_OF_PN, pn.user, bytes_text(lid.user)), 0);
    ck_assert(bridge_records_same_user(&h, &pn, &lid));
    ck_assert(bridge_records_same_user(&h, &lid, &pn));
    ck_assert(bridge_records_same_user(&h, &lid, &lid));
    ck_assert(!bridge_records_same_user(&h, &pn, &other));
    ck_assert(!bridge_records_same_user(&h, &other, &lid));
    bridge_records_close(k);
}
END_TEST

/* ---- sealed records ------------------------------------------------------------------------- */

static const char *key_path(const char *dir, const char *name)
{
    static char paths[32][600];
    static size_t next;
    char *path = paths[next++ % 32];
    snprintf(path, 600, "%s/%s", dir, name);
    return path;
}

static const char *write_key(const char *dir, const char *name, char digit)
{
    const char *path = key_path(dir, name);
    char text[66];
    memset(text, digit, 64);
    memcpy(text + 64, "\n", 2);
    write_file(path, text);
    return path;
}

/* Whether the text stands anywhere in keys.db or its log. */
static bool on_disk(const char *dir, const char *text)
{
    static const char *const names[] = {"keys.db", "keys.db-wal"};
    static char content[1 << 20];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        FILE *f = fopen(key_path(dir, names[i]), "r");
        size_t n = f ? fread(content, 1, sizeof(content), f) : 0;
        if (f)
            fclose(f);
        if (n > 0 && memmem(content, n, text, strlen(text)) != NULL)
            return true;
    }
    return false;
}

/* Opens, reads the one record, closes. */
static void assert_opens(const char *dir, const char *key_file, const char *old_key_file)
{
    struct bridge_records *r = NULL;
    struct err err = {0};
    char value[64];
    ck_assert_msg(open_sealed(&r, dir, key_file, old_key_file, &err) == 0, "%s", err.text);
    struct wa_host h = bridge_records_host(r);
    ck_assert_int_eq(get(&h, WA_TABLE_SESSION, "a", value), 1);
    ck_assert_str_eq(value, "canary of a ratchet");
    bridge_records_close(r);
}

static void assert_refused(const char *dir, const char *key_file, const char *old_key_file,
                           const char *words)
{
    struct bridge_records *r = NULL;
    struct err err = {0};
    ck_assert_int_eq(open_sealed(&r, dir, key_file, old_key_file, &err), ERR_CONFIG);
    ck_assert_ptr_null(r);
    ck_assert_msg(strstr(err.text, words) != NULL, "%s", err.text);
}

static void write_record(const char *dir, const char *key_file)
{
    struct bridge_records *r = NULL;
    struct err err = {0};
    ck_assert_msg(open_sealed(&r, dir, key_file, "", &err) == 0, "%s", err.text);
    struct wa_host h = bridge_records_host(r);
    ck_assert_int_eq(h.put(h.ctx, WA_TABLE_SESSION, "a", bytes_text("canary of a ratchet")), 0);
    ck_assert_int_eq(store_keys_commit(bridge_records_store(r), NULL), 0);
    bridge_records_close(r);
}

START_TEST(test_seal_open_vector_of_another_implementation)
{
    json_t *v = testing_vectors("seal.json");
    const char *dir = testing_dir();
    const char *path = key_path(dir, "key");
    struct bridge_seal seal;
    struct buf out = {.max = 100};
    write_file(path, testing_text(v, "file_hex"));
    ck_assert_int_eq(bridge_seal_init(&seal, path, NULL), 0);
    struct bytes sealed = testing_hex(v, "sealed");
    ck_assert_int_eq(
        bridge_seal_open(&seal, testing_text(v, "table"), testing_text(v, "key"), sealed, &out), 0);
    ck_assert(bytes_is(buf_bytes(&out), testing_text(v, "plain")));
    for (size_t n = 0; n < sealed.n; n++)
        ck_assert_int_eq(bridge_seal_open(&seal, "session", "4915_1:0", BYTES(sealed.p, n), &out),
                         ERR_AUTH);
    ck_assert_int_eq(bridge_seal_open(&seal, "session", "4915_2:0", sealed, &out), ERR_AUTH);
    ck_assert_int_eq(bridge_seal_open(&seal, "prekey", "4915_1:0", sealed, &out), ERR_AUTH);
    buf_deinit(&out);
    bridge_seal_deinit(&seal);
    ck_assert(!seal.on && seal.key[0] == 0 && seal.key[31] == 0);
}
END_TEST

START_TEST(test_seal_init_other_files_are_refused)
{
    static const char *const contents[] = {"",
                                           "abc",
                                           "0123456789012345678901234567890",
                                           "zz",
                                           "000000000000000000000000000000000000000000000000"
                                           "00000000000000000",
                                           "g000000000000000000000000000000000000000000000000000000"
                                           "000000000"};
    const char *dir = testing_dir(), *path = key_path(dir, "key");
    struct bridge_seal seal;
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
        write_file(path, contents[i]);
        ck_assert_int_eq(bridge_seal_init(&seal, path, &err), ERR_CONFIG);
        ck_assert(strstr(err.text, path) != NULL);
    }
    ck_assert_int_eq(bridge_seal_init(&seal, dir, &err), ERR_CONFIG);
    path = key_path(dir, "fifo");
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(bridge_seal_init(&seal, path, &err), ERR_CONFIG);
    ck_assert_int_eq(bridge_seal_init(&seal, key_path(dir, "none"), &err), ERR_CONFIG);
    path = key_path(dir, "raw");
    write_file(path, "0123456789abcdef0123456789abcde\n");
    ck_assert_int_eq(bridge_seal_init(&seal, path, &err), 0);
    ck_assert(seal.on);
}
END_TEST

START_TEST(test_records_open_sealed_leaves_nothing_plain_and_wants_its_key)
{
    const char *dir = testing_dir(), *key = write_key(dir, "key", '1');
    write_record(dir, key);
    ck_assert(!on_disk(dir, "canary"));
    assert_opens(dir, key, "");
    assert_refused(dir, "", "", "private.key_file must name");
    assert_refused(dir, write_key(dir, "wrong", '2'), "", "another key");
    assert_refused(dir, key_path(dir, "missing"), "", "missing");
    assert_opens(dir, key, "");
}
END_TEST

START_TEST(test_records_open_plain_with_key_is_sealed_for_good)
{
    const char *dir = testing_dir(), *key = write_key(dir, "key", '1');
    write_record(dir, "");
    ck_assert(on_disk(dir, "canary"));
    assert_opens(dir, key, "");
    ck_assert(!on_disk(dir, "canary"));
    assert_refused(dir, "", "", "private.key_file must name");
}
END_TEST

START_TEST(test_records_open_old_key_rotates_and_unseals)
{
    const char *dir = testing_dir(), *first = write_key(dir, "first", '1'),
               *second = write_key(dir, "second", '2');
    write_record(dir, first);
    assert_opens(dir, second, first);
    assert_opens(dir, second, "");
    assert_refused(dir, first, "", "another key");
    assert_opens(dir, second, first); /* left in the configuration, it does no harm */
    assert_opens(dir, "", second);
    ck_assert(on_disk(dir, "canary"));
    assert_opens(dir, "", "");
}
END_TEST

START_TEST(test_records_get_value_moved_to_another_key_is_refused)
{
    const char *dir = testing_dir(), *key = write_key(dir, "key", '1');
    struct bridge_records *r;
    struct buf sealed = {.max = 1000};
    char value[64];
    write_record(dir, key);
    ck_assert_int_eq(open_sealed(&r, dir, key, "", NULL), 0);
    struct store_keys *k = bridge_records_store(r);
    struct wa_host h = bridge_records_host(r);
    ck_assert_int_eq(store_keys_get(k, WA_TABLE_SESSION, "a", &sealed), 1);
    ck_assert_int_eq(store_keys_put(k, WA_TABLE_SESSION, "b", buf_bytes(&sealed)), 0);
    ck_assert_int_eq(get(&h, WA_TABLE_SESSION, "a", value), 1);
    ck_assert_int_eq(get(&h, WA_TABLE_SESSION, "b", value), ERR_STORE);
    buf_deinit(&sealed);
    bridge_records_close(r);
}
END_TEST

/* ---- a whole process, without a server ------------------------------------------------------ */

static const char *no_env(const char *name)
{
    (void)name;
    return NULL;
}

/* A configuration whose server is a port where nobody listens. */
static struct config offline_config(const char *dir, const char *more)
{
    struct config c;
    struct config_report report = {0};
    char path[600], text[2048];
    snprintf(path, sizeof(path), "%s/wabridge.yaml", dir);
    snprintf(text, sizeof(text),
             "tenant: {id: acme}\nvolume: {path: %s/volume}\nprivate: {path: %s/private}\n"
             "whatsapp: {endpoint: 'ws://127.0.0.1:9/ws/chat'}\nheartbeat: {interval_ms: 100}\n%s",
             dir, dir, more);
    write_file(path, text);
    ck_assert_msg(config_load(&c, path, no_env, &report) == 0, "%s", buf_text(&report.text));
    config_report_deinit(&report);
    return c;
}

static pid_t start(const struct config *c)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid > 0)
        return pid;
    int null = open("/dev/null", O_WRONLY);
    dup2(null, STDERR_FILENO);
    _exit(bridge_run(c, no_env, true));
}

/* Text at a path of state.json, "" when there is none yet; borrowed until the next call. */
static const char *state_text(const char *dir, const char *path)
{
    static char out[512];
    char name[600], text[16384];
    struct json_doc *doc;
    out[0] = '\0';
    snprintf(name, sizeof(name), "%s/volume/state.json", dir);
    FILE *f = fopen(name, "r");
    if (!f)
        return out;
    size_t n = fread(text, 1, sizeof(text), f);
    fclose(f);
    if (json_doc_open(&doc, BYTES(text, n), NULL) < 0)
        return out;
    snprintf(out, sizeof(out), "%s", json_text(json_root(doc), path, ""));
    json_doc_close(doc);
    return out;
}

static void wait_for_state(const char *dir, const char *path, const char *want)
{
    int64_t until = clock_mono_ms() + 5000;
    while (strcmp(state_text(dir, path), want) != 0) {
        ck_assert_msg(clock_mono_ms() < until, "%s did not become %s but %s", path, want,
                      state_text(dir, path));
        usleep(5000);
    }
}

static int exit_code(pid_t pid)
{
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

static void touch(const char *dir, const char *name)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/volume/control/%s", dir, name);
    write_file(path, "");
}

START_TEST(test_run_without_server_retries_and_stops_at_once_on_request)
{
    const char *dir = testing_dir();
    struct config c = offline_config(dir, "");
    pid_t pid = start(&c);
    wait_for_state(dir, "last_error.code", "not_reached");
    ck_assert_str_eq(state_text(dir, "status"), "ERROR");
    ck_assert_str_eq(state_text(dir, "session.state"), "DISCONNECTED");
    int64_t asked = clock_mono_ms();
    touch(dir, "stop");
    ck_assert_int_eq(exit_code(pid), BRIDGE_EXIT_STOPPED);
    ck_assert_int_lt(clock_mono_ms() - asked, 1000);
    ck_assert_str_eq(state_text(dir, "status"), "STOPPED");
    ck_assert_str_eq(state_text(dir, "exit.reason"), "control/stop");
    ck_assert_str_eq(state_text(dir, "last_command.result"), "done");
}
END_TEST

START_TEST(test_run_sigterm_is_a_clean_stop)
{
    const char *dir = testing_dir();
    struct config c = offline_config(dir, "");
    pid_t pid = start(&c);
    wait_for_state(dir, "status", "ERROR");
    kill(pid, SIGTERM);
    ck_assert_int_eq(exit_code(pid), BRIDGE_EXIT_STOPPED);
    ck_assert_str_eq(state_text(dir, "exit.reason"), "SIGTERM");
}
END_TEST

START_TEST(test_run_second_bridge_is_turned_away)
{
    const char *dir = testing_dir();
    struct config c = offline_config(dir, "");
    pid_t first = start(&c);
    wait_for_state(dir, "status", "ERROR");
    ck_assert_int_eq(exit_code(start(&c)), BRIDGE_EXIT_LOCKED);
    ck_assert_str_eq(state_text(dir, "status"), "ERROR");
    kill(first, SIGTERM);
    ck_assert_int_eq(exit_code(first), BRIDGE_EXIT_STOPPED);
}
END_TEST

START_TEST(test_run_unusable_volume_exits_69)
{
    const char *dir = testing_dir();
    struct config c = offline_config(dir, "");
    snprintf(c.volume_path, sizeof(c.volume_path), "%s/wabridge.yaml/below-a-file", dir);
    ck_assert_int_eq(exit_code(start(&c)), BRIDGE_EXIT_VOLUME);
}
END_TEST

START_TEST(test_run_damaged_keys_exit_69_and_say_so)
{
    const char *dir = testing_dir();
    struct config c = offline_config(dir, "");
    char path[600];
    mkdir(c.private_path, 0700);
    snprintf(path, sizeof(path), "%s/keys.db", c.private_path);
    write_file(path, "this is not a database, and it is long enough to be looked at as one .....");
    ck_assert_int_eq(exit_code(start(&c)), BRIDGE_EXIT_VOLUME);
    ck_assert_str_eq(state_text(dir, "status"), "STOPPED");
    ck_assert_str_eq(state_text(dir, "last_error.code"), "start_failed");
}
END_TEST

START_TEST(test_run_missing_reply_file_exits_78)
{
    const char *dir = testing_dir();
    struct config c = offline_config(dir, "");
    snprintf(c.replies_file, sizeof(c.replies_file), "%s/none.yaml", dir);
    ck_assert_int_eq(exit_code(start(&c)), BRIDGE_EXIT_CONFIG);
}
END_TEST

START_TEST(test_run_wrong_key_file_exits_78_and_says_so)
{
    const char *dir = testing_dir();
    struct config c = offline_config(dir, "");
    snprintf(c.key_file, sizeof(c.key_file), "%s/none.key", dir);
    ck_assert_int_eq(exit_code(start(&c)), BRIDGE_EXIT_CONFIG);
    ck_assert_str_eq(state_text(dir, "last_error.code"), "start_failed");
    ck_assert(strstr(state_text(dir, "last_error.message"), "none.key") != NULL);
}
END_TEST

START_TEST(test_run_reload_of_a_wrong_file_keeps_the_running_one)
{
    const char *dir = testing_dir();
    /* The next attempt to connect would have a last_error of its own. */
    struct config c = offline_config(dir, "reconnect: {initial_ms: 600000, max_ms: 600000}\n");
    pid_t pid = start(&c);
    wait_for_state(dir, "status", "ERROR");
    write_file(c.path, "tenant: {id: acme}\nheartbeat: {intervall_ms: 5}\n");
    touch(dir, "reload");
    wait_for_state(dir, "last_command.result", "failed");
    ck_assert_str_eq(state_text(dir, "last_error.code"), "config_refused");
    ck_assert_msg(strstr(state_text(dir, "last_error.message"), "wabridge.yaml:2:13: ") != NULL,
                  "%s", state_text(dir, "last_error.message"));
    offline_config(dir, "reconnect: {max_attempts: 7}\n");
    touch(dir, "reload");
    wait_for_state(dir, "last_command.result", "done");
    kill(pid, SIGTERM);
    ck_assert_int_eq(exit_code(pid), BRIDGE_EXIT_STOPPED);
}
END_TEST

START_TEST(test_run_unlinked_offline_pair_waits_and_logout_is_refused)
{
    const char *dir = testing_dir();
    struct config c = offline_config(dir, "");
    pid_t pid = start(&c);
    wait_for_state(dir, "status", "ERROR");
    touch(dir, "pair");
    wait_for_state(dir, "last_command.name", "pair");
    ck_assert_str_eq(state_text(dir, "last_command.result"), "done");
    touch(dir, "logout");
    wait_for_state(dir, "last_command.name", "logout");
    ck_assert_str_eq(state_text(dir, "last_command.result"), "refused");
    kill(pid, SIGTERM);
    ck_assert_int_eq(exit_code(pid), BRIDGE_EXIT_STOPPED);
}
END_TEST

/* ---- the service manager -------------------------------------------------------------------- */

/* A socket that listens at this address, as systemd's; length with the family. */
static int listen_at(const struct sockaddr_un *address, socklen_t length)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)address, length), 0);
    return fd;
}

static void assert_told(int fd, const char *want)
{
    char got[2 * BRIDGE_NOTIFY_MAX];
    ssize_t n = recv(fd, got, sizeof(got) - 1, 0);
    ck_assert_int_ge(n, 0);
    got[n] = '\0';
    ck_assert_str_eq(got, want);
}

START_TEST(test_notify_path_and_abstract_name_one_datagram_each)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof(at.sun_path), "%s/notify", testing_dir());
    int manager = listen_at(&at, sizeof(at)), fd = bridge_notify_open(at.sun_path);
    ck_assert_int_ge(fd, 0);
    bridge_notify(fd, "STATUS=%s", "here");
    bridge_notify(fd, "READY=1");
    assert_told(manager, "STATUS=here");
    assert_told(manager, "READY=1");
    close(fd);
    close(manager);

    char name[64];
    int length = snprintf(name, sizeof(name), "@wabridge-test-%d", (int)getpid());
    memset(&at, 0, sizeof(at));
    at.sun_family = AF_UNIX;
    memcpy(at.sun_path + 1, name + 1, (size_t)length - 1);
    manager = listen_at(&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length));
    fd = bridge_notify_open(name);
    ck_assert_int_ge(fd, 0);
    bridge_notify(fd, "WATCHDOG=1");
    assert_told(manager, "WATCHDOG=1");
    close(fd);
    close(manager);
}
END_TEST

START_TEST(test_notify_without_a_manager_is_nothing)
{
    char longest[200] = "/";
    memset(longest + 1, 'x', sizeof(longest) - 2);
    ck_assert_int_eq(bridge_notify_open(NULL), -1);
    ck_assert_int_eq(bridge_notify_open(""), -1);
    ck_assert_int_eq(bridge_notify_open("/"), -1);
    ck_assert_int_eq(bridge_notify_open("vsock:2:1"), -1);
    ck_assert_int_eq(bridge_notify_open("/nonexistent/notify"), -1);
    ck_assert_int_eq(bridge_notify_open(longest), -1);
    bridge_notify(-1, "READY=1");
}
END_TEST

/* A manager that stops reading, and one that goes, hold nothing up; a long text is cut. */
START_TEST(test_notify_deaf_manager_does_not_block)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char text[2 * BRIDGE_NOTIFY_MAX], want[BRIDGE_NOTIFY_MAX + 1];
    snprintf(at.sun_path, sizeof(at.sun_path), "%s/notify", testing_dir());
    int manager = listen_at(&at, sizeof(at)), fd = bridge_notify_open(at.sun_path);
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    snprintf(want, sizeof(want), "%.*s", BRIDGE_NOTIFY_MAX, text);
    for (int i = 0; i < 10000; i++)
        bridge_notify(fd, "%s", text);
    assert_told(manager, want);
    close(manager);
    bridge_notify(fd, "STOPPING=1");
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bridge");
    TCase *tc = tcase_create("lifecycle");
    tcase_add_test(tc, test_lifecycle_step_every_cell_as_written_down);
    tcase_add_test(tc, test_lifecycle_step_from_start_reaches_every_state);
    tcase_add_test(tc, test_lifecycle_step_of_each_waiting_state_has_a_way_out);
    tcase_add_test(tc, test_lifecycle_of_close_each_reason_is_its_event);
    tcase_add_test(tc, test_version_url_of_whatsapp_alone_unless_it_is_set);
    tcase_add_test(tc, test_restriction_left_whatever_the_clock_says);
    tcase_add_test(tc, test_state_lasts_what_is_no_station_of_a_start);
    tcase_add_test(tc, test_lifecycle_print_stands_in_the_documentation);
    suite_add_tcase(suite, tc);
    tc = tcase_create("policy");
    tcase_add_test(tc, test_backoff_ms_full_jitter_within_growing_bounds);
    tcase_add_test(tc, test_answer_decide_only_fresh_text_of_customers);
    tcase_add_test(tc, test_answer_decide_switches_are_obeyed);
    tcase_add_test(tc, test_handed_over_until_released_or_over);
    tcase_add_test(tc, test_rate_decide_one_warning_then_silence);
    tcase_add_test(tc, test_chat_decide_each_guard_and_its_edge);
    tcase_add_test(tc, test_is_ping_pong_only_same_texts_in_turns_and_in_time);
    tcase_add_test(tc, test_overflow_decide_one_polite_word_a_minute);
    tcase_add_test(tc, test_typing_ms_grows_with_the_text_up_to_the_maximum);
    tcase_add_test(tc, test_outbox_gap_ms_jitters_around_the_mean);
    tcase_add_test(tc, test_refusal_text_each_code_has_a_sentence);
    tcase_add_test(tc, test_resend_after_only_temporary_errors_are_tried_again);
    suite_add_tcase(suite, tc);
    tc = tcase_create("records");
    tcase_add_test(tc, test_records_host_keeps_tables_apart_and_survives_a_commit);
    tcase_add_test(tc, test_records_host_deletes_by_key_and_prefix);
    tcase_add_test(tc, test_records_same_user_knows_both_addresses_of_one_person);
    tcase_add_test(tc, test_seal_open_vector_of_another_implementation);
    tcase_add_test(tc, test_seal_init_other_files_are_refused);
    tcase_add_test(tc, test_records_open_sealed_leaves_nothing_plain_and_wants_its_key);
    tcase_add_test(tc, test_records_open_plain_with_key_is_sealed_for_good);
    tcase_add_test(tc, test_records_open_old_key_rotates_and_unseals);
    tcase_add_test(tc, test_records_get_value_moved_to_another_key_is_refused);
    suite_add_tcase(suite, tc);
    tc = tcase_create("notify");
    tcase_add_test(tc, test_notify_path_and_abstract_name_one_datagram_each);
    tcase_add_test(tc, test_notify_without_a_manager_is_nothing);
    tcase_add_test(tc, test_notify_deaf_manager_does_not_block);
    suite_add_tcase(suite, tc);
    tc = tcase_create("run");
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_run_without_server_retries_and_stops_at_once_on_request);
    tcase_add_test(tc, test_run_sigterm_is_a_clean_stop);
    tcase_add_test(tc, test_run_second_bridge_is_turned_away);
    tcase_add_test(tc, test_run_unusable_volume_exits_69);
    tcase_add_test(tc, test_run_damaged_keys_exit_69_and_say_so);
    tcase_add_test(tc, test_run_missing_reply_file_exits_78);
    tcase_add_test(tc, test_run_wrong_key_file_exits_78_and_says_so);
    tcase_add_test(tc, test_run_reload_of_a_wrong_file_keeps_the_running_one);
    tcase_add_test(tc, test_run_unlinked_offline_pair_waits_and_logout_is_refused);
    suite_add_tcase(suite, tc);
    return testing_run(suite);
}
