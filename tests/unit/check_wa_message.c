/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Messages are assembled here from field numbers (protocol/protos-message.md), not by the generated
 * code that reads them.
 */
#include "base/err.h"
#include "base/text.h"
#include "check_wa_signal.h"
#include "testing.h"
#include "wa/fields.h"
#include "wa/message.h"

/* ---- an assembler of protobufs --------------------------------------------------------------- */

static struct arena memory;

static void add_varint(struct buf *out, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        buf_append_u8(out, (uint8_t)(v | 0x80));
    buf_append_u8(out, (uint8_t)v);
}

static struct bytes kept(struct buf *b)
{
    struct bytes copy = arena_copy(&memory, buf_bytes(b));
    buf_deinit(b);
    return copy;
}

/* Field of wire type 2: text, bytes, a message. */
static struct bytes sub(uint32_t field, struct bytes content)
{
    struct buf b;
    buf_init(&b, 16u << 20);
    add_varint(&b, field << 3 | 2);
    add_varint(&b, content.n);
    buf_append(&b, content);
    return kept(&b);
}

static struct bytes txt(uint32_t field, const char *text)
{
    return sub(field, bytes_text(text));
}

/* Field of wire type 0. */
static struct bytes num(uint32_t field, uint64_t v)
{
    struct buf b;
    buf_init(&b, 32);
    add_varint(&b, field << 3);
    add_varint(&b, v);
    return kept(&b);
}

/* Field of wire type 1. */
static struct bytes real(uint32_t field, double v)
{
    struct buf b;
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    buf_init(&b, 32);
    add_varint(&b, field << 3 | 1);
    for (int i = 0; i < 8; i++)
        buf_append_u8(&b, (uint8_t)(bits >> (8 * i)));
    return kept(&b);
}

static struct bytes join(const struct bytes *parts, size_t count)
{
    struct buf b;
    buf_init(&b, 16u << 20);
    for (size_t i = 0; i < count; i++)
        buf_append(&b, parts[i]);
    return kept(&b);
}

#define ALL(...)                                                                                   \
    join((const struct bytes[]){__VA_ARGS__},                                                      \
         sizeof((const struct bytes[]){__VA_ARGS__}) / sizeof(struct bytes))

/* contextInfo at field, with all that is read from it and a quoted message. */
static struct bytes ctx(uint32_t field)
{
    return sub(field,
               ALL(txt(1, "QUOTED"), txt(2, "1@lid"), sub(3, txt(1, "original")), num(25, 604800)));
}

static struct bytes key(uint32_t field, const char *id)
{
    return sub(field, ALL(txt(1, "1@lid"), num(2, 1), txt(3, id)));
}

/* ---- what a Message says --------------------------------------------------------------------- */

struct expectation {
    const char *what;
    struct bytes message;
    enum wa_kind kind;
    const char *text;
    bool context; /* ctx() is inside and must be found */
    const char *target;
};

static void check_text(const char *what, struct bytes got, const char *want)
{
    ck_assert_msg(bytes_equal(got, bytes_text(want)), "%s: got \"%.*s\", want \"%s\"", what,
                  (int)got.n, (const char *)got.p, want ? want : "");
}

static void check_expectation(const struct expectation *e)
{
    struct arena arena = {0};
    struct wa_content c;
    int rc = wa_message_parse(e->message, &arena, &c);
    ck_assert_msg(rc == 0, "%s: %d", e->what, rc);
    ck_assert_msg(c.kind == e->kind, "%s: kind %s", e->what, wa_kind_text(c.kind));
    check_text(e->what, c.text, e->text);
    check_text(e->what, c.quoted_id, e->context ? "QUOTED" : NULL);
    ck_assert_msg(c.expiration_s == (e->context ? 604800 : 0), "%s: expiration", e->what);
    check_text(e->what, c.target_id, e->target);
    arena_deinit(&arena);
}

/* Each prefix of a Message is a smaller Message or an error; never anything worse. */
static void check_truncations(const struct expectation *e)
{
    for (size_t n = 0; n < e->message.n; n++) {
        struct arena arena = {0};
        struct wa_content c;
        uint8_t *cut = err_malloc(n ? n : 1);
        memcpy(cut, e->message.p, n);
        int rc = wa_message_parse(BYTES(cut, n), &arena, &c);
        ck_assert_msg(rc == 0 || rc == ERR_INVALID, "%s: %d", e->what, rc);
        ck_assert(text_utf8_valid(c.text));
        /* All of these are one top-level field, so a real prefix is cut inside it. */
        ck_assert_msg(n == 0 || rc == ERR_INVALID, "%s: prefix of %zu is accepted", e->what, n);
        free(cut);
        arena_deinit(&arena);
    }
}

static void check_all(const struct expectation *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        check_expectation(&list[i]);
        check_truncations(&list[i]);
    }
    arena_deinit(&memory);
}

START_TEST(test_message_parse_text_and_media_kinds)
{
    const struct expectation list[] = {
        {"conversation", txt(1, "Hello"), WA_KIND_TEXT, "Hello", false, NULL},
        {"extended", sub(6, ALL(txt(1, "Hi"), txt(6, "title"), ctx(17))), WA_KIND_TEXT, "Hi", true,
         NULL},
        {"image", sub(3, ALL(txt(2, "image/jpeg"), txt(3, "Look"), ctx(17))), WA_KIND_IMAGE, "Look",
         true, NULL},
        {"image without caption", sub(3, txt(2, "image/jpeg")), WA_KIND_IMAGE, NULL, false, NULL},
        {"video", sub(9, ALL(txt(7, "Clip"), ctx(17))), WA_KIND_VIDEO, "Clip", true, NULL},
        {"video note", sub(66, ctx(17)), WA_KIND_VIDEO, NULL, true, NULL},
        {"audio", sub(8, ALL(num(5, 3), ctx(17))), WA_KIND_AUDIO, NULL, true, NULL},
        {"voice", sub(8, ALL(num(6, 1), ctx(17))), WA_KIND_VOICE, NULL, true, NULL},
        {"audio, ptt off", sub(8, num(6, 0)), WA_KIND_AUDIO, NULL, false, NULL},
        {"document", sub(7, ALL(txt(3, "t"), txt(8, "a.pdf"), txt(20, "Offer"), ctx(17))),
         WA_KIND_DOCUMENT, "Offer", true, NULL},
        {"document by name", sub(7, ALL(txt(3, "t"), txt(8, "a.pdf"))), WA_KIND_DOCUMENT, "a.pdf",
         false, NULL},
        {"document by title", sub(7, txt(3, "t")), WA_KIND_DOCUMENT, "t", false, NULL},
        {"sticker", sub(26, ctx(17)), WA_KIND_STICKER, NULL, true, NULL},
        {"sticker pack", sub(86, ctx(11)), WA_KIND_STICKER, NULL, true, NULL},
        {"contact", sub(4, ALL(txt(1, "Ann"), txt(16, "BEGIN:VCARD"), ctx(17))), WA_KIND_CONTACT,
         "Ann", true, NULL},
        {"contacts",
         sub(13, ALL(txt(1, "Two"), sub(2, txt(1, "Ann")), sub(2, txt(1, "Bob")), ctx(17))),
         WA_KIND_CONTACT, "Two\nAnn\nBob", true, NULL},
        {"location",
         sub(5, ALL(real(1, 52.5), real(2, -13.25), txt(3, "Shop"), txt(4, "Street 1"),
                    txt(11, "here"), ctx(17))),
         WA_KIND_LOCATION, "Shop\nStreet 1\nhere\n52.500000,-13.250000", true, NULL},
        {"location, no name", sub(5, ALL(real(1, 1), real(2, 2))), WA_KIND_LOCATION,
         "1.000000,2.000000", false, NULL},
        {"location, not a place", sub(5, ALL(real(1, 1e300), real(2, 2))), WA_KIND_LOCATION, NULL,
         false, NULL},
        {"live location", sub(18, ALL(real(1, 1), real(2, 2), txt(6, "coming"), ctx(17))),
         WA_KIND_LOCATION, "coming\n1.000000,2.000000", true, NULL},
    };
    check_all(list, ARRAY_LEN(list));
}
END_TEST

START_TEST(test_message_parse_business_kinds)
{
    struct bytes hydrated = ALL(txt(2, "Title"), txt(6, "Body"), txt(7, "Foot"));
    struct bytes interactive =
        ALL(sub(1, txt(1, "Head")), sub(2, txt(1, "Body")), sub(3, txt(1, "Foot")));
    const struct expectation list[] = {
        {"buttons response", sub(43, ALL(txt(1, "b1"), txt(2, "Yes"), ctx(3))), WA_KIND_BUTTON,
         "Yes", true, NULL},
        {"buttons response by id", sub(43, txt(1, "b1")), WA_KIND_BUTTON, "b1", false, NULL},
        {"list response",
         sub(39, ALL(txt(1, "Row"), sub(3, txt(1, "r1")), ctx(4), txt(5, "about"))), WA_KIND_BUTTON,
         "Row\nabout", true, NULL},
        {"list response by id", sub(39, sub(3, txt(1, "r1"))), WA_KIND_BUTTON, "r1", false, NULL},
        {"template reply", sub(29, ALL(txt(1, "t1"), txt(2, "Buy"), ctx(3))), WA_KIND_BUTTON, "Buy",
         true, NULL},
        {"interactive response", sub(48, ALL(sub(1, txt(1, "Chosen")), ctx(15))), WA_KIND_BUTTON,
         "Chosen", true, NULL},
        {"native flow response",
         sub(48, sub(2, ALL(txt(1, "menu"), txt(2, "{\"id\":\"row-7\",\"x\":1}")))), WA_KIND_BUTTON,
         "row-7", false, NULL},
        {"native flow, no JSON", sub(48, sub(2, txt(2, "{\"id\":"))), WA_KIND_BUTTON, NULL, false,
         NULL},
        {"buttons", sub(42, ALL(txt(1, "Head"), txt(6, "Body"), txt(7, "Foot"), ctx(8))),
         WA_KIND_INTERACTIVE, "Head\nBody\nFoot", true, NULL},
        {"buttons with picture", sub(42, ALL(sub(3, txt(3, "Pic")), txt(6, "Body"))),
         WA_KIND_INTERACTIVE, "Pic\nBody", false, NULL},
        {"list", sub(36, ALL(txt(1, "T"), txt(2, "D"), txt(7, "F"), ctx(8))), WA_KIND_INTERACTIVE,
         "T\nD\nF", true, NULL},
        {"template", sub(25, ALL(ctx(3), sub(4, hydrated), sub(2, hydrated))), WA_KIND_INTERACTIVE,
         "Title\nBody\nFoot", true, NULL},
        {"four-row template", sub(25, sub(2, hydrated)), WA_KIND_INTERACTIVE, "Title\nBody\nFoot",
         false, NULL},
        {"interactive template", sub(25, sub(5, interactive)), WA_KIND_INTERACTIVE,
         "Head\nBody\nFoot", false, NULL},
        {"interactive", sub(45, ALL(interactive, ctx(15))), WA_KIND_INTERACTIVE, "Head\nBody\nFoot",
         true, NULL},
        {"structured", sub(14, sub(9, sub(4, hydrated))), WA_KIND_INTERACTIVE, "Title\nBody\nFoot",
         false, NULL},
        {"structured by parameters", sub(14, ALL(txt(3, "a"), txt(3, "b"))), WA_KIND_INTERACTIVE,
         "a\nb", false, NULL},
        {"product", sub(30, ALL(sub(1, txt(3, "Shoe")), txt(5, "Nice"), txt(6, "Foot"), ctx(17))),
         WA_KIND_ORDER, "Shoe\nNice\nFoot", true, NULL},
        {"order", sub(38, ALL(txt(6, "Please"), txt(7, "Order 1"), ctx(17))), WA_KIND_ORDER,
         "Order 1\nPlease", true, NULL},
        {"invoice", sub(41, txt(1, "Note")), WA_KIND_ORDER, "Note", false, NULL},
        {"payment", sub(16, sub(2, sub(6, ALL(txt(1, "for lunch"), ctx(17))))), WA_KIND_ORDER,
         "for lunch", true, NULL},
        {"payment request", sub(22, sub(4, txt(1, "rent"))), WA_KIND_ORDER, "rent", false, NULL},
        {"payment without note", sub(16, num(9, 1)), WA_KIND_ORDER, NULL, false, NULL},
        {"payment declined", sub(23, key(1, "X")), WA_KIND_ORDER, NULL, false, NULL},
        {"payment cancelled", sub(24, key(1, "X")), WA_KIND_ORDER, NULL, false, NULL},
        {"payment invitation", sub(44, num(1, 1)), WA_KIND_ORDER, NULL, false, NULL},
    };
    check_all(list, ARRAY_LEN(list));
}
END_TEST

START_TEST(test_message_parse_other_kinds)
{
    struct bytes poll = ALL(txt(2, "Which?"), sub(3, txt(1, "A")), sub(3, txt(1, "B")), ctx(5));
    const struct expectation list[] = {
        {"reaction", sub(46, ALL(key(1, "TARGET"), txt(2, "\xf0\x9f\x91\x8d"))), WA_KIND_REACTION,
         "\xf0\x9f\x91\x8d", false, "TARGET"},
        {"reaction removed", sub(46, ALL(key(1, "TARGET"), txt(2, ""))), WA_KIND_REACTION, NULL,
         false, "TARGET"},
        {"poll", sub(49, poll), WA_KIND_POLL, "Which?\nA\nB", true, NULL},
        {"poll v2", sub(60, poll), WA_KIND_POLL, "Which?\nA\nB", true, NULL},
        {"poll v3", sub(64, poll), WA_KIND_POLL, "Which?\nA\nB", true, NULL},
        {"poll v4", sub(93, sub(1, sub(64, poll))), WA_KIND_POLL, "Which?\nA\nB", true, NULL},
        {"poll v5", sub(111, poll), WA_KIND_POLL, "Which?\nA\nB", true, NULL},
        {"poll v6", sub(119, poll), WA_KIND_POLL, "Which?\nA\nB", true, NULL},
        {"vote", sub(50, ALL(key(1, "POLL"), sub(2, txt(1, "sealed")))), WA_KIND_POLL, NULL, false,
         "POLL"},
        {"poll result", sub(88, ALL(txt(1, "Which?"), ctx(3))), WA_KIND_POLL, "Which?", true, NULL},
        {"poll result v3", sub(115, txt(1, "Which?")), WA_KIND_POLL, "Which?", false, NULL},
        {"event", sub(75, ALL(ctx(1), txt(3, "Party"), txt(4, "at eight"))), WA_KIND_EVENT,
         "Party\nat eight", true, NULL},
        {"event invitation", sub(122, txt(1, "e")), WA_KIND_EVENT, NULL, false, NULL},
        {"invitation", sub(28, ALL(txt(1, "1@g.us"), txt(4, "Club"), txt(6, "Join us"), ctx(7))),
         WA_KIND_INVITE, "Join us\nClub", true, NULL},
        {"channel invitation", sub(78, txt(1, "1@newsletter")), WA_KIND_INVITE, NULL, false, NULL},
        {"channel follower", sub(113, txt(1, "1@newsletter")), WA_KIND_INVITE, NULL, false, NULL},
        {"call log", sub(69, num(1, 1)), WA_KIND_CALL, NULL, false, NULL},
        {"broadcast call", sub(72, num(1, 1)), WA_KIND_CALL, NULL, false, NULL},
        {"scheduled call", sub(61, num(1, 1)), WA_KIND_CALL, NULL, false, NULL},
        {"scheduled call edited", sub(65, num(1, 1)), WA_KIND_CALL, NULL, false, NULL},
        {"placeholder", sub(80, num(1, 0)), WA_KIND_PLACEHOLDER, NULL, false, NULL},
        {"payment reminder", sub(124, num(1, 0)), WA_KIND_ORDER, NULL, false, NULL},
        {"split payment", sub(125, num(1, 0)), WA_KIND_ORDER, NULL, false, NULL},
        {"split payment update", sub(128, num(1, 0)), WA_KIND_ORDER, NULL, false, NULL},
        {"comment", sub(77, ALL(sub(1, txt(1, "so true")), key(2, "POST"))), WA_KIND_TEXT,
         "so true", false, NULL},
        {"unknown content", sub(5000, txt(1, "new")), WA_KIND_OTHER, NULL, false, NULL},
        {"encrypted reaction", sub(56, key(1, "X")), WA_KIND_OTHER, NULL, false, NULL},
        {"context only", sub(35, sub(3, txt(1, "secret"))), WA_KIND_NONE, NULL, false, NULL},
        {"sender key only", sub(2, ALL(txt(1, "1@g.us"), txt(2, "key"))), WA_KIND_NONE, NULL, false,
         NULL},
        {"fast ratchet key", sub(15, txt(2, "key")), WA_KIND_NONE, NULL, false, NULL},
        {"keep in chat", sub(51, key(1, "X")), WA_KIND_NONE, NULL, false, NULL},
        {"pin in chat", sub(63, key(1, "X")), WA_KIND_NONE, NULL, false, NULL},
        {"album", sub(83, num(2, 3)), WA_KIND_NONE, NULL, false, NULL},
        {"history bundle", sub(70, txt(1, "x")), WA_KIND_NONE, NULL, false, NULL},
        {"history notice", sub(102, txt(1, "x")), WA_KIND_NONE, NULL, false, NULL},
        {"nothing", BYTES_NONE, WA_KIND_NONE, NULL, false, NULL},
    };
    check_all(list, ARRAY_LEN(list));
}
END_TEST

/* An empty part of each kind walks every alternative of its text rule. */
START_TEST(test_message_parse_empty_parts_have_no_text)
{
    static const uint32_t parts[] = {3,  4,  5,  6,  7,  8,  9,  13, 14,  16,  18, 22, 25,
                                     26, 28, 29, 30, 36, 38, 39, 41, 42,  43,  45, 46, 48,
                                     49, 50, 60, 64, 66, 75, 86, 88, 111, 115, 119};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct wa_content c;
        ck_assert_int_eq(wa_message_parse(sub(parts[i], BYTES_NONE), &memory, &c), 0);
        ck_assert_uint_eq(c.text.n, 0);
        ck_assert_int_ne(c.kind, WA_KIND_NONE);
        ck_assert_int_ne(c.kind, WA_KIND_OTHER);
    }
    arena_deinit(&memory);
}
END_TEST

/* ---- wrappers -------------------------------------------------------------------------------- */

START_TEST(test_message_parse_wrappers_are_opened)
{
    static const uint32_t fields[] = {37,  40,  53,  55,  58,  59,  62,  67, 74,  85,
                                      87,  90,  91,  92,  93,  95,  96,  99, 100, 101,
                                      103, 104, 106, 116, 117, 118, 126, 131};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        struct wa_content c;
        uint32_t f = fields[i];
        ck_assert_int_eq(wa_message_parse(sub(f, sub(1, txt(1, "inside"))), &memory, &c), 0);
        ck_assert_msg(c.kind == WA_KIND_TEXT, "field %u: %s", f, wa_kind_text(c.kind));
        check_text("wrapped", c.text, "inside");
        ck_assert(c.ephemeral == (f == 40));
        ck_assert(c.view_once == (f == 37 || f == 55 || f == 59));
        ck_assert(c.edited == (f == 58));
        ck_assert_int_eq(c.protocol_type, -1);
        ck_assert_int_eq(wa_message_parse(sub(f, BYTES_NONE), &memory, &c), 0);
        ck_assert_int_eq(c.kind, WA_KIND_NONE);
    }
    arena_deinit(&memory);
}
END_TEST

START_TEST(test_message_parse_view_once_inside_media_is_flagged)
{
    const struct {
        uint32_t message, flag;
    } cases[] = {{3, 25}, {9, 20}, {8, 21}, {6, 30}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct wa_content c;
        struct bytes on = sub(cases[i].message, num(cases[i].flag, 1));
        struct bytes off = sub(cases[i].message, num(cases[i].flag, 0));
        ck_assert_int_eq(wa_message_parse(on, &memory, &c), 0);
        ck_assert(c.view_once);
        ck_assert_int_eq(wa_message_parse(off, &memory, &c), 0);
        ck_assert(!c.view_once);
    }
    arena_deinit(&memory);
}
END_TEST

START_TEST(test_message_parse_device_sent_gives_destination)
{
    struct wa_content c;
    struct bytes inner = sub(40, sub(1, sub(6, ALL(txt(1, "typed on the phone"), ctx(17)))));
    struct bytes m = ALL(sub(31, ALL(txt(1, "111@lid"), sub(2, inner), txt(3, "2:abc"))),
                         sub(35, sub(3, txt(1, "secret"))));
    ck_assert_int_eq(wa_message_parse(m, &memory, &c), 0);
    ck_assert(c.device_sent && c.ephemeral);
    check_text("destination", c.destination, "111@lid");
    check_text("text", c.text, "typed on the phone");
    check_text("quoted", c.quoted_id, "QUOTED");
    ck_assert_int_eq(c.kind, WA_KIND_TEXT);
    arena_deinit(&memory);
}
END_TEST

START_TEST(test_message_parse_sender_key_beside_content)
{
    struct wa_content c;
    struct bytes m = ALL(sub(2, ALL(txt(1, "1@g.us"), txt(2, "axolotl"))), txt(1, "hello"));
    ck_assert_int_eq(wa_message_parse(m, &memory, &c), 0);
    check_text("group", c.skdm_group, "1@g.us");
    check_text("key", c.skdm, "axolotl");
    check_text("text", c.text, "hello");
    ck_assert_int_eq(c.kind, WA_KIND_TEXT);
    arena_deinit(&memory);
}
END_TEST

static struct bytes nested(uint32_t field, int levels, struct bytes inside)
{
    for (int i = 0; i < levels; i++)
        inside = sub(field, sub(1, inside));
    return inside;
}

START_TEST(test_message_parse_nesting_is_bounded)
{
    struct wa_content c;
    struct bytes text = txt(1, "deep");
    ck_assert_int_eq(wa_message_parse(nested(40, WA_WRAPPERS_MAX, text), &memory, &c), 0);
    check_text("eight levels", c.text, "deep");
    struct bytes bomb = nested(40, WA_WRAPPERS_MAX + 1, text);
    ck_assert_int_eq(wa_message_parse(bomb, &memory, &c), ERR_LIMIT);
    ck_assert_int_eq(c.kind, WA_KIND_NONE);
    ck_assert(!c.ephemeral && c.text.n == 0);
    ck_assert_int_eq(wa_message_parse(nested(40, 5000, text), &memory, &c), ERR_LIMIT);
    arena_deinit(&memory);
}
END_TEST

/* Through every other door: quotes, notes, edits, own copies, comments. */
START_TEST(test_message_parse_other_nesting_bombs_are_harmless)
{
    struct wa_content c;
    struct bytes quote = txt(1, "q"), note = txt(1, "n"), edit = txt(1, "e"), copy = txt(1, "c"),
                 comment = txt(1, "c");
    for (int i = 0; i < 2000; i++) {
        quote = sub(6, sub(17, sub(3, quote)));
        note = sub(16, sub(2, note));
        edit = sub(12, ALL(num(2, 14), sub(14, edit)));
        copy = sub(31, sub(2, copy));
        comment = sub(77, sub(1, comment));
        if (i % 100 == 0) {
            struct arena old = memory;
            memory = (struct arena){0};
            quote = arena_copy(&memory, quote);
            note = arena_copy(&memory, note);
            edit = arena_copy(&memory, edit);
            copy = arena_copy(&memory, copy);
            comment = arena_copy(&memory, comment);
            arena_deinit(&old);
        }
    }
    ck_assert_int_eq(wa_message_parse(quote, &memory, &c), 0);
    ck_assert_int_eq(c.kind, WA_KIND_TEXT);
    ck_assert_int_eq(wa_message_parse(note, &memory, &c), ERR_LIMIT);
    /* An edit inside an edit is not looked at. */
    ck_assert_int_eq(wa_message_parse(edit, &memory, &c), 0);
    ck_assert_int_eq(c.kind, WA_KIND_EDIT);
    ck_assert_int_eq(wa_message_parse(copy, &memory, &c), ERR_LIMIT);
    ck_assert_int_eq(wa_message_parse(comment, &memory, &c), ERR_LIMIT);
    arena_deinit(&memory);
}
END_TEST

START_TEST(test_message_parse_countless_tiny_fields_are_refused)
{
    /* 2 bytes each: unknown fields of an extended text, and empty poll options. */
    static const uint8_t tiny[][2] = {{0x18, 0x00}, {0x1a, 0x00}};
    static const uint32_t parts[] = {6, 49};
    for (size_t i = 0; i < ARRAY_LEN(tiny); i++) {
        struct wa_content c;
        struct buf b;
        buf_init(&b, WA_MESSAGE_MAX);
        for (int j = 0; j < 400000; j++)
            buf_append(&b, BYTES_ARRAY(tiny[i]));
        struct bytes m = sub(parts[i], buf_bytes(&b));
        ck_assert_int_eq(wa_message_parse(m, &memory, &c), ERR_LIMIT);
        buf_deinit(&b);
        arena_deinit(&memory);
    }
}
END_TEST

START_TEST(test_message_parse_large_messages_are_read_up_to_the_bound)
{
    struct wa_content c;
    size_t n = WA_MESSAGE_MAX - 100;
    uint8_t *large = err_malloc(WA_MESSAGE_MAX);
    memset(large, 'x', WA_MESSAGE_MAX);
    struct bytes m = nested(40, WA_WRAPPERS_MAX, sub(1, BYTES(large, n)));
    ck_assert_uint_le(m.n, WA_MESSAGE_MAX);
    ck_assert_int_eq(wa_message_parse(m, &memory, &c), 0);
    ck_assert_uint_eq(c.text.n, n);
    ck_assert_int_eq(wa_message_parse(sub(1, BYTES(large, WA_MESSAGE_MAX)), &memory, &c),
                     ERR_LIMIT);
    free(large);
    arena_deinit(&memory);
}
END_TEST

/* ---- protocolMessage ------------------------------------------------------------------------- */

START_TEST(test_message_parse_revoke_gives_target)
{
    struct wa_content c;
    struct bytes m = sub(12, ALL(key(1, "GONE"), num(2, 0)));
    ck_assert_int_eq(wa_message_parse(m, &memory, &c), 0);
    ck_assert_int_eq(c.kind, WA_KIND_REVOKE);
    ck_assert_int_eq(c.protocol_type, -1);
    check_text("target", c.target_id, "GONE");
    arena_deinit(&memory);
}
END_TEST

START_TEST(test_message_parse_edit_gives_new_text_and_target)
{
    struct wa_content c;
    struct bytes new_text = sub(6, ALL(txt(1, "better"), ctx(17)));
    struct bytes protocol =
        sub(12, ALL(key(1, "FIRST"), num(2, 14), sub(14, new_text), num(15, 1756000000000)));
    const struct bytes forms[] = {protocol, sub(58, sub(1, protocol))};
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        ck_assert_int_eq(wa_message_parse(forms[i], &memory, &c), 0);
        ck_assert_int_eq(c.kind, WA_KIND_EDIT);
        ck_assert(c.edited);
        check_text("text", c.text, "better");
        check_text("target", c.target_id, "FIRST");
        check_text("quoted", c.quoted_id, "QUOTED");
    }
    /* What an edit carries cannot pose as something else. */
    struct bytes reaction = sub(46, ALL(key(1, "OTHER"), txt(2, "!")));
    struct bytes m = sub(12, ALL(key(1, "FIRST"), num(2, 14), sub(14, reaction)));
    ck_assert_int_eq(wa_message_parse(m, &memory, &c), 0);
    ck_assert_int_eq(c.kind, WA_KIND_EDIT);
    check_text("target", c.target_id, "FIRST");
    arena_deinit(&memory);
}
END_TEST

START_TEST(test_message_parse_protocol_types_are_told)
{
    struct wa_content c;
    struct bytes history = ALL(num(2, 5), sub(6, ALL(num(6, 3), txt(5, "/path"))));
    ck_assert_int_eq(wa_message_parse(sub(12, history), &memory, &c), 0);
    ck_assert_int_eq(c.kind, WA_KIND_PROTOCOL);
    ck_assert_int_eq(c.protocol_type, 5);
    ck_assert(c.has_history_sync);
    testing_assert_bytes(c.protocol, history, "protocol");

    struct bytes timer = sub(12, ALL(num(2, 3), num(4, 86400), num(5, 1756000000)));
    ck_assert_int_eq(wa_message_parse(timer, &memory, &c), 0);
    ck_assert_int_eq(c.protocol_type, 3);
    ck_assert_uint_eq(c.expiration_s, 86400);
    ck_assert_int_eq(c.expiration_set_s, 1756000000);
    ck_assert(c.timer_set);
    ck_assert(!c.has_history_sync);

    struct bytes off = sub(40, sub(1, sub(12, num(2, 3))));
    ck_assert_int_eq(wa_message_parse(off, &memory, &c), 0);
    ck_assert(c.timer_set);
    ck_assert_uint_eq(c.expiration_s, 0);

    ck_assert_int_eq(wa_message_parse(sub(12, num(2, 4711)), &memory, &c), 0);
    ck_assert(!c.timer_set);
    ck_assert_int_eq(c.protocol_type, 4711);
    ck_assert_int_eq(wa_message_parse(sub(12, key(1, "X")), &memory, &c), 0);
    ck_assert_int_eq(c.kind, WA_KIND_PROTOCOL);
    ck_assert_int_eq(c.protocol_type, -1);
    ck_assert_int_eq(wa_message_parse(sub(12, bytes_text("\xff")), &memory, &c), ERR_INVALID);
    arena_deinit(&memory);
}
END_TEST

START_TEST(test_message_parse_own_protocol_copy_is_unwrapped)
{
    struct wa_content c;
    struct bytes m = sub(31, ALL(txt(1, "49151@s.whatsapp.net"), sub(2, sub(12, num(2, 6)))));
    ck_assert_int_eq(wa_message_parse(m, &memory, &c), 0);
    ck_assert(c.device_sent);
    ck_assert_int_eq(c.kind, WA_KIND_PROTOCOL);
    ck_assert_int_eq(c.protocol_type, 6);
    arena_deinit(&memory);
}
END_TEST

/* ---- text from hostile peers ----------------------------------------------------------------- */

START_TEST(test_message_parse_bad_utf8_is_replaced)
{
    const struct {
        struct bytes raw;
        const char *want;
    } cases[] = {
        {BYTES("a\xff\x62", 3), "a\xef\xbf\xbd\x62"},
        {BYTES("\xed\xa0\x80", 3), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* surrogate */
        {BYTES("\xc0\x80", 2), "\xef\xbf\xbd\xef\xbf\xbd"},                 /* overlong NUL */
        {BYTES("a\0b", 3), "a\xef\xbf\xbd\x62"},
        {BYTES("\xc3\xa9\xe2\x82", 4), "\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd"}, /* cut */
        {BYTES("\xf0\x9f\x91\x8d", 4), "\xf0\x9f\x91\x8d"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct wa_content c;
        ck_assert_int_eq(wa_message_parse(sub(1, cases[i].raw), &memory, &c), 0);
        check_text("conversation", c.text, cases[i].want);
        ck_assert_int_eq(wa_message_parse(sub(3, sub(3, cases[i].raw)), &memory, &c), 0);
        check_text("caption", c.text, cases[i].want);
    }
    arena_deinit(&memory);
}
END_TEST

START_TEST(test_message_parse_bad_ids_are_dropped)
{
    struct wa_content c;
    char large[300];
    memset(large, 'A', sizeof(large));
    large[sizeof(large) - 1] = '\0';
    const struct bytes ids[] = {BYTES("A\xff", 2), BYTES("A\0B", 3), bytes_text(large)};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        struct bytes m = sub(6, ALL(txt(1, "hi"), sub(17, sub(1, ids[i]))));
        ck_assert_int_eq(wa_message_parse(m, &memory, &c), 0);
        ck_assert_uint_eq(c.quoted_id.n, 0);
        m = sub(46, ALL(sub(1, sub(3, ids[i])), txt(2, "!")));
        ck_assert_int_eq(wa_message_parse(m, &memory, &c), 0);
        ck_assert_uint_eq(c.target_id.n, 0);
        m = sub(31, ALL(sub(1, ids[i]), sub(2, txt(1, "x"))));
        ck_assert_int_eq(wa_message_parse(m, &memory, &c), 0);
        ck_assert_uint_eq(c.destination.n, 0);
    }
    arena_deinit(&memory);
}
END_TEST

START_TEST(test_message_parse_not_a_message_is_invalid)
{
    static const char *const garbage[] = {"\xff",
                                          "\x08",
                                          "\x0a\x05\x61",
                                          "\x0f\x00",
                                          "\x00\x00",
                                          "\x1a\x03\x1a\x05\x61",
                                          "\x0a\xff\xff\xff\xff\x0f"};
    for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
        struct wa_content c;
        size_t n = i == 4 ? 2 : strlen(garbage[i]);
        ck_assert_int_eq(wa_message_parse(BYTES(garbage[i], n), &memory, &c), ERR_INVALID);
        ck_assert_int_eq(c.kind, WA_KIND_NONE);
    }
    /* conversation as a number */
    struct wa_content c;
    ck_assert_int_eq(wa_message_parse(num(1, 5), &memory, &c), ERR_INVALID);
    arena_deinit(&memory);
}
END_TEST

/* Any byte of any message flipped: no crash, and always valid text. */
START_TEST(test_message_parse_flipped_bytes_are_harmless)
{
    struct bytes m = sub(
        31, ALL(txt(1, "111@lid"), sub(2, sub(40, sub(1, sub(6, ALL(txt(1, "text"), ctx(17))))))));
    uint8_t *copy = (uint8_t *)bytes_strdup(m);
    for (size_t i = 0; i < m.n; i++) {
        for (int bit = 0; bit < 8; bit++) {
            struct arena arena = {0};
            struct wa_content c;
            copy[i] = (uint8_t)(copy[i] ^ 1 << bit);
            (void)wa_message_parse(BYTES(copy, m.n), &arena, &c);
            ck_assert(text_utf8_valid(c.text) && text_utf8_valid(c.quoted_id));
            copy[i] = m.p[i];
            arena_deinit(&arena);
        }
    }
    free(copy);
    arena_deinit(&memory);
}
END_TEST

/* ---- padding and vectors --------------------------------------------------------------------- */

START_TEST(test_padding_valid_vectors_round_trip)
{
    json_t *vectors = testing_vectors("padding.json");
    const json_t *list = json_object_get(vectors, "valid");
    ck_assert_uint_ge(json_array_size(list), 9);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        struct bytes message = testing_hex(v, "message_proto"), padded = testing_hex(v, "padded");
        struct buf b;
        struct bytes cut = padded;
        buf_init(&b, 4096);
        int pad = (int)json_integer_value(json_object_get(v, "pad_len"));
        ck_assert_int_eq(wa_padding_add(&b, message, (uint8_t)(0xa0 | (pad - 1))), 0);
        testing_assert_bytes(buf_bytes(&b), padded, "padded");
        ck_assert_int_eq(wa_padding_remove(&cut), 0);
        testing_assert_bytes(cut, message, "message");
        struct wa_content c;
        ck_assert_int_eq(wa_message_parse(cut, &memory, &c), 0);
        ck_assert_int_eq(c.kind, WA_KIND_TEXT);
        buf_deinit(&b);
    }
    arena_deinit(&memory);
}
END_TEST

START_TEST(test_padding_invalid_vectors_are_refused)
{
    json_t *vectors = testing_vectors("padding.json");
    const json_t *list = json_object_get(vectors, "invalid");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        struct bytes padded = testing_hex(v, "padded");
        ck_assert_str_eq(testing_text(v, "strict_result"), "reject");
        ck_assert_int_eq(wa_padding_remove(&padded), ERR_INVALID);
    }
    uint8_t seventeen[20];
    memset(seventeen, 17, sizeof(seventeen));
    struct bytes padded = BYTES_ARRAY(seventeen);
    ck_assert_int_eq(wa_padding_remove(&padded), ERR_INVALID);
    struct buf small;
    buf_init(&small, 4);
    ck_assert_int_eq(wa_padding_add(&small, bytes_text("abc"), 1), ERR_LIMIT);
    ck_assert_uint_eq(small.n, 0);
    buf_deinit(&small);
}
END_TEST

/* Messages that Baileys serialised, with the text that it put in. */
START_TEST(test_message_parse_foreign_messages_give_their_text)
{
    static const char *const files[] = {"signal-1to1.json", "signal-group.json"};
    size_t seen = 0;
    for (size_t f = 0; f < ARRAY_LEN(files); f++) {
        json_t *vectors = testing_vectors(files[f]);
        const json_t *scenarios = json_object_get(vectors, "scenarios");
        for (size_t i = 0; i < json_array_size(scenarios); i++) {
            const json_t *events = json_object_get(json_array_get(scenarios, i), "events");
            for (size_t j = 0; j < json_array_size(events); j++) {
                const json_t *e = json_array_get(events, j);
                struct wa_content c;
                if (!json_object_get(e, "message_proto") || !json_object_get(e, "text"))
                    continue;
                struct bytes m = testing_hex(e, "message_proto");
                ck_assert_int_eq(wa_message_parse(m, &memory, &c), 0);
                check_text("text", c.text, testing_text(e, "text"));
                seen++;
            }
        }
    }
    ck_assert_uint_ge(seen, 40);
    arena_deinit(&memory);
}
END_TEST

START_TEST(test_message_parse_foreign_sender_key_is_found)
{
    json_t *vectors = testing_vectors("signal-group.json");
    const json_t *first = json_array_get(json_object_get(vectors, "scenarios"), 0);
    const json_t *e = json_array_get(json_object_get(first, "events"), 1);
    struct wa_content c;
    struct bytes m = testing_hex(e, "whatsapp_message_proto");
    ck_assert_int_eq(wa_message_parse(m, &memory, &c), 0);
    ck_assert_int_eq(c.kind, WA_KIND_NONE);
    check_text("group", c.skdm_group, testing_text(vectors, "group_id"));
    testing_assert_bytes(c.skdm, testing_hex(e, "skdm"), "key");
    struct buf built;
    buf_init(&built, 4096);
    ck_assert_int_eq(wa_message_build_skdm(&built, testing_text(vectors, "group_id"), c.skdm), 0);
    testing_assert_bytes(buf_bytes(&built), m, "built");
    buf_deinit(&built);
    arena_deinit(&memory);
}
END_TEST

/* ---- building -------------------------------------------------------------------------------- */

START_TEST(test_message_build_text_has_documented_fields)
{
    struct buf b;
    buf_init(&b, WA_MESSAGE_MAX);
    struct wa_text plain = {.text = bytes_text("hello")};
    ck_assert_int_eq(wa_message_build_text(&b, &plain), 0);
    testing_assert_bytes(buf_bytes(&b), txt(1, "hello"), "plain");

    buf_clear(&b);
    struct wa_text timed = {
        .text = bytes_text("hello"), .expiration_s = 86400, .expiration_set_s = 1756000000};
    ck_assert_int_eq(wa_message_build_text(&b, &timed), 0);
    testing_assert_bytes(
        buf_bytes(&b),
        sub(6, ALL(txt(1, "hello"), sub(17, ALL(num(25, 86400), num(26, 1756000000))))), "timed");

    buf_clear(&b);
    struct wa_text reply = {.text = bytes_text("yes"),
                            .quoted_id = bytes_text("ID"),
                            .quoted_author = bytes_text("1@lid"),
                            .quoted_text = bytes_text("open?"),
                            .expiration_s = 7};
    ck_assert_int_eq(wa_message_build_text(&b, &reply), 0);
    struct bytes context = ALL(txt(1, "ID"), txt(2, "1@lid"), sub(3, txt(1, "open?")), num(25, 7));
    testing_assert_bytes(buf_bytes(&b), sub(6, ALL(txt(1, "yes"), sub(17, context))), "reply");
    buf_deinit(&b);
    arena_deinit(&memory);
}
END_TEST

START_TEST(test_message_build_text_refuses_bad_input)
{
    struct buf b;
    static uint8_t large[WA_TEXT_MAX + 1];
    memset(large, 'x', sizeof(large));
    buf_init(&b, WA_MESSAGE_MAX);
    struct wa_text t = {.text = BYTES_NONE};
    ck_assert_int_eq(wa_message_build_text(&b, &t), ERR_INVALID);
    t.text = bytes_text("\xff");
    ck_assert_int_eq(wa_message_build_text(&b, &t), ERR_INVALID);
    t.text = BYTES_ARRAY(large);
    ck_assert_int_eq(wa_message_build_text(&b, &t), ERR_LIMIT);
    t.text.n--;
    ck_assert_int_eq(wa_message_build_text(&b, &t), 0);
    buf_deinit(&b);
    buf_init(&b, 4);
    t.text = bytes_text("hello");
    ck_assert_int_eq(wa_message_build_text(&b, &t), ERR_LIMIT);
    ck_assert_uint_eq(b.n, 0);
    buf_deinit(&b);
}
END_TEST

/* Lengths on both sides of where they take one byte more; no room means no byte. */
START_TEST(test_field_put_is_whole_or_nothing_and_as_long_as_told)
{
    static const size_t lengths[] = {0, 1, 127, 128, 16383, 16384};
    static uint8_t text[16384];
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct bytes data = BYTES(text, lengths[i]), want = sub(35, data);
        struct buf exact = {.max = want.n}, less = {.max = want.n - 1};
        ck_assert_uint_eq(wa_field_size(35, data.n), want.n);
        ck_assert(wa_field_put(&exact, 35, data));
        testing_assert_bytes(buf_bytes(&exact), want, "a field");
        ck_assert(!wa_field_put(&less, 35, data));
        ck_assert_uint_eq(less.n, 0);
        buf_deinit(&exact);
        buf_deinit(&less);
    }
    arena_deinit(&memory);
}
END_TEST

START_TEST(test_message_build_device_sent_of_any_length_fits_exactly)
{
    static uint8_t text[20000];
    static const size_t lengths[] = {1, 100, 117, 118, 127, 128, 16370, 16384, 20000};
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct bytes inner = sub(1, BYTES(text, lengths[i]));
        struct bytes want = sub(31, ALL(txt(1, "111@lid"), sub(2, inner)));
        struct buf exact = {.max = want.n}, less = {.max = want.n - 1};
        ck_assert_int_eq(wa_message_build_device_sent(&exact, "111@lid", inner), 0);
        testing_assert_bytes(buf_bytes(&exact), want, "wrapped");
        ck_assert_int_eq(wa_message_build_device_sent(&less, "111@lid", inner), ERR_LIMIT);
        ck_assert_uint_eq(less.n, 0);
        buf_deinit(&exact);
        buf_deinit(&less);
    }
    arena_deinit(&memory);
}
END_TEST

START_TEST(test_message_build_device_sent_wraps_and_copies_context)
{
    struct buf b;
    struct bytes secret = sub(35, sub(3, txt(1, "secret")));
    struct bytes inner = ALL(txt(1, "hello"), secret);
    buf_init(&b, WA_MESSAGE_MAX);
    ck_assert_int_eq(wa_message_build_device_sent(&b, "111@lid", inner), 0);
    testing_assert_bytes(buf_bytes(&b), ALL(sub(31, ALL(txt(1, "111@lid"), sub(2, inner))), secret),
                         "wrapped");
    ck_assert_int_eq(wa_message_build_device_sent(&b, "111@lid", bytes_text("\xff")), ERR_INVALID);
    buf_deinit(&b);
    arena_deinit(&memory);
}
END_TEST

START_TEST(test_kind_text_names_each_kind)
{
    for (int i = WA_KIND_NONE; i <= WA_KIND_UNDECRYPTABLE; i++)
        ck_assert_uint_gt(strlen(wa_kind_text((enum wa_kind)i)), 0);
    ck_assert_str_eq(wa_kind_text(WA_KIND_UNDECRYPTABLE), "undecryptable");
}
END_TEST

#define ADD(name) tcase_add_test(cases, name)

TCase *message_cases(void)
{
    TCase *cases = tcase_create("messages");
    tcase_set_timeout(cases, 60);
    ADD(test_message_parse_text_and_media_kinds);
    ADD(test_message_parse_business_kinds);
    ADD(test_message_parse_other_kinds);
    ADD(test_message_parse_empty_parts_have_no_text);
    ADD(test_message_parse_wrappers_are_opened);
    ADD(test_message_parse_view_once_inside_media_is_flagged);
    ADD(test_message_parse_device_sent_gives_destination);
    ADD(test_message_parse_sender_key_beside_content);
    ADD(test_message_parse_nesting_is_bounded);
    ADD(test_message_parse_other_nesting_bombs_are_harmless);
    ADD(test_message_parse_countless_tiny_fields_are_refused);
    ADD(test_message_parse_large_messages_are_read_up_to_the_bound);
    ADD(test_message_parse_revoke_gives_target);
    ADD(test_message_parse_edit_gives_new_text_and_target);
    ADD(test_message_parse_protocol_types_are_told);
    ADD(test_message_parse_own_protocol_copy_is_unwrapped);
    ADD(test_message_parse_bad_utf8_is_replaced);
    ADD(test_message_parse_bad_ids_are_dropped);
    ADD(test_message_parse_not_a_message_is_invalid);
    ADD(test_message_parse_flipped_bytes_are_harmless);
    ADD(test_padding_valid_vectors_round_trip);
    ADD(test_padding_invalid_vectors_are_refused);
    ADD(test_message_parse_foreign_messages_give_their_text);
    ADD(test_message_parse_foreign_sender_key_is_found);
    ADD(test_message_build_text_has_documented_fields);
    ADD(test_message_build_text_refuses_bad_input);
    ADD(test_field_put_is_whole_or_nothing_and_as_long_as_told);
    ADD(test_message_build_device_sent_of_any_length_fits_exactly);
    ADD(test_message_build_device_sent_wraps_and_copies_context);
    ADD(test_kind_text_names_each_kind);
    return cases;
}
