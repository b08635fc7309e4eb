/* SPDX-License-Identifier: Apache-2.0 */
/* The scenarios, and how a host of one of them comes to be. */
#include "tests/faults/subject/subject.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/base/proc.h"
#include "agent/base/str.h"
#include "tests/faults/subject/host.h"
#include "tests/support/scene_int.h"

const struct subject_scenario subject_scenarios[] = {
    {.name = "nginx-pair", .kind = SCENE_PAIR},
    {.name = "apache-three", .kind = SCENE_THREE, .has_default_acl = true},
    {.name = "combined", .kind = SCENE_COMBINED},
    {.name = "symlink-flip", .kind = SCENE_LINKED},
    {.name = "jks", .kind = SCENE_STORE},
    {.name = "pkcs12-xml", .kind = SCENE_PKCS12},
    {.name = "first-install", .kind = SCENE_FIRST},
    {.name = "probe-fails", .kind = SCENE_PAIR, .story = SUBJECT_SERVES_OTHER},
    {.name = "first-probe-fails", .kind = SCENE_FIRST, .story = SUBJECT_SERVES_OTHER},
    {.name = "check-refuses", .kind = SCENE_THREE, .story = SUBJECT_CHECK_REFUSES},
    {.name = "rollback-reload-fails", .kind = SCENE_PAIR, .story = SUBJECT_RELOAD_DEAD},
    {.name = "no-exchange", .kind = SCENE_PAIR, .has_no_exchange = true},
    {.name = "no-exchange-probe-fails",
     .kind = SCENE_PAIR,
     .story = SUBJECT_SERVES_OTHER,
     .has_no_exchange = true},
    {.name = "old-expired", .kind = SCENE_PAIR, .is_old_expired = true},
    {.name = NULL},
};

static const char other_leaf[CLM_SHA256_HEX_SIZE] =
    "abababababababababababababababababababababababababababababababab";

static const struct subject_scenario *find(const char *name)
{
    for (const struct subject_scenario *s = subject_scenarios; s->name != NULL; s++) {
        if (strcmp(s->name, name) == 0) {
            return s;
        }
    }
    (void)fprintf(stderr, "no scenario '%s'\n", name);
    abort();
}

static void get_certs(struct subject *s, const char *certs)
{
    char dir[PATH_MAX];

    scene_must(mkdir(certs, 0700) == 0 || errno == EEXIST, certs);
    scene_below(dir, certs, s->scenario->is_old_expired ? "expired" : "good");
    if (scene_certs_load(&s->certs, dir)) {
        return;
    }
    scene_certs_done(&s->certs);
    scene_must(mkdir(dir, 0700) == 0 || errno == EEXIST, dir);
    scene_certs_make(&s->certs, s->scenario->is_old_expired ? CLM_TEST_EXPIRED : CLM_TEST_GOOD);
    scene_certs_save(&s->certs, dir);
}

static void set_story(struct subject *s)
{
    struct fake_io *server = &s->scene.server;

    switch (s->scenario->story) {
    case SUBJECT_GOES_WELL:
    case SUBJECT_CHECK_REFUSES:
        server->old_for_ms = 60;
        break;
    case SUBJECT_RELOAD_DEAD:
        server->fail_reloads_after = 1;
        server->other_sha256 = other_leaf;
        break;
    case SUBJECT_SERVES_OTHER:
        server->other_sha256 = other_leaf;
        break;
    case SUBJECT_STORY__COUNT:
        break;
    }
    if (s->scenario->kind != SCENE_FIRST) {
        memcpy(server->first_sha256, s->certs.old_bundle.leaf.sha256, CLM_SHA256_HEX_SIZE);
    }
    clm_fs_fail_op(s->scenario->has_no_exchange ? "exchange" : NULL, EINVAL);
}

void subject_open(struct subject *s, const char *scenario, const char *root, const char *certs,
                  const char *child)
{
    struct clm_err err = {0};

    memset(s, 0, sizeof(*s));
    s->scenario = find(scenario);
    scene_must_ok(clm_str_copy(s->child, sizeof(s->child), child, &err), &err);
    get_certs(s, certs);
    scene_attach(&s->scene, s->scenario->kind, &s->certs, root);
    set_story(s);
    subject_use_child(s);
}

void subject_close(struct subject *s)
{
    scene_detach(&s->scene);
    scene_certs_done(&s->certs);
}

/* ---- everything old ---- */

const uint8_t subject_acl[SUBJECT_ACL_SIZE] = {
    2,  0, 0, 0,                     /* version */
    1,  0, 6, 0, 255, 255, 255, 255, /* user::rw- */
    2,  0, 4, 0, 33,  0,   0,   0,   /* user:33:r-- */
    4,  0, 4, 0, 255, 255, 255, 255, /* group::r-- */
    16, 0, 4, 0, 255, 255, 255, 255, /* mask::r-- */
    32, 0, 4, 0, 255, 255, 255, 255, /* other::r-- */
};

/* What a file system does not know is not there afterwards either: check.c asks the unrelated file. */
static void set_attributes(const char *path, uint32_t mode)
{
    (void)setxattr(path, SUBJECT_XATTR, "kept", 4, 0);
    if (mode == SUBJECT_ACL_MODE) {
        (void)setxattr(path, SUBJECT_ACL, subject_acl, sizeof(subject_acl), 0);
    }
}

void subject_prepare(struct subject *s)
{
    const struct timespec times[2] = {{.tv_sec = SUBJECT_MTIME_S}, {.tv_sec = SUBJECT_MTIME_S}};
    char path[PATH_MAX];

    scene_must(mkdir(s->scene.state, 0700) == 0 || errno == EEXIST, s->scene.state);
    scene_must(mkdir(s->scene.etc, 0755) == 0 || errno == EEXIST, s->scene.etc);
    scene_must(chmod(s->scene.etc, 0755) == 0, s->scene.etc);
    scene_reset(&s->scene, &s->certs);
    set_story(s);
    subject_use_child(s);
    scene_below(path, s->scene.etc, "unrelated.conf");
    set_attributes(path, 0644);
    scene_must(utimensat(AT_FDCWD, path, times, 0) == 0, path);
    if (s->scenario->kind != SCENE_FIRST) {
        scene_must(chown(s->scene.files[0].path, (uid_t)-1, subject_gid(s, 0)) == 0,
                   s->scene.files[0].path);
        set_attributes(s->scene.files[0].path, s->scene.files[0].mode);
    }
    if (s->scenario->has_default_acl) { /* last of all: the old files have none of it */
        (void)setxattr(s->scene.etc, "system.posix_acl_default", subject_acl, sizeof(subject_acl),
                       0);
    }
}

gid_t subject_gid(const struct subject *s, size_t i)
{
    return i == 0 && geteuid() == 0 && s->scenario->kind != SCENE_FIRST ? SUBJECT_GID : getegid();
}
