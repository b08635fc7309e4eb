/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pem_layout - what a PEM file holds now, so that a new one is laid out alike
 *
 * Other programs may read the same file and want the key first, or last. For the deployers of this
 * folder only.
 */
#ifndef CLM_DEPLOYERS_PEM_LAYOUT_H
#define CLM_DEPLOYERS_PEM_LAYOUT_H

#include <stdbool.h>

#include "agent/model/io.h"

struct clm_pem_layout {
    bool has_cert;
    bool has_key;
    bool is_key_first; /* the key stands before the first certificate */
};

/* All false if the file cannot be read or holds no PEM. */
struct clm_pem_layout clm_pem_layout_read(const struct clm_io *io, const char *path);

#endif
