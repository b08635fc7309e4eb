/* SPDX-License-Identifier: Apache-2.0 */
/* The search on systems whose calls fail, in directories without types or end, and beyond its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scanners/cert_files_int.h"
#include "tests/support/certs.h"
#include "tests/support/root_io.h"

#define NOW_S INT64_C(1780000000)

/* ---- calls that fail, and a directory that is made up ---- */

static struct {
    const char *call; /* NULL: none fails */
    const char *name; /* only for this name; NULL: for all */
    int sys_errno;
    bool has_no_types;
    unsigned made_up; /* names that readdir() gives behind the real ones */
} doom;

static bool is_doomed(const char *call, const char *name)
{
    if (doom.call == NULL || strcmp(doom.call, call) != 0 ||
        (doom.name != NULL && strcmp(doom.name, name) != 0)) {
        return false;
    }
    errno = doom.sys_errno;
    return true;
}

struct dirent *__real_readdir64(DIR *dir);
struct dirent *__wrap_readdir64(DIR *dir);
struct dirent *__wrap_readdir64(DIR *dir)
{
    static struct dirent one;
    struct dirent *entry = __real_readdir64(dir);

    if (entry == NULL && doom.made_up > 0) {
        doom.made_up--;
        one.d_type = DT_REG;
        (void)snprintf(one.d_name, sizeof(one.d_name), "made-up-%u", doom.made_up);
        return &one;
    }
    if (entry != NULL && doom.has_no_types) {
        entry->d_type = DT_UNKNOWN;
    }
    return entry;
}

DIR *__real_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd)
{
    return is_doomed("fdopendir", NULL) ? NULL : __real_fdopendir(fd);
}

int __real_fstatat64(int fd, const char *name, struct stat *st, int flags);
int __wrap_fstatat64(int fd, const char *name, struct stat *st, int flags);
int __wrap_fstatat64(int fd, const char *name, struct stat *st, int flags)
{
    return is_doomed("fstatat", name) ? -1 : __real_fstatat64(fd, name, st, flags);
}

int __real_openat64(int fd, const char *name, int flags, ...);
int __wrap_openat64(int fd, const char *name, int flags, ...);
int __wrap_openat64(int fd, const char *name, int flags, ...)
{
    return is_doomed("openat", name) ? -1 : __real_openat64(fd, name, flags);
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
    va_list args;

    va_start(args, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return is_doomed("open", path) ? -1 : __real_open64(path, flags, mode);
}

/* ---- a directory with a certificate ---- */

struct world {
    struct clm_test_ca *ca;
    struct root_io io;
    char root[PATH_MAX];
    struct clm_strs roots;
    struct clm_strs exclude;
    struct clm_files_rules rules;
    struct clm_files_counts counts;
    struct clm_strs found; /* paths below root */
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct clm_test_leaf leaf;

    assert_non_null(w);
    memset(&doom, 0, sizeof(doom));
    w->ca = clm_test_ca_new(NOW_S);
    root_io_temp(w->root);
    root_io_init(&w->io, w->root);
    clm_test_leaf_make(w->ca, "a.example", CLM_TEST_GOOD, &leaf);
    root_io_text(w->root, "/d/cert.pem", clm_buf_str(&leaf.leaf_pem));
    clm_test_leaf_done(&leaf);
    assert_int_equal(clm_strs_add(&w->roots, w->root, NULL), CLM_OK);
    w->rules = (struct clm_files_rules){.mode = CLM_FILES_ALL,
                                        .roots = &w->roots,
                                        .exclude = &w->exclude,
                                        .depth = 16,
                                        .files_max = 1000000,
                                        .time_max_ms = 60000,
                                        .expiring_days = 21,
                                        .now_s = NOW_S,
                                        .io = &w->io.io};
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    memset(&doom, 0, sizeof(doom));
    clm_files_counts_done(&w->counts);
    clm_files_counts_done(NULL);
    clm_strs_done(&w->roots);
    clm_strs_done(&w->exclude);
    clm_strs_done(&w->found);
    clm_test_ca_free(w->ca);
    root_io_remove(w->root);
    free(w);
    return 0;
}

static enum clm_code on_found(void *arg, const struct clm_found *found, struct clm_err *err)
{
    struct world *w = arg;

    assert_true(clm_str_starts(found->path, w->root));
    return clm_strs_add(&w->found, found->path + strlen(w->root), err);
}

static enum clm_code search(struct world *w)
{
    const struct clm_files_visitor visitor = {.found = on_found, .arg = w};

    clm_strs_done(&w->found);
    w->found = (struct clm_strs){NULL, 0};
    clm_files_counts_done(&w->counts);
    w->counts = (struct clm_files_counts){.files = 0};
    return clm_cert_files_scan(&w->rules, &visitor, &w->counts, NULL);
}

static bool remarked(const struct world *w, const char *text)
{
    for (size_t i = 0; i < w->counts.remarks.n; i++) {
        if (strstr(w->counts.remarks.v[i], text) != NULL) {
            return true;
        }
    }
    return false;
}

static const char *below(const struct world *w, const char *name)
{
    static char path[PATH_MAX + 64];

    (void)snprintf(path, sizeof(path), "%s/%s", w->root, name);
    return path;
}

/* ---- tests ---- */

static void kinds_are_asked_for_where_a_directory_does_not_tell(void **state)
{
    struct world *w = *state;

    assert_int_equal(mkfifo(below(w, "pipe"), 0600), 0);
    assert_int_equal(symlink("d/cert.pem", below(w, "link")), 0);
    doom.has_no_types = true;
    assert_int_equal(search(w), CLM_OK);
    assert_int_equal(w->found.n, 1);
    assert_string_equal(w->found.v[0], "/d/cert.pem");
    assert_int_equal(w->counts.remarks.n, 0);

    assert_int_equal(unlink(below(w, "link")), 0);
    doom.call = "fstatat"; /* gone before it is asked for */
    doom.name = "cert.pem";
    doom.sys_errno = ENOENT;
    assert_int_equal(search(w), CLM_OK);
    assert_int_equal(w->found.n, 0);
}

/* What cannot be looked at is counted and told of; what has gone meanwhile is neither. */
static void what_cannot_be_opened_is_told(void **state)
{
    static const struct {
        const char *call;
        const char *name; /* "": the root */
        int sys_errno;
        const char *remark; /* NULL: nothing is said */
    } rows[] = {
        {"fdopendir", NULL, EIO, "cannot be read"},
        {"openat", "d", EACCES, "/d/': permission denied"},
        {"openat", "d", EMFILE, "/d/': cannot be opened"},
        {"openat", "d", ENOENT, NULL},
        {"openat", "d", ENOTDIR, NULL},
        {"openat", "d", ELOOP, NULL},
        {"openat", "cert.pem", EACCES, "/d/cert.pem': permission denied"},
        {"openat", "cert.pem", EIO, "/d/cert.pem': cannot be opened"},
        {"openat", "cert.pem", ENOENT, NULL},
        {"openat", "cert.pem", ELOOP, NULL},
        {"openat", "cert.pem", ENXIO, NULL},
        {"open", "", EACCES, "cannot be opened"},
        {"open", "", ENOENT, NULL},
        {"open", "", ENOTDIR, NULL},
    };
    struct world *w = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        doom.call = rows[i].call;
        doom.name = rows[i].name != NULL && rows[i].name[0] == '\0' ? w->root : rows[i].name;
        doom.sys_errno = rows[i].sys_errno;
        assert_int_equal(search(w), CLM_OK);
        doom.call = NULL;
        assert_int_equal(w->found.n, 0);
        if (w->counts.remarks.n != (rows[i].remark != NULL) ||
            (rows[i].remark != NULL && !remarked(w, rows[i].remark))) {
            fail_msg("row %zu: %zu remarks: %s", i, w->counts.remarks.n,
                     w->counts.remarks.n > 0 ? w->counts.remarks.v[0] : "");
        }
        assert_int_equal(w->counts.unreadable, rows[i].remark != NULL);
    }
}

static void a_link_that_cannot_be_followed_is_counted(void **state)
{
    static const struct {
        int sys_errno;
        unsigned unreadable;
    } rows[] = {{EACCES, 1}, {ENOENT, 0}, {ENOTDIR, 0}, {ELOOP, 0}};
    struct world *w = *state;

    assert_int_equal(symlink("/somewhere/else", below(w, "link")), 0);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        doom.call = "fstatat";
        doom.name = "link";
        doom.sys_errno = rows[i].sys_errno;
        assert_int_equal(search(w), CLM_OK);
        assert_int_equal(w->counts.unreadable, rows[i].unreadable);
        assert_int_equal(w->found.n, 1);
    }
}

static void memory_that_is_short_for_a_directory_ends_the_search(void **state)
{
    struct world *w = *state;

    doom.call = "fdopendir";
    doom.sys_errno = ENOMEM;
    assert_int_equal(search(w), CLM_E_NOMEM);
}

static void a_directory_without_end_is_cut(void **state)
{
    struct world *w = *state;

    doom.made_up = CLM_FILES_NAMES_MAX + 10;
    assert_int_equal(search(w), CLM_OK);
    assert_true(w->counts.is_cut);
    assert_true(remarked(w, ": only the first 100000 names were looked at"));
}

static void more_roots_than_are_kept_are_told(void **state)
{
    struct world *w = *state;

    clm_strs_done(&w->roots);
    w->roots = (struct clm_strs){NULL, 0};
    for (unsigned i = 0; i <= CLM_FILES_ROOTS_MAX; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "r%02u", i);
        assert_int_equal(mkdir(below(w, name), 0755), 0);
        assert_int_equal(clm_strs_add(&w->roots, below(w, name), NULL), CLM_OK);
    }
    assert_int_equal(search(w), CLM_OK);
    assert_true(remarked(w, "more than 64 roots"));
    assert_int_equal(w->found.n, 0);
}

/* The same one again, one inside another, one that only begins alike, one that is not there. */
static void roots_are_searched_once(void **state)
{
    static const char *const names[] = {"d", ".", "d", "da", "not-there", "d/cert.pem/x"};
    struct world *w = *state;

    assert_int_equal(mkdir(below(w, "da"), 0755), 0);
    clm_strs_done(&w->roots);
    w->roots = (struct clm_strs){NULL, 0};
    for (size_t i = 0; i < CLM_ARRAY_LEN(names); i++) {
        assert_int_equal(clm_strs_add(&w->roots, below(w, names[i]), NULL), CLM_OK);
    }
    assert_int_equal(search(w), CLM_OK);
    assert_int_equal(w->found.n, 1);
    assert_int_equal(w->counts.unreadable, 0);
}

static void an_excluded_root_is_not_searched(void **state)
{
    struct world *w = *state;
    char pattern[PATH_MAX + 8];

    (void)snprintf(pattern, sizeof(pattern), "%s/", w->root);
    assert_int_equal(clm_strs_add(&w->exclude, pattern, NULL), CLM_OK);
    assert_int_equal(search(w), CLM_OK);
    assert_int_equal(w->found.n, 0);
    assert_int_equal(w->counts.files, 0);
    w->rules.exclude = NULL;
    assert_int_equal(search(w), CLM_OK);
    assert_int_equal(w->found.n, 1);
}

static void remarks_have_an_end(void **state)
{
    struct world *w = *state;

    for (unsigned i = 0; i < CLM_FILES_REMARKS + 5; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "deep%03u", i);
        assert_int_equal(mkdir(below(w, name), 0755), 0);
    }
    w->rules.depth = 0;
    assert_int_equal(search(w), CLM_OK);
    assert_int_equal(w->counts.remarks.n, CLM_FILES_REMARKS);
    assert_true(remarked(w, "is too deep and was not searched"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(kinds_are_asked_for_where_a_directory_does_not_tell, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_opened_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_link_that_cannot_be_followed_is_counted, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(memory_that_is_short_for_a_directory_ends_the_search,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_directory_without_end_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_roots_than_are_kept_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(roots_are_searched_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_excluded_root_is_not_searched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(remarks_have_an_end, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
