/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/options.h"

/* Applies a text as a file of its own, on top of what is in config. */
static enum clm_code apply(const char *file, const char *text, struct clm_opt_seen *seen,
                           struct clm_config *config, struct clm_err *err)
{
    struct clm_yaml *root = NULL;
    enum clm_code code;

    if (clm_yaml_parse(file, text, strlen(text), &root, err) != CLM_OK) {
        fail_msg("the test's own YAML: %s", err->msg);
    }
    code = clm_opt_apply(clm_options(), root, file, seen, config, err);
    clm_yaml_free(root);
    return code;
}

static enum clm_code load_text(const char *text, struct clm_config *config, struct clm_err *err)
{
    struct clm_opt_seen seen = {0};

    memset(config, 0, sizeof(*config));
    assert_int_equal(clm_opt_defaults(clm_options(), config, NULL), CLM_OK);
    return apply("f", text, &seen, config, err);
}

static void must_load(const char *text, struct clm_config *config)
{
    struct clm_err err = {0};

    if (load_text(text, config, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
}

static void every_type_is_read(void **state)
{
    struct clm_config config;

    (void)state;
    must_load("state_dir: /srv/state//\n"
              "user: \"bot_1\"\n"
              "control_plane: {poll_wait: 0, proxy: 'http://proxy.example.com:3128'}\n"
              "scan:\n"
              "policy:\n"
              "  job_types: [scan, scan, delete]\n"
              "  targets: {allow: [host, 'nginx:*.example.com'], deny: ['*']}\n"
              "  names:\n"
              "    allow: ['*.Example.COM.', 192.0.2.1, '2001:DB8::1', xn--bcher-kva.example]\n"
              "    wildcard_certs: true\n"
              "  write_roots: [/, /srv/tls/]\n"
              "  webroots: {www-root: /var/www/html/, b: /srv/b}\n"
              "  limits: {orders_per_day: 10000}\n"
              "  retain_max: 7\n"
              "deploy: {deadline: 600, retain: 1}\n"
              "log: {level: debug}\n",
              &config);
    /* Two slashes in a row are refused elsewhere; at the end they are only cut off. */
    assert_string_equal(config.state_dir, "/srv/state");
    assert_string_equal(config.user, "bot_1");
    assert_int_equal(config.control_plane.poll_wait_s, 0);
    assert_string_equal(config.control_plane.proxy, "http://proxy.example.com:3128");
    assert_int_equal(config.control_plane.interval_max_s, 300);
    assert_int_equal(config.policy.job_types.n, 2);
    assert_string_equal(config.policy.targets_allow.v[1], "nginx:*.example.com");
    assert_string_equal(config.policy.names_allow.v[0], "*.example.com");
    assert_string_equal(config.policy.names_allow.v[2], "2001:db8::1");
    assert_true(config.policy.wildcard_certs);
    assert_string_equal(config.policy.write_roots.v[0], "/");
    assert_string_equal(config.policy.write_roots.v[1], "/srv/tls");
    assert_int_equal(config.policy.n_webroots, 2);
    assert_string_equal(clm_policy_find_webroot(&config.policy, "www-root")->path, "/var/www/html");
    assert_int_equal(config.policy.orders_per_day, 10000);
    assert_int_equal(config.policy.retain_max, 7);
    assert_int_equal(config.deploy.deadline_s, 600);
    assert_string_equal(config.log.level, "debug");
    clm_config_done(&config);
}

static void an_empty_list_is_empty_and_not_the_default(void **state)
{
    struct clm_config config;

    (void)state;
    must_load("policy: {job_types: [], targets: {allow: []}, write_roots: []}\n", &config);
    assert_int_equal(config.policy.job_types.n, 0);
    assert_int_equal(config.policy.targets_allow.n, 0);
    assert_int_equal(config.policy.write_roots.n, 0);
    clm_config_done(&config);
}

static const struct {
    const char *text;
    const char *message;
} bad_texts[] = {
    {"polcy: {}\n", "f:1:1: unknown key 'polcy'; did you mean 'policy'?"},
    {"log:\n  levl: info\n", "f:2:3: unknown key 'levl' in 'log'; did you mean 'level'?"},
    {"policy: {names: {alow: []}}\n",
     "f:1:18: unknown key 'alow' in 'policy.names'; did you mean 'allow'?"},
    {"xyzzy: 1\n", "f:1:1: unknown key 'xyzzy'; known are state_dir, run_dir, user, group, "
                   "control_plane, scan, policy, files, deploy, log"},
    {"levellevellevellevellevellevellevellevellevellevellevellevellevellevel: 1\n",
     "unknown key 'levellevellevellevellevel"},
    {"log: {colour: red}\n", "f:1:7: unknown key 'colour' in 'log'; known are level"},
    {"log.level: info\n", "f:1:1: unknown key 'log.level'"},
    {"'': 1\n", "f:1:1: unknown key ''"},
    {"deploy: {deadlines: 3}\n", "unknown key 'deadlines' in 'deploy'; did you mean 'deadline'?"},
    {"hooks: {}\n", "f:1:1: unknown key 'hooks'"},
    {"[a]\n", "f:1:1: must be a map of options"},
    {"text\n", "f:1:1: must be a map of options"},
    {"policy: [a]\n", "f:1:9: 'policy': must be a map of options"},
    {"policy: yes\n", "f:1:9: 'policy': must be a map of options"},
    {"state_dir:\n", "'state_dir': must be an absolute path, not nothing"},
    {"state_dir: var\n", "f:1:12: 'state_dir': 'var' is not an absolute path"},
    {"state_dir: /a/../b\n", "'/a/../b' has an empty, '.' or '..' component"},
    {"state_dir: /a//b\n", "has an empty, '.' or '..' component"},
    {"state_dir: /a/./b\n", "has an empty, '.' or '..' component"},
    {"state_dir: /.\n", "has an empty, '.' or '..' component"},
    {"state_dir: /\n", "f:1:12: 'state_dir': the root directory is not possible here"},
    {"state_dir: \"/a\\nb\"\n", "'state_dir': must be printable ASCII"},
    {"state_dir: /\xc3\xbc\n", "'state_dir': must be printable ASCII"},
    {"state_dir: ''\n", "f:1:12: 'state_dir': is empty"},
    {"state_dir: [/a]\n", "f:1:12: 'state_dir': must be an absolute path, not a list"},
    {"run_dir: "
     "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaa\n",
     "f:1:10: 'run_dir': longer than 90 bytes"},
    {"user: Root\n", "f:1:7: 'user': 'Root' is not the name of a user or group"},
    {"user: aaaaaaaaaabbbbbbbbbbccccccccccddd\n", "is not the name of a user or group"},
    {"user: ''\n", "f:1:7: 'user': is empty"},
    {"user: -x\n", "is not the name of a user or group"},
    {"user: {a: b}\n", "f:1:7: 'user': must be a text, not a map"},
    {"control_plane: {proxy: 'socks://a'}\n",
     "f:1:24: 'control_plane.proxy': 'socks://a' is not of the form http://host:port"},
    {"control_plane: {proxy: 'http://u:p@a'}\n", "holds a user name or password"},
    {"control_plane: {proxy: 'http://a b'}\n", "'http://a b' holds a space"},
    {"control_plane: {proxy: 'https://u@a'}\n", "holds a user name or password"},
    {"control_plane: {poll_wait: 301}\n",
     "f:1:28: 'control_plane.poll_wait': 301 is out of range 0..300 s"},
    {"control_plane: {poll_wait: -1}\n", "must be a whole number of s without quotes, not '-1'"},
    {"control_plane: {poll_wait: '50'}\n", "must be a whole number of s without quotes"},
    {"control_plane: {poll_wait: 50s}\n", "must be a whole number of s without quotes, not '50s'"},
    {"control_plane: {poll_wait: 1e2}\n", "must be a whole number"},
    {"control_plane: {poll_wait: 99999999999999999999}\n", "must be a whole number"},
    {"control_plane: {poll_wait: [1]}\n", "must be a whole number, not a list"},
    {"deploy: {retain: 0}\n", "f:1:18: 'deploy.retain': 0 is out of range 1..20 versions"},
    {"deploy: {retain: }\n", "'deploy.retain': must be a whole number, not nothing"},
    {"policy: {retain_max: 21}\n", "21 is out of range 1..20 versions"},
    {"policy: {limits: {orders_per_day: 10001}}\n", "10001 is out of range 0..10000"},
    {"scan: {probe: yes}\n",
     "f:1:15: 'scan.probe': must be true or false without quotes, not 'yes'"},
    {"scan: {probe: 'true'}\n", "must be true or false without quotes"},
    {"scan: {probe: True}\n", "must be true or false"},
    {"scan: {kinds: nginx}\n", "f:1:15: 'scan.kinds': must be a list of texts, not a text"},
    {"scan: {kinds: [Nginx]}\n", "f:1:16: 'scan.kinds': 'Nginx' is not the name of a kind"},
    {"scan: {kinds: [[a]]}\n", "f:1:16: 'scan.kinds': an element must be a text"},
    {"scan: {kinds: [~]}\n", "f:1:16: 'scan.kinds': an element must be a text"},
    {"policy: {job_types: [run]}\n",
     "f:1:22: 'policy.job_types': 'run' is not one of configure, order, get_dcv"},
    {"policy: {key_types: [rsa-1024]}\n",
     "'rsa-1024' is not one of ec-p256, ec-p384, rsa-2048, rsa-3072, rsa-4096"},
    {"policy: {names: {allow: ['*']}}\n",
     "f:1:26: 'policy.names.allow': '*' is neither a DNS name, nor a wildcard such as "
     "'*.example.com', nor an IP address"},
    {"policy: {names: {allow: ['a b']}}\n", "'a b' is neither a DNS name"},
    {"policy: {names: {deny: ['www.*.com']}}\n", "'www.*.com' is neither a DNS name"},
    {"policy: {targets: {allow: [nginx]}}\n",
     "f:1:28: 'policy.targets.allow': 'nginx' is not a target such as 'nginx:www.example.com' "
     "or 'nginx:*'"},
    {"policy: {targets: {allow: ['nginx:']}}\n", "'nginx:' is not a target"},
    {"policy: {targets: {allow: [':a']}}\n", "':a' is not a target"},
    {"policy: {targets: {allow: ['']}}\n", "'policy.targets.allow': is empty"},
    {"policy: {limits: {orders_per_day: x}}\n", "must be a whole number without quotes, not 'x'"},
    {"policy: {write_roots: [etc]}\n", "'policy.write_roots': 'etc' is not an absolute path"},
    {"policy: {webroots: [a]}\n",
     "f:1:20: 'policy.webroots': must be a map of names to absolute paths, not a list"},
    {"policy: {webroots: {A: /a}}\n", "f:1:24: 'policy.webroots': 'A' is not a name"},
    {"policy: {webroots: {.a: /a}}\n", "'.a' is not a name"},
    {"policy: {webroots: {'': /a}}\n", "'' is not a name"},
    {"policy: {webroots: {a: b}}\n", "f:1:24: 'policy.webroots': 'b' is not an absolute path"},
    {"policy: {webroots: {a: [b]}}\n", "f:1:24: 'policy.webroots': 'a' must be a text"},
    {"policy: {webroots: {a: }}\n", "'policy.webroots': 'a' must be a text"},
    {"policy: {hooks: {a: {b: c}}}\n", "'policy.hooks': 'a': must be a list"},
    {"policy: {hooks: {a: [b]}}\n", "is not the absolute path of a program"},
    {"policy: {hooks: {a: [~]}}\n", "an element of a list must be a text or a map"},
    {"policy: {hooks: {a: [{b: ~}]}}\n", "a member has no value"},
    {"policy: {hooks: [a]}\n", "'policy.hooks': must be a map of names to maps, not a list"},
    {"files: {a: [b]}\n", "'files': 'a': must be a map"},
    {"files: {a: {outputs: [{b: c}]}}\n", "'files': 'a': "},
    {"files: {'': {}}\n", "is not a name of a-z, 0-9 and ._-"},
    {"log: {level: verbose}\n", "f:1:14: 'log.level': 'verbose' is not one of error, warning, "
                                "notice, info, debug"},
};

static void bad_texts_are_refused_with_place_and_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(bad_texts); i++) {
        struct clm_config config;
        struct clm_err err = {0};

        if (load_text(bad_texts[i].text, &config, &err) != CLM_E_CONFIG ||
            strstr(err.msg, bad_texts[i].message) == NULL) {
            fail_msg("row %zu: %s: '%s'", i, clm_code_name(err.code), err.msg);
        }
        clm_config_done(&config);
    }
}

static void a_text_has_a_limit_in_bytes_and_a_target_too(void **state)
{
    static const struct {
        const char *before;
        size_t n;
        const char *message;
    } rows[] = {
        {"state_dir: /", 4095, "must be printable ASCII of less than 4096 bytes"},
        {"policy: {targets: {allow: ['nginx:", 1000, "is not a target"},
        {"policy: {webroots: {'", 65, "is not a name"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        char text[5000];
        struct clm_config config;
        struct clm_err err = {0};
        size_t len = strlen(rows[i].before);

        memcpy(text, rows[i].before, len);
        memset(text + len, 'a', rows[i].n);
        strcpy(text + len + rows[i].n, i == 0 ? "\n" : i == 1 ? "']}}\n" : "': /a}}\n");
        assert_int_equal(load_text(text, &config, &err), CLM_E_CONFIG);
        assert_non_null(strstr(err.msg, rows[i].message));
        clm_config_done(&config);
    }
}

static void dots_that_lead_nowhere_else_are_names(void **state)
{
    struct clm_config config;

    (void)state;
    must_load("~\n", &config); /* nothing is set */
    clm_config_done(&config);
    must_load("state_dir: /.a/..b/...\nrun_dir: /a/b.\n"
              "control_plane: {proxy: 'https://proxy.example.com'}\n"
              "policy: {ca_bundle: '', hooks: {a.b-c: [/bin/true, x]}}\n",
              &config);
    assert_string_equal(config.state_dir, "/.a/..b/...");
    assert_string_equal(config.control_plane.proxy, "https://proxy.example.com");
    clm_config_done(&config);
}

static void later_files_add_to_lists_and_maps(void **state)
{
    struct clm_opt_seen seen = {0};
    struct clm_config config = {0};
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_opt_defaults(clm_options(), &config, NULL), CLM_OK);
    assert_int_equal(apply("a", "policy: {targets: {allow: ['nginx:a']}, webroots: {a: /a}}", &seen,
                           &config, &err),
                     CLM_OK);
    assert_int_equal(apply("b",
                           "policy: {targets: {allow: ['nginx:b', 'nginx:a']}, webroots: {b: /b}}",
                           &seen, &config, &err),
                     CLM_OK);
    assert_int_equal(config.policy.targets_allow.n, 2);
    assert_string_equal(config.policy.targets_allow.v[0], "nginx:a");
    assert_string_equal(config.policy.targets_allow.v[1], "nginx:b");
    assert_int_equal(config.policy.n_webroots, 2);
    assert_int_equal(config.policy.write_roots.n, 1);
    assert_int_equal(apply("c", "policy: {webroots: {a: /c}}", &seen, &config, &err), CLM_E_CONFIG);
    assert_string_equal(err.msg, "c:1:24: 'policy.webroots': 'a' is already set to '/a'");
    clm_config_done(&config);
}

static void a_scalar_is_set_in_one_file_only(void **state)
{
    struct clm_opt_seen seen = {0};
    struct clm_config config = {0};
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_opt_defaults(clm_options(), &config, NULL), CLM_OK);
    assert_int_equal(apply("a", "\ndeploy: {retain: 4}", &seen, &config, &err), CLM_OK);
    assert_int_equal(apply("b", "deploy: {deadline: 40}", &seen, &config, &err), CLM_OK);
    assert_int_equal(apply("c", "deploy: {retain: 4}", &seen, &config, &err), CLM_E_CONFIG);
    assert_string_equal(err.msg,
                        "c:1:18: 'deploy.retain': already set in a, line 2; remove one of the two");
    clm_config_done(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_read),
        cmocka_unit_test(an_empty_list_is_empty_and_not_the_default),
        cmocka_unit_test(bad_texts_are_refused_with_place_and_reason),
        cmocka_unit_test(a_text_has_a_limit_in_bytes_and_a_target_too),
        cmocka_unit_test(dots_that_lead_nowhere_else_are_names),
        cmocka_unit_test(later_files_add_to_lists_and_maps),
        cmocka_unit_test(a_scalar_is_set_in_one_file_only),
    };

    return cmocka_run_group_tests_name("opt", tests, NULL, NULL);
}
