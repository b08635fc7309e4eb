/* SPDX-License-Identifier: Apache-2.0 */
/* More than one journal, journals that are not what they are called, and what an outcome says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "tests/support/scene.h"

static struct scene_certs certs;

static void die(struct fake_io *self)
{
    if (self->runs == 2) { /* the test program after the swap */
        _exit(99);
    }
}

/* Leaves a journal and new files. */
static void kill_deployment(struct scene *scene)
{
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        CLM_CLEANUP(clm_txn_outcome_done) struct clm_txn_outcome out = {0};

        scene->server.on_run = die;
        (void)!clm_txn_deploy(&scene->env, &scene->plan, scene->bundle, NULL, &out, NULL);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 99);
    assert_int_equal(scene_files_are(scene), 'N');
}

static void journal_of(const struct scene *scene, char *dst)
{
    char path[PATH_MAX];
    struct dirent *entry;

    (void)snprintf(path, sizeof(path), "%.3000s/txn", scene->state);
    DIR *d = opendir(path);
    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) {
        if (entry->d_name[0] != '.') {
            (void)snprintf(dst, PATH_MAX, "%.3000s/%.500s", path, entry->d_name);
        }
    }
    (void)closedir(d);
}

static enum clm_code deploy(struct scene *scene, struct clm_err *err)
{
    CLM_CLEANUP(clm_txn_outcome_done) struct clm_txn_outcome out = {0};

    enum clm_code code = clm_txn_deploy(&scene->env, &scene->plan, scene->bundle, NULL, &out, err);
    assert_int_equal(out.result == CLM_TXN_FAILED, code != CLM_OK);
    return code;
}

static void two_journals_are_finished_in_the_order_they_were_made(void **state)
{
    CLM_CLEANUP(clm_txn_outcomes_done) struct clm_txn_outcomes outs = {0};
    struct scene first;
    struct scene second;

    (void)state;
    scene_make(&first, SCENE_PAIR, &certs);
    scene_make(&second, SCENE_THREE, &certs);
    second.env.dir = first.state; /* one host half, two servers */
    (void)snprintf(second.plan.target, sizeof(second.plan.target), "apache:other.example");
    kill_deployment(&first);
    kill_deployment(&second); /* other files of another target: not in the way */
    assert_int_equal(scene_count(&first, "txn"), 2);
    assert_int_equal(clm_txn_recover(&first.env, true, &outs, NULL), CLM_OK);
    assert_int_equal(outs.n, 2);
    assert_string_equal(outs.v[0].target, "nginx:www.example");
    assert_string_equal(outs.v[1].target, "apache:other.example");
    for (size_t i = 0; i < outs.n; i++) {
        assert_int_equal(outs.v[i].result, CLM_TXN_ROLLED_BACK);
    }
    assert_int_equal(scene_files_are(&first), 'O');
    assert_int_equal(scene_files_are(&second), 'O');
    scene_assert_clean(&first);
    scene_done(&second);
    scene_done(&first);
}

static void what_is_not_finished_is_in_the_way_of_the_same_files(void **state)
{
    static const struct {
        const char *target; /* NULL: the same */
        bool is_damaged;
        const char *text;
    } rows[] = {
        {NULL, false, "is not finished"},
        {"nginx:another.example", false, "is not finished"},
        {"nginx:another.example", true, "cannot be read"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct scene scene;
        struct clm_err err = {0};
        char path[PATH_MAX];
        char journal[PATH_MAX];

        scene_make(&scene, SCENE_PAIR, &certs);
        kill_deployment(&scene);
        if (rows[i].target != NULL) {
            (void)snprintf(scene.plan.target, sizeof(scene.plan.target), "%s", rows[i].target);
        }
        if (rows[i].is_damaged) {
            journal_of(&scene, journal);
            (void)snprintf(path, sizeof(path), "%.4000s/plan", journal);
            scene_write(path, "damaged", 7, 0600);
        }
        scene_write(scene.files[0].path, scene.files[0].old_data.data, scene.files[0].old_data.len,
                    scene.files[0].mode);
        assert_int_equal(deploy(&scene, &err), CLM_E_CONFLICT);
        if (strstr(err.msg, rows[i].text) == NULL) {
            fail_msg("row %zu: %s", i, err.msg);
        }
        scene_done(&scene);
    }
}

static void a_journal_under_another_name_is_set_aside(void **state)
{
    CLM_CLEANUP(clm_txn_outcomes_done) struct clm_txn_outcomes outs = {0};
    struct scene scene;
    char from[PATH_MAX];
    char to[PATH_MAX];

    (void)state;
    scene_make(&scene, SCENE_PAIR, &certs);
    kill_deployment(&scene);
    journal_of(&scene, from);
    memcpy(to, from, sizeof(to));
    size_t len = strlen(to);
    to[len - 1] = to[len - 1] == '0' ? '1' : '0';
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(clm_txn_recover(&scene.env, true, &outs, NULL), CLM_OK);
    assert_int_equal(outs.n, 1);
    assert_int_equal(outs.v[0].result, CLM_TXN_NEEDS_HUMAN);
    assert_int_equal(scene_files_are(&scene), 'N'); /* nothing was touched */
    assert_int_equal(scene_count(&scene, "quarantine"), 1);
    scene_done(&scene);
}

#ifdef CLM_TEST_HOOKS
/* One that can neither be read nor be moved stays where it is, and is tried again. */
static void what_cannot_be_set_aside_blocks(void **state)
{
    struct scene scene;
    char path[PATH_MAX];
    char journal[PATH_MAX];

    (void)state;
    scene_make(&scene, SCENE_PAIR, &certs);
    kill_deployment(&scene);
    journal_of(&scene, journal);
    (void)snprintf(path, sizeof(path), "%.4000s/log", journal);
    scene_write(path, "damaged", 7, 0600);
    for (int is_well = 0; is_well < 2; is_well++) {
        CLM_CLEANUP(clm_txn_outcomes_done) struct clm_txn_outcomes outs = {0};

        clm_fs_fail_op(is_well ? NULL : "rename", EIO);
        enum clm_code code = clm_txn_recover(&scene.env, true, &outs, NULL);
        clm_fs_fail_op(NULL, 0);
        assert_int_equal(code, CLM_OK);
        assert_int_equal(outs.v[0].result, is_well ? CLM_TXN_NEEDS_HUMAN : CLM_TXN_BLOCKED);
        assert_int_equal(scene_count(&scene, "txn"), is_well ? 0 : 1);
    }
    scene_done(&scene);
}

/* The first one is out of the way, but not deleted: the second one has no place to go to. */
static void a_journal_that_cannot_be_deleted_holds_up_the_next(void **state)
{
    static const enum clm_txn_result wanted[] = {CLM_TXN_ROLLED_BACK, CLM_TXN_BLOCKED};
    struct scene first;
    struct scene second;

    (void)state;
    scene_make(&first, SCENE_PAIR, &certs);
    scene_make(&second, SCENE_THREE, &certs);
    second.env.dir = first.state;
    (void)snprintf(second.plan.target, sizeof(second.plan.target), "apache:other.example");
    kill_deployment(&first);
    kill_deployment(&second);
    for (int is_well = 0; is_well < 2; is_well++) {
        CLM_CLEANUP(clm_txn_outcomes_done) struct clm_txn_outcomes outs = {0};

        clm_fs_fail_op(is_well ? NULL : "rmdir", EIO);
        enum clm_code code = clm_txn_recover(&first.env, true, &outs, NULL);
        clm_fs_fail_op(NULL, 0);
        assert_int_equal(code, CLM_OK);
        assert_int_equal(outs.n, is_well ? 1 : 2);
        for (size_t i = 0; i < outs.n; i++) {
            assert_int_equal(outs.v[i].result, is_well ? CLM_TXN_ROLLED_BACK : wanted[i]);
        }
        assert_int_equal(scene_files_are(&first), 'O');
        assert_int_equal(scene_files_are(&second), 'O');
        assert_int_equal(scene_count(&first, "txn"), is_well ? 0 : 1);
    }
    scene_assert_clean(&first);
    scene_done(&second);
    scene_done(&first);
}
#endif

/* Whatever else lies in the same directory may be exchanged meanwhile. */
static void other_files_of_the_same_directory_are_free(void **state)
{
    struct scene killed;
    struct scene other;
    struct clm_err err = {0};

    (void)state;
    scene_make(&killed, SCENE_PAIR, &certs);
    kill_deployment(&killed);
    scene_attach(&other, SCENE_COMBINED, &certs, killed.root);
    (void)snprintf(other.plan.target, sizeof(other.plan.target), "haproxy:other.example");
    scene_write(other.files[0].path, other.files[0].old_data.data, other.files[0].old_data.len,
                other.files[0].mode);
    fake_io_start(&other.server);
    if (deploy(&other, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(scene_files_are(&other), 'N');
    assert_int_equal(scene_count(&killed, "txn"), 1);
    scene_detach(&other);
    scene_done(&killed);
}

/* Bit by bit, where something made more of them than ever are. */
static void at_most_a_thousand_journals_are_finished_at_once(void **state)
{
    static const size_t wanted[] = {1000, 1, 0};
    struct scene scene;
    char path[PATH_MAX];

    (void)state;
    scene_make(&scene, SCENE_PAIR, &certs);
    (void)snprintf(path, sizeof(path), "%.3000s/txn", scene.state);
    assert_int_equal(mkdir(path, 0700), 0);
    for (int i = 0; i < 1001; i++) {
        (void)snprintf(path, sizeof(path), "%.3000s/txn/%d", scene.state, i);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(wanted); i++) {
        CLM_CLEANUP(clm_txn_outcomes_done) struct clm_txn_outcomes outs = {0};

        assert_int_equal(clm_txn_recover(&scene.env, true, &outs, NULL), CLM_OK);
        assert_int_equal(outs.n, wanted[i]);
        assert_true(outs.n == 0 || outs.v[0].result == CLM_TXN_NEEDS_HUMAN);
    }
    assert_int_equal(scene_count(&scene, "quarantine"), 1001);
    scene_done(&scene);
}

/* Slashes make it longer and lead to the same place. */
static void a_state_directory_has_a_longest_path(void **state)
{
    static const size_t longest = PATH_MAX - 2 * NAME_MAX;

    (void)state;
    for (size_t len = longest; len <= longest + 1; len++) {
        CLM_CLEANUP(clm_txn_outcomes_done) struct clm_txn_outcomes outs = {0};
        enum clm_code want = len > longest ? CLM_E_LIMIT : CLM_OK;
        struct scene scene;
        struct clm_err err = {0};
        char dir[PATH_MAX];

        scene_make(&scene, SCENE_PAIR, &certs);
        memset(dir, '/', len);
        memcpy(dir, scene.state, strlen(scene.state));
        dir[len] = '\0';
        scene.env.dir = dir;
        assert_int_equal(clm_txn_recover(&scene.env, true, &outs, &err), want);
        assert_int_equal(deploy(&scene, &err), want);
        assert_true(want == CLM_OK ||
                    strcmp(err.msg, "the state directory's path is longer than 3586 bytes") == 0);
        assert_int_equal(scene_files_are(&scene), want == CLM_OK ? 'N' : 'O');
        scene_assert_clean(&scene);
        scene_done(&scene);
    }
}

/* A clock before 1970: no record could be read again, so nothing is begun. */
static void a_plan_that_could_not_be_read_back_is_not_begun(void **state)
{
    struct scene scene;
    struct clm_err err = {0};

    (void)state;
    scene_make(&scene, SCENE_PAIR, &certs);
    scene.server.skew_s = -2 * (int64_t)FAKE_IO_NOW_S;
    assert_int_equal(deploy(&scene, &err), CLM_E_PARSE);
    assert_non_null(strstr(err.msg, "the plan cannot be journaled: /created_at: -1779999999"));
    assert_int_equal(scene_files_are(&scene), 'O');
    assert_int_equal(scene.server.reloads, 0);
    scene_assert_clean(&scene);
    scene_done(&scene);
}

static void results_have_names_and_say_what_is_in_place(void **state)
{
    static const struct {
        enum clm_txn_result result;
        const char *name;
        bool is_in_place;
    } rows[] = {
        {CLM_TXN_FAILED, "failed", false},
        {CLM_TXN_NOOP, "noop", true},
        {CLM_TXN_SUCCEEDED, "succeeded", true},
        {CLM_TXN_ROLLED_BACK, "rolled_back", false},
        {CLM_TXN_BLOCKED, "blocked", false},
        {CLM_TXN_NEEDS_HUMAN, "needs_human", false},
        {CLM_TXN_WAITING, "waiting_for_restart", true},
        {CLM_TXN_LEFT, "left", true},
    };

    (void)state;
    assert_int_equal(CLM_ARRAY_LEN(rows), CLM_TXN__COUNT);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        assert_string_equal(clm_txn_result_name(rows[i].result), rows[i].name);
        assert_int_equal(clm_txn_is_in_place(rows[i].result), rows[i].is_in_place);
    }
    assert_string_equal(clm_txn_result_name(CLM_TXN__COUNT), "unknown");
}

static void an_outcome_says_why_and_shows_only_what_was_seen(void **state)
{
    struct clm_txn_endpoint endpoint = {.is_counted = true, .before = {.at_ms = 5}};
    const struct clm_txn_outcome out = {.result = CLM_TXN_FAILED,
                                        .endpoints = &endpoint,
                                        .n_endpoints = 1,
                                        .err = {.code = CLM_E_CONFLICT, .msg = "somebody edited"}};
    struct clm_json *obj = clm_json_new_object();
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(65536);

    (void)state;
    clm_txn_outcome_to_json(&out, obj);
    assert_int_equal(clm_json_print(obj, false, &text, NULL), CLM_OK);
    assert_non_null(strstr(clm_buf_str(&text),
                           "\"error\":{\"code\":\"conflict\",\"message\":\"somebody edited\"}"));
    assert_non_null(strstr(clm_buf_str(&text), "\"before\":{"));
    assert_non_null(strstr(clm_buf_str(&text), "\"after\":null,\"rollback\":null"));
    clm_json_free(obj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_journals_are_finished_in_the_order_they_were_made),
        cmocka_unit_test(what_is_not_finished_is_in_the_way_of_the_same_files),
        cmocka_unit_test(a_journal_under_another_name_is_set_aside),
#ifdef CLM_TEST_HOOKS
        cmocka_unit_test(what_cannot_be_set_aside_blocks),
        cmocka_unit_test(a_journal_that_cannot_be_deleted_holds_up_the_next),
#endif
        cmocka_unit_test(other_files_of_the_same_directory_are_free),
        cmocka_unit_test(at_most_a_thousand_journals_are_finished_at_once),
        cmocka_unit_test(a_state_directory_has_a_longest_path),
        cmocka_unit_test(a_plan_that_could_not_be_read_back_is_not_begun),
        cmocka_unit_test(results_have_names_and_say_what_is_in_place),
        cmocka_unit_test(an_outcome_says_why_and_shows_only_what_was_seen),
    };
    int failed;

    scene_certs_make(&certs, CLM_TEST_GOOD);
    failed = cmocka_run_group_tests_name("journals", tests, NULL, NULL);
    scene_certs_done(&certs);
    return failed;
}
