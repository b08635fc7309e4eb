/* SPDX-License-Identifier: Apache-2.0 */
/* Keystores of every kind, without a password and with one; unchanged they are written as they were. */
#include <string.h>

#include "agent/crypto/rng.h"
#include "agent/keystore/keystore.h"
#include "tests/fuzz/target.h"

static void look(const uint8_t *data, size_t len, const struct clm_buf *password)
{
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);

    if (clm_keystore_open(data, len, password, &store, NULL) != CLM_OK) {
        return;
    }
    for (size_t i = 0; i < clm_keystore_count(store); i++) {
        CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
        CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;

        clm_ignore(clm_keystore_chain(store, i, &chain, NULL));
        clm_ignore(clm_keystore_key(store, i, password, &key, NULL));
    }
    if (clm_keystore_write(store, NULL, password, &out, NULL) == CLM_OK) {
        MUST(out.len == len && memcmp(out.data, data, len) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(64);

    MUST(clm_buf_add_str(&password, "changeit", NULL) == CLM_OK);
    look(data, len, NULL);
    look(data, len, &password);
    return 0;
}
