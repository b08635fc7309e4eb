/* SPDX-License-Identifier: Apache-2.0 */
/* rand - bytes from getrandom(2), jitter, and identifiers; key material comes from agent/crypto */
#ifndef CLM_BASE_RAND_H
#define CLM_BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"

#define CLM_ULID_SIZE 27 /* 26 characters and a NUL */
#define CLM_ID_SIZE   32 /* prefix of 2 to 4 letters, '_', ULID, NUL */

/* Fills dst. Errors: IO, which on Linux means a kernel without getrandom. */
CLM_MUST_USE enum clm_code clm_rand_bytes(void *dst, size_t len, struct clm_err *err);
/* Uniform in [0, below); 0 if below is 0. Falls back to the clock if the kernel has no bytes: for
 * jitter only. */
uint32_t clm_rand_below(uint32_t below);
/* A ULID: 48 bits of milliseconds, 80 random bits, Crockford base 32. dst: CLM_ULID_SIZE bytes. */
CLM_MUST_USE enum clm_code clm_ulid_new(char *dst, struct clm_err *err);
/* "<prefix>_<ULID>" into dst of CLM_ID_SIZE bytes; prefix of 2 to 4 lower-case letters. */
CLM_MUST_USE enum clm_code clm_id_new(const char *prefix, char *dst, struct clm_err *err);
/* 1 if text is "<prefix>_" and 26 characters of Crockford base 32 (protocol.md 6.4). */
int clm_id_is_valid(const char *prefix, const char *text);

#endif
