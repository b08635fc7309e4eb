/* SPDX-License-Identifier: Apache-2.0 */
/* Values at the edges of the model: enumerators that are none, lists of which there are none, texts
 * that end just there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/json.h"
#include "agent/model/cert_file.h"
#include "agent/model/csr_spec.h"
#include "agent/model/plan.h"
#include "agent/model/policy.h"
#include "agent/model/probe.h"
#include "agent/model/target.h"

static void a_value_that_is_none_has_no_name(void **state)
{
    (void)state;
    assert_string_equal(clm_found_format_name(CLM_FOUND_FORMAT__COUNT), "");
    assert_string_equal(clm_found_status_name(CLM_FOUND_STATUS__COUNT), "");
    assert_string_equal(clm_found_kind_name(CLM_FOUND_KIND__COUNT), "");
    assert_string_equal(clm_found_problem_name((enum clm_found_problem)0), "");
    assert_string_equal(clm_csr_mode_name(CLM_CSR_MODE__COUNT), "?");
    assert_string_equal(clm_subject_field_name(CLM_SUBJECT__COUNT), "?");
    assert_string_equal(clm_san_kind_name(CLM_SAN__COUNT), "?");
    assert_string_equal(clm_file_format_name(CLM_FORMAT__COUNT), "unknown");
    assert_string_equal(clm_reload_name(CLM_RELOAD__COUNT), "unknown");
    assert_string_equal(clm_step_kind_name(CLM_STEP__COUNT), "unknown");
    assert_false(clm_content_has_key(CLM_CONTENT__COUNT));
    assert_false(clm_content_has_leaf(CLM_CONTENT__COUNT));
    assert_false(clm_format_is_keystore(CLM_FORMAT__COUNT));
    assert_true(clm_found_problem_name((enum clm_found_problem)1)[0] != '\0');
    clm_found_done(NULL);
}

/* A step of which nobody knows what it is, is neither shown nor taken. */
static void a_step_that_is_none_is_a_bug(void **state)
{
    static const struct {
        enum clm_step_kind kind;
        enum clm_reload_how how;
        enum clm_content content;
        enum clm_file_format format;
        const char *says;
    } rows[] = {
        {CLM_STEP__COUNT, CLM_RELOAD_UNIT, CLM_CONTENT_LEAF, CLM_FORMAT_PEM,
         "unknown kind of step"},
        {CLM_STEP_RELOAD, CLM_RELOAD__COUNT, CLM_CONTENT_LEAF, CLM_FORMAT_PEM,
         "unknown kind of reload"},
        {CLM_STEP_FILE_PUT, CLM_RELOAD_UNIT, CLM_CONTENT__COUNT, CLM_FORMAT_PEM,
         "unknown content or format"},
        {CLM_STEP_FILE_PUT, CLM_RELOAD_UNIT, CLM_CONTENT_LEAF, CLM_FORMAT__COUNT,
         "unknown content or format"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_step step = {.kind = rows[i].kind,
                                .path = "/a.pem",
                                .how = rows[i].how,
                                .content = rows[i].content,
                                .format = rows[i].format};
        struct clm_plan plan = {.target = "file:a", .steps = &step, .n_steps = 1};
        struct clm_plan again = {.n_steps = 0};
        CLM_CLEANUP(clm_json_free_p) struct clm_json *json = clm_json_new_object();
        struct clm_err err = {.code = CLM_OK};
        char text[512];

        assert_int_equal(clm_step_describe(&step, text, sizeof(text), &err), CLM_E_BUG);
        assert_non_null(strstr(err.msg, rows[i].says));
        clm_plan_to_json(&plan, json);
        assert_int_not_equal(clm_plan_from_json(json, &again, NULL), CLM_OK);
        clm_plan_done(&again);
    }
}

static void steps_are_described_in_the_singular_and_in_the_plural(void **state)
{
    struct clm_text_edit edits[2] = {{.text = NULL}};
    struct clm_step edit = {.kind = CLM_STEP_FILE_PUT,
                            .path = "/server.xml",
                            .content = CLM_CONTENT_EDIT,
                            .edits = edits,
                            .n_edits = 2};
    struct clm_step store = {.kind = CLM_STEP_FILE_PUT,
                             .path = "/a.p12",
                             .content = CLM_CONTENT_FULLCHAIN,
                             .format = CLM_FORMAT_PKCS12};
    char text[512];

    (void)state;
    assert_int_equal(clm_step_describe(&edit, text, sizeof(text), NULL), CLM_OK);
    assert_string_equal(text, "change 2 places in '/server.xml'");
    edit.n_edits = 1;
    assert_int_equal(clm_step_describe(&edit, text, sizeof(text), NULL), CLM_OK);
    assert_string_equal(text, "change 1 place in '/server.xml'");
    assert_int_equal(clm_step_describe(&store, text, sizeof(text), NULL), CLM_OK);
    assert_non_null(strstr(text, "into the key entry of the "));
    (void)strcpy(store.alias, "www");
    assert_int_equal(clm_step_describe(&store, text, sizeof(text), NULL), CLM_OK);
    assert_non_null(strstr(text, "into entry 'www' of the "));
}

static void without_a_policy_nothing_is_declared(void **state)
{
    const struct clm_strs none = {NULL, 0};
    struct clm_err err = {.code = CLM_OK};

    (void)state;
    assert_int_equal(clm_policy_check_restart(NULL, "nginx.service", &err), CLM_E_PERM);
    assert_null(clm_policy_find_hook(NULL, "a"));
    assert_null(clm_policy_find_file(NULL, "a"));
    assert_int_equal(clm_policy_check_hook(NULL, &none, &err), CLM_E_PERM);
    assert_non_null(strstr(err.msg, "'' is not the command of a hook"));
}

static void a_wildcard_is_refused_for_a_denied_name_below_it_only(void **state)
{
    static const struct {
        const char *deny;
        const char *name;
        bool is_allowed;
    } rows[] = {
        {"intranet.example.com", "*.example.com", false},
        {"intranet.example.com", "*.example.org", true},
        {"intranet.example.com", "www.example.com", true},
        {"*.intranet.example.com", "*.example.com", true},
        {"localhost", "*.example.com", true},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_policy policy = {.wildcard_certs = true};
        struct clm_err err = {.code = CLM_OK};
        struct clm_names names = {.dns = {NULL, 0}};

        assert_int_equal(clm_strs_add(&policy.names_allow, "*.example.com", NULL), CLM_OK);
        assert_int_equal(clm_strs_add(&policy.names_allow, "*.example.org", NULL), CLM_OK);
        assert_int_equal(clm_strs_add(&policy.names_deny, rows[i].deny, NULL), CLM_OK);
        assert_int_equal(clm_names_add_dns(&names, rows[i].name, NULL), CLM_OK);
        if ((clm_policy_check_names(&policy, &names, &err) == CLM_OK) != rows[i].is_allowed) {
            fail_msg("row %zu: %s", i, err.msg);
        }
        clm_names_done(&names);
        clm_policy_done(&policy);
    }
}

static void texts_of_a_subject_end_where_unicode_does(void **state)
{
    static const struct {
        enum clm_subject_field field;
        const char *text;
        bool is_good;
    } rows[] = {
        {CLM_SUBJECT_O, "caf\xc3\xa9", true}, {CLM_SUBJECT_O, "a\xc2\xa0z", true},
        {CLM_SUBJECT_O, "a\xc2\x85z", false}, {CLM_SUBJECT_O, "a\x7fz", false},
        {CLM_SUBJECT_O, "a\x1fz", false},     {CLM_SUBJECT_O, "a\xffz", false},
        {CLM_SUBJECT_C, "DE", true},          {CLM_SUBJECT_C, "D[", false},
        {CLM_SUBJECT_C, "[E", false},         {CLM_SUBJECT_C, "D1", false},
        {CLM_SUBJECT_C, "1E", false},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        if ((clm_subject_check(rows[i].field, rows[i].text, NULL) == CLM_OK) != rows[i].is_good) {
            fail_msg("row %zu: %s", i, rows[i].text);
        }
    }
}

static void other_names_have_a_form(void **state)
{
    static const struct {
        enum clm_san_kind kind;
        const char *text;
        bool is_good;
    } rows[] = {
        {CLM_SAN_EMAIL, "a@example.com", true}, {CLM_SAN_EMAIL, "a@exa mple.com", false},
        {CLM_SAN_EMAIL, "a@-.com", false},      {CLM_SAN_EMAIL, "a\xc3\xa9@example.com", false},
        {CLM_SAN_URI, "urn:x", true},           {CLM_SAN_URI, "urn:\xc3\xa9", false},
        {CLM_SAN_URI, "urn:", false},           {CLM_SAN_URI, "1urn:x", false},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_sans sans = {.emails = {NULL, 0}};

        if ((clm_sans_add(&sans, rows[i].kind, rows[i].text, NULL) == CLM_OK) != rows[i].is_good) {
            fail_msg("row %zu: %s", i, rows[i].text);
        }
        clm_sans_done(&sans);
    }
}

static void an_address_has_a_length(void **state)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    struct clm_endpoint endpoint;
    char addr[CLM_ADDR_SIZE + 1];

    (void)state;
    memset(addr, '1', sizeof(addr) - 1);
    addr[sizeof(addr) - 1] = '\0';
    clm_json_set_str(obj, "addr", addr);
    clm_json_set_int(obj, "port", 443);
    assert_int_not_equal(clm_endpoint_from_json(obj, &endpoint, NULL), CLM_OK);
}

/* "nginx:www@/etc/nginx-b": the target of one of several instances. */
static void a_target_of_an_instance_is_found_by_its_place(void **state)
{
    static const struct {
        const char *config_path;
        const char *id;
        bool is_found;
    } rows[] = {
        {"/etc/nginx-b/nginx.conf", "nginx:www@/etc/nginx-b", true},
        {"/etc/nginx-b/nginx.conf", "nginx:www@/etc/nginx-b/nginx.conf", true},
        {"/etc/nginx-b/nginx.conf", "nginx:www@/etc/nginx", false},
        {"/etc/nginx-b/conf.d/a.conf", "nginx:www@/etc/nginx-b", false},
        {"/etc/nginx-b/nginx.conf", "nginx:www", true},
        {"/etc/nginx-b/nginx.conf", "nginx:other@/etc/nginx-b", false},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_inventory inventory = {.n_services = 0};
        struct clm_service *service = clm_inventory_add_service(&inventory);
        struct clm_target *target;

        assert_non_null(service);
        (void)snprintf(service->config_path, sizeof(service->config_path), "%s",
                       rows[i].config_path);
        target = clm_service_add_target(service);
        assert_non_null(target);
        (void)strcpy(target->id, "nginx:www");
        if ((clm_inventory_find(&inventory, rows[i].id, NULL) != NULL) != rows[i].is_found) {
            fail_msg("row %zu: %s", i, rows[i].id);
        }
        clm_inventory_done(&inventory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_that_is_none_has_no_name),
        cmocka_unit_test(a_step_that_is_none_is_a_bug),
        cmocka_unit_test(steps_are_described_in_the_singular_and_in_the_plural),
        cmocka_unit_test(without_a_policy_nothing_is_declared),
        cmocka_unit_test(a_wildcard_is_refused_for_a_denied_name_below_it_only),
        cmocka_unit_test(texts_of_a_subject_end_where_unicode_does),
        cmocka_unit_test(other_names_have_a_form),
        cmocka_unit_test(an_address_has_a_length),
        cmocka_unit_test(a_target_of_an_instance_is_found_by_its_place),
    };

    return cmocka_run_group_tests_name("model_edges", tests, NULL, NULL);
}
