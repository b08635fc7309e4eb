/* SPDX-License-Identifier: Apache-2.0 */
/* What the declared files hold now. Passwords and keys stay in wiped buffers in here. */
#include <string.h>

#include "agent/crypto/cert.h"
#include "agent/crypto/key.h"
#include "agent/crypto/pkcs7.h"
#include "agent/crypto/pkcs8.h"
#include "agent/keystore/keystore.h"
#include "scanners/declared.h"
#include "scanners/endpoints.h"

#define FILE_MAX 16777216u /* bytes: a keystore; design.md 11 */

struct found {
    struct clm_cert_chain *chain; /* leaf first */
    struct clm_key *key;
};

static void found_done(struct found *found)
{
    clm_cert_chain_free(found->chain);
    clm_key_free(found->key);
}

static enum clm_code open_store(const struct clm_io *io, const struct clm_step *step,
                                const struct clm_buf *data, struct found *found,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf of_key = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    size_t i = 0;
    enum clm_code code = clm_secret_read(io, step->store_password, &password, err);

    if (code == CLM_OK) {
        code = clm_secret_read(io, step->key_password, &of_key, err);
    }
    if (code == CLM_OK) {
        code = clm_keystore_open(data->data, data->len, &password, &store, err);
    }
    if (code != CLM_OK ||
        !clm_keystore_find(store, step->alias[0] != '\0' ? step->alias : NULL, &i) ||
        clm_keystore_entry(store, i)->kind != CLM_ENTRY_KEY) {
        return code; /* no such entry yet: the first deployment adds it */
    }
    code = clm_keystore_chain(store, i, &found->chain, err);
    return code == CLM_OK
               ? clm_keystore_key(store, i, of_key.len > 0 ? &of_key : NULL, &found->key, err)
               : code;
}

/* With the password that clmbot writes it with; a key in clear needs none. */
static enum clm_code open_pem_key(const struct clm_io *io, const struct clm_step *step,
                                  const struct clm_buf *data, struct found *found,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
    enum clm_code code = clm_secret_read(io, step->key_password, &password, err);

    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "'password_file'");
    }
    if (password.len == 0) {
        return clm_key_from_pem(data->data, data->len, &found->key, err);
    }
    code = clm_key_from_pem_password(data->data, data->len, &password, &found->key, err);
    return code == CLM_E_CRYPTO ? clm_err_wrap(err, code, "password_file '%s'",
                                               step->key_password + strlen(CLM_SECRET_FILE))
                                : code;
}

static enum clm_code open_key(const struct clm_io *io, const struct clm_step *step,
                              const struct clm_buf *data, struct found *found, struct clm_err *err)
{
    return step->format == CLM_FORMAT_DER
               ? clm_key_from_der(data->data, data->len, &found->key, err)
               : open_pem_key(io, step, data, found, err);
}

static enum clm_code look_at(const struct clm_io *io, const struct clm_step *step,
                             struct found *found, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf data = CLM_BUF_SECRET_INIT(FILE_MAX);
    enum clm_code code = io->read_file(io->ctx, step->path, FILE_MAX, &data, err);

    if (code == CLM_E_NOTFOUND) {
        return CLM_OK;
    }
    if (code != CLM_OK) {
        return code;
    }
    if (clm_format_is_keystore(step->format)) {
        return found->chain == NULL ? open_store(io, step, &data, found, err) : CLM_OK;
    }
    if (clm_content_has_leaf(step->content) && found->chain == NULL) {
        code = clm_cert_chain_from_any(data.data, data.len, &found->chain, err);
    }
    if (code == CLM_OK && clm_content_has_key(step->content) && found->key == NULL) {
        code = open_key(io, step, &data, found, err);
    }
    return code;
}

enum clm_code clm_declared_look(const struct clm_io *io, const struct clm_declared *declared,
                                struct clm_target *target, struct clm_err *err)
{
    CLM_CLEANUP(found_done) struct found found = {0};
    struct clm_err broken = {0};
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && i < declared->n_outputs; i++) {
        struct clm_step step = {.kind = CLM_STEP_FILE_PUT};
        struct clm_err why = {0};

        if (clm_declared_step(&declared->outputs[i], &step, NULL) != CLM_OK) {
            continue; /* there is a reason already */
        }
        code = look_at(io, &step, &found, &why);
        if (code != CLM_OK) { /* another certificate or key that cannot be read goes away anyway */
            code = code == CLM_E_NOMEM ? clm_err_set(err, code, "declared files")
                   : code == CLM_E_PERM || code == CLM_E_CRYPTO
                       ? clm_target_refuse(target, err, "'%s': %s", step.path, why.msg)
                       : clm_remark(&target->reasons, err, "'%s': %s", step.path, why.msg);
        }
    }
    if (code != CLM_OK || found.chain == NULL) {
        return code;
    }
    code = clm_cert_chain_sort(found.chain, &broken);
    if (code == CLM_E_NOMEM) {
        return clm_err_set(err, code, "%s", broken.msg);
    }
    target->chain_ok = code == CLM_OK;
    target->has_certificate = true;
    if (found.key != NULL) {
        code = clm_cert_matches_key(found.chain, 0, found.key, &target->key_matches, err);
        if (code != CLM_OK) {
            return code;
        }
    }
    return clm_cert_info(found.chain, 0, &target->certificate, err);
}
