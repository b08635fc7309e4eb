/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/run/world.h"

#include <sys/wait.h>

#include "agent/run/spool.h"

struct fixture {
    struct home home;
    char dir[PATH_MAX];
};

static int setup(void **state)
{
    static struct fixture f;

    home_open(&f.home);
    spool_path(&f.home, f.dir);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    home_close(&f->home);
    return 0;
}

static enum clm_code put(const struct fixture *f, int class_no, const char *job_id, int number)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    const struct clm_spool_message message = {.class_no = class_no,
                                              .job_id = job_id,
                                              .method = "POST",
                                              .path = "/agent/v1/x",
                                              .body = body};

    clm_json_set_int(body, "number", number);
    return clm_spool_put(f->dir, &message, NULL);
}

/* The number of the next message, -1 if none is due. */
static int64_t next_number(const struct fixture *f, int64_t now_s, const char *only_job,
                           struct clm_spool_entry *out)
{
    int64_t wait_s = -1;
    int64_t number = -1;

    assert_int_equal(clm_spool_next(f->dir, now_s, only_job, out, &wait_s, NULL), CLM_OK);
    if (wait_s == 0) {
        assert_int_equal(clm_json_int(out->body, "number", 0, 1000000, &number, NULL), CLM_OK);
    }
    return number;
}

static void finish_next(const struct fixture *f, int expected)
{
    struct clm_spool_entry entry;

    assert_int_equal(next_number(f, 1, NULL, &entry), expected);
    assert_int_equal(clm_spool_finish(f->dir, &entry, CLM_SPOOL_DELIVERED, NULL), CLM_OK);
    clm_spool_entry_done(&entry);
}

static void messages_leave_by_class_and_then_by_age(void **state)
{
    const struct fixture *f = *state;
    struct clm_spool_entry entry;

    assert_int_equal(put(f, CLM_SPOOL_EVENT, A_JOB, 1), CLM_OK);
    usleep(2000); /* the next ULID has a later millisecond */
    assert_int_equal(put(f, CLM_SPOOL_RESULT, A_JOB, 2), CLM_OK);
    usleep(2000);
    assert_int_equal(put(f, CLM_SPOOL_RESULT, B_JOB, 3), CLM_OK);
    finish_next(f, 2);
    finish_next(f, 3);
    finish_next(f, 1);
    assert_int_equal(next_number(f, 1, NULL, &entry), -1);
    clm_spool_entry_done(&entry);
}

static void entry_tells_all_that_sending_needs(void **state)
{
    const struct fixture *f = *state;
    struct clm_spool_entry entry;

    assert_int_equal(put(f, CLM_SPOOL_RESULT, A_JOB, 7), CLM_OK);
    assert_int_equal(next_number(f, 1, NULL, &entry), 7);
    assert_string_equal(entry.job_id, A_JOB);
    assert_string_equal(entry.method, "POST");
    assert_string_equal(entry.path, "/agent/v1/x");
    assert_int_equal(strlen(entry.idempotency_key), 26);
    assert_int_equal(entry.attempts, 0);
    clm_spool_entry_done(&entry);
}

static void deferred_message_waits_and_keeps_its_key(void **state)
{
    const struct fixture *f = *state;
    struct clm_spool_entry entry;
    char key[64];
    int64_t wait_s = 0;

    assert_int_equal(put(f, CLM_SPOOL_RESULT, A_JOB, 1), CLM_OK);
    assert_int_equal(next_number(f, 1000, NULL, &entry), 1);
    (void)snprintf(key, sizeof(key), "%s", entry.idempotency_key);
    assert_int_equal(clm_spool_defer(f->dir, &entry, 1100, NULL), CLM_OK);
    clm_spool_entry_done(&entry);
    assert_int_equal(clm_spool_next(f->dir, 1000, NULL, &entry, &wait_s, NULL), CLM_OK);
    assert_int_equal(wait_s, 100);
    clm_spool_entry_done(&entry);
    assert_int_equal(next_number(f, 1100, NULL, &entry), 1);
    assert_string_equal(entry.idempotency_key, key);
    assert_int_equal(entry.attempts, 1);
    clm_spool_entry_done(&entry);
}

static void messages_of_one_job_never_overtake(void **state)
{
    const struct fixture *f = *state;
    struct clm_spool_entry entry;

    assert_int_equal(put(f, CLM_SPOOL_RESULT, A_JOB, 1), CLM_OK);
    usleep(2000);
    assert_int_equal(put(f, CLM_SPOOL_RESULT, A_JOB, 2), CLM_OK);
    usleep(2000);
    assert_int_equal(put(f, CLM_SPOOL_RESULT, B_JOB, 3), CLM_OK);
    assert_int_equal(next_number(f, 10, NULL, &entry), 1);
    assert_int_equal(clm_spool_defer(f->dir, &entry, 100, NULL), CLM_OK);
    clm_spool_entry_done(&entry);
    assert_int_equal(next_number(f, 10, NULL, &entry), 3);
    clm_spool_entry_done(&entry);
    assert_int_equal(next_number(f, 10, A_JOB, &entry), -1);
    clm_spool_entry_done(&entry);
    assert_int_equal(next_number(f, 100, A_JOB, &entry), 1);
    clm_spool_entry_done(&entry);
}

static void only_the_newest_inventory_is_kept(void **state)
{
    const struct fixture *f = *state;
    struct clm_spool_stats stats;

    assert_int_equal(put(f, CLM_SPOOL_INVENTORY, NULL, 1), CLM_OK);
    assert_int_equal(put(f, CLM_SPOOL_INVENTORY, NULL, 2), CLM_OK);
    clm_spool_stats(f->dir, 1, &stats);
    assert_int_equal(stats.n, 1);
    finish_next(f, 2);
}

static void damaged_file_is_put_aside_and_the_rest_goes_on(void **state)
{
    static const char *const bad[] = {"", "{", "[]", "{\"v\":1}", "{\"job_id\":7}"};
    const struct fixture *f = *state;
    struct clm_spool_stats stats;
    char path[PATH_MAX + 64];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/0/0000000000000000000000000%zu.json", f->dir, i);
        assert_int_equal(clm_fs_replace(path, bad[i], strlen(bad[i]), 0600, NULL), CLM_OK);
    }
    assert_int_equal(put(f, CLM_SPOOL_RESULT, A_JOB, 5), CLM_OK);
    finish_next(f, 5);
    clm_spool_stats(f->dir, 1, &stats);
    assert_int_equal(stats.n, 0);
    assert_int_equal(stats.dead, sizeof(bad) / sizeof(bad[0]));
}

static void message_lacks_no_member(void **state)
{
    static const char *const members[] = {"job_id",   "method",  "path",       "idempotency_key",
                                          "attempts", "first_s", "next_try_s", "body"};
    const struct fixture *f = *state;
    struct clm_spool_stats stats;
    char path[PATH_MAX + 64];

    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(10000);
        struct clm_spool_entry entry;

        assert_int_equal(put(f, CLM_SPOOL_RESULT, A_JOB, 5), CLM_OK);
        assert_int_equal(next_number(f, 1, NULL, &entry), 5);
        clm_json_set_copy(entry.message, members[i], NULL);
        assert_int_equal(clm_json_print(entry.message, false, &text, NULL), CLM_OK);
        (void)snprintf(path, sizeof(path), "%s/0/%s", f->dir, entry.name);
        assert_int_equal(clm_fs_replace(path, text.data, text.len, 0600, NULL), CLM_OK);
        clm_spool_entry_done(&entry);
        assert_int_equal(next_number(f, 1, NULL, &entry), -1);
        clm_spool_entry_done(&entry);
        clm_spool_stats(f->dir, 1, &stats);
        assert_int_equal(stats.n, 0);
        assert_int_equal(stats.dead, i + 1);
    }
}

static void what_is_no_message_is_left_alone(void **state)
{
    static const char *const names[] = {".0000.json", "note.txt",
                                        "0000000000000000000000000000000000000000000.json"};
    const struct fixture *f = *state;
    struct clm_spool_stats stats;
    struct clm_spool_entry entry;
    char path[PATH_MAX + 64];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/0/%s", f->dir, names[i]);
        assert_int_equal(clm_fs_replace(path, "{}", 2, 0600, NULL), CLM_OK);
    }
    assert_int_equal(next_number(f, 1, NULL, &entry), -1);
    clm_spool_entry_done(&entry);
    clm_spool_stats(f->dir, 1, &stats);
    assert_int_equal(stats.n + stats.dead, 0);
    assert_int_equal(clm_fs_exists(path), 1);
}

static void the_shortest_of_all_waits_is_told(void **state)
{
    static const int64_t due_s[] = {1300, 1100, 1200};
    static const char *const jobs[] = {A_JOB, B_JOB, ""};
    const struct fixture *f = *state;
    struct clm_spool_entry entry;
    int64_t wait_s = 0;

    for (int i = 0; i < 3; i++) {
        assert_int_equal(put(f, CLM_SPOOL_RESULT, jobs[i], i), CLM_OK);
        assert_int_equal(next_number(f, 1000, jobs[i], &entry), i);
        assert_int_equal(clm_spool_defer(f->dir, &entry, due_s[i], NULL), CLM_OK);
        clm_spool_entry_done(&entry);
        usleep(2000); /* the next ULID has a later millisecond */
    }
    assert_int_equal(clm_spool_next(f->dir, 1000, NULL, &entry, &wait_s, NULL), CLM_OK);
    assert_int_equal(wait_s, 100);
    clm_spool_entry_done(&entry);
    assert_int_equal(clm_spool_next(f->dir, 1000, A_JOB, &entry, &wait_s, NULL), CLM_OK);
    assert_int_equal(wait_s, 300);
    clm_spool_entry_done(&entry);
}

/* Files with holes: large, but of no weight. */
static void too_many_bytes_are_as_bad_as_too_many_files(void **state)
{
    static const char *const names[] = {"0/00000000000000000000000001.json",
                                        "1/00000000000000000000000001.json",
                                        "1/00000000000000000000000002.json"};
    static const off_t sizes[] = {CLM_SPOOL_BYTES_MAX_0, CLM_SPOOL_BYTES_MAX_1 - 2, 3};
    const struct fixture *f = *state;
    struct clm_spool_stats stats;
    char path[PATH_MAX + 64];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", f->dir, names[i]);
        assert_int_equal(clm_fs_replace(path, "", 0, 0600, NULL), CLM_OK);
        assert_int_equal(truncate(path, sizes[i]), 0);
    }
    assert_false(clm_spool_has_room(f->dir));
    assert_int_equal(put(f, CLM_SPOOL_RESULT, A_JOB, 1), CLM_E_LIMIT);
    assert_int_equal(put(f, CLM_SPOOL_EVENT, A_JOB, 1), CLM_OK);
    clm_spool_stats(f->dir, 1, &stats);
    assert_int_equal(stats.n, 3); /* the result, the newer event and the new one */
    assert_int_equal(clm_fs_exists(path), 1);
}

static void directory_that_is_too_long_is_refused_not_cut(void **state)
{
    struct fixture *f = *state;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *message = clm_json_new_object();
    struct clm_spool_entry entry = {.name = "x.json", .message = message};
    struct clm_spool_stats stats;
    int64_t wait_s = 0;
    size_t len = strlen(f->dir);

    memset(f->dir + len, '/', sizeof(f->dir) - 1 - len);
    f->dir[sizeof(f->dir) - 1] = '\0';
    assert_int_not_equal(clm_spool_init(f->dir, NULL), CLM_OK);
    assert_int_not_equal(put(f, CLM_SPOOL_EVENT, A_JOB, 1), CLM_OK);
    assert_int_not_equal(put(f, CLM_SPOOL_INVENTORY, A_JOB, 1), CLM_OK);
    assert_int_not_equal(clm_spool_defer(f->dir, &entry, 1, NULL), CLM_OK);
    assert_int_not_equal(clm_spool_finish(f->dir, &entry, CLM_SPOOL_DEAD, NULL), CLM_OK);
    assert_false(clm_spool_has_room(f->dir));
    clm_spool_stats(f->dir, 1, &stats);
    assert_int_equal(stats.n, 0);
    assert_int_not_equal(clm_spool_next(f->dir, 1, NULL, &entry, &wait_s, NULL), CLM_OK);
    clm_spool_entry_done(&entry);
    f->dir[len] = '\0';
    clm_spool_stats(f->dir, 1, &stats);
    assert_int_equal(stats.n + stats.dead, 0);
}

static void refused_messages_are_kept_for_a_person(void **state)
{
    const struct fixture *f = *state;
    struct clm_spool_entry entry;
    struct clm_spool_stats stats;

    for (int i = 0; i < 105; i++) {
        assert_int_equal(put(f, CLM_SPOOL_RESULT, A_JOB, i), CLM_OK);
        assert_int_equal(next_number(f, 1, NULL, &entry), i);
        assert_int_equal(clm_spool_finish(f->dir, &entry, CLM_SPOOL_DEAD, NULL), CLM_OK);
        clm_spool_entry_done(&entry);
    }
    clm_spool_stats(f->dir, 1, &stats);
    assert_int_equal(stats.n, 0);
    assert_int_equal(stats.dead, CLM_SPOOL_KEPT_MAX);
}

/* Puts files beside the API: 10,000 durable writes would take the disk's time, not the code's. */
static void fill(const struct fixture *f, int class_no, size_t n)
{
    static const char text[] = "{\"v\":1,\"job_id\":\"\",\"method\":\"POST\",\"path\":\"/x\","
                               "\"idempotency_key\":\"k\",\"attempts\":0,\"first_s\":1,"
                               "\"next_try_s\":0,\"body\":{\"number\":1}}";

    for (size_t i = 0; i < n; i++) {
        char path[PATH_MAX + 64];
        FILE *file;

        (void)snprintf(path, sizeof(path), "%s/%d/000000000000000000000%05zu.json", f->dir,
                       class_no, i);
        file = fopen(path, "w");
        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
    }
}

static void full_spool_takes_no_more_results(void **state)
{
    const struct fixture *f = *state;

    fill(f, CLM_SPOOL_RESULT, CLM_SPOOL_FILES_MAX - 1);
    assert_true(clm_spool_has_room(f->dir));
    assert_int_equal(put(f, CLM_SPOOL_RESULT, A_JOB, 1), CLM_OK);
    assert_false(clm_spool_has_room(f->dir));
    assert_int_equal(put(f, CLM_SPOOL_RESULT, A_JOB, 2), CLM_E_LIMIT);
    assert_int_equal(put(f, CLM_SPOOL_INVENTORY, NULL, 3), CLM_OK);
}

static void full_class_of_events_drops_the_oldest(void **state)
{
    const struct fixture *f = *state;
    struct clm_spool_stats stats;
    char path[PATH_MAX + 64];

    fill(f, CLM_SPOOL_EVENT, CLM_SPOOL_FILES_MAX);
    assert_int_equal(put(f, CLM_SPOOL_EVENT, A_JOB, 1), CLM_OK);
    clm_spool_stats(f->dir, 1, &stats);
    assert_int_equal(stats.n, CLM_SPOOL_FILES_MAX);
    (void)snprintf(path, sizeof(path), "%s/1/00000000000000000000000000.json", f->dir);
    assert_int_equal(clm_fs_exists(path), 0);
}

static void stats_of_an_empty_or_missing_spool_are_zero(void **state)
{
    const struct fixture *f = *state;
    struct clm_spool_stats stats;

    clm_spool_stats(f->dir, 1, &stats);
    assert_int_equal(stats.n + stats.dead + (size_t)stats.bytes, 0);
    clm_spool_stats("/nonexistent", 1, &stats);
    assert_int_equal(stats.n, 0);
    assert_false(clm_spool_has_room("/nonexistent"));
}

#ifdef CLM_TEST_HOOKS
/* Ends the process at every durable operation of "put one, defer it, finish it": afterwards the
 * spool must open, hold the message whole or not at all, and take the next. */
static void crash_at_any_point_loses_nothing_that_was_acknowledged(void **state)
{
    const struct fixture *f = *state;

    for (unsigned n = 1;; n++) {
        int64_t wait_s = -1;
        struct clm_spool_entry entry;
        struct clm_spool_stats stats;
        int acknowledged[2];
        char seen = 0;

        assert_int_equal(pipe(acknowledged), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            clm_fs_crash_at(n);
            if (put(f, CLM_SPOOL_RESULT, A_JOB, 9) != CLM_OK ||
                write(acknowledged[1], "p", 1) != 1 ||
                clm_spool_next(f->dir, 1, NULL, &entry, &wait_s, NULL) != CLM_OK ||
                clm_spool_defer(f->dir, &entry, 1, NULL) != CLM_OK ||
                clm_spool_finish(f->dir, &entry, CLM_SPOOL_DELIVERED, NULL) != CLM_OK) {
                _exit(1);
            }
            _exit(write(acknowledged[1], "d", 1) == 1 ? 0 : 1);
        }
        (void)close(acknowledged[1]);
        char last = 0;
        while (read(acknowledged[0], &seen, 1) == 1) {
            last = seen;
        }
        (void)close(acknowledged[0]);
        int status = -1;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_not_equal(WEXITSTATUS(status), 1);
        assert_int_equal(clm_spool_init(f->dir, NULL), CLM_OK);
        clm_spool_stats(f->dir, 1, &stats);
        assert_int_equal(stats.dead, 0);
        if (last == 'p') {
            assert_true(stats.n <= 1); /* finishing may have removed it before the crash */
        }
        while (clm_spool_next(f->dir, 1, NULL, &entry, &wait_s, NULL) == CLM_OK && wait_s == 0) {
            int64_t number = 0;

            assert_int_equal(clm_json_int(entry.body, "number", 0, 9, &number, NULL), CLM_OK);
            assert_int_equal(number, 9);
            assert_int_equal(clm_spool_finish(f->dir, &entry, CLM_SPOOL_DELIVERED, NULL), CLM_OK);
            clm_spool_entry_done(&entry);
        }
        clm_spool_entry_done(&entry);
        if (WEXITSTATUS(status) == 0) {
            assert_true(n > 6);
            return;
        }
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH(messages_leave_by_class_and_then_by_age),
        WITH(entry_tells_all_that_sending_needs),
        WITH(deferred_message_waits_and_keeps_its_key),
        WITH(messages_of_one_job_never_overtake),
        WITH(only_the_newest_inventory_is_kept),
        WITH(damaged_file_is_put_aside_and_the_rest_goes_on),
        WITH(message_lacks_no_member),
        WITH(what_is_no_message_is_left_alone),
        WITH(the_shortest_of_all_waits_is_told),
        WITH(too_many_bytes_are_as_bad_as_too_many_files),
        WITH(directory_that_is_too_long_is_refused_not_cut),
        WITH(refused_messages_are_kept_for_a_person),
        WITH(full_spool_takes_no_more_results),
        WITH(full_class_of_events_drops_the_oldest),
        WITH(stats_of_an_empty_or_missing_spool_are_zero),
#ifdef CLM_TEST_HOOKS
        WITH(crash_at_any_point_loses_nothing_that_was_acknowledged),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
