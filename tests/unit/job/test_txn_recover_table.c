/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decision table of docs/journal.md, "Recovery", on real files: every last state of the log, with
 * every content of one target and of its temporary name, with a good and with a damaged copy, and
 * with an old certificate that had expired. What must come of it is worked out here once more, from
 * the text and not from the product's tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/job/txn_log.h"
#include "tests/support/scene.h"

#define EDIT "edited by somebody"
#define SUBJECT                                                                                    \
    1 /* the file that is varied: the key; the other one is new, its old one beside it */

struct row {
    enum clm_txn_state state;
    char target; /* 'O' old, 'N' new, 'F' foreign, 'M' missing */
    char temp;
    bool is_damaged; /* the journal's copy */
    bool is_first;   /* there was no such file before: missing is old */
    bool is_expired; /* the old certificate was */
};

struct want {
    enum clm_txn_result result;
    char target;
    char other; /* the other file */
};

struct act {
    struct scene scene;
    char journal[PATH_MAX];
    char temp[PATH_MAX];
};

static const enum clm_txn_state states[] = {
    CLM_TXN_PREPARED,  CLM_TXN_SWAPPING, CLM_TXN_SWAPPED, CLM_TXN_RELOADED,
    CLM_TXN_COMMITTED, CLM_TXN_UNDOING,  CLM_TXN_UNDONE,  CLM_TXN_KEPT,
};

/* ---- what must come of it ---- */

static struct want undone(const struct row *row)
{
    const struct want human = {CLM_TXN_NEEDS_HUMAN, row->target, 'N'};
    struct want back = {CLM_TXN_ROLLED_BACK, 'O', 'O'};

    if (row->target == 'F') {
        back.target = 'F'; /* made before ours got there: stays */
        return row->temp == 'N' ? back : human;
    }
    if (row->target == 'O' && row->temp == 'F') { /* an edit that came out of an undo */
        return human;
    }
    if (row->is_first || row->target == 'O' || row->temp == 'O') {
        return back;
    }
    if (row->target == 'N' && row->temp == 'F') { /* an edit under our feet goes back */
        back.target = 'F';
        return back;
    }
    return row->is_damaged ? human : back;
}

static struct want wanted(const struct row *row)
{
    switch (row->state) {
    case CLM_TXN_PREPARED:
        return (struct want){CLM_TXN_FAILED, row->target, 'N'};
    case CLM_TXN_COMMITTED:
        return (struct want){CLM_TXN_SUCCEEDED, row->target, 'N'};
    case CLM_TXN_UNDONE:
        return (struct want){CLM_TXN_ROLLED_BACK, row->target, 'N'};
    case CLM_TXN_KEPT:
        return (struct want){CLM_TXN_LEFT, row->target, 'N'};
    case CLM_TXN_RELOADED:
        if (row->is_expired && row->target == 'N') {
            return (struct want){CLM_TXN_SUCCEEDED, 'N', 'N'};
        }
        return undone(row);
    case CLM_TXN_SWAPPING:
    case CLM_TXN_SWAPPED:
    case CLM_TXN_UNDOING:
        return undone(row);
    case CLM_TXN_NONE:
    case CLM_TXN_STATE__COUNT:
        break;
    }
    fail_msg("no such state");
    return (struct want){.result = CLM_TXN__COUNT};
}

/* ---- making it so ---- */

static void die(struct fake_io *self)
{
    if (self->runs == 2) { /* the test program after the swap */
        _exit(99);
    }
}

/* The entry of dir whose name holds text; "" if there is none. */
static void find_entry(const char *dir, const char *text, char *dst)
{
    DIR *d = opendir(dir);
    struct dirent *entry;

    dst[0] = '\0';
    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strstr(entry->d_name, text) != NULL) {
            (void)snprintf(dst, PATH_MAX, "%.2500s/%.500s", dir, entry->d_name);
        }
    }
    (void)closedir(d);
}

/* Leaves what a deployment killed after the swap leaves. */
static void kill_deployment(struct act *act, struct scene_certs *certs)
{
    const struct scene_file *file = &act->scene.files[SUBJECT];
    char path[PATH_MAX];
    int status = 0;

    scene_reset(&act->scene, certs);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        CLM_CLEANUP(clm_txn_outcome_done) struct clm_txn_outcome out = {0};

        act->scene.server.on_run = die;
        (void)!clm_txn_deploy(&act->scene.env, &act->scene.plan, act->scene.bundle, NULL, &out,
                              NULL);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 99);
    (void)snprintf(path, sizeof(path), "%.4000s/txn", act->scene.state);
    find_entry(path, "txn_", act->journal);
    assert_string_not_equal(act->journal, "");
    (void)snprintf(path, sizeof(path), "%.80s.clmbot.", file->name);
    find_entry(act->scene.etc, path, act->temp);
}

/* The temporary name from the plan: of a first installation nothing lies there any more. */
static void read_temp_name(struct act *act)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf plan = CLM_BUF_INIT(300000);
    char path[PATH_MAX];
    char key[128];
    char buffer[4096];

    if (act->temp[0] != '\0') {
        return;
    }
    (void)snprintf(path, sizeof(path), "%.4000s/plan", act->journal);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (ssize_t n = 0; (n = read(fd, buffer, sizeof(buffer))) > 0;) {
        assert_int_equal(clm_buf_add(&plan, buffer, (size_t)n, NULL), CLM_OK);
    }
    (void)close(fd);
    (void)snprintf(key, sizeof(key), "\"temp\":\".%.80s.clmbot.", act->scene.files[SUBJECT].name);
    const char *at = strstr(clm_buf_str(&plan), key);
    assert_non_null(at);
    at += strlen("\"temp\":\"");
    (void)snprintf(act->temp, sizeof(act->temp), "%.3000s/%.*s", act->scene.etc,
                   (int)strcspn(at, "\""), at);
}

static void put(const struct scene_file *file, const char *path, char what)
{
    const struct clm_buf *data = what == 'O' ? &file->old_data : &file->new_data;

    (void)unlink(path);
    if (what == 'F') {
        scene_write(path, EDIT, strlen(EDIT), file->mode);
    } else if (what != 'M' && data->len > 0) {
        scene_write(path, data->data, data->len, file->mode);
    }
}

/* The log ends with this state: cut down to where it may follow, then said. */
static void set_state(const struct act *act, enum clm_txn_state state)
{
    static const uint8_t nothing[CLM_TXN_LOG_RECORD];
    CLM_CLEANUP(clm_txn_log_close) struct clm_txn_log log = CLM_TXN_LOG_INIT;
    const char *txid = strrchr(act->journal, '/') + 1;
    uint32_t kept = state < CLM_TXN_SWAPPED ? (uint32_t)state : (uint32_t)CLM_TXN_SWAPPED;
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%.4000s/log", act->journal);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (uint32_t i = kept; i < CLM_TXN_SWAPPED; i++) {
        assert_int_equal(pwrite(fd, nothing, sizeof(nothing), (off_t)(i * sizeof(nothing))),
                         sizeof(nothing));
    }
    (void)close(fd);
    assert_int_equal(clm_txn_log_open(path, txid, &log, NULL), CLM_OK);
    if (state == CLM_TXN_UNDONE) {
        assert_int_equal(clm_txn_log_append(&log, CLM_TXN_UNDOING, 1, NULL), CLM_OK);
    }
    if (log.state != state) {
        assert_int_equal(clm_txn_log_append(&log, state, 1, NULL), CLM_OK);
    }
    assert_int_equal(log.state, state);
}

static void set_up(struct act *act, const struct row *row, struct scene_certs *certs)
{
    const struct scene_file *file = &act->scene.files[SUBJECT];
    char path[PATH_MAX];

    kill_deployment(act, certs);
    read_temp_name(act);
    put(file, file->path, row->target);
    put(file, act->temp, row->temp);
    set_state(act, row->state);
    if (row->is_damaged) {
        (void)snprintf(path, sizeof(path), "%.4000s/old.%d", act->journal, SUBJECT);
        scene_write(path, "damaged", 7, 0600);
    }
}

/* ---- checking ---- */

static void complain(const struct row *row, const struct clm_txn_outcome *out, const char *what)
{
    fail_msg("%s, target %c, temporary %c%s%s%s: %s (%s: %s)", clm_txn_state_name(row->state),
             row->target, row->temp, row->is_damaged ? ", copy damaged" : "",
             row->is_first ? ", first" : "", row->is_expired ? ", old expired" : "", what,
             clm_txn_result_name(out->result), out->err.msg);
}

static bool holds(const struct scene_file *file, char what)
{
    const struct clm_buf edit = {
        .data = (uint8_t[]){EDIT}, .len = strlen(EDIT), .cap = sizeof(EDIT)};

    if (what == 'F') {
        return scene_holds(file->path, &edit);
    }
    if (what == 'M' || (what == 'O' && file->old_data.len == 0)) {
        return access(file->path, F_OK) != 0;
    }
    return scene_file_is(file) == what;
}

static void check(struct act *act, const struct row *row)
{
    CLM_CLEANUP(clm_txn_outcomes_done) struct clm_txn_outcomes outs = {0};
    CLM_CLEANUP(clm_txn_outcomes_done) struct clm_txn_outcomes again = {0};
    struct want want = wanted(row);
    char left[PATH_MAX];

    assert_int_equal(clm_txn_recover(&act->scene.env, true, &outs, NULL), CLM_OK);
    assert_int_equal(outs.n, 1);
    const struct clm_txn_outcome *out = &outs.v[0];
    if (out->result != want.result) {
        complain(row, out, "another result");
    }
    if (!holds(&act->scene.files[SUBJECT], want.target) ||
        !holds(&act->scene.files[1 - SUBJECT], want.other)) {
        complain(row, out, "other files");
    }
    bool is_human = want.result == CLM_TXN_NEEDS_HUMAN;
    if (scene_count(&act->scene, "txn") != 0 ||
        scene_count(&act->scene, "quarantine") != (is_human ? 1 : 0)) {
        complain(row, out, "the journal is elsewhere");
    }
    find_entry(act->scene.etc, ".clmbot.", left);
    if (!is_human && left[0] != '\0') {
        complain(row, out, "a temporary file is left");
    }
    assert_int_equal(clm_txn_recover(&act->scene.env, true, &again, NULL), CLM_OK);
    if (again.n != 0 || !holds(&act->scene.files[SUBJECT], want.target)) {
        complain(row, out, "twice is not once");
    }
}

static void every_row(enum scene_kind kind, bool is_expired)
{
    static const char contents[] = {'O', 'N', 'F', 'M'};
    struct scene_certs certs;
    struct act act = {.journal = ""};
    unsigned n = 0;

    scene_certs_make(&certs, is_expired ? CLM_TEST_EXPIRED : CLM_TEST_GOOD);
    scene_make(&act.scene, kind, &certs);
    for (size_t s = 0; s < CLM_ARRAY_LEN(states); s++) {
        for (size_t bits = 0; bits < 32; bits++) {
            const struct row row = {.state = states[s],
                                    .target = contents[bits & 3],
                                    .temp = contents[bits >> 2 & 3],
                                    .is_damaged = (bits & 16) != 0,
                                    .is_first = kind == SCENE_FIRST,
                                    .is_expired = is_expired};

            if (row.is_first && (row.target == 'M' || row.temp == 'O' || row.is_damaged)) {
                continue; /* there is no old one */
            }
            set_up(&act, &row, &certs);
            check(&act, &row);
            n++;
        }
    }
    print_message("%u rows\n", n);
    scene_done(&act.scene);
    scene_certs_done(&certs);
}

static void every_state_with_every_content_ends_as_written(void **state)
{
    (void)state;
    every_row(SCENE_PAIR, false);
}

static void a_first_installation_ends_as_written(void **state)
{
    (void)state;
    every_row(SCENE_FIRST, false);
}

static void with_an_old_certificate_that_had_expired_as_well(void **state)
{
    (void)state;
    every_row(SCENE_PAIR, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_with_every_content_ends_as_written),
        cmocka_unit_test(a_first_installation_ends_as_written),
        cmocka_unit_test(with_an_old_certificate_that_had_expired_as_well),
    };

    return cmocka_run_group_tests_name("recovery table", tests, NULL, NULL);
}
