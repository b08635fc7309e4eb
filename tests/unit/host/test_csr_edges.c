/* SPDX-License-Identifier: Apache-2.0 */
/* Requests at their edges: certificates and requests of others that hold what we never make, templates
 * of root that the policy forbids, keys that are not ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/fs.h"
#include "tests/unit/host/csr_world.h"

#define OTHER_CRT "crt_01J9ZK3W5V7M2Q8R4T6Y0X1B3D"
#define LONG      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.com" /* 69 */

/* openssl req -x509: P-521; www and api, an otherName; server and client. */
static const char cert_p521[] = "-----BEGIN CERTIFICATE-----\n"
                                "MIICNzCCAZqgAwIBAgIUOUkAr725yvH2woBHAft00uAtl0owCgYIKoZIzj0EAwIw\n"
                                "GjEYMBYGA1UEAwwPd3d3LmV4YW1wbGUuY29tMCAXDTI2MTEyMTE3MTAyMFoYDzIx\n"
                                "MjYxMDI4MTcxMDIwWjAaMRgwFgYDVQQDDA93d3cuZXhhbXBsZS5jb20wgZswEAYH\n"
                                "KoZIzj0CAQYFK4EEACMDgYYABAGY3lE4k9iDVUq4SRNJ8WLFUlSjaYtfSDKXfmXu\n"
                                "LEYm2YOhWcHW/CxM5XZtjzdnje+bvgne5/dpCsG6bvVaPUdPSwB20P32GtZGciBJ\n"
                                "2lTq0A9DlLfxcdeXKgrpt7X0HPKRmV//nHGBN8Vi6etSaljl01Iq4Knam2BNpHTR\n"
                                "iT24QH0IJKN5MHcwNwYDVR0RBDAwLoIPd3d3LmV4YW1wbGUuY29tgg9hcGkuZXhh\n"
                                "bXBsZS5jb22gCgYDKgMEoAMMAXgwHQYDVR0lBBYwFAYIKwYBBQUHAwEGCCsGAQUF\n"
                                "BwMCMB0GA1UdDgQWBBTyHxGrj7Ouc7UfnXQcKI6YbKLmrDAKBggqhkjOPQQDAgOB\n"
                                "igAwgYYCQVxj2DZMEA4L1WBBWPDPa0D6O+AmbVdB7TvdxfVys/Ff3vdX+7nTybnR\n"
                                "Uk8tu6y0ZacEFv6iw2/1EQxzq+jQx3NEAkFZwnHICzJboKUqpluBiBATfPK6FqCn\n"
                                "jpL2yDKBwFlMecwSzGAqZyAvRQeCY0m1cwdJDizLDRBfqgiNy7Hipfij2g==\n"
                                "-----END CERTIFICATE-----\n";

/* The same with P-256. */
static const char cert_client[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBsTCCAVegAwIBAgIUIkasxKyw8p5xt4bq4lygvKLrSS4wCgYIKoZIzj0EAwIw\n"
    "GjEYMBYGA1UEAwwPd3d3LmV4YW1wbGUuY29tMCAXDTI2MTEyMTE3MTAyMFoYDzIx\n"
    "MjYxMDI4MTcxMDIwWjAaMRgwFgYDVQQDDA93d3cuZXhhbXBsZS5jb20wWTATBgcq\n"
    "hkjOPQIBBggqhkjOPQMBBwNCAAROuZeN0BVnbGDXFmoX3Tfy6xCYEjYLBahuhFbi\n"
    "HZ2PEcQEWQRFw/1gtUpUd3FKEKxFogC8oq9wwtdMaLAMssDpo3kwdzA3BgNVHREE\n"
    "MDAugg93d3cuZXhhbXBsZS5jb22CD2FwaS5leGFtcGxlLmNvbaAKBgMqAwSgAwwB\n"
    "eDAdBgNVHSUEFjAUBggrBgEFBQcDAQYIKwYBBQUHAwIwHQYDVR0OBBYEFIc+laEk\n"
    "oT88a/3pJPg0CRvvQFRoMAoGCCqGSM49BAMCA0gAMEUCIQD9xqBm2d7AYUmnpmn0\n"
    "M7KAZulrbpt7WLY0xZjepRV/PQIgJHcM4Cx2iKW+iJwudhMi7Ehwt8nmwqDQRmu1\n"
    "dxtxvEc=\n"
    "-----END CERTIFICATE-----\n";

/* CN legacy.example.com, which is not among its names: www. */
static const char cert_legacy[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBfDCCASGgAwIBAgIUJ2KOzjefk4UzyCtnP7Vz/QVMEhYwCgYIKoZIzj0EAwIw\n"
    "HTEbMBkGA1UEAwwSbGVnYWN5LmV4YW1wbGUuY29tMCAXDTI2MTEyMTE3MTA0NFoY\n"
    "DzIxMjYxMDI4MTcxMDQ0WjAdMRswGQYDVQQDDBJsZWdhY3kuZXhhbXBsZS5jb20w\n"
    "WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAROuZeN0BVnbGDXFmoX3Tfy6xCYEjYL\n"
    "BahuhFbiHZ2PEcQEWQRFw/1gtUpUd3FKEKxFogC8oq9wwtdMaLAMssDpoz0wOzAa\n"
    "BgNVHREEEzARgg93d3cuZXhhbXBsZS5jb20wHQYDVR0OBBYEFIc+laEkoT88a/3p\n"
    "JPg0CRvvQFRoMAoGCCqGSM49BAMCA0kAMEYCIQCXTlo+HFMvgRaJ6qihb+wPCXu4\n"
    "+kvSK7c0QJb/58npSAIhAJ95L/bcnlUPOYQB5p3z5T+E3Ke3UbG8hiaoav9lUMgn\n"
    "-----END CERTIFICATE-----\n";

/* openssl req -new: www and api, and one thing that is never allowed. */
static const char csr_other_name[] =
    "-----BEGIN CERTIFICATE REQUEST-----\\n"
    "MIIBHzCBxgIBADAaMRgwFgYDVQQDDA93d3cuZXhhbXBsZS5jb20wWTATBgcqhkjO\\n"
    "PQIBBggqhkjOPQMBBwNCAAROuZeN0BVnbGDXFmoX3Tfy6xCYEjYLBahuhFbiHZ2P\\n"
    "EcQEWQRFw/1gtUpUd3FKEKxFogC8oq9wwtdMaLAMssDpoEowSAYJKoZIhvcNAQkO\\n"
    "MTswOTA3BgNVHREEMDAugg93d3cuZXhhbXBsZS5jb22CD2FwaS5leGFtcGxlLmNv\\n"
    "baAKBgMqAwSgAwwBeDAKBggqhkjOPQQDAgNIADBFAiEArJ7dH+HdK9fKUJDrhk7H\\n"
    "9W9L3mNNdRO8ChZVrz5m1OICIB14uApcV5u6itsJ8PBfypJA+SioxvESwty6jAdR\\n"
    "BUjZ\\n"
    "-----END CERTIFICATE REQUEST-----\\n";

static const char csr_other_eku[] =
    "-----BEGIN CERTIFICATE REQUEST-----\\n"
    "MIIBMjCB2QIBADAaMRgwFgYDVQQDDA93d3cuZXhhbXBsZS5jb20wWTATBgcqhkjO\\n"
    "PQIBBggqhkjOPQMBBwNCAAROuZeN0BVnbGDXFmoX3Tfy6xCYEjYLBahuhFbiHZ2P\\n"
    "EcQEWQRFw/1gtUpUd3FKEKxFogC8oq9wwtdMaLAMssDpoF0wWwYJKoZIhvcNAQkO\\n"
    "MU4wTDArBgNVHREEJDAigg93d3cuZXhhbXBsZS5jb22CD2FwaS5leGFtcGxlLmNv\\n"
    "bTAdBgNVHSUEFjAUBggrBgEFBQcDAQYIKwYBBQUHAwMwCgYIKoZIzj0EAwIDSAAw\\n"
    "RQIhAP18s1yynEOgr6pP0PeNjaVscOyccFSYdrvrlxgpZEMQAiByjAywz5bC0Abg\\n"
    "q3n6fxTor1Xc6ChxJJPUubFlEBkzQA==\\n"
    "-----END CERTIFICATE REQUEST-----\\n";

static const char csr_ca[] = "-----BEGIN CERTIFICATE REQUEST-----\\n"
                             "MIIBITCByAIBADAaMRgwFgYDVQQDDA93d3cuZXhhbXBsZS5jb20wWTATBgcqhkjO\\n"
                             "PQIBBggqhkjOPQMBBwNCAAROuZeN0BVnbGDXFmoX3Tfy6xCYEjYLBahuhFbiHZ2P\\n"
                             "EcQEWQRFw/1gtUpUd3FKEKxFogC8oq9wwtdMaLAMssDpoEwwSgYJKoZIhvcNAQkO\\n"
                             "MT0wOzArBgNVHREEJDAigg93d3cuZXhhbXBsZS5jb22CD2FwaS5leGFtcGxlLmNv\\n"
                             "bTAMBgNVHRMEBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQCkWkB60RrSPGTrMIMx\\n"
                             "6IE3Tbhf5CjdRyinRASuBrKi6wIgFNEJ89uMbLwRgcj/yJn4vJvDEg6wMxGXyIGD\\n"
                             "JgDhQ5s=\\n"
                             "-----END CERTIFICATE REQUEST-----\\n";

static void set_template(struct csr_world *w, const char *text)
{
    struct clm_json **templates = &w->host->config.policy.csr_templates;
    char json[512];

    clm_json_free(*templates);
    *templates = NULL;
    (void)snprintf(json, sizeof(json), "%s", text);
    for (char *p = json; *p != '\0'; p++) {
        *p = *p == '\'' ? '"' : *p;
    }
    assert_int_equal(clm_json_parse(json, strlen(json), 65536, templates, NULL), CLM_OK);
}

static void declare_secret(struct csr_world *w)
{
    struct clm_policy *policy = &w->host->config.policy;

    policy->secrets = calloc(1, sizeof(*policy->secrets));
    assert_non_null(policy->secrets);
    policy->n_secrets = 1;
    (void)snprintf(policy->secrets[0].name, sizeof(policy->secrets[0].name), "scep");
    (void)snprintf(policy->secrets[0].path, sizeof(policy->secrets[0].path), "/etc/scep");
}

static void a_template_and_an_order_never_say_the_same(void **state)
{
    static const struct {
        const char *name;
        const char *member;
    } rows[] = {
        {"key_type", "'key_type':'ec-p256'"},
        {"hash", "'hash':'sha256'"},
        {"must_staple", "'must_staple':false"},
        {"eku", "'eku':['server']"},
        {"challenge_password_ref", "'challenge_password_ref':'scep'"},
        {"key", "'key':'new'"},
        {"o", "'subject':{'o':'A'}"},
    };
    struct csr_world *w = *state;

    w->host->config.policy.orders_per_day = 100;
    declare_secret(w);
    set_template(w, "{'web':{'key_type':'ec-p256','hash':'sha256','must_staple':true,"
                    "'eku':['server'],'challenge_password_ref':'scep','key':'new',"
                    "'subject':{'o':'Root'}}}");
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        char text[256];
        char says[64];

        (void)snprintf(text, sizeof(text), WWW ",'csr':{'mode':'template','template':'web',%s}",
                       rows[i].member);
        (void)snprintf(says, sizeof(says), "says what '%s' is; the order may not", rows[i].name);
        csr_world_refused(w, text, "E_POLICY", says);
    }
}

/* A template is root's, and the policy, too: the stricter one holds. */
static void templates_of_root_are_bound_by_the_policy(void **state)
{
    static const struct {
        const char *template;
        const char *says;
    } rows[] = {
        {"{'web':{'key_type':'rsa-2048'}}", "policy.key_types: 'rsa-2048'"},
        {"{'web':{'key':'reuse'}}", "policy.key_reuse"},
        {"{'web':{'key_type':'ec-p256','challenge_password_ref':'none'}}",
         "challenge password 'none': policy.secrets: there is no 'none'"},
        {"{'web':{'key_type':'ec-p256','eku':['server','client']}}", "policy.eku"},
        {"{'web':{'key_type':'ec-p256','subject':{'st':'SH'}}}", "policy.subject.fields: 'st'"},
    };
    struct csr_world *w = *state;

    w->host->config.policy.orders_per_day = 100;
    clm_strs_done(&w->host->config.policy.subject_fields);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        set_template(w, rows[i].template);
        csr_world_refused(w, WWW ",'csr':{'mode':'template','template':'web'}", "E_POLICY",
                          rows[i].says);
    }
}

static void what_is_not_repeated_is_told(void **state)
{
    struct csr_world *w = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(65536);
    struct csr_good g;

    root_io_text(w->host->tree, "/etc/nginx/www.pem", cert_client);
    csr_world_good(w, BOTH ",'csr':{'mode':'installed'}", &g);
    assert_false(g.info.eku_client);
    assert_int_equal(clm_json_print(clm_json_get(g.reply, "left_out"), false, &text, NULL), CLM_OK);
    assert_non_null(strstr(clm_buf_str(&text), "a subject alternative name of another kind"));
    assert_non_null(strstr(clm_buf_str(&text), "the purpose 'client', which policy.eku"));
    csr_world_good_done(&g);
    assert_int_equal(clm_strs_add(&w->host->config.policy.eku, "client", NULL), CLM_OK);
    csr_world_good(w, BOTH ",'csr':{'mode':'installed'}", &g);
    assert_true(g.info.eku_client);
    assert_int_equal(clm_json_len(clm_json_get(g.reply, "left_out")), 1);
    csr_world_good_done(&g);
}

static void a_kind_of_key_that_is_not_made_here_must_be_replaced(void **state)
{
    struct csr_world *w = *state;
    struct csr_good g;

    root_io_text(w->host->tree, "/etc/nginx/www.pem", cert_p521);
    w->host->config.policy.key_reuse = true;
    csr_world_refused(w, BOTH ",'csr':{'mode':'installed'}", "E_STATE",
                      "which is not made here; use mode 'override' with a 'key_type'");
    csr_world_good(w, BOTH ",'csr':{'mode':'override','key_type':'ec-p256'}", &g);
    assert_int_equal(g.info.key_type, CLM_KEY_EC_P256);
    csr_world_good_done(&g);
    csr_world_refused(w, BOTH ",'csr':{'mode':'installed','key':'reuse'}", "E_STATE",
                      "the key installed at '" SITE "' does not belong to the certificate there");
}

static void a_certificate_that_cannot_be_read_gives_no_identity(void **state)
{
    struct csr_world *w = *state;

    root_io_text(w->host->tree, "/etc/nginx/www.pem", "none");
    csr_world_refused(w, BOTH ",'csr':{'mode':'installed'}", "E_INTERNAL",
                      "certificate installed at '" SITE "': ");
    w->host->config.policy.key_reuse = true;
    root_io_text(w->host->tree, "/etc/nginx/www.key", "none");
    csr_world_refused(w, WWW ",'key':{'type':'ec-p256','reuse':true}", "E_INTERNAL",
                      "key installed at '" SITE "': ");
}

static void the_common_name_is_a_name_of_the_request(void **state)
{
    struct csr_world *w = *state;
    struct csr_good g;

    assert_int_equal(clm_strs_add(&w->host->config.policy.names_allow, "192.0.2.1", NULL), CLM_OK);
    csr_world_good(w,
                   "'sans':{'ip':['192.0.2.1']},'csr':{'mode':'template','key_type':'ec-p256',"
                   "'subject':{'cn':'192.0.2.1'}}",
                   &g);
    assert_string_equal(g.info.subject, "CN=192.0.2.1");
    csr_world_good_done(&g);
    csr_world_refused(w,
                      WWW ",'csr':{'mode':'template','key_type':'ec-p256','subject':{'cn':"
                          "'192.0.2.1'}}",
                      "E_SPEC", "the common name '192.0.2.1' is none of the names");
    root_io_text(w->host->tree, "/etc/nginx/www.pem", cert_legacy);
    csr_world_refused(w, WWW ",'csr':{'mode':'installed'}", "E_SPEC",
                      "the common name 'legacy.example.com' is none of the names");
    csr_world_refused(w, WWW ",'csr':{'mode':'override','hash':'sha256'}", "E_SPEC",
                      "mode 'override' can replace it");
    w->host->config.policy.orders_per_day = 100;
    csr_world_refused(
        w, "'sans':{'dns':['" LONG "']},'csr':{'mode':'override','sans':{'dns':['" LONG "']}}",
        "E_SPEC", "the common name 'legacy.example.com'");
    csr_world_refused(w,
                      "'sans':{'ip':['192.0.2.1']},'csr':{'mode':'override','sans':{'dns':[],"
                      "'ip':['192.0.2.1']}}",
                      "E_SPEC", "the common name 'legacy.example.com'");
    csr_world_good(w, WWW ",'csr':{'mode':'override','subject':{'cn':'www.example.com'}}", &g);
    assert_string_equal(g.info.subject, "CN=www.example.com");
    csr_world_good_done(&g);
}

static void an_uploaded_request_holds_nothing_unread(void **state)
{
    static const struct {
        const char *pem;
        const char *says;
    } rows[] = {
        {csr_other_name, "a name that is no DNS name, IP address, mail address or URI"},
        {csr_other_eku, "a purpose besides server and client"},
        {csr_ca, "the certificate of a CA"},
    };
    struct csr_world *w = *state;
    char text[4096];

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        (void)snprintf(text, sizeof(text), BOTH ",'csr':{'mode':'uploaded','csr_pem':'%s'}",
                       rows[i].pem);
        csr_world_refused(w, text, "E_POLICY", rows[i].says);
    }
    clm_strs_done(&w->host->config.policy.key_types);
    assert_int_equal(clm_strs_add(&w->host->config.policy.key_types, "rsa-2048", NULL), CLM_OK);
    (void)snprintf(text, sizeof(text), BOTH ",'csr':{'mode':'uploaded','csr_pem':'%s'}",
                   csr_other_name);
    csr_world_refused(w, text, "E_POLICY", "the request asks for"); /* the worse reason first */
}

static void a_key_that_is_used_again_is_of_this_certificate(void **state)
{
    struct csr_world *w = *state;
    struct csr_good first;
    struct csr_good second;
    struct clm_json *body;
    char text[512];
    char job_id[CLM_ID_SIZE];

    w->host->config.policy.key_reuse = true;
    csr_world_good(w, WWW ",'key':{'type':'ec-p256'}", &first);
    (void)snprintf(text, sizeof(text), WWW ",'key':{'type':'ec-p256','reuse':true,'key_ref':'%s'}",
                   clm_json_text(clm_json_get(first.reply, "key_ref")));
    csr_world_good(w, text, &second);
    assert_string_equal(first.info.spki_sha256, second.info.spki_sha256);

    (void)snprintf(text, sizeof(text),
                   "{\"certificate_id\":\"" OTHER_CRT "\",\"sans\":{\"dns\":[\"www.example.com\"]},"
                   "\"key\":{\"type\":\"ec-p256\",\"reuse\":true,\"key_ref\":\"%s\"}}",
                   clm_json_text(clm_json_get(first.reply, "key_ref")));
    host_world_accept(w->host, "order", SITE, ++w->seq, text, job_id);
    body = csr_world_body(job_id);
    assert_int_not_equal(host_world_ask(w->host, CLM_OP_CSR, body, NULL), CLM_OK);
    assert_string_equal(w->host->fail.problem, "E_POLICY");
    assert_non_null(strstr(w->host->err.msg, "belongs to another certificate"));
    csr_world_good_done(&first);
    csr_world_good_done(&second);
}

/* Accepted under another policy: the one of now holds. */
static void the_policy_of_now_holds(void **state)
{
    static const char *const specs[] = {
        "{\"certificate_id\":\"" CRT "\",\"sans\":{\"dns\":[\"www.example.com\"]},\"key\":{"
        "\"type\":\"ec-p256\"},\"csr\":{\"mode\":\"reuse_csr\"}}",
        "{\"certificate_id\":\"" CRT "\",\"sans\":{\"dns\":[\"www.example.com\"]},\"key\":{"
        "\"type\":\"ec-p256\",\"reuse\":true}}",
    };
    struct csr_world *w = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(specs); i++) {
        char job_id[CLM_ID_SIZE];

        w->host->config.policy.key_reuse = true;
        host_world_accept(w->host, "order", SITE, ++w->seq, specs[i], job_id);
        w->host->config.policy.key_reuse = false;
        assert_int_not_equal(host_world_ask(w->host, CLM_OP_CSR, csr_world_body(job_id), NULL),
                             CLM_OK);
        assert_string_equal(w->host->fail.problem, "E_POLICY");
        assert_non_null(strstr(w->host->err.msg, "policy.key_reuse"));
    }
    assert_int_equal(csr_world_keys(w), 0);
}

static void a_key_that_is_used_again_must_be_allowed(void **state)
{
    struct csr_world *w = *state;
    struct clm_policy *policy = &w->host->config.policy;
    struct csr_good g;

    policy->key_reuse = true;
    csr_world_good(w, BOTH ",'csr':{'mode':'override','key_type':'ec-p384','key':'reuse'}", &g);
    assert_int_equal(g.info.key_type, CLM_KEY_EC_P384);
    csr_world_good_done(&g);
    clm_strs_done(&policy->key_types);
    assert_int_equal(clm_strs_add(&policy->key_types, "ec-p256", NULL), CLM_OK);
    csr_world_refused(w, BOTH ",'csr':{'mode':'installed','key':'reuse'}", "E_POLICY",
                      "policy.key_types: 'ec-p384'");
}

static void copy_fixture(struct csr_world *w, const char *name, const char *to)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf data = CLM_BUF_INIT(65536);
    char path[128];

    (void)snprintf(path, sizeof(path), "tests/fixtures/pki/%s", name);
    assert_int_equal(clm_fs_read(path, 65535, &data, NULL), CLM_OK);
    root_io_write(w->host->tree, to, data.data, data.len);
}

/* The password is where nginx reads it. */
/* Whatever a password opened it with: a key that is not the certificate's is not used. */
static void a_key_of_another_certificate_is_not_used_again(void **state)
{
    struct csr_world *w = *state;

    w->host->config.policy.key_reuse = true;
    copy_fixture(w, "other.key", "/etc/nginx/www.key");
    csr_world_refused(w, WWW ",'key':{'type':'ec-p256','reuse':true}", "E_STATE",
                      "does not belong to the certificate there; order with a new key");
    root_io_text(w->host->tree, "/etc/nginx/www.pem", "none");
    csr_world_refused(w, WWW ",'key':{'type':'ec-p256','reuse':true}", "E_INTERNAL",
                      "certificate installed at '" SITE "': ");
}

static void an_encrypted_key_can_be_used_again(void **state)
{
    static const struct root_io_owner owners[] = {{"/etc/nginx/words", 0, 0, 0600},
                                                  {NULL, 0, 0, 0}};
    struct csr_world *w = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(65536);
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    struct csr_good g;
    char spki[65];

    copy_fixture(w, "www.pem", "/etc/nginx/www.pem");
    copy_fixture(w, "www.enc.key", "/etc/nginx/www.key");
    root_io_text(w->host->tree, "/etc/nginx/words", "wrong\nsecret\n");
    root_io_text(w->host->tree, "/etc/nginx/nginx.conf",
                 "events {}\nhttp { ssl_password_file words;\n"
                 "server { listen 443 ssl; server_name www.example.com;\n"
                 "ssl_certificate www.pem; ssl_certificate_key www.key; } }\n");
    w->host->io.owners = owners;
    w->host->config.policy.key_reuse = true;
    csr_world_good(w, WWW ",'key':{'type':'ec-p256','reuse':true}", &g);
    assert_int_equal(clm_fs_read("tests/fixtures/pki/www.key", 65535, &pem, NULL), CLM_OK);
    assert_int_equal(clm_key_from_pem(pem.data, pem.len, &key, NULL), CLM_OK);
    assert_int_equal(clm_key_spki_sha256_hex(key, spki, NULL), CLM_OK);
    assert_string_equal(g.info.spki_sha256, spki);
    csr_world_good_done(&g);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, csr_world_setup, csr_world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_template_and_an_order_never_say_the_same),
        TEST(templates_of_root_are_bound_by_the_policy),
        TEST(what_is_not_repeated_is_told),
        TEST(a_kind_of_key_that_is_not_made_here_must_be_replaced),
        TEST(a_key_of_another_certificate_is_not_used_again),
        TEST(a_certificate_that_cannot_be_read_gives_no_identity),
        TEST(the_common_name_is_a_name_of_the_request),
        TEST(an_uploaded_request_holds_nothing_unread),
        TEST(a_key_that_is_used_again_is_of_this_certificate),
        TEST(the_policy_of_now_holds),
        TEST(a_key_that_is_used_again_must_be_allowed),
        TEST(an_encrypted_key_can_be_used_again),
    };

    return cmocka_run_group_tests_name("csr edges", tests, NULL, NULL);
}
