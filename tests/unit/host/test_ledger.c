/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the ledger that cannot be, are damaged, or are not ours to touch. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/fs.h"
#include "agent/host/ledger.h"
#include "tests/support/root_io.h"

#define JOB   "job_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"
#define ORDER "ord_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"
#define AGENT "agt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"
#define OTHER "agt_01J9ZK3W5V7M2Q8R4T6Y0X1B3D"
#define SITE  "nginx:www.example.com"

/* One call each, in a directory; what it found is freed. */

static enum clm_code get_job(const char *dir, const char *id, struct clm_err *err)
{
    struct clm_job_record record;
    enum clm_code code = clm_ledger_job_get(dir, id, &record, err);

    assert_true(code == CLM_OK || (record.payload == NULL && record.result == NULL));
    clm_job_record_done(&record);
    return code;
}

static enum clm_code put_job(const char *dir, const char *id, struct clm_err *err)
{
    struct clm_job_record record = {.payload = strdup("{}")};
    enum clm_code code;

    (void)snprintf(record.job_id, sizeof(record.job_id), "%s", id);
    code = clm_ledger_job_put(dir, &record, err);
    clm_job_record_done(&record);
    return code;
}

static enum clm_code get_seq(const char *dir, const char *id, struct clm_err *err)
{
    char job_id[CLM_ID_SIZE];
    int64_t seq;

    (void)id;
    return clm_ledger_seq_get(dir, AGENT, SITE, &seq, job_id, err);
}

static enum clm_code put_seq(const char *dir, const char *id, struct clm_err *err)
{
    return clm_ledger_seq_put(dir, AGENT, SITE, 1, id, err);
}

static enum clm_code get_dcv(const char *dir, const char *id, struct clm_err *err)
{
    struct clm_dcv_record record;
    enum clm_code code = clm_ledger_dcv_get(dir, id, &record, err);

    assert_true(code == CLM_OK || record.n_roots == 0);
    clm_dcv_record_done(&record);
    return code;
}

static enum clm_code put_dcv(const char *dir, const char *id, struct clm_err *err)
{
    static const struct clm_dcv_record none = {.roots = NULL};

    return clm_ledger_dcv_put(dir, id, &none, err);
}

static enum clm_code count(const char *dir, const char *id, struct clm_err *err)
{
    int64_t n;

    (void)id;
    return clm_ledger_count(dir, "order", NULL, 0, &n, err);
}

static enum clm_code trim(const char *dir, const char *id, struct clm_err *err)
{
    (void)id;
    return clm_ledger_trim(dir, 0, INT64_C(1000000000), err);
}

static const struct call {
    enum clm_code (*make)(const char *dir, const char *id, struct clm_err *err);
    const char *id;
    const char *malformed; /* what is said of another id; NULL: it takes none */
} calls[] = {
    {get_job, JOB, "job id '../x' is malformed"},
    {put_job, JOB, "job id '../x' is malformed"},
    {get_dcv, ORDER, "order id '../x' is malformed"},
    {put_dcv, ORDER, "order id '../x' is malformed"},
    {get_seq, JOB, NULL},
    {put_seq, JOB, NULL},
    {count, JOB, NULL},
    {trim, JOB, NULL},
};

static void ids_are_never_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(calls); i++) {
        struct clm_err err = {.code = CLM_OK};

        if (calls[i].malformed != NULL) {
            assert_int_equal(calls[i].make("/tmp", "../x", &err), CLM_E_INVAL);
            assert_string_equal(err.msg, calls[i].malformed);
        }
    }
}

static void a_path_that_does_not_fit_is_an_error(void **state)
{
    char dir[PATH_MAX];

    (void)state;
    memset(dir, 'a', sizeof(dir) - 1);
    dir[0] = '/';
    dir[sizeof(dir) - 1] = '\0';
    for (size_t i = 0; i < CLM_ARRAY_LEN(calls); i++) {
        struct clm_err err = {.code = CLM_OK};

        if (calls[i].make(dir, calls[i].id, &err) != CLM_E_LIMIT) {
            fail_msg("call %zu: %s '%s'", i, clm_code_name(err.code), err.msg);
        }
    }
}

static void a_damaged_record_is_refused_with_its_reason(void **state)
{
    static const struct {
        enum clm_code (*make)(const char *dir, const char *id, struct clm_err *err);
        const char *path;
        const char *text;
        const char *says;
    } rows[] = {
        {get_job, "/jobs/" JOB ".json", "{", "/jobs/" JOB ".json'"},
        {get_job, "/jobs/" JOB ".json", "{\"payload\":\"{}\"}", "accepted_at"},
        {get_job, "/jobs/" JOB ".json", "{\"accepted_at\":-1,\"payload\":\"{}\"}", "accepted_at"},
        {get_job, "/jobs/" JOB ".json", "{\"accepted_at\":1}", "payload"},
        {get_job, "/jobs/" JOB ".json", "{\"accepted_at\":1,\"payload\":\"{}\",\"bundle\":7}",
         "bundle"},
        {get_job, "/jobs/" JOB ".json",
         "{\"accepted_at\":1,\"payload\":\"{}\",\"started\":\"yes\",\"result\":{}}", "started"},
        {get_seq, "/seq.json", "[", "/seq.json'"},
        {get_seq, "/seq.json", "{\"" SITE "\":{\"agent\":\"" AGENT "\"}}", "seq"},
        {get_seq, "/seq.json", "{\"" SITE "\":{\"agent\":\"" AGENT "\",\"seq\":-1}}", "seq"},
        {get_seq, "/seq.json", "{\"" SITE "\":{\"seq\":1,\"job_id\":7}}", "job_id"},
        {put_seq, "/seq.json", "{", "/seq.json'"},
        {get_dcv, "/dcv/" ORDER ".json", "{", "/dcv/" ORDER ".json'"},
        {get_dcv, "/dcv/" ORDER ".json", "{\"roots\":[{\"made\":[]}]}", "root"},
        {get_dcv, "/dcv/" ORDER ".json", "{\"roots\":[{\"root\":\"/a\",\"made\":7}]}", "made"},
        {get_dcv, "/dcv/" ORDER ".json",
         "{\"roots\":[{\"root\":\"/a\",\"made\":[\"/a/b\"]},{\"root\":\"/a\",\"made\":[7]}]}",
         "no path"},
    };
    const char *dir = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_err err = {.code = CLM_OK};
        const char *id = strncmp(rows[i].path, "/dcv", 4) == 0 ? ORDER : JOB;

        root_io_text(dir, rows[i].path, rows[i].text);
        if (rows[i].make(dir, id, &err) == CLM_OK || strstr(err.msg, rows[i].says) == NULL) {
            fail_msg("row %zu: %s '%s'", i, clm_code_name(err.code), err.msg);
        }
    }
}

/* An entry of before there was more than one agent has no owner, and counts. */
static void the_sequence_of_another_agent_is_not_ours(void **state)
{
    static const struct {
        const char *owner;
        int64_t want;
    } rows[] = {{",\"agent\":\"" AGENT "\"", 7}, {",\"agent\":\"" OTHER "\"", 0}, {"", 7}};

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        char text[256];
        char job_id[CLM_ID_SIZE];
        int64_t seq = -1;

        (void)snprintf(text, sizeof(text), "{\"" SITE "\":{\"seq\":7,\"job_id\":\"" JOB "\"%s}}",
                       rows[i].owner);
        root_io_text(*state, "/seq.json", text);
        assert_int_equal(clm_ledger_seq_get(*state, AGENT, SITE, &seq, job_id, NULL), CLM_OK);
        assert_int_equal(seq, rows[i].want);
        assert_string_equal(job_id, rows[i].want > 0 ? JOB : "");
    }
}

static void paths_of_a_root_are_kept_together(void **state)
{
    struct clm_dcv_record record = {.roots = NULL};

    root_io_text(*state, "/dcv/" ORDER ".json",
                 "{\"roots\":[{\"root\":\"/a\",\"made\":[\"/a/1\"]},{\"root\":\"/b\",\"made\":[]},"
                 "{\"root\":\"/a\",\"made\":[\"/a/2\"]}]}");
    assert_int_equal(clm_ledger_dcv_get(*state, ORDER, &record, NULL), CLM_OK);
    assert_int_equal(record.n_roots, 2);
    assert_int_equal(record.roots[0].made.n, 2);
    assert_string_equal(record.roots[0].made.v[1], "/a/2");
    assert_string_equal(record.roots[1].root, "/b");
    clm_dcv_record_done(&record);
}

static int set_up(void **state)
{
    static char dir[PATH_MAX];

    root_io_temp(dir);
    *state = dir;
    return 0;
}

static int tear_down(void **state)
{
    root_io_remove(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_never_paths),
        cmocka_unit_test(a_path_that_does_not_fit_is_an_error),
        cmocka_unit_test_setup_teardown(a_damaged_record_is_refused_with_its_reason, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_sequence_of_another_agent_is_not_ours, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(paths_of_a_root_are_kept_together, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("host_ledger", tests, NULL, NULL);
}
