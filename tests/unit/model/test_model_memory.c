/* SPDX-License-Identifier: Apache-2.0 */
/* Every reader of the model with every allocation failing once: NOMEM, and nothing left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/base/buf.h"
#include "agent/model/job.h"
#include "agent/model/plan.h"
#include "agent/model/target.h"
#include "tests/support/torture.h"
#include "tests/unit/model/json_text.h"

#define SHA "aacd4f2fec14dde07d89d4c80d686a4009df18e709f7f981406202ee5a37ba32"

static enum clm_code inventory_body(void *arg, struct clm_err *err)
{
    struct clm_inventory inventory = {0};
    enum clm_code code = clm_inventory_from_json(arg, &inventory, err);

    clm_inventory_done(&inventory);
    return code;
}

static void an_inventory_is_read_whole_or_not_at_all(void **state)
{
    struct clm_json *in = json_read(
        "{'schema':1,'started_at':'2026-11-21T01:30:00Z','services':[{'service_id':'s','kind':'k',"
        "'remarks':['a','b'],'listen':[{'addr':'::','port':1}],'webroots':[{'domain':'a'}],"
        "'targets':[{'target':'k:a','reasons':['c'],'names':['a.b','::1'],"
        "'certificate':{'sha256':'" SHA "','sans':['d.e']},"
        "'endpoints':[{'addr':'::1','port':1},{'addr':'::1','port':2}],"
        "'observations':[{'result':'refused'},{'result':'refused'}]},{'target':'k:b'}]}],"
        "'errors':[{'path':'/a','detail':'b'}]}");

    (void)state;
    assert_true(clm_torture(inventory_body, in) > 10);
    clm_json_free(in);
}

static enum clm_code print_body(void *arg, struct clm_err *err)
{
    struct clm_json *out = clm_json_new_object();
    struct clm_buf text = CLM_BUF_INIT(1u << 20);
    enum clm_code code;

    clm_inventory_to_json(arg, out);
    code = clm_json_print(out, false, &text, err);
    clm_json_free(out);
    clm_buf_done(&text);
    return code;
}

static void an_inventory_is_written_whole_or_not_at_all(void **state)
{
    struct clm_inventory inventory = {0};
    struct clm_service *service = clm_inventory_add_service(&inventory);

    (void)state;
    assert_non_null(service);
    strcpy(service->exe, "/opt/\xff");
    strcpy(service->config_path, "/etc/\xff");
    assert_int_equal(clm_strs_add(&service->remarks, "\xff", NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&inventory.errors, "/a: \xff", NULL), CLM_OK);
    assert_true(clm_torture(print_body, &inventory) > 4);
    clm_inventory_done(&inventory);
}

static enum clm_code plan_body(void *arg, struct clm_err *err)
{
    struct clm_plan plan = {0};
    enum clm_code code = clm_plan_from_json(arg, &plan, err);

    clm_plan_done(&plan);
    return code;
}

static void a_plan_is_read_whole_or_not_at_all(void **state)
{
    struct clm_json *in =
        json_read("{'target':'k:a','deployer':'k','steps':[{'kind':'check','argv':['/a','b']},"
                  "{'kind':'reload','how':'unit','unit':'a.service'},"
                  "{'kind':'verify','endpoints':[{'addr':'::1','port':1}],'deadline_ms':1}]}");

    (void)state;
    assert_true(clm_torture(plan_body, in) > 4);
    clm_json_free(in);
}

static enum clm_code job_body(void *arg, struct clm_err *err)
{
    struct clm_job_envelope job = {0};
    struct clm_job_spec spec = {0};
    const char *text = arg;
    enum clm_code code = clm_job_envelope_parse(text, strlen(text), &job, err);

    if (code == CLM_OK) {
        code = clm_job_spec_parse(&job, &spec, err);
    }
    clm_job_spec_done(&spec);
    clm_job_envelope_done(&job);
    return code;
}

static void a_job_is_read_whole_or_not_at_all(void **state)
{
    char *text = json_quotes(
        "{'spec_version':1,'job_id':'job_01J9ZN2Q4W6E8R0T2Y4V6J8K0M','tenant':'acme',"
        "'agent_id':'agt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C','type':'order','target':'nginx:a',"
        "'target_seq':1,'issued_at':'2026-11-21T01:52:00Z','expires_at':'2026-11-28T01:52:00Z',"
        "'timeout_s':900,'spec':{'certificate_id':'crt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C',"
        "'subject':{'CN':'a.b'},'sans':{'dns':['a.b','c.d'],'ip':['::1']},"
        "'key':{'type':'ec-p256'},'deploy':{'verify':{'connect':'127.0.0.1:443'}}}}");

    (void)state;
    assert_true(clm_torture(job_body, text) > 4);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_inventory_is_read_whole_or_not_at_all),
        cmocka_unit_test(an_inventory_is_written_whole_or_not_at_all),
        cmocka_unit_test(a_plan_is_read_whole_or_not_at_all),
        cmocka_unit_test(a_job_is_read_whole_or_not_at_all),
    };

    return cmocka_run_group_tests_name("model_memory", tests, NULL, NULL);
}
