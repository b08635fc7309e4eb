/* SPDX-License-Identifier: Apache-2.0 */
/* dn - distinguished names: DER in, one readable line out; attributes in, DER out */
#ifndef CLM_CRYPTO_DN_H
#define CLM_CRYPTO_DN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/str.h"
#include "agent/crypto/der.h"
#include "agent/model/csr_spec.h"

#define CLM_DN_TEXT_SIZE 256 /* struct clm_cert_info.subject */
#define CLM_DN_CN_MAX    64  /* characters; RFC 5280 A.1 ub-common-name */

/* "O=Example, CN=www.example.com" from the DER of a Name. Control characters and what is no UTF-8
 * become '?', ',' '+' and '\' get a '\' in front; a longer text is cut off with "...". False if it
 * is malformed; dst then holds what was read. */
bool clm_dn_text(const uint8_t *der, size_t len, char dst[CLM_DN_TEXT_SIZE]);
/* The last CN, raw; false if there is none, if it has a NUL or does not fit. */
bool clm_dn_common_name(const uint8_t *der, size_t len, char *dst, size_t size);

/*
 * clm_dn_read() - the members that a request of ours may have
 *
 * In      der  of a Name
 * Out     out       cleared by the caller; of a member that may stand there once, the last counts
 *         left_out  "serialNumber=42": what has no place in out, appended; may be NULL
 * Errors  PARSE, NOMEM
 */
CLM_MUST_USE enum clm_code clm_dn_read(const uint8_t *der, size_t len, struct clm_subject *out,
                                       struct clm_strs *left_out, struct clm_err *err);

struct clm_dn {
    const char *country;
    const char *state;
    const char *locality;
    const char *organization;
    const struct clm_strs *ous;
    const char *common_name;
    const char *email;
};
/* Borrowed from subject. */
struct clm_dn clm_dn_of(const struct clm_subject *subject);
/* Writes the Name in this order. INVAL a value that is too long or of wrong characters. */
void clm_dn_write(struct clm_der *w, const struct clm_dn *dn);

#endif
