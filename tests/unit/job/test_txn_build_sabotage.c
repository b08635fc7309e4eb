/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of files while memory is short: what is written holds the new certificate and key, and
 * what is read apart without a complaint is all that is there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/job/txn_build.h"
#include "tests/support/sabotage.h"
#include "tests/support/scene.h"

#define ALLOCATIONS "malloc calloc realloc strdup"

static struct scene_certs certs;
static struct scene scene; /* for the key file */

static int begin(void **state)
{
    (void)state;
    scene_certs_make(&certs, CLM_TEST_GOOD);
    scene_make(&scene, SCENE_PAIR, &certs);
    return 0;
}

static int end(void **state)
{
    (void)state;
    scene_done(&scene);
    scene_certs_done(&certs);
    return 0;
}

struct act {
    struct clm_plan plan;
    struct clm_step *step;
    struct clm_buf old; /* made by an earlier run; empty: no file yet */
    struct clm_buf out;
    struct clm_txn_parts parts;
};

static enum clm_code make(struct act *act, struct clm_err *err)
{
    CLM_CLEANUP(clm_txn_maker_done)
    struct clm_txn_maker maker = {
        .plan = &act->plan, .bundle = scene.bundle, .now_s = FAKE_IO_NOW_S};
    enum clm_code code = clm_txn_maker_load(&maker, err);

    return code == CLM_OK ? clm_txn_build(&maker, act->step, act->old.len > 0 ? &act->old : NULL,
                                          &act->out, err)
                          : code;
}

static enum clm_code build(void *arg, struct clm_err *err)
{
    struct act *act = arg;

    clm_buf_reset(&act->out);
    return make(act, err);
}

static enum clm_code take_apart(struct act *act, const struct clm_buf *data, struct clm_err *err)
{
    const struct clm_txn_maker maker = {.plan = &act->plan};

    return clm_txn_take_apart(&maker, act->step, data, true, &act->parts, err);
}

static enum clm_code apart(void *arg, struct clm_err *err)
{
    struct act *act = arg;

    return take_apart(act, &act->old, err);
}

static void check_parts(struct act *act, const char *what)
{
    bool is_store = clm_format_is_keystore(act->step->format);
    bool key = is_store || clm_content_has_key(act->step->content);
    bool chain = is_store || clm_content_has_leaf(act->step->content);

    if ((key && act->parts.key == NULL) || (chain && act->parts.chain == NULL)) {
        fail_msg("%s as %s, %s: key %d, chain %d", clm_content_name(act->step->content),
                 clm_file_format_name(act->step->format), what == NULL ? "nothing failed" : what,
                 act->parts.key != NULL, act->parts.chain != NULL);
    }
}

static void after_build(void *arg, enum clm_code code, const char *what)
{
    struct act *act = arg;

    if (code == CLM_OK) {
        assert_int_equal(take_apart(act, &act->out, NULL), CLM_OK);
        check_parts(act, what);
    }
    clm_txn_parts_done(&act->parts);
}

static void after_apart(void *arg, enum clm_code code, const char *what)
{
    struct act *act = arg;

    if (code == CLM_OK) {
        check_parts(act, what);
    } else {
        assert_int_equal(code, CLM_E_NOMEM);
    }
    clm_txn_parts_done(&act->parts);
}

static void all_of(enum clm_content content, enum clm_file_format format, const char *key_password)
{
    struct act act = {.old = CLM_BUF_SECRET_INIT(CLM_TXN_FILE_MAX),
                      .out = CLM_BUF_SECRET_INIT(CLM_TXN_FILE_MAX)};
    const struct clm_sabotage building = {.act = build, .after = after_build, .arg = &act};
    const struct clm_sabotage reading = {.act = apart, .after = after_apart, .arg = &act};
    size_t n;

    act.step = clm_plan_add(&act.plan, CLM_STEP_FILE_PUT, NULL);
    assert_non_null(act.step);
    strcpy(act.plan.deployer, "file");
    strcpy(act.step->path, "/etc/x");
    act.step->content = content;
    act.step->format = format;
    if (clm_format_is_keystore(format)) {
        strcpy(act.step->store_password, "known:changeit");
    }
    (void)snprintf(act.step->key_password, sizeof(act.step->key_password), "%s", key_password);
    n = clm_sabotage_run(&building, ALLOCATIONS); /* a new file */
    assert_int_equal(build(&act, NULL), CLM_OK);
    assert_int_equal(clm_buf_add(&act.old, act.out.data, act.out.len, NULL), CLM_OK);
    n += clm_sabotage_run(&building, ALLOCATIONS); /* one that is good already */
    n += clm_sabotage_run(&reading, ALLOCATIONS);
    print_message("%s as %s: %zu\n", clm_content_name(content), clm_file_format_name(format), n);
    clm_plan_done(&act.plan);
    clm_buf_done(&act.old);
    clm_buf_done(&act.out);
}

static void short_memory_is_told_from_a_file_without_a_certificate(void **state)
{
    static const struct {
        enum clm_content content;
        enum clm_file_format format;
        const char *key_password;
    } rows[] = {
        {CLM_CONTENT_KEY_FIRST, CLM_FORMAT_PEM, ""},
        {CLM_CONTENT_KEY_FULLCHAIN, CLM_FORMAT_PEM, "known:open sesame"},
        {CLM_CONTENT_LEAF, CLM_FORMAT_DER, ""},
        {CLM_CONTENT_KEY, CLM_FORMAT_DER, ""},
        {CLM_CONTENT_FULLCHAIN, CLM_FORMAT_PKCS7, ""},
        {CLM_CONTENT_LEAF, CLM_FORMAT_PKCS7_PEM, ""},
        {CLM_CONTENT_KEY_FULLCHAIN, CLM_FORMAT_JKS, "known:of the entry"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        all_of(rows[i].content, rows[i].format, rows[i].key_password);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_memory_is_told_from_a_file_without_a_certificate),
    };

    return cmocka_run_group_tests_name("files, short memory", tests, begin, end);
}
