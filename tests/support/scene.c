/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/scene.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/fs.h"
#include "agent/crypto/hash.h"
#include "agent/keystore/keystore.h"

#define FILE_LIMIT 262144u
#define NOTE       "nothing to do with certificates\n"

static void must(int is_good, const char *what)
{
    if (!is_good) {
        perror(what);
        abort();
    }
}

static void must_ok(enum clm_code code, const struct clm_err *err)
{
    if (code != CLM_OK) {
        (void)fprintf(stderr, "scene: %s\n", err->msg);
        abort();
    }
}

/* ---- certificates ---- */

void scene_certs_make(struct scene_certs *certs, enum clm_test_fault old_fault)
{
    struct clm_bundle empty = CLM_BUNDLE_INIT;

    memset(certs, 0, sizeof(*certs));
    certs->ca = clm_test_ca_new(FAKE_IO_NOW_S);
    certs->old_ca = clm_test_ca_new(FAKE_IO_NOW_S);
    clm_test_leaf_make(certs->old_ca, "www.example", old_fault, &certs->old_leaf);
    clm_test_leaf_make(certs->ca, "www.example", CLM_TEST_GOOD, &certs->new_leaf);
    certs->old_bundle = empty;
    certs->new_bundle = empty;
    clm_test_leaf_bundle(&certs->old_leaf, &certs->old_bundle);
    clm_test_leaf_bundle(&certs->new_leaf, &certs->new_bundle);
}

void scene_certs_done(struct scene_certs *certs)
{
    clm_bundle_done(&certs->old_bundle);
    clm_bundle_done(&certs->new_bundle);
    clm_test_leaf_done(&certs->old_leaf);
    clm_test_leaf_done(&certs->new_leaf);
    clm_test_ca_free(certs->ca);
    clm_test_ca_free(certs->old_ca);
}

/* ---- files ---- */

void scene_write(const char *path, const void *data, size_t len, uint32_t mode)
{
    int fd;

    (void)unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    must(fd >= 0, path);
    must(write(fd, data, len) == (ssize_t)len && fchmod(fd, mode) == 0 && close(fd) == 0, path);
}

bool scene_holds(const char *path, const struct clm_buf *data)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf have = CLM_BUF_SECRET_INIT(FILE_LIMIT);

    return clm_fs_read(path, FILE_LIMIT, &have, NULL) == CLM_OK && have.len == data->len &&
           (have.len == 0 || memcmp(have.data, data->data, have.len) == 0);
}

/* rm -r of a tree we made. */
static void wipe(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;

    if (d == NULL) {
        return;
    }
    while ((entry = readdir(d)) != NULL) {
        char path[PATH_MAX];

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        (void)snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
        if (unlink(path) != 0 && (errno == EISDIR || errno == EPERM)) {
            wipe(path);
            (void)rmdir(path);
        }
    }
    (void)closedir(d);
}

static void fill(struct clm_buf *out, const struct clm_test_leaf *leaf, enum clm_content content)
{
    static const struct clm_buf none;
    const struct clm_buf *parts[2] = {&none, &none};
    struct clm_err err = {0};

    switch (content) {
    case CLM_CONTENT_LEAF:
        parts[0] = &leaf->leaf_pem;
        break;
    case CLM_CONTENT_CHAIN:
        parts[0] = &leaf->chain_pem;
        break;
    case CLM_CONTENT_FULLCHAIN:
        parts[0] = &leaf->full_pem;
        break;
    case CLM_CONTENT_KEY:
        parts[0] = &leaf->key_pem;
        break;
    case CLM_CONTENT_KEY_FULLCHAIN:
        parts[0] = &leaf->full_pem;
        parts[1] = &leaf->key_pem;
        break;
    case CLM_CONTENT_KEY_FIRST:
        parts[0] = &leaf->key_pem;
        parts[1] = &leaf->full_pem;
        break;
    case CLM_CONTENT_LEAF_KEY:
        parts[0] = &leaf->leaf_pem;
        parts[1] = &leaf->key_pem;
        break;
    case CLM_CONTENT_EDIT:
    case CLM_CONTENT__COUNT:
        break;
    }
    out->max = FILE_LIMIT;
    out->secret = true;
    for (size_t i = 0; i < 2; i++) {
        must_ok(clm_buf_add(out, parts[i]->data, parts[i]->len, &err), &err);
    }
}

/* ---- keystores and edits ---- */

#define STORE_ALIAS "shop"
#define STORE_OTHER "somebody else"
#define CONF_OLD    "<Server>\n  <Connector port=\"8443\"/>\n</Server>\n"
#define CONF_NEW    "<Server>\n  <Connector port=\"8443\" alias=\"shop\"/>\n</Server>\n"

static void put_entry(struct clm_keystore *store, struct clm_rng *rng, const char *alias,
                      const struct clm_test_leaf *leaf, const struct clm_buf *password)
{
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    struct clm_keystore_put put = {.alias = alias, .password = password, .now_ms = 1000};
    struct clm_err err = {0};

    must_ok(clm_key_from_pem(leaf->key_pem.data, leaf->key_pem.len, &key, &err), &err);
    must_ok(clm_cert_chain_from_pem(leaf->full_pem.data, leaf->full_pem.len, &chain, &err), &err);
    put.key = key;
    put.chain = chain;
    must_ok(clm_keystore_put_key(store, rng, &put, &err), &err);
}

/* The old certificate in two entries; only one of them is the target's. */
static void fill_store(struct clm_buf *out, const struct clm_test_leaf *leaf)
{
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *rng = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
    struct clm_err err = {0};

    *out = CLM_BUF_SECRET_INIT(FILE_LIMIT);
    must_ok(clm_rng_new(&rng, &err), &err);
    must_ok(clm_buf_add_str(&password, "changeit", &err), &err);
    must_ok(clm_keystore_new(CLM_KEYSTORE_JKS, CLM_KEYSTORE_MODERN, &store, &err), &err);
    put_entry(store, rng, STORE_OTHER, leaf, &password);
    put_entry(store, rng, STORE_ALIAS, leaf, &password);
    must_ok(clm_keystore_write(store, rng, &password, out, &err), &err);
}

/* The target's entry has the wanted chain, and the other one is still there. */
static bool store_holds(const char *path, const struct clm_buf *full_pem)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf data = CLM_BUF_SECRET_INIT(FILE_LIMIT);
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *want = NULL;
    struct clm_err err = {0};
    const uint8_t *have_der;
    const uint8_t *want_der;
    size_t have_len = 0;
    size_t want_len = 0;
    size_t i = 0;

    must_ok(clm_buf_add_str(&password, "changeit", &err), &err);
    must_ok(clm_cert_chain_from_pem(full_pem->data, full_pem->len, &want, &err), &err);
    if (clm_fs_read(path, FILE_LIMIT, &data, NULL) != CLM_OK ||
        clm_keystore_open(data.data, data.len, &password, &store, NULL) != CLM_OK ||
        clm_keystore_count(store) != 2 || !clm_keystore_find(store, STORE_OTHER, &i) ||
        !clm_keystore_find(store, STORE_ALIAS, &i)) {
        return false;
    }
    have_der = clm_keystore_cert_der(store, i, 0, &have_len);
    want_der = clm_cert_chain_der(want, 0, &want_len);
    return have_len == want_len && memcmp(have_der, want_der, want_len) == 0;
}

static void plan_store(struct clm_step *step)
{
    (void)snprintf(step->alias, sizeof(step->alias), "%s", STORE_ALIAS);
    (void)snprintf(step->store_password, sizeof(step->store_password), "known:changeit");
}

static void plan_edit(struct clm_step *step)
{
    const char *at = strstr(CONF_OLD, "/>");
    struct clm_err err = {0};

    clm_sha256_hex(CONF_OLD, strlen(CONF_OLD), step->expect_sha256);
    must_ok(clm_step_add_edit(step, (uint64_t)(at - CONF_OLD), 0, " alias=\"shop\"", &err), &err);
}

static void fill_text(struct clm_buf *out, const char *text)
{
    struct clm_err err = {0};

    out->max = FILE_LIMIT;
    must_ok(clm_buf_add_str(out, text, &err), &err);
}

/* ---- the scene ---- */

static const struct {
    const char *name;
    enum clm_content content;
    uint32_t mode;
    enum clm_file_format format;
} files_of[SCENE__COUNT][SCENE_FILES_MAX] = {
    [SCENE_PAIR] = {{"site.crt", CLM_CONTENT_FULLCHAIN, 0644, CLM_FORMAT_PEM},
                    {"site.key", CLM_CONTENT_KEY, 0600, CLM_FORMAT_PEM}},
    [SCENE_THREE] = {{"site.crt", CLM_CONTENT_LEAF, 0644, CLM_FORMAT_PEM},
                     {"chain.crt", CLM_CONTENT_CHAIN, 0640, CLM_FORMAT_PEM},
                     {"site.key", CLM_CONTENT_KEY, 0400, CLM_FORMAT_PEM}},
    [SCENE_COMBINED] = {{"site.pem", CLM_CONTENT_KEY_FULLCHAIN, 0600, CLM_FORMAT_PEM}},
    [SCENE_FIRST] = {{"site.crt", CLM_CONTENT_FULLCHAIN, 0644, CLM_FORMAT_PEM},
                     {"site.key", CLM_CONTENT_KEY, 0600, CLM_FORMAT_PEM}},
    [SCENE_STORE] = {{"site.crt", CLM_CONTENT_FULLCHAIN, 0644, CLM_FORMAT_PEM},
                     {"store.jks", CLM_CONTENT_KEY_FULLCHAIN, 0600, CLM_FORMAT_JKS},
                     {"site.key", CLM_CONTENT_KEY, 0600, CLM_FORMAT_PEM}},
    [SCENE_EDIT] = {{"site.crt", CLM_CONTENT_FULLCHAIN, 0644, CLM_FORMAT_PEM},
                    {"server.xml", CLM_CONTENT_EDIT, 0640, CLM_FORMAT_PEM},
                    {"site.key", CLM_CONTENT_KEY, 0600, CLM_FORMAT_PEM}},
};

static void add_step_files(struct scene *scene)
{
    for (size_t i = 0; i < scene->n_files; i++) {
        struct clm_step *step = clm_plan_add(&scene->plan, CLM_STEP_FILE_PUT);

        must(step != NULL, "plan");
        memcpy(step->path, scene->files[i].path, sizeof(step->path));
        step->content = scene->files[i].content;
        step->format = scene->files[i].format;
        if (clm_format_is_keystore(step->format)) {
            plan_store(step);
        } else if (step->content == CLM_CONTENT_EDIT) {
            plan_edit(step);
        }
        step->may_create = scene->kind == SCENE_FIRST;
        step->mode = scene->files[i].mode;
        step->uid = geteuid();
        step->gid = getegid();
    }
}

static void make_plan(struct scene *scene)
{
    struct clm_endpoint endpoints[2] = {
        {.addr = "127.0.0.1", .port = 443, .sni = "www.example", .timeout_ms = 1000},
        {.addr = "::1", .port = 8443, .sni = "www.example", .timeout_ms = 1000},
    };
    struct clm_err err = {0};
    struct clm_step *step;

    (void)snprintf(scene->plan.target, sizeof(scene->plan.target), "nginx:www.example");
    (void)snprintf(scene->plan.deployer, sizeof(scene->plan.deployer), "nginx");
    step = clm_plan_add(&scene->plan, CLM_STEP_CHECK);
    must_ok(clm_strs_add(&step->argv, "/usr/sbin/fake", &err), &err);
    must_ok(clm_strs_add(&step->argv, "-t", &err), &err);
    add_step_files(scene);
    step = clm_plan_add(&scene->plan, CLM_STEP_POST_CHECK);
    must_ok(clm_strs_add(&step->argv, "/usr/sbin/fake", &err), &err);
    must_ok(clm_strs_add(&step->argv, "-t", &err), &err);
    step = clm_plan_add(&scene->plan, CLM_STEP_RELOAD);
    step->how = CLM_RELOAD_UNIT;
    (void)snprintf(step->unit, sizeof(step->unit), "fake.service");
    step = clm_plan_add(&scene->plan, CLM_STEP_VERIFY);
    must_ok(clm_step_set_endpoints(step, endpoints, 2, &err), &err);
    step->deadline_ms = 30000;
}

static void below(char *dst, const char *dir, const char *name)
{
    must(snprintf(dst, PATH_MAX, "%s/%s", dir, name) < PATH_MAX, "path");
}

static void make_files(struct scene *scene, struct scene_certs *certs)
{
    for (size_t i = 0; i < SCENE_FILES_MAX && files_of[scene->kind][i].name != NULL; i++) {
        struct scene_file *file = &scene->files[scene->n_files++];

        file->name = files_of[scene->kind][i].name;
        file->content = files_of[scene->kind][i].content;
        file->format = files_of[scene->kind][i].format;
        file->mode = files_of[scene->kind][i].mode;
        below(file->path, scene->etc, file->name);
        if (clm_format_is_keystore(file->format)) {
            fill(&file->new_data, &certs->new_leaf, CLM_CONTENT_FULLCHAIN);
            fill_store(&file->old_data, &certs->old_leaf);
        } else if (file->content == CLM_CONTENT_EDIT) {
            fill_text(&file->old_data, CONF_OLD);
            fill_text(&file->new_data, CONF_NEW);
        } else {
            fill(&file->new_data, &certs->new_leaf, file->content);
        }
        if (scene->kind != SCENE_FIRST && file->old_data.len == 0) {
            fill(&file->old_data, &certs->old_leaf, file->content);
        }
    }
}

static void make_dirs(struct scene *scene)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

    must(snprintf(scene->root, sizeof(scene->root), "%s/clm-scene-XXXXXX", base) > 0, base);
    must(mkdtemp(scene->root) != NULL, scene->root);
    below(scene->state, scene->root, "state");
    below(scene->etc, scene->root, "etc");
    must(mkdir(scene->state, 0700) == 0 && mkdir(scene->etc, 0755) == 0, scene->root);
}

void scene_make(struct scene *scene, enum scene_kind kind, struct scene_certs *certs)
{
    static const uint32_t no_wait[] = {10, 20};
    struct clm_err err = {0};

    memset(scene, 0, sizeof(*scene));
    scene->kind = kind;
    make_dirs(scene);
    make_files(scene, certs);
    make_plan(scene);
    must_ok(clm_strs_add(&scene->policy.write_roots, scene->etc, &err), &err);
    scene->bundle = &certs->new_bundle;
    below(scene->bundle->key_path, scene->root, "waiting.key");
    scene->env = (struct clm_txn_env){.dir = scene->state,
                                      .io = &scene->server.io,
                                      .policy = &scene->policy,
                                      .reload_retry_ms = no_wait,
                                      .n_reload_retry = 2};
    scene_reset(scene, certs);
}

void scene_reset(struct scene *scene, struct scene_certs *certs)
{
    const char *cert = scene->files[0].path;
    const char *key = scene->files[scene->n_files - 1].path;
    char path[PATH_MAX];

    wipe(scene->state);
    wipe(scene->etc);
    below(path, scene->root, "waiting.key");
    scene_write(path, certs->new_leaf.key_pem.data, certs->new_leaf.key_pem.len, 0600);
    for (size_t i = 0; i < scene->n_files; i++) {
        if (scene->files[i].old_data.len > 0) {
            scene_write(scene->files[i].path, scene->files[i].old_data.data,
                        scene->files[i].old_data.len, scene->files[i].mode);
        }
    }
    below(path, scene->etc, "unrelated.conf");
    scene_write(path, NOTE, strlen(NOTE), 0644);
    below(path, scene->root, "served");
    (void)unlink(path);
    fake_io_init(&scene->server, cert, key, path);
    if (scene->kind == SCENE_FIRST) {
        scene->server.missing_is_fine = true;
    } else {
        fake_io_start(&scene->server);
    }
}

void scene_done(struct scene *scene)
{
    wipe(scene->root);
    (void)rmdir(scene->root);
    clm_plan_done(&scene->plan);
    clm_policy_done(&scene->policy);
    for (size_t i = 0; i < scene->n_files; i++) {
        clm_buf_done(&scene->files[i].old_data);
        clm_buf_done(&scene->files[i].new_data);
    }
}

/* ---- the oracle ---- */

static char file_is(const struct scene_file *file)
{
    struct stat st;
    bool is_old;
    bool is_new;

    if (lstat(file->path, &st) != 0) {
        is_old = file->old_data.len == 0;
        is_new = false;
    } else if (!S_ISREG(st.st_mode) || (st.st_mode & 07777) != file->mode ||
               st.st_uid != geteuid() || st.st_nlink != 1) {
        return '?';
    } else {
        is_old = file->old_data.len > 0 && scene_holds(file->path, &file->old_data);
        is_new = clm_format_is_keystore(file->format) ? store_holds(file->path, &file->new_data)
                                                      : scene_holds(file->path, &file->new_data);
    }
    if (is_old && is_new) {
        return '='; /* the same in both versions: then it is what the others are */
    }
    if (is_new) {
        return 'N';
    }
    return is_old ? 'O' : '?';
}

char scene_files_are(const struct scene *scene)
{
    char all = '=';

    for (size_t i = 0; i < scene->n_files; i++) {
        char one = file_is(&scene->files[i]);

        if (one == '?' || (all != '=' && one != '=' && one != all)) {
            return '?';
        }
        if (one != '=') {
            all = one;
        }
    }
    return all;
}

size_t scene_count(const struct scene *scene, const char *name)
{
    char path[PATH_MAX];
    DIR *d;
    size_t n = 0;

    below(path, scene->state, name);
    d = opendir(path);
    if (d == NULL) {
        return 0;
    }
    while (readdir(d) != NULL) {
        n++;
    }
    (void)closedir(d);
    return n - 2;
}

void scene_assert_untouched(const struct scene *scene)
{
    assert_int_equal(scene_count(scene, "."), 0);
}

static bool is_expected(const struct scene *scene, const char *name)
{
    if (strcmp(name, "unrelated.conf") == 0) {
        return true;
    }
    for (size_t i = 0; i < scene->n_files; i++) {
        if (strcmp(name, scene->files[i].name) == 0) {
            return true;
        }
    }
    return false;
}

static void check_key(const char *path)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf data = CLM_BUF_SECRET_INIT(FILE_LIMIT);
    struct stat st;

    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode) || (st.st_mode & 077) == 0) {
        return;
    }
    assert_int_equal(clm_fs_read(path, FILE_LIMIT, &data, NULL), CLM_OK);
    if (strstr(clm_buf_str(&data), "PRIVATE KEY") != NULL) {
        fail_msg("'%s' holds a private key and has mode %o", path, (unsigned)st.st_mode & 07777);
    }
}

static void check_keys_below(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;

    if (d == NULL) {
        return;
    }
    while ((entry = readdir(d)) != NULL) {
        char path[PATH_MAX];

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        (void)snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
        check_key(path);
        check_keys_below(path);
    }
    (void)closedir(d);
}

void scene_assert_keys_private(const struct scene *scene)
{
    check_keys_below(scene->root);
}

void scene_assert_clean(const struct scene *scene)
{
    struct clm_buf note = {.data = (uint8_t[]){NOTE}, .len = sizeof(NOTE) - 1, .cap = sizeof(NOTE)};
    static const char *const live[] = {"txn", "txn.prep", "txn.done", "quarantine"};
    char path[PATH_MAX];
    DIR *d = opendir(scene->etc);
    struct dirent *entry;

    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            !is_expected(scene, entry->d_name)) {
            fail_msg("'%s' was left in '%s'", entry->d_name, scene->etc);
        }
    }
    (void)closedir(d);
    below(path, scene->etc, "unrelated.conf");
    assert_true(scene_holds(path, &note));
    for (size_t i = 0; i < CLM_ARRAY_LEN(live); i++) {
        if (scene_count(scene, live[i]) != 0) {
            fail_msg("'%s/%s' is not empty", scene->state, live[i]);
        }
    }
    scene_assert_keys_private(scene);
}
