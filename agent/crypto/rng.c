/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generator is seeded from getrandom(2) directly and not through mbedtls_entropy, whose
 * state would be copied by fork, too. The process id is compared at each use: that is what
 * reaches children which were forked by a library (Mbed TLS CVE-2026-25835).
 */
#include "agent/crypto/rng.h"

#include <stdlib.h>
#include <unistd.h>

#include "agent/base/rand.h"
#include "agent/crypto/internal.h"

/* Separates our streams from those of other users of the same kernel source; not a secret. */
static const char personalization[] = "clmbot key material";

struct clm_rng {
    mbedtls_ctr_drbg_context drbg;
    pid_t pid;
};

int clm_rng_kernel(void *unused, unsigned char *dst, size_t len)
{
    (void)unused;
    return clm_rand_bytes(dst, len, NULL) == CLM_OK ? 0
                                                    : MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED;
}

enum clm_code clm_rng_new(struct clm_rng **out_rng, struct clm_err *err)
{
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *rng = calloc(1, sizeof(*rng));
    int rc;

    if (rng == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "random generator: no memory");
    }
    mbedtls_ctr_drbg_init(&rng->drbg);
    rc = mbedtls_ctr_drbg_seed(&rng->drbg, clm_rng_kernel, NULL,
                               (const unsigned char *)personalization, sizeof(personalization) - 1);
    if (rc != 0) {
        return clm_mbed_err(err, CLM_E_CRYPTO, rc, "random generator: no seed from the kernel");
    }
    rng->pid = getpid();
    *out_rng = CLM_STEAL(rng);
    return CLM_OK;
}

void clm_rng_free(struct clm_rng *rng)
{
    if (rng == NULL) {
        return;
    }
    mbedtls_ctr_drbg_free(&rng->drbg);
    mbedtls_platform_zeroize(rng, sizeof(*rng));
    free(rng);
}

void clm_rng_set_fresh(struct clm_rng *rng, bool on)
{
    mbedtls_ctr_drbg_set_prediction_resistance(&rng->drbg, on ? MBEDTLS_CTR_DRBG_PR_ON
                                                              : MBEDTLS_CTR_DRBG_PR_OFF);
}

static int reseed_after_fork(struct clm_rng *rng)
{
    pid_t pid = getpid();
    int rc;

    if (pid == rng->pid) {
        return 0;
    }
    rc = mbedtls_ctr_drbg_reseed(&rng->drbg, NULL, 0);
    if (rc == 0) {
        rng->pid = pid;
    }
    return rc;
}

int clm_rng_mbed(void *ctx, unsigned char *dst, size_t len)
{
    struct clm_rng *rng = ctx;
    int rc = reseed_after_fork(rng);

    while (rc == 0 && len > 0) {
        size_t part = len < MBEDTLS_CTR_DRBG_MAX_REQUEST ? len : MBEDTLS_CTR_DRBG_MAX_REQUEST;

        rc = mbedtls_ctr_drbg_random(&rng->drbg, dst, part);
        dst += part;
        len -= part;
    }
    return rc;
}

enum clm_code clm_rng_fill(struct clm_rng *rng, void *dst, size_t len, struct clm_err *err)
{
    int rc = clm_rng_mbed(rng, dst, len);

    if (rc != 0) {
        return clm_mbed_err(err, CLM_E_CRYPTO, rc, "random generator");
    }
    return CLM_OK;
}
