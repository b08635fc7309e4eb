/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/model/io.h"
#include "agent/model/policy.h"
#include "tests/unit/model/json_text.h"

#define TOP(outputs, rest) "{'outputs':[" outputs "]," rest "}"
#define CERT               "{'path':'/etc/a.crt','content':'fullchain'}"
#define NONE               "'reload':'none'"

static void a_target_is_read_whole(void **state)
{
    struct clm_json *in = json_read(
        "{'outputs':[{'path':'/etc/s/a.p12','format':'pkcs12','alias':'shop','password_file':"
        "'/etc/clmbot/p','key_password_file':'/etc/clmbot/k'},"
        "{'path':'/etc/s/a.key','content':'key','owner':'root','group':'17','mode':'0640',"
        "'password_file':'/etc/clmbot/p'}],"
        "'check':'test','reload':'hook','hook':'again',"
        "'verify':{'address':'0:0::1','port':'8443','sni':'SHOP.example.com','deadline':'90'}}");
    struct clm_declared got = {.outputs = NULL};
    struct clm_step step = {.kind = CLM_STEP_FILE_PUT};
    struct clm_err err = {0};

    (void)state;
    if (clm_declared_read(in, &got, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(got.n_outputs, 2);
    assert_string_equal(got.check, "test");
    assert_string_equal(got.hook, "again");
    assert_string_equal(got.verify.address, "::1");
    assert_string_equal(got.verify.sni, "shop.example.com");
    assert_int_equal(got.verify.port, 8443);
    assert_int_equal(got.verify.deadline_s, 90);
    assert_int_equal(clm_declared_step(&got.outputs[0], &step, NULL), CLM_OK);
    assert_int_equal(step.format, CLM_FORMAT_PKCS12);
    assert_int_equal(step.content, CLM_CONTENT_KEY_FULLCHAIN);
    assert_string_equal(step.alias, "shop");
    assert_string_equal(step.store_password, "file:/etc/clmbot/p");
    assert_string_equal(step.key_password, "file:/etc/clmbot/k");
    assert_int_equal(step.mode, 0600);
    assert_true(step.may_create);
    step = (struct clm_step){.kind = CLM_STEP_FILE_PUT};
    assert_int_equal(clm_declared_step(&got.outputs[1], &step, NULL), CLM_OK);
    assert_string_equal(step.key_password, "file:/etc/clmbot/p");
    assert_string_equal(step.store_password, "");
    assert_int_equal(step.mode, 0640);
    clm_declared_done(&got);
    clm_json_free(in);
}

static void what_does_not_go_together_is_refused(void **state)
{
    static const struct {
        const char *in;
        const char *why;
    } rows[] = {
        {"{" NONE "}", "outputs"},
        {TOP("", NONE), "'outputs': must name a file"},
        {TOP("'/etc/a.crt'", NONE), "output 1: must be a map"},
        {TOP(CERT, "'reload':'later'"), "'reload': must be one of"},
        {TOP(CERT, "'reload':'unit'"), "'reload': unit needs 'unit' and no 'hook'"},
        {TOP(CERT, "'reload':'unit','unit':'shop'"), "'unit': write it in full"},
        {TOP(CERT, "'reload':'hook','unit':'a.service'"), "hook needs 'hook' and no 'unit'"},
        {TOP(CERT, "'reload':'none','hook':'x'"), "none needs neither"},
        {TOP(CERT, NONE ",'colour':'red'"), "colour"},
        {TOP(CERT "," CERT, NONE), "'/etc/a.crt' stands there twice"},
        {TOP("{'path':'/etc/a.key','content':'key'}", NONE), "no file holds the certificate"},
        {TOP("{'path':'a.crt','content':'leaf'}", NONE), "'a.crt' is not an absolute path"},
        {TOP("{'path':'/etc/../a','content':'leaf'}", NONE), "is not an absolute path"},
        {TOP("{'path':'/etc/','content':'leaf'}", NONE), "is not an absolute path"},
        {TOP("{'path':'/','content':'leaf'}", NONE), "is not an absolute path"},
        {TOP("{'path':'/etc//a','content':'leaf'}", NONE), "is not an absolute path"},
        {TOP("{'path':'/etc/./a','content':'leaf'}", NONE), "is not an absolute path"},
        {TOP("{'path':'/etc/.','content':'leaf'}", NONE), "is not an absolute path"},
        {TOP("{'path':'/etc/..','content':'leaf'}", NONE), "is not an absolute path"},
        {TOP("{'path':'/etc/a\\u0001','content':'leaf'}", NONE), "is not an absolute path"},
        {TOP("{'path':'/a','content':'leaf','mode':'01644'}", NONE), "is not octal"},
        {TOP("{'path':'/a','content':'leaf','mode':'4755'}", NONE), "is not octal"},
        {TOP("{'path':'/a','content':'leaf','password_file':'p'}", NONE), "'p' is not an absolute"},
        {TOP("{'path':'/a'}", NONE), "'content' must say what goes in"},
        {TOP("{'path':'/a','content':'edit'}", NONE), "'content' must say"},
        {TOP("{'path':'/a','content':'leaf','format':'tar'}", NONE), "unknown format 'tar'"},
        {TOP("{'path':'/a','content':'fullchain','format':'der'}", NONE), "cannot hold"},
        {TOP("{'path':'/a','format':'jks'}", NONE), "a keystore needs one"},
        {TOP("{'path':'/a','format':'jks','content':'leaf','password_file':'/p'}", NONE),
         "remove 'content'"},
        {TOP("{'path':'/a','content':'leaf','alias':'x'}", NONE), "'alias': for keystores only"},
        {TOP("{'path':'/a','content':'leaf','mode':'0888'}", NONE), "is not octal"},
        {TOP("{'path':'/a','content':'key_fullchain','mode':'0644'}", NONE),
         "would let everybody use the private key"},
        {TOP(CERT, NONE ",'verify':'127.0.0.1'"), "'verify': must be a map"},
        {TOP(CERT, NONE ",'verify':{'address':'localhost','port':'1'}"), "'verify': "},
        {TOP(CERT, NONE ",'verify':{'address':'::1','port':'0'}"), "'port': must be a number"},
        {TOP(CERT, NONE ",'verify':{'address':'::1'}"), "'port'"},
        {TOP(CERT, NONE ",'verify':{'address':'::1','port':'1','sni':'a b'}"), "'verify': "},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_json *in = json_read(rows[i].in);
        struct clm_declared got = {.outputs = NULL};
        struct clm_err err = {0};

        if (clm_declared_read(in, &got, &err) == CLM_OK || strstr(err.msg, rows[i].why) == NULL) {
            fail_msg("row %zu: %s", i, err.msg);
        }
        clm_declared_done(&got);
        clm_json_free(in);
    }
}

static enum clm_code read_accounts(void *ctx, const char *path, size_t max, struct clm_buf *out,
                                   struct clm_err *err)
{
    (void)ctx;
    (void)max;
    return clm_buf_add_str(out,
                           strcmp(path, "/etc/passwd") == 0
                               ? "root:x:0:0::/:/bin/sh\nshopper:x:77:78::/:\nshop:x:12:13::/:\n"
                               : "root:x:0:\nbad:x\nshop:x:99:root",
                           err);
}

static void owners_are_looked_up(void **state)
{
    static const struct {
        const char *owner;
        const char *group;
        int64_t uid; /* -1: refused */
        int64_t gid;
    } rows[] = {
        {"", "", 0, 0},        {"shop", "shop", 12, 99}, {"4711", "0", 4711, 0},
        {"shopp", "", -1, 0},  {"shop", "bad", -1, 0},   {"sho", "", -1, 0},
        {"shop:x", "", -1, 0},
    };
    const struct clm_io io = {.read_file = read_accounts};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_declared_output output = {.path = "/etc/a"};
        struct clm_step step = {.kind = CLM_STEP_FILE_PUT};
        struct clm_err err = {0};
        enum clm_code code;

        strcpy(output.owner, rows[i].owner);
        strcpy(output.group, rows[i].group);
        code = clm_declared_owner(&io, &output, &step, &err);
        if (rows[i].uid < 0) {
            assert_int_equal(code, CLM_E_CONFIG);
            assert_non_null(strstr(err.msg, "owner of '/etc/a': there is no '"));
        } else {
            assert_int_equal(code, CLM_OK);
            assert_int_equal(step.uid, rows[i].uid);
            assert_int_equal(step.gid, rows[i].gid);
        }
    }
}

static enum clm_code declare(const char *hooks, const char *files, struct clm_policy *policy,
                             struct clm_err *err)
{
    memset(policy, 0, sizeof(*policy));
    policy->hooks_tree = json_read(hooks);
    policy->files_tree = json_read(files);
    return clm_policy_declare(policy, err);
}

static void hooks_and_files_must_fit_each_other(void **state)
{
    static const struct {
        const char *hooks;
        const char *files;
        const char *why;
    } rows[] = {
        {"{'a':[]}", "{}", "policy.hooks.a: must be a program"},
        {"{'a':['/bin/sh',7]}", "{}", "policy.hooks.a: "},
        {"{'a':'/bin/sh'}", "{}", "policy.hooks.a: "},
        {"{'a':['sh','-c']}", "{}", "'sh' is not the absolute path of a program"},
        {"{}", "{'x':" TOP(CERT, "'reload':'hook','hook':'a'") "}",
         "files.x: there is no hook 'a'"},
        {"{}", "{'x':" TOP(CERT, NONE ",'check':'c'") "}", "files.x: there is no hook 'c'"},
        {"{}", "{'x':" TOP(CERT, "'reload':'restart','unit':'a.service'") "}",
         "files.x: policy.restart: 'a.service' may not be restarted"},
        {"{}", "{'x':" TOP(CERT, NONE) ",'y':" TOP(CERT, NONE) "}",
         "files.y: '/etc/a.crt' belongs to files.x already"},
    };
    struct clm_policy policy;
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(declare("{'a':['/bin/a','b c']}",
                             "{'x':" TOP(CERT, "'reload':'hook','hook':'a'") "}", &policy, &err),
                     CLM_OK);
    assert_string_equal(clm_policy_find_hook(&policy, "a")->argv.v[1], "b c");
    assert_null(clm_policy_find_hook(&policy, "b"));
    assert_string_equal(clm_policy_find_file(&policy, "x")->hook, "a");
    assert_null(clm_policy_find_file(&policy, "y"));
    assert_null(clm_policy_find_file(NULL, "x"));
    clm_policy_done(&policy);
    assert_int_equal(declare("{}",
                             "{'x':" TOP(CERT, NONE) ",'y':{'outputs':[{'path':'/etc/b.crt',"
                                                     "'content':'leaf'}]," NONE "}}",
                             &policy, &err),
                     CLM_OK); /* two targets with files of their own */
    clm_policy_done(&policy);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        if (declare(rows[i].hooks, rows[i].files, &policy, &err) != CLM_E_CONFIG &&
            err.code != CLM_E_PARSE) {
            fail_msg("row %zu: %s", i, err.msg);
        }
        if (strstr(err.msg, rows[i].why) == NULL) {
            fail_msg("row %zu: %s", i, err.msg);
        }
        clm_policy_done(&policy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_is_read_whole),
        cmocka_unit_test(what_does_not_go_together_is_refused),
        cmocka_unit_test(owners_are_looked_up),
        cmocka_unit_test(hooks_and_files_must_fit_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
