/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subject - one deployment on a host below a directory, every part of which may be a new process
 *
 * What the harnesses of tests/faults kill, cut off and lie to. All state is in files below the root,
 * the running server's memory included. The configuration test is a real child process (child.c);
 * reload and handshakes are scripted (tests/support/fake_io.h), and time passes without waiting.
 */
#ifndef CLM_TESTS_FAULTS_SUBJECT_H
#define CLM_TESTS_FAULTS_SUBJECT_H

#include <limits.h>
#include <stdbool.h>

#include "tests/faults/subject/mark.h"
#include "tests/support/scene.h"

/* How the deployment goes when nobody disturbs it. */
enum subject_story {
    SUBJECT_GOES_WELL,
    SUBJECT_SERVES_OTHER,  /* another leaf appears after the reload: rolled back */
    SUBJECT_CHECK_REFUSES, /* the server's test says no to the new files: rolled back */
    SUBJECT_RELOAD_DEAD,   /* the same as OTHER, and no reload works any more: a human is called */
    SUBJECT_STORY__COUNT
};

struct subject_scenario {
    const char *name;
    enum scene_kind kind;
    enum subject_story story;
    bool has_no_exchange; /* a file system without RENAME_EXCHANGE */
    bool
        has_default_acl; /* of the directory: what is new there inherits more than it should have */
    bool is_old_expired; /* so that recovery keeps the new one once it was reloaded */
};
/* NULL-named at the end. */
extern const struct subject_scenario subject_scenarios[];

/* How a deployment or a recovery ended, also the exit status; 2 is for usage. */
enum subject_end {
    SUBJECT_OK = 0,
    SUBJECT_FAILED = 1,  /* deploy: failed or rolled back; recover: could not even look */
    SUBJECT_BLOCKED = 3, /* to be tried again */
    SUBJECT_HUMAN = 4,
    SUBJECT_BAD = 5, /* what it reports is not fit to be reported, or it leaks: lines say what */
    SUBJECT_DIED = 6 /* for subject_check() only */
};

struct subject {
    const struct subject_scenario *scenario;
    struct scene_certs certs;
    struct scene scene;
    struct clm_io scripted; /* the server's, without children and marks */
    char child[PATH_MAX];   /* the program that is the configuration test */
    unsigned runs;
};

/*
 * subject_open() - a scenario in a directory; nothing is written there
 *
 * In      root   absolute, copied
 *         certs  cache of certificates, made if it is not there
 *         child  program of tests/faults/subject/child.c
 * Effect  aborts if something fails, as all of this does: a harness without a subject proves nothing
 */
void subject_open(struct subject *s, const char *scenario, const char *root, const char *certs,
                  const char *child);
void subject_close(struct subject *s);

/* Everything old, also the server; wipes what is there. */
void subject_prepare(struct subject *s);
/* Lock, recovery, deployment, between marks. Prints "<result> <code>: <message>" to stdout. */
enum subject_end subject_deploy(struct subject *s);
/* Lock and recovery, between marks. Prints a line for each journal. boot: files only, and then the
 * server starts. Looks for readable keys first (I9): SUBJECT_BAD if there are some. */
enum subject_end subject_recover(struct subject *s, bool boot);
/*
 * subject_check() - the oracle for I1 to I10 of docs/journal.md
 *
 * In      reported  how the deployment ended; DIED: it never said
 * Effect  runs a recovery of its own, which must find nothing to do (I7)
 * Out     'O' or 'N'; 0 if something is wrong: a line "I4: ..." on stdout for each
 */
char subject_check(struct subject *s, enum subject_end reported);
/* Is each file, by itself, of the old or the new version? What must hold also when a human is called.
 * Prints a line for each that is not. */
bool subject_files(const struct subject *s);
/* Are there private keys in files that others may read (I9)? Prints a line for each. */
bool subject_keys_are_private(const struct subject *s);

/* Begins or ends the measured part. */
void subject_mark(bool begin);

#endif
