/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/model/bundle.h"

#include <stddef.h>

void clm_bundle_done(struct clm_bundle *bundle)
{
    if (bundle != NULL) {
        clm_cert_info_done(&bundle->leaf);
        clm_buf_done(&bundle->leaf_pem);
        clm_buf_done(&bundle->chain_pem);
        bundle->key_path[0] = '\0';
    }
}
