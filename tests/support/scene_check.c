/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle: what must hold of the files of a scene. */
#include "tests/support/scene_int.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/fs.h"

char scene_file_is(const struct scene_file *file)
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
        is_new = clm_format_is_keystore(file->format)
                     ? scene_store_holds(file->path, &file->new_data)
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
        char one = scene_file_is(&scene->files[i]);

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

    scene_below(path, scene->state, name);
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
    static const char *const dirs[] = {"live", "archive", "current"};

    if (strcmp(name, "unrelated.conf") == 0) {
        return true;
    }
    for (size_t i = 0; scene->kind == SCENE_LINKED && i < CLM_ARRAY_LEN(dirs); i++) {
        if (strcmp(name, dirs[i]) == 0) {
            return true;
        }
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
    CLM_CLEANUP(clm_buf_done) struct clm_buf data = CLM_BUF_SECRET_INIT(SCENE_FILE_LIMIT);
    struct stat st;

    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode) || (st.st_mode & 077) == 0) {
        return;
    }
    assert_int_equal(clm_fs_read(path, SCENE_FILE_LIMIT, &data, NULL), CLM_OK);
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

static void check_names(const struct scene *scene, const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;

    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            !is_expected(scene, entry->d_name)) {
            fail_msg("'%s' was left in '%s'", entry->d_name, dir);
        }
    }
    (void)closedir(d);
}

void scene_assert_clean(const struct scene *scene)
{
    struct clm_buf note = {
        .data = (uint8_t[]){SCENE_NOTE}, .len = sizeof(SCENE_NOTE) - 1, .cap = sizeof(SCENE_NOTE)};
    static const char *const live[] = {"txn", "txn.prep", "txn.done", "quarantine"};
    char path[PATH_MAX];

    check_names(scene, scene->etc);
    if (scene->kind == SCENE_LINKED) {
        scene_below(path, scene->etc, "archive");
        check_names(scene, path);
    }
    scene_below(path, scene->etc, "unrelated.conf");
    assert_true(scene_holds(path, &note));
    for (size_t i = 0; i < CLM_ARRAY_LEN(live); i++) {
        if (scene_count(scene, live[i]) != 0) {
            fail_msg("'%s/%s' is not empty", scene->state, live[i]);
        }
    }
    scene_assert_keys_private(scene);
}
