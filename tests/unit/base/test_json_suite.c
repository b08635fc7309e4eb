/* SPDX-License-Identifier: Apache-2.0 */
/* Every case of tests/fixtures/json/cases is decided as its line says, by the check and the parser. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/json_check.h"
#include "tests/support/case_file.h"

static enum clm_code decide(const struct case_line *one, struct clm_err *err)
{
    struct clm_json *root = NULL;
    char *copy = case_copy(one);
    enum clm_code code = clm_json_check(copy, one->len, err);

    if (clm_json_parse(copy, one->len, CLM_JSON_TEXT_MAX, &root, NULL) != code) {
        fail_msg("%s: check and parser do not agree", one->name);
    }
    clm_json_free(root);
    case_free(copy);
    return code;
}

static void every_case_is_decided_as_it_says(void **state)
{
    FILE *file = fopen("tests/fixtures/json/cases", "re");
    struct case_line one;
    size_t n_good = 0;
    size_t n_bad = 0;
    size_t n_policy = 0;

    (void)state;
    assert_non_null(file);
    while (case_read(file, &one)) {
        bool is_good = one.kind[0] == 'y' || strcmp(one.kind, "i+") == 0;
        struct clm_err err = {0};
        enum clm_code code = decide(&one, &err);

        if ((code == CLM_OK) != is_good) {
            fail_msg("%s %s: %s '%s'", one.kind, one.name, clm_code_name(code), err.msg);
        }
        assert_true(code == CLM_OK || code == CLM_E_PARSE || code == CLM_E_LIMIT);
        n_good += one.kind[0] == 'y';
        n_bad += one.kind[0] == 'n';
        n_policy += one.kind[0] == 'i';
    }
    (void)fclose(file);
    /* as many as JSONTestSuite has, so that none gets lost */
    assert_true(n_good >= 95 && n_bad >= 188 && n_policy >= 35);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_is_decided_as_it_says),
    };

    return cmocka_run_group_tests_name("json_suite", tests, NULL, NULL);
}
