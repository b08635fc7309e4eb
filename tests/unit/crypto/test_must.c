/* SPDX-License-Identifier: Apache-2.0 */
/* A hash that failed ends the process: also in a build without asserts, as this one is (NDEBUG). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/crypto/digest.h"
#include "agent/crypto/hash.h"
#include "agent/crypto/mbed_compat.h"

/* ---- the call: the linker puts this in its place (--wrap) ---- */

static bool is_broken;

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#    define REAL    __real_mbedtls_sha256_starts
#    define WRAPPED __wrap_mbedtls_sha256_starts
#else
#    define REAL    __real_mbedtls_sha256_starts_ret
#    define WRAPPED __wrap_mbedtls_sha256_starts_ret
#endif

int REAL(mbedtls_sha256_context *ctx, int is_224);
int WRAPPED(mbedtls_sha256_context *ctx, int is_224);

int WRAPPED(mbedtls_sha256_context *ctx, int is_224)
{
    return is_broken ? -1 : REAL(ctx, is_224);
}

/* ---- what is done ---- */

static void hash_it(void)
{
    uint8_t out[CLM_SHA256_SIZE];

    clm_sha256("abc", 3, out);
}

static void digest_it(void)
{
    uint8_t out[CLM_SHA256_SIZE];
    struct clm_digest_ctx ctx;

    clm_digest_init(&ctx, CLM_DIGEST_SHA256);
    clm_digest_update(&ctx, "abc", 3);
    clm_digest_final(&ctx, out);
}

/* How a process ends that does it: the status of waitpid(). */
static int end_of(void (*act)(void), bool broken)
{
    const struct rlimit none = {0, 0};
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL); /* cmocka's is for this process */
        (void)setrlimit(RLIMIT_CORE, &none);
        is_broken = broken;
        act();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void a_failure_does_not_pass_as_a_hash(void **state)
{
    static void (*const acts[])(void) = {hash_it, digest_it};

    (void)state;
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
        int status = end_of(acts[i], true);

        assert_int_equal(end_of(acts[i], false), 0);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_does_not_pass_as_a_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
