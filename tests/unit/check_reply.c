/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "testing.h"

#include "base/err.h"
#include "bridge/reply.h"

/* A template in memory: each intent has one keyword and its name as the reply. */
struct fixture {
    struct config_replies replies;
    struct config_language language;
    struct config_intent intents[4];
    const char *keywords[4];
};

static struct fixture *template(const char *a, const char *b, const char *fallback)
{
    struct fixture *f = err_calloc(1, sizeof(*f));
    const char *keywords[2] = {a, b}, *names[2] = {"first", "second"};
    struct config_intent **end = &f->language.intents;
    for (size_t i = 0; i < 2 && keywords[i]; i++) {
        f->keywords[i] = keywords[i];
        f->intents[i] = (struct config_intent){.name = names[i],
                                               .keywords = &f->keywords[i],
                                               .keyword_count = 1,
                                               .reply.text = names[i]};
        *end = &f->intents[i];
        end = &(*end)->next;
    }
    f->language.tag = "";
    f->language.fallback.text = fallback;
    f->replies.languages = &f->language;
    return f;
}

/* The answer to a first message, and in *intent its name. */
static const char *match(const struct config_replies *replies, struct bytes text,
                         const char **intent)
{
    struct bridge_reply_chat chat = {0};
    struct bridge_reply_answer found;
    const struct bridge_reply_asked asked = {
        .text = text, .language = CONFIG_LANGUAGE_AUTO, .open = true};
    bridge_reply_find(replies, &asked, &chat, &found);
    *intent = found.text ? found.name : NULL;
    return found.text;
}

static bool matches(const char *keyword, struct bytes text)
{
    AUTO_FREE struct fixture *f = template(keyword, NULL, NULL);
    const char *intent = "unset";
    const char *reply = match(&f->replies, text, &intent);
    ck_assert(reply ? strcmp(intent, "first") == 0 : intent == NULL);
    return reply != NULL;
}

static const struct {
    const char *keyword, *text;
    bool match;
} cases[] = {
    {"hola", "HOLA!", true},
    {"hola", "hol\u00e1", true},
    {"hola", "hola\u0301", true}, /* a combining accent */
    {"HOL\u00c1", "\u00bfhola, qu\u00e9 tal?", true},
    {"hola", "holahola", false},
    {"hola", "hola2", false},
    {"hola", "hola_amigo", true},
    {"hola", "*hola*", true},
    {"hola", "\u00a1Hola\U0001f44b", true},
    {"hola", "\uff48\uff4f\uff4c\uff41", true}, /* full width */
    {"hola", "", false},
    {"hola", " ", false},
    {"good morning", "Good   MORNING :)", true},
    {"good morning", "well, good, morning", true},
    {"good morning", "good\nmorning", true},
    {"good morning", "good old morning", false},
    {"good morning", "goodmorning", false},
    {"good morning", "good", false},
    {"e-mail", "my E mail", true},
    {"e-mail", "email", false},
    {"what's up", "What\u2019s up?", true},
    {"2", "2\ufe0f\u20e3", true}, /* keycap */
    {"2", "number 2, please", true},
    {"2", "12", false},
    {"2", "2nd", false},
    {"2", "\u0662", false}, /* another script's digit is another character */
    {"stra\u00dfe", "STRASSE", true},
    {"caf\u00e9", "CAFE", true},
    {"\u041f\u0440\u0438\u0432\u0435\u0442", "\u043f\u0440\u0438\u0432\u0435\u0442!", true},
    {"\u03bf\u03b4\u03cc\u03c2", "\u039f\u0394\u039f\u03a3", true}, /* final sigma */
    {"\u0645\u0631\u062d\u0628\u0627", "\u0645\u064e\u0631\u0652\u062d\u064e\u0628\u0627", true},
    {"\U0001f44d", "ok\U0001f44d\U0001f3fd", true}, /* with a skin tone */
    {"\U0001f44d", "\U0001f44e", false},
    {"c++", "I like C++.", true},
    {"c++", "c", false},
    {"...", "...", false},
};

START_TEST(test_match_cases_match_whole_words)
{
    const char *keyword = cases[_i].keyword, *text = cases[_i].text;
    ck_assert_msg(matches(keyword, bytes_text(text)) == cases[_i].match, "keyword %s, text %s",
                  keyword, text);
}
END_TEST

/* Texts in ASCII are folded on a shorter way; another character beside them forbids it. */
START_TEST(test_match_of_ascii_is_the_same_on_both_ways)
{
    for (char c = 1; c < 0x7f; c++) {
        const char keyword[] = {'a', c, 'b', '\0'}, other[] = {'a', '-', 'b', '\0'};
        const char shorter[] = {'A', c, 'b', '\0'};
        const char longer[] = {'A', c, 'b', ' ', '\xc3', '\xa9', '\0'};
        ck_assert_msg(matches(keyword, bytes_text(shorter)), "character %d", c);
        ck_assert_msg(matches(keyword, bytes_text(longer)), "character %d", c);
        ck_assert_msg(matches(other, bytes_text(shorter)) == matches(other, bytes_text(longer)),
                      "character %d", c);
    }
}
END_TEST

START_TEST(test_match_two_intents_first_wins)
{
    AUTO_FREE struct fixture *f = template("price", "hello", "menu");
    const char *intent;
    ck_assert_str_eq(match(&f->replies, bytes_text("Hello! What price?"), &intent), "first");
    ck_assert_str_eq(intent, "first");
    ck_assert_str_eq(match(&f->replies, bytes_text("hello"), &intent), "second");
    ck_assert_str_eq(intent, "second");
}
END_TEST

START_TEST(test_match_nothing_gives_fallback_or_null)
{
    AUTO_FREE struct fixture *with = template("price", NULL, "menu");
    AUTO_FREE struct fixture *without = template("price", NULL, NULL);
    const char *intent;
    ck_assert_str_eq(match(&with->replies, bytes_text("xyz"), &intent), "menu");
    ck_assert_str_eq(intent, CONFIG_FALLBACK);
    ck_assert_ptr_null(match(&without->replies, bytes_text("xyz"), &intent));
    ck_assert_ptr_null(intent);
}
END_TEST

START_TEST(test_match_second_keyword_matches)
{
    const char *keywords[] = {"hello", "hi there"};
    struct config_intent intent = {
        .name = "greeting", .keywords = keywords, .keyword_count = 2, .reply.text = "r"};
    struct config_language language = {.tag = "", .intents = &intent};
    struct config_replies replies = {.languages = &language};
    const char *name;
    ck_assert_str_eq(match(&replies, bytes_text("oh, HI there"), &name), "r");
    ck_assert_str_eq(name, "greeting");
}
END_TEST

START_TEST(test_match_bad_utf8_matches_nothing)
{
    ck_assert(!matches("hola", BYTES("hola \xff", 6)));
    ck_assert(!matches("hola", BYTES("hola \xc3", 6)));
    ck_assert(!matches("hola", BYTES("\xed\xa0\x80 hola", 8)));
    ck_assert(!matches("hola", BYTES_NONE));
    ck_assert(matches("hola", BYTES("hola\0x", 6)));
}
END_TEST

START_TEST(test_match_long_text_looks_at_its_beginning)
{
    size_t n = 100000;
    AUTO_FREE char *text = err_malloc(n);
    for (size_t i = 0; i + 1 < n; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    memcpy(text, "hola ", 5);
    memcpy(text + n - 7, " price ", 7);
    text[5] = ' ';
    ck_assert(matches("hola", BYTES(text, n)));
    ck_assert(!matches("price", BYTES(text, n)));
}
END_TEST

START_TEST(test_match_every_truncation_does_not_crash)
{
    const char *text = "\u00a1Hola\U0001f44b\U0001f3fd a\u0301 \ufdfa \u1e9e 2\ufe0f\u20e3 \uac00";
    for (size_t n = 0; n <= strlen(text); n++) {
        AUTO_FREE char *cut = bytes_strdup(BYTES(text, n));
        AUTO_BUF struct buf out;
        struct bridge_reply_values values = {BYTES(cut, n), BYTES(cut, n)};
        buf_init(&out, 1000);
        (void)matches("hola", BYTES(cut, n));
        ck_assert_int_eq(bridge_reply_render("{message} {business_name} {customer_name}",
                                             BYTES(cut, n), &values, &out),
                         0);
    }
}
END_TEST

static const char *render(const char *reply, const char *text, const char *business,
                          const char *customer)
{
    static struct buf out;
    struct bridge_reply_values values = {bytes_text(business), bytes_text(customer)};
    buf_deinit(&out);
    buf_init(&out, 4096);
    ck_assert_int_eq(bridge_reply_render(reply, bytes_text(text), &values, &out), 0);
    return buf_text(&out);
}

START_TEST(test_render_variables_are_filled_in)
{
    ck_assert_str_eq(
        render("Hello {customer_name}, this is {business_name}: {message}", "hi", "Shop", "Ann"),
        "Hello Ann, this is Shop: hi");
    ck_assert_str_eq(render("{message}{message}", "a", "", ""), "aa");
    ck_assert_str_eq(render("no variable } here", "a", "", ""), "no variable } here");
    ck_assert_str_eq(render("{other} {", "a", "", ""), "{other} {");
}
END_TEST

START_TEST(test_render_empty_value_takes_one_blank)
{
    ck_assert_str_eq(render("Hello {customer_name}, hi", "", "", ""), "Hello, hi");
    ck_assert_str_eq(render("Hello  {customer_name}!", "", "", NULL), "Hello !");
    ck_assert_str_eq(render("{customer_name} hi", "", "", ""), " hi");
    ck_assert_str_eq(render("Hello {customer_name}", "", "", "\xff\xfe"), "Hello");
}
END_TEST

START_TEST(test_render_value_with_variable_is_not_expanded)
{
    ck_assert_str_eq(render("You wrote: {message}", "{business_name} {message}", "Shop", "Ann"),
                     "You wrote: {business_name} {message}");
}
END_TEST

START_TEST(test_render_long_value_is_cut_at_a_character)
{
    char text[601];
    for (size_t i = 0; i < 600; i += 3)
        memcpy(text + i, "\xe2\x82\xac", 3);
    text[600] = '\0';
    const char *got = render("{customer_name}", "", "", text);
    ck_assert_uint_eq(strlen(got), 255);
    ck_assert(strncmp(got, text, 255) == 0);
}
END_TEST

START_TEST(test_render_long_message_is_cut_to_what_fits)
{
    AUTO_BUF struct buf out;
    struct bridge_reply_values values = {BYTES_NONE, BYTES_NONE};
    buf_init(&out, 20);
    ck_assert_int_eq(
        bridge_reply_render("<{message}> <{message}>", bytes_text("0123456789"), &values, &out), 0);
    ck_assert_str_eq(buf_text(&out), "<012345> <012345678>");
}
END_TEST

START_TEST(test_render_over_ceiling_leaves_out_as_before)
{
    AUTO_BUF struct buf out;
    struct bridge_reply_values values = {bytes_text("Shop"), bytes_text("Ann")};
    buf_init(&out, 10);
    buf_append_text(&out, "ab ");
    ck_assert_int_eq(bridge_reply_render("{customer_name}, welcome", BYTES_NONE, &values, &out),
                     ERR_LIMIT);
    ck_assert_str_eq(buf_text(&out), "ab ");
    ck_assert(!out.full);
    ck_assert_int_eq(bridge_reply_render("{customer_name}!", BYTES_NONE, &values, &out), 0);
    ck_assert_str_eq(buf_text(&out), "ab Ann!");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reply");
    TCase *match = tcase_create("match");
    tcase_add_loop_test(match, test_match_cases_match_whole_words, 0, (int)ARRAY_LEN(cases));
    tcase_add_test(match, test_match_of_ascii_is_the_same_on_both_ways);
    tcase_add_test(match, test_match_two_intents_first_wins);
    tcase_add_test(match, test_match_nothing_gives_fallback_or_null);
    tcase_add_test(match, test_match_second_keyword_matches);
    tcase_add_test(match, test_match_bad_utf8_matches_nothing);
    tcase_add_test(match, test_match_long_text_looks_at_its_beginning);
    tcase_add_test(match, test_match_every_truncation_does_not_crash);
    suite_add_tcase(suite, match);
    TCase *rendering = tcase_create("render");
    tcase_add_test(rendering, test_render_variables_are_filled_in);
    tcase_add_test(rendering, test_render_empty_value_takes_one_blank);
    tcase_add_test(rendering, test_render_value_with_variable_is_not_expanded);
    tcase_add_test(rendering, test_render_long_value_is_cut_at_a_character);
    tcase_add_test(rendering, test_render_long_message_is_cut_to_what_fits);
    tcase_add_test(rendering, test_render_over_ceiling_leaves_out_as_before);
    suite_add_tcase(suite, rendering);
    return testing_run(suite);
}
