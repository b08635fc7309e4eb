/* SPDX-License-Identifier: Apache-2.0 */
/* seen - which states were looked at already */
#ifndef CLM_TESTS_FAULTS_MODEL_SEEN_H
#define CLM_TESTS_FAULTS_MODEL_SEEN_H

#include "tests/faults/model/disk.h"

struct seen {
    struct disk_hash *slots;
    size_t n;
    size_t max;
};

/* False if it was there. */
bool seen_add(struct seen *seen, struct disk_hash hash);

#endif
