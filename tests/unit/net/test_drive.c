/* SPDX-License-Identifier: Apache-2.0 */
/* Transfers of a libcurl that does what a table says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/base/attr.h"
#include "agent/net/drive.h"

#define WAITS_MAX 3

struct script {
    CURLMcode add;
    int rounds;        /* of curl_multi_perform() until the transfer has ended */
    CURLMcode perform; /* of the last round */
    CURLMcode timeout;
    long timeout_ms;
    CURLMcode wait;
    int active;
    bool has_message;
    CURLcode result;
};

static struct {
    struct script script;
    int rounds;
    int waits[WAITS_MAX];
    size_t waits_n;
    int removed;
    int idle;
    CURLMsg message;
    char handles[2];
} fake;

CURLMcode __wrap_curl_multi_add_handle(CURLM *multi, CURL *easy);
CURLMcode __wrap_curl_multi_add_handle(CURLM *multi, CURL *easy)
{
    assert_ptr_equal(multi, &fake.handles[0]);
    assert_ptr_equal(easy, &fake.handles[1]);
    return fake.script.add;
}

CURLMcode __wrap_curl_multi_remove_handle(CURLM *multi, CURL *easy);
CURLMcode __wrap_curl_multi_remove_handle(CURLM *multi, CURL *easy)
{
    assert_ptr_equal(multi, &fake.handles[0]);
    assert_ptr_equal(easy, &fake.handles[1]);
    fake.removed++;
    return CURLM_OK;
}

CURLMcode __wrap_curl_multi_perform(CURLM *multi, int *running);
CURLMcode __wrap_curl_multi_perform(CURLM *multi, int *running)
{
    (void)multi;
    *running = ++fake.rounds < fake.script.rounds;
    return *running ? CURLM_OK : fake.script.perform;
}

CURLMcode __wrap_curl_multi_timeout(CURLM *multi, long *timeout_ms);
CURLMcode __wrap_curl_multi_timeout(CURLM *multi, long *timeout_ms)
{
    (void)multi;
    *timeout_ms = fake.script.timeout_ms;
    return fake.script.timeout;
}

CURLMcode __wrap_curl_multi_poll(CURLM *multi, struct curl_waitfd *fds, unsigned n, int ms,
                                 int *active);
CURLMcode __wrap_curl_multi_poll(CURLM *multi, struct curl_waitfd *fds, unsigned n, int ms,
                                 int *active)
{
    (void)multi;
    assert_null(fds);
    assert_int_equal(n, 0);
    assert_true(fake.waits_n < WAITS_MAX);
    fake.waits[fake.waits_n++] = ms;
    *active = fake.script.active;
    return fake.script.wait;
}

/* What libcurl before 7.66 has instead. */
CURLMcode __wrap_curl_multi_wait(CURLM *multi, struct curl_waitfd *fds, unsigned n, int ms,
                                 int *active);
CURLMcode __wrap_curl_multi_wait(CURLM *multi, struct curl_waitfd *fds, unsigned n, int ms,
                                 int *active)
{
    return __wrap_curl_multi_poll(multi, fds, n, ms, active);
}

CURLMsg *__wrap_curl_multi_info_read(CURLM *multi, int *left);
CURLMsg *__wrap_curl_multi_info_read(CURLM *multi, int *left)
{
    (void)multi;
    *left = 0;
    fake.message.msg = CURLMSG_DONE;
    fake.message.easy_handle = &fake.handles[1];
    fake.message.data.result = fake.script.result;
    return fake.script.has_message ? &fake.message : NULL;
}

static void count_idle(void)
{
    fake.idle++;
}

static int allowed(int ms)
{
    return CLM_CURL_NUM < 0x074200 && ms > 1000 ? 1000 : ms;
}

static CURLcode drive(const struct script *script, bool tells_idle)
{
    fake.script = *script;
    fake.rounds = 0;
    fake.waits_n = 0;
    fake.removed = 0;
    fake.idle = 0;
    return clm_drive(&fake.handles[0], &fake.handles[1], tells_idle ? count_idle : NULL);
}

/* Every row: what a transfer of some rounds returns, how often idle was told, and the waits. */
static void a_transfer_is_waited_for(void **state)
{
    static const struct {
        struct script script;
        CURLcode expected;
        int idle;
        size_t waits_n;
        int waits[WAITS_MAX];
    } rows[] = {
        {{.rounds = 1, .has_message = true}, CURLE_OK, 0, 0, {0}},
        {{.rounds = 1, .has_message = true, .result = CURLE_GOT_NOTHING},
         CURLE_GOT_NOTHING,
         0,
         0,
         {0}},
        {{.rounds = 1}, CURLE_RECV_ERROR, 0, 0, {0}},
        {{.rounds = 2, .has_message = true, .timeout_ms = 100}, CURLE_OK, 0, 1, {100}},
        {{.rounds = 3, .has_message = true, .timeout_ms = 4000}, CURLE_OK, 1, 2, {250, 4000}},
        {{.rounds = 3, .has_message = true, .timeout_ms = -1}, CURLE_OK, 1, 2, {250, 60000}},
        {{.rounds = 3, .has_message = true, .timeout_ms = 90000}, CURLE_OK, 1, 2, {250, 60000}},
        {{.rounds = 3, .has_message = true, .timeout_ms = 4000, .active = 1},
         CURLE_OK,
         0,
         2,
         {250, 250}},
        {{.add = CURLM_OUT_OF_MEMORY}, CURLE_OUT_OF_MEMORY, 0, 0, {0}},
        {{.add = CURLM_ADDED_ALREADY}, CURLE_FAILED_INIT, 0, 0, {0}},
        {{.rounds = 1, .perform = CURLM_OUT_OF_MEMORY}, CURLE_OUT_OF_MEMORY, 0, 0, {0}},
        {{.rounds = 2, .timeout = CURLM_BAD_HANDLE}, CURLE_OUT_OF_MEMORY, 0, 0, {0}},
        {{.rounds = 2, .timeout_ms = 9, .wait = CURLM_OUT_OF_MEMORY},
         CURLE_OUT_OF_MEMORY,
         0,
         1,
         {9}},
        {{.rounds = 2, .timeout_ms = 900, .wait = CURLM_OUT_OF_MEMORY},
         CURLE_OUT_OF_MEMORY,
         0,
         1,
         {250}},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CURLcode rc = drive(&rows[i].script, true);

        if (rc != rows[i].expected || fake.idle != rows[i].idle ||
            fake.waits_n != rows[i].waits_n) {
            fail_msg("row %zu: %d, idle %d, %zu waits", i, (int)rc, fake.idle, fake.waits_n);
        }
        for (size_t k = 0; k < fake.waits_n; k++) {
            assert_int_equal(fake.waits[k], allowed(rows[i].waits[k]));
        }
        assert_int_equal(fake.removed, rows[i].script.add == CURLM_OK ? 1 : 0);
    }
}

static void without_a_listener_no_short_wait_is_made(void **state)
{
    const struct script script = {.rounds = 2, .has_message = true, .timeout_ms = 4000};

    (void)state;
    assert_int_equal(drive(&script, false), CURLE_OK);
    assert_int_equal(fake.waits_n, 1);
    assert_int_equal(fake.waits[0], allowed(4000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transfer_is_waited_for),
        cmocka_unit_test(without_a_listener_no_short_wait_is_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
