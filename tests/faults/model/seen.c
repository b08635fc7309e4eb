/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/faults/model/seen.h"

#include <stdlib.h>

static bool put(struct disk_hash *slots, size_t max, struct disk_hash hash)
{
    size_t i = hash.a & (max - 1);

    while (slots[i].a != 0 || slots[i].b != 0) {
        if (slots[i].a == hash.a && slots[i].b == hash.b) {
            return false;
        }
        i = (i + 1) & (max - 1);
    }
    slots[i] = hash;
    return true;
}

static void grow(struct seen *seen)
{
    size_t max = seen->max == 0 ? 4096 : seen->max * 2;
    struct disk_hash *slots = calloc(max, sizeof(*slots));

    if (slots == NULL) {
        abort();
    }
    for (size_t i = 0; i < seen->max; i++) {
        if (seen->slots[i].a != 0 || seen->slots[i].b != 0) {
            (void)put(slots, max, seen->slots[i]);
        }
    }
    free(seen->slots);
    seen->slots = slots;
    seen->max = max;
}

bool seen_add(struct seen *seen, struct disk_hash hash)
{
    if (seen->n * 2 >= seen->max) {
        grow(seen);
    }
    if (!put(seen->slots, seen->max, hash)) {
        return false;
    }
    seen->n++;
    return true;
}
