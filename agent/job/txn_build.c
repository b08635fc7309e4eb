/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/job/txn_build.h"

#include <assert.h>
#include <string.h>

#include "agent/base/fs.h"
#include "agent/crypto/armor.h"
#include "agent/crypto/hash.h"
#include "agent/crypto/pkcs7.h"
#include "agent/crypto/pkcs8.h"

/* ---- what it is made of ---- */

static bool needs_key(const struct clm_step *step)
{
    return step->kind == CLM_STEP_FILE_PUT &&
           (clm_content_has_key(step->content) || clm_format_is_keystore(step->format));
}

static bool needs_random(const struct clm_step *step)
{
    return step->kind == CLM_STEP_FILE_PUT &&
           (clm_format_is_keystore(step->format) || step->key_password[0] != '\0');
}

/* The key, proved to be the leaf's. */
static enum clm_code load_key(struct clm_txn_maker *maker, struct clm_err *err)
{
    char spki[CLM_SHA256_HEX_SIZE];
    enum clm_code code =
        clm_fs_read(maker->bundle->key_path, CLM_KEY_PEM_MAX, &maker->key_pem, err);

    if (code == CLM_OK) {
        code = clm_key_from_pem(maker->key_pem.data, maker->key_pem.len, &maker->key, err);
    }
    if (code == CLM_OK) {
        code = clm_key_spki_sha256_hex(maker->key, spki, err);
    }
    if (code == CLM_OK && strcmp(spki, maker->bundle->leaf.spki_sha256) != 0) {
        code = clm_err_set(err, CLM_E_INVAL, "the key is not the certificate's");
    }
    return code == CLM_OK ? code : clm_err_wrap(err, code, "key of the new certificate");
}

static enum clm_code load_chain(struct clm_txn_maker *maker, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT((size_t)2 * CLM_CHAIN_PEM_MAX);
    enum clm_code code =
        clm_buf_add(&pem, maker->bundle->leaf_pem.data, maker->bundle->leaf_pem.len, err);

    if (code == CLM_OK) {
        code = clm_buf_add_str(&pem, "\n", err);
    }
    if (code == CLM_OK) {
        code = clm_buf_add(&pem, maker->bundle->chain_pem.data, maker->bundle->chain_pem.len, err);
    }
    if (code == CLM_OK) {
        code = clm_cert_chain_from_pem(pem.data, pem.len, &maker->chain, err);
    }
    return code == CLM_OK ? code : clm_err_wrap(err, code, "new certificate");
}

enum clm_code clm_txn_maker_load(struct clm_txn_maker *maker, struct clm_err *err)
{
    bool key = false;
    bool random = false;
    enum clm_code code = CLM_OK;

    maker->key_pem = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX);
    for (size_t i = 0; i < maker->plan->n_steps; i++) {
        key = key || needs_key(&maker->plan->steps[i]);
        random = random || needs_random(&maker->plan->steps[i]);
    }
    if (key) {
        code = load_key(maker, err);
    }
    if (code == CLM_OK) {
        code = load_chain(maker, err);
    }
    return code == CLM_OK && random ? clm_rng_new(&maker->rng, err) : code;
}

void clm_txn_maker_done(struct clm_txn_maker *maker)
{
    clm_buf_done(&maker->key_pem);
    clm_key_free(maker->key);
    clm_cert_chain_free(maker->chain);
    clm_rng_free(maker->rng);
    maker->key = NULL;
    maker->chain = NULL;
    maker->rng = NULL;
}

void clm_txn_parts_done(struct clm_txn_parts *parts)
{
    clm_cert_chain_free(parts->chain);
    clm_key_free(parts->key);
    *parts = (struct clm_txn_parts){0};
}

enum clm_code clm_txn_secret(const struct clm_secret_source *source, const char *deployer,
                             const char *ref, struct clm_buf *out, struct clm_err *err)
{
    if (ref[0] == '\0') {
        return CLM_OK;
    }
    if (source->get != NULL) {
        return source->get(source->arg, deployer, ref, out, err);
    }
    return clm_str_starts(ref, CLM_SECRET_KNOWN)
               ? clm_buf_add_str(out, ref + strlen(CLM_SECRET_KNOWN), err)
               : clm_err_set(err, CLM_E_UNSUPPORTED, "nobody is here who knows the password");
}

enum clm_code clm_txn_if_there(enum clm_code code, struct clm_err *err)
{
    return code == CLM_E_NOMEM ? clm_err_set(err, code, "content of a file") : CLM_OK;
}

/* The public halves are equal, so the private ones are. */
bool clm_txn_is_same_key(const struct clm_key *a, const struct clm_key *b)
{
    char of_a[CLM_SHA256_HEX_SIZE];
    char of_b[CLM_SHA256_HEX_SIZE];

    return clm_key_spki_sha256_hex(a, of_a, NULL) == CLM_OK &&
           clm_key_spki_sha256_hex(b, of_b, NULL) == CLM_OK && strcmp(of_a, of_b) == 0;
}

/* ---- PEM ---- */

/* PEM blocks in one file must begin on lines of their own. */
static enum clm_code add_pem(struct clm_buf *out, const struct clm_buf *pem, struct clm_err *err)
{
    enum clm_code code = clm_buf_add(out, pem->data, pem->len, err);

    if (code == CLM_OK && out->len > 0 && out->data[out->len - 1] != '\n') {
        code = clm_buf_add_str(out, "\n", err);
    }
    return code;
}

enum part {
    PART_NONE,
    PART_LEAF,
    PART_CHAIN,
    PART_KEY
};

/* What a PEM file of each content consists of, in this order. */
static const enum part parts_of[CLM_CONTENT__COUNT][3] = {
    [CLM_CONTENT_LEAF] = {PART_LEAF},
    [CLM_CONTENT_CHAIN] = {PART_CHAIN},
    [CLM_CONTENT_FULLCHAIN] = {PART_LEAF, PART_CHAIN},
    [CLM_CONTENT_KEY] = {PART_KEY},
    [CLM_CONTENT_KEY_FULLCHAIN] = {PART_LEAF, PART_CHAIN, PART_KEY},
    [CLM_CONTENT_KEY_FIRST] = {PART_KEY, PART_LEAF, PART_CHAIN},
    [CLM_CONTENT_LEAF_KEY] = {PART_LEAF, PART_KEY},
};

/* The text of the first private key in a file, with its lines of begin and end. */
static bool find_key_text(const struct clm_buf *data, const char **out_text, size_t *out_len)
{
    const char *text = clm_buf_str(data);
    size_t len = data->len;
    const char *before = text;
    struct clm_armor block;

    while (clm_armor_next(&text, &len, &block, NULL) == CLM_OK) {
        if (clm_str_ends(block.label, "PRIVATE KEY")) {
            const char *begin = strstr(before, "-----BEGIN ");

            if (begin == NULL) {
                return false; /* behind a NUL */
            }
            *out_text = begin;
            *out_len = (size_t)(text - begin);
            return true;
        }
        before = text;
    }
    return false;
}

/* Encrypted again it would be other bytes: the old block stays if it opens to the same key. */
static enum clm_code add_key_with_password(const struct clm_txn_maker *maker,
                                           const struct clm_step *step, const struct clm_buf *old,
                                           struct clm_buf *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_SECRET_INIT((size_t)2 * CLM_KEY_PEM_MAX);
    CLM_CLEANUP(clm_key_free_p) struct clm_key *open_one = NULL;
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    const char *text = NULL;
    size_t len = 0;
    enum clm_code code =
        clm_txn_secret(&maker->secrets, maker->plan->deployer, step->key_password, &password, err);

    if (code != CLM_OK) {
        return code;
    }
    if (old != NULL && find_key_text(old, &text, &len) &&
        clm_key_from_pem(text, len, &open_one, NULL) != CLM_OK && /* not in clear */
        clm_key_from_pem_password(text, len, &password, &key, NULL) == CLM_OK &&
        clm_txn_is_same_key(key, maker->key)) {
        code = clm_buf_add(&pem, text, len, err);
    } else {
        code = clm_key_to_pem_password(maker->key, maker->rng, &password, &pem, err);
    }
    return code == CLM_OK ? add_pem(out, &pem, err) : code;
}

static enum clm_code add_key(const struct clm_txn_maker *maker, const struct clm_step *step,
                             const struct clm_buf *old, struct clm_buf *out, struct clm_err *err)
{
    return step->key_password[0] == '\0' ? add_pem(out, &maker->key_pem, err)
                                         : add_key_with_password(maker, step, old, out, err);
}

static enum clm_code build_pem(const struct clm_txn_maker *maker, const struct clm_step *step,
                               const struct clm_buf *old, struct clm_buf *out, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && i < CLM_ARRAY_LEN(parts_of[0]); i++) {
        switch (parts_of[step->content][i]) {
        case PART_NONE:
            break;
        case PART_LEAF:
            code = add_pem(out, &maker->bundle->leaf_pem, err);
            break;
        case PART_CHAIN:
            code = add_pem(out, &maker->bundle->chain_pem, err);
            break;
        case PART_KEY:
            code = add_key(maker, step, old, out, err);
            break;
        }
    }
    return code;
}

static enum clm_code apart_pem(const struct clm_txn_maker *maker, const struct clm_step *step,
                               const struct clm_buf *data, bool with_key, struct clm_txn_parts *out,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
    enum clm_code code =
        clm_txn_if_there(clm_cert_chain_from_pem(data->data, data->len, &out->chain, NULL), err);

    if (code != CLM_OK || !with_key) {
        return code;
    }
    code =
        clm_txn_secret(&maker->secrets, maker->plan->deployer, step->key_password, &password, err);
    return code != CLM_OK
               ? code
               : clm_txn_if_there(clm_key_from_pem_password(data->data, data->len,
                                                            password.len > 0 ? &password : NULL,
                                                            &out->key, NULL),
                                  err);
}

/* ---- DER ---- */

static enum clm_code build_der(const struct clm_txn_maker *maker, const struct clm_step *step,
                               const struct clm_buf *old, struct clm_buf *out, struct clm_err *err)
{
    size_t len = 0;
    const uint8_t *der;

    (void)old;
    if (step->content == CLM_CONTENT_KEY) {
        return clm_key_to_der(maker->key, out, err);
    }
    der = clm_cert_chain_der(maker->chain, 0, &len);
    return clm_buf_add(out, der, len, err);
}

static enum clm_code apart_der(const struct clm_txn_maker *maker, const struct clm_step *step,
                               const struct clm_buf *data, bool with_key, struct clm_txn_parts *out,
                               struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    (void)maker;
    if (step->content == CLM_CONTENT_LEAF) {
        code = clm_cert_chain_from_der(data->data, data->len, &out->chain, NULL);
    } else if (with_key) {
        code = clm_key_from_der(data->data, data->len, &out->key, NULL);
    }
    return clm_txn_if_there(code, err);
}

/* ---- PKCS#7 ---- */

/* The certificates of a step as a chain of their own; NULL stands for the whole one. */
static enum clm_code certs_of(const struct clm_txn_maker *maker, enum clm_content content,
                              struct clm_cert_chain **out, struct clm_err *err)
{
    const struct clm_buf *pem = &maker->bundle->chain_pem;

    if (content == CLM_CONTENT_LEAF) {
        pem = &maker->bundle->leaf_pem;
    } else if (content != CLM_CONTENT_CHAIN) {
        return CLM_OK;
    } else if (pem->len == 0) {
        return clm_err_set(err, CLM_E_INVAL,
                           "the certificate came without intermediates, and the plan has a file "
                           "for them");
    }
    return clm_cert_chain_from_pem(pem->data, pem->len, out, err);
}

static enum clm_code build_pkcs7(const struct clm_txn_maker *maker, const struct clm_step *step,
                                 const struct clm_buf *old, struct clm_buf *out,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *own = NULL;
    const struct clm_cert_chain *chain = maker->chain;
    enum clm_code code = certs_of(maker, step->content, &own, err);

    (void)old;
    if (code != CLM_OK) {
        return code;
    }
    chain = own != NULL ? own : chain;
    return step->format == CLM_FORMAT_PKCS7 ? clm_pkcs7_to_der(chain, out, err)
                                            : clm_pkcs7_to_pem(chain, out, err);
}

static enum clm_code apart_pkcs7(const struct clm_txn_maker *maker, const struct clm_step *step,
                                 const struct clm_buf *data, bool with_key,
                                 struct clm_txn_parts *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    enum clm_code code = clm_pkcs7_read(data->data, data->len, &chain, NULL);

    (void)maker;
    (void)step;
    (void)with_key;
    if (code == CLM_OK) {
        code = clm_cert_chain_sort(chain, NULL);
    }
    if (code == CLM_OK) {
        out->chain = CLM_STEAL(chain);
    }
    return clm_txn_if_there(code, err);
}

/* ---- text ---- */

/* The rules for edits themselves are those of clm_step_check(); here they meet the file. */
static enum clm_code build_edit(const struct clm_step *step, const struct clm_buf *old,
                                struct clm_buf *out, struct clm_err *err)
{
    size_t at = 0;
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && i < step->n_edits; i++) {
        const struct clm_text_edit *edit = &step->edits[i];

        assert(edit->offset >= at);
        if (edit->offset > old->len || edit->len > old->len - (size_t)edit->offset) {
            return clm_err_set(err, CLM_E_INVAL, "edit %zu lies outside the file", i + 1);
        }
        code = clm_buf_add(out, old->data + at, (size_t)edit->offset - at, err);
        if (code == CLM_OK) {
            code = clm_buf_add_str(out, edit->text, err);
        }
        at = (size_t)edit->offset + (size_t)edit->len;
    }
    return code == CLM_OK ? clm_buf_add(out, old->data + at, old->len - at, err) : code;
}

/* ---- the table: every format ---- */

static const struct {
    enum clm_code (*build)(const struct clm_txn_maker *maker, const struct clm_step *step,
                           const struct clm_buf *old, struct clm_buf *out, struct clm_err *err);
    enum clm_code (*apart)(const struct clm_txn_maker *maker, const struct clm_step *step,
                           const struct clm_buf *data, bool with_key, struct clm_txn_parts *out,
                           struct clm_err *err);
} formats[] = {
    [CLM_FORMAT_PEM] = {build_pem, apart_pem},
    [CLM_FORMAT_DER] = {build_der, apart_der},
    [CLM_FORMAT_PKCS7] = {build_pkcs7, apart_pkcs7},
    [CLM_FORMAT_PKCS7_PEM] = {build_pkcs7, apart_pkcs7},
    [CLM_FORMAT_PKCS12] = {clm_txn_build_keystore, clm_txn_apart_keystore},
    [CLM_FORMAT_JKS] = {clm_txn_build_keystore, clm_txn_apart_keystore},
    [CLM_FORMAT_JCEKS] = {clm_txn_build_keystore, clm_txn_apart_keystore},
};
_Static_assert(CLM_ARRAY_LEN(formats) == CLM_FORMAT__COUNT, "a format that nobody writes");

static enum clm_code check_old(const struct clm_step *step, const struct clm_buf *old,
                               struct clm_err *err)
{
    char sha256[CLM_SHA256_HEX_SIZE];

    if (step->expect_sha256[0] == '\0') {
        return CLM_OK;
    }
    if (old != NULL) {
        clm_sha256_hex(old->data, old->len, sha256);
    }
    return old != NULL && strcmp(sha256, step->expect_sha256) == 0
               ? CLM_OK
               : clm_err_set(err, CLM_E_CONFLICT, "it was changed since the plan was made");
}

enum clm_code clm_txn_build(const struct clm_txn_maker *maker, const struct clm_step *step,
                            const struct clm_buf *old, struct clm_buf *out, struct clm_err *err)
{
    enum clm_code code = clm_step_check(step, err);

    if (code == CLM_OK) {
        code = check_old(step, old, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (step->content == CLM_CONTENT_EDIT) {
        assert(old != NULL); /* an edit says what it expects */
        return build_edit(step, old, out, err);
    }
    code = formats[step->format].build(maker, step, old, out, err);
    if (code == CLM_OK && out->len == 0) {
        code = clm_err_set(err, CLM_E_INVAL,
                           "the certificate came without intermediates, and the plan has a file "
                           "for them");
    }
    return code;
}

enum clm_code clm_txn_take_apart(const struct clm_txn_maker *maker, const struct clm_step *step,
                                 const struct clm_buf *data, bool with_key,
                                 struct clm_txn_parts *out, struct clm_err *err)
{
    *out = (struct clm_txn_parts){0};
    if (step->content == CLM_CONTENT_EDIT || data->len == 0) {
        return CLM_OK;
    }
    return formats[step->format].apart(maker, step, data, with_key, out, err);
}
