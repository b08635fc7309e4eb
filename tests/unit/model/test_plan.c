/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/model/plan.h"
#include "tests/unit/model/json_text.h"

static const char sample[] =
    "{'target':'nginx:www.example.com','deployer':'nginx','steps':["
    "{'kind':'check','argv':['/usr/sbin/nginx','-t','-q']},"
    "{'kind':'file.put','content':'fullchain','path':'/etc/nginx/tls/www.pem',"
    "'may_create':false,'mode':420,'uid':0,'gid':0},"
    "{'kind':'file.put','content':'key','path':'/etc/nginx/tls/www.key',"
    "'may_create':true,'mode':384,'uid':0,'gid':117},"
    "{'kind':'post_check','argv':['/usr/sbin/nginx','-t']},"
    "{'kind':'reload','how':'unit','unit':'nginx@a\\\\x2d.service'},"
    "{'kind':'reload','how':'signal','pid':812,'start_ticks':12345,'signo':1},"
    "{'kind':'verify','endpoints':["
    "{'addr':'127.0.0.1','port':443,'sni':'www.example.com','timeout_ms':0,'key_kind':''},"
    "{'addr':'::1','port':8443,'sni':'','timeout_ms':0,'key_kind':''}],'deadline_ms':30000}]}";

static void json_goes_both_ways(void **state)
{
    struct clm_json *in = json_read(sample);
    struct clm_json *out = clm_json_new_object();
    struct clm_plan plan = {0};
    struct clm_err err = {0};
    char *want = json_quotes(sample);
    char *text;

    (void)state;
    if (clm_plan_from_json(in, &plan, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    clm_plan_to_json(&plan, out);
    text = json_print_take(out);
    assert_string_equal(text, want);
    free(text);
    free(want);
    clm_plan_done(&plan);
    clm_plan_done(&plan);
    clm_plan_done(NULL);
    clm_json_free(in);
}

static void steps_are_described_in_one_line(void **state)
{
    static const char *const want[] = {
        "test the configuration with '/usr/sbin/nginx -t -q'",
        "write the full chain to '/etc/nginx/tls/www.pem'",
        "create or write the private key to '/etc/nginx/tls/www.key'",
        "test the configuration with the new files with '/usr/sbin/nginx -t'",
        "reload 'nginx@a\\x2d.service' through systemd",
        "send SIGHUP to process 812",
        ("see the new certificate in handshakes with 127.0.0.1:443 as 'www.example.com', "
         "[::1]:8443 within 30 s"),
    };
    struct clm_json *in = json_read(sample);
    struct clm_plan plan = {0};
    char line[512];
    char small[20] = "x";
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_plan_from_json(in, &plan, NULL), CLM_OK);
    assert_int_equal(plan.n_steps, CLM_ARRAY_LEN(want));
    for (size_t i = 0; i < plan.n_steps; i++) {
        assert_int_equal(clm_step_describe(&plan.steps[i], line, sizeof(line), NULL), CLM_OK);
        assert_string_equal(line, want[i]);
    }
    assert_int_equal(clm_step_describe(&plan.steps[0], small, sizeof(small), &err), CLM_E_LIMIT);
    assert_string_equal(small, "");
    strcpy(plan.steps[1].path, "/a\nb\x7f");
    assert_int_equal(clm_step_describe(&plan.steps[1], line, sizeof(line), NULL), CLM_OK);
    assert_string_equal(line, "write the full chain to '/a?b?'");
    plan.steps[5].signo = 5;
    assert_int_equal(clm_step_describe(&plan.steps[5], line, sizeof(line), NULL), CLM_OK);
    assert_string_equal(line, "send signal 5 to process 812");
    clm_plan_done(&plan);
    clm_json_free(in);
}

static void a_path_that_is_no_utf8_is_refused_not_changed(void **state)
{
    struct clm_plan plan = {.target = "file:x", .deployer = "files"};
    struct clm_step *step = clm_plan_add(&plan, CLM_STEP_FILE_PUT);
    struct clm_json *out = clm_json_new_object();
    struct clm_plan again = {0};
    struct clm_err err = {0};

    (void)state;
    assert_non_null(step);
    strcpy(step->path, "/etc/m\xfc/a.pem");
    clm_plan_to_json(&plan, out);
    assert_int_equal(clm_plan_from_json(out, &again, &err), CLM_E_PARSE);
    assert_non_null(strstr(err.msg, "plan: steps/0: "));
    assert_non_null(strstr(err.msg, "path"));
    clm_json_free(out);
    clm_plan_done(&plan);
}

static void an_argument_that_is_no_utf8_is_refused_not_changed(void **state)
{
    struct clm_plan plan = {.target = "file:x", .deployer = "files"};
    struct clm_step *step = clm_plan_add(&plan, CLM_STEP_CHECK);
    struct clm_json *out = clm_json_new_object();
    struct clm_plan again = {0};
    struct clm_err err = {0};

    (void)state;
    assert_non_null(step);
    assert_int_equal(clm_strs_add(&step->argv, "/bin/true", NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&step->argv, "\xff", NULL), CLM_OK);
    clm_plan_to_json(&plan, out);
    assert_int_equal(clm_plan_from_json(out, &again, &err), CLM_E_PARSE);
    assert_string_equal(err.msg,
                        "plan: steps/0: 'argv': element 1 is no string of at most 4095 bytes");
    clm_json_free(out);
    clm_plan_done(&plan);
}

#define STEP(text) "{'target':'nginx:a','deployer':'nginx','steps':[" text "]}"
#define PUT        "'kind':'file.put','content':'key','may_create':true,'mode':384,'uid':0,'gid':0"

static void bad_plans_are_refused_with_their_place(void **state)
{
    static const struct {
        const char *in;
        enum clm_code code;
        const char *why;
    } rows[] = {
        {"{'deployer':'nginx','steps':[]}", CLM_E_PARSE, "target"},
        {"{'target':'Nginx:a','deployer':'nginx','steps':[]}", CLM_E_PARSE,
         "plan: 'target': 'Nginx:a' is not a target id"},
        {"{'target':'nginx:a','deployer':'','steps':[]}", CLM_E_PARSE, "'deployer': is empty"},
        {"{'target':'nginx:a','deployer':'nginx'}", CLM_E_PARSE, "steps"},
        {"{'target':'nginx:a','deployer':'nginx','steps':[],'more':1}", CLM_E_PARSE, "more"},
        {STEP("1"), CLM_E_PARSE, "plan: steps/0: not an object"},
        {STEP("{}"), CLM_E_PARSE, "kind"},
        {STEP("{'kind':'file.remove'}"), CLM_E_PARSE,
         "plan: steps/0: 'kind': unknown value 'file.remove'"},
        {STEP("{'kind':'check','argv':[]}"), CLM_E_PARSE, "element 0 must be an absolute path"},
        {STEP("{'kind':'check','argv':['nginx']}"), CLM_E_PARSE,
         "element 0 must be an absolute path"},
        {STEP("{'kind':'check','argv':['/n',1]}"), CLM_E_PARSE, "'argv': element 1 is no string"},
        {STEP("{'kind':'check','argv':['/n'],'shell':true}"), CLM_E_PARSE, "shell"},
        {STEP("{" PUT "}"), CLM_E_PARSE, "path"},
        {STEP("{" PUT ",'path':'a'}"), CLM_E_PARSE, "'path': 'a' is not an absolute path"},
        {STEP("{" PUT ",'path':'/a','data':'x'}"), CLM_E_PARSE, "data"},
        {STEP("{'kind':'file.put','content':'root','path':'/a','may_create':true,'mode':0,'uid':0,"
              "'gid':0}"),
         CLM_E_PARSE, "'content': unknown value 'root'"},
        {STEP(
             "{'kind':'file.put','content':'key','path':'/a','may_create':true,'mode':2048,'uid':0,"
             "'gid':0}"),
         CLM_E_LIMIT, "mode"},
        {STEP("{'kind':'file.put','content':'key','path':'/a','may_create':1,'mode':0,'uid':0,"
              "'gid':0}"),
         CLM_E_PARSE, "may_create"},
        {STEP("{'kind':'reload','how':'exec','argv':['/x']}"), CLM_E_PARSE,
         "'how': unknown value 'exec'"},
        {STEP("{'kind':'reload','how':'unit','unit':''}"), CLM_E_PARSE, "'unit': ''"},
        {STEP("{'kind':'reload','how':'unit','unit':'--now'}"), CLM_E_PARSE,
         "'unit': '--now' is not the name of a unit"},
        {STEP("{'kind':'reload','how':'unit','unit':'a/b'}"), CLM_E_PARSE, "is not the name"},
        {STEP("{'kind':'reload','how':'unit','unit':'a','pid':3}"), CLM_E_PARSE, "pid"},
        {STEP("{'kind':'reload','how':'signal','pid':1,'start_ticks':1,'signo':1}"), CLM_E_LIMIT,
         "pid"},
        {STEP("{'kind':'reload','how':'signal','pid':-1,'start_ticks':1,'signo':1}"), CLM_E_LIMIT,
         "pid"},
        {STEP("{'kind':'reload','how':'signal','pid':9,'start_ticks':1,'signo':64}"), CLM_E_LIMIT,
         "signo"},
        {STEP("{'kind':'reload','how':'signal','pid':9,'signo':1}"), CLM_E_PARSE, "start_ticks"},
        {STEP("{'kind':'verify','endpoints':[]}"), CLM_E_PARSE, "deadline_ms"},
        {STEP("{'kind':'verify','endpoints':[{'addr':'x','port':1}],'deadline_ms':1}"), CLM_E_PARSE,
         "plan: steps/0: endpoints/0: 'addr': 'x' is not a numeric address"},
        {STEP("{'kind':'verify','endpoints':[{'addr':'::1','port':1,'tls':1}],'deadline_ms':1}"),
         CLM_E_PARSE, "tls"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_json *in = json_read(rows[i].in);
        struct clm_plan plan = {0};
        struct clm_err err = {0};

        if (clm_plan_from_json(in, &plan, &err) != rows[i].code ||
            strstr(err.msg, rows[i].why) == NULL) {
            fail_msg("row %zu: %s: '%s'", i, clm_code_name(err.code), err.msg);
        }
        assert_null(plan.steps);
        clm_json_free(in);
    }
}

static void endpoints_are_copied_and_replaced(void **state)
{
    struct clm_endpoint endpoints[2] = {{.addr = "127.0.0.1", .port = 1},
                                        {.addr = "::1", .port = 2}};
    struct clm_plan plan = {0};
    struct clm_step *step = clm_plan_add(&plan, CLM_STEP_VERIFY);

    (void)state;
    assert_non_null(step);
    assert_int_equal(clm_step_set_endpoints(step, endpoints, 2, NULL), CLM_OK);
    endpoints[0].port = 9;
    assert_int_equal(step->endpoints[0].port, 1);
    assert_int_equal(clm_step_set_endpoints(step, endpoints, 1, NULL), CLM_OK);
    assert_int_equal(step->n_endpoints, 1);
    assert_int_equal(step->endpoints[0].port, 9);
    assert_int_equal(clm_step_set_endpoints(step, NULL, 0, NULL), CLM_OK);
    assert_null(step->endpoints);
    clm_plan_done(&plan);
}

static void many_steps_can_be_added(void **state)
{
    struct clm_plan plan = {0};

    (void)state;
    for (uint32_t i = 0; i < 100; i++) {
        struct clm_step *step = clm_plan_add(&plan, CLM_STEP_FILE_PUT);

        assert_non_null(step);
        assert_int_equal(step->mode, 0);
        assert_int_equal(step->argv.n, 0);
        step->mode = i;
    }
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(plan.steps[i].mode, i);
    }
    clm_plan_done(&plan);
}

static void unknown_values_have_a_name_as_well(void **state)
{
    (void)state;
    assert_string_equal(clm_content_name(CLM_CONTENT__COUNT), "unknown");
    assert_string_equal(clm_step_kind_name(CLM_STEP__COUNT), "unknown");
    assert_string_equal(clm_content_name(CLM_CONTENT_KEY_FULLCHAIN), "key_fullchain");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_goes_both_ways),
        cmocka_unit_test(steps_are_described_in_one_line),
        cmocka_unit_test(a_path_that_is_no_utf8_is_refused_not_changed),
        cmocka_unit_test(an_argument_that_is_no_utf8_is_refused_not_changed),
        cmocka_unit_test(bad_plans_are_refused_with_their_place),
        cmocka_unit_test(endpoints_are_copied_and_replaced),
        cmocka_unit_test(many_steps_can_be_added),
        cmocka_unit_test(unknown_values_have_a_name_as_well),
    };

    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
