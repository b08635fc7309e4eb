/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/pki.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/base/clock.h"
#include "agent/base/fs.h"
#include "agent/crypto/ca.h"

#define CA_LIFE_S     (10LL * 365 * CLM_CP_DAY_S)
#define SUB_CA_LIFE_S (5LL * 365 * CLM_CP_DAY_S)
#define CLOCK_SLACK_S 300 /* not_before of our own certificates lies this far back */
#define KID_FILE_MAX  64

struct authority_spec {
    const char *name; /* of the files, and the last word of the subject */
    const char *common_name;
    const struct clm_cp_authority *issuer; /* NULL: signs itself */
    int path_len;
};

static enum clm_code file_path(const char *dir, const char *name, const char *suffix, char *dst,
                               struct clm_err *err)
{
    return clm_str_fmt(dst, PATH_MAX, err, "%s/%s%s", dir, name, suffix);
}

static enum clm_code load_key(const char *path, struct clm_key **out_key, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX);
    enum clm_code code = clm_fs_read(path, CLM_KEY_PEM_MAX, &pem, err);

    if (code == CLM_OK) {
        code = clm_key_from_pem(pem.data, pem.len, out_key, err);
    }
    return code == CLM_OK ? code : clm_err_wrap(err, code, "'%s'", path);
}

static enum clm_code make_key(struct clm_rng *rng, const char *path, struct clm_key **out_key,
                              struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX);
    enum clm_code code = clm_key_generate(rng, CLM_KEY_EC_P256, out_key, err);

    if (code == CLM_OK) {
        code = clm_key_to_pem(*out_key, &pem, err);
    }
    if (code == CLM_OK) {
        code = clm_fs_replace(path, pem.data, pem.len, 0600, err);
    }
    return code;
}

static enum clm_code load_or_make_key(struct clm_rng *rng, const char *path,
                                      struct clm_key **out_key, struct clm_err *err)
{
    return clm_fs_exists(path) != 0 ? load_key(path, out_key, err)
                                    : make_key(rng, path, out_key, err);
}

static enum clm_code issue_authority(const struct clm_cp_pki *pki,
                                     const struct authority_spec *spec, int64_t now_s,
                                     struct clm_cp_authority *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf spki = CLM_BUF_INIT(CLM_KEY_DER_MAX);
    struct clm_ca_issue issue = {
        .common_name = spec->common_name,
        .not_before_s = now_s - CLOCK_SLACK_S,
        .not_after_s = now_s + (spec->issuer == NULL ? CA_LIFE_S : SUB_CA_LIFE_S),
        .is_ca = true,
        .path_len = spec->path_len,
    };

    if (spec->issuer == NULL) {
        return clm_ca_self_signed(pki->rng, out->key, &issue, &out->pem, err);
    }
    enum clm_code code = clm_key_public_der(out->key, &spki, err);

    if (code != CLM_OK) {
        return code;
    }
    issue.spki = spki.data;
    issue.spki_len = spki.len;
    issue.issuer = spec->issuer->cert;
    issue.issuer_key = spec->issuer->key;
    return clm_ca_issue(pki->rng, &issue, &out->pem, err);
}

/* The key is written first: a crash in between leaves a key without certificate, and the next
 * start makes the certificate for it. */
static enum clm_code open_authority(const struct clm_cp_pki *pki, const char *dir,
                                    const struct authority_spec *spec, int64_t now_s,
                                    struct clm_cp_authority *out, struct clm_err *err)
{
    char path[PATH_MAX];
    bool matches = false;
    enum clm_code code = file_path(dir, spec->name, ".key", path, err);

    if (code == CLM_OK) {
        code = load_or_make_key(pki->rng, path, &out->key, err);
    }
    if (code == CLM_OK) {
        code = file_path(dir, spec->name, ".pem", path, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (clm_fs_exists(path) != 0) {
        code = clm_fs_read(path, CLM_CERT_CHAIN_PEM_MAX, &out->pem, err);
    } else {
        code = issue_authority(pki, spec, now_s, out, err);
        if (code == CLM_OK) {
            code = clm_fs_replace(path, out->pem.data, out->pem.len, 0644, err);
        }
    }
    if (code == CLM_OK) {
        code = clm_cert_chain_from_pem(out->pem.data, out->pem.len, &out->cert, err);
    }
    if (code == CLM_OK) {
        code = clm_cert_matches_key(out->cert, 0, out->key, &matches, err);
    }
    if (code == CLM_OK && !matches) {
        code = clm_err_set(err, CLM_E_CONFIG, "certificate and key '%s/%s.key' do not fit", dir,
                           spec->name);
    }
    return code;
}

static enum clm_code open_authorities(struct clm_cp_pki *pki, const char *dir, int64_t now_s,
                                      struct clm_err *err)
{
    const struct {
        struct authority_spec spec;
        struct clm_cp_authority *out;
    } all[] = {
        {{"ca", "clmbot control plane CA", NULL, -1}, &pki->ca},
        {{"agent-ca", "clmbot agent CA", &pki->ca, 0}, &pki->agent_ca},
        {{"web-root", "clmbot built-in root", NULL, -1}, &pki->web_root},
        {{"web-ca", "clmbot built-in issuer", &pki->web_root, 0}, &pki->web_ca},
    };
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && i < CLM_ARRAY_LEN(all); i++) {
        all[i].out->pem.max = CLM_CERT_CHAIN_PEM_MAX;
        code = open_authority(pki, dir, &all[i].spec, now_s, all[i].out, err);
    }
    return code;
}

static enum clm_code make_kid(const char *path, int64_t now_s, char *dst, size_t size,
                              struct clm_err *err)
{
    char text[CLM_TIME_TEXT_SIZE];

    clm_time_format(now_s, text); /* "2026-11-21T..." */
    enum clm_code code = clm_str_fmt(dst, size, err, "jobs-%.7s", text);

    return code == CLM_OK ? clm_fs_replace(path, dst, strlen(dst), 0644, err) : code;
}

static enum clm_code open_jobs_key(struct clm_cp_pki *pki, const char *dir, int64_t now_s,
                                   struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf kid = CLM_BUF_INIT(KID_FILE_MAX);
    char path[PATH_MAX];
    enum clm_code code = file_path(dir, "jobs", ".key", path, err);

    if (code == CLM_OK) {
        code = load_or_make_key(pki->rng, path, &pki->jobs, err);
    }
    if (code == CLM_OK) {
        code = file_path(dir, "jobs", ".kid", path, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (clm_fs_exists(path) == 0) {
        return make_kid(path, now_s, pki->jobs_kid, sizeof(pki->jobs_kid), err);
    }
    code = clm_fs_read(path, KID_FILE_MAX, &kid, err);
    return code == CLM_OK
               ? clm_str_copy(pki->jobs_kid, sizeof(pki->jobs_kid), clm_buf_str(&kid), err)
               : code;
}

enum clm_code clm_cp_pki_open(const char *dir, int64_t now_s, struct clm_cp_pki **out_pki,
                              struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_pki_free_p) struct clm_cp_pki *pki = calloc(1, sizeof(*pki));

    if (pki == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "keys of the control plane");
    }
    enum clm_code code = clm_rng_new(&pki->rng, err);

    if (code == CLM_OK) {
        code = open_authorities(pki, dir, now_s, err);
    }
    if (code == CLM_OK) {
        code = open_jobs_key(pki, dir, now_s, err);
    }
    if (code == CLM_OK) {
        *out_pki = CLM_STEAL(pki);
    }
    return code;
}

static void authority_done(struct clm_cp_authority *authority)
{
    clm_key_free(authority->key);
    clm_cert_chain_free(authority->cert);
    clm_buf_done(&authority->pem);
}

void clm_cp_pki_free(struct clm_cp_pki *pki)
{
    if (pki != NULL) {
        authority_done(&pki->ca);
        authority_done(&pki->agent_ca);
        authority_done(&pki->web_root);
        authority_done(&pki->web_ca);
        clm_key_free(pki->jobs);
        clm_rng_free(pki->rng);
        free(pki);
    }
}

void clm_cp_pki_pin(const struct clm_cp_pki *pki, char dst[CLM_PIN_SIZE])
{
    clm_cert_pin(pki->ca.cert, 0, dst);
}
