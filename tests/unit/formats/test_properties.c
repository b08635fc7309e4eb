/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/formats/properties.h"

/* Each row checked with java.util.Properties of JDK 17. */
static const struct {
    const char *text;
    const char *value; /* of "key"; NULL: there is none */
} cases[] = {
    {"key=v", "v"},
    {"key=v\n", "v"},
    {"key = v w \r\nb=2", "v w "},
    {"key:v", "v"},
    {"key v", "v"},
    {"\t key\t=\tv", "v"},
    {"key==v", "=v"},
    {"key", ""},
    {"key=", ""},
    {"key=a\nkey=b", "b"},
    {"#key=v\n!key=v", NULL},
    {"# c \\\nkey=v", "v"}, /* a comment is not continued */
    {"key=a\\\n   b", "ab"},
    {"key=a\\\r\n\tb", "ab"},
    {"other=a\\\nkey=v", NULL},
    {"ke\\\n  y=v", "v"},
    {"k\\u0065y=v", "v"},
    {"key=\\u00fc\\u20AC", "\xc3\xbc\xe2\x82\xac"},
    {"key=\\ud83d\\ude00", "\xf0\x9f\x98\x80"},
    {"key=\xfc", "\xc3\xbc"}, /* ISO-8859-1 */
    {"key=\\t\\n\\q\\\\", "\t\nq\\"},
    {"key\\=x=v", NULL},
    {"key\\ =v", NULL},
    {"a=1\n\n\n  \nkey=v", "v"},
    {"key=a#b", "a#b"},
    {"key=C:\\\\x", "C:\\x"},
    {"", NULL},
    {"\\", NULL},
    {"key=v\\", "v"},
    {"key=a\\\r  b", "ab"}, /* a line may end with a carriage return alone */
    {"key=a\\\rb", "ab"},
    {"key=\\u0041\\u004A\\u004a", "AJJ"},
    {"\\u00fckey=v", NULL},
    {"\fkey\f=\fv", "v"},
    {"   ", NULL},
};

static void values_are_what_java_reads(void **state)
{
    struct clm_buf value = CLM_BUF_SECRET_INIT(64);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool found = false;

        assert_int_equal(
            clm_properties_find(cases[i].text, strlen(cases[i].text), "key", &value, &found, NULL),
            CLM_OK);
        if (found != (cases[i].value != NULL) ||
            strcmp(clm_buf_str(&value), found ? cases[i].value : "") != 0) {
            fail_msg("case %zu: '%s'", i, clm_buf_str(&value));
        }
    }
    clm_buf_done(&value);
}

/* Java refuses the file; Tomcat does not start then. */
static void an_escape_that_is_none_is_taken_as_it_is(void **state)
{
    struct clm_buf value = CLM_BUF_SECRET_INIT(16);
    bool found = false;

    (void)state;
    assert_int_equal(clm_properties_find("key=\\u12G4", 10, "key", &value, &found, NULL), CLM_OK);
    assert_true(found);
    assert_string_equal(clm_buf_str(&value), "u12G4");
    clm_buf_done(&value);
}

static void a_value_beyond_the_limit_is_an_error(void **state)
{
    struct clm_buf value = CLM_BUF_SECRET_INIT(3);
    bool found = false;

    (void)state;
    assert_int_equal(clm_properties_find("key=1234", 8, "key", &value, &found, NULL), CLM_E_LIMIT);
    assert_int_equal(clm_properties_find("other=1234\nkey=1", 16, "key", &value, &found, NULL),
                     CLM_OK);
    clm_buf_done(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_what_java_reads),
        cmocka_unit_test(an_escape_that_is_none_is_taken_as_it_is),
        cmocka_unit_test(a_value_beyond_the_limit_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
