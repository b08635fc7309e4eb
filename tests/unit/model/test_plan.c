/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/model/names.h"
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

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
static const char more_sample[] =
    "{'target':'tomcat:www.example.com','deployer':'tomcat','steps':["
    "{'kind':'file.put','content':'key_fullchain','path':'/etc/tomcat/keystore',"
    "'may_create':false,'mode':416,'uid':0,'gid':0,'format':'jks','alias':'Tomcat #1',"
    "'store_password':'known:changeit','key_password':'file:/etc/clmbot/key.pw',"
    "'expect_sha256':'" SHA "'},"
    "{'kind':'file.put','content':'edit','path':'/etc/tomcat/server.xml','may_create':false,"
    "'mode':0,'uid':0,'gid':0,'expect_sha256':'" SHA "',"
    "'edits':[{'offset':10,'len':4,'text':'new'},{'offset':14,'len':0,'text':'\\n <x>'}]},"
    "{'kind':'file.put','content':'chain','path':'/etc/a.p7b','may_create':true,'mode':420,"
    "'uid':0,'gid':0,'format':'pkcs7'},"
    "{'kind':'file.put','content':'key','path':'/etc/a.der','may_create':true,'mode':384,"
    "'uid':0,'gid':0,'format':'der'},"
    "{'kind':'reload','how':'restart','unit':'tomcat9.service'},"
    "{'kind':'reload','how':'manager','url':'http://127.0.0.1:8080/manager/text/sslReload',"
    "'user':'deployer','password':'conf:users'},"
    "{'kind':'reload','how':'hook','argv':['/usr/local/sbin/x','--tls']},"
    "{'kind':'reload','how':'none'}]}";

static void keystores_edits_and_reloads_go_both_ways(void **state)
{
    static const char *const want[] = {
        ("put the private key and the full chain into entry 'Tomcat #1' of the JKS keystore "
         "'/etc/tomcat/keystore'"),
        "change 2 places in '/etc/tomcat/server.xml'",
        "create or write the intermediate certificates as PKCS#7 to '/etc/a.p7b'",
        "create or write the private key in DER to '/etc/a.der'",
        "restart 'tomcat9.service' through systemd, which ends its connections",
        ("ask the manager at 'http://127.0.0.1:8080/manager/text/sslReload' as 'deployer' to read "
         "its files again"),
        "run the hook '/usr/local/sbin/x --tls'",
        "restart nothing: the old certificate is served until somebody does",
    };
    struct clm_json *in = json_read(more_sample);
    struct clm_json *out = clm_json_new_object();
    struct clm_plan plan = {0};
    struct clm_err err = {0};
    char *expected = json_quotes(more_sample);
    char *text;
    char line[512];

    (void)state;
    if (clm_plan_from_json(in, &plan, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    clm_plan_to_json(&plan, out);
    text = json_print_take(out);
    assert_string_equal(text, expected);
    assert_int_equal(plan.n_steps, CLM_ARRAY_LEN(want));
    for (size_t i = 0; i < plan.n_steps; i++) {
        assert_int_equal(clm_step_describe(&plan.steps[i], line, sizeof(line), NULL), CLM_OK);
        assert_string_equal(line, want[i]);
    }
    assert_true(clm_plan_waits(&plan));
    plan.n_steps--;
    assert_false(clm_plan_waits(&plan));
    plan.n_steps++;
    free(text);
    free(expected);
    clm_plan_done(&plan);
    clm_json_free(in);
}

static void an_alias_that_is_no_utf8_is_refused_not_dropped(void **state)
{
    struct clm_plan plan = {.target = "file:x", .deployer = "files"};
    struct clm_step *step = clm_plan_add(&plan, CLM_STEP_FILE_PUT, NULL);
    struct clm_json *out = clm_json_new_object();
    struct clm_plan again = {0};
    struct clm_err err = {0};

    (void)state;
    assert_non_null(step);
    strcpy(step->path, "/etc/a.p12");
    step->format = CLM_FORMAT_PKCS12;
    strcpy(step->store_password, "known:x");
    strcpy(step->alias, "m\xfc");
    clm_plan_to_json(&plan, out);
    assert_int_equal(clm_plan_from_json(out, &again, &err), CLM_E_PARSE);
    assert_non_null(strstr(err.msg, "alias"));
    clm_json_free(out);
    clm_plan_done(&plan);
}

static void only_numbers_of_this_host_are_loopback(void **state)
{
    static const char *const good[] = {"http://127.0.0.1:8080/manager/text/sslReload",
                                       "https://127.1.2.3/x", "http://[::1]:8443/",
                                       "https://[::1]/"};
    static const char *const bad[] = {
        "http://localhost:8080/x",
        "http://127.0.0.1.example.com/x",
        "http://127.0.0.1",
        "ftp://127.0.0.1/x",
        "http://user@127.0.0.1/x",
        "http://127.0.0.1@evil/x",
        "http://10.0.0.1/x",
        "http://127.0.0.1:0/x",
        "http://127.0.0.1:70000/x",
        "http://127.0.0.1:80@evil/",
        "http://[::1].example.com/",
        "http://[::2]/",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/a@b",
        "http://127.1/x",
        "http://0x7f000001/x",
        "http://2130706433/x",
        "http://127.0.0.1\\x/",
        "http://127.0.0.1:80:80/",
        "",
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(good); i++) {
        if (clm_url_check_loopback(good[i], NULL) != CLM_OK) {
            fail_msg("refused: %s", good[i]);
        }
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(bad); i++) {
        if (clm_url_check_loopback(bad[i], NULL) != CLM_E_INVAL) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
}

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
    struct clm_step *step = clm_plan_add(&plan, CLM_STEP_FILE_PUT, NULL);
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
    struct clm_step *step = clm_plan_add(&plan, CLM_STEP_CHECK, NULL);
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

static const struct {
    const char *in;
    enum clm_code code;
    const char *why;
} bad_plans[] = {
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
    {STEP("{'kind':'file.put','content':'leaf','path':'/a','may_create':true,'mode':0,'uid':0,"
          "'gid':0,'format':'zip'}"),
     CLM_E_PARSE, "'format': unknown value 'zip'"},
    {STEP("{'kind':'file.put','content':'key','path':'/a','may_create':true,'mode':0,'uid':0,"
          "'gid':0,'format':'pkcs7'}"),
     CLM_E_PARSE, "'format': 'pkcs7' cannot hold content 'key'"},
    {STEP("{'kind':'file.put','content':'fullchain','path':'/a','may_create':true,'mode':0,"
          "'uid':0,'gid':0,'format':'der'}"),
     CLM_E_PARSE, "cannot hold content 'fullchain'"},
    {STEP("{" PUT ",'path':'/a','format':'jks'}"), CLM_E_PARSE,
     "'store_password': a keystore needs one"},
    {STEP("{" PUT ",'path':'/a','format':'jks','store_password':'secret'}"), CLM_E_PARSE,
     "'store_password': not a reference to a password"},
    {STEP("{" PUT ",'path':'/a','format':'jks','store_password':'file:pw'}"), CLM_E_PARSE,
     "'store_password': not a reference"},
    {STEP("{" PUT ",'path':'/a','alias':'x'}"), CLM_E_PARSE, "'alias': for keystores only"},
    {STEP("{" PUT ",'path':'/a','format':'der','key_password':'known:x'}"), CLM_E_PARSE,
     "'key_password': for keystores and private keys in PEM only"},
    {STEP("{" PUT ",'path':'/a','expect_sha256':'00'}"), CLM_E_PARSE, "expect_sha256"},
    {STEP("{" PUT ",'path':'/a','edits':[{'offset':0,'len':0,'text':''}]}"), CLM_E_PARSE,
     "'edits': for content 'edit' only"},
    {STEP("{'kind':'file.put','content':'edit','path':'/a','may_create':false,'mode':0,'uid':0,"
          "'gid':0,'expect_sha256':'" SHA "'}"),
     CLM_E_PARSE, "needs edits and 'expect_sha256'"},
    {STEP("{'kind':'file.put','content':'edit','path':'/a','may_create':false,'mode':0,'uid':0,"
          "'gid':0,'expect_sha256':'" SHA "','edits':[{'offset':3,'len':2,'text':'a'},"
          "{'offset':4,'len':0,'text':'b'}]}"),
     CLM_E_PARSE, "'edits': 1 overlaps the one before it"},
    {STEP("{'kind':'file.put','content':'edit','path':'/a','may_create':false,'mode':0,'uid':0,"
          "'gid':0,'expect_sha256':'" SHA "','edits':[{'offset':-3,'len':2,'text':'a'}]}"),
     CLM_E_LIMIT, "edits/0: "},
    {STEP("{'kind':'reload','how':'restart','unit':'/a'}"), CLM_E_PARSE,
     "'/a' is not the name of a unit"},
    {STEP("{'kind':'reload','how':'manager','url':'http://10.0.0.1/','user':'a','password':"
          "'known:a'}"),
     CLM_E_PARSE, "'url': not of the form"},
    {STEP("{'kind':'reload','how':'manager','url':'http://127.0.0.1/','user':'a:b','password':"
          "'known:a'}"),
     CLM_E_PARSE, "'user': empty, or holds a colon"},
    {STEP("{'kind':'reload','how':'manager','url':'http://127.0.0.1/','user':'a','password':"
          "'hunter2'}"),
     CLM_E_PARSE, "'password': not a reference to a password"},
    {STEP("{'kind':'reload','how':'hook','argv':['x']}"), CLM_E_PARSE, "absolute path"},
    {STEP("{'kind':'reload','how':'none','unit':'a.service'}"), CLM_E_PARSE, "unit"},
    {STEP("{'kind':'reload','how':'manager','url':'http://127.0.0.1/','user':'','password':"
          "'known:a'}"),
     CLM_E_PARSE, "'user': empty"},
    {STEP("{'kind':'reload','how':'manager','url':'http://127.0.0.1/','user':'a','password':''}"),
     CLM_E_PARSE, "'password': "},
    {STEP("{'kind':'reload','how':'hook','argv':[]}"), CLM_E_PARSE, "absolute path"},
    {STEP("{" PUT ",'path':'/'}"), CLM_E_PARSE, "'path': '/' is not an absolute path"},
    {STEP("{" PUT ",'path':'/a','store_password':'known:x'}"), CLM_E_PARSE,
     "'store_password': for keystores only"},
    {STEP("{'kind':'file.put','content':'leaf','path':'/a','may_create':true,'mode':0,'uid':0,"
          "'gid':0,'key_password':'known:x'}"),
     CLM_E_PARSE, "'key_password': for keystores and private keys"},
    {STEP("{" PUT ",'path':'/a','format':'jks','store_password':'file:/'}"), CLM_E_PARSE,
     "'store_password': not a reference"},
    {STEP("{" PUT ",'path':'/a','format':'jks','store_password':'conf:'}"), CLM_E_PARSE,
     "'store_password': not a reference"},
    {STEP("{'kind':'file.put','content':'edit','path':'/a','may_create':false,'mode':0,'uid':0,"
          "'gid':0,'edits':[{'offset':3,'len':2,'text':'a'}]}"),
     CLM_E_PARSE, "needs edits and 'expect_sha256'"},
    {STEP("{'kind':'file.put','content':'edit','path':'/a','may_create':true,'mode':0,'uid':0,"
          "'gid':0,'expect_sha256':'" SHA "','edits':[{'offset':3,'len':2,'text':'a'}]}"),
     CLM_E_PARSE, ""},
    {STEP("{'kind':'check','argv':[]}"), CLM_E_PARSE, "element 0 must be an absolute path"},
    {STEP("{'kind':'check','argv':['nginx']}"), CLM_E_PARSE, "element 0 must be an absolute path"},
    {STEP("{'kind':'check','argv':['/n',1]}"), CLM_E_PARSE, "'argv': element 1 is no string"},
    {STEP("{'kind':'check','argv':['/n'],'shell':true}"), CLM_E_PARSE, "shell"},
    {STEP("{" PUT "}"), CLM_E_PARSE, "path"},
    {STEP("{" PUT ",'path':'a'}"), CLM_E_PARSE, "'path': 'a' is not an absolute path"},
    {STEP("{" PUT ",'path':'/a','data':'x'}"), CLM_E_PARSE, "data"},
    {STEP("{'kind':'file.put','content':'root','path':'/a','may_create':true,'mode':0,'uid':0,"
          "'gid':0}"),
     CLM_E_PARSE, "'content': unknown value 'root'"},
    {STEP("{'kind':'file.put','content':'key','path':'/a','may_create':true,'mode':2048,'uid':0,"
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

static void bad_plans_are_refused_with_their_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(bad_plans); i++) {
        struct clm_json *in = json_read(bad_plans[i].in);
        struct clm_plan plan = {0};
        struct clm_err err = {0};

        if (clm_plan_from_json(in, &plan, &err) != bad_plans[i].code ||
            strstr(err.msg, bad_plans[i].why) == NULL) {
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
    struct clm_step *step = clm_plan_add(&plan, CLM_STEP_VERIFY, NULL);

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
        struct clm_step *step = clm_plan_add(&plan, CLM_STEP_FILE_PUT, NULL);

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
        cmocka_unit_test(keystores_edits_and_reloads_go_both_ways),
        cmocka_unit_test(an_alias_that_is_no_utf8_is_refused_not_dropped),
        cmocka_unit_test(only_numbers_of_this_host_are_loopback),
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
