/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/host/csr_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/crypto/ca.h"
#include "agent/model/csr_spec.h"
#include "tests/support/host_tree.h"

static const struct root_io_program programs[] = {
    {"/usr/sbin/nginx -V", 0,
     "nginx version: nginx/1.22.1\nconfigure arguments: "
     "--conf-path=/etc/nginx/nginx.conf --prefix=/usr/share/nginx\n"},
    {NULL, 0, NULL},
};

/* The certificate of SITE: subject O, two OU, C; two names, a mail address; must-staple. */
static void install(struct csr_world *w)
{
    CLM_CLEANUP(clm_subject_done) struct clm_subject subject = {.field = {{NULL, 0}}};
    CLM_CLEANUP(clm_names_done) struct clm_names names = {.dns = {NULL, 0}};
    CLM_CLEANUP(clm_buf_done) struct clm_buf spki = CLM_BUF_INIT(CLM_KEY_DER_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(65536);
    CLM_CLEANUP(clm_buf_done) struct clm_buf key_pem = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX);
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *ca = NULL;
    static const char *const values[][2] = {
        {"cn", "www.example.com"}, {"o", "Example"}, {"ou", "Web"}, {"ou", "Ops"}, {"c", "DE"}};

    for (size_t i = 0; i < CLM_ARRAY_LEN(values); i++) {
        for (int f = 0; f < CLM_SUBJECT__COUNT; f++) {
            if (strcmp(clm_subject_field_name((enum clm_subject_field)f), values[i][0]) == 0) {
                assert_int_equal(clm_strs_add(&subject.field[f], values[i][1], NULL), CLM_OK);
            }
        }
    }
    clm_test_names("www.example.com,api.example.com", &names);
    assert_int_equal(clm_key_generate(w->host->rng, CLM_KEY_EC_P384, &w->key, NULL), CLM_OK);
    assert_int_equal(clm_key_public_der(w->key, &spki, NULL), CLM_OK);
    assert_int_equal(clm_cert_chain_from_pem(w->host->ca_pem.data, w->host->ca_pem.len, &ca, NULL),
                     CLM_OK);
    const struct clm_ca_issue issue = {.subject = &subject,
                                       .names = &names,
                                       .spki = spki.data,
                                       .spki_len = spki.len,
                                       .not_before_s = w->host->now_s - 100,
                                       .not_after_s = w->host->now_s + 100000,
                                       .eku_server = true,
                                       .must_staple = true,
                                       .issuer = ca,
                                       .issuer_key = w->host->ca_key};

    assert_int_equal(clm_ca_issue(w->host->rng, &issue, &pem, NULL), CLM_OK);
    assert_int_equal(clm_key_to_pem(w->key, &key_pem, NULL), CLM_OK);
    root_io_write(w->host->tree, "/etc/nginx/www.pem", pem.data, pem.len);
    root_io_write(w->host->tree, "/etc/nginx/www.key", key_pem.data, key_pem.len);
}

int csr_world_setup(void **state)
{
    static const struct host_socket sockets[] = {{"00000000", 443, 7, 0}};
    struct csr_world *w = calloc(1, sizeof(*w));

    w->host = host_world_new();
    w->host->io.programs = programs;
    root_io_text(w->host->tree, "/usr/sbin/nginx", "");
    root_io_text(w->host->tree, "/etc/nginx/nginx.conf",
                 "events {}\nhttp { server { listen 443 ssl; server_name www.example.com;\n"
                 "ssl_certificate www.pem; ssl_certificate_key www.key; } }\n");
    host_tree_process(w->host->tree, &(struct host_process){.pid = 20,
                                                            .parent = 1,
                                                            .start = 9,
                                                            .comm = "nginx",
                                                            .exe = "/usr/sbin/nginx",
                                                            .cmdline = "nginx: master process",
                                                            .unit = "nginx.service",
                                                            .sockets = {7}});
    host_tree_sockets(w->host->tree, 20, sockets, 1);
    install(w);
    *state = w;
    return 0;
}

int csr_world_teardown(void **state)
{
    struct csr_world *w = *state;

    clm_key_free(w->key);
    host_world_free(w->host);
    free(w);
    return 0;
}

/* {"certificate_id": .., text}, with ' for ". */
static char *spec_of(const char *text)
{
    static char spec[40000];

    (void)snprintf(spec, sizeof(spec), "{'certificate_id':'" CRT "',%s}", text);
    for (char *p = spec; *p != '\0'; p++) {
        *p = *p == '\'' ? '"' : *p;
    }
    return spec;
}

struct clm_json *csr_world_body(const char *job_id)
{
    struct clm_json *body = clm_json_new_object();

    clm_json_set_str(body, "job_id", job_id);
    return body;
}

/* Accepts the order and asks for its request. */
static enum clm_code ask(struct csr_world *w, const char *text, struct clm_csr_info *out,
                         struct clm_json **out_reply, char job_id[CLM_ID_SIZE])
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    struct clm_json *job = host_world_job(w->host, "order", SITE, ++w->seq, spec_of(text));
    enum clm_code code =
        host_world_ask(w->host, CLM_OP_JOB_ACCEPT, host_world_sign(w->host, job), NULL);
    const char *csr;

    (void)snprintf(job_id, CLM_ID_SIZE, "%s", clm_json_text(clm_json_get(job, "job_id")));
    clm_json_free(job);
    if (code == CLM_OK) {
        code = host_world_ask(w->host, CLM_OP_CSR, csr_world_body(job_id), out_reply);
    }
    if (code == CLM_OK) {
        csr = clm_json_text(clm_json_get(*out_reply, "csr"));
        assert_int_equal(clm_b64url_decode(csr, strlen(csr), &der, NULL), CLM_OK);
        assert_int_equal(clm_csr_parse(der.data, der.len, out, NULL), CLM_OK);
    }
    return code;
}

size_t csr_world_keys(struct csr_world *w)
{
    char pattern[PATH_MAX + 32];
    glob_t found;
    size_t n;

    (void)snprintf(pattern, sizeof(pattern), "%s/host/keys/*", w->host->state_dir);
    n = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return n;
}

void csr_world_good(struct csr_world *w, const char *text, struct csr_good *out)
{
    out->reply = NULL;
    if (ask(w, text, &out->info, &out->reply, out->job_id) != CLM_OK) {
        fail_msg("%s: %s", w->host->fail.problem, w->host->err.msg);
    }
}

void csr_world_good_done(struct csr_good *g)
{
    clm_csr_info_done(&g->info);
    clm_json_free(g->reply);
}

void csr_world_refused(struct csr_world *w, const char *text, const char *problem, const char *says)
{
    struct clm_csr_info info = {.must_staple = false};
    struct clm_json *reply = NULL;
    char job_id[CLM_ID_SIZE];
    size_t before = csr_world_keys(w);

    if (ask(w, text, &info, &reply, job_id) == CLM_OK) {
        fail_msg("accepted: %s", text);
    }
    if (strcmp(w->host->fail.problem, problem) != 0 || strstr(w->host->err.msg, says) == NULL) {
        fail_msg("%s: %s (expected %s: %s)", w->host->fail.problem, w->host->err.msg, problem,
                 says);
    }
    assert_int_equal(csr_world_keys(w), before);
}
