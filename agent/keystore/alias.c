/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/base/str.h"
#include "agent/keystore/internal.h"

/* The scripts with plain pairs of cases; the rest of Unicode keeps its case. */
uint32_t clm_alias_lower(uint32_t c)
{
    static const struct {
        uint32_t first;
        uint32_t last;
        uint32_t distance;
    } ranges[] = {
        {'A', 'Z', 32},       {0xc0, 0xd6, 32},       {0xd8, 0xde, 32},   {0x391, 0x3a1, 32},
        {0x3a3, 0x3ab, 32},   {0x400, 0x40f, 80},     {0x410, 0x42f, 32}, {0x531, 0x556, 48},
        {0x388, 0x38a, 37},   {0x386, 0x386, 38},     {0x38c, 0x38c, 64}, {0x38e, 0x38f, 63},
        {0xff21, 0xff3a, 32}, {0x10400, 0x10427, 40},
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(ranges); i++) {
        if (c >= ranges[i].first && c <= ranges[i].last) {
            return c + ranges[i].distance;
        }
    }
    /* Latin Extended-A, where even is upper in two runs and odd in two others */
    if ((c >= 0x100 && c <= 0x12f) || (c >= 0x132 && c <= 0x137) || (c >= 0x14a && c <= 0x177)) {
        return c | 1;
    }
    if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e)) {
        return (c & 1) != 0 ? c + 1 : c;
    }
    return c;
}

uint32_t clm_utf8_char(const uint8_t *p, size_t n)
{
    static const uint8_t masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c = p[0] & masks[n];

    for (size_t i = 1; i < n; i++) {
        c = c << 6 | (p[i] & 0x3fu);
    }
    return c;
}

size_t clm_utf8_put(uint32_t c, uint8_t dst[4])
{
    if (c < 0x80) {
        dst[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        dst[0] = (uint8_t)(0xc0 | c >> 6);
        dst[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        dst[0] = (uint8_t)(0xe0 | c >> 12);
        dst[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        dst[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    dst[0] = (uint8_t)(0xf0 | c >> 18);
    dst[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    dst[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    dst[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

/* The next character in lower case; what is not UTF-8 stands for itself, out of Unicode's range. */
static uint32_t next_lower(const char **p)
{
    size_t n = clm_str_utf8_len(*p, strnlen(*p, 4));
    uint32_t c;

    if (n == 0) {
        c = 0x110000u + (uint8_t) * *p;
        n = **p != '\0';
    } else {
        c = clm_alias_lower(clm_utf8_char((const uint8_t *)*p, n));
    }
    *p += n;
    return c;
}

bool clm_alias_same(const char *a, const char *b)
{
    while (*a != '\0' && *b != '\0') {
        if (next_lower(&a) != next_lower(&b)) {
            return false;
        }
    }
    return *a == *b;
}

/* Java numbers the entries of a PKCS#12 file that have no name, from 1: those that are entries for
 * Java. */
static bool find_numbered(const struct clm_keystore *store, const char *alias, size_t *out_i)
{
    int64_t wanted = 0;
    int64_t n = 0;

    if (store->ops->type != CLM_KEYSTORE_PKCS12 || alias[0] == '0' ||
        clm_str_to_int(alias, 1, CLM_KEYSTORE_ENTRIES_MAX, &wanted, NULL) != CLM_OK) {
        return false;
    }
    for (size_t i = 0; i < store->n_entries; i++) {
        const struct clm_keystore_entry *entry = &store->entries[i].shown;
        bool is_javas = entry->kind == CLM_ENTRY_KEY || entry->kind == CLM_ENTRY_SECRET ||
                        (entry->kind == CLM_ENTRY_TRUSTED && entry->java_trusts);

        if (is_javas && entry->alias[0] == '\0' && ++n == wanted) {
            *out_i = i;
            return true;
        }
    }
    return false;
}

bool clm_keystore_find(const struct clm_keystore *store, const char *alias, size_t *out_i)
{
    for (size_t i = 0; i < store->n_entries; i++) {
        const struct clm_keystore_entry *entry = &store->entries[i].shown;

        if (alias == NULL ? entry->kind == CLM_ENTRY_KEY : clm_alias_same(entry->alias, alias)) {
            *out_i = i;
            return true;
        }
    }
    return alias != NULL && find_numbered(store, alias, out_i);
}
