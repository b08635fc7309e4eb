/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_pairs - certificates of several kinds of key side by side in one block of a configuration
 *
 * A server with an RSA and an ECDSA certificate shows each client the one it can check. Each is a
 * target of its own, and handshakes ask for its kind. For the scanners of servers that read PEM.
 */
#ifndef CLM_SCANNERS_TARGET_PAIRS_H
#define CLM_SCANNERS_TARGET_PAIRS_H

#include <stddef.h>

#include "agent/base/err.h"
#include "agent/model/target.h"

#define CLM_PAIRS_MAX 16 /* certificates of one block: one for each kind makes sense */

/* Targets of one block, in its order: indexes of service->targets. */
struct clm_pairs {
    size_t v[CLM_PAIRS_MAX];
    size_t n;
};

/* Adds the target with these files; unknown ones and doubles are passed over. */
void clm_pairs_add(struct clm_pairs *pairs, const struct clm_service *service,
                   const char *cert_path, const char *key_path);

/*
 * clm_pairs_settle() - tells the targets of one block apart
 *
 * In      pairs  after clm_targets_read_files(); with fewer than two nothing is done
 * Effect  key_kind of each target and its endpoints, and "#rsa" or "#ec" behind its id. Of two of
 *         one kind only the last is ever shown: the others are refused.
 * Errors  NOMEM; LIMIT
 */
CLM_MUST_USE enum clm_code clm_pairs_settle(const struct clm_pairs *pairs,
                                            struct clm_service *service, struct clm_err *err);

#endif
