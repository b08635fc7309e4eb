/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scene - a host in a temporary directory, with a server, a target and a certificate to install
 *
 * For tests of the deploy transaction: everything clm_txn_deploy() takes, files whose old and new
 * content is known, and the oracle that checks the invariants of docs/journal.md.
 */
#ifndef CLM_TESTS_SUPPORT_SCENE_H
#define CLM_TESTS_SUPPORT_SCENE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "agent/job/txn.h"
#include "tests/support/certs.h"
#include "tests/support/fake_io.h"

#define SCENE_FILES_MAX 4

enum scene_kind {
    SCENE_PAIR,     /* as nginx: full chain and key */
    SCENE_THREE,    /* as Apache: leaf, key, chain */
    SCENE_COMBINED, /* as HAProxy: one file */
    SCENE_FIRST,    /* the pair's files do not exist yet */
    SCENE_STORE,    /* a pair and a JKS keystore, which is other bytes every time it is written */
    SCENE_EDIT,     /* a pair, and lines of a configuration that change with it */
    SCENE_LINKED,   /* the pair is reached through symlinks, as certbot and friends arrange it */
    SCENE_PKCS12,   /* as Tomcat: a PKCS#12 keystore and server.xml, and a pair beside them */
    SCENE__COUNT
};

/* Old and new certificate, made once per program: signing takes longer than a deployment. */
struct scene_certs {
    struct clm_test_ca *ca;
    struct clm_test_ca *old_ca; /* another one, so that the chain changes, too */
    struct clm_test_leaf old_leaf;
    struct clm_test_leaf new_leaf;
    struct clm_bundle old_bundle; /* without key_path */
    struct clm_bundle new_bundle;
    struct clm_buf jks; /* keystores with the old certificate: other bytes every time */
    struct clm_buf pkcs12;
};
void scene_certs_make(struct scene_certs *certs, enum clm_test_fault old_fault);
/* Into files of an existing directory, and from there: without the CAs. False if one is missing. */
void scene_certs_save(const struct scene_certs *certs, const char *dir);
bool scene_certs_load(struct scene_certs *certs, const char *dir);
void scene_certs_done(struct scene_certs *certs);

struct scene_file {
    char path[PATH_MAX];       /* of the real file */
    char configured[PATH_MAX]; /* what the plan says; another only with SCENE_LINKED */
    const char *name;
    enum clm_content content;
    enum clm_file_format format;
    uint32_t mode;
    struct clm_buf old_data; /* empty: absent before */
    struct clm_buf new_data; /* of a keystore: the new leaf's full chain, to be found in it */
};

struct scene {
    enum scene_kind kind;
    char root[PATH_MAX];  /* of everything below */
    char state[PATH_MAX]; /* the host half's */
    char etc[PATH_MAX];   /* the server's; holds "unrelated.conf", too */
    struct scene_file files[SCENE_FILES_MAX];
    size_t n_files;
    struct fake_io server;
    struct clm_policy policy;
    struct clm_plan plan;
    struct clm_bundle *bundle; /* of certs; key_path is set */
    struct clm_txn_env env;
};

/* Makes the directories, files, plan and server; everything old. */
void scene_make(struct scene *scene, enum scene_kind kind, struct scene_certs *certs);
/* The same scene in a directory of the caller's, of which nothing is read or written. */
void scene_attach(struct scene *scene, enum scene_kind kind, struct scene_certs *certs,
                  const char *root);
/* Everything old again, the state directory empty, the server with its switches off. */
void scene_reset(struct scene *scene, struct scene_certs *certs);
void scene_done(struct scene *scene);
/* Frees what scene_attach() made and leaves the files. */
void scene_detach(struct scene *scene);

/* One file of the scene, with owner and mode; for foreign edits. */
void scene_write(const char *path, const void *data, size_t len, uint32_t mode);
bool scene_holds(const char *path, const struct clm_buf *data);
/* 'O' old, 'N' new, '=' both are the same, '?' foreign content, mode, owner or kind. */
char scene_file_is(const struct scene_file *file);
/* 'O' all old, 'N' all new, '?' a mixture or foreign content. Modes and owners count. */
char scene_files_are(const struct scene *scene);
/* Fails the test unless nothing of ours lies about: no temporary files, no journals, the unrelated
 * file untouched, no key readable by others. */
void scene_assert_clean(const struct scene *scene);
/* Fails the test if a file with a private key may be read by group or others (I9). */
void scene_assert_keys_private(const struct scene *scene);
/* Fails the test if anything was ever written to the state directory. */
void scene_assert_untouched(const struct scene *scene);
/* Number of entries in <state>/<name>. */
size_t scene_count(const struct scene *scene, const char *name);

#endif
