/* SPDX-License-Identifier: Apache-2.0 */
/* How many versions a job asks to keep; test_job_spec.c has the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/model/job.h"
#include "tests/unit/model/json_text.h"

#define SHA "aacd4f2fec14dde07d89d4c80d686a4009df18e709f7f981406202ee5a37ba32"

/* %s: what is said of versions, with a comma before it where there is something */
#define DEPLOY                                                                                     \
    "{'certificate_id':'crt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C','sha256':'" SHA                            \
    "','chain_pem':'-----BEGIN','key_ref':'key_01J9ZN2Q4W6E8R0T2Y4V6J8K0M','bake_s':1%s}"
#define ORDER                                                                                      \
    "{'certificate_id':'crt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C','sans':{'dns':['www.example.com']},"       \
    "'key':{'type':'ec-p256'},'on_issue':'deploy','deploy':{'bake_s':1%s}}"

#define JOB(type, spec)                                                                            \
    "{'spec_version':1,'job_id':'job_01J9ZN2Q4W6E8R0T2Y4V6J8K0M','tenant':'acme',"                 \
    "'agent_id':'agt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C','type':'" type "','target':'nginx:a',"            \
    "'target_seq':1,'issued_at':'2026-11-21T01:52:00Z','expires_at':'2026-11-28T01:52:00Z',"       \
    "'timeout_s':900,'spec':" spec "}"

static enum clm_code read_retain(const char *type, const char *said, uint32_t *out_retain)
{
    CLM_CLEANUP(clm_job_envelope_done) struct clm_job_envelope job = {.job_id = ""};
    struct clm_job_spec spec;
    struct clm_err err = {0};
    bool is_order = strcmp(type, "order") == 0;
    char text[2048];
    char *payload;
    enum clm_code code;

    assert_int_equal(clm_str_fmt(text, sizeof(text), NULL,
                                 is_order ? JOB("order", ORDER) : JOB("deploy", DEPLOY), said),
                     CLM_OK);
    payload = json_quotes(text);
    code = clm_job_envelope_parse(payload, strlen(payload), &job, &err);
    free(payload);
    if (code != CLM_OK) {
        fail_msg("the test's own envelope: %s", err.msg);
    }
    code = clm_job_spec_parse(&job, &spec, &err);
    if (code != CLM_OK) {
        assert_non_null(strstr(err.msg, "retain"));
        return code;
    }
    *out_retain = is_order ? spec.u.order.deploy.retain : spec.u.deploy.how.retain;
    clm_job_spec_done(&spec);
    return CLM_OK;
}

static void versions_to_keep_are_1_to_20_or_not_said(void **state)
{
    static const char *const types[] = {"order", "deploy"};
    static const struct {
        const char *said;
        enum clm_code code;
        uint32_t retain;
    } rows[] = {
        {"", CLM_OK, 0},
        {",'retain':1", CLM_OK, 1},
        {",'retain':20", CLM_OK, 20},
        {",'retain':0", CLM_E_LIMIT, 0},
        {",'retain':21", CLM_E_LIMIT, 0},
        {",'retain':-1", CLM_E_LIMIT, 0},
        {",'retain':'7'", CLM_E_PARSE, 0},
    };

    (void)state;
    for (size_t t = 0; t < CLM_ARRAY_LEN(types); t++) {
        for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
            uint32_t retain = 0;

            assert_int_equal(read_retain(types[t], rows[i].said, &retain), rows[i].code);
            assert_int_equal(retain, rows[i].retain);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_to_keep_are_1_to_20_or_not_said),
    };

    return cmocka_run_group_tests_name("job deploy", tests, NULL, NULL);
}
