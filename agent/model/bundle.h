/* SPDX-License-Identifier: Apache-2.0 */
/* bundle - a certificate ready to be installed: leaf and chain as PEM, and where its key waits */
#ifndef CLM_MODEL_BUNDLE_H
#define CLM_MODEL_BUNDLE_H

#include <limits.h>

#include "agent/base/buf.h"
#include "agent/model/cert_info.h"

#define CLM_CHAIN_PEM_MAX 65536u /* bytes; protocol.md 6.4 */
#define CLM_KEY_PEM_MAX   16384u /* bytes; an RSA-4096 key takes 3.3 KiB */

struct clm_bundle {
    struct clm_cert_info leaf;
    struct clm_buf leaf_pem;  /* one certificate */
    struct clm_buf chain_pem; /* intermediates, nearest first, without the root; may be empty */
    char key_path[PATH_MAX];  /* 0600 file in the host half's store */
};

#define CLM_BUNDLE_INIT                                                                            \
    {                                                                                              \
        .leaf_pem = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX), .chain_pem = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX)  \
    }

void clm_bundle_done(struct clm_bundle *bundle); /* for CLM_CLEANUP */

#endif
