/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/base/fsat.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/key.h"
#include "agent/job/store_int.h"
#include "agent/job/txn_build.h"
#include "agent/job/txn_record.h"

/* What the target's files hold, apart by kind. */
struct found {
    struct clm_cert_chain *certs; /* leaf first, then what else is there */
    struct clm_cert_chain *more;  /* of a file of its own */
    struct clm_key *key;
};

static void found_done(struct found *found)
{
    clm_cert_chain_free(found->certs);
    clm_cert_chain_free(found->more);
    clm_key_free(found->key);
}

static void keep_first(struct clm_cert_chain **slot, struct clm_cert_chain **chain)
{
    if (*slot == NULL) {
        *slot = CLM_STEAL(*chain);
    }
}

static enum clm_code read_bytes(const struct clm_step *step, struct clm_buf *out,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_place_done) struct clm_place place = CLM_PLACE_INIT;
    enum clm_code code = clm_fsat_open(step->path, &place, err);

    if (code == CLM_OK) {
        code = clm_fsat_read(place.dir_fd, place.name, CLM_TXN_FILE_MAX, out, NULL, err);
    }
    return code == CLM_E_NOTFOUND || code == CLM_E_CONFLICT ? CLM_OK : code;
}

/* Missing files and what cannot be parsed leave the slot empty; only real failures are errors. */
static enum clm_code read_step(const struct clm_txn_maker *maker, const struct clm_step *step,
                               struct found *found, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf data = CLM_BUF_SECRET_INIT(CLM_TXN_FILE_MAX);
    CLM_CLEANUP(clm_txn_parts_done) struct clm_txn_parts parts = {0};
    bool is_store = clm_format_is_keystore(step->format);
    enum clm_code code = read_bytes(step, &data, err);

    if (code == CLM_OK) {
        code = clm_txn_take_apart(maker, step, &data,
                                  is_store || clm_content_has_key(step->content), &parts, err);
    }
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "'%s'", step->path);
    }
    if (is_store || clm_content_has_leaf(step->content)) {
        keep_first(&found->certs, &parts.chain);
    } else if (step->content == CLM_CONTENT_CHAIN) {
        keep_first(&found->more, &parts.chain);
    }
    if (found->key == NULL) {
        found->key = CLM_STEAL(parts.key);
    }
    return CLM_OK;
}

static enum clm_code add_rest(const struct clm_cert_chain *chain, size_t first, struct clm_buf *out,
                              struct clm_err *err)
{
    for (size_t i = first; chain != NULL && i < clm_cert_chain_count(chain); i++) {
        enum clm_code code = clm_cert_chain_pem(chain, i, out, err);

        if (code != CLM_OK) {
            return code;
        }
    }
    return CLM_OK;
}

/* Of what was found: leaf, chain in the order of the files, key as PKCS#8. */
static enum clm_code store_found(struct clm_store *store, const struct found *found,
                                 struct clm_cert_info *leaf, bool *out_stored, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf key_pem = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf leaf_pem = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf chain_pem = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX);
    const struct clm_store_new_bundle bundle = {.key_pem = &key_pem,
                                                .key_ref = "",
                                                .leaf = leaf,
                                                .leaf_pem = &leaf_pem,
                                                .chain_pem = &chain_pem};
    bool matches = false;
    enum clm_code code = clm_cert_matches_key(found->certs, 0, found->key, &matches, err);

    if (code != CLM_OK || !matches) {
        return code; /* OK: nothing that could be gone back to */
    }
    code = clm_cert_info(found->certs, 0, leaf, err);
    if (code == CLM_OK) {
        code = clm_cert_chain_pem(found->certs, 0, &leaf_pem, err);
    }
    if (code == CLM_OK) {
        code = add_rest(found->certs, 1, &chain_pem, err);
    }
    if (code == CLM_OK) {
        code = add_rest(found->more, 0, &chain_pem, err);
    }
    if (code == CLM_OK) {
        code = clm_key_to_pem(found->key, &key_pem, err);
    }
    if (code == CLM_OK) {
        code = clm_store_bundle_write(store, &bundle, err);
    }
    if (code == CLM_E_CONFLICT) {
        code = CLM_OK; /* stored by us, its key in other words: that one serves as well */
    }
    *out_stored = code == CLM_OK;
    return code;
}

static enum clm_code import_found(struct clm_store *store, const struct clm_plan *plan,
                                  const struct found *found, int64_t now_s, bool *out_imported,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_info_done) struct clm_cert_info leaf = {0};
    enum clm_code code = store_found(store, found, &leaf, out_imported, err);

    if (code == CLM_OK && *out_imported) {
        code = clm_store_generation_import(store, plan->target, leaf.sha256, now_s, err);
    }
    return code;
}

enum clm_code clm_store_import(struct clm_store *store, const struct clm_plan *plan,
                               const struct clm_secret_source *secrets, int64_t now_s,
                               bool *out_imported, struct clm_err *err)
{
    CLM_CLEANUP(clm_generations_done) struct clm_generations have = {0};
    CLM_CLEANUP(found_done) struct found found = {0};
    struct clm_txn_maker maker = {.plan = plan, .now_s = now_s};
    bool is_imported = false;
    enum clm_code code = clm_store_generation_list(store, plan->target, &have, err);

    if (secrets != NULL) {
        maker.secrets = *secrets;
    }
    for (size_t i = 0; code == CLM_OK && have.n == 0 && i < plan->n_steps; i++) {
        if (plan->steps[i].kind == CLM_STEP_FILE_PUT) {
            code = read_step(&maker, &plan->steps[i], &found, err);
        }
    }
    if (code == CLM_OK && found.certs != NULL && found.key != NULL) {
        code = import_found(store, plan, &found, now_s, &is_imported, err);
    }
    if (out_imported != NULL) {
        *out_imported = is_imported;
    }
    return code;
}
