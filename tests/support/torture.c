/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "tests/support/torture.h"

#define RUNS_MAX 100000 /* a body that never gets through is a mistake of the test */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *block, size_t size);
char *__real_strdup(const char *text);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *block, size_t size);
char *__wrap_strdup(const char *text);
void __wrap_free(void *block);

static size_t countdown; /* allocations until one fails; 0: none will */
static size_t allocations;
static long live_blocks;
static bool is_failed;

/* True if this allocation is the one to fail. */
static bool is_doomed(void)
{
    allocations++;
    if (countdown == 0 || --countdown > 0) {
        return false;
    }
    is_failed = true;
    errno = ENOMEM;
    return true;
}

static void *counted(void *block)
{
    live_blocks += block != NULL;
    return block;
}

void *__wrap_malloc(size_t size)
{
    return is_doomed() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return is_doomed() ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *block, size_t size)
{
    if (is_doomed()) {
        return NULL;
    }
    return block == NULL ? counted(__real_realloc(NULL, size)) : __real_realloc(block, size);
}

char *__wrap_strdup(const char *text)
{
    return is_doomed() ? NULL : counted(__real_strdup(text));
}

void __wrap_free(void *block)
{
    live_blocks -= block != NULL;
    __real_free(block);
}

void *clm_torture_malloc(size_t size)
{
    return __wrap_malloc(size);
}

void clm_torture_free(void *block)
{
    __wrap_free(block);
}

bool clm_torture_has_failed(void)
{
    return is_failed;
}

/* Runs body with allocation n failing. */
static enum clm_code starve(clm_torture_fn body, void *arg, size_t n, struct clm_err *err)
{
    long live_before = live_blocks;
    enum clm_code code;

    allocations = 0;
    is_failed = false;
    countdown = n;
    code = body(arg, err);
    countdown = 0;
    if (live_blocks != live_before) {
        fail_msg("allocation %zu failed: %ld blocks left behind", n, live_blocks - live_before);
    }
    return code;
}

size_t clm_torture(clm_torture_fn body, void *arg)
{
    for (size_t n = 1; n < RUNS_MAX; n++) {
        struct clm_err err = {0};
        enum clm_code code = starve(body, arg, n, &err);

        if (!is_failed) {
            assert_int_equal(code, CLM_OK);
            return allocations;
        }
        if (code != CLM_E_NOMEM || err.msg[0] == '\0') {
            fail_msg("allocation %zu failed: '%s' (%s) instead of no-memory", n,
                     clm_code_name(code), err.msg);
        }
    }
    fail_msg("still allocating after %d runs", RUNS_MAX);
    return 0;
}

size_t clm_torture_any(clm_torture_fn body, void *arg, size_t max)
{
    for (size_t n = 1; n <= max; n++) {
        struct clm_err err = {0};

        clm_ignore(starve(body, arg, n, &err));
        if (!is_failed) {
            return n - 1;
        }
    }
    return max;
}
