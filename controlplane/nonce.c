/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/nonce.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/rand.h"
#include "agent/base/str.h"
#include "agent/crypto/hash.h"

#define BYTES     32
#define HEAD      16 /* 8 bytes of time, 8 random */
#define USED_KEEP 4096

struct clm_cp_nonces {
    uint8_t key[CLM_SHA256_SIZE];
    char used[USED_KEEP][CLM_CP_NONCE_SIZE];
    size_t next;
};

enum clm_code clm_cp_nonces_new(struct clm_cp_nonces **out_nonces, struct clm_err *err)
{
    struct clm_cp_nonces *nonces = calloc(1, sizeof(*nonces));

    if (nonces == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "table of nonces");
    }
    enum clm_code code = clm_rand_bytes(nonces->key, sizeof(nonces->key), err);

    if (code != CLM_OK) {
        free(nonces);
        return code;
    }
    *out_nonces = nonces;
    return CLM_OK;
}

void clm_cp_nonces_free(struct clm_cp_nonces *nonces)
{
    if (nonces != NULL) {
        clm_wipe(nonces->key, sizeof(nonces->key));
        free(nonces);
    }
}

static void mac(const struct clm_cp_nonces *nonces, uint8_t bytes[BYTES])
{
    uint8_t full[CLM_SHA256_SIZE];

    clm_hmac_sha256(nonces->key, sizeof(nonces->key), bytes, HEAD, full);
    memcpy(bytes + HEAD, full, BYTES - HEAD);
}

enum clm_code clm_cp_nonce_make(struct clm_cp_nonces *nonces, int64_t now_s,
                                char dst[CLM_CP_NONCE_SIZE], struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_CP_NONCE_SIZE);
    uint8_t bytes[BYTES];

    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)((uint64_t)now_s >> (56 - 8 * i));
    }
    enum clm_code code = clm_rand_bytes(bytes + 8, HEAD - 8, err);

    if (code == CLM_OK) {
        mac(nonces, bytes);
        code = clm_b64url_encode(bytes, sizeof(bytes), &text, err);
    }
    return code == CLM_OK ? clm_str_copy(dst, CLM_CP_NONCE_SIZE, clm_buf_str(&text), err) : code;
}

static enum clm_code is_ours(const struct clm_cp_nonces *nonces, const char *text, int64_t now_s,
                             bool *out_ours, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf given = CLM_BUF_INIT((size_t)2 * BYTES);
    uint8_t wanted[BYTES];
    uint64_t made_s = 0;

    *out_ours = false;
    if (strlen(text) != CLM_CP_NONCE_SIZE - 1) {
        return CLM_OK;
    }
    enum clm_code code = clm_b64url_decode(text, CLM_CP_NONCE_SIZE - 1, &given, err);

    if (code != CLM_OK) {
        return code == CLM_E_NOMEM ? code : CLM_OK;
    }
    assert(given.len == BYTES); /* its length says so */
    memcpy(wanted, given.data, HEAD);
    mac(nonces, wanted);
    for (int i = 0; i < 8; i++) {
        made_s = made_s << 8 | wanted[i];
    }
    int64_t age_s = now_s - (int64_t)made_s;

    *out_ours =
        clm_ct_equal(wanted, given.data, BYTES) && age_s >= -1 && age_s <= CLM_CP_NONCE_LIFE_S;
    return CLM_OK;
}

enum clm_code clm_cp_nonce_check(const struct clm_cp_nonces *nonces, const char *text,
                                 int64_t now_s, bool *out_fresh, struct clm_err *err)
{
    enum clm_code code = is_ours(nonces, text, now_s, out_fresh, err);

    for (size_t i = 0; i < USED_KEEP && *out_fresh; i++) {
        *out_fresh = strcmp(nonces->used[i], text) != 0;
    }
    return code;
}

void clm_cp_nonce_use(struct clm_cp_nonces *nonces, const char *text)
{
    (void)snprintf(nonces->used[nonces->next], CLM_CP_NONCE_SIZE, "%s", text);
    nonces->next = (nonces->next + 1) % USED_KEEP;
}
