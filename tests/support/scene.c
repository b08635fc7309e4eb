/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/scene_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/fs.h"
#include "agent/base/str.h"

void scene_must(int is_good, const char *what)
{
    if (!is_good) {
        perror(what);
        abort();
    }
}

void scene_must_ok(enum clm_code code, const struct clm_err *err)
{
    if (code != CLM_OK) {
        (void)fprintf(stderr, "scene: %s\n", err->msg);
        abort();
    }
}

void scene_below(char *dst, const char *dir, const char *name)
{
    scene_must(snprintf(dst, PATH_MAX, "%s/%s", dir, name) < PATH_MAX, "path");
}

/* ---- files ---- */

void scene_write(const char *path, const void *data, size_t len, uint32_t mode)
{
    int fd;

    (void)unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    scene_must(fd >= 0, path);
    scene_must(write(fd, data, len) == (ssize_t)len && fchmod(fd, mode) == 0 && close(fd) == 0,
               path);
}

bool scene_holds(const char *path, const struct clm_buf *data)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf have = CLM_BUF_SECRET_INIT(SCENE_FILE_LIMIT);

    return clm_fs_read(path, SCENE_FILE_LIMIT, &have, NULL) == CLM_OK && have.len == data->len &&
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
    [SCENE_LINKED] = {{"site1.crt", CLM_CONTENT_FULLCHAIN, 0644, CLM_FORMAT_PEM},
                      {"site1.key", CLM_CONTENT_KEY, 0600, CLM_FORMAT_PEM}},
    [SCENE_PKCS12] = {{"site.crt", CLM_CONTENT_FULLCHAIN, 0644, CLM_FORMAT_PEM},
                      {"store.p12", CLM_CONTENT_KEY_FULLCHAIN, 0600, CLM_FORMAT_PKCS12},
                      {"server.xml", CLM_CONTENT_EDIT, 0640, CLM_FORMAT_PEM},
                      {"site.key", CLM_CONTENT_KEY, 0600, CLM_FORMAT_PEM}},
};

static void add_step_files(struct scene *scene)
{
    for (size_t i = 0; i < scene->n_files; i++) {
        struct clm_step *step = clm_plan_add(&scene->plan, CLM_STEP_FILE_PUT, NULL);

        scene_must(step != NULL, "plan");
        memcpy(step->path, scene->files[i].configured, sizeof(step->path));
        step->content = scene->files[i].content;
        step->format = scene->files[i].format;
        scene_plan_content(step);
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
    step = clm_plan_add(&scene->plan, CLM_STEP_CHECK, NULL);
    scene_must_ok(clm_strs_add(&step->argv, "/usr/sbin/fake", &err), &err);
    scene_must_ok(clm_strs_add(&step->argv, "-t", &err), &err);
    add_step_files(scene);
    step = clm_plan_add(&scene->plan, CLM_STEP_POST_CHECK, NULL);
    scene_must_ok(clm_strs_add(&step->argv, "/usr/sbin/fake", &err), &err);
    scene_must_ok(clm_strs_add(&step->argv, "-t", &err), &err);
    step = clm_plan_add(&scene->plan, CLM_STEP_RELOAD, NULL);
    step->how = CLM_RELOAD_UNIT;
    (void)snprintf(step->unit, sizeof(step->unit), "fake.service");
    step = clm_plan_add(&scene->plan, CLM_STEP_VERIFY, NULL);
    scene_must_ok(clm_step_set_endpoints(step, endpoints, 2, &err), &err);
    step->deadline_ms = 30000;
}

static void make_files(struct scene *scene, const struct scene_certs *certs)
{
    char archive[PATH_MAX];
    char live[PATH_MAX];

    scene_below(archive, scene->etc, "archive");
    scene_below(live, scene->etc, "live");
    for (size_t i = 0; i < SCENE_FILES_MAX && files_of[scene->kind][i].name != NULL; i++) {
        struct scene_file *file = &scene->files[scene->n_files++];
        bool is_linked = scene->kind == SCENE_LINKED;

        file->name = files_of[scene->kind][i].name;
        file->content = files_of[scene->kind][i].content;
        file->format = files_of[scene->kind][i].format;
        file->mode = files_of[scene->kind][i].mode;
        scene_below(file->path, is_linked ? archive : scene->etc, file->name);
        scene_below(file->configured, is_linked ? live : scene->etc, file->name);
        scene_fill_file(file, scene->kind, certs);
    }
}

/* live/NAME -> ../current/NAME, current -> archive: a link at the end and one on the way. */
static void make_links(const struct scene *scene)
{
    char path[PATH_MAX];
    char to[PATH_MAX];

    if (scene->kind != SCENE_LINKED) {
        return;
    }
    scene_below(path, scene->etc, "archive");
    scene_must(mkdir(path, 0755) == 0, path);
    scene_below(path, scene->etc, "live");
    scene_must(mkdir(path, 0755) == 0, path);
    scene_below(path, scene->etc, "current");
    scene_must(symlink("archive", path) == 0, path);
    for (size_t i = 0; i < scene->n_files; i++) {
        scene_below(to, "../current", scene->files[i].name);
        scene_must(symlink(to, scene->files[i].configured) == 0, scene->files[i].configured);
    }
}

static void make_dirs(struct scene *scene)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

    scene_below(scene->root, base, "clm-scene-XXXXXX");
    scene_must(mkdtemp(scene->root) != NULL, scene->root);
}

void scene_attach(struct scene *scene, enum scene_kind kind, struct scene_certs *certs,
                  const char *root)
{
    static const uint32_t no_wait[] = {10, 20};
    struct clm_err err = {0};
    char served[PATH_MAX];

    memset(scene, 0, sizeof(*scene));
    scene->kind = kind;
    scene_must_ok(clm_str_copy(scene->root, sizeof(scene->root), root, &err), &err);
    scene_below(scene->state, scene->root, "state");
    scene_below(scene->etc, scene->root, "etc");
    scene_below(served, scene->root, "served");
    make_files(scene, certs);
    make_plan(scene);
    scene_must_ok(clm_strs_add(&scene->policy.write_roots, scene->etc, &err), &err);
    scene->bundle = &certs->new_bundle;
    scene_below(scene->bundle->key_path, scene->root, "waiting.key");
    fake_io_init(&scene->server, scene->files[0].path, scene->files[scene->n_files - 1].path,
                 served);
    scene->server.missing_is_fine = kind == SCENE_FIRST;
    scene->env = (struct clm_txn_env){.dir = scene->state,
                                      .io = &scene->server.io,
                                      .policy = &scene->policy,
                                      .reload_retry_ms = no_wait,
                                      .n_reload_retry = 2};
}

void scene_make(struct scene *scene, enum scene_kind kind, struct scene_certs *certs)
{
    struct scene dirs;

    make_dirs(&dirs);
    scene_attach(scene, kind, certs, dirs.root);
    scene_must(mkdir(scene->state, 0700) == 0 && mkdir(scene->etc, 0755) == 0, scene->root);
    scene_reset(scene, certs);
}

void scene_reset(struct scene *scene, struct scene_certs *certs)
{
    const char *cert = scene->files[0].path;
    const char *key = scene->files[scene->n_files - 1].path;
    char path[PATH_MAX];

    wipe(scene->state);
    wipe(scene->etc);
    make_links(scene);
    scene_below(path, scene->root, "waiting.key");
    scene_write(path, certs->new_leaf.key_pem.data, certs->new_leaf.key_pem.len, 0600);
    for (size_t i = 0; i < scene->n_files; i++) {
        if (scene->files[i].old_data.len > 0) {
            scene_write(scene->files[i].path, scene->files[i].old_data.data,
                        scene->files[i].old_data.len, scene->files[i].mode);
        }
    }
    scene_below(path, scene->etc, "unrelated.conf");
    scene_write(path, SCENE_NOTE, strlen(SCENE_NOTE), 0644);
    scene_below(path, scene->root, "served");
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
    scene_detach(scene);
}

void scene_detach(struct scene *scene)
{
    clm_plan_done(&scene->plan);
    clm_policy_done(&scene->policy);
    for (size_t i = 0; i < scene->n_files; i++) {
        clm_buf_done(&scene->files[i].old_data);
        clm_buf_done(&scene->files[i].new_data);
    }
}
