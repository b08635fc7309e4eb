/* SPDX-License-Identifier: Apache-2.0 */
/* The search on real directories: what is found, what is told of it, and what cannot hurt it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/crypto/armor.h"
#include "scanners/cert_files_int.h"
#include "tests/support/certs.h"
#include "tests/support/root_io.h"

#define NOW_S INT64_C(1780000000)

struct world {
    struct clm_test_ca *ca;
    char root[PATH_MAX];
    struct root_io io;
    struct clm_strs roots;
    struct clm_strs exclude;
    struct clm_strs ignore;
    struct clm_files_rules rules;
    struct clm_files_counts counts;
    struct clm_json *found; /* object: path below root -> FILE */
    size_t n;
    size_t stop_after; /* the visitor fails then; 0: never */
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    w->ca = clm_test_ca_new(NOW_S);
    root_io_temp(w->root);
    root_io_init(&w->io, w->root);
    assert_int_equal(clm_strs_add(&w->roots, w->root, NULL), CLM_OK);
    w->rules = (struct clm_files_rules){
        .mode = CLM_FILES_ALL,
        .roots = &w->roots,
        .exclude = &w->exclude,
        .ignore = &w->ignore,
        .depth = 16,
        .files_max = 100000,
        .time_max_ms = 60000,
        .expiring_days = 21,
        .now_s = NOW_S,
        .io = &w->io.io,
    };
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    clm_json_free(w->found);
    clm_files_counts_done(&w->counts);
    clm_strs_done(&w->roots);
    clm_strs_done(&w->exclude);
    clm_strs_done(&w->ignore);
    clm_test_ca_free(w->ca);
    root_io_remove(w->root);
    free(w);
    return 0;
}

static enum clm_code on_found(void *arg, const struct clm_found *found, struct clm_err *err)
{
    struct world *w = arg;
    const char *key = found->path;

    if (clm_str_starts(key, w->root)) {
        key += strlen(w->root);
    }
    if (clm_json_get(w->found, key) != NULL) {
        fail_msg("'%s' was handed over twice", key);
    }
    clm_found_to_json(found, false, clm_json_set_object(w->found, key));
    w->n++;
    return w->stop_after != 0 && w->n >= w->stop_after ? clm_err_set(err, CLM_E_CANCELLED, "enough")
                                                       : CLM_OK;
}

static enum clm_code search(struct world *w)
{
    const struct clm_files_visitor visitor = {.found = on_found, .arg = w};
    struct clm_err err = {.code = CLM_OK};

    clm_json_free(w->found);
    clm_files_counts_done(&w->counts);
    w->counts = (struct clm_files_counts){.files = 0};
    w->found = clm_json_new_object();
    w->n = 0;
    return clm_cert_files_scan(&w->rules, &visitor, &w->counts, &err);
}

/* FILE of a path; fails the test if it was not found. */
static const struct clm_json *file_of(const struct world *w, const char *path)
{
    const struct clm_json *file = clm_json_get(w->found, path);

    if (file == NULL) {
        fail_msg("'%s' was not found", path);
    }
    return file;
}

static const char *text_of(const struct clm_json *obj, const char *key)
{
    const char *text = clm_json_text(clm_json_get(obj, key));

    return text == NULL ? "" : text;
}

static bool lists(const struct clm_json *obj, const char *key, const char *text)
{
    for (const struct clm_json *at = clm_json_first(clm_json_get(obj, key)); at != NULL;
         at = clm_json_next(at)) {
        if (strcmp(clm_json_text(at), text) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_problem(const struct world *w, const char *path, const char *problem)
{
    return lists(file_of(w, path), "problems", problem);
}

static const struct clm_json *entry_of(const struct world *w, const char *path)
{
    return clm_json_first(clm_json_get(file_of(w, path), "entries"));
}

/* "true", "false" or "null" */
static const char *answer_of(const struct world *w, const char *path, const char *key)
{
    bool value = false;

    if (clm_json_get(entry_of(w, path), key) == NULL) {
        return "null";
    }
    assert_int_equal(clm_json_bool(entry_of(w, path), key, &value, NULL), CLM_OK);
    return value ? "true" : "false";
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

static void write_mode(const struct world *w, const char *path, const struct clm_buf *data,
                       mode_t mode)
{
    char full[PATH_MAX];

    root_io_write(w->root, path, data->data, data->len);
    assert_int_equal(clm_str_fmt(full, sizeof(full), NULL, "%s%s", w->root, path), CLM_OK);
    assert_int_equal(chmod(full, mode), 0);
}

static void full_path(const struct world *w, const char *path, char dst[PATH_MAX])
{
    assert_int_equal(clm_str_fmt(dst, PATH_MAX, NULL, "%s%s", w->root, path), CLM_OK);
}

static void to_der(const struct clm_buf *pem, struct clm_buf *der)
{
    const char *text = clm_buf_str(pem);
    size_t len = pem->len;
    struct clm_armor block;

    assert_int_equal(clm_armor_next(&text, &len, &block, NULL), CLM_OK);
    assert_int_equal(clm_armor_decode(&block, der, NULL), CLM_OK);
}

/* ---- tests ---- */

static void files_are_found_by_content_whatever_their_name(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(65536);
    struct clm_test_leaf leaf;

    clm_test_leaf_make(w->ca, "www.example,192.0.2.1", CLM_TEST_GOOD, &leaf);
    to_der(&leaf.leaf_pem, &der);
    write_mode(w, "/a/picture.jpg", &leaf.full_pem, 0644);
    write_mode(w, "/a/noext", &der, 0644);
    root_io_text(w->root, "/a/server.pem", "not a certificate at all\n");
    root_io_text(w->root, "/a/server.crt", "");
    assert_int_equal(search(w), CLM_OK);
    assert_int_equal(w->n, 2);
    assert_string_equal(text_of(file_of(w, "/a/picture.jpg"), "format"), "pem");
    assert_string_equal(text_of(file_of(w, "/a/noext"), "format"), "der");
    assert_string_equal(text_of(entry_of(w, "/a/picture.jpg"), "kind"), "certificate");
    assert_string_equal(answer_of(w, "/a/picture.jpg", "chain_ok"), "true");
    assert_string_equal(answer_of(w, "/a/noext", "chain_ok"), "null");
    assert_true(lists(clm_json_get(entry_of(w, "/a/noext"), "certificate"), "sans", "www.example"));
    clm_test_leaf_done(&leaf);
}

static void a_key_beside_a_certificate_is_told_of(void **state)
{
    struct world *w = *state;
    struct clm_test_leaf one;
    struct clm_test_leaf two;

    clm_test_leaf_make(w->ca, "one.example", CLM_TEST_GOOD, &one);
    clm_test_leaf_make(w->ca, "two.example", CLM_TEST_GOOD, &two);
    write_mode(w, "/own/cert.pem", &one.leaf_pem, 0644);
    write_mode(w, "/own/any name", &one.key_pem, 0600);
    write_mode(w, "/pair/www.crt", &one.leaf_pem, 0644);
    write_mode(w, "/pair/www.key", &two.key_pem, 0600);
    write_mode(w, "/none/cert.pem", &one.leaf_pem, 0644);
    write_mode(w, "/none/other.key", &two.key_pem, 0600);
    assert_int_equal(search(w), CLM_OK);
    assert_int_equal(w->n, 6);
    assert_string_equal(answer_of(w, "/own/cert.pem", "key_matches"), "true");
    assert_string_equal(answer_of(w, "/pair/www.crt", "key_matches"), "false");
    assert_true(has_problem(w, "/pair/www.crt", "key_mismatch"));
    assert_string_equal(answer_of(w, "/none/cert.pem", "key_matches"), "null");
    assert_false(has_problem(w, "/none/cert.pem", "key_mismatch"));
    assert_string_equal(text_of(entry_of(w, "/own/any name"), "kind"), "key");
    clm_test_leaf_done(&one);
    clm_test_leaf_done(&two);
}

static void keys_that_others_can_read_are_a_problem(void **state)
{
    struct world *w = *state;
    struct clm_test_leaf leaf;
    char dir[PATH_MAX];

    clm_test_leaf_make(w->ca, "www.example", CLM_TEST_GOOD, &leaf);
    assert_int_equal(chmod(w->root, 0755), 0);
    write_mode(w, "/open/good", &leaf.key_pem, 0600);
    write_mode(w, "/open/bad", &leaf.key_pem, 0644);
    write_mode(w, "/open/cert", &leaf.leaf_pem, 0644);
    write_mode(w, "/closed/covered", &leaf.key_pem, 0644);
    full_path(w, "/closed", dir);
    assert_int_equal(chmod(dir, 0700), 0);
    assert_int_equal(search(w), CLM_OK);
    assert_true(has_problem(w, "/open/bad", "key_readable"));
    assert_false(has_problem(w, "/open/good", "key_readable"));
    assert_false(has_problem(w, "/open/cert", "key_readable"));
    assert_false(has_problem(w, "/closed/covered", "key_readable"));
    assert_string_equal(text_of(file_of(w, "/open/bad"), "perm"), "0644 0:0");
    clm_test_leaf_done(&leaf);
}

static void dates_and_chains_are_judged(void **state)
{
    static const struct {
        enum clm_test_fault fault;
        const char *problem;
    } cases[] = {
        {CLM_TEST_EXPIRED, "expired"},
        {CLM_TEST_NOT_YET, "not_yet_valid"},
        {CLM_TEST_NOT_A_CA, "chain_broken"},
    };
    struct world *w = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_test_leaf leaf;

        clm_test_leaf_make(w->ca, "www.example", cases[i].fault, &leaf);
        write_mode(w, "/x.pem", &leaf.full_pem, 0644);
        assert_int_equal(search(w), CLM_OK);
        if (cases[i].fault != CLM_TEST_NOT_A_CA && !has_problem(w, "/x.pem", cases[i].problem)) {
            fail_msg("case %zu: %s", i, cases[i].problem);
        }
        clm_test_leaf_done(&leaf);
    }
    w->rules.expiring_days = 61; /* a good one has 60 left */
    struct clm_test_leaf leaf;
    clm_test_leaf_make(w->ca, "www.example", CLM_TEST_GOOD, &leaf);
    write_mode(w, "/x.pem", &leaf.full_pem, 0644);
    assert_int_equal(search(w), CLM_OK);
    assert_true(has_problem(w, "/x.pem", "expiring"));
    w->rules.expiring_days = 59;
    assert_int_equal(search(w), CLM_OK);
    assert_false(has_problem(w, "/x.pem", "expiring"));
    clm_test_leaf_done(&leaf);
}

static void a_chain_in_the_wrong_order_is_broken(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(65536);
    struct clm_test_leaf leaf;

    clm_test_leaf_make(w->ca, "www.example", CLM_TEST_GOOD, &leaf);
    assert_int_equal(clm_buf_add(&text, leaf.leaf_pem.data, leaf.leaf_pem.len, NULL), CLM_OK);
    assert_int_equal(clm_buf_add_str(&text, clm_test_ca_root_pem(w->ca), NULL), CLM_OK);
    assert_int_equal(clm_buf_add_str(&text, clm_test_ca_intermediate_pem(w->ca), NULL), CLM_OK);
    write_mode(w, "/wrong.pem", &text, 0644);
    assert_int_equal(search(w), CLM_OK);
    assert_string_equal(answer_of(w, "/wrong.pem", "chain_ok"), "false");
    assert_true(has_problem(w, "/wrong.pem", "chain_broken"));
    clm_test_leaf_done(&leaf);
}

static void a_bundle_of_authorities_is_no_problem_and_is_cut(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_FILES_PEM_MAX);
    int64_t more = 0;

    for (int i = 0; i < 1000; i++) {
        assert_int_equal(clm_buf_add_str(&text, clm_test_ca_root_pem(w->ca), NULL), CLM_OK);
    }
    write_mode(w, "/bundle", &text, 0644);
    w->rules.now_s = NOW_S + INT64_C(20) * 365 * 86400; /* all of them have ended */
    assert_int_equal(search(w), CLM_OK);
    assert_int_equal(clm_json_len(clm_json_get(file_of(w, "/bundle"), "entries")),
                     CLM_FOUND_ENTRIES_MAX);
    assert_int_equal(clm_json_int(file_of(w, "/bundle"), "more", 0, 100000, &more, NULL), CLM_OK);
    assert_int_equal(more, 1000 - CLM_FOUND_ENTRIES_MAX);
    assert_int_equal(clm_json_len(clm_json_get(file_of(w, "/bundle"), "problems")), 0);
    assert_int_equal(w->counts.entries, 1000);
}

static void what_is_no_file_cannot_hold_the_search_up(void **state)
{
    struct world *w = *state;
    char path[PATH_MAX];
    int fd;

    root_io_text(w->root, "/d/x", "");
    full_path(w, "/d/pipe.pem", path);
    assert_int_equal(mkfifo(path, 0644), 0);
    full_path(w, "/d/device.pem", path);
    if (mknod(path, S_IFCHR | 0600, 0x0105) != 0) { /* /dev/zero */
        assert_int_equal(errno, EPERM);
    }
    full_path(w, "/d/huge.pem", path);
    fd = open(path, O_WRONLY | O_CREAT, 0644);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, INT64_C(2) << 30), 0);
    (void)close(fd);
    root_io_link(w->root, "/d/loop", "loop");
    root_io_link(w->root, "/d/circle/a", "../circle");
    root_io_link(w->root, "/d/nowhere", "/no/such/file");
    assert_int_equal(search(w), CLM_OK);
    assert_true(w->n == 0 && w->counts.too_large == 0);
}

/* Between listing a directory and opening a name, somebody may put something else there. */
static void a_name_that_changed_its_kind_is_not_waited_for_nor_followed(void **state)
{
    struct world *w = *state;
    struct clm_test_leaf leaf;
    struct clm_files_scan scan = {.rules = &w->rules,
                                  .counts = &w->counts,
                                  .content = CLM_BUF_SECRET_INIT(CLM_FILES_STORE_MAX + 1)};
    struct clm_files_dir dir = {.path = w->root, .fd = open(w->root, O_RDONLY | O_DIRECTORY)};
    struct clm_files_file file;
    char path[PATH_MAX];

    clm_test_leaf_make(w->ca, "www.example", CLM_TEST_GOOD, &leaf);
    write_mode(w, "/real.pem", &leaf.leaf_pem, 0644);
    full_path(w, "/pipe.pem", path);
    assert_int_equal(mkfifo(path, 0644), 0);
    root_io_link(w->root, "/link.pem", "real.pem");
    assert_true(clm_files_read(&scan, &dir, "real.pem", &file));
    assert_false(clm_files_read(&scan, &dir, "pipe.pem", &file));
    assert_false(clm_files_read(&scan, &dir, "link.pem", &file));
    clm_buf_done(&scan.content);
    (void)close(dir.fd);
    clm_test_leaf_done(&leaf);
}

static void a_large_file_that_begins_like_one_is_remarked(void **state)
{
    struct world *w = *state;
    struct clm_test_leaf leaf;
    char path[PATH_MAX];

    clm_test_leaf_make(w->ca, "www.example", CLM_TEST_GOOD, &leaf);
    while (leaf.leaf_pem.len < 8192) { /* text as far as is looked at first */
        assert_int_equal(clm_buf_add_str(&leaf.leaf_pem, "text\n", NULL), CLM_OK);
    }
    write_mode(w, "/big.pem", &leaf.leaf_pem, 0644);
    full_path(w, "/big.pem", path);
    assert_int_equal(truncate(path, INT64_C(2) << 30), 0);
    assert_int_equal(search(w), CLM_OK);
    assert_int_equal(w->n, 0);
    assert_int_equal(w->counts.too_large, 1);
    assert_true(remarked(w, "/big.pem' is longer than 1048576 bytes"));
    clm_test_leaf_done(&leaf);
}

static void garbage_in_pem_gives_what_is_sound(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(65536);
    struct clm_test_leaf leaf;

    clm_test_leaf_make(w->ca, "www.example", CLM_TEST_GOOD, &leaf);
    root_io_text(w->root, "/a",
                 "-----BEGIN CERTIFICATE-----\nnot base64 !!\n-----END CERTIFICATE-----\n");
    root_io_text(w->root, "/b", "-----BEGIN CERTIFICATE-----\n");
    root_io_text(w->root, "/c",
                 "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
                 "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n");
    assert_int_equal(clm_buf_add_str(&text,
                                     "-----BEGIN CERTIFICATE-----\nMAA=\n-----END "
                                     "CERTIFICATE-----\n",
                                     NULL),
                     CLM_OK);
    assert_int_equal(clm_buf_add(&text, leaf.leaf_pem.data, leaf.leaf_pem.len, NULL), CLM_OK);
    write_mode(w, "/d", &text, 0644);
    assert_int_equal(search(w), CLM_OK);
    assert_int_equal(w->n, 1);
    assert_non_null(file_of(w, "/d"));
    clm_test_leaf_done(&leaf);
}

static void each_file_comes_once_with_all_its_names(void **state)
{
    struct world *w = *state;
    struct clm_test_leaf leaf;
    char from[PATH_MAX];
    char to[PATH_MAX];
    const struct clm_json *file;

    clm_test_leaf_make(w->ca, "www.example", CLM_TEST_GOOD, &leaf);
    write_mode(w, "/z/real.pem", &leaf.leaf_pem, 0644);
    root_io_link(w->root, "/a/soft.pem", "../z/real.pem");
    root_io_text(w->root, "/b/x", "");
    full_path(w, "/z/real.pem", from);
    full_path(w, "/b/hard.pem", to);
    assert_int_equal(link(from, to), 0);
    assert_int_equal(search(w), CLM_OK);
    assert_int_equal(w->n, 1);
    file = clm_json_first(w->found);
    full_path(w, "/a/soft.pem", to);
    assert_true(lists(file, "links", to));
    assert_int_equal(clm_json_len(clm_json_get(file, "links")), 2);
    clm_test_leaf_done(&leaf);
}

static void links_out_of_the_roots_are_followed_once(void **state)
{
    struct world *w = *state;
    struct clm_test_leaf leaf;
    char other[PATH_MAX];

    clm_test_leaf_make(w->ca, "www.example", CLM_TEST_GOOD, &leaf);
    root_io_temp(other);
    root_io_write(other, "/dir/in.pem", leaf.leaf_pem.data, leaf.leaf_pem.len);
    root_io_write(other, "/alone.pem", leaf.leaf_pem.data, leaf.leaf_pem.len);
    root_io_write(other, "/unseen.pem", leaf.leaf_pem.data, leaf.leaf_pem.len);
    char to[PATH_MAX + 32];
    (void)snprintf(to, sizeof(to), "%s/dir", other);
    root_io_link(w->root, "/one", to);
    root_io_link(w->root, "/two", to);
    (void)snprintf(to, sizeof(to), "%s/alone.pem", other);
    root_io_link(w->root, "/cert.pem", to);
    assert_int_equal(search(w), CLM_OK);
    assert_int_equal(w->n, 2);
    root_io_remove(other);
    clm_test_leaf_done(&leaf);
}

static void limits_end_the_search_and_say_so(void **state)
{
    struct world *w = *state;
    struct clm_test_leaf leaf;

    clm_test_leaf_make(w->ca, "www.example", CLM_TEST_GOOD, &leaf);
    write_mode(w, "/1/2/3/4.pem", &leaf.leaf_pem, 0644);
    write_mode(w, "/1/a.pem", &leaf.leaf_pem, 0644);
    write_mode(w, "/1/b.pem", &leaf.leaf_pem, 0644);
    w->rules.depth = 2;
    assert_int_equal(search(w), CLM_OK);
    assert_int_equal(w->n, 2);
    assert_true(remarked(w, "/1/2/3/' is too deep"));
    w->rules.depth = 16;
    w->rules.files_max = 1;
    assert_int_equal(search(w), CLM_OK);
    assert_true(w->counts.is_cut);
    assert_true(remarked(w, "scan.files.max_files"));
    w->rules.files_max = 1000;
    w->rules.time_max_ms = 0;
    assert_int_equal(search(w), CLM_OK);
    assert_true(w->counts.is_cut && w->n == 0);
    assert_true(remarked(w, "scan.files.max_time"));
    w->rules.time_max_ms = 60000;
    w->stop_after = 1; /* the visitor has enough */
    assert_int_equal(search(w), CLM_E_CANCELLED);
    assert_int_equal(w->n, 1);
    clm_test_leaf_done(&leaf);
}

static void excluded_paths_are_left_and_ignored_ones_are_silent(void **state)
{
    struct world *w = *state;
    struct clm_test_leaf leaf;

    clm_test_leaf_make(w->ca, "www.example", CLM_TEST_EXPIRED, &leaf);
    write_mode(w, "/skip/deep/a.pem", &leaf.leaf_pem, 0644);
    write_mode(w, "/old/b.pem", &leaf.leaf_pem, 0644);
    write_mode(w, "/c.pem", &leaf.leaf_pem, 0644);
    assert_int_equal(clm_strs_add(&w->exclude, "*/skip/*", NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&w->ignore, "*/old/*", NULL), CLM_OK);
    assert_int_equal(search(w), CLM_OK);
    assert_int_equal(w->n, 2);
    assert_string_equal(text_of(file_of(w, "/old/b.pem"), "status"), "ignored");
    assert_false(has_problem(w, "/old/b.pem", "expired"));
    assert_string_equal(text_of(file_of(w, "/c.pem"), "status"), "monitored");
    assert_true(has_problem(w, "/c.pem", "expired"));
    clm_test_leaf_done(&leaf);
}

static void targets_are_joined_by_file_and_by_leaf(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_inventory_done) struct clm_inventory inventory = {0};
    CLM_CLEANUP(clm_strs_done) struct clm_strs managed = {0};
    struct clm_service *service = clm_inventory_add_service(&inventory);
    struct clm_target *target = clm_service_add_target(service);
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    struct clm_test_leaf leaf;

    clm_test_leaf_make(w->ca, "www.example", CLM_TEST_GOOD, &leaf);
    write_mode(w, "/live/cert.pem", &leaf.leaf_pem, 0644);
    write_mode(w, "/live/key.pem", &leaf.key_pem, 0600);
    write_mode(w, "/copy/cert.pem", &leaf.leaf_pem, 0644);
    (void)snprintf(target->id, sizeof(target->id), "nginx:www.example");
    full_path(w, "/live/cert.pem", target->cert_path);
    full_path(w, "/live/key.pem", target->key_path);
    assert_int_equal(clm_cert_chain_from_pem(leaf.leaf_pem.data, leaf.leaf_pem.len, &chain, NULL),
                     CLM_OK);
    assert_int_equal(clm_cert_info(chain, 0, &target->certificate, NULL), CLM_OK);
    target->has_certificate = true;
    w->rules.inventory = &inventory;
    w->rules.managed = &managed;
    assert_int_equal(clm_strs_add(&managed, "nginx:www.example", NULL), CLM_OK);
    assert_int_equal(search(w), CLM_OK);
    assert_int_equal(w->n, 3);
    assert_true(lists(file_of(w, "/live/cert.pem"), "used_by", "nginx:www.example"));
    assert_true(lists(file_of(w, "/live/key.pem"), "used_by", "nginx:www.example"));
    assert_string_equal(text_of(file_of(w, "/live/key.pem"), "status"), "managed");
    assert_false(lists(file_of(w, "/copy/cert.pem"), "used_by", "nginx:www.example"));
    assert_true(lists(file_of(w, "/copy/cert.pem"), "served_by", "nginx:www.example"));
    assert_string_equal(text_of(file_of(w, "/copy/cert.pem"), "status"), "monitored");
    w->rules.mode = CLM_FILES_IN_USE;
    assert_int_equal(search(w), CLM_OK);
    assert_int_equal(w->n, 2);
    /* excluded, and outside of every root: what a server uses is told of all the same */
    w->rules.mode = CLM_FILES_ALL;
    assert_int_equal(clm_strs_add(&w->exclude, "*/live/*", NULL), CLM_OK);
    assert_int_equal(search(w), CLM_OK);
    assert_int_equal(w->n, 3);
    clm_test_leaf_done(&leaf);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_are_found_by_content_whatever_their_name),
        TEST(a_key_beside_a_certificate_is_told_of),
        TEST(keys_that_others_can_read_are_a_problem),
        TEST(dates_and_chains_are_judged),
        TEST(a_chain_in_the_wrong_order_is_broken),
        TEST(a_bundle_of_authorities_is_no_problem_and_is_cut),
        TEST(what_is_no_file_cannot_hold_the_search_up),
        TEST(a_name_that_changed_its_kind_is_not_waited_for_nor_followed),
        TEST(a_large_file_that_begins_like_one_is_remarked),
        TEST(garbage_in_pem_gives_what_is_sound),
        TEST(each_file_comes_once_with_all_its_names),
        TEST(links_out_of_the_roots_are_followed_once),
        TEST(limits_end_the_search_and_say_so),
        TEST(excluded_paths_are_left_and_ignored_ones_are_silent),
        TEST(targets_are_joined_by_file_and_by_leaf),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
