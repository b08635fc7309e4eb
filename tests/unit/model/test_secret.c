/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/model/io.h"
#include "agent/model/secret.h"

struct file {
    struct clm_stat stat;
    const char *text;
};

static enum clm_code stat_file(void *ctx, const char *path, bool follow, struct clm_stat *out,
                               struct clm_err *err)
{
    const struct file *file = ctx;

    (void)err;
    assert_false(follow);
    assert_string_equal(path, "/etc/clmbot/pw");
    *out = file->stat;
    return CLM_OK;
}

static enum clm_code read_text(void *ctx, const char *path, size_t max, struct clm_buf *out,
                               struct clm_err *err)
{
    const struct file *file = ctx;

    (void)path;
    if (strlen(file->text) > max) {
        return clm_err_set(err, CLM_E_LIMIT, "too long");
    }
    assert_true(out->secret);
    return clm_buf_add_str(out, file->text, err);
}

static enum clm_code ask(struct file *file, const char *ref, struct clm_buf *out,
                         struct clm_err *err)
{
    const struct clm_io io = {.ctx = file, .stat = stat_file, .read_file = read_text};

    return clm_secret_read(&io, ref, out, err);
}

static void a_file_gives_its_first_line(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } rows[] = {{"abc", "abc"}, {"abc\n", "abc"}, {"abc\r\nmore\n", "abc"}, {" a b \n", " a b "}};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
        struct file file = {{.kind = CLM_FILE_REGULAR, .mode = 0600}, rows[i].text};

        assert_int_equal(ask(&file, "file:/etc/clmbot/pw", &out, NULL), CLM_OK);
        assert_string_equal(clm_buf_str(&out), rows[i].want);
    }
}

static void others_can_be_told_apart(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(ask(NULL, "", &out, NULL), CLM_OK);
    assert_int_equal(out.len, 0);
    assert_int_equal(ask(NULL, "known:changeit", &out, NULL), CLM_OK);
    assert_string_equal(clm_buf_str(&out), "changeit");
    assert_int_equal(ask(NULL, "conf:server.xml", &out, &err), CLM_E_UNSUPPORTED);
    assert_int_equal(ask(NULL, "changeit", &out, &err), CLM_E_INVAL);
    assert_null(strstr(err.msg, "changeit"));
    assert_int_equal(ask(NULL, "file:relative", &out, &err), CLM_E_INVAL);
}

static void a_file_that_others_can_use_is_refused(void **state)
{
    static char long_line[3000];
    static const struct {
        struct clm_stat stat;
        const char *text;
        enum clm_code code;
        const char *why;
    } rows[] = {
        {{.kind = CLM_FILE_REGULAR, .mode = 0640}, "hunter2", CLM_E_PERM, "mode 0640"},
        {{.kind = CLM_FILE_REGULAR, .mode = 0604}, "hunter2", CLM_E_PERM, "chmod 600"},
        {{.kind = CLM_FILE_REGULAR, .mode = 0602}, "hunter2", CLM_E_PERM, "mode 0602"},
        {{.kind = CLM_FILE_REGULAR, .mode = 0600, .uid = 4711},
         "hunter2",
         CLM_E_PERM,
         "chown root"},
        {{.kind = CLM_FILE_SYMLINK, .mode = 0600}, "hunter2", CLM_E_INVAL, "not a regular file"},
        {{.kind = CLM_FILE_REGULAR, .mode = 0600}, "", CLM_E_INVAL, "empty first line"},
        {{.kind = CLM_FILE_REGULAR, .mode = 0600}, "\nhunter2", CLM_E_INVAL, "empty first line"},
        {{.kind = CLM_FILE_REGULAR, .mode = 0600}, long_line, CLM_E_LIMIT, "more than 1024 bytes"},
    };

    (void)state;
    memset(long_line, 'x', sizeof(long_line) - 1);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
        struct file file = {rows[i].stat, rows[i].text};
        struct clm_err err = {0};

        if (ask(&file, "file:/etc/clmbot/pw", &out, &err) != rows[i].code ||
            strstr(err.msg, rows[i].why) == NULL || strstr(err.msg, "hunter2") != NULL) {
            fail_msg("row %zu: %s: %s", i, clm_code_name(err.code), err.msg);
        }
        assert_int_equal(out.len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_gives_its_first_line),
        cmocka_unit_test(others_can_be_told_apart),
        cmocka_unit_test(a_file_that_others_can_use_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
