/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/model/policy.h"

static void fill(struct clm_strs *list, const char *words)
{
    for (const char *p = words; *p != '\0';) {
        size_t len = strcspn(p, " ");
        char word[128];

        assert_int_equal(clm_str_fmt(word, sizeof(word), NULL, "%.*s", (int)len, p), CLM_OK);
        assert_int_equal(clm_strs_add(list, word, NULL), CLM_OK);
        p += len + strspn(p + len, " ");
    }
}

static void names_are_allowed_by_label(void **state)
{
    static const struct {
        const char *allow;
        const char *deny;
        bool wildcard_certs;
        const char *name;
        const char *refusal; /* NULL: allowed */
    } rows[] = {
        {"example.com", "", false, "example.com", NULL},
        {"EXAMPLE.com", "", false, "example.com", NULL},
        {"example.com", "", false, "www.example.com",
         "policy.names: 'www.example.com' is not allowed; add it to policy.names.allow"},
        {"*.example.com", "", false, "www.example.com", NULL},
        {"*.example.com", "", false, "a.b.c.example.com", NULL},
        {"*.example.com", "", false, "example.com", "'example.com' is not allowed"},
        {"*.example.com", "", false, "badexample.com", "'badexample.com' is not allowed"},
        {"*.example.com", "", false, "example.com.evil.org", "is not allowed"},
        {"", "", false, "example.com", "'example.com' is not allowed"},
        {"*.example.com", "*.admin.example.com", false, "x.admin.example.com",
         "policy.names: 'x.admin.example.com' is refused by '*.admin.example.com' in "
         "policy.names.deny"},
        {"*.example.com", "*.admin.example.com", false, "admin.example.com", NULL},
        {"*.example.com", "secret.example.com", true, "secret.example.com",
         "is refused by 'secret.example.com'"},
        {"*.example.com", "", false, "*.example.com",
         "policy.names: '*.example.com' is a wildcard; set policy.names.wildcard_certs to true"},
        {"*.example.com", "", true, "*.example.com", NULL},
        {"*.example.com", "", true, "*.b.example.com", NULL},
        {"www.example.com", "", true, "*.example.com", "'*.example.com' is not allowed"},
        {"*.b.example.com", "", true, "*.example.com", "'*.example.com' is not allowed"},
        {"*.example.com", "secret.example.com", true, "*.example.com",
         "'*.example.com' is refused by 'secret.example.com' in policy.names.deny"},
        {"*.example.com", "secret.b.example.com", true, "*.example.com", NULL},
        {"*.example.com", "*.example.com", true, "*.example.com", "is refused by '*.example.com'"},
        {"192.0.2.1", "", false, "192.0.2.1", NULL},
        {"*.0.2.1", "", true, "192.0.2.1", "'192.0.2.1' is not allowed"},
        {"192.0.2.1", "192.0.2.1", false, "192.0.2.1", "is refused by '192.0.2.1'"},
        {"2001:db8::1", "", false, "2001:db8::1", NULL},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_policy policy = {.wildcard_certs = rows[i].wildcard_certs};
        struct clm_names names = {0};
        struct clm_err err = {0};
        enum clm_code code;

        fill(&policy.names_allow, rows[i].allow);
        fill(&policy.names_deny, rows[i].deny);
        if (clm_names_add_ip(&names, rows[i].name, NULL) != CLM_OK) {
            assert_int_equal(clm_names_add_dns(&names, rows[i].name, NULL), CLM_OK);
        }
        code = clm_policy_check_names(&policy, &names, &err);
        if (code != (rows[i].refusal == NULL ? CLM_OK : CLM_E_PERM) ||
            (rows[i].refusal != NULL && strstr(err.msg, rows[i].refusal) == NULL)) {
            fail_msg("row %zu: %s: '%s'", i, clm_code_name(code), err.msg);
        }
        clm_names_done(&names);
        clm_policy_done(&policy);
    }
}

static void every_name_is_checked_and_none_is_refused(void **state)
{
    struct clm_policy policy = {0};
    struct clm_names names = {0};
    struct clm_err err = {0};

    (void)state;
    fill(&policy.names_allow, "a.example b.example");
    assert_int_equal(clm_policy_check_names(&policy, &names, &err), CLM_E_PERM);
    assert_string_equal(err.msg, "policy.names: no name is given, so none is allowed");
    assert_int_equal(clm_names_add_dns(&names, "a.example", NULL), CLM_OK);
    assert_int_equal(clm_names_add_dns(&names, "b.example", NULL), CLM_OK);
    assert_int_equal(clm_policy_check_names(&policy, &names, &err), CLM_OK);
    assert_int_equal(clm_names_add_ip(&names, "192.0.2.9", NULL), CLM_OK);
    assert_int_equal(clm_policy_check_names(&policy, &names, &err), CLM_E_PERM);
    clm_names_done(&names);
    clm_policy_done(&policy);
}

static void targets_are_globs_and_deny_wins(void **state)
{
    static const struct {
        const char *target;
        const char *refusal;
    } rows[] = {
        {"nginx:www.example.com", NULL},
        {"nginx:a/b.c", NULL},
        {"apache:www", "policy.targets: 'apache:www' is not allowed; add it to "
                       "policy.targets.allow"},
        {"nginx:intranet.example.com",
         "policy.targets: 'nginx:intranet.example.com' is refused by 'nginx:intranet.*' in "
         "policy.targets.deny"},
        {"nginx", "is not allowed"},
        {"host", NULL},
    };
    struct clm_policy policy = {0};

    (void)state;
    fill(&policy.targets_allow, "nginx:* host");
    fill(&policy.targets_deny, "nginx:intranet.*");
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_err err = {0};
        enum clm_code code = clm_policy_check_target(&policy, rows[i].target, &err);

        if (code != (rows[i].refusal == NULL ? CLM_OK : CLM_E_PERM) ||
            (rows[i].refusal != NULL && strstr(err.msg, rows[i].refusal) == NULL)) {
            fail_msg("row %zu: '%s'", i, err.msg);
        }
    }
    clm_policy_done(&policy);
}

static void files_must_lie_inside_a_write_root_by_component(void **state)
{
    static const struct {
        const char *root;
        const char *path;
        bool allowed;
    } rows[] = {
        {"/etc", "/etc/nginx/tls/www.pem", true},
        {"/etc/", "/etc/www.pem", true},
        {"/etc", "/etcetera/www.pem", false},
        {"/etc", "/etc", false},
        {"/etc", "/etc/", false},
        {"/etc", "/usr/etc/a", false},
        {"/etc/nginx", "/etc/a", false},
        {"/etc", "/etc/../root/.ssh/authorized_keys", false},
        {"/etc", "/etc/./a", false},
        {"/etc", "/etc//a", false},
        {"/etc", "/etc/a/..", false},
        {"/etc", "etc/a", false},
        {"/etc", "", false},
        {"/", "/srv/a", true},
        {"etc", "/etc/a", false},
        {"/etc", "/etc/..a/b", true},
        {"/etc", "/etc/.a/b", true},
        {"/etc", "/etc/ab/c", true},
        {"/etc", "/etc/.", false},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_policy policy = {0};
        struct clm_err err = {0};
        enum clm_code code;

        fill(&policy.write_roots, rows[i].root);
        code = clm_policy_check_write(&policy, rows[i].path, &err);
        if (code != (rows[i].allowed ? CLM_OK : CLM_E_PERM)) {
            fail_msg("row %zu: '%s' in '%s': %s", i, rows[i].path, rows[i].root, err.msg);
        }
        assert_true(rows[i].allowed || clm_str_starts(err.msg, "policy.write_roots: "));
        clm_policy_done(&policy);
    }
}

static void any_write_root_will_do_and_none_allows_nothing(void **state)
{
    struct clm_policy policy = {0};
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_policy_check_write(&policy, "/etc/a", &err), CLM_E_PERM);
    assert_string_equal(err.msg, "policy.write_roots: '/etc/a' is not inside one of them; add its "
                                 "directory to policy.write_roots");
    fill(&policy.write_roots, "/srv /etc");
    assert_int_equal(clm_policy_check_write(&policy, "/etc/a", &err), CLM_OK);
    clm_policy_done(&policy);
}

static void job_and_key_types_must_be_listed(void **state)
{
    struct clm_policy policy = {0};
    struct clm_err err = {0};

    (void)state;
    fill(&policy.job_types, "scan deploy");
    fill(&policy.key_types, "ec-p256");
    assert_int_equal(clm_policy_check_job_type(&policy, "deploy", &err), CLM_OK);
    assert_int_equal(clm_policy_check_job_type(&policy, "delete", &err), CLM_E_PERM);
    assert_string_equal(err.msg, "policy.job_types: jobs of type 'delete' are not allowed; add it "
                                 "to policy.job_types");
    assert_int_equal(clm_policy_check_key_type(&policy, "ec-p256", &err), CLM_OK);
    assert_int_equal(clm_policy_check_key_type(&policy, "rsa-1024", &err), CLM_E_PERM);
    assert_string_equal(err.msg,
                        "policy.key_types: 'rsa-1024' is not allowed; add it to policy.key_types");
    clm_policy_done(&policy);
}

static void web_roots_are_found_by_their_whole_name(void **state)
{
    struct clm_policy policy = {.n_webroots = 2};

    (void)state;
    policy.webroots = calloc(2, sizeof(*policy.webroots));
    assert_non_null(policy.webroots);
    strcpy(policy.webroots[0].name, "www-root");
    strcpy(policy.webroots[1].name, "www");
    strcpy(policy.webroots[1].path, "/srv/www");
    assert_string_equal(clm_policy_find_webroot(&policy, "www")->path, "/srv/www");
    assert_null(clm_policy_find_webroot(&policy, "ww"));
    assert_null(clm_policy_find_webroot(&policy, ""));
    clm_policy_done(&policy);
    assert_null(clm_policy_find_webroot(&policy, "www"));
    clm_policy_done(NULL);
}

static void requests_may_say_what_is_listed(void **state)
{
    struct clm_policy policy = {.wildcard_certs = false};
    CLM_CLEANUP(clm_sans_done) struct clm_sans sans = {.emails = {NULL, 0}};
    CLM_CLEANUP(clm_subject_done) struct clm_subject subject = {.field = {{NULL, 0}}};
    struct clm_err err = {.code = CLM_OK};

    (void)state;
    fill(&policy.names_allow, "www.example.com");
    assert_int_equal(clm_sans_add(&sans, CLM_SAN_DNS, "www.example.com", NULL), CLM_OK);
    assert_int_equal(clm_sans_add(&sans, CLM_SAN_EMAIL, "a@example.com", NULL), CLM_OK);
    assert_int_equal(clm_policy_check_sans(&policy, &sans, &err), CLM_E_PERM);
    assert_string_equal(
        err.msg,
        "policy.names.emails: 'a@example.com' is not allowed; add it to policy.names.emails");
    fill(&policy.emails, "*@example.com");
    assert_int_equal(clm_policy_check_sans(&policy, &sans, &err), CLM_OK);
    assert_int_equal(clm_sans_add(&sans, CLM_SAN_URI, "spiffe://other.test/x", NULL), CLM_OK);
    fill(&policy.uris, "spiffe://example.com/*");
    assert_int_equal(clm_policy_check_sans(&policy, &sans, &err), CLM_E_PERM);
    fill(&policy.uris, "spiffe://other.test/x");
    assert_int_equal(clm_policy_check_sans(&policy, &sans, &err), CLM_OK);

    fill(&subject.field[CLM_SUBJECT_OU], "Web Ops");
    assert_int_equal(clm_policy_check_subject(&policy, &subject, &err), CLM_E_PERM);
    assert_non_null(strstr(err.msg, "'ou' is not allowed in a subject"));
    fill(&policy.subject_fields, "cn ou");
    assert_int_equal(clm_policy_check_subject(&policy, &subject, &err), CLM_OK);
    fill(&subject.field[CLM_SUBJECT_O], "Example");
    assert_int_equal(clm_policy_check_subject(&policy, &subject, &err), CLM_E_PERM);

    assert_int_equal(clm_policy_check_eku(&policy, true, false, &err), CLM_E_PERM);
    fill(&policy.eku, "server");
    assert_int_equal(clm_policy_check_eku(&policy, true, false, &err), CLM_OK);
    assert_int_equal(clm_policy_check_eku(&policy, true, true, &err), CLM_E_PERM);
    assert_int_equal(clm_policy_check_key_reuse(&policy, &err), CLM_E_PERM);
    policy.key_reuse = true;
    assert_int_equal(clm_policy_check_key_reuse(&policy, &err), CLM_OK);
    clm_policy_done(&policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_allowed_by_label),
        cmocka_unit_test(every_name_is_checked_and_none_is_refused),
        cmocka_unit_test(targets_are_globs_and_deny_wins),
        cmocka_unit_test(files_must_lie_inside_a_write_root_by_component),
        cmocka_unit_test(any_write_root_will_do_and_none_allows_nothing),
        cmocka_unit_test(job_and_key_types_must_be_listed),
        cmocka_unit_test(web_roots_are_found_by_their_whole_name),
        cmocka_unit_test(requests_may_say_what_is_listed),
    };

    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
