/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands say with and pick with, at its edges. */
#include "tests/unit/main/stage.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/main/pick.h"

#define DAY_S INT64_C(86400)

static void time_left_has_its_unit_and_its_colour(void **state)
{
    static const struct {
        int64_t left_s;
        uint32_t expiring_days;
        const char *text;
        enum clm_color color;
    } rows[] = {
        {-1, 21, "expired", CLM_COLOR_RED},        {0, 21, "expired", CLM_COLOR_RED},
        {1, 21, "0 h", CLM_COLOR_YELLOW},          {2 * DAY_S - 1, 0, "47 h", CLM_COLOR_GREEN},
        {2 * DAY_S, 21, "2 d", CLM_COLOR_YELLOW},  {21 * DAY_S - 1, 21, "20 d", CLM_COLOR_YELLOW},
        {21 * DAY_S, 21, "21 d", CLM_COLOR_GREEN},
    };
    char text[32];

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        assert_int_equal(clm_show_left(STAGE_NOW_S + rows[i].left_s, STAGE_NOW_S,
                                       rows[i].expiring_days, text, sizeof(text)),
                         rows[i].color);
        assert_string_equal(text, rows[i].text);
    }
}

static void time_ago_has_its_unit(void **state)
{
    static const struct {
        int64_t ago_s;
        const char *text;
    } rows[] = {
        {-5, "0 s ago"},      {0, "0 s ago"},        {119, "119 s ago"},
        {120, "2 min ago"},   {7199, "119 min ago"}, {7200, "2 h ago"},
        {172799, "47 h ago"}, {172800, "2 d ago"},   {STAGE_NOW_S, "20833 d ago"},
    };
    char text[32];

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        clm_show_ago(STAGE_NOW_S - rows[i].ago_s, STAGE_NOW_S, text, sizeof(text));
        assert_string_equal(text, rows[i].text);
    }
}

static void hash_is_cut_to_what_the_eye_compares(void **state)
{
    char text[16];

    (void)state;
    clm_show_hash("0123456789abcdef", text, sizeof(text));
    assert_string_equal(text, "0123456789ab");
    clm_show_hash("", text, sizeof(text));
    assert_string_equal(text, "-");
    clm_show_hash(NULL, text, sizeof(text));
    assert_string_equal(text, "-");
}

static void every_code_has_its_exit_status(void **state)
{
    static const struct {
        enum clm_code code;
        int status;
    } rows[] = {
        {CLM_OK, CLM_EXIT_GOOD},          {CLM_E_CONFIG, CLM_EXIT_CONFIG},
        {CLM_E_NET, CLM_EXIT_OFFLINE},    {CLM_E_TIMEOUT, CLM_EXIT_OFFLINE},
        {CLM_E_VERIFY, CLM_EXIT_DIFFERS},
    };

    (void)state;
    for (int code = CLM_OK + 1; code < CLM_E__COUNT; code++) {
        int expected = CLM_EXIT_FAILED;

        for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
            expected = (int)rows[i].code == code ? rows[i].status : expected;
        }
        assert_int_equal(clm_show_exit((enum clm_code)code), expected);
    }
}

/* As a user who is not root, whoever runs the tests. */
static void refused_user_is_told_to_become_root(void **state)
{
    static const struct clm_err err = {.code = CLM_E_PERM, .msg = "not allowed"};
    static const struct clm_fail plain = {.code = CLM_E_PERM};
    static const struct clm_fail hint = {.code = CLM_E_PERM, .hint = "ask for it"};
    struct stage *s = *state;
    bool is_root = geteuid() == 0;

    stage_redirect(s);
    assert_int_equal(clm_show_error(CLM_E_PERM, &err, &hint), CLM_EXIT_FAILED);
    assert_int_equal(clm_show_error(CLM_E_IO, &err, NULL), CLM_EXIT_FAILED);
    if (is_root) {
        assert_int_equal(clm_show_error(CLM_E_PERM, &err, &plain), CLM_EXIT_FAILED);
        assert_int_equal(seteuid(65534), 0);
    }
    assert_int_equal(clm_show_error(CLM_E_PERM, &err, &plain), CLM_EXIT_FAILED);
    if (is_root) {
        assert_int_equal(seteuid(0), 0);
    }
    stage_restore(s);
    assert_string_equal(s->out, "");
    stage_has(s->err, "clmbot: not allowed\n        ask for it\nclmbot: not allowed\n");
    stage_has(s->err, "clmbot: not allowed\n        run the command as root\n");
}

static void line_shows_control_characters_as_such(void **state)
{
    struct stage *s = *state;

    stage_redirect(s);
    clm_show_line("a%sb", "\033[2J\n");
    stage_restore(s);
    assert_string_equal(s->out, "a?[2J?b\n");
}

static void members_of_another_type_are_as_if_missing(void **state)
{
    static const char text[] =
        "{\"t\":\"x\",\"e\":\"\",\"n\":7,\"minus\":-1,\"yes\":true,\"no\":false,"
        "\"at\":\"2027-01-15T08:00:00Z\",\"when\":\"soon\"}";
    struct clm_json *obj = NULL;

    (void)state;
    assert_int_equal(clm_json_parse(text, strlen(text), sizeof(text), &obj, NULL), CLM_OK);
    assert_string_equal(clm_pick_text(obj, "t", "?"), "x");
    assert_string_equal(clm_pick_text(obj, "e", "?"), "?");
    assert_string_equal(clm_pick_text(obj, "n", "?"), "?");
    assert_string_equal(clm_pick_text(obj, "none", "?"), "?");
    assert_string_equal(clm_pick_text(NULL, "t", "?"), "?");
    assert_string_equal(clm_pick_node(clm_json_get(obj, "t"), "?"), "x");
    assert_string_equal(clm_pick_node(NULL, "?"), "?");
    assert_true(clm_pick_true(obj, "yes"));
    assert_false(clm_pick_true(obj, "no"));
    assert_false(clm_pick_true(obj, "t"));
    assert_int_equal(clm_pick_int(obj, "n"), 7);
    assert_int_equal(clm_pick_int(obj, "minus"), 0);
    assert_int_equal(clm_pick_int(obj, "t"), 0);
    assert_int_equal(clm_pick_time(obj, "at"), STAGE_NOW_S);
    assert_int_equal(clm_pick_time(obj, "when"), 0);
    assert_int_equal(clm_pick_time(obj, "n"), 0);
    clm_json_free(obj);
}

static int setup(void **state)
{
    static struct stage s;

    stage_open(&s, "");
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    stage_close(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_left_has_its_unit_and_its_colour),
        cmocka_unit_test(time_ago_has_its_unit),
        cmocka_unit_test(hash_is_cut_to_what_the_eye_compares),
        cmocka_unit_test(every_code_has_its_exit_status),
        cmocka_unit_test(refused_user_is_told_to_become_root),
        cmocka_unit_test(line_shows_control_characters_as_such),
        cmocka_unit_test(members_of_another_type_are_as_if_missing),
    };

    return cmocka_run_group_tests_name("main_show", tests, setup, teardown);
}
