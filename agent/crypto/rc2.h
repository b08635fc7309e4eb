/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rc2 - RFC 2268, one block, decryption only: old keystores seal certificates with it
 */
#ifndef CLM_CRYPTO_RC2_H
#define CLM_CRYPTO_RC2_H

#include <stddef.h>
#include <stdint.h>

#define CLM_RC2_BLOCK 8

struct clm_rc2 {
    uint16_t k[64];
};

/* key of 1..128 bytes; effective_bits of 1..1024. */
void clm_rc2_init(struct clm_rc2 *rc2, const uint8_t *key, size_t key_len, unsigned effective_bits);
void clm_rc2_decrypt(const struct clm_rc2 *rc2, const uint8_t in[CLM_RC2_BLOCK],
                     uint8_t out[CLM_RC2_BLOCK]);

#endif
