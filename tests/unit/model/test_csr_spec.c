/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/model/csr_spec.h"
#include "tests/unit/model/json_text.h"

struct read {
    struct clm_json *json;
    struct clm_csr_spec spec;
    struct clm_err err;
    enum clm_code code;
};

typedef enum clm_code (*read_fn)(const struct clm_json *obj, struct clm_csr_spec *out,
                                 struct clm_err *err);

static struct read read_with(read_fn read, const char *text)
{
    struct read r = {.err = {.code = CLM_OK}};

    r.json = json_read(text);
    r.code = read(r.json, &r.spec, &r.err);
    return r;
}

static void done(struct read *r)
{
    clm_csr_spec_done(&r->spec);
    clm_json_free(r->json);
}

static void every_member_comes_back(void **state)
{
    struct read r = read_with(
        clm_csr_spec_read,
        "{'mode':'override','subject':{'cn':'www.example.com','o':'K\\u00f6ln AG','ou':['A','B'],"
        "'l':'K','st':'NRW','c':'DE','email':'a@example.com'},'sans':{'dns':['WWW.Example.com'],"
        "'ip':['2001:DB8::1'],'email':['Ops@Example.COM'],'uri':['urn:x:1']},'key_type':'rsa-3072',"
        "'hash':'sha512','must_staple':true,'eku':['server','client'],"
        "'challenge_password_ref':'scep','key':'reuse'}");

    (void)state;
    assert_int_equal(r.code, CLM_OK);
    assert_int_equal(r.spec.mode, CLM_CSR_MODE_OVERRIDE);
    for (int i = 0; i < CLM_SUBJECT__COUNT; i++) {
        assert_true(r.spec.has_subject[i]);
    }
    assert_int_equal(r.spec.subject.field[CLM_SUBJECT_OU].n, 2);
    assert_string_equal(clm_subject_value(&r.spec.subject, CLM_SUBJECT_O), "K\xc3\xb6ln AG");
    assert_string_equal(r.spec.sans.names.dns.v[0], "www.example.com");
    assert_string_equal(r.spec.sans.names.ip.v[0], "2001:db8::1");
    assert_string_equal(r.spec.sans.emails.v[0], "Ops@example.com");
    assert_string_equal(r.spec.sans.uris.v[0], "urn:x:1");
    assert_string_equal(r.spec.key_type, "rsa-3072");
    assert_string_equal(r.spec.hash, "sha512");
    assert_true(r.spec.has_must_staple && r.spec.must_staple && r.spec.has_eku);
    assert_true(r.spec.eku_server && r.spec.eku_client && r.spec.has_key && r.spec.reuse_key);
    assert_string_equal(r.spec.challenge_ref, "scep");
    assert_false(clm_csr_spec_takes_installed_names(&r.spec));
    done(&r);
}

static void what_is_not_said_stays_open(void **state)
{
    struct read r = read_with(clm_csr_spec_read, "{'mode':'template','template':'web'}");

    (void)state;
    assert_int_equal(r.code, CLM_OK);
    assert_string_equal(r.spec.template_name, "web");
    assert_null(r.spec.key_type);
    assert_null(r.spec.hash);
    assert_null(r.spec.challenge_ref);
    assert_false(r.spec.has_must_staple || r.spec.has_eku || r.spec.has_key || r.spec.reuse_key);
    assert_false(r.spec.has_san[CLM_SAN_DNS] || r.spec.has_subject[CLM_SUBJECT_O]);
    done(&r);
}

static void an_empty_member_takes_it_away(void **state)
{
    struct read r = read_with(clm_csr_spec_read, "{'mode':'override','subject':{'o':'','ou':[]},"
                                                 "'sans':{'email':[]}}");

    (void)state;
    assert_int_equal(r.code, CLM_OK);
    assert_true(r.spec.has_subject[CLM_SUBJECT_O] && r.spec.has_subject[CLM_SUBJECT_OU]);
    assert_null(clm_subject_value(&r.spec.subject, CLM_SUBJECT_O));
    assert_true(r.spec.has_san[CLM_SAN_EMAIL] && !r.spec.has_san[CLM_SAN_DNS]);
    assert_true(clm_csr_spec_takes_installed_names(&r.spec));
    done(&r);
}

#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
    const char *text;
    enum clm_code code;
    const char *says;
} bad_members[] = {
    {"{}", CLM_E_PARSE, "mode"},
    {"{'mode':7}", CLM_E_PARSE, "mode"},
    {"{'mode':'fresh'}", CLM_E_INVAL, "'mode': 'fresh'"},
    {"{'mode':'template','password':'x'}", CLM_E_PARSE, "password"},
    {"{'mode':'template','template':'../x'}", CLM_E_INVAL, "'template': '../x'"},
    {"{'mode':'template','csr_pem':'x'}", CLM_E_INVAL, "'csr_pem': mode 'template'"},
    {"{'mode':'installed','key_type':'rsa-2048'}", CLM_E_INVAL, "'key_type': mode 'installed'"},
    {"{'mode':'installed','subject':{}}", CLM_E_INVAL, "'subject': mode"},
    {"{'mode':'override','template':'web'}", CLM_E_INVAL, "'template': mode 'override'"},
    {"{'mode':'reuse_csr','key':'new'}", CLM_E_INVAL, "'key': mode 'reuse_csr'"},
    {"{'mode':'uploaded','csr_pem':'x','eku':['server']}", CLM_E_INVAL, "'eku': mode"},
    {"{'mode':'uploaded'}", CLM_E_INVAL, "'csr_pem': mode 'uploaded' needs it"},
    {"{'mode':'template','subject':{'o':'" X64 "x'}}", CLM_E_INVAL,
     "subject: 'o': is longer than 64 characters"},
    {"{'mode':'template','subject':{'cn':'" X64 "x'}}", CLM_E_INVAL, "subject: 'cn'"},
    {"{'mode':'template','subject':{'l':'" X64 X64 "x'}}", CLM_E_INVAL, "longer than 128"},
    {"{'mode':'template','subject':{'o':'a\\u0001b'}}", CLM_E_INVAL, "control characters"},
    {"{'mode':'template','subject':{'o':'a\\u0085b'}}", CLM_E_INVAL, "control characters"},
    {"{'mode':'template','subject':{'o':'a\\nb'}}", CLM_E_INVAL, "control characters"},
    {"{'mode':'template','subject':{'o':['a']}}", CLM_E_PARSE, "subject: 'o': must be a text"},
    {"{'mode':'template','subject':{'ou':['a',['b']]}}", CLM_E_PARSE, "subject: 'ou'"},
    {"{'mode':'template','subject':{'ou':['1','2','3','4','5','6','7','8','9']}}", CLM_E_LIMIT,
     "ou"},
    {"{'mode':'template','subject':{'c':'de'}}", CLM_E_INVAL, "two capital letters"},
    {"{'mode':'template','subject':{'email':'nobody'}}", CLM_E_INVAL, "mail address"},
    {"{'mode':'template','subject':{'dc':'x'}}", CLM_E_PARSE, "subject: "},
    {"{'mode':'template','subject':7}", CLM_E_PARSE, "subject"},
    {"{'mode':'template','subject':{'ou':7}}", CLM_E_PARSE, "subject: 'ou'"},
    {"{'mode':'template','subject':{'ou':[7,'a']}}", CLM_E_PARSE, "subject: 'ou'"},
    {"{'mode':'template','sans':7}", CLM_E_PARSE, "sans"},
    {"{'mode':'template','eku':[7]}", CLM_E_INVAL, "'eku': each must be"},
    {"{'mode':'template','eku':['x','server']}", CLM_E_INVAL, "'eku': each must be"},
    {"{'mode':'template','sans':{'dns':['a b']}}", CLM_E_INVAL, "sans: 'dns': element 0"},
    {"{'mode':'template','sans':{'ip':['1.2.3']}}", CLM_E_INVAL, "sans: 'ip': element 0"},
    {"{'mode':'template','sans':{'email':['@example.com']}}", CLM_E_INVAL, "mail address"},
    {"{'mode':'template','sans':{'email':['a@b@example.com']}}", CLM_E_INVAL, "mail address"},
    {"{'mode':'template','sans':{'email':['a b@example.com']}}", CLM_E_INVAL, "mail address"},
    {"{'mode':'template','subject':{'o':'a\\u007fb'}}", CLM_E_INVAL, "control characters"},
    {"{'mode':'template','subject':{'c':'DEU'}}", CLM_E_INVAL, "two capital letters"},
    {"{'mode':'template','subject':{'c':'1E'}}", CLM_E_INVAL, "two capital letters"},
    {"{'mode':'template','subject':{'c':'{E'}}", CLM_E_INVAL, "two capital letters"},
    {"{'mode':'template','subject':{'c':'D1'}}", CLM_E_INVAL, "two capital letters"},
    {"{'mode':'template','subject':{'email':'\\u00e4@b'}}", CLM_E_INVAL, "mail address"},
    {"{'mode':'template','sans':{'dns':[7]}}", CLM_E_PARSE, "'dns': element 0: not a text"},
    {"{'mode':'template','sans':{'email':['nobody']}}", CLM_E_INVAL, "mail address"},
    {"{'mode':'template','sans':{'email':['" X64 "x@example.com']}}", CLM_E_INVAL, "mail address"},
    {"{'mode':'template','sans':{'email':['a;b@example.com']}}", CLM_E_INVAL, "mail address"},
    {"{'mode':'template','sans':{'email':['a@exa mple.com']}}", CLM_E_INVAL, "mail address"},
    {"{'mode':'template','sans':{'email':['a@-.com']}}", CLM_E_INVAL, "mail address"},
    {"{'mode':'template','sans':{'email':['a@" X64 X64 X64 X64 ".com']}}", CLM_E_INVAL,
     "mail address"},
    {"{'mode':'template','sans':{'uri':['1a:x']}}", CLM_E_INVAL, "not a URI"},
    {"{'mode':'template','sans':{'uri':['urn']}}", CLM_E_INVAL, "not a URI"},
    {"{'mode':'template','sans':{'uri':['urn:']}}", CLM_E_INVAL, "not a URI"},
    {"{'mode':'template','sans':{'uri':['urn:\\u00e4']}}", CLM_E_INVAL, "not a URI"},
    {"{'mode':'template','sans':{'uri':['//x']}}", CLM_E_INVAL, "not a URI"},
    {"{'mode':'template','sans':{'uri':['http://a b']}}", CLM_E_INVAL, "not a URI"},
    {"{'mode':'template','sans':{'upn':[]}}", CLM_E_PARSE, "sans: "},
    {"{'mode':'template','key_type':'rsa-1024'}", CLM_E_INVAL, "'key_type': 'rsa-1024'"},
    {"{'mode':'template','hash':'sha1'}", CLM_E_INVAL, "'hash': 'sha1'"},
    {"{'mode':'template','must_staple':'yes'}", CLM_E_PARSE, "must_staple"},
    {"{'mode':'template','eku':['any']}", CLM_E_INVAL, "'eku'"},
    {"{'mode':'template','eku':['client']}", CLM_E_INVAL, "must hold 'server'"},
    {"{'mode':'template','eku':'server'}", CLM_E_PARSE, "eku"},
    {"{'mode':'template','key':'old'}", CLM_E_INVAL, "'key': 'old'"},
    {"{'mode':'template','challenge_password_ref':'/etc/shadow'}", CLM_E_INVAL,
     "'challenge_password_ref'"},
};

static void bad_members_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(bad_members); i++) {
        struct read r = read_with(clm_csr_spec_read, bad_members[i].text);

        if (r.code != bad_members[i].code || strstr(r.err.msg, bad_members[i].says) == NULL) {
            fail_msg("row %zu: %d '%s'", i, (int)r.code, r.err.msg);
        }
        done(&r);
    }
}

static void a_template_of_the_host_has_no_names(void **state)
{
    static const struct {
        const char *text;
        enum clm_code code;
    } rows[] = {
        {"{'subject':{'o':'Example','ou':['A','B'],'c':'DE'},'key_type':'rsa-4096',"
         "'hash':'sha384','eku':['server'],'must_staple':false,'key':'new'}",
         CLM_OK},
        {"{}", CLM_OK},
        {"{'subject':{'cn':'www.example.com'}}", CLM_E_INVAL},
        {"{'sans':{'dns':['www.example.com']}}", CLM_E_PARSE},
        {"{'mode':'template'}", CLM_E_PARSE},
        {"{'csr_pem':'x'}", CLM_E_PARSE},
        {"{'template':'web'}", CLM_E_PARSE},
        {"{'hash':'md5'}", CLM_E_INVAL},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct read r = read_with(clm_csr_template_read, rows[i].text);

        if (r.code != rows[i].code) {
            fail_msg("row %zu: %d '%s'", i, (int)r.code, r.err.msg);
        }
        done(&r);
    }
}

static void names_are_limited_and_listed_once(void **state)
{
    CLM_CLEANUP(clm_sans_done) struct clm_sans sans = {.emails = {NULL, 0}};
    char uri[32] = "urn:x:000";

    (void)state;
    for (int i = 0; i < CLM_NAMES_MAX; i++) {
        uri[6] = (char)('0' + i / 10);
        uri[7] = (char)('0' + i % 10);
        assert_int_equal(clm_sans_add(&sans, CLM_SAN_URI, uri, NULL), CLM_OK);
    }
    assert_int_equal(clm_sans_add(&sans, CLM_SAN_URI, uri, NULL), CLM_OK);
    assert_int_equal(sans.uris.n, CLM_NAMES_MAX);
    assert_int_equal(clm_sans_add(&sans, CLM_SAN_URI, "urn:one-more", NULL), CLM_E_LIMIT);
    assert_int_equal(clm_sans_count(&sans), CLM_NAMES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_comes_back),
        cmocka_unit_test(what_is_not_said_stays_open),
        cmocka_unit_test(an_empty_member_takes_it_away),
        cmocka_unit_test(bad_members_are_refused),
        cmocka_unit_test(a_template_of_the_host_has_no_names),
        cmocka_unit_test(names_are_limited_and_listed_once),
    };

    return cmocka_run_group_tests_name("csr_spec", tests, NULL, NULL);
}
