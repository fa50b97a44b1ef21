/* SPDX-License-Identifier: GPL-3.0-or-later */
/* wa/secrets.h and wa/edits.c: secrets of messages, and edits that are sealed under them. */
#include "testing.h"

#include "wa_line.h"

#include <stdio.h>

#include "base/err.h"
#include "wa/secrets.h"

#define PEER_LID "222222222222222@lid"
#define PEER_PN "4915112345678@s.whatsapp.net"
#define GROUP "120363000000000001@g.us"
#define DAY_S 86400

static struct fake_host mem;

static const json_t *vectors(void)
{
    return testing_vectors("message-edit.json");
}

static struct wa_jid jid(const char *text)
{
    struct wa_jid out;
    ck_assert_int_eq(wa_jid_parse(&out, bytes_text(text)), 0);
    return out;
}

/* ---- what is sealed ---------------------------------------------------------------------------
 */

static int open_vector(const json_t *v, const struct wa_sealed *sealed, struct buf *out)
{
    struct wa_jid author = jid(testing_text(v, "author")), editor = jid(testing_text(v, "editor"));
    return wa_sealed_open(out, sealed, bytes_text(testing_text(vectors(), "id")), &author, &editor,
                          testing_hex(vectors(), "secret").p);
}

START_TEST(test_sealed_open_vectors_give_the_message)
{
    size_t i;
    const json_t *v;
    json_array_foreach(json_object_get(vectors(), "edits"), i, v)
    {
        AUTO_BUF struct buf plain = {.max = 4096};
        struct wa_sealed sealed = {testing_text(v, "use"), testing_hex(v, "payload"),
                                   testing_hex(v, "iv")};
        ck_assert_int_eq(open_vector(v, &sealed, &plain), 0);
        testing_assert_bytes(buf_bytes(&plain), testing_hex(v, "plain"), testing_text(v, "name"));
        buf_clear(&plain);
        sealed.use = "Poll Vote";
        ck_assert_int_eq(open_vector(v, &sealed, &plain), ERR_AUTH);
    }
}
END_TEST

START_TEST(test_sealed_open_cut_or_changed_is_refused)
{
    const json_t *v = json_array_get(json_object_get(vectors(), "edits"), 0);
    struct bytes payload = testing_hex(v, "payload"), iv = testing_hex(v, "iv");
    AUTO_BUF struct buf plain = {.max = 4096}, changed = {.max = 4096};
    for (size_t n = 0; n < payload.n; n++) {
        struct wa_sealed cut = {testing_text(v, "use"), BYTES(payload.p, n), iv};
        ck_assert_int_lt(open_vector(v, &cut, &plain), 0);
        buf_clear(&changed);
        buf_append(&changed, payload);
        changed.p[n] ^= 1;
        cut.payload = buf_bytes(&changed);
        ck_assert_int_eq(open_vector(v, &cut, &plain), ERR_AUTH);
    }
    for (size_t n = 0; n < iv.n; n++) {
        struct wa_sealed cut = {testing_text(v, "use"), payload, BYTES(iv.p, n)};
        ck_assert_int_eq(open_vector(v, &cut, &plain), ERR_INVALID);
    }
    ck_assert_uint_eq(plain.n, 0);
}
END_TEST

START_TEST(test_message_parse_every_cut_of_a_sealed_edit_is_survived)
{
    struct arena arena;
    struct wa_content c;
    struct bytes m = testing_hex(json_array_get(json_object_get(vectors(), "edits"), 0), "message");
    arena_init(&arena);
    for (size_t n = 0; n < m.n; n++)
        if (wa_message_parse(BYTES(m.p, n), &arena, &c) == 0)
            ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(wa_message_parse(m, &arena, &c), 0);
    ck_assert_int_eq(c.kind, WA_KIND_EDIT);
    ck_assert_str_eq(c.sealed.use, "Message Edit");
    testing_assert_bytes(c.target_id, bytes_text(testing_text(vectors(), "id")), "target");
    arena_deinit(&arena);
}
END_TEST

/* ---- the ring ---------------------------------------------------------------------------------
 */

static struct wa_secrets ring;

static void ring_setup(void)
{
    fake_host_init(&mem);
    mem.now_ms = LINE_NOW_MS;
    ring = (struct wa_secrets){0};
}

static void ring_teardown(void)
{
    fake_host_deinit(&mem);
}

static void keep(unsigned n, int64_t sent_s)
{
    char id[16];
    uint8_t secret[WA_MESSAGE_SECRET_LEN] = {(uint8_t)n, (uint8_t)(n >> 8)};
    struct wa_jid author = jid(PEER_LID);
    snprintf(id, sizeof(id), "3A%08X", n);
    ck_assert_int_eq(
        wa_secrets_keep(&ring, &mem.host, bytes_text(id), &author, sent_s, BYTES_ARRAY(secret)), 0);
}

static int find(unsigned n, const char *name)
{
    char id[16];
    uint8_t secret[WA_MESSAGE_SECRET_LEN];
    struct wa_jid names[] = {jid(PEER_PN), jid(name)};
    snprintf(id, sizeof(id), "3A%08X", n);
    int rc = wa_secrets_find(&mem.host, bytes_text(id), names, ARRAY_LEN(names), secret);
    if (rc == 1)
        ck_assert_uint_eq((unsigned)(secret[0] | secret[1] << 8), n);
    return rc;
}

START_TEST(test_secrets_are_found_by_message_and_author)
{
    keep(1, LINE_NOW_MS / 1000);
    keep(2, LINE_NOW_MS / 1000);
    ck_assert_int_eq(find(1, PEER_LID), 1);
    ck_assert_int_eq(find(2, PEER_LID), 1);
    ck_assert_int_eq(find(3, PEER_LID), 0);
    ck_assert_int_eq(find(1, "999@lid"), 0);
    ck_assert_uint_eq(fake_host_count(&mem, WA_TABLE_MESSAGE_SECRET), 1);
}
END_TEST

START_TEST(test_secrets_the_oldest_go_first_and_room_is_fixed)
{
    unsigned all = WA_SECRETS_KEPT + WA_SECRETS_PER_BLOCK + 1;
    for (unsigned n = 0; n < all; n++) {
        if (n % 1000 == 999) /* another connection */
            ring = (struct wa_secrets){0};
        keep(n, LINE_NOW_MS / 1000);
    }
    ck_assert_uint_eq(fake_host_count(&mem, WA_TABLE_MESSAGE_SECRET), WA_SECRETS_BLOCKS);
    ck_assert_int_eq(find(0, PEER_LID), 0);
    ck_assert_int_eq(find(all - 1 - (WA_SECRETS_KEPT - WA_SECRETS_PER_BLOCK), PEER_LID), 1);
    ck_assert_int_eq(find(all - 1, PEER_LID), 1);
}
END_TEST

START_TEST(test_secrets_of_an_id_that_is_used_again_the_newest_counts)
{
    struct wa_jid author = jid(PEER_LID);
    uint8_t old[WA_MESSAGE_SECRET_LEN] = {1}, secret[WA_MESSAGE_SECRET_LEN];
    for (unsigned n = 0; n < 2 * WA_SECRETS_PER_BLOCK; n++) {
        old[1] = (uint8_t)n;
        ck_assert_int_eq(
            wa_secrets_keep(&ring, &mem.host, bytes_text("3A"), &author, 0, BYTES_ARRAY(old)), 0);
    }
    ck_assert_int_eq(wa_secrets_find(&mem.host, bytes_text("3A"), &author, 1, secret), 1);
    ck_assert_mem_eq(secret, old, sizeof(old));
}
END_TEST

START_TEST(test_secrets_are_forgotten_after_their_time)
{
    for (unsigned n = 0; n < WA_SECRETS_PER_BLOCK + 1; n++)
        keep(n, LINE_NOW_MS / 1000 + (n == WA_SECRETS_PER_BLOCK ? 2 * DAY_S : 0));
    mem.now_ms += (WA_SECRETS_DAYS + 1) * DAY_S * 1000LL;
    ring = (struct wa_secrets){0};
    keep(1000, mem.now_ms / 1000);
    ck_assert_int_eq(find(0, PEER_LID), 0);
    ck_assert_int_eq(find(WA_SECRETS_PER_BLOCK, PEER_LID), 1);
    ck_assert_int_eq(find(1000, PEER_LID), 1);
    ck_assert_uint_eq(fake_host_count(&mem, WA_TABLE_MESSAGE_SECRET), 1);
}
END_TEST

START_TEST(test_secrets_damaged_block_is_none_and_is_written_anew)
{
    static const uint8_t bad[] = {0, 0, 0, 1, 7};
    keep(1, LINE_NOW_MS / 1000);
    fake_host_put(&mem, WA_TABLE_MESSAGE_SECRET, "1", BYTES_ARRAY(bad));
    ck_assert_int_eq(find(1, PEER_LID), 0);
    keep(2, LINE_NOW_MS / 1000);
    ring = (struct wa_secrets){0};
    keep(3, LINE_NOW_MS / 1000);
    ck_assert_int_eq(find(2, PEER_LID), 1);
    ck_assert_int_eq(find(3, PEER_LID), 1);
}
END_TEST

START_TEST(test_secrets_store_failure_is_told)
{
    struct wa_jid author = jid(PEER_LID);
    uint8_t secret[WA_MESSAGE_SECRET_LEN] = {0};
    mem.fail_get = 1;
    ck_assert_int_eq(wa_secrets_find(&mem.host, bytes_text("3A"), &author, 1, secret), ERR_STORE);
    for (int i = 0; i < 2; i++) {
        mem.fail_get = i == 0;
        mem.fail_put = i == 1;
        ck_assert_int_eq(
            wa_secrets_keep(&ring, &mem.host, bytes_text("3A"), &author, 0, BYTES_ARRAY(secret)),
            ERR_STORE);
    }
}
END_TEST

/* ---- in a session -----------------------------------------------------------------------------
 */

static struct line line;
static struct line_peer peer;

static void setup(void)
{
    line_open(&line, true);
    line_login(&line);
    line_meet(&line, &peer);
}

static void teardown(void)
{
    line_part(&peer);
    line_close(&line);
}

/* What the session makes of a message of the contact; from: PEER_LID, PEER_PN, or a group. */
static struct wa_event hear(const char *from, const char *id, struct bytes message)
{
    struct wa_event ev;
    struct wa_jid sender = jid(PEER_LID), pn = jid(PEER_PN), place = jid(from);
    bool group = place.server == WA_SERVER_GROUP;
    struct wa_node *m = line_message(&line, &peer, id, message);
    wa_node_set_jid(m, "from", &place);
    if (group) {
        wa_node_set_jid(m, "participant", &sender);
        wa_node_set_jid(m, "participant_pn", &pn);
    } else if (wa_jid_is_lid(&place)) {
        wa_node_set_jid(m, "sender_pn", &pn);
    } else {
        wa_node_set_jid(m, "sender_lid", &sender);
    }
    ck_assert(line_say(&line, m));
    ck_assert_int_eq(wa_session_next(line.session, &ev), 1);
    ck_assert_int_eq((int)ev.type, (int)WA_EVENT_MESSAGE);
    return ev;
}

static struct wa_event hear_edit(const char *list, size_t i, const char *from)
{
    const json_t *v = json_array_get(json_object_get(vectors(), list), i);
    char id[16];
    snprintf(id, sizeof(id), "3AED%s%02zu", list[0] == 'e' ? "0" : "1", i);
    return hear(from, id, testing_hex(v, "message"));
}

static void greet(const char *from)
{
    struct wa_event ev =
        hear(from, testing_text(vectors(), "id"), testing_hex(vectors(), "original"));
    testing_assert_bytes(ev.u.message.content->text, bytes_text("Tuesdy"), "text");
    ck_assert_uint_eq(fake_host_count(&line.mem, WA_TABLE_MESSAGE_SECRET), 1);
}

START_TEST(test_edit_sealed_is_an_edit_under_whichever_name)
{
    static const char *const texts[] = {"Tuesday at three", "Tuesday at three", "Tuesday at three",
                                        "Tuesday at three", "Talk\nat four"};
    static const char *const from[] = {PEER_LID, PEER_PN, GROUP};
    greet(from[_i]);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct wa_event ev = hear_edit("edits", i, from[_i]);
        const struct wa_content *c = ev.u.message.content;
        ck_assert_ptr_null(ev.u.message.fault);
        ck_assert_int_eq(c->kind, WA_KIND_EDIT);
        ck_assert(c->edited);
        testing_assert_bytes(c->text, bytes_text(texts[i]), "text");
        testing_assert_bytes(c->target_id, bytes_text(testing_text(vectors(), "id")), "target");
    }
    line_forget_output(&line);
}
END_TEST

START_TEST(test_edit_sealed_survives_another_connection)
{
    greet(PEER_LID);
    AUTO_BUF struct buf block = {.max = 4096};
    ck_assert_int_eq(line.mem.host.get(line.mem.host.ctx, WA_TABLE_MESSAGE_SECRET, "1", &block), 1);
    teardown();
    setup();
    fake_host_put(&line.mem, WA_TABLE_MESSAGE_SECRET, "1", buf_bytes(&block));
    struct wa_event ev = hear_edit("edits", 0, PEER_LID);
    ck_assert_ptr_null(ev.u.message.fault);
    testing_assert_bytes(ev.u.message.content->text, bytes_text("Tuesday at three"), "text");
}
END_TEST

START_TEST(test_edit_sealed_of_an_unknown_message_says_so_and_is_receipted)
{
    struct wa_event ev = hear_edit("edits", 0, PEER_LID);
    ck_assert_int_eq(ev.u.message.content->kind, WA_KIND_UNDECRYPTABLE);
    ck_assert_str_eq(ev.u.message.fault, "an edit of a message whose secret is not known");
    ck_assert_uint_eq(ev.u.message.content->text.n, 0);
    testing_assert_bytes(ev.u.message.content->target_id, bytes_text(testing_text(vectors(), "id")),
                         "target");
    struct wa_node *receipt = line_hear(&line);
    ck_assert(receipt && wa_node_is(receipt, "receipt"));
    ck_assert(!wa_node_attr_is(receipt, "type", "retry"));
}
END_TEST

START_TEST(test_edit_sealed_by_others_or_of_another_kind_stays_closed)
{
    greet(PEER_LID);
    for (size_t i = 0; i < json_array_size(json_object_get(vectors(), "refused")); i++) {
        struct wa_event ev = hear_edit("refused", i, PEER_LID);
        ck_assert_int_eq(ev.u.message.content->kind, WA_KIND_UNDECRYPTABLE);
        ck_assert_str_eq(ev.u.message.fault,
                         "an edit that the secret of its message does not open");
        ck_assert_uint_eq(ev.u.message.content->text.n, 0);
    }
}
END_TEST

START_TEST(test_edit_sealed_while_the_store_fails_closes_and_says_no_more)
{
    struct wa_event ev;
    struct wa_jid from = jid(PEER_LID);
    greet(PEER_LID);
    const json_t *v = json_array_get(json_object_get(vectors(), "edits"), 0);
    struct wa_node *m = line_message(&line, &peer, "3AED", testing_hex(v, "message"));
    wa_node_set_jid(m, "from", &from);
    line_forget_output(&line);
    line.mem.fail_get = 8; /* some are for the session with the contact */
    ck_assert(line_say(&line, m));
    ck_assert_int_eq(wa_session_next(line.session, &ev), 1);
    ck_assert_int_eq((int)ev.type, (int)WA_EVENT_CLOSED);
    ck_assert_int_eq(ev.u.closed.why, WA_CLOSE_STORE);
    ck_assert_int_eq(wa_session_next(line.session, &ev), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wa edits");
    TCase *plain = tcase_create("sealed"), *kept = tcase_create("ring"),
          *session = tcase_create("session");
    tcase_add_test(plain, test_sealed_open_vectors_give_the_message);
    tcase_add_test(plain, test_sealed_open_cut_or_changed_is_refused);
    tcase_add_test(plain, test_message_parse_every_cut_of_a_sealed_edit_is_survived);
    tcase_add_checked_fixture(kept, ring_setup, ring_teardown);
    tcase_add_test(kept, test_secrets_are_found_by_message_and_author);
    tcase_add_test(kept, test_secrets_the_oldest_go_first_and_room_is_fixed);
    tcase_add_test(kept, test_secrets_of_an_id_that_is_used_again_the_newest_counts);
    tcase_add_test(kept, test_secrets_are_forgotten_after_their_time);
    tcase_add_test(kept, test_secrets_damaged_block_is_none_and_is_written_anew);
    tcase_add_test(kept, test_secrets_store_failure_is_told);
    tcase_add_checked_fixture(session, setup, teardown);
    tcase_add_loop_test(session, test_edit_sealed_is_an_edit_under_whichever_name, 0, 3);
    tcase_add_test(session, test_edit_sealed_survives_another_connection);
    tcase_add_test(session, test_edit_sealed_of_an_unknown_message_says_so_and_is_receipted);
    tcase_add_test(session, test_edit_sealed_by_others_or_of_another_kind_stays_closed);
    tcase_add_test(session, test_edit_sealed_while_the_store_fails_closes_and_says_no_more);
    suite_add_tcase(suite, plain);
    suite_add_tcase(suite, kept);
    suite_add_tcase(suite, session);
    return testing_run(suite);
}
