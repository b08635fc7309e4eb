/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700 /* posix_openpt */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/base/term.h"

static int master = -1;
static int slave = -1;

static int open_terminal(void **state)
{
    struct winsize size = {.ws_row = 25, .ws_col = 93};

    (void)state;
    master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) {
        return -1;
    }
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    (void)unsetenv("NO_COLOR");
    return slave < 0 || ioctl(slave, TIOCSWINSZ, &size) != 0 || setenv("TERM", "xterm", 1) != 0;
}

static int close_terminal(void **state)
{
    (void)state;
    (void)close(slave);
    (void)close(master);
    return 0;
}

static void a_terminal_has_width_and_colour(void **state)
{
    struct clm_term term = clm_term_probe(slave);

    (void)state;
    assert_true(term.is_tty);
    assert_true(term.has_color);
    assert_int_equal(term.width, 93);
}

static void no_color_counts_if_not_empty(void **state)
{
    (void)state;
    assert_int_equal(setenv("NO_COLOR", "", 1), 0);
    assert_true(clm_term_probe(slave).has_color);
    assert_int_equal(setenv("NO_COLOR", "0", 1), 0);
    assert_false(clm_term_probe(slave).has_color);
    assert_true(clm_term_probe(slave).is_tty);
}

static void dumb_terminals_have_no_colour(void **state)
{
    (void)state;
    assert_int_equal(setenv("TERM", "dumb", 1), 0);
    assert_false(clm_term_probe(slave).has_color);
    assert_int_equal(unsetenv("TERM"), 0);
    assert_false(clm_term_probe(slave).has_color);
}

static void a_senseless_width_is_no_width(void **state)
{
    struct winsize size = {0};

    (void)state;
    assert_int_equal(ioctl(slave, TIOCSWINSZ, &size), 0);
    assert_int_equal(clm_term_probe(slave).width, 0);
    size.ws_col = 3;
    assert_int_equal(ioctl(slave, TIOCSWINSZ, &size), 0);
    assert_int_equal(clm_term_probe(slave).width, 0);
}

static void a_file_is_plain(void **state)
{
    int fd = open("/dev/null", O_RDWR);
    struct clm_term term = clm_term_probe(fd);

    (void)state;
    assert_false(term.is_tty);
    assert_false(term.has_color);
    assert_int_equal(term.width, 0);
    (void)close(fd);
}

static void the_locale_decides_on_utf8(void **state)
{
    (void)state;
    assert_int_equal(setenv("LC_ALL", "C", 1), 0);
    clm_term_init();
    assert_false(clm_term_probe(slave).is_utf8);
    assert_int_equal(setenv("LC_ALL", "C.UTF-8", 1), 0);
    clm_term_init();
    assert_true(clm_term_probe(slave).is_utf8);
}

static void width_counts_columns(void **state)
{
    static const struct {
        const char *text;
        size_t width;
    } cases[] = {
        {"", 0},
        {"abc", 3},
        {"\xc3\xa9\xe2\x82\xac", 2},     /* e acute, euro */
        {"e\xcc\x81", 1},                /* e and a combining accent */
        {"\xe6\x97\xa5\xe6\x9c\xac", 4}, /* two wide characters */
        {"a\nb\x1b[1m", 7},              /* controls show as '?' */
        {"\xff\x80", 2},                 /* no UTF-8 */
        {"\xe2\x80\xae"
         "abc",
         4}, /* right-to-left override */
    };

    (void)state;
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        size_t bytes = 0;
        size_t width = clm_term_width(cases[i].text, SIZE_MAX, &bytes);

        if (width != cases[i].width || bytes != strlen(cases[i].text)) {
            fail_msg("case %zu: %zu columns, %zu bytes", i, width, bytes);
        }
    }
    assert_non_null(setlocale(LC_CTYPE, "C"));
    assert_int_equal(clm_term_width("\xc3\xa9\xe2\x82\xac", SIZE_MAX, NULL), 2);
}

static void width_stops_at_whole_characters(void **state)
{
    size_t bytes = 0;

    (void)state;
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
    assert_int_equal(clm_term_width("a\xe6\x97\xa5z", 2, &bytes), 1);
    assert_int_equal(bytes, 1);
    assert_int_equal(clm_term_width("a\xe6\x97\xa5z", 3, &bytes), 3);
    assert_int_equal(bytes, 4);
    assert_int_equal(clm_term_width("e\xcc\x81z", 1, &bytes), 1);
    assert_int_equal(bytes, 3);
    assert_int_equal(clm_term_width("abc", 0, &bytes), 0);
    assert_int_equal(bytes, 0);
}

static void assert_shows(const struct clm_term *term, enum clm_color color, const char *text,
                         const char *expected)
{
    struct clm_buf out = CLM_BUF_INIT(1000);

    assert_int_equal(clm_term_add(term, color, text, strlen(text), &out, NULL), CLM_OK);
    assert_string_equal(clm_buf_str(&out), expected);
    clm_buf_done(&out);
}

static void foreign_text_cannot_steer_the_terminal(void **state)
{
    struct clm_term term = {0};

    (void)state;
    assert_shows(&term, CLM_COLOR_NONE, "a\x1b]0;x\x07\r\n\t\x7f", "a?]0;x?????");
    assert_shows(&term, CLM_COLOR_NONE,
                 "\xc2\x9b"
                 "1m\xc2\xa0",
                 "?1m\xc2\xa0");
    assert_shows(&term, CLM_COLOR_NONE, "\xff\xc3\xa9\xe2\x80\xae\xe2\x81\xa6", "?\xc3\xa9??");
}

static void colour_is_closed_again(void **state)
{
    struct clm_term term = {.has_color = true};
    struct clm_term plain = {.is_tty = true};

    (void)state;
    assert_shows(&term, CLM_COLOR_RED, "bad", "\x1b[31mbad\x1b[0m");
    assert_shows(&term, CLM_COLOR_NONE, "text", "text");
    assert_shows(&term, CLM_COLOR_RED, "", "");
    assert_shows(&plain, CLM_COLOR_RED, "bad", "bad");
}

#define ON_TERMINAL(name) cmocka_unit_test_setup_teardown(name, open_terminal, close_terminal)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_TERMINAL(a_terminal_has_width_and_colour),
        ON_TERMINAL(no_color_counts_if_not_empty),
        ON_TERMINAL(dumb_terminals_have_no_colour),
        ON_TERMINAL(a_senseless_width_is_no_width),
        ON_TERMINAL(the_locale_decides_on_utf8),
        cmocka_unit_test(a_file_is_plain),
        cmocka_unit_test(width_counts_columns),
        cmocka_unit_test(width_stops_at_whole_characters),
        cmocka_unit_test(foreign_text_cannot_steer_the_terminal),
        cmocka_unit_test(colour_is_closed_again),
    };

    return cmocka_run_group_tests_name("term", tests, NULL, NULL);
}
