/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/run/identity.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/base/clock.h"
#include "agent/base/dirlock.h"
#include "agent/base/fs.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/csr.h"
#include "agent/crypto/rng.h"
#include "agent/model/bundle.h"
#include "agent/run/files.h"

#define FILE_MAX     262144u /* next.done.json: a chain of 64 KiB and two CA certificates */
#define LOCK_WAIT_MS 10000   /* another process of ours finishes its change: a few fsync(2) */
#define PATH_SIZE    (PATH_MAX + 32) /* a name behind the longest directory */

void clm_identity_done(struct clm_identity *identity)
{
    clm_strs_done(&identity->urls);
    *identity = (struct clm_identity){0};
}

void clm_identity_pending_done(struct clm_identity_pending *pending)
{
    clm_buf_done(&pending->csr_der);
}

enum clm_code clm_identity_path(const char *dir, const char *name, char *dst, struct clm_err *err)
{
    return clm_str_fmt(dst, PATH_MAX, err, "%s/%s", dir, name);
}

int64_t clm_identity_half_life(int64_t now_s, int64_t not_after_s)
{
    int64_t left_s = not_after_s - now_s;

    if (left_s <= 0) {
        return now_s;
    }
    uint32_t span_s = left_s / 10 > INT32_MAX ? INT32_MAX : (uint32_t)(left_s / 10);
    return now_s + left_s * 45 / 100 + (int64_t)clm_rand_below(span_s + 1);
}

/* Never cut: what is too long for the kernel is refused by it. */
static void path_in(const char *dir, const char *name, char dst[PATH_SIZE])
{
    (void)snprintf(dst, PATH_SIZE, "%s/%s", dir, name);
}

/* ---- agent.json ---- */

static void identity_to_json(const struct clm_identity *in, struct clm_json *obj)
{
    struct clm_json *urls = clm_json_set_array(obj, "urls");

    clm_json_set_str(obj, "agent_id", in->agent_id);
    clm_json_set_str(obj, "tenant", in->tenant);
    for (size_t i = 0; i < in->urls.n; i++) {
        clm_json_add_str(urls, in->urls.v[i]);
    }
    clm_json_set_int(obj, "generation", in->generation);
    clm_json_set_int(obj, "not_after_s", in->not_after_s);
    clm_json_set_int(obj, "renew_after_s", in->renew_after_s);
    clm_json_set_int(obj, "enrolled_at_s", in->enrolled_at_s);
}

static enum clm_code read_text(const struct clm_json *obj, const char *key, char *dst, size_t size,
                               struct clm_err *err)
{
    const char *text = NULL;

    enum clm_code code = clm_json_str(obj, key, size - 1, &text, err);
    if (code == CLM_OK) {
        (void)snprintf(dst, size, "%s", text);
    }
    return code;
}

static enum clm_code read_urls(const struct clm_json *obj, struct clm_strs *out,
                               struct clm_err *err)
{
    const struct clm_json *urls = NULL;

    enum clm_code code = clm_json_array(obj, "urls", CLM_IDENTITY_URLS_MAX, &urls, err);
    for (const struct clm_json *n = clm_json_first(urls); code == CLM_OK && n != NULL;
         n = clm_json_next(n)) {
        const char *url = clm_json_text(n);

        if (url == NULL || strlen(url) >= CLM_IDENTITY_URL_MAX) {
            return clm_err_set(err, CLM_E_PARSE, "urls: not a list of URLs");
        }
        code = clm_strs_add(out, url, err);
    }
    if (code == CLM_OK && out->n == 0) {
        code = clm_err_set(err, CLM_E_PARSE, "urls: empty");
    }
    return code;
}

static enum clm_code identity_from_json(const struct clm_json *obj, struct clm_identity *out,
                                        struct clm_err *err)
{
    const struct {
        const char *key;
        int64_t *value;
    } numbers[] = {
        {"generation", &out->generation},
        {"not_after_s", &out->not_after_s},
        {"renew_after_s", &out->renew_after_s},
        {"enrolled_at_s", &out->enrolled_at_s},
    };
    enum clm_code code = read_text(obj, "agent_id", out->agent_id, sizeof(out->agent_id), err);
    if (code == CLM_OK) {
        code = read_text(obj, "tenant", out->tenant, sizeof(out->tenant), err);
    }
    for (size_t i = 0; code == CLM_OK && i < CLM_ARRAY_LEN(numbers); i++) {
        code = clm_json_int(obj, numbers[i].key, 0, CLM_JSON_INT_MAX, numbers[i].value, err);
    }
    return code == CLM_OK ? read_urls(obj, &out->urls, err) : code;
}

/* ---- moving the new identity into place ---- */

static enum clm_code write_text(const char *dir, const char *name, const char *text,
                                struct clm_err *err)
{
    char path[PATH_SIZE];

    path_in(dir, name, path);
    return clm_fs_replace(path, text, strlen(text), 0600, err);
}

/* One that cannot be looked for is not one that is not there: a key would be left behind, or made
 * anew. */
static enum clm_code find_file(const char *dir, const char *name, char path[PATH_SIZE],
                               bool *out_found, struct clm_err *err)
{
    struct stat st;

    *out_found = false;
    path_in(dir, name, path);
    if (lstat(path, &st) != 0) {
        return errno == ENOENT ? CLM_OK : clm_err_sys(err, errno, "'%s' in '%.100s'", name, dir);
    }
    *out_found = true;
    return CLM_OK;
}

/* The key moves; after a crash behind the move there is nothing left to do. */
static enum clm_code move_key(const char *dir, struct clm_err *err)
{
    char from[PATH_SIZE];
    char to[PATH_SIZE];
    bool is_there = false;

    enum clm_code code = find_file(dir, "next.key", from, &is_there, err);
    if (code != CLM_OK || !is_there) {
        return code;
    }
    path_in(dir, "tls.key", to);
    return clm_fs_rename(from, to, err);
}

static enum clm_code remove_one(const char *dir, const char *name, struct clm_err *err)
{
    char path[PATH_SIZE];

    path_in(dir, name, path);
    return clm_fs_unlink(path, err);
}

/* Every step may have been done already: called again until next.done.json is gone. */
static enum clm_code finish_change(const char *dir, const struct clm_json *done,
                                   struct clm_err *err)
{
    const struct clm_json *agent = NULL;
    const char *cert_pem = NULL;
    const char *ca_pem = NULL;
    char path[PATH_SIZE];

    enum clm_code code = clm_json_object(done, "agent", &agent, err);
    if (code == CLM_OK) {
        code = clm_json_str(done, "certificate", CLM_CHAIN_PEM_MAX, &cert_pem, err);
    }
    if (code == CLM_OK) {
        code = clm_json_str_or(done, "ca", CLM_CHAIN_PEM_MAX, "", &ca_pem, err);
    }
    if (code == CLM_OK) {
        code = move_key(dir, err);
    }
    if (code == CLM_OK) {
        code = write_text(dir, "tls.pem", cert_pem, err);
    }
    if (code == CLM_OK && ca_pem[0] != '\0') {
        code = write_text(dir, "ca.pem", ca_pem, err);
    }
    if (code == CLM_OK) {
        path_in(dir, "agent.json", path);
        code = clm_file_write_json(path, FILE_MAX, agent, err);
    }
    if (code == CLM_OK) {
        code = remove_one(dir, "next.json", err);
    }
    if (code == CLM_OK) {
        code = remove_one(dir, "next.done.json", err);
    }
    return code;
}

static enum clm_code finish_if_begun(const char *dir, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *done = NULL;
    CLM_CLEANUP(clm_fs_close_p) int lock_fd = -1;
    char path[PATH_SIZE];
    bool is_begun = false;

    enum clm_code code = find_file(dir, "next.done.json", path, &is_begun, err);
    if (code == CLM_OK && is_begun) {
        code = clm_dirlock_take(dir, LOCK_WAIT_MS, &lock_fd, err);
    }
    if (code == CLM_OK && is_begun) { /* whoever held the lock may have finished it */
        code = find_file(dir, "next.done.json", path, &is_begun, err);
    }
    if (code != CLM_OK || !is_begun) {
        return code;
    }
    code = clm_file_read_json(path, FILE_MAX, &done, err);
    return code == CLM_OK ? finish_change(dir, done, err) : code;
}

enum clm_code clm_identity_load(const char *dir, struct clm_identity *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = NULL;
    char path[PATH_SIZE];

    *out = (struct clm_identity){0};
    path_in(dir, "agent.json", path);
    enum clm_code code = finish_if_begun(dir, err);
    if (code == CLM_OK) {
        code = clm_file_read_json(path, FILE_MAX, &obj, err);
    }
    if (code == CLM_E_NOTFOUND) {
        return clm_err_set(err, CLM_E_NOTFOUND,
                           "this agent is not enrolled; run 'clmbot enroll' with a join token");
    }
    if (code == CLM_OK) {
        code = identity_from_json(obj, out, err);
        if (code != CLM_OK) {
            code = clm_err_wrap(err, code, "%s", path);
        }
    }
    if (code != CLM_OK) {
        clm_identity_done(out);
    }
    return code;
}

/* ---- pending requests ---- */

enum clm_code clm_identity_abandon(const char *dir, struct clm_err *err)
{
    enum clm_code code = remove_one(dir, "next.json", err);
    if (code == CLM_OK) {
        code = remove_one(dir, "next.key", err);
    }
    return code;
}

static enum clm_code pending_from_json(const struct clm_json *obj, struct clm_identity_pending *out,
                                       struct clm_err *err)
{
    const char *csr = NULL;
    const struct {
        const char *key;
        char *dst;
        size_t size;
    } texts[] = {
        {"reason", out->reason, sizeof(out->reason)},
        {"idempotency_key", out->idempotency_key, sizeof(out->idempotency_key)},
        {"token_id", out->token_id, sizeof(out->token_id)},
    };

    enum clm_code code = clm_json_str(obj, "csr", CLM_IDENTITY_CSR_TEXT, &csr, err);
    for (size_t i = 0; code == CLM_OK && i < CLM_ARRAY_LEN(texts); i++) {
        code = read_text(obj, texts[i].key, texts[i].dst, texts[i].size, err);
    }
    return code == CLM_OK ? clm_b64url_decode(csr, strlen(csr), &out->csr_der, err) : code;
}

static enum clm_code write_pending(const char *dir, const struct clm_identity_pending *pending,
                                   struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf csr = CLM_BUF_INIT(CLM_IDENTITY_CSR_TEXT);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    char path[PATH_SIZE];

    enum clm_code code = clm_b64url_encode(pending->csr_der.data, pending->csr_der.len, &csr, err);
    if (code != CLM_OK) {
        return code;
    }
    clm_json_set_str(obj, "reason", pending->reason);
    clm_json_set_str(obj, "idempotency_key", pending->idempotency_key);
    clm_json_set_str(obj, "token_id", pending->token_id);
    clm_json_set_str(obj, "csr", clm_buf_str(&csr));
    path_in(dir, "next.json", path);
    return clm_file_write_json(path, FILE_MAX, obj, err);
}

static enum clm_code new_key(const char *path, struct clm_key **out_key, struct clm_err *err)
{
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *rng = NULL;
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX);

    enum clm_code code = clm_rng_new(&rng, err);
    if (code == CLM_OK) {
        code = clm_key_generate(rng, CLM_KEY_EC_P256, &key, err);
    }
    if (code == CLM_OK) {
        code = clm_key_to_pem(key, &pem, err);
    }
    if (code == CLM_OK) {
        code = clm_fs_replace(path, pem.data, pem.len, 0600, err);
    }
    if (code == CLM_OK) {
        *out_key = CLM_STEAL(key);
    }
    return code;
}

/* The key first: without next.json it counts for nothing. */
static enum clm_code make_pending(const char *dir, const char *reason, const char *token_id,
                                  struct clm_identity_pending *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *rng = NULL;
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    const struct clm_csr_request request = {.common_name = "clmbot"};
    char path[PATH_SIZE];

    path_in(dir, "next.key", path);
    enum clm_code code = new_key(path, &key, err);
    if (code == CLM_OK) {
        code = clm_rng_new(&rng, err);
    }
    if (code == CLM_OK) {
        code = clm_csr_build(rng, key, &request, &out->csr_der, err);
    }
    if (code == CLM_OK) {
        code = clm_ulid_new(out->idempotency_key, err);
    }
    if (code == CLM_OK) {
        code = clm_str_copy(out->reason, sizeof(out->reason), reason, err);
    }
    if (code == CLM_OK) {
        code = clm_str_copy(out->token_id, sizeof(out->token_id), token_id, err);
    }
    return code == CLM_OK ? write_pending(dir, out, err) : code;
}

static enum clm_code read_pending(const char *dir, struct clm_identity_pending *out,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = NULL;
    char path[PATH_SIZE];

    path_in(dir, "next.json", path);
    enum clm_code code = clm_file_read_json(path, FILE_MAX, &obj, err);
    return code == CLM_OK ? pending_from_json(obj, out, err) : code;
}

enum clm_code clm_identity_begin(const char *dir, const char *reason, const char *token_id,
                                 struct clm_identity_pending *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int lock_fd = -1;
    char path[PATH_SIZE];
    bool has_key = false;

    *out = (struct clm_identity_pending){.csr_der = CLM_BUF_INIT(CLM_CSR_MAX)};
    enum clm_code code = finish_if_begun(dir, err);
    if (code == CLM_OK) {
        code = clm_dirlock_take(dir, LOCK_WAIT_MS, &lock_fd, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    code = read_pending(dir, out, err);
    if (code == CLM_OK) {
        code = find_file(dir, "next.key", path, &has_key, err);
    }
    if (code == CLM_OK && !has_key) {
        code = CLM_E_NOTFOUND; /* a request without its key is none */
    }
    bool is_enroll = strcmp(reason, "enroll") == 0;
    if (code == CLM_OK && is_enroll == (strcmp(out->reason, "enroll") == 0) &&
        strcmp(out->token_id, token_id) == 0) {
        if (strcmp(out->reason, reason) == 0) {
            return CLM_OK;
        }
        /* The same key and request, asked for in the other way. */
        code = clm_str_copy(out->reason, sizeof(out->reason), reason, err);
        if (code == CLM_OK) {
            code = clm_ulid_new(out->idempotency_key, err);
        }
        return code == CLM_OK ? write_pending(dir, out, err) : code;
    }
    clm_identity_pending_done(out);
    *out = (struct clm_identity_pending){.csr_der = CLM_BUF_INIT(CLM_CSR_MAX)};
    if (code != CLM_OK && code != CLM_E_NOTFOUND && code != CLM_E_PARSE) {
        return code;
    }
    code = clm_identity_abandon(dir, err);
    return code == CLM_OK ? make_pending(dir, reason, token_id, out, err) : code;
}

static enum clm_code load_key(const char *path, struct clm_key **out_key, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX);

    enum clm_code code = clm_fs_read(path, CLM_KEY_PEM_MAX, &pem, err);
    if (code != CLM_OK) {
        return code;
    }
    code = clm_key_from_pem(pem.data, pem.len, out_key, err);
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "%s", path);
}

enum clm_code clm_identity_check(const char *dir, const char *cert_pem, struct clm_err *err)
{
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    char path[PATH_SIZE];
    bool matches = false;

    path_in(dir, "next.key", path);
    enum clm_code code = load_key(path, &key, err);
    if (code == CLM_OK) {
        code = clm_cert_chain_from_pem(cert_pem, strlen(cert_pem), &chain, err);
    }
    if (code == CLM_OK) {
        code = clm_cert_matches_key(chain, 0, key, &matches, err);
    }
    if (code == CLM_OK && !matches) {
        code = clm_err_set(err, CLM_E_CRYPTO,
                           "the certificate from the control plane is for another key");
    }
    return code;
}

enum clm_code clm_identity_commit(const char *dir, const struct clm_identity *now,
                                  const char *cert_pem, const char *ca_pem, struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int lock_fd = -1;
    char path[PATH_SIZE];

    path_in(dir, "next.done.json", path);
    enum clm_code code = clm_dirlock_take(dir, LOCK_WAIT_MS, &lock_fd, err);
    if (code == CLM_OK) {
        code = clm_identity_check(dir, cert_pem, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    CLM_CLEANUP(clm_json_free_p) struct clm_json *done = clm_json_new_object();
    identity_to_json(now, clm_json_set_object(done, "agent"));
    clm_json_set_str(done, "certificate", cert_pem);
    clm_json_set_str(done, "ca", ca_pem == NULL ? "" : ca_pem);
    code = clm_file_write_json(path, FILE_MAX, done, err);
    return code == CLM_OK ? finish_change(dir, done, err) : code;
}

enum clm_code clm_identity_device_key(const char *dir, struct clm_key **out_key,
                                      struct clm_err *err)
{
    char path[PATH_SIZE];
    bool is_there = false;

    enum clm_code code = find_file(dir, "device.key", path, &is_there, err);
    if (code != CLM_OK) {
        return code;
    }
    return is_there ? load_key(path, out_key, err) : new_key(path, out_key, err);
}

enum clm_code clm_identity_read_ca(const char *dir, struct clm_buf *out, struct clm_err *err)
{
    char path[PATH_SIZE];

    path_in(dir, "ca.pem", path);
    return clm_fs_read(path, CLM_CHAIN_PEM_MAX, out, err);
}
