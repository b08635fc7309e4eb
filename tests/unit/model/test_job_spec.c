/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/model/job.h"
#include "tests/unit/model/json_text.h"

#define CRT   "crt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"
#define ORD   "ord_01J9ZN5Q7W9E1R3T5Y7V9J1K3M"
#define KEY   "key_01J9ZN2Q4W6E8R0T2Y4V6J8K0M"
#define CHL   "chl_01J9ZN6A8C0E2G4J6M8P0R2T5X"
#define SHA_A "aacd4f2fec14dde07d89d4c80d686a4009df18e709f7f981406202ee5a37ba32"
#define SHA_B "1a66ba7253b5370bdadb5639d2b0f3a312f5e90c5111345c10d36bffdbfc9d5f"

struct read {
    struct clm_job_envelope job;
    struct clm_job_spec spec;
};

/* optional: elements of optional_fields, or "". The spec is filled in if the answer is CLM_OK. */
static enum clm_code read_spec(struct read *r, const char *type, const char *spec,
                               const char *optional, struct clm_err *err)
{
    struct clm_buf text = CLM_BUF_INIT(CLM_JOB_PAYLOAD_MAX);
    char *copy;
    enum clm_code code;

    memset(r, 0, sizeof(*r));
    assert_int_equal(
        clm_buf_addf(&text, NULL,
                     "{'spec_version':1,'job_id':'job_01J9ZN2Q4W6E8R0T2Y4V6J8K0M','tenant':'acme',"
                     "'agent_id':'agt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C','type':'%s','target':'nginx:a',"
                     "'target_seq':1,'issued_at':'2026-11-21T01:52:00Z',"
                     "'expires_at':'2026-11-28T01:52:00Z','timeout_s':900,"
                     "'optional_fields':[%s],'spec':%s}",
                     type, optional, spec),
        CLM_OK);
    copy = json_quotes(clm_buf_str(&text));
    clm_buf_done(&text);
    code = clm_job_envelope_parse(copy, strlen(copy), &r->job, err);
    free(copy);
    if (code != CLM_OK) {
        fail_msg("the test's own envelope: %s", err->msg);
    }
    return clm_job_spec_parse(&r->job, &r->spec, err);
}

static void read_done(struct read *r)
{
    clm_job_spec_done(&r->spec);
    clm_job_envelope_done(&r->job);
}

static void must_read(struct read *r, const char *type, const char *spec)
{
    struct clm_err err = {0};

    if (read_spec(r, type, spec, "", &err) != CLM_OK) {
        fail_msg("%s: %s", type, err.msg);
    }
}

struct refusal {
    const char *spec;
    enum clm_code code;
    const char *why;
};

static void must_refuse(const char *type, const struct refusal *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct clm_err err = {0};
        struct read r;

        if (read_spec(&r, type, rows[i].spec, "", &err) != rows[i].code ||
            strstr(err.msg, rows[i].why) == NULL || !clm_str_starts(err.msg, "spec: ")) {
            fail_msg("%s row %zu: %s: '%s'", type, i, clm_code_name(err.code), err.msg);
        }
        read_done(&r);
    }
}

/* ---- order ---- */

#define SANS        "'sans':{'dns':['www.example.com','example.com']}"
#define ORDER(rest) "{'certificate_id':'" CRT "'," SANS ",'key':{'type':'ec-p256'}" rest "}"

static void an_order_is_read_whole(void **state)
{
    struct read r;
    const struct clm_spec_order *order = &r.spec.u.order;

    (void)state;
    must_read(&r, "order",
              "{'certificate_id':'" CRT "','order_id':'" ORD "',"
              "'subject':{'CN':'WWW.example.com','O':'Example "
              "GmbH','OU':['IT','Web'],'L':'Kiel','ST':'SH',"
              "'C':'DE','email':'a@example.com'},"
              "'sans':{'dns':['www.example.com','example.com'],'ip':['192.0.2.1'],'email':['Ops@"
              "Example.COM'],"
              "'uri':['spiffe://example.com/web']},"
              "'key':{'type':'rsa-3072','storage':'file','key_ref':'" KEY
              "','reuse':true,'protect':'none'},"
              "'csr_ext':{'must_staple':true,'eku':['serverAuth','clientAuth']},"
              "'dcv':{'method':'http-01','webroot_ref':'www-root'},'on_issue':'deploy',"
              "'deploy':{'verify':{'connect':'[::1]:8443','sni':'Example.com','retries':7,"
              "'timeout_s':3},'pre_checks':{'expect_current_sha256':'" SHA_A
              "','require_config_valid':false},'bake_s':60}}");
    assert_int_equal(r.spec.type, CLM_JOB_TYPE_ORDER);
    assert_string_equal(order->certificate_id, CRT);
    assert_string_equal(order->order_id, ORD);
    assert_string_equal(clm_subject_value(&order->subject, CLM_SUBJECT_O), "Example GmbH");
    assert_int_equal(order->subject.field[CLM_SUBJECT_OU].n, 2);
    assert_int_equal(order->names.dns.n, 2);
    assert_int_equal(order->names.ip.n, 1);
    assert_string_equal(order->emails.v[0], "Ops@example.com");
    assert_string_equal(order->uris.v[0], "spiffe://example.com/web");
    assert_true(order->eku_client);
    assert_string_equal(order->key_type, "rsa-3072");
    assert_string_equal(order->key_ref, KEY);
    assert_true(order->reuse);
    assert_true(order->must_staple);
    assert_string_equal(order->dcv_method, "http-01");
    assert_string_equal(order->webroot_ref, "www-root");
    assert_true(order->deploy.verify.has_endpoint);
    assert_string_equal(order->deploy.verify.endpoint.addr, "::1");
    assert_int_equal(order->deploy.verify.endpoint.port, 8443);
    assert_string_equal(order->deploy.verify.endpoint.sni, "example.com");
    assert_int_equal(order->deploy.verify.endpoint.timeout_ms, 3000);
    assert_int_equal(order->deploy.verify.retries, 7);
    assert_string_equal(order->deploy.pre_checks.expect_current_sha256, SHA_A);
    assert_false(order->deploy.pre_checks.require_config_valid);
    assert_int_equal(order->deploy.bake_s, 60);
    read_done(&r);
}

static void a_short_order_has_defaults(void **state)
{
    struct read r;
    const struct clm_spec_order *order = &r.spec.u.order;

    (void)state;
    must_read(&r, "order", ORDER(",'order_id':null,'subject':{},'deploy':null"));
    assert_null(order->order_id);
    assert_null(clm_subject_value(&order->subject, CLM_SUBJECT_CN));
    assert_null(order->key_ref);
    assert_null(order->webroot_ref);
    assert_string_equal(order->dcv_method, "none");
    assert_string_equal(order->on_issue, "notify");
    assert_false(order->reuse);
    assert_false(order->deploy.verify.has_endpoint);
    assert_int_equal(order->deploy.verify.retries, 5);
    assert_int_equal(order->deploy.verify.timeout_s, 10);
    assert_true(order->deploy.pre_checks.require_config_valid);
    read_done(&r);
}

static void bad_orders_are_refused(void **state)
{
    static const struct refusal rows[] = {
        {"{}", CLM_E_PARSE, "certificate_id"},
        {"{'certificate_id':'crt_1'," SANS ",'key':{'type':'ec-p256'}}", CLM_E_INVAL,
         "'certificate_id': 'crt_1' is not an id of its kind"},
        {"{'certificate_id':'" CRT "','key':{'type':'ec-p256'}}", CLM_E_PARSE, "sans"},
        {"{'certificate_id':'" CRT "','sans':{},'key':{'type':'ec-p256'}}", CLM_E_INVAL,
         "sans: no name is asked for"},
        {"{'certificate_id':'" CRT "','sans':{'dns':['a b']},'key':{'type':'ec-p256'}}",
         CLM_E_INVAL, "sans: 'dns': element 0: 'a b' is not a DNS name"},
        {"{'certificate_id':'" CRT "','sans':{'dns':['a.b'],'email':['a@b c']},"
         "'key':{'type':'ec-p256'}}",
         CLM_E_INVAL, "sans: 'email': element 0: 'a@b c' is not a mail address"},
        {"{'certificate_id':'" CRT "','sans':{'dns':['a.b'],'upn':[]},'key':{'type':'ec-p256'}}",
         CLM_E_PARSE, "sans: "},
        {"{'certificate_id':'" CRT "'," SANS "}", CLM_E_PARSE, "key"},
        {"{'certificate_id':'" CRT "'," SANS ",'key':{}}", CLM_E_PARSE, "key: "},
        {"{'certificate_id':'" CRT "'," SANS ",'key':{'type':'rsa-1024'}}", CLM_E_INVAL,
         "key: 'type': 'rsa-1024' is not one of the values of protocol 1"},
        {"{'certificate_id':'" CRT "'," SANS ",'key':{'type':'ec-p256','storage':'tpm2'}}",
         CLM_E_UNSUPPORTED, "key: 'storage': 'tpm2' is not supported by this version, only 'file'"},
        {"{'certificate_id':'" CRT "'," SANS ",'key':{'type':'ec-p256','protect':'x'}}",
         CLM_E_UNSUPPORTED, "key: 'protect'"},
        {"{'certificate_id':'" CRT "'," SANS ",'key':{'type':'ec-p256','key_ref':'../x'}}",
         CLM_E_INVAL, "key: 'key_ref': '../x' is not an id of its kind"},
        {"{'certificate_id':'" CRT "'," SANS ",'key':{'type':'ec-p256','pem':'x'}}", CLM_E_PARSE,
         "key: "},
        {ORDER(",'hooks':{'post':'x'}"), CLM_E_PARSE, "hooks"},
        {ORDER(",'on_issue':'reboot'"), CLM_E_INVAL, "'on_issue': 'reboot'"},
        {ORDER(",'order_id':'ord'"), CLM_E_INVAL, "'order_id'"},
        {ORDER(",'subject':{'CN':'other.example.com'}"), CLM_E_INVAL,
         "subject: 'CN': 'other.example.com' is not one of the names in 'sans'"},
        {ORDER(",'subject':{'CN':'a b'}"), CLM_E_INVAL, "is not one of the names"},
        {ORDER(",'subject':{'C':'D'}"), CLM_E_INVAL, "'C': 'D' is not a country code"},
        {ORDER(",'subject':{'C':'DEU'}"), CLM_E_INVAL, "subject: 'C': "},
        {ORDER(",'subject':{'O':'a\\u0007b'}"), CLM_E_INVAL, "subject: 'O': "},
        {ORDER(",'subject':{'O':''}"), CLM_E_INVAL, "subject: 'O': is empty"},
        {ORDER(",'subject':{'CN':'192.0.2.1'}"), CLM_E_INVAL, "is not one of the names"},
        {ORDER(",'subject':7"), CLM_E_PARSE, "subject"},
        {ORDER(",'csr':7"), CLM_E_PARSE, "csr"},
        {ORDER(",'csr_ext':{'eku':[7]}"), CLM_E_UNSUPPORTED, "csr_ext: 'eku'"},
        {ORDER(",'csr_ext':{'eku':['serverAuth','codeSigning','clientAuth']}"), CLM_E_UNSUPPORTED,
         "csr_ext: 'eku'"},
        {ORDER(",'subject':{'OU':[7,'a']}"), CLM_E_PARSE, "subject: 'OU': not a text"},
        {ORDER(",'subject':{'OU':['a',7]}"), CLM_E_PARSE, "subject: 'OU': not a text"},
        {ORDER(",'subject':{'DC':'x'}"), CLM_E_PARSE, "subject: "},
        {ORDER(",'csr_ext':{'eku':['codeSigning']}"), CLM_E_UNSUPPORTED, "csr_ext: 'eku'"},
        {ORDER(",'csr_ext':{'eku':'serverAuth'}"), CLM_E_PARSE, "csr_ext: "},
        {ORDER(",'csr_ext':{'must_staple':1}"), CLM_E_PARSE, "csr_ext: "},
        {ORDER(",'dcv':{'method':'dns-02'}"), CLM_E_INVAL, "dcv: 'method': 'dns-02'"},
        {ORDER(",'dcv':{}"), CLM_E_PARSE, "dcv: "},
        {ORDER(",'dcv':{'method':'http-01','webroot_ref':'/var/www'}"), CLM_E_INVAL,
         "dcv: 'webroot_ref': '/var/www' is not a name"},
        {ORDER(",'deploy':{'chain_pem':'x'}"), CLM_E_PARSE, "deploy: "},
        {ORDER(",'deploy':{'bake_s':3601}"), CLM_E_LIMIT, "deploy: "},
        {ORDER(",'deploy':{'verify':{'connect':'a'}}"), CLM_E_INVAL,
         "deploy: verify: 'connect': 'a' is not of the form address:port"},
    };

    (void)state;
    must_refuse("order", rows, CLM_ARRAY_LEN(rows));
}

/* ---- deploy and rollback ---- */

#define DEPLOY(rest)                                                                               \
    "{'certificate_id':'" CRT "','sha256':'" SHA_A "','chain_pem':'-----BEGIN','key_ref':'" KEY    \
    "'" rest "}"

static void a_deployment_is_read_whole(void **state)
{
    struct read r;
    const struct clm_spec_deploy *deploy = &r.spec.u.deploy;

    (void)state;
    must_read(&r, "deploy",
              DEPLOY(",'format':{'kind':'pem','chain':'full','include_root':false},"
                     "'store':{'cert':'/etc/a.pem','key':'/etc/a.key','alias':null,"
                     "'password_ref':null},'hooks':{'validate':null,'reload':null},"
                     "'verify':{'connect':'127.0.0.1:443','sni':'www.example.com',"
                     "'expect_sha256':'" SHA_A "','retries':5,'timeout_s':10},"
                     "'pre_checks':{'expect_current_sha256':null,'require_config_valid':true},"
                     "'bake_s':60"));
    assert_string_equal(deploy->sha256, SHA_A);
    assert_string_equal(deploy->chain_pem, "-----BEGIN");
    assert_string_equal(deploy->key_ref, KEY);
    assert_string_equal(deploy->store_cert, "/etc/a.pem");
    assert_string_equal(deploy->store_key, "/etc/a.key");
    assert_true(deploy->how.verify.has_endpoint);
    assert_string_equal(deploy->how.verify.expect_sha256, SHA_A);
    assert_null(deploy->how.pre_checks.expect_current_sha256);
    assert_int_equal(deploy->how.bake_s, 60);
    read_done(&r);
    must_read(&r, "deploy", DEPLOY(",'hooks':null"));
    assert_null(deploy->store_cert);
    read_done(&r);
}

static void bad_deployments_are_refused(void **state)
{
    static const struct refusal rows[] = {
        {"{}", CLM_E_PARSE, "certificate_id"},
        {"{'certificate_id':'" CRT "','sha256':'x','chain_pem':'','key_ref':'" KEY "'}",
         CLM_E_INVAL, "'sha256': 'x' is not a SHA-256"},
        {"{'certificate_id':'" CRT "','sha256':'" SHA_A "','key_ref':'" KEY "'}", CLM_E_PARSE,
         "chain_pem"},
        {"{'certificate_id':'" CRT "','sha256':'" SHA_A "','chain_pem':''}", CLM_E_PARSE,
         "key_ref"},
        {DEPLOY(",'key_pem':'x'"), CLM_E_PARSE, "key_pem"},
        {DEPLOY(",'hooks':{'validate':'nginx-test'}"), CLM_E_INVAL,
         "spec: hooks: 'validate': hook 'nginx-test' is not registered on this host"},
        {DEPLOY(",'hooks':{'post':'x'}"), CLM_E_INVAL, "hook 'x' is not registered on this host"},
        {DEPLOY(",'hooks':{'reload':['/bin/sh']}"), CLM_E_PARSE, "hooks: "},
        {DEPLOY(",'hooks':{'other':null}"), CLM_E_PARSE, "hooks: "},
        {DEPLOY(",'hooks':'x'"), CLM_E_PARSE, "hooks"},
        {DEPLOY(",'format':{'kind':'jks'}"), CLM_E_UNSUPPORTED, "format: 'kind': 'jks'"},
        {DEPLOY(",'format':{'chain':'leaf'}"), CLM_E_UNSUPPORTED, "format: 'chain'"},
        {DEPLOY(",'format':{'include_root':true}"), CLM_E_UNSUPPORTED, "format: 'include_root'"},
        {DEPLOY(",'store':{'cert':'a.pem'}"), CLM_E_INVAL,
         "store: 'cert': 'a.pem' is not an absolute path"},
        {DEPLOY(",'store':{'alias':'a'}"), CLM_E_UNSUPPORTED, "store: 'alias': not supported"},
        {DEPLOY(",'store':{'password_ref':'a'}"), CLM_E_UNSUPPORTED, "store: 'password_ref'"},
        {DEPLOY(",'store':{'mode':'0777'}"), CLM_E_PARSE, "store: "},
        {DEPLOY(",'verify':{'expect_sha256':'" SHA_B "'}"), CLM_E_INVAL,
         "verify: 'expect_sha256': differs from 'sha256'"},
        {DEPLOY(",'verify':{'connect':'localhost:443'}"), CLM_E_INVAL,
         "verify: 'connect': 'localhost' is not an IP address"},
        {DEPLOY(",'verify':{'connect':'127.0.0.1'}"), CLM_E_INVAL,
         "is not of the form address:port"},
        {DEPLOY(",'verify':{'connect':'127.0.0.1:0'}"), CLM_E_INVAL, "is not of the form"},
        {DEPLOY(",'verify':{'connect':'127.0.0.1:65536'}"), CLM_E_INVAL, "is not of the form"},
        {DEPLOY(",'verify':{'connect':'::1:443'}"), CLM_E_INVAL, "[address]:port for IPv6"},
        {DEPLOY(",'verify':{'connect':'[127.0.0.1]:443'}"), CLM_E_INVAL, "[address]:port for IPv6"},
        {DEPLOY(",'verify':{'connect':'[::1:443'}"), CLM_E_INVAL, "is not of the form"},
        {DEPLOY(",'verify':{'connect':':443'}"), CLM_E_INVAL, "is not of the form"},
        {DEPLOY(",'verify':{'connect':'[]:443'}"), CLM_E_INVAL, "is not of the form"},
        {DEPLOY(",'verify':{'connect':'[:443'}"), CLM_E_INVAL, "is not of the form"},
        {DEPLOY(",'verify':{'connect':''}"), CLM_E_INVAL, "is not of the form"},
        {DEPLOY(",'verify':{'connect':['::1']}"), CLM_E_PARSE, "verify: "},
        {DEPLOY(",'verify':{'sni':'a b'}"), CLM_E_INVAL, "verify: 'sni': 'a b' is not a DNS name"},
        {DEPLOY(",'verify':{'retries':101}"), CLM_E_LIMIT, "verify: "},
        {DEPLOY(",'verify':{'insecure':true}"), CLM_E_PARSE, "verify: "},
        {DEPLOY(",'pre_checks':{'expect_current_sha256':'x'}"), CLM_E_INVAL, "pre_checks: "},
        {DEPLOY(",'pre_checks':{'require_config_valid':'x'}"), CLM_E_PARSE, "pre_checks: "},
        {DEPLOY(",'bake_s':-1"), CLM_E_LIMIT, "bake_s"},
    };

    (void)state;
    must_refuse("deploy", rows, CLM_ARRAY_LEN(rows));
}

static void a_rollback_is_read(void **state)
{
    struct read r;

    (void)state;
    must_read(&r, "rollback",
              "{'to_version':11,'reason':'elevated 5xx','allow_expired':true,'hooks':{},"
              "'verify':{'connect':'127.0.0.1:443'}}");
    assert_int_equal(r.spec.u.rollback.to_version, 11);
    assert_string_equal(r.spec.u.rollback.reason, "elevated 5xx");
    assert_true(r.spec.u.rollback.allow_expired);
    assert_true(r.spec.u.rollback.verify.has_endpoint);
    read_done(&r);
    must_read(&r, "rollback", "{}");
    assert_int_equal(r.spec.u.rollback.to_version, 0);
    assert_false(r.spec.u.rollback.allow_expired);
    assert_int_equal(r.spec.u.rollback.verify.retries, 5);
    read_done(&r);
}

static void bad_rollbacks_are_refused(void **state)
{
    static const struct refusal rows[] = {
        {"{'to_version':-1}", CLM_E_LIMIT, "to_version"},
        {"{'to_version':'1'}", CLM_E_PARSE, "to_version"},
        {"{'reason':'a\\nb'}", CLM_E_INVAL, "'reason': "},
        {"{'hooks':{'reload':'r'}}", CLM_E_INVAL, "hook 'r' is not registered on this host"},
        {"{'force':true}", CLM_E_PARSE, "force"},
    };

    (void)state;
    must_refuse("rollback", rows, CLM_ARRAY_LEN(rows));
}

/* ---- recheck_pinning ---- */

static void a_recheck_is_read(void **state)
{
    struct read r;
    const struct clm_spec_recheck *recheck = &r.spec.u.recheck;

    (void)state;
    must_read(&r, "recheck_pinning",
              "{'connect':['127.0.0.1:443','[2001:db8::1]:8443'],'sni':'www.example.com',"
              "'expect':{'sha256':'" SHA_A "','spki_pins':['" SHA_B "'],'tlsa':[{'usage':3,"
              "'selector':1,'matching':1,'data':'" SHA_B "'}]},'fail_on':'never'}");
    assert_int_equal(recheck->n_connect, 2);
    assert_string_equal(recheck->connect[1].addr, "2001:db8::1");
    assert_int_equal(recheck->connect[1].port, 8443);
    assert_string_equal(recheck->connect[1].sni, "www.example.com");
    assert_string_equal(recheck->expect_sha256, SHA_A);
    assert_true(recheck->n_spki_pins == 1 && recheck->n_tlsa == 1);
    assert_int_equal(recheck->tlsa[0].selector, 1);
    assert_string_equal(recheck->tlsa[0].data, SHA_B);
    assert_false(recheck->fail_on_mismatch);
    read_done(&r);
    must_read(&r, "recheck_pinning", "{}");
    assert_int_equal(recheck->n_connect, 0);
    assert_true(recheck->fail_on_mismatch);
    read_done(&r);
}

#define TLSA(usage, selector, matching, data)                                                      \
    "{'expect':{'tlsa':[{'usage':" usage ",'selector':" selector ",'matching':" matching           \
    ",'data':'" data "'}]}}"

static void bad_rechecks_are_refused(void **state)
{
    static const struct refusal rows[] = {
        {"{'connect':'127.0.0.1:443'}", CLM_E_PARSE, "connect"},
        {"{'connect':['127.0.0.1:443','x']}", CLM_E_INVAL, "connect/1: 'connect': 'x'"},
        {"{'connect':[1]}", CLM_E_PARSE, "connect/0: not a string"},
        {"{'sni':'a b'}", CLM_E_INVAL, "'sni': 'a b' is not a DNS name"},
        {"{'fail_on':'always'}", CLM_E_INVAL, "'fail_on': unknown value 'always'"},
        {"{'expect':{'sha256':'x'}}", CLM_E_INVAL, "expect: 'sha256'"},
        {"{'expect':{'spki_pins':['x']}}", CLM_E_INVAL, "expect: spki_pins/0: not a SHA-256"},
        {"{'expect':{'other':1}}", CLM_E_PARSE, "expect: "},
        {"{'expect':{'tlsa':[1]}}", CLM_E_PARSE, "expect: tlsa/0: not an object"},
        {TLSA("2", "1", "1", SHA_A), CLM_E_UNSUPPORTED, "only usage 3 with matching type 1"},
        {TLSA("3", "1", "2", SHA_A), CLM_E_UNSUPPORTED, "only usage 3 with matching type 1"},
        {TLSA("3", "2", "1", SHA_A), CLM_E_LIMIT, "selector"},
        {TLSA("3", "1", "1", "ab"), CLM_E_INVAL, "tlsa/0: 'data'"},
        {"{'exec':1}", CLM_E_PARSE, "exec"},
    };

    (void)state;
    must_refuse("recheck_pinning", rows, CLM_ARRAY_LEN(rows));
}

static void a_recheck_has_at_most_64_addresses(void **state)
{
    struct clm_buf text = CLM_BUF_INIT(8192);
    struct clm_err err = {0};
    struct read r;

    (void)state;
    for (int i = 0; i < CLM_SPEC_CONNECT_MAX; i++) {
        assert_int_equal(
            clm_buf_addf(&text, NULL, "%s'127.0.0.1:%d'", i == 0 ? "{'connect':[" : ",", i + 1),
            CLM_OK);
    }
    assert_int_equal(clm_buf_add_str(&text, "]}", NULL), CLM_OK);
    must_read(&r, "recheck_pinning", clm_buf_str(&text));
    assert_int_equal(r.spec.u.recheck.n_connect, CLM_SPEC_CONNECT_MAX);
    assert_int_equal(r.spec.u.recheck.connect[63].port, 64);
    read_done(&r);
    text.len -= 2;
    assert_int_equal(clm_buf_add_str(&text, ",'127.0.0.1:99']}", NULL), CLM_OK);
    assert_int_equal(read_spec(&r, "recheck_pinning", clm_buf_str(&text), "", &err), CLM_E_LIMIT);
    read_done(&r);
    clm_buf_done(&text);
}

/* ---- scan and dcv ---- */

static void a_scan_is_read(void **state)
{
    struct read r;

    (void)state;
    must_read(&r, "scan", "{'scope':'full','services':['nginx','apache'],'max_s':60,'nice':false}");
    assert_int_equal(r.spec.u.scan.n_services, 2);
    assert_string_equal(r.spec.u.scan.services[1], "apache");
    assert_int_equal(r.spec.u.scan.max_s, 60);
    assert_false(r.spec.u.scan.nice);
    read_done(&r);
    must_read(&r, "scan", "{}");
    assert_true(r.spec.u.scan.nice && r.spec.u.scan.max_s == 120);
    read_done(&r);
}

static void bad_scans_are_refused(void **state)
{
    static const struct refusal rows[] = {
        {"{'scope':'part'}", CLM_E_UNSUPPORTED, "'scope': 'part'"},
        {"{'services':['Nginx']}", CLM_E_INVAL, "services/0: not the name of a kind"},
        {"{'services':[1]}", CLM_E_INVAL, "services/0: "},
        {"{'max_s':0}", CLM_E_LIMIT, "max_s"},
        {"{'max_s':3601}", CLM_E_LIMIT, "max_s"},
        {"{'path':'/'}", CLM_E_PARSE, "path"},
    };

    (void)state;
    must_refuse("scan", rows, CLM_ARRAY_LEN(rows));
}

#define FILE_ROW                                                                                   \
    "{'challenge_id':'" CHL "','path':'/.well-known/pki-validation/fileauth.txt',"                 \
    "'content':'token','mode':'0644'}"
#define WRITE(files) "{'order_id':'" ORD "','webroot_ref':'www-root','files':" files "}"

static void the_three_kinds_of_dcv_are_read(void **state)
{
    struct read r;
    const struct clm_spec_dcv *dcv = &r.spec.u.dcv;

    (void)state;
    must_read(&r, "get_dcv",
              "{'order_id':'" ORD "','webroot_ref':'www-root','self_check':false,'hold_s':600,"
              "'cleanup':'after_issue'}");
    assert_string_equal(dcv->order_id, ORD);
    assert_string_equal(dcv->webroot_ref, "www-root");
    assert_false(dcv->self_check);
    assert_int_equal(dcv->hold_s, 600);
    read_done(&r);
    must_read(&r, "get_dcv", "{'order_id':'" ORD "'}");
    assert_null(dcv->webroot_ref);
    assert_true(dcv->self_check);
    assert_int_equal(dcv->hold_s, 3600);
    read_done(&r);
    must_read(&r, "dcv_write",
              "{'order_id':'" ORD "','webroot_ref':'www-root','files':[" FILE_ROW
              "],'self_check':true,'remove_at':'2026-11-28T00:00:00Z'}");
    assert_int_equal(dcv->n_files, 1);
    assert_string_equal(dcv->files[0].challenge_id, CHL);
    assert_string_equal(dcv->files[0].content, "token");
    assert_int_equal(dcv->remove_at_s, 1795824000);
    read_done(&r);
    must_read(&r, "dcv_cleanup", "{'order_id':'" ORD "'}");
    assert_string_equal(dcv->order_id, ORD);
    read_done(&r);
}

static void bad_dcv_is_refused(void **state)
{
    static const struct refusal get[] = {
        {"{}", CLM_E_PARSE, "order_id"},
        {"{'order_id':'" ORD "','hold_s':59}", CLM_E_LIMIT, "hold_s"},
        {"{'order_id':'" ORD "','cleanup':'never'}", CLM_E_UNSUPPORTED, "'cleanup': 'never'"},
        {"{'order_id':'" ORD "','webroot_ref':'..'}", CLM_E_INVAL, "'webroot_ref': '..'"},
        {"{'order_id':'" ORD "','files':[]}", CLM_E_PARSE, "files"},
    };
    static const struct refusal write[] = {
        {"{'order_id':'" ORD "','files':[" FILE_ROW "]}", CLM_E_PARSE, "webroot_ref"},
        {WRITE("[]"), CLM_E_INVAL, "'files': no file is given"},
        {WRITE("[1]"), CLM_E_PARSE, "files/0: not an object"},
        {WRITE("[{}]"), CLM_E_PARSE, "files/0: "},
        {WRITE("[{'challenge_id':'" CHL "','path':'a','content':''}]"), CLM_E_INVAL,
         "files/0: 'path': 'a' is not an absolute path"},
        {WRITE("[{'challenge_id':'" CHL "','path':'/a','content':'','mode':'4755'}]"),
         CLM_E_UNSUPPORTED, "files/0: 'mode': '4755'"},
        {WRITE("[{'challenge_id':'x','path':'/a','content':''}]"), CLM_E_INVAL,
         "files/0: 'challenge_id'"},
        {WRITE("[{'challenge_id':'" CHL "','path':'/a','content':'','owner':'root'}]"), CLM_E_PARSE,
         "files/0: "},
    };
    static const struct refusal cleanup[] = {
        {"{'order_id':'" ORD "','webroot_ref':'www-root'}", CLM_E_PARSE, "webroot_ref"},
        {"{'order_id':'" CRT "'}", CLM_E_INVAL, "'order_id'"},
    };

    (void)state;
    must_refuse("get_dcv", get, CLM_ARRAY_LEN(get));
    must_refuse("dcv_write", write, CLM_ARRAY_LEN(write));
    must_refuse("dcv_cleanup", cleanup, CLM_ARRAY_LEN(cleanup));
}

/* ---- all types ---- */

static void later_types_are_unsupported_not_wrong(void **state)
{
    static const char *const later[] = {"configure", "renew",  "rekey",
                                        "rotate",    "revoke", "delete"};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(later); i++) {
        struct clm_err err = {0};
        struct read r;

        assert_int_equal(read_spec(&r, later[i], "{'anything':1}", "", &err), CLM_E_UNSUPPORTED);
        assert_non_null(strstr(err.msg, later[i]));
        assert_string_equal(r.job.job_id, "job_01J9ZN2Q4W6E8R0T2Y4V6J8K0M");
        read_done(&r);
    }
}

static void only_listed_unknown_members_may_be_skipped(void **state)
{
    struct clm_err err = {0};
    struct read r;

    (void)state;
    assert_int_equal(read_spec(&r, "scan", "{'colour':'red'}", "'colour'", &err), CLM_OK);
    read_done(&r);
    assert_int_equal(read_spec(&r, "scan", "{'colour':'red','size':1}", "'colour'", &err),
                     CLM_E_PARSE);
    assert_non_null(strstr(err.msg, "size"));
    read_done(&r);
    assert_int_equal(
        read_spec(&r, "deploy", DEPLOY(",'verify':{'colour':1}"), "'colour','verify'", &err),
        CLM_E_PARSE);
    read_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_order_is_read_whole),
        cmocka_unit_test(a_short_order_has_defaults),
        cmocka_unit_test(bad_orders_are_refused),
        cmocka_unit_test(a_deployment_is_read_whole),
        cmocka_unit_test(bad_deployments_are_refused),
        cmocka_unit_test(a_rollback_is_read),
        cmocka_unit_test(bad_rollbacks_are_refused),
        cmocka_unit_test(a_recheck_is_read),
        cmocka_unit_test(bad_rechecks_are_refused),
        cmocka_unit_test(a_recheck_has_at_most_64_addresses),
        cmocka_unit_test(a_scan_is_read),
        cmocka_unit_test(bad_scans_are_refused),
        cmocka_unit_test(the_three_kinds_of_dcv_are_read),
        cmocka_unit_test(bad_dcv_is_refused),
        cmocka_unit_test(later_types_are_unsupported_not_wrong),
        cmocka_unit_test(only_listed_unknown_members_may_be_skipped),
    };

    return cmocka_run_group_tests_name("job_spec", tests, NULL, NULL);
}
