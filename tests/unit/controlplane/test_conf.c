/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "agent/base/fs.h"
#include "controlplane/conf.h"

static char path[64];

static enum clm_code load(const char *text, struct clm_cp_conf *conf, struct clm_err *err)
{
    assert_int_equal(clm_fs_replace(path, text, strlen(text), 0600, NULL), CLM_OK);
    assert_int_equal(clm_cp_conf_init(conf, NULL), CLM_OK);
    return clm_cp_conf_load(conf, path, err);
}

static int make_path(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof(path), "/tmp/clmbot-cp-conf.XXXXXX");
    int fd = mkstemp(path);

    return fd >= 0 && close(fd) == 0 ? 0 : -1;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

static void the_defaults_are_those_of_the_protocol(void **state)
{
    struct clm_cp_conf conf;

    (void)state;
    assert_int_equal(clm_cp_conf_init(&conf, NULL), CLM_OK);
    assert_int_equal(conf.wait_max_s, 50);
    assert_int_equal(conf.lease_ttl_s, 120);
    assert_int_equal(conf.agent_cert_s, 14 * 86400);
    assert_int_equal(conf.recovery_window_s, 180 * 86400);
    assert_int_equal(conf.agent_per_min, 60);
    assert_int_equal(conf.agent_burst, 120);
    const struct clm_cp_connector *builtin = clm_cp_conf_connector(&conf, "builtin");

    assert_non_null(builtin);
    assert_true(builtin->dcv);
    assert_int_equal(builtin->port, 80);
    assert_string_equal(conf.default_connector, "builtin");
    assert_null(clm_cp_conf_connector(&conf, "other"));
    clm_cp_conf_done(&conf);
}

static void a_file_replaces_the_connectors(void **state)
{
    struct clm_cp_conf conf;
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(
        load("{\"tenant\": \"acme\", \"wait_max_s\": 7, \"connectors\": ["
             "{\"name\": \"a\", \"type\": \"builtin\", \"dcv\": \"none\", \"days\": 3},"
             "{\"name\": \"b\", \"type\": \"acme\", \"directory\": \"https://x/dir\","
             " \"contact\": [\"mailto:x@example.com\"]}],"
             " \"default_connector\": \"b\"}",
             &conf, &err),
        CLM_OK);
    assert_string_equal(conf.tenant, "acme");
    assert_int_equal(conf.wait_max_s, 7);
    assert_int_equal(conf.n_connectors, 2);
    assert_false(clm_cp_conf_connector(&conf, "a")->dcv);
    assert_int_equal(clm_cp_conf_connector(&conf, "a")->days, 3);
    assert_int_equal(clm_cp_conf_connector(&conf, "b")->contact.n, 1);
    assert_null(clm_cp_conf_connector(&conf, "builtin"));
    assert_string_equal(conf.default_connector, "b");
    clm_cp_conf_done(&conf);
}

static void the_first_connector_is_the_default(void **state)
{
    struct clm_cp_conf conf;

    (void)state;
    assert_int_equal(
        load("{\"connectors\": [{\"name\": \"z\", \"type\": \"builtin\"}]}", &conf, NULL), CLM_OK);
    assert_string_equal(conf.default_connector, "z");
    clm_cp_conf_done(&conf);
}

static void bad_files_are_refused_with_the_place(void **state)
{
    static const char *const bad[][2] = {
        {"", "line 1"},
        {"[]", ""},
        {"{\"x\": 1}", "x"},
        {"{\"wait_max_s\": \"1\"}", "wait_max_s"},
        {"{\"wait_max_s\": 301}", "wait_max_s"},
        {"{\"lease_ttl_s\": 4}", "lease_ttl_s"},
        {"{\"tenant\": 1}", "tenant"},
        {"{\"connectors\": {}}", "connectors"},
        {"{\"connectors\": []}", "default_connector"},
        {"{\"connectors\": [{\"type\": \"builtin\"}]}", "name"},
        {"{\"connectors\": [{\"name\": \"a\"}]}", "type"},
        {"{\"connectors\": [{\"name\": \"\", \"type\": \"builtin\"}]}", "name"},
        {"{\"connectors\": [{\"name\": \"a\", \"type\": \"builtin\", \"dcv\": \"x\"}]}", "dcv"},
        {"{\"connectors\": [{\"name\": \"a\", \"type\": \"builtin\", \"http_port\": 0}]}",
         "http_port"},
        {"{\"connectors\": [{\"name\": \"a\", \"type\": \"builtin\", \"days\": 826}]}", "days"},
        {"{\"connectors\": [{\"name\": \"a\", \"type\": \"builtin\", \"url\": \"\"}]}", "url"},
        {"{\"connectors\": [{\"name\": \"a\", \"type\": \"acme\"}]}", "directory"},
        {"{\"connectors\": [{\"name\": \"a\", \"type\": \"acme\", \"directory\": \"https://x\","
         " \"contact\": [1]}]}",
         "contact"},
        {"{\"connectors\": [{\"name\": \"a\", \"type\": \"acme\", \"directory\": \"https://x\","
         " \"contact\": \"mailto:x@example.com\"}]}",
         "contact"},
        {"{\"connectors\": [{\"name\": \"a\", \"type\": \"acme\", \"directory\": \"https://x\","
         " \"ca_file\": 1}]}",
         "ca_file"},
        {"{\"connectors\": [{\"name\": \"a\", \"type\": \"acme\", \"directory\": \"https://x\","
         " \"ca_file\": \"/nonexistent\"}]}",
         "/nonexistent"},
        {"{\"connectors\": [{\"name\": \"a\", \"type\": \"acme\", \"directory\": \"http://x\"}]}",
         "https://"},
        {"{\"connectors\": [{\"name\": \"a\", \"type\": \"acme\", \"days\": 1}]}", "days"},
        {"{\"connectors\": [{\"name\": \"a\", \"type\": \"magic\"}]}", "'builtin' or 'acme'"},
        {"{\"connectors\": [{\"name\": \"a\", \"type\": \"builtin\", \"dcv\": 1}]}", "dcv"},
        {"{\"connectors\": [{\"name\": \"a\", \"type\": \"builtin\", \"resolve\": 1}]}", "resolve"},
        {"{\"connectors\": [{\"name\": \"a\", \"type\": \"builtin\"},"
         " {\"name\": \"a\", \"type\": \"builtin\"}]}",
         "once"},
        {"{\"default_connector\": \"none\"}", "none"},
        {"{\"default_connector\": 1}", "default_connector"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(bad); i++) {
        struct clm_cp_conf conf;
        struct clm_err err = {0};

        if (load(bad[i][0], &conf, &err) != CLM_E_CONFIG) {
            fail_msg("row %zu was accepted: %s", i, bad[i][0]);
        }
        if (strstr(err.msg, bad[i][1]) == NULL || strstr(err.msg, path) == NULL) {
            fail_msg("row %zu: '%s' is not in: %s", i, bad[i][1], err.msg);
        }
        clm_cp_conf_done(&conf);
    }
}

static void nobody_has_to_ask_why(void **state)
{
    struct clm_cp_conf conf;

    (void)state;
    assert_int_equal(load("{\"x\": 1}", &conf, NULL), CLM_E_CONFIG);
    clm_cp_conf_done(&conf);
}

int main(void)
{
#define FILE_TEST(f) cmocka_unit_test_setup_teardown(f, make_path, remove_path)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_those_of_the_protocol),
        FILE_TEST(a_file_replaces_the_connectors),
        FILE_TEST(the_first_connector_is_the_default),
        FILE_TEST(bad_files_are_refused_with_the_place),
        FILE_TEST(nobody_has_to_ask_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
