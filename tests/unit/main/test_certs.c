/* SPDX-License-Identifier: Apache-2.0 */
/* "clmbot certs": what is shown of the files that arrive, and what is said when one cannot be. */
#include "tests/unit/main/stage.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

#define FILE_OF(path, more)                                                                        \
    "{\"path\":\"" path "\",\"format\":\"pem\",\"status\":\"monitored\"" more "}"
#define CERT(subject, sans, not_after)                                                             \
    "{\"sha256\":\"" HASH "\",\"subject\":\"" subject "\",\"sans\":[" sans                         \
    "],\"not_after\":\"" not_after "\"}"
#define ENTRY(kind, cert) "{\"kind\":\"" kind "\",\"certificate\":" cert "}"
#define ENTRIES(list)     ",\"entries\":[" list "]"
#define PAGE(files)       "{\"kind\":\"files\",\"files\":[" files "]}"
#define IN_90_DAYS        "2027-04-15T08:00:00Z"
#define IN_10_DAYS        "2027-01-25T08:00:00Z"
#define GONE              "2027-01-14T08:00:00Z"

static const char counts[] = "{\"counts\":{\"files\":7,\"found\":3},\"duration_ms\":12,"
                             "\"remarks\":[\"a limit ended it\",4],\"managers\":[\"certbot\"],"
                             "\"other\":1}";

/* What the table has in its columns, in this order. */
static const char *const all_kinds[] = {
    PAGE(FILE_OF("/a/leaf",
                 ENTRIES(ENTRY("trusted", CERT("CN=CA", "", GONE)) "," ENTRY(
                     "certificate", CERT("CN=leaf", "\"a.example\"", IN_90_DAYS))) ",\"used_by\":"
                                                                                   "[\"nginx:a\","
                                                                                   "\"nginx:b\"],"
                                                                                   "\"in_use\":"
                                                                                   "true,"
                                                                                   "\"manager\":"
                                                                                   "\"certbot\"")),
    PAGE(FILE_OF(
        "/b/names",
        ENTRIES(ENTRY("certificate",
                      CERT("", "\"b.example\"",
                           IN_10_DAYS)))) "," FILE_OF("/c/address",
                                                      ENTRIES(ENTRY(
                                                          "certificate",
                                                          CERT("", "\"192.0.2.7\"",
                                                               GONE))) ",\"problems\":[\"expired\","
                                                                       "\"chain_broken\"]")),
    PAGE(FILE_OF("/d/none", ENTRIES(ENTRY("certificate", CERT("", "", IN_90_DAYS)))) "," FILE_OF(
        "/e/ca",
        ENTRIES(
            ENTRY("key", "null") "," ENTRY("trusted", CERT("CN=CA 1", "", IN_90_DAYS)) "," ENTRY(
                "trusted", CERT("CN=CA 2", "", IN_90_DAYS))))),
    PAGE(FILE_OF("/f/key", ENTRIES(ENTRY("key", "null"))) "," FILE_OF(
        "/g/locked",
        ",\"locked\":true") "," FILE_OF("/h/open",
                                        ENTRIES(ENTRY("key",
                                                      "null")) ",\"problems\":[\"key_readable\"],"
                                                               "\"links\":[\"/l/1\",\"/l/2\"]")),
    "{\"kind\":\"log\"}",
    "{\"kind\":\"progress\",\"files\":5,\"found\":2}",
    "{}",
    NULL,
};
static const char *const one_key[] = {PAGE(FILE_OF("/f/key", ENTRIES(ENTRY("key", "null")))), NULL};

#define ALL(kinds)                                                                                 \
    {                                                                                              \
        {                                                                                          \
            .ask = "certs", .reply = counts, .events = (kinds)                                     \
        }                                                                                          \
    }
#define NOTHING(answer)                                                                            \
    {                                                                                              \
        {                                                                                          \
            .ask = "certs", .reply = (answer)                                                      \
        }                                                                                          \
    }

static void table_has_what_a_file_is_there_for(void **state)
{
    static const struct stage_case cases[] = {
        {ALL(all_kinds),
         "certs",
         CLM_EXIT_ATTENTION,
         {"FILE ", "/a/leaf     CN=leaf         90 d  certbot    nginx:a, nginx:b\n",
          "/b/names    b.example       10 d  monitored\n",
          "/c/address  192.0.2.7    expired  monitored                    expired, chain_broken\n",
          "/d/none     no name         90 d  monitored\n",
          "/e/ca       CN=CA 1         90 d  monitored\n",
          "/g/locked   locked                monitored\n",
          "/h/open     key                   monitored                    key_readable\n",
          "  note: a limit ended it\n  note: ?\n",
          "7 shown, 1 key file not; 7 files looked at in 12 ms\n"},
         "/f/key",
         NULL},
        {ALL(one_key),
         "certs",
         CLM_EXIT_GOOD,
         {"No file of this kind was found.\n", "0 shown, 1 key file not"},
         "FILE",
         NULL},
        {ALL(one_key),
         "certs --path=/f/*",
         CLM_EXIT_GOOD,
         {"/f/key", "1 shown, 0 key files"},
         NULL,
         NULL},
        {NOTHING("{}"),
         "certs",
         CLM_EXIT_GOOD,
         {"No certificate files were found.\n0 shown, 0 key files not; 0 files looked at in 0 "
          "ms\n"},
         NULL,
         NULL},
    };
    stage_try(*state, cases, CLM_ARRAY_LEN(cases));
}

static void filters_leave_out_the_others(void **state)
{
    static const struct stage_case cases[] = {
        {ALL(all_kinds),
         "certs --path /l/2",
         CLM_EXIT_ATTENTION,
         {"/h/open", "1 shown"},
         "/a/leaf",
         NULL},
        {ALL(all_kinds), "certs --path /b/*", CLM_EXIT_GOOD, {"/b/names", "1 shown"}, "/h", NULL},
        {ALL(all_kinds), "certs --in-use", CLM_EXIT_GOOD, {"/a/leaf", "1 shown"}, "/b", NULL},
        {ALL(all_kinds),
         "certs --problems",
         CLM_EXIT_ATTENTION,
         {"/c/", "/h/", "2 shown"},
         "/b",
         NULL},
        {ALL(all_kinds),
         "certs --expiring 10",
         CLM_EXIT_ATTENTION,
         {"/b/", "/c/", "2 shown"},
         "/a/",
         NULL},
        {ALL(all_kinds), "certs --expiring 0", CLM_EXIT_ATTENTION, {"/c/", "1 shown"}, "/b", NULL},
        {ALL(all_kinds),
         "certs --in-use --problems",
         CLM_EXIT_GOOD,
         {"No file of this kind"},
         "/a",
         NULL},
    };
    stage_try(*state, cases, CLM_ARRAY_LEN(cases));
}

static void document_holds_the_files_as_they_came(void **state)
{
    static const struct stage_case cases[] = {
        {ALL(all_kinds),
         "certs --json --path /[bf]/*",
         CLM_EXIT_GOOD,
         {"{\n  \"schema\": \"clmbot.certs\",\n  \"version\": 1,\n  \"files\": [],\n  \"counts\":{",
          "\"managers\":[\"certbot\"],", "\"duration_ms\":12}\n"},
         "other",
         NULL},
        {ALL(all_kinds),
         "certs --json",
         CLM_EXIT_ATTENTION,
         {"\"files\": [\n    {\"path\":\"/a/leaf\",", "},\n    {\"path\":\"/b/names\",", "/f/key",
          "]}\n  ],\n  \"counts\":{"},
         "FILE",
         NULL},
        {NOTHING("{}"),
         "certs --json",
         CLM_EXIT_GOOD,
         {"\"files\": [],\n  \"counts\":null,"},
         NULL,
         NULL},
    };
    stage_try(*state, cases, CLM_ARRAY_LEN(cases));
}

static void what_goes_wrong_is_said_in_place_of_an_answer(void **state)
{
    static const char *const odd[] = {
        PAGE("{\"path\":\"/x\",\"format\":\"word\",\"status\":\"monitored\"}," FILE_OF("/y", "")),
        PAGE(FILE_OF("/z", "")), NULL};
    static const struct stage_case cases[] = {
        {ALL(odd), "certs", CLM_EXIT_FAILED, {NULL}, "/", "clmbot: format: 'word' is not known\n"},
        {ALL(odd), "certs --json", CLM_EXIT_FAILED, {NULL}, "{", "'word' is not known\n"},
        {{{.ask = "certs", .fail = STAGE_FAIL("config", "no roots", "name one")}},
         "certs",
         CLM_EXIT_CONFIG,
         {NULL},
         "shown",
         "clmbot: no roots\n        name one\n"},
        {{{.ask = "certs", .events = all_kinds}},
         "certs",
         CLM_EXIT_FAILED,
         {NULL},
         "/",
         "clmbot: "},
        {{{.ask = NULL}}, "certs --expiring x", CLM_EXIT_USAGE, {NULL}, NULL, "--expiring"},
    };
    stage_try(*state, cases, CLM_ARRAY_LEN(cases));
}

/* ---- many files, and a disk that cannot take them ---- */

#define MANY 7 /* pages of 100 */

static void many_files(struct stage *s)
{
    static char page[40000];
    static const char *pages[MANY + 1];
    static const struct stage_answer answers[] = {
        {.ask = "certs", .reply = counts, .events = pages}, {.ask = NULL}};
    size_t len = (size_t)snprintf(page, sizeof(page), "{\"kind\":\"files\",\"files\":[");

    for (int i = 0; i < 100; i++) {
        len += (size_t)snprintf(page + len, sizeof(page) - len, "%s%s", i > 0 ? "," : "",
                                FILE_OF("/a/name/of/some/length/so/that/it/is/more",
                                        ENTRIES(ENTRY("certificate", CERT("CN=x", "", GONE)))));
    }
    (void)snprintf(page + len, sizeof(page) - len, "]}");
    for (size_t i = 0; i < MANY; i++) {
        pages[i] = page;
    }
    stage_play(s, answers);
}

static void many_files_come_in_tables_with_one_line_of_titles(void **state)
{
    struct stage *s = *state;

    many_files(s);
    assert_int_equal(stage_run(s, "certs"), CLM_EXIT_GOOD);
    stage_has(s->out, "FILE ");
    stage_has_not(strstr(s->out, "FILE ") + 1, "FILE ");
    stage_has(s->out, "700 shown, 0 key files not;");
}

/* The temporary file may have no more than some bytes: what is written at once, and what at the end. */
static void disk_that_is_full_is_no_answer(void **state)
{
    static const char *const lines[] = {"certs", "certs --json", "certs --path /a/*"};
    struct rlimit old;
    struct rlimit low;
    struct stage *s = *state;
    int status;

    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    for (size_t i = 0; i < CLM_ARRAY_LEN(lines); i++) {
        for (rlim_t most = 60; most < 100000; most *= 450) {
            low = (struct rlimit){.rlim_cur = most, .rlim_max = old.rlim_max};
            if (most == 60) {
                stage_play(
                    s, (const struct stage_answer[]){
                           {.ask = "certs", .reply = counts, .events = all_kinds}, {.ask = NULL}});
            } else {
                many_files(s);
            }
            assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
            status = stage_run(s, lines[i]);
            assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
            assert_int_equal(status, CLM_EXIT_FAILED);
            assert_string_equal(s->out, "");
            assert_string_equal(s->err, "clmbot: temporary file: File too large\n");
        }
    }
    (void)signal(SIGXFSZ, SIG_DFL);
}

static enum {
    GOOD,
    NONE,
    NOT_READ
} temporary;
FILE *__real_tmpfile64(void);
FILE *__wrap_tmpfile64(void);
FILE *__wrap_tmpfile64(void)
{
    if (temporary == NONE) {
        errno = EMFILE;
        return NULL;
    }
    return temporary == GOOD ? __real_tmpfile64() : fopen("/dev/null", "w");
}

static void temporary_file_that_cannot_be_made_or_read_is_no_answer(void **state)
{
    static const struct stage_answer answers[] = {{.ask = "certs", .reply = counts}, {.ask = NULL}};
    struct stage *s = *state;

    stage_play(s, answers);
    temporary = NONE;
    assert_int_equal(stage_run(s, "certs"), CLM_EXIT_FAILED);
    assert_string_equal(s->err, "clmbot: temporary file: Too many open files\n");
    temporary = NOT_READ;
    assert_int_equal(stage_run(s, "certs"), CLM_EXIT_FAILED);
    assert_string_equal(s->err, "clmbot: temporary file: Bad file descriptor\n");
    temporary = GOOD;
}

static void answer_that_does_not_arrive_is_a_failure(void **state)
{
    static const char *const lines[] = {"certs", "certs --json"};
    struct stage *s = *state;

    many_files(s);
    s->out_to = "/dev/full";
    for (size_t i = 0; i < CLM_ARRAY_LEN(lines); i++) {
        assert_int_equal(stage_run(s, lines[i]), CLM_EXIT_FAILED);
        stage_has(s->err, "clmbot: output: ");
    }
}

static void progress_is_shown_to_a_terminal_and_wiped(void **state)
{
    static const struct stage_answer answers[] = {
        {.ask = "certs", .reply = counts, .events = all_kinds}, {.ask = NULL}};
    struct stage *s = *state;

    stage_play(s, answers);
    s->is_tty = true;
    assert_int_equal(stage_run(s, "certs"), CLM_EXIT_ATTENTION);
    stage_has(s->err, "\r  5 files looked at, 2 found ");
    assert_string_equal(s->err + strlen(s->err) - 4, "\r\033[K");
    assert_int_equal(stage_run(s, "certs --json"), CLM_EXIT_ATTENTION);
    assert_string_equal(s->err, "");
}

static int setup(void **state)
{
    static struct stage s;

    temporary = GOOD;
    stage_open(&s, "");
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    stage_close(*state);
    return 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(table_has_what_a_file_is_there_for),
        T(filters_leave_out_the_others),
        T(document_holds_the_files_as_they_came),
        T(what_goes_wrong_is_said_in_place_of_an_answer),
        T(many_files_come_in_tables_with_one_line_of_titles),
        T(disk_that_is_full_is_no_answer),
        T(temporary_file_that_cannot_be_made_or_read_is_no_answer),
        T(answer_that_does_not_arrive_is_a_failure),
        T(progress_is_shown_to_a_terminal_and_wiped),
    };

    return cmocka_run_group_tests_name("main_certs", tests, NULL, NULL);
}
