/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/model/job.h"
#include "tests/unit/model/json_text.h"

#define JOB "job_01J9ZN2Q4W6E8R0T2Y4V6J8K0M"
#define AGT "agt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"

/* The members that must be there, without spec_version and spec. */
#define NEEDED                                                                                     \
    "'job_id':'" JOB "','tenant':'acme','agent_id':'" AGT "','type':'deploy',"                     \
    "'target':'nginx:www.example.com','target_seq':43,'issued_at':'2026-11-21T01:52:00Z',"         \
    "'expires_at':'2026-11-28T01:52:00Z','timeout_s':900"
#define MINIMAL       "{'spec_version':1," NEEDED ",'spec':{}}"
#define WITH(members) "{'spec_version':1," NEEDED ",'spec':{}," members "}"

/* protocol.md 8.1, whole. */
static const char full[] =
    "{'spec_version':1,'job_id':'" JOB "','tenant':'acme','agent_id':'" AGT "','type':'deploy',"
    "'target':'nginx:www.example.com','target_seq':43,"
    "'campaign_id':'cmp_01J9ZMZ0A2C4E6G8J0M2P4R6T8',"
    "'workflow':{'id':'wf_01J9ZMZ0A2C4E6G8J0M2P4R6T9','step':3,'of':4},"
    "'depends_on':['job_01J9ZMZ5B7D9F1H3K5M7P9R1T3'],"
    "'requires':['job.deploy/1','target.nginx/1'],'priority':50,"
    "'issued_at':'2026-11-21T01:52:00Z','not_before':'2026-11-21T01:53:00Z',"
    "'expires_at':'2026-11-28T01:52:00Z','window_id':'prod-nights',"
    "'missed_window':'run_asap','max_late_s':1800,'expiry_override':'never','offline_ok':true,"
    "'timeout_s':900,'max_attempts':5,'retry':{'base_s':61,'cap_s':3601},'on_failure':'stop',"
    "'recipe':{'name':'nginx-standard','version':4,'sha256':"
    "'9b1f0d6a4c2e8f7a9b1f0d6a4c2e8f7a9b1f0d6a4c2e8f7a9b1f0d6a4c2e8f7a'},"
    "'requested_by':'user:alice','approved_by':['user:bob'],'spec':{}}";

static enum clm_code parse(const char *text, struct clm_job_envelope *job, struct clm_err *err)
{
    char *copy = json_quotes(text);
    enum clm_code code = clm_job_envelope_parse(copy, strlen(copy), job, err);

    free(copy);
    return code;
}

static void the_envelope_of_the_protocol_is_read(void **state)
{
    struct clm_job_envelope job = {0};
    struct clm_err err = {0};

    (void)state;
    if (parse(full, &job, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    assert_string_equal(job.job_id, JOB);
    assert_string_equal(job.tenant, "acme");
    assert_string_equal(job.agent_id, AGT);
    assert_int_equal(job.type, CLM_JOB_TYPE_DEPLOY);
    assert_string_equal(job.target, "nginx:www.example.com");
    assert_int_equal(job.target_seq, 43);
    assert_int_equal(job.issued_s, 1795225920);
    assert_int_equal(job.not_before_s, 1795225980);
    assert_int_equal(job.expires_s, 1795830720);
    assert_int_equal(job.timeout_s, 900);
    assert_int_equal(job.max_attempts, 5);
    assert_int_equal(job.retry_base_s, 61);
    assert_int_equal(job.retry_cap_s, 3601);
    assert_int_equal(job.on_failure, CLM_ON_FAILURE_STOP);
    assert_true(job.offline_ok);
    assert_string_equal(job.window_id, "prod-nights");
    assert_string_equal(job.missed_window, "run_asap");
    assert_string_equal(job.expiry_override, "never");
    assert_int_equal(job.max_late_s, 1800);
    assert_string_equal(job.recipe_name, "nginx-standard");
    assert_int_equal(job.recipe_version, 4);
    assert_int_equal(job.n_depends_on, 1);
    assert_string_equal(job.depends_on[0], "job_01J9ZMZ5B7D9F1H3K5M7P9R1T3");
    assert_int_equal(job.n_requires, 2);
    assert_string_equal(job.requires[1], "target.nginx/1");
    assert_string_equal(job.approved_by[0], "user:bob");
    assert_non_null(job.spec);
    clm_job_envelope_done(&job);
    clm_job_envelope_done(NULL);
}

static void what_is_left_out_has_its_default(void **state)
{
    struct clm_job_envelope job = {0};
    struct clm_err err = {0};

    (void)state;
    if (parse(MINIMAL, &job, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(job.not_before_s, job.issued_s);
    assert_int_equal(job.max_attempts, 3);
    assert_int_equal(job.retry_base_s, 60);
    assert_int_equal(job.retry_cap_s, 3600);
    assert_int_equal(job.priority, 50);
    assert_int_equal(job.on_failure, CLM_ON_FAILURE_ROLLBACK);
    assert_string_equal(job.missed_window, "run_next_window");
    assert_string_equal(job.expiry_override, "alert");
    assert_string_equal(job.window_id, "");
    assert_false(job.offline_ok);
    assert_int_equal(job.n_depends_on, 0);
    clm_job_envelope_done(&job);
}

static void bad_envelopes_are_refused_with_the_member(void **state)
{
    static const struct {
        const char *in;
        enum clm_code code;
        const char *why;
    } rows[] = {
        {"", CLM_E_PARSE, "job: "},
        {"[]", CLM_E_PARSE, "job: not an object"},
        {"{}", CLM_E_PARSE, "spec_version"},
        {"{'spec_version':2}", CLM_E_UNSUPPORTED, "'spec_version': 2"},
        {"{'spec_version':1,'spec_version':1}", CLM_E_PARSE, "duplicate key"},
        {"{'spec_version':1,'Spec_version':1}", CLM_E_PARSE, "Spec_version"},
        {"{'spec_version':1," NEEDED "}", CLM_E_PARSE, "spec"},
        {"{'spec_version':1," NEEDED ",'spec':[]}", CLM_E_PARSE, "spec"},
        {WITH("'shell':'rm'"), CLM_E_PARSE, "shell"},
        {WITH("'campaign_id':'x'"), CLM_E_INVAL,
         "job: 'campaign_id': 'x' is not an id of the form cmp_<26 characters>"},
        {WITH("'not_before':'2026-11-29T00:00:00Z'"), CLM_E_INVAL,
         "'expires_at': not after 'issued_at' and 'not_before'"},
        {WITH("'priority':101"), CLM_E_LIMIT, "priority"},
        {WITH("'max_attempts':0"), CLM_E_LIMIT, "max_attempts"},
        {WITH("'max_attempts':11"), CLM_E_LIMIT, "max_attempts"},
        {WITH("'on_failure':'retry'"), CLM_E_INVAL, "'on_failure': unknown value 'retry'"},
        {WITH("'missed_window':'later'"), CLM_E_INVAL, "'missed_window': unknown value 'later'"},
        {WITH("'expiry_override':'yes'"), CLM_E_INVAL, "'expiry_override': unknown value 'yes'"},
        {WITH("'window_id':'A'"), CLM_E_INVAL, "'window_id': 'A' is not a name"},
        {WITH("'retry':{'base':1}"), CLM_E_PARSE, "retry: "},
        {WITH("'retry':{'base_s':0}"), CLM_E_LIMIT, "retry: "},
        {WITH("'retry':5"), CLM_E_PARSE, "retry"},
        {WITH("'recipe':{'name':'a','version':1}"), CLM_E_PARSE, "recipe: "},
        {WITH("'recipe':{'name':'../a','version':1,'sha256':'"
              "aacd4f2fec14dde07d89d4c80d686a4009df18"
              "e709f7f981406202ee5a37ba32'}"),
         CLM_E_INVAL, "recipe: 'name': '../a' is not a name"},
        {WITH("'workflow':{'id':'wf_1'}"), CLM_E_INVAL, "workflow: 'id': 'wf_1' is not an id"},
        {WITH("'workflow':{'id':'wf_01J9ZMZ0A2C4E6G8J0M2P4R6T9','x':1}"), CLM_E_PARSE,
         "workflow: "},
        {WITH("'depends_on':['job_1']"), CLM_E_INVAL, "'depends_on': 'job_1' is not an id"},
        {WITH("'requires':['']"), CLM_E_PARSE, "'requires': element 0 is no text of 1..256 bytes"},
        {WITH("'requires':[1]"), CLM_E_PARSE, "'requires': element 0 is no text"},
        {WITH("'approved_by':'bob'"), CLM_E_PARSE, "approved_by"},
        {WITH("'depends_on':['" JOB "','" JOB "','" JOB "','" JOB "','" JOB "','" JOB "','" JOB
              "','" JOB "','" JOB "','" JOB "','" JOB "','" JOB "','" JOB "','" JOB "','" JOB
              "','" JOB "','" JOB "']"),
         CLM_E_LIMIT, "depends_on"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_job_envelope job = {0};
        struct clm_err err = {0};

        if (parse(rows[i].in, &job, &err) != rows[i].code || strstr(err.msg, rows[i].why) == NULL) {
            fail_msg("row %zu: %s: '%s'", i, clm_code_name(err.code), err.msg);
        }
        assert_null(job.root);
    }
}

/* MINIMAL with one member changed: NULL leaves it out. */
static char *with_member(const char *key, const char *value)
{
    struct clm_json *tree = json_read(MINIMAL);
    struct clm_json *parsed = value == NULL ? NULL : json_read(value);

    clm_json_remove(tree, key);
    if (parsed != NULL) {
        clm_json_set_copy(tree, key, clm_json_first(parsed));
        clm_json_free(parsed);
    }
    return json_print_take(tree);
}

static void each_needed_member_is_checked(void **state)
{
    static const struct {
        const char *key;
        const char *value; /* in an array; NULL: leave the member out */
        enum clm_code code;
        const char *why;
    } rows[] = {
        {"job_id", NULL, CLM_E_PARSE, "job_id"},
        {"job_id", "['job_01j9zn2q4w6e8r0t2y4v6j8k0m']", CLM_E_INVAL, "'job_id': "},
        {"job_id", "['agt_01J9ZN2Q4W6E8R0T2Y4V6J8K0M']", CLM_E_INVAL, "'job_id': "},
        {"job_id", "['job_01J9ZN2Q4W6E8R0T2Y4V6J8K0M0']", CLM_E_INVAL, "'job_id': "},
        {"tenant", NULL, CLM_E_PARSE, "tenant"},
        {"tenant", "['']", CLM_E_INVAL, "'tenant': is empty"},
        {"agent_id", NULL, CLM_E_PARSE, "agent_id"},
        {"agent_id", "['agt_x']", CLM_E_INVAL, "'agent_id': 'agt_x' is not an id"},
        {"type", NULL, CLM_E_PARSE, "type"},
        {"type", "['run_command']", CLM_E_UNSUPPORTED,
         "'type': 'run_command' is not a job type of protocol 1"},
        {"type", "['DEPLOY']", CLM_E_UNSUPPORTED, "'type': 'DEPLOY'"},
        {"target", NULL, CLM_E_PARSE, "target"},
        {"target", "['nginx']", CLM_E_INVAL, "'target': 'nginx' is not a target id"},
        {"target_seq", NULL, CLM_E_PARSE, "target_seq"},
        {"target_seq", "[-1]", CLM_E_LIMIT, "target_seq"},
        {"target_seq", "[1.5]", CLM_E_PARSE, "target_seq"},
        {"target_seq", "['1']", CLM_E_PARSE, "target_seq"},
        {"issued_at", NULL, CLM_E_PARSE, "issued_at"},
        {"issued_at", "['2026-11-21 01:52:00']", CLM_E_PARSE, "'issued_at'"},
        {"issued_at", "['2026-08-01T00:00:00Z']", CLM_E_INVAL,
         "'expires_at': more than 90 days after 'issued_at'"},
        {"expires_at", NULL, CLM_E_PARSE, "expires_at"},
        {"expires_at", "['2026-11-21T01:52:00Z']", CLM_E_INVAL, "'expires_at': not after"},
        {"timeout_s", NULL, CLM_E_PARSE, "timeout_s"},
        {"timeout_s", "[9]", CLM_E_LIMIT, "timeout_s"},
        {"timeout_s", "[86401]", CLM_E_LIMIT, "timeout_s"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_job_envelope job = {0};
        struct clm_err err = {0};
        char *text = with_member(rows[i].key, rows[i].value);

        if (clm_job_envelope_parse(text, strlen(text), &job, &err) != rows[i].code ||
            strstr(err.msg, rows[i].why) == NULL) {
            fail_msg("row %zu: %s: '%s'", i, clm_code_name(err.code), err.msg);
        }
        free(text);
    }
}

static void a_payload_has_a_limit(void **state)
{
    static char big[CLM_JOB_PAYLOAD_MAX + 2];
    struct clm_job_envelope job = {0};
    struct clm_err err = {0};
    char *text = json_quotes(MINIMAL);

    (void)state;
    memset(big, ' ', sizeof(big) - 1);
    for (size_t i = 0; text[i] != '\0'; i++) {
        big[i] = text[i];
    }
    assert_int_equal(clm_job_envelope_parse(big, CLM_JOB_PAYLOAD_MAX, &job, &err), CLM_OK);
    clm_job_envelope_done(&job);
    assert_int_equal(clm_job_envelope_parse(big, CLM_JOB_PAYLOAD_MAX + 1, &job, &err), CLM_E_LIMIT);
    free(text);
}

static void all_fourteen_types_have_names(void **state)
{
    enum clm_job_type type = CLM_JOB_TYPE_SCAN;

    (void)state;
    assert_int_equal(CLM_JOB_TYPE__COUNT, 14);
    for (int i = 0; i < CLM_JOB_TYPE__COUNT; i++) {
        assert_true(clm_job_type_from_name(clm_job_type_name((enum clm_job_type)i), &type));
        assert_int_equal(type, i);
    }
    assert_false(clm_job_type_from_name("unknown", &type));
    assert_string_equal(clm_job_type_name(CLM_JOB_TYPE__COUNT), "unknown");
}

static void names_follow_the_protocol(void **state)
{
    (void)state;
    assert_true(clm_job_name_is_valid("www-root"));
    assert_true(clm_job_name_is_valid("0"));
    assert_false(clm_job_name_is_valid(""));
    assert_false(clm_job_name_is_valid(".a"));
    assert_false(clm_job_name_is_valid("-a"));
    assert_false(clm_job_name_is_valid("A"));
    assert_false(clm_job_name_is_valid("a/b"));
    assert_true(
        clm_job_name_is_valid("a123456789012345678901234567890123456789012345678901234567890123"));
    assert_false(
        clm_job_name_is_valid("a1234567890123456789012345678901234567890123456789012345678901234"));
}

static void key_types_are_those_of_the_protocol(void **state)
{
    static const char *const want[] = {"ec-p256", "ec-p384", "rsa-2048", "rsa-3072", "rsa-4096"};
    const char *const *have = clm_key_type_names();

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(want); i++) {
        assert_string_equal(have[i], want[i]);
    }
    assert_null(have[CLM_ARRAY_LEN(want)]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_envelope_of_the_protocol_is_read),
        cmocka_unit_test(what_is_left_out_has_its_default),
        cmocka_unit_test(bad_envelopes_are_refused_with_the_member),
        cmocka_unit_test(each_needed_member_is_checked),
        cmocka_unit_test(a_payload_has_a_limit),
        cmocka_unit_test(all_fourteen_types_have_names),
        cmocka_unit_test(names_follow_the_protocol),
        cmocka_unit_test(key_types_are_those_of_the_protocol),
    };

    return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
