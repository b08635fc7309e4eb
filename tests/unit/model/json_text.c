/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/unit/model/json_text.h"

char *json_quotes(const char *text)
{
    char *copy = strdup(text);

    assert_non_null(copy);
    for (char *p = copy; *p != '\0'; p++) {
        if (*p == '\'') {
            *p = '"';
        }
    }
    return copy;
}

struct clm_json *json_read(const char *text)
{
    struct clm_err err = {0};
    struct clm_json *root = NULL;
    char *copy = json_quotes(text);

    if (clm_json_parse(copy, strlen(copy), 4u << 20, &root, &err) != CLM_OK) {
        fail_msg("the test's own JSON: %s: %s", err.msg, copy);
    }
    free(copy);
    return root;
}

char *json_print_take(struct clm_json *root)
{
    struct clm_buf text = CLM_BUF_INIT(4u << 20);
    struct clm_err err = {0};
    char *copy;

    if (clm_json_print(root, false, &text, &err) != CLM_OK) {
        fail_msg("print: %s", err.msg);
    }
    clm_json_free(root);
    copy = strdup(clm_buf_str(&text));
    assert_non_null(copy);
    clm_buf_done(&text);
    return copy;
}
