/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/base/fs.h"
#include "agent/base/str.h"
#include "agent/model/job.h"
#include "config/config.h"
#include "config/options.h"

static const struct clm_opt *find(const char *key)
{
    for (const struct clm_opt *opt = clm_options(); opt->key != NULL; opt++) {
        if (strcmp(opt->key, key) == 0) {
            return opt;
        }
    }
    fail_msg("no option '%s'", key);
    return NULL;
}

static void every_row_keeps_the_contract(void **state)
{
    (void)state;
    for (const struct clm_opt *opt = clm_options(); opt->key != NULL; opt++) {
        assert_int_equal(strspn(opt->key, "abcdefghijklmnopqrstuvwxyz_."), strlen(opt->key));
        assert_true(opt->size > 0);
        assert_true(opt->offset + opt->size <= sizeof(struct clm_config));
        assert_true(strlen(opt->text) > 20);
        assert_true(clm_str_ends(opt->text, "."));
        assert_true(clm_str_is_printable(opt->text));
        assert_non_null(opt->since);
        assert_non_null(opt->fallback);
        assert_int_equal(opt->form == CLM_FORM_CHOICE, opt->choices != NULL);
        if (opt->type == CLM_OPT_INT) {
            assert_true(opt->min >= 0 && opt->min < opt->max);
            assert_true(opt->size == 4 || opt->size == 8);
            assert_true(opt->size == 8 || opt->max <= UINT32_MAX);
        }
        for (const struct clm_opt *other = clm_options(); other != opt; other++) {
            assert_string_not_equal(other->key, opt->key);
            assert_true(opt->offset >= other->offset + other->size ||
                        other->offset >= opt->offset + opt->size);
        }
    }
}

static void sections_stand_together(void **state)
{
    (void)state;
    for (const struct clm_opt *opt = clm_options(); opt->key != NULL; opt++) {
        for (const char *dot = strchr(opt->key, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
            size_t len = (size_t)(dot + 1 - opt->key);
            bool left = false;

            for (const struct clm_opt *next = opt; next->key != NULL; next++) {
                bool inside = strncmp(next->key, opt->key, len) == 0;

                assert_false(inside && left);
                left = left || !inside;
            }
        }
    }
}

static void choices_are_those_of_the_model(void **state)
{
    const struct clm_opt *types = find("policy.job_types");
    const struct clm_opt *keys = find("policy.key_types");
    size_t n = 0;

    (void)state;
    for (; types->choices[n] != NULL; n++) {
        enum clm_job_type type = CLM_JOB_TYPE__COUNT;

        assert_true(clm_job_type_from_name(types->choices[n], &type));
    }
    assert_int_equal(n, CLM_JOB_TYPE__COUNT);
    for (n = 0; keys->choices[n] != NULL; n++) {
        assert_string_equal(keys->choices[n], clm_key_type_names()[n]);
    }
    assert_null(clm_key_type_names()[n]);
}

static void assert_list(const struct clm_strs *list, const char *words)
{
    char all[512] = "";

    for (size_t i = 0; i < list->n; i++) {
        assert_true(strlen(all) + strlen(list->v[i]) + 2 < sizeof(all));
        (void)strcat(all, i == 0 ? "" : " ");
        (void)strcat(all, list->v[i]);
    }
    assert_string_equal(all, words);
}

static void defaults_are_those_of_the_headers(void **state)
{
    struct clm_config config = {0};
    struct clm_err err = {0};

    (void)state;
    if (clm_opt_defaults(clm_options(), &config, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    assert_string_equal(config.path, "");
    assert_string_equal(config.state_dir, "/var/lib/clmbot");
    assert_string_equal(config.run_dir, "/run/clmbot");
    assert_string_equal(config.user, "clmbot");
    assert_string_equal(config.group, "clmbot");
    assert_int_equal(config.control_plane.poll_wait_s, 50);
    assert_int_equal(config.control_plane.interval_max_s, 300);
    assert_string_equal(config.control_plane.proxy, "");
    assert_int_equal(config.scan.interval_s, 86400);
    assert_list(&config.scan.kinds, "nginx apache tomcat file");
    assert_true(config.scan.probe);
    assert_list(&config.policy.job_types,
                "scan order get_dcv dcv_cleanup deploy rollback recheck_pinning");
    assert_list(&config.policy.targets_allow, "nginx:* apache:* tomcat:* file:*");
    assert_list(&config.policy.targets_deny, "");
    assert_list(&config.policy.names_allow, "");
    assert_list(&config.policy.names_deny, "");
    assert_false(config.policy.wildcard_certs);
    assert_list(&config.policy.key_types, "ec-p256 ec-p384 rsa-2048 rsa-3072 rsa-4096");
    assert_list(&config.policy.write_roots, "/etc");
    assert_int_equal(config.policy.n_webroots, 0);
    assert_true(config.policy.webroot_from_scan);
    assert_false(config.policy.probe_remote);
    assert_int_equal(config.policy.deploys_per_target_per_day, 24);
    assert_int_equal(config.policy.orders_per_day, 50);
    assert_int_equal(config.policy.retain_max, 20);
    assert_int_equal(config.deploy.deadline_s, 30);
    assert_int_equal(config.deploy.retain, 3);
    assert_int_equal(config.deploy.expiring_days, 21);
    assert_string_equal(config.log.level, "info");
    clm_config_done(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_keeps_the_contract),
        cmocka_unit_test(sections_stand_together),
        cmocka_unit_test(choices_are_those_of_the_model),
        cmocka_unit_test(defaults_are_those_of_the_headers),
    };

    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
