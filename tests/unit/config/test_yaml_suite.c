/* SPDX-License-Identifier: Apache-2.0 */
/* Every case of tests/fixtures/yaml/cases is decided as its line says; so is what is made of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <time.h>

#include "config/yaml.h"
#include "tests/support/case_file.h"

#define CASES "tests/fixtures/yaml/cases"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define FLOOD_MAX (CLOCKS_PER_SEC / 4)
#else
#    define FLOOD_MAX (CLOCKS_PER_SEC / 100) /* reliability.md 10 */
#endif

/* Counts what was read, by all ways to get there. */
static size_t walk(const struct clm_yaml *node)
{
    size_t n = 1;

    for (const struct clm_yaml *at = clm_yaml_first(node); at != NULL; at = clm_yaml_next(at)) {
        assert_true(clm_yaml_line(at) > 0 && clm_yaml_column(at) > 0);
        n += strlen(clm_yaml_key(at)) + strlen(clm_yaml_text(at)) + walk(at);
    }
    return n;
}

static enum clm_code decide(const char *text, size_t len, struct clm_err *err)
{
    struct clm_yaml *root = NULL;
    enum clm_code code = clm_yaml_parse("f", text, len, &root, err);

    assert_true(code == CLM_OK || code == CLM_E_CONFIG);
    assert_true((root != NULL) == (code == CLM_OK));
    if (code == CLM_OK) {
        assert_true(walk(root) > 0);
    } else {
        assert_true(strncmp(err->msg, "f:", 2) == 0); /* says where */
    }
    clm_yaml_free(root);
    return code;
}

static void every_case_is_decided_as_it_says(void **state)
{
    FILE *file = fopen(CASES, "re");
    struct case_line one;
    size_t n_good = 0;
    size_t n_bad = 0;
    size_t n_wrong = 0;

    (void)state;
    assert_non_null(file);
    while (case_read(file, &one)) {
        struct clm_err err = {0};
        char *copy = case_copy(&one);
        enum clm_code code = decide(copy, one.len, &err);

        case_free(copy);
        if ((code == CLM_OK) != (one.kind[0] == 'y')) {
            print_error("%s %s: %s '%s'\n", one.kind, one.name, clm_code_name(code), err.msg);
            n_wrong++;
        }
        n_good += one.kind[0] == 'y';
        n_bad += one.kind[0] == 'n';
    }
    (void)fclose(file);
    assert_int_equal(n_wrong, 0);
    assert_true(n_good >= 90 && n_bad >= 100); /* none gets lost */
}

/* Every beginning of every case, and every case with one byte changed, is good or bad, and no more. */
static void damaged_cases_are_decided(void **state)
{
    static const char bytes[] = "\0\n\t '\"[]{}:,-?&*!|>%@`#\\\x80\xff"
                                "a";
    FILE *file = fopen(CASES, "re");
    struct case_line one;

    (void)state;
    assert_non_null(file);
    while (case_read(file, &one)) {
        for (size_t at = 0; at < one.len; at++) {
            struct case_line bad = one;
            struct clm_err err = {0};
            char *copy;

            bad.len = at;
            copy = case_copy(&bad);
            (void)decide(copy, at, &err);
            case_free(copy);
            bad.len = one.len;
            bad.text[at] = bytes[(at * 7 + one.len) % (sizeof(bytes) - 1)];
            copy = case_copy(&bad);
            (void)decide(copy, bad.len, &err);
            case_free(copy);
        }
    }
    (void)fclose(file);
}

/* libyaml needs more than a second for 20 kB of these, if it may read to the end. */
static void floods_cost_nothing(void **state)
{
    static const char *const floods[] = {"[",    "{",   "- ",   "? ",  "[{a: ", "- - [", "a: [",
                                         "{a: ", "\"a", "[a, ", "- a", "&a ",   "*a ",   "!a ",
                                         "%a\n", "|\n", "'",    "#",   "\n",    "---\n"};
    static char text[CLM_YAML_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(floods); i++) {
        size_t len = strlen(floods[i]);
        clock_t best = CLOCKS_PER_SEC;

        for (size_t k = 0; k + len <= sizeof(text); k += len) {
            memcpy(text + k, floods[i], len);
        }
        for (int run = 0; run < 3 && best >= FLOOD_MAX; run++) {
            struct clm_err err = {0};
            clock_t before = clock();

            (void)decide(text, sizeof(text) / len * len, &err);
            best = clock() - before < best ? clock() - before : best;
        }
        if (best >= FLOOD_MAX) {
            fail_msg("64 KiB of '%s': %ld us of processor time", floods[i],
                     (long)(best * 1000000 / CLOCKS_PER_SEC));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_is_decided_as_it_says),
        cmocka_unit_test(damaged_cases_are_decided),
        cmocka_unit_test(floods_cost_nothing),
    };

    return cmocka_run_group_tests_name("yaml_suite", tests, NULL, NULL);
}
