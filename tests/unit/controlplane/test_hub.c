/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/hub.h"

/* What stands for a connection: counts. */
struct line {
    int suspended;
    int resumed;
};

static void suspend(void *connection)
{
    ((struct line *)connection)->suspended++;
}

static void resume(void *connection)
{
    ((struct line *)connection)->resumed++;
}

static struct clm_cp_hub *hub;

static int open_hub(void **state)
{
    (void)state;
    return clm_cp_hub_new(suspend, resume, &hub, NULL) == CLM_OK ? 0 : -1;
}

static int close_hub(void **state)
{
    (void)state;
    clm_cp_hub_close(hub);
    clm_cp_hub_free(hub);
    return 0;
}

static struct clm_cp_waiter waiter(const char *topic, const char *owner, int64_t deadline_ms,
                                   struct line *line)
{
    struct clm_cp_waiter w = {.deadline_ms = deadline_ms, .connection = line};

    (void)snprintf(w.topic, sizeof(w.topic), "%s", topic);
    (void)snprintf(w.owner, sizeof(w.owner), "%s", owner);
    return w;
}

/* Each test closes the hub: the waiters are on its stack. */
static void a_wake_resumes_its_topic_only(void **state)
{
    struct line lines[3] = {{0}};
    struct clm_cp_waiter a = waiter("a", "", 10, &lines[0]);
    struct clm_cp_waiter b = waiter("b", "", 10, &lines[1]);
    struct clm_cp_waiter c = waiter("a", "", 10, &lines[2]);

    (void)state;
    assert_true(clm_cp_hub_park(hub, &a, 0));
    assert_true(clm_cp_hub_park(hub, &b, 0));
    assert_true(clm_cp_hub_park(hub, &c, 0));
    clm_cp_hub_wake(hub, "a");
    assert_int_equal(lines[0].resumed, 1);
    assert_int_equal(lines[1].resumed, 0);
    assert_int_equal(lines[2].resumed, 1);
    clm_cp_hub_wake(hub, "a");
    assert_int_equal(lines[0].resumed, 1);
    clm_cp_hub_close(hub);
}

static void a_wake_between_looking_and_parking_is_not_lost(void **state)
{
    struct line line = {0};
    struct clm_cp_waiter w = waiter("a", "", 10, &line);
    uint64_t epoch = clm_cp_hub_epoch(hub);

    (void)state;
    clm_cp_hub_wake(hub, "a");
    assert_false(clm_cp_hub_park(hub, &w, epoch));
    assert_int_equal(line.suspended, 0);
    assert_true(clm_cp_hub_park(hub, &w, clm_cp_hub_epoch(hub)));
    assert_int_equal(line.suspended, 1);
    clm_cp_hub_close(hub);
}

static void deadlines_end_a_wait(void **state)
{
    struct line lines[3] = {{0}};
    struct clm_cp_waiter a = waiter("a", "", 30, &lines[0]);
    struct clm_cp_waiter b = waiter("a", "", 10, &lines[1]);
    struct clm_cp_waiter c = waiter("a", "", 20, &lines[2]);

    (void)state;
    assert_true(clm_cp_hub_expire(hub, 0) == INT64_MAX);
    assert_true(clm_cp_hub_park(hub, &a, 0));
    assert_true(clm_cp_hub_park(hub, &b, 0));
    assert_true(clm_cp_hub_park(hub, &c, 0));
    assert_int_equal(clm_cp_hub_expire(hub, 9), 10);
    assert_int_equal(clm_cp_hub_expire(hub, 10), 20);
    assert_int_equal(lines[1].resumed, 1);
    assert_int_equal(clm_cp_hub_expire(hub, 25), 30);
    assert_int_equal(lines[2].resumed, 1);
    assert_int_equal(lines[0].resumed, 0);
    clm_cp_hub_close(hub);
}

static void a_newer_request_supersedes_the_older(void **state)
{
    struct line lines[3] = {{0}};
    struct clm_cp_waiter mine = waiter("a", "me", 10, &lines[0]);
    struct clm_cp_waiter yours = waiter("a", "you", 10, &lines[1]);

    (void)state;
    assert_true(clm_cp_hub_park(hub, &mine, 0));
    assert_true(clm_cp_hub_park(hub, &yours, 0));
    clm_cp_hub_supersede(hub, "a", "me");
    assert_true(mine.superseded);
    assert_int_equal(lines[0].resumed, 1);
    assert_false(yours.superseded);
    assert_int_equal(lines[1].resumed, 0);
    clm_cp_hub_close(hub);
}

static void a_closed_hub_holds_nothing(void **state)
{
    struct line lines[2] = {{0}};
    struct clm_cp_waiter a = waiter("a", "", 10, &lines[0]);
    struct clm_cp_waiter b = waiter("a", "", 10, &lines[1]);

    (void)state;
    assert_true(clm_cp_hub_park(hub, &a, 0));
    assert_false(clm_cp_hub_is_closed(hub));
    clm_cp_hub_close(hub);
    assert_true(clm_cp_hub_is_closed(hub));
    assert_int_equal(lines[0].resumed, 1);
    assert_false(clm_cp_hub_park(hub, &b, clm_cp_hub_epoch(hub)));
    clm_cp_hub_close(hub);
}

int main(void)
{
#define HUB_TEST(f) cmocka_unit_test_setup_teardown(f, open_hub, close_hub)
    const struct CMUnitTest tests[] = {
        HUB_TEST(a_wake_resumes_its_topic_only),
        HUB_TEST(a_wake_between_looking_and_parking_is_not_lost),
        HUB_TEST(deadlines_end_a_wait),
        HUB_TEST(a_newer_request_supersedes_the_older),
        HUB_TEST(a_closed_hub_holds_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
