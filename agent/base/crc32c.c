/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/crc32c.h"

/* Bit by bit: what is checked here is a few kilobytes, a table would be larger than that. */
uint32_t clm_crc32c(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *p = data;

    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (0x82F63B78U & (0U - (crc & 1U)));
        }
    }
    return ~crc;
}
