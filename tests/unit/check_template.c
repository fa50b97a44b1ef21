/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Templates as a whole: the shipped ones, layers, variables, menus, languages, business hours. */
#include "testing.h"

#include <stdio.h>
#include <time.h>

#include "bridge/reply.h"
#include "config/hours.h"

static const char *const types[] = {"booking",     "ecommerce",  "support",
                                    "real-estate", "restaurant", "healthcare"};
static const char *const tags[] = {"en", "sw"};
#define SHIPPED ((int)(ARRAY_LEN(types) * ARRAY_LEN(tags)))

static struct config config;
static struct config_replies replies;
static struct config_report report;
static const char *dir;

static void set_up(void)
{
    const char *conf = getenv("CONF_DIR");
    dir = testing_dir();
    config = (struct config){.replies_language = CONFIG_LANGUAGE_AUTO};
    snprintf(config.replies_directory, sizeof(config.replies_directory), "%s/replies",
             conf ? conf : "conf");
}

static void tear_down(void)
{
    config_replies_deinit(&replies);
    config_report_deinit(&report);
}

static int load(void)
{
    tear_down();
    return config_replies_load(&replies, &config, &report);
}

static void assert_loads(void)
{
    ck_assert_msg(load() == 0, "%s", buf_text(&report.text));
}

static void use_type(const char *type)
{
    snprintf(config.replies_type, sizeof(config.replies_type), "%s", type);
}

static void use_language(const char *tag)
{
    snprintf(config.replies_language, sizeof(config.replies_language), "%s", tag);
}

static const char *path_of(const char *name)
{
    static char path[512];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void write_file(const char *name, const char *content)
{
    FILE *f = fopen(path_of(name), "w");
    ck_assert_ptr_nonnull(f);
    fputs(content, f);
    fclose(f);
}

/* A file of the tenant, read with the next load. */
static void use_file(const char *name, const char *content)
{
    write_file(name, content);
    snprintf(config.replies_file, sizeof(config.replies_file), "%s", path_of(name));
}

/* The report with the test's directory as "D". */
static const char *problems(void)
{
    static struct buf out;
    const char *p = buf_text(&report.text), *next;
    buf_deinit(&out);
    buf_init(&out, 1 << 20);
    for (; (next = strstr(p, dir)) != NULL; p = next + strlen(dir)) {
        buf_append(&out, BYTES(p, (size_t)(next - p)));
        buf_append_u8(&out, 'D');
    }
    buf_append_text(&out, p);
    return buf_text(&out);
}

static struct bridge_reply_chat chat;
static struct bridge_reply_answer found;

static const char *ask_when(const char *text, bool open)
{
    const struct bridge_reply_asked asked = {
        .text = bytes_text(text), .language = config.replies_language, .open = open};
    bridge_reply_find(&replies, &asked, &chat, &found);
    return found.text ? found.name : "nothing";
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static const char *ask(const char *text)
{
    return ask_when(text, true);
}

static void new_chat(void)
{
    chat = (struct bridge_reply_chat){0};
}

/* ---- the shipped templates ------------------------------------------------------------------ */

static const struct config_language *load_shipped(int i)
{
    use_type(types[(size_t)i / ARRAY_LEN(tags)]);
    assert_loads();
    const struct config_language *language =
        config_language_find(&replies, tags[(size_t)i % ARRAY_LEN(tags)]);
    ck_assert_ptr_nonnull(language);
    return language;
}

static void assert_answer_is_fit(const char *name, const struct config_answer *answer)
{
    AUTO_BUF struct buf out = {.max = 4096};
    const struct bridge_reply_values values = {bytes_text("Corner Shop"), bytes_text("Amina")};
    ck_assert_msg(answer->text != NULL, "%s", name);
    ck_assert_int_eq(bridge_reply_render(answer->text, bytes_text("x"), &values, &out), 0);
    ck_assert_msg(out.n > 30 && out.n <= 500, "%s is %zu bytes long", name, out.n);
    ck_assert_msg(!strchr(buf_text(&out), '{') && !strchr(buf_text(&out), '}'), "%s: %s", name,
                  buf_text(&out));
    ck_assert_ptr_null(strstr(buf_text(&out), "  "));
}

START_TEST(test_shipped_every_answer_renders_short_and_whole)
{
    const struct config_language *language = load_shipped(_i);
    for (const struct config_intent *i = language->intents; i; i = i->next)
        assert_answer_is_fit(i->name, &i->reply);
    assert_answer_is_fit(CONFIG_FALLBACK, &language->fallback);
    assert_answer_is_fit(CONFIG_CLOSED, &language->closed);
    ck_assert_uint_ge(language->fallback.menu_count, 5);
}
END_TEST

/* With any of its keywords alone; and through the menu where it stands in it. */
START_TEST(test_shipped_every_intent_is_reachable)
{
    const struct config_language *language = load_shipped(_i);
    use_language(language->tag);
    for (const struct config_intent *i = language->intents; i; i = i->next) {
        bool reached = false;
        for (size_t k = 0; k < i->keyword_count && !reached; k++) {
            new_chat();
            reached = strcmp(ask(i->keywords[k]), i->name) == 0;
        }
        ck_assert_msg(reached, "%s/%s/%s", config.replies_type, language->tag, i->name);
    }
    for (size_t i = 0; i < language->fallback.menu_count; i++) {
        char number[24];
        snprintf(number, sizeof(number), "%zu.", i + 1);
        new_chat();
        ck_assert_str_eq(ask("xyzzy"), CONFIG_FALLBACK);
        ck_assert_str_eq(ask(number), language->fallback.menu[i].name);
    }
}
END_TEST

/* Both languages answer to the same intents in the same order. */
START_TEST(test_shipped_languages_have_the_same_intents)
{
    use_type(types[_i]);
    assert_loads();
    const struct config_intent *a = config_language_find(&replies, "en")->intents,
                               *b = config_language_find(&replies, "sw")->intents;
    for (; a && b; a = a->next, b = b->next) {
        ck_assert_str_eq(a->name, b->name);
        ck_assert(a->handover == b->handover && a->urgent == b->urgent && a->always == b->always);
        ck_assert(!a->title == !b->title);
    }
    ck_assert(!a && !b);
}
END_TEST

static const struct {
    const char *type, *text, *language, *intent;
} asked[] = {
    {"booking", "Hello! I'd like to book a haircut for Saturday", "en", "book"},
    {"booking", "please cancel my appointment", "en", "cancel"},
    {"booking", "Can we reschedule my booking?", "en", "reschedule"},
    {"booking", "How much is a manicure?", "en", "prices"},
    {"booking", "Hi, what time do you open tomorrow", "en", "hours"},
    {"booking", "Where are you located?", "en", "location"},
    {"booking", "Can I speak to someone", "en", "human"},
    {"booking", "Thank you so much!", "en", "thanks"},
    {"booking", "Habari za asubuhi", "sw", "greeting"},
    {"booking", "Naomba miadi ya kesho saa nne", "sw", "book"},
    {"booking", "Nataka kufuta miadi yangu", "sw", "cancel"},
    {"booking", "Habari, bei ya kusuka ni kiasi gani?", "sw", "prices"},
    {"booking", "Mko wapi?", "sw", "location"},
    {"booking", "Mnafungua saa ngapi leo?", "sw", "hours"},
    {"booking", "Asante sana", "sw", "thanks"},
    {"ecommerce", "Where is my parcel?", "en", "order-status"},
    {"ecommerce", "The shoes arrived damaged, I want a refund", "en", "returns"},
    {"ecommerce", "Do you deliver to Mombasa", "en", "delivery"},
    {"ecommerce", "Can I pay with M-Pesa?", "en", "payment"},
    {"ecommerce", "How much is the blue dress", "en", "products"},
    {"ecommerce", "I would like two of these", "en", "order"},
    {"ecommerce", "Mzigo wangu haujafika", "sw", "order-status"},
    {"ecommerce", "Nimepokea bidhaa mbovu, nataka kurudisha", "sw", "returns"},
    {"ecommerce", "Je, mnaleta hadi Mwanza?", "sw", "delivery"},
    {"ecommerce", "Nalipa vipi? M-Pesa?", "sw", "payment"},
    {"ecommerce", "Bei ya simu hii ni ngapi", "sw", "products"},
    {"support", "My internet is down since yesterday", "en", "outage"},
    {"support", "I forgot my password", "en", "password"},
    {"support", "why was I charged twice", "en", "billing"},
    {"support", "the app crashes, please fix it", "en", "problem"},
    {"support", "any news on ticket 4711", "en", "ticket"},
    {"support", "Hakuna mtandao hapa tangu jana", "sw", "outage"},
    {"support", "Nimesahau nenosiri langu", "sw", "password"},
    {"support", "Kifaa changu hakifanyi kazi", "sw", "problem"},
    {"real-estate", "I am looking for a two bedroom flat to rent", "en", "rent"},
    {"real-estate", "Any plots for sale near the lake?", "en", "buy"},
    {"real-estate", "Can I come for a viewing on Friday", "en", "viewing"},
    {"real-estate", "I want to sell my house", "en", "sell"},
    {"real-estate", "the tap is leaking", "en", "maintenance"},
    {"real-estate", "Natafuta nyumba ya kupanga", "sw", "rent"},
    {"real-estate", "Nataka kununua kiwanja", "sw", "buy"},
    {"real-estate", "Nauza shamba langu", "sw", "sell"},
    {"real-estate", "Bomba inavuja", "sw", "maintenance"},
    {"restaurant", "A table for four tonight please", "en", "reservation"},
    {"restaurant", "Can I see the menu?", "en", "dishes"},
    {"restaurant", "Is the pilau gluten free?", "en", "allergy"},
    {"restaurant", "I want to order two pizzas", "en", "order"},
    {"restaurant", "my food has not arrived", "en", "order-problem"},
    {"restaurant", "Naomba kuhifadhi meza ya watu wanne", "sw", "reservation"},
    {"restaurant", "Menyu ya leo ni nini?", "sw", "dishes"},
    {"restaurant", "Mtoto wangu ana mzio wa karanga", "sw", "allergy"},
    {"restaurant", "Chakula changu kimechelewa", "sw", "order-problem"},
    {"healthcare", "Hello, my father has chest pain, can I book an appointment?", "en",
     "emergency"},
    {"healthcare", "He cant breathe!!", "en", "emergency"},
    {"healthcare", "I need an appointment with the dentist", "en", "appointment"},
    {"healthcare", "Are my test results ready?", "en", "results"},
    {"healthcare", "I need a refill of my tablets", "en", "prescription"},
    {"healthcare", "do you take insurance", "en", "prices"},
    {"healthcare", "cancel my appointment", "en", "cancel"},
    {"healthcare", "Mtoto amezimia, tafadhali nisaidie", "sw", "emergency"},
    {"healthcare", "Mama anashindwa kupumua", "sw", "emergency"},
    {"healthcare", "Naomba miadi ya kumuona daktari", "sw", "appointment"},
    {"healthcare", "Majibu ya vipimo yapo tayari?", "sw", "results"},
    {"healthcare", "Dawa zangu zimeisha", "sw", "prescription"},
    {"healthcare", "Je, mnapokea bima?", "sw", "prices"},
};

START_TEST(test_shipped_sentence_gets_intent_and_language)
{
    use_type(asked[_i].type);
    assert_loads();
    new_chat();
    const char *intent = ask(asked[_i].text);
    ck_assert_msg(strcmp(intent, asked[_i].intent) == 0 &&
                      strcmp(found.language->tag, asked[_i].language) == 0,
                  "%s: %s -> %s (%s), not %s (%s)", asked[_i].type, asked[_i].text, intent,
                  found.language->tag, asked[_i].intent, asked[_i].language);
}
END_TEST

/* Whatever else is said, in whichever language, fixed language or not, at any time. */
START_TEST(test_shipped_emergency_comes_first)
{
    use_type("healthcare");
    for (size_t i = 0; i < 3; i++) {
        use_language((const char *[]){"auto", "en", "sw"}[i]);
        assert_loads();
        new_chat();
        ck_assert_str_eq(ask_when("hello please cancel, my son is unconscious", false),
                         "emergency");
        ck_assert(found.intent->handover && found.intent->urgent);
        ck_assert_str_eq(ask_when("asante, mama amezimia", false), "emergency");
        ck_assert_str_eq(found.language->tag, "sw");
    }
}
END_TEST

/* ---- languages ------------------------------------------------------------------------------ */

START_TEST(test_language_stays_when_words_say_nothing)
{
    use_type("booking");
    assert_loads();
    new_chat();
    ask("12345678");
    ck_assert_str_eq(found.language->tag, "en"); /* the template's first */
    ask("Habari, naomba msaada");
    ck_assert_str_eq(chat.language, "sw");
    ask("12345678");
    ck_assert_str_eq(found.language->tag, "sw");
    ask("Sorry, can you please answer in English?");
    ck_assert_str_eq(chat.language, "en");
}
END_TEST

START_TEST(test_language_fixed_is_kept)
{
    use_type("booking");
    use_language("sw");
    assert_loads();
    new_chat();
    ck_assert_str_eq(ask("Hello, how much is it?"), CONFIG_FALLBACK);
    ck_assert_str_eq(found.language->tag, "sw");
    use_language("fr");
    ck_assert_int_eq(load(), ERR_CONFIG);
    ck_assert_str_eq(problems(),
                     "replies.language \"fr\" is not in the template (there: en, sw)\n");
}
END_TEST

START_TEST(test_language_of_a_chat_that_is_no_more_is_the_default)
{
    use_type("booking");
    assert_loads();
    chat = (struct bridge_reply_chat){.language = "fr", .menu = "gone"};
    ck_assert_str_eq(ask("1"), "book");
    ck_assert_str_eq(chat.language, "en");
}
END_TEST

START_TEST(test_language_in_a_file_of_its_own_is_added)
{
    use_type("booking");
    use_file("fr.yaml", "languages:\n  fr:\n    words: [je, vous, bonjour, avez]\n"
                        "    fallback: {reply: Bonjour}\n"
                        "    intents:\n    - {name: prix, keywords: [prix], reply: Nos prix}\n");
    assert_loads();
    new_chat();
    ck_assert_str_eq(ask("Bonjour, vous avez vos prix?"), "prix");
    ck_assert_str_eq(chat.language, "fr");
    ck_assert_str_eq(ask("I want to book please"), "book");
}
END_TEST

/* ---- menus ---------------------------------------------------------------------------------- */

#define MENUS                                                                                      \
    "intents:\n"                                                                                   \
    "- {name: tea, title: Tea, keywords: [tea], reply: Which?, menu: [green, black]}\n"            \
    "- {name: green, title: Green tea, keywords: [green], reply: Green it is}\n"                   \
    "- {name: black, title: Black tea, keywords: [black], reply: Black it is}\n"                   \
    "fallback: {reply: Choose, menu: [black, tea]}\n"

START_TEST(test_menu_is_shown_with_numbers)
{
    use_file("m.yaml", MENUS);
    assert_loads();
    ck_assert_str_eq(replies.languages->fallback.text, "Choose\n\n1 Black tea\n2 Tea");
    ck_assert_str_eq(replies.languages->intents->reply.text, "Which?\n\n1 Green tea\n2 Black tea");
    ck_assert_str_eq(replies.languages->intents->next->reply.text, "Green it is");
}
END_TEST

START_TEST(test_menu_number_chooses_from_the_one_shown_last)
{
    use_file("m.yaml", MENUS);
    assert_loads();
    new_chat();
    ck_assert_str_eq(ask("1"), "black"); /* none was shown: that of the fallback */
    ck_assert_int_eq(found.choice, 1);
    ck_assert_str_eq(ask("2."), "tea");
    ck_assert_str_eq(chat.menu, "tea");
    ck_assert_str_eq(ask(" 1) "), "green");
    ck_assert_str_eq(ask("2\ufe0f\u20e3"), "black"); /* still the menu of tea */
    ck_assert_str_eq(ask("what?"), CONFIG_FALLBACK);
    ck_assert_str_eq(ask("1"), "black");
}
END_TEST

START_TEST(test_menu_number_that_is_no_choice_gets_the_fallback)
{
    static const char *const texts[] = {"0", "3", "99", "123", "1 2", "one", "-", "1st", "\u0661"};
    use_file("m.yaml", MENUS);
    assert_loads();
    new_chat();
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        ck_assert_str_eq(ask(texts[i]), CONFIG_FALLBACK);
        ck_assert_int_eq(found.choice, 0);
    }
}
END_TEST

/* ---- out of hours --------------------------------------------------------------------------- */

START_TEST(test_closed_answers_all_but_what_is_urgent_or_always)
{
    use_type("healthcare");
    assert_loads();
    new_chat();
    ck_assert_str_eq(ask_when("I need an appointment", false), CONFIG_CLOSED);
    ck_assert_str_eq(found.intent->name, "appointment"); /* what was asked for is known still */
    ck_assert_str_eq(ask_when("asdf", false), CONFIG_CLOSED);
    ck_assert_str_eq(ask_when("when do you open?", false), "hours");
    ck_assert_str_eq(ask_when("heart attack", false), "emergency");
    use_type("");
    use_file("m.yaml", MENUS);
    assert_loads();
    new_chat();
    ck_assert_str_eq(ask_when("tea", false), "tea"); /* the template has no such text */
}
END_TEST

#define OFFICE "Mon-Fri 09:00-18:00, Sat 10:00-14:00"
#define NIGHT "Fri-Sun 18:00-02:00"
#define BREAK "Mon-Fri 08:00-12:00,Mon-Fri 13:00-17:00"
#define FEASTS OFFICE ", 12-24 09:00-12:00, 12-25..12-26 closed"
#define EASTER "2026-04-03..2026-04-06 closed, 02-29 Closed"
#define NEW_YEAR "Mon-Sun 09:00-18:00, 12-24..01-02 closed, 2026-12-31 22:00-04:00"

/* The wall clocks beside the instants are from another implementation (Python's zoneinfo). */
static const struct {
    const char *hours, *zone;
    int64_t at_s;
    bool open;
} instants[] = {
    {"", "UTC", 1785736799, true},
    {OFFICE, "Africa/Nairobi", 1785736800, true},  /* Mon 09:00:00 */
    {OFFICE, "Africa/Nairobi", 1785736799, false}, /* Mon 08:59:59 */
    {OFFICE, "UTC", 1785736800, false},            /* Mon 06:00:00 */
    {OFFICE, "UTC", 1785747600, true},             /* Mon 09:00:00 */
    {OFFICE, "Asia/Kolkata", 1785727800, true},    /* Mon 09:00:00, half an hour off */
    {OFFICE, "Europe/Berlin", 1774598400, true},   /* Fri 09:00:00 before summer time */
    {OFFICE, "Europe/Berlin", 1774598399, false},
    {OFFICE, "Europe/Berlin", 1774854000, true}, /* Mon 09:00:00 after it began */
    {OFFICE, "Europe/Berlin", 1774853999, false},
    {OFFICE, "Europe/Berlin", 1792771199, true}, /* Fri 17:59:59 before it ends */
    {OFFICE, "Europe/Berlin", 1792771200, false},
    {OFFICE, "Europe/Berlin", 1793033999, true}, /* Mon 17:59:59 after it */
    {OFFICE, "Europe/Berlin", 1793034000, false},
    {OFFICE, "America/New_York", 1772805600, true}, /* Fri 09:00:00 before summer time */
    {OFFICE, "America/New_York", 1773061200, true}, /* Mon 09:00:00 after it began */
    {OFFICE, "America/New_York", 1773061199, false},
    {NIGHT, "Africa/Nairobi", 1786141800, true},  /* Sat 01:30:00, of Friday */
    {NIGHT, "Africa/Nairobi", 1786143600, false}, /* Sat 02:00:00 */
    {NIGHT, "Africa/Nairobi", 1786197600, false}, /* Sat 17:00:00 */
    {NIGHT, "Africa/Nairobi", 1786305600, true},  /* Sun 23:00:00 */
    {NIGHT, "Africa/Nairobi", 1786311000, true},  /* Mon 00:30:00, of Sunday: a new week */
    {BREAK, "UTC", 1785747600, true},             /* Mon 09:00:00 */
    {BREAK, "UTC", 1785760200, false},            /* Mon 12:30:00 */
    {BREAK, "UTC", 1785762000, true},             /* Mon 13:00:00 */
    {"sat - mon 00:00-24:00", "UTC", 1785747600, true},
    {"Tue-Sun 00:00-24:00", "UTC", 1785747600, false},
    {FEASTS, "Africa/Nairobi", 1798102740, true},   /* Thu 2026-12-24 11:59: until noon */
    {FEASTS, "Africa/Nairobi", 1798102800, false},  /* … 12:00 */
    {FEASTS, "Africa/Nairobi", 1798182000, false},  /* Fri 2026-12-25 10:00 */
    {FEASTS, "Africa/Nairobi", 1798268400, false},  /* Sat 2026-12-26 10:00 */
    {FEASTS, "Africa/Nairobi", 1798441200, true},   /* Mon 2026-12-28 10:00 */
    {FEASTS, "Africa/Nairobi", 1829718000, false},  /* Sat 2027-12-25 10:00: every year */
    {FEASTS, "Africa/Nairobi", 1829890800, true},   /* Mon 2027-12-27 10:00 */
    {EASTER, "UTC", 1775210400, false},             /* Fri 2026-04-03 10:00 */
    {EASTER, "UTC", 1775519940, false},             /* Mon 2026-04-06 23:59 */
    {EASTER, "UTC", 1775556000, true},              /* Tue 2026-04-07 10:00: no days are named */
    {EASTER, "UTC", 1806746400, true},              /* Sat 2027-04-03 10:00: another year */
    {EASTER, "UTC", 1835431200, false},             /* Tue 2028-02-29 10:00 */
    {EASTER, "UTC", 1803895200, true},              /* Mon 2027-03-01 10:00 */
    {NEW_YEAR, "Europe/Berlin", 1798016400, true},  /* Wed 2026-12-23 10:00 */
    {NEW_YEAR, "Europe/Berlin", 1798756200, true},  /* Thu 2026-12-31 23:30: into the morning */
    {NEW_YEAR, "Europe/Berlin", 1798763400, true},  /* Fri 2027-01-01 01:30, of the day before */
    {NEW_YEAR, "Europe/Berlin", 1798880400, false}, /* Sat 2027-01-02 10:00 */
    {NEW_YEAR, "Europe/Berlin", 1798966800, true},  /* Sun 2027-01-03 10:00 */
    {"Mon-Sun 00:00-24:00, Sat closed", "UTC", 1785546000, false}, /* Sat 2026-08-01 01:00 */
    {"Sat closed, Mon-Sun 00:00-24:00", "UTC", 1785546000, true},
    {"Mon-Sun 00:00-24:00, Sat closed", "UTC", 1785632400, true}, /* Sun 2026-08-02 01:00 */
};

START_TEST(test_hours_open_follows_the_wall_clock_of_the_zone)
{
    ck_assert_ptr_null(config_hours_check(instants[_i].hours));
    ck_assert_ptr_null(config_zone_check(instants[_i].zone));
    ck_assert_msg(config_hours_open(instants[_i].hours, instants[_i].zone,
                                    instants[_i].at_s * 1000) == instants[_i].open,
                  "%s %s %ld", instants[_i].hours, instants[_i].zone, (long)instants[_i].at_s);
}
END_TEST

/* Another thread may be reading the environment. */
START_TEST(test_hours_open_same_zone_leaves_the_environment_alone)
{
    config_hours_open(OFFICE, "Africa/Nairobi", 1785736800000);
    const char *zone = getenv("TZ");
    ck_assert_str_eq(zone, ":Africa/Nairobi");
    config_hours_open(OFFICE, "Africa/Nairobi", 1785736800000);
    ck_assert_ptr_eq(getenv("TZ"), zone);
}
END_TEST

START_TEST(test_hours_check_bad_text_says_why)
{
    static const char *const bad[] = {
        "always",
        "Mon",
        "Mon-Fri",
        "Mon 9-18",
        "Mon 09:00",
        "Mon 09:00-",
        "Mon 09:60-10:00",
        "Mon 24:01-25:00",
        "Mon 24:00-25:00",
        "Mon 009:00-10:00",
        "Mon 09:0-10:00",
        "Mon 09:00-10:00 Tue 09:00-10:00",
        ", Mon 09:00-1",
        "Mon 09:00-10:00,",
        "Mo 09:00-10:00",
        "Mon-Fr 09:00-10:00",
        "12-25",
        "2026-13-01 closed",
        "02-30 closed",
        "2027-02-29 closed",
        "26-12-25 closed",
        "12-25 closed 09:00-10:00",
        "12-25..closed",
        "12-25..2026-12-26 closed",
        "Mon-12-25 closed",
        "2027-01-02..2026-12-24 closed",
        "closed",
        "0000-12-25 closed",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert_msg(config_hours_check(bad[i]) != NULL, "%s", bad[i]);
    AUTO_BUF struct buf many = {.max = 4096};
    for (int i = 0; i < 65; i++)
        buf_printf(&many, "%sMon 09:00-10:00", i ? ", " : "");
    ck_assert_str_eq(config_hours_check(buf_text(&many)), "has too many entries");
}
END_TEST

START_TEST(test_zone_check_only_names_of_the_database)
{
    static const char *const bad[] = {"Africa/Atlantis", "EST5EDT4,M3",     "../../etc/passwd",
                                      "/etc/localtime",  "Africa",          "Africa/Nairobi ",
                                      "zone.tab",        "Europe/Berlin\n", "+3"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert_msg(config_zone_check(bad[i]) != NULL, "%s", bad[i]);
    ck_assert_ptr_null(config_zone_check("UTC"));
    ck_assert_ptr_null(config_zone_check("America/Argentina/Buenos_Aires"));
}
END_TEST

/* ---- layers --------------------------------------------------------------------------------- */

START_TEST(test_layer_replaces_texts_and_keeps_the_rest)
{
    use_type("booking");
    use_file("own.yaml", "variables: {address: 12 Market Street, hours: Daily from 9 to 5}\n"
                         "intents:\n"
                         "- {name: greeting, reply: 'Hi {customer_name}!'}\n"
                         "- {name: wifi, keywords: [wifi, price], reply: 'Ask at the desk.'}\n"
                         "languages: {sw: {fallback: {reply: Sijaelewa}}}\n");
    assert_loads();
    new_chat();
    ck_assert_str_eq(ask("where are you?"), "location");
    ck_assert_ptr_nonnull(strstr(found.text, "\n\n12 Market Street\n\n"));
    ck_assert_str_eq(ask("Habari, mko wapi?"), "location");
    ck_assert_ptr_nonnull(strstr(found.text, "\n\n12 Market Street\n\n"));
    new_chat();
    ck_assert_str_eq(ask("Hello"), "greeting");
    ck_assert(begins(found.text, "Hi {customer_name}!\n\n1 Book an appointment\n"));
    ck_assert_str_eq(ask("what is the price"), "wifi"); /* the tenant's own come first */
    ck_assert_str_eq(ask("je, xyz ni nini"), CONFIG_FALLBACK);
    ck_assert(begins(found.text, "Sijaelewa\n\n1 Kuweka miadi\n"));
}
END_TEST

START_TEST(test_layer_cannot_stand_before_what_is_urgent)
{
    use_type("healthcare");
    use_file("own.yaml",
             "intents: [{name: all, keywords: [my, i, unconscious], reply: 'Hello there'}]\n");
    assert_loads();
    new_chat();
    ck_assert_str_eq(ask("my son is unconscious"), "emergency");
    ck_assert_str_eq(ask("my results please"), "all");
}
END_TEST

START_TEST(test_layer_extends_files_by_path_and_name)
{
    write_file("base.yaml", "extends: booking\nvariables: {hours: Never}\n");
    use_file("own.yaml", "extends: base.yaml\nvariables: {prices: Free}\n");
    assert_loads();
    new_chat();
    ck_assert_str_eq(ask("when are you open?"), "hours");
    ck_assert_ptr_nonnull(strstr(found.text, "\n\nNever\n\n"));
    ck_assert_str_eq(ask("how much"), "prices");
    ck_assert_ptr_nonnull(strstr(found.text, "\n\nFree\n\n"));
}
END_TEST

START_TEST(test_layer_variables_may_hold_variables)
{
    use_file("own.yaml",
             "variables: {phone: '0700 1', contact: 'call {phone} or {business_name}'}\n"
             "fallback: {reply: 'Please {contact}.'}\n");
    assert_loads();
    ck_assert_str_eq(replies.languages->fallback.text, "Please call 0700 1 or {business_name}.");
}
END_TEST

static const struct {
    const char *type, *text, *want;
} bad[] = {
    {"", "extends: own.yaml\nfallback: {reply: x}\n",
     "D/own.yaml:1:10: extends goes in a circle: D/own.yaml is on the way already\n"},
    {"", "extends: ./../no/such.yaml\nfallback: {reply: x}\n",
     "D/own.yaml:1:10: extends: D/./../no/such.yaml cannot be read\n"},
    {"", "extends: [a]\nfallback: {reply: x}\n",
     "D/own.yaml:1:10: extends must be text, not a list\n"},
    {"", "variables: {a: '{b}', b: 'x {a}'}\nfallback: {reply: '{a}'}\n",
     "D/own.yaml:1:16: variable {a} goes in a circle: its text leads back to it\n"},
    {"", "variables: {a: '{c}'}\nfallback: {reply: '{a}'}\n",
     "D/own.yaml:2:19: unknown variable \"{c}\" (known: {business_name}, {customer_name}, "
     "{message}, {a})\n"},
    {"booking", "variables: {adress: x}\n",
     "D/own.yaml:1:21: variable {adress} is used in no reply\n"},
    {"", "variables: {message: x}\nfallback: {reply: x}\n",
     "D/own.yaml:1:13: variable \"message\" is built in\n"},
    {"", "variables: {A-b: x}\nfallback: {reply: x}\n",
     "D/own.yaml:1:13: the name of a variable must be 1 to 64 of a-z, 0-9 and _, not \"A-b\"\n"},
    {"", "variables: [x]\nfallback: {reply: x}\n",
     "D/own.yaml:1:12: variables must be a map (name: text), not a list\n"},
    {"", "variables: {a: [x]}\nfallback: {reply: '{a}'}\n",
     "D/own.yaml:1:16: the text of a variable must be text, not a list\n"
     "D/own.yaml:2:19: unknown variable \"{a}\" (known: {business_name}, {customer_name}, "
     "{message})\n"},
    {"", "fallback: {reply: x, menu: [a]}\n", "D/own.yaml:1:29: there is no intent \"a\"\n"},
    {"booking", "fallback: {menu: [bok]}\n",
     "D/own.yaml:1:19: there is no intent \"bok\" (did you mean \"book\"?)\n"},
    {"booking", "fallback: {menu: [thanks]}\n",
     "D/own.yaml:1:19: intent \"thanks\" needs a title to be in a menu\n"},
    {"", "fallback: {reply: x, menu: a}\n",
     "D/own.yaml:1:28: menu must be a list ([hours, prices]), not text\n"},
    {"booking", "intents: [{name: wifi, reply: x}]\n", "D/own.yaml:1:11: keywords is missing\n"},
    {"booking", "intents: [{name: book, urgent: maybe}]\n",
     "D/own.yaml:1:32: urgent must be true or false, without quotes\n"},
    {"booking", "intents: [{name: closed, keywords: [x], reply: x}]\n",
     "D/own.yaml:1:18: name \"closed\" is taken by the closed\n"},
    {"booking", "languages: {en: [x]}\n",
     "D/own.yaml:1:17: a language must be a map with intents and fallback, not a list\n"},
    {"booking", "languages: {e n: {fallback: {reply: x}}}\n",
     "D/own.yaml:1:13: language \"e n\" may contain only letters, digits and -\n"},
    {"booking", "languages: [en]\n",
     "D/own.yaml:1:12: languages must be a map (en: …), not a list\n"},
    {"booking", "fallback: {reply: x}\nlanguages: {en: {fallback: {reply: y}}}\n",
     "D/own.yaml:2:13: language \"en\" stands at the top of the file already\n"},
    {"booking", "words: ['?']\n", "D/own.yaml:1:9: word \"?\" has no letter or digit\n"},
    {"", "fallback: {reply: \"\xff\"}\n", "D/own.yaml:1:20: invalid leading UTF-8 octet\n"},
    {"", "\xfe\xff", "D/own.yaml:1:1: invalid leading UTF-8 octet\n"},
    {"", "languages:\n",
     "D/own.yaml:1:1: there is no reply: intents or a fallback must be given\n"},
};

START_TEST(test_layer_bad_file_gives_position)
{
    use_type(bad[_i].type);
    use_file("own.yaml", bad[_i].text);
    int rc = load();
    ck_assert_str_eq(problems(), bad[_i].want);
    ck_assert_int_eq(rc, ERR_CONFIG);
    ck_assert_ptr_null(replies.languages);
}
END_TEST

START_TEST(test_layer_circle_over_several_files_is_found)
{
    write_file("a.yaml", "extends: b.yaml\nfallback: {reply: x}\n");
    write_file("b.yaml", "extends: c.yaml\nfallback: {reply: x}\n");
    write_file("c.yaml", "\nextends: ./a.yaml\nfallback: {reply: x}\n");
    snprintf(config.replies_file, sizeof(config.replies_file), "%s", path_of("a.yaml"));
    ck_assert_int_eq(load(), ERR_CONFIG);
    ck_assert_str_eq(problems(), "D/c.yaml:2:10: extends goes in a circle: D/./a.yaml is on the "
                                 "way already\n");
}
END_TEST

START_TEST(test_layer_chain_over_the_limit_is_refused)
{
    char name[32], text[100];
    write_file("9.yaml", "fallback: {reply: x}\n");
    for (int i = 8; i > 0; i--) {
        snprintf(name, sizeof(name), "%d.yaml", i);
        snprintf(text, sizeof(text), "extends: %d.yaml\n", i + 1);
        write_file(name, text);
    }
    snprintf(config.replies_file, sizeof(config.replies_file), "%s", path_of("2.yaml"));
    assert_loads();
    snprintf(config.replies_file, sizeof(config.replies_file), "%s", path_of("1.yaml"));
    ck_assert_int_eq(load(), ERR_CONFIG);
    ck_assert_str_eq(problems(), "D/8.yaml:1:10: more than 8 files extend one another\n");
}
END_TEST

START_TEST(test_layer_growing_variables_stay_below_the_limit)
{
    AUTO_BUF struct buf text = {.max = 1 << 16};
    buf_append_text(&text, "variables:\n  v0: xxxxxxxxxxxxxxxx\n");
    for (int i = 1; i <= 60; i++)
        buf_printf(&text, "  v%d: '{v%d}{v%d}'\n", i, i - 1, i - 1);
    buf_append_text(&text, "fallback:\n  reply: '{v60}'\n");
    use_file("own.yaml", buf_text(&text));
    ck_assert_int_eq(load(), ERR_CONFIG);
    ck_assert_str_eq(problems(), "D/own.yaml:64:10: reply must be at most 4096 bytes long with its "
                                 "variables and menu\n");
}
END_TEST

START_TEST(test_type_unknown_is_reported_with_those_there_are)
{
    use_type("bakery");
    ck_assert_int_eq(load(), ERR_CONFIG);
    ck_assert_msg(strstr(problems(), "replies.type \"bakery\" has no template: ") &&
                      strstr(problems(), "bakery.yaml cannot be read (known: booking, "),
                  "%s", problems());
}
END_TEST

static void add_shipped(Suite *suite)
{
    TCase *t = tcase_create("shipped");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, test_shipped_every_answer_renders_short_and_whole, 0, SHIPPED);
    tcase_add_loop_test(t, test_shipped_every_intent_is_reachable, 0, SHIPPED);
    tcase_add_loop_test(t, test_shipped_languages_have_the_same_intents, 0, (int)ARRAY_LEN(types));
    tcase_add_loop_test(t, test_shipped_sentence_gets_intent_and_language, 0,
                        (int)ARRAY_LEN(asked));
    tcase_add_test(t, test_shipped_emergency_comes_first);
    suite_add_tcase(suite, t);
}

static void add_engine(Suite *suite)
{
    TCase *t = tcase_create("engine");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_language_stays_when_words_say_nothing);
    tcase_add_test(t, test_language_fixed_is_kept);
    tcase_add_test(t, test_language_of_a_chat_that_is_no_more_is_the_default);
    tcase_add_test(t, test_language_in_a_file_of_its_own_is_added);
    tcase_add_test(t, test_menu_is_shown_with_numbers);
    tcase_add_test(t, test_menu_number_chooses_from_the_one_shown_last);
    tcase_add_test(t, test_menu_number_that_is_no_choice_gets_the_fallback);
    tcase_add_test(t, test_closed_answers_all_but_what_is_urgent_or_always);
    tcase_add_loop_test(t, test_hours_open_follows_the_wall_clock_of_the_zone, 0,
                        (int)ARRAY_LEN(instants));
    tcase_add_test(t, test_hours_open_same_zone_leaves_the_environment_alone);
    tcase_add_test(t, test_hours_check_bad_text_says_why);
    tcase_add_test(t, test_zone_check_only_names_of_the_database);
    suite_add_tcase(suite, t);
}

static void add_layers(Suite *suite)
{
    TCase *t = tcase_create("layers");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_layer_replaces_texts_and_keeps_the_rest);
    tcase_add_test(t, test_layer_cannot_stand_before_what_is_urgent);
    tcase_add_test(t, test_layer_extends_files_by_path_and_name);
    tcase_add_test(t, test_layer_variables_may_hold_variables);
    tcase_add_loop_test(t, test_layer_bad_file_gives_position, 0, (int)ARRAY_LEN(bad));
    tcase_add_test(t, test_layer_circle_over_several_files_is_found);
    tcase_add_test(t, test_layer_chain_over_the_limit_is_refused);
    tcase_add_test(t, test_layer_growing_variables_stay_below_the_limit);
    tcase_add_test(t, test_type_unknown_is_reported_with_those_there_are);
    suite_add_tcase(suite, t);
}

int main(void)
{
    Suite *suite = suite_create("template");
    add_shipped(suite);
    add_engine(suite);
    add_layers(suite);
    return testing_run(suite);
}
