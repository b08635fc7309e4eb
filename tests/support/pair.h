/* SPDX-License-Identifier: Apache-2.0 */
/* pair - whether certificate and key belong together, for tests: memory is not short there */
#ifndef CLM_TESTS_SUPPORT_PAIR_H
#define CLM_TESTS_SUPPORT_PAIR_H

#include "agent/crypto/cert.h"

static inline bool is_pair(const struct clm_cert_chain *chain, size_t i, const struct clm_key *key)
{
    bool matches = false;

    return clm_cert_matches_key(chain, i, key, &matches, NULL) == CLM_OK && matches;
}

#endif
