/* SPDX-License-Identifier: Apache-2.0 */
/* crc32c - checksum of journal records (Castagnoli, RFC 3720 12.1) */
#ifndef CLM_BASE_CRC32C_H
#define CLM_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from crc (0 to start). crc32c(0, "123456789", 9) is 0xE3069283. */
uint32_t clm_crc32c(uint32_t crc, const void *data, size_t len);

#endif
