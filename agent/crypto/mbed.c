/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "agent/crypto/internal.h"

int clm_mbed_high(int rc)
{
    return -(-rc & 0xff80);
}

bool clm_mbed_is_nomem(int rc)
{
    int high = clm_mbed_high(rc);

    return high == MBEDTLS_ERR_X509_ALLOC_FAILED || high == MBEDTLS_ERR_PK_ALLOC_FAILED ||
           high == MBEDTLS_ERR_MD_ALLOC_FAILED || high == MBEDTLS_ERR_ECP_ALLOC_FAILED ||
           (-rc & 0x7f) == -MBEDTLS_ERR_MPI_ALLOC_FAILED ||
           (-rc & 0x7f) == -MBEDTLS_ERR_ASN1_ALLOC_FAILED;
}

enum clm_code clm_mbed_err(struct clm_err *err, enum clm_code code, int rc, const char *fmt, ...)
{
    char what[160];
    char why[160];
    va_list ap;

    if (clm_mbed_is_nomem(rc)) {
        code = CLM_E_NOMEM;
    }
    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    mbedtls_strerror(rc, why, sizeof(why));
    return clm_err_set(err, code, "%s: %s (-0x%04x)", what, why, (unsigned)-rc);
}
