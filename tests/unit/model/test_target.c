/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/base/fs.h"
#include "agent/model/target.h"
#include "tests/unit/model/json_text.h"

#define SCHEMA_PAGE "docs/schema/inventory.md" /* tests run in the source root */

#define SHA_A "aacd4f2fec14dde07d89d4c80d686a4009df18e709f7f981406202ee5a37ba32"
#define SHA_B "1a66ba7253b5370bdadb5639d2b0f3a312f5e90c5111345c10d36bffdbfc9d5f"

#define CERTIFICATE                                                                                \
    "{'sha256':'" SHA_A "','spki_sha256':'" SHA_B "','serial':'04','subject':'CN=a',"              \
    "'issuer':'CN=R11','not_before':'2026-09-20T00:00:00Z','not_after':'2026-12-19T00:00:00Z',"    \
    "'key':'rsa-2048','is_ca':false,'sans':['a.example'],'chain_ok':true,'key_matches':true}"

#define SEEN(sha, tls)                                                                             \
    "{'result':'served','leaf_sha256':'" sha "','spki_sha256':'','not_after':"                     \
    "'2026-12-19T00:00:00Z','subject':'','issuer':'','tls_version':'" tls "','chain_len':2,"       \
    "'detail':'','at_ms':5}"

/* Every member of every struct, in the order in which it is written. */
static const char sample[] =
    "{'schema':1,'started_at':'2026-11-21T01:30:00Z','duration_ms':812,'services':[{"
    "'service_id':'nginx@/etc/nginx/nginx.conf','kind':'nginx','version':'1.26.2','running':true,"
    "'pid':812,'start_ticks':998877,'exe':'/usr/sbin/nginx','user':'www-data',"
    "'unit':'nginx.service','prefix':'/usr/share/nginx','foreign_namespace':true,"
    "'remarks':['one'],'config_paths':['/etc/nginx/nginx.conf'],"
    "'listen':[{'addr':'0.0.0.0','port':443,'tls':true,'proto':'tcp'}],"
    "'webroots':[{'domain':'a.example','path':'/var/www','acme_path':'/srv/acme',"
    "'addr':'127.0.0.1','port':80,'reason':'no'}],"
    "'targets':[{'target':'nginx:a.example','manageable':true,'reasons':['r1','r2'],"
    "'cert_path':'/c','key_path':'/k','chain_path':'/i','store_type':'pem','alias':'tomcat',"
    "'key_kind':'ec','managed_by':'certbot',"
    "'key_perm':'0600 root:root','configured_at':'/etc/nginx/a:12',"
    "'names':['a.example','192.0.2.1'],'certificate':" CERTIFICATE ","
    "'endpoints':[{'addr':'127.0.0.1','port':443,'sni':'a.example','timeout_ms':0,'key_kind':''},"
    "{'addr':'::1','port':443,'sni':'a.example','timeout_ms':0,'key_kind':''}],"
    "'observations':[" SEEN(SHA_A, "1.3") "," SEEN(
        SHA_B,
        "1.2") "],"
               "'served':{'checked':'[::1]:443','sni':'a.example','sha256':'" SHA_B
               "','tls':'1.2'}},"
               "{'target':'nginx:b.example','manageable':false,'reasons':[],'cert_path':'','key_"
               "path':'',"
               "'chain_path':'','store_type':'','alias':'','key_kind':'','managed_by':'','key_perm'"
               ":'','configured_at':'','names':[],"
               "'certificate':null,'endpoints':[]}]}],"
               "'errors':[{'path':'/opt/k.p12','code':'E_SCAN','detail':'not readable: denied'},"
               "{'path':'','code':'E_SCAN','detail':'no path: here'}]}";

static void an_inventory_goes_both_ways(void **state)
{
    struct clm_json *in = json_read(sample);
    struct clm_json *out = clm_json_new_object();
    struct clm_inventory inventory = {0};
    struct clm_err err = {0};
    char *want = json_quotes(sample);
    char *text;

    (void)state;
    if (clm_inventory_from_json(in, &inventory, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    assert_string_equal(inventory.errors.v[0], "/opt/k.p12: not readable: denied");
    assert_string_equal(inventory.errors.v[1], "no path: here");
    assert_int_equal(inventory.services[0].start_ticks, 998877);
    assert_true(inventory.services[0].targets[0].key_matches);
    assert_null(inventory.services[0].targets[1].served);
    clm_inventory_to_json(&inventory, out);
    text = json_print_take(out);
    assert_string_equal(text, want);
    free(text);
    free(want);
    clm_inventory_done(&inventory);
    clm_inventory_done(&inventory);
    clm_inventory_done(NULL);
    clm_json_free(in);
}

/* Every key below node must stand in backquotes on the page. */
static void assert_documented(const struct clm_json *node, const char *page)
{
    for (const struct clm_json *child = clm_json_first(node); child != NULL;
         child = clm_json_next(child)) {
        char quoted[64];

        if (clm_json_kind(node) == CLM_JSON_OBJECT) {
            assert_int_equal(clm_str_fmt(quoted, sizeof(quoted), NULL, "`%s`", clm_json_key(child)),
                             CLM_OK);
            if (strstr(page, quoted) == NULL) {
                fail_msg("%s is not in " SCHEMA_PAGE, quoted);
            }
        }
        assert_documented(child, page);
    }
}

static void every_member_is_documented(void **state)
{
    struct clm_buf page = CLM_BUF_INIT(65536);
    struct clm_json *in = json_read(sample);

    (void)state;
    assert_int_equal(clm_fs_read(SCHEMA_PAGE, 65536, &page, NULL), CLM_OK);
    assert_documented(in, clm_buf_str(&page));
    clm_json_free(in);
    clm_buf_done(&page);
}

static void unknown_members_of_an_inventory_are_ignored(void **state)
{
    struct clm_json *in = json_read(
        "{'schema':1,'started_at':'2026-11-21T01:30:00Z','digest':'x','host':{'a':1},'services':["
        "{'service_id':'s','kind':'other','colour':'red'}]}");
    struct clm_inventory inventory = {0};

    (void)state;
    assert_int_equal(clm_inventory_from_json(in, &inventory, NULL), CLM_OK);
    assert_int_equal(inventory.n_services, 1);
    clm_inventory_done(&inventory);
    clm_json_free(in);
}

/* Fills one target with n handshakes, 'a' for SHA_A, 'b' for SHA_B, '-' for a refused port. */
static struct clm_json *write_with_handshakes(const char *seen)
{
    struct clm_inventory inventory = {0};
    struct clm_service *service = clm_inventory_add_service(&inventory);
    struct clm_target *target = clm_service_add_target(service);
    struct clm_json *out = clm_json_new_object();

    strcpy(target->id, "nginx:a");
    target->has_certificate = true;
    strcpy(target->certificate.sha256, SHA_A);
    target->served = calloc(strlen(seen) + 1, sizeof(*target->served));
    assert_non_null(target->served);
    for (size_t i = 0; seen[i] != '\0'; i++) {
        struct clm_endpoint *endpoint = clm_target_add_endpoint(target);

        strcpy(endpoint->addr, "127.0.0.1");
        endpoint->port = (uint16_t)(i + 1);
        target->served[i].result = seen[i] == '-' ? CLM_PROBE_REFUSED : CLM_PROBE_SERVED;
        strcpy(target->served[i].leaf_sha256, seen[i] == 'a' ? SHA_A : seen[i] == 'b' ? SHA_B : "");
    }
    clm_inventory_to_json(&inventory, out);
    clm_inventory_done(&inventory);
    return out;
}

static void the_handshake_shown_is_the_one_that_differs(void **state)
{
    static const struct {
        const char *seen;
        const char *checked; /* NULL: none */
    } rows[] = {
        {"aba", "127.0.0.1:2"}, {"aa", "127.0.0.1:1"}, {"-a", "127.0.0.1:2"},
        {"-ab", "127.0.0.1:3"}, {"--", NULL},          {"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_json *out = write_with_handshakes(rows[i].seen);
        const struct clm_json *service = clm_json_first(clm_json_get(out, "services"));
        const struct clm_json *target = clm_json_first(clm_json_get(service, "targets"));
        const struct clm_json *served = clm_json_get(target, "served");

        if (rows[i].checked == NULL) {
            assert_null(served);
        } else {
            assert_string_equal(clm_json_text(clm_json_get(served, "checked")), rows[i].checked);
        }
        clm_json_free(out);
    }
}

#define TOP        "'schema':1,'started_at':'2026-11-21T01:30:00Z'"
#define SERVICE(s) "{" TOP ",'services':[{'service_id':'s','kind':'nginx'," s "}]}"
#define TARGET(s)  SERVICE("'targets':[{'target':'nginx:a'," s "}]")
#define ENDPOINT   "'endpoints':[{'addr':'::1','port':1}]"

static void bad_inventories_are_refused_with_their_place(void **state)
{
    static const struct {
        const char *in;
        enum clm_code code;
        const char *why;
    } rows[] = {
        {"{}", CLM_E_PARSE, "schema"},
        {"{'schema':2}", CLM_E_LIMIT, "schema"},
        {"{'schema':1}", CLM_E_PARSE, "started_at"},
        {"{'schema':1,'started_at':'now'}", CLM_E_PARSE, "'started_at'"},
        {"{" TOP ",'duration_ms':-1}", CLM_E_LIMIT, "duration_ms"},
        {"{" TOP ",'services':{}}", CLM_E_PARSE, "services"},
        {"{" TOP ",'services':[1]}", CLM_E_PARSE, "services/0: not an object"},
        {"{" TOP ",'services':[{'kind':'nginx'}]}", CLM_E_PARSE, "services/0: "},
        {"{" TOP ",'services':[{'service_id':'s','kind':'a_kind_that_is_far_too_long'}]}",
         CLM_E_LIMIT, "kind"},
        {"{" TOP ",'errors':['x']}", CLM_E_PARSE, "errors/0: not an object"},
        {SERVICE("'pid':-1"), CLM_E_LIMIT, "pid"},
        {SERVICE("'pid':2147483648"), CLM_E_LIMIT, "pid"},
        {SERVICE("'running':'yes'"), CLM_E_PARSE, "running"},
        {SERVICE("'config_paths':[1]"), CLM_E_PARSE, "'config_paths': element 0 is no string"},
        {SERVICE("'listen':[{'addr':'::'}]"), CLM_E_PARSE, "services/0: listen/0: "},
        {SERVICE("'listen':[{'addr':'::','port':70000}]"), CLM_E_LIMIT, "port"},
        {SERVICE("'webroots':[{}]"), CLM_E_PARSE, "services/0: webroots/0: "},
        {SERVICE("'targets':[{'target':'nginx'}]"), CLM_E_PARSE,
         "services/0: targets/0: 'target': 'nginx' is not a target id"},
        {TARGET("'names':['a b']"), CLM_E_INVAL,
         "services/0: targets/0: 'names': element 0: 'a b'"},
        {TARGET("'certificate':[]"), CLM_E_PARSE, "certificate"},
        {TARGET("'certificate':{}"), CLM_E_PARSE, "services/0: targets/0: certificate: "},
        {TARGET("'endpoints':[{'addr':'x','port':1}]"), CLM_E_PARSE,
         "services/0: targets/0: endpoints/0: 'addr'"},
        {TARGET(ENDPOINT ",'observations':[]"), CLM_E_PARSE, "'observations': 0 for 1 endpoints"},
        {TARGET(ENDPOINT ",'observations':[{'result':'refused'},{'result':'refused'}]"),
         CLM_E_PARSE, "observations/1: there are only 1 endpoints"},
        {TARGET(ENDPOINT ",'observations':[{'result':'odd'}]"), CLM_E_PARSE,
         "observations/0: 'result'"},
        {TARGET("'reasons':[1]"), CLM_E_PARSE, "'reasons': element 0 is no string"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_json *in = json_read(rows[i].in);
        struct clm_inventory inventory = {0};
        struct clm_err err = {0};

        if (clm_inventory_from_json(in, &inventory, &err) != rows[i].code ||
            strstr(err.msg, rows[i].why) == NULL) {
            fail_msg("row %zu: %s: '%s'", i, clm_code_name(err.code), err.msg);
        }
        assert_null(inventory.services);
        clm_json_free(in);
    }
}

static void a_target_is_found_with_its_service(void **state)
{
    struct clm_inventory inventory = {0};
    const struct clm_service *service = NULL;

    (void)state;
    for (int s = 0; s < 3; s++) {
        struct clm_service *added = clm_inventory_add_service(&inventory);

        for (int t = 0; t < 3; t++) {
            struct clm_target *target = clm_service_add_target(added);

            assert_int_equal(clm_str_fmt(target->id, sizeof(target->id), NULL, "nginx:%d.%d", s, t),
                             CLM_OK);
        }
    }
    assert_ptr_equal(clm_inventory_find(&inventory, "nginx:1.2", &service),
                     &inventory.services[1].targets[2]);
    assert_ptr_equal(service, &inventory.services[1]);
    assert_non_null(clm_inventory_find(&inventory, "nginx:0.0", NULL));
    service = NULL;
    assert_null(clm_inventory_find(&inventory, "nginx:3.0", &service));
    assert_null(service);
    clm_inventory_done(&inventory);
}

static void target_ids_have_a_kind_and_a_name(void **state)
{
    static const struct {
        const char *id;
        bool valid;
    } rows[] = {
        {"nginx:www.example.com", true},
        {"file:/srv/app/tls", true},
        {"tomcat:8443", true},
        {"host", true},
        {"a:\xc3\xbc", true},
        {"abcdefghijklmnopqrstuvwx:y", true},
        {"abcdefghijklmnopqrstuvwxy:z", false},
        {"", false},
        {"nginx", false},
        {"nginx:", false},
        {":a", false},
        {"Nginx:a", false},
        {"nginx-x:a", false},
        {"nginx:a\nb", false},
        {"nginx:a\xff", false},
        {"hosts", false},
    };
    char longest[256] = "nginx:";

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        if (clm_target_id_is_valid(rows[i].id) != rows[i].valid) {
            fail_msg("row %zu: '%s'", i, rows[i].id);
        }
    }
    memset(longest + 6, 'a', 200);
    assert_true(clm_target_id_is_valid(longest));
    longest[206] = 'a';
    assert_false(clm_target_id_is_valid(longest));
}

static void lists_of_a_service_grow(void **state)
{
    struct clm_service service = {0};

    (void)state;
    for (uint16_t i = 0; i < 33; i++) {
        clm_service_add_listener(&service)->port = i;
        clm_service_add_webroot(&service)->port = i;
    }
    for (uint16_t i = 0; i < 33; i++) {
        assert_int_equal(service.listeners[i].port, i);
        assert_int_equal(service.webroots[i].port, i);
    }
    clm_service_done(&service);
    clm_service_done(NULL);
    clm_target_done(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_inventory_goes_both_ways),
        cmocka_unit_test(every_member_is_documented),
        cmocka_unit_test(unknown_members_of_an_inventory_are_ignored),
        cmocka_unit_test(the_handshake_shown_is_the_one_that_differs),
        cmocka_unit_test(bad_inventories_are_refused_with_their_place),
        cmocka_unit_test(a_target_is_found_with_its_service),
        cmocka_unit_test(target_ids_have_a_kind_and_a_name),
        cmocka_unit_test(lists_of_a_service_grow),
    };

    return cmocka_run_group_tests_name("target", tests, NULL, NULL);
}
