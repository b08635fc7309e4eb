/* SPDX-License-Identifier: Apache-2.0 */
/* Real processes: /bin/sh, called as "sh _job ID --config FILE", runs the script that _job is. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/fs.h"
#include "agent/base/str.h"
#include "agent/run/children.h"
#include "tests/support/sabotage.h"

struct fixture {
    char dir[64];
    struct clm_children children;
};

static void write_script(const char *text)
{
    FILE *file = fopen("_job", "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){.dir = "/tmp/clm-children.XXXXXX",
                         .children = {.exe = "/bin/sh", .config_path = "c.yaml", .boot_id = "B1"}};
    *state = &f;
    return mkdtemp(f.dir) == NULL || chdir(f.dir) != 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    static const char *const made[] = {"_job", "out"};

    for (size_t i = 0; i < CLM_ARRAY_LEN(made); i++) {
        (void)unlink(made[i]);
    }
    return chdir("/") != 0 || rmdir(f->dir) != 0;
}

/* Waits at most ten seconds for the next end. */
static int ended(struct fixture *f, struct clm_child *child)
{
    const struct timespec moment = {.tv_nsec = 5000000};
    int status = -1;

    for (unsigned i = 0; i < 2000; i++) {
        if (clm_children_reap(&f->children, child, &status)) {
            return status;
        }
        (void)nanosleep(&moment, NULL);
    }
    fail_msg("no child has ended");
    return -1;
}

static void read_out(struct clm_buf *out)
{
    struct clm_err err = {0};
    CLM_CLEANUP(clm_fs_close_p) int fd = open("out", O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(clm_fs_read_fd(fd, "out", 65536, out, &err), CLM_OK);
}

static void child_gets_its_arguments_and_nothing_of_ours(void **state)
{
    struct fixture *f = *state;
    struct clm_child child;
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(65536);
    /* without CLOEXEC: it must be closed all the same */
    CLM_CLEANUP(clm_fs_close_p) int leak = open("/dev/null", O_RDONLY);

    assert_true(leak > STDERR_FILENO);
    assert_int_equal(setenv("SECRET", "hush", 1), 0);
    assert_int_equal(setenv("https_proxy", "http://proxy.example:3128", 1), 0);
    write_script("echo \"$@\" >out; env >>out; ls -l /proc/self/fd >>out\n");
    assert_int_equal(clm_children_start(&f->children, "job_1", "nginx:a", NULL), CLM_OK);
    assert_int_equal(ended(f, &child), 0);
    read_out(&out);
    assert_non_null(strstr(clm_buf_str(&out), "job_1 --config c.yaml\n"));
    assert_non_null(strstr(clm_buf_str(&out), "=B1\n"));
    assert_non_null(strstr(clm_buf_str(&out), "https_proxy=http://proxy.example:3128\n"));
    assert_null(strstr(clm_buf_str(&out), "hush"));
    char link[32];
    (void)snprintf(link, sizeof(link), " %d -> /dev/null", leak);
    assert_null(strstr(clm_buf_str(&out), link));
}

static void list_knows_jobs_scans_and_targets(void **state)
{
    struct fixture *f = *state;
    struct clm_child child;

    write_script("exec sleep 600\n");
    assert_int_equal(clm_children_start(&f->children, "job_1", "nginx:a", NULL), CLM_OK);
    assert_int_equal(clm_children_start(&f->children, "@scan", "", NULL), CLM_OK);
    assert_int_equal(clm_children_jobs(&f->children), 1);
    assert_int_equal(clm_children_all(&f->children), 2);
    assert_true(clm_children_has(&f->children, "@scan"));
    assert_false(clm_children_has(&f->children, "job_2"));
    assert_true(clm_children_has_target(&f->children, "nginx:a"));
    assert_false(clm_children_has_target(&f->children, "")); /* the scan's */

    clm_children_signal(&f->children, "job_1", SIGTERM);
    assert_int_equal(ended(f, &child), 128 + SIGTERM);
    assert_string_equal(child.id, "job_1");
    assert_false(clm_children_has_target(&f->children, "nginx:a"));
    clm_children_signal(&f->children, NULL, SIGKILL);
    assert_int_equal(ended(f, &child), 128 + SIGKILL);
    assert_string_equal(child.id, "@scan");
    assert_int_equal(clm_children_all(&f->children), 0);
}

static void room_is_limited_and_comes_back(void **state)
{
    struct fixture *f = *state;
    struct clm_child child;
    struct clm_err err = {0};
    char id[16];

    write_script("exec sleep 600\n");
    for (int i = 0; i < CLM_CHILDREN_MAX; i++) {
        (void)snprintf(id, sizeof(id), "job_%d", i);
        assert_int_equal(clm_children_start(&f->children, id, id, NULL), CLM_OK);
    }
    assert_int_equal(clm_children_start(&f->children, "job_x", "t", &err), CLM_E_LIMIT);
    clm_children_signal(&f->children, "job_3", SIGKILL);
    (void)ended(f, &child);
    assert_int_equal(clm_children_start(&f->children, "job_x", "t", &err), CLM_OK);
    clm_children_signal(&f->children, NULL, SIGKILL);
    for (int i = 0; i < CLM_CHILDREN_MAX; i++) {
        assert_int_equal(ended(f, &child), 128 + SIGKILL);
    }
}

static void a_program_that_is_not_there_is_a_fault_of_the_child(void **state)
{
    struct fixture *f = *state;
    struct clm_child child;

    write_script("");
    f->children.exe = "/nowhere/clmbot";
    assert_int_equal(clm_children_start(&f->children, "job_1", "t", NULL), CLM_OK);
    assert_int_not_equal(ended(f, &child), 0);
}

static void what_does_not_fit_is_refused_or_left_out(void **state)
{
    struct fixture *f = *state;
    struct clm_child child;
    struct clm_err err = {0};
    char longest[600];
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(65536);

    (void)memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(clm_children_start(&f->children, longest, "t", &err), CLM_E_LIMIT);
    assert_int_equal(clm_children_start(&f->children, "job_1", longest, &err), CLM_E_LIMIT);
    assert_int_equal(clm_children_all(&f->children), 0);
    assert_int_equal(setenv("no_proxy", longest, 1), 0);
    f->children.config_path = "";
    write_script("echo \"$# $1\" >out; env >>out\n");
    assert_int_equal(clm_children_start(&f->children, "job_1", "t", NULL), CLM_OK);
    assert_int_equal(ended(f, &child), 0);
    assert_int_equal(unsetenv("no_proxy"), 0);
    read_out(&out);
    assert_memory_equal(clm_buf_str(&out), "1 job_1\n", 8);
    assert_null(strstr(clm_buf_str(&out), "no_proxy"));
}

static void where_no_process_can_be_made_that_is_said(void **state)
{
    struct fixture *f = *state;
    struct clm_err err = {0};

    write_script("");
    f->children.exe = NULL; /* would be ourselves */
    clm_sabotage_on("fork", 1, EAGAIN);
    assert_int_equal(clm_children_start(&f->children, "job_1", "t", &err), CLM_E_IO);
    assert_true(clm_sabotage_off());
    assert_non_null(strstr(err.msg, "start of job 'job_1'"));
    assert_int_equal(clm_children_all(&f->children), 0);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH(child_gets_its_arguments_and_nothing_of_ours),
        WITH(list_knows_jobs_scans_and_targets),
        WITH(room_is_limited_and_comes_back),
        WITH(a_program_that_is_not_there_is_a_fault_of_the_child),
        WITH(what_does_not_fit_is_refused_or_left_out),
        WITH(where_no_process_can_be_made_that_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
