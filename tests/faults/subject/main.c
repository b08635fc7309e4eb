/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faults_subject [OPTIONS] SCENARIO ROOT (prepare|deploy|recover|boot-recover|check|keys|files)
 *
 * See subject.h. Exit status: enum subject_end; of check, keys and files 0 or 1; of prepare 0.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/faults/subject/subject.h"
#include "tests/support/scene_int.h"

#define USAGE 2

static const char *const ends[] = {
    [SUBJECT_OK] = "ok",           [SUBJECT_FAILED] = "failed", [2] = "",
    [SUBJECT_BLOCKED] = "blocked", [SUBJECT_HUMAN] = "human",   [SUBJECT_BAD] = "",
    [SUBJECT_DIED] = "died",
};

static int usage(void)
{
    (void)fprintf(
        stderr,
        "faults_subject --list: scenarios, and how each ends undisturbed\n"
        "faults_subject [--certs DIR] [--reported ok|failed|blocked|human|died] SCENARIO ROOT "
        "ACTION\n"
        "  prepare       everything old below ROOT, an existing directory\n"
        "  deploy        exit 0 ok, 1 failed, 3 blocked, 4 a human is needed, 5 unfit or leaking\n"
        "  recover       the same; boot-recover: files only, then the server starts\n"
        "  check         the invariants of docs/journal.md: 'old' or 'new', or a line for each "
        "that is broken\n"
        "  keys          I9 alone, at any time\n"
        "  files         is each file by itself old or new?\n"
        "Certificates are kept in DIR (default: certs beside ROOT).\n");
    return USAGE;
}

static int list(void)
{
    static const char *const how[SUBJECT_STORY__COUNT] = {
        [SUBJECT_GOES_WELL] = "ok",
        [SUBJECT_SERVES_OTHER] = "failed",
        [SUBJECT_CHECK_REFUSES] = "failed",
        [SUBJECT_RELOAD_DEAD] = "human",
    };

    for (const struct subject_scenario *s = subject_scenarios; s->name != NULL; s++) {
        (void)printf("%s %s\n", s->name, how[s->story]);
    }
    return 0;
}

/* A file or directory beside path. */
static void beside(char *dst, const char *path, const char *name)
{
    char dir[PATH_MAX];
    char *slash;

    scene_must(snprintf(dir, sizeof(dir), "%s", path) < (int)sizeof(dir), path);
    slash = strrchr(dir, '/');
    scene_must(slash != NULL && slash != dir, path);
    *slash = '\0';
    scene_below(dst, dir, name);
}

static int check(struct subject *s, enum subject_end reported)
{
    char state = subject_check(s, reported);

    if (state != '\0') {
        (void)puts(state == 'N' ? "new" : "old");
    }
    return state != '\0' ? 0 : 1;
}

static int act(struct subject *s, const char *action, enum subject_end reported)
{
    if (strcmp(action, "prepare") == 0) {
        subject_prepare(s);
        return 0;
    }
    if (strcmp(action, "deploy") == 0) {
        return (int)subject_deploy(s);
    }
    if (strcmp(action, "recover") == 0 || strcmp(action, "boot-recover") == 0) {
        return (int)subject_recover(s, action[0] == 'b');
    }
    if (strcmp(action, "check") == 0) {
        return check(s, reported);
    }
    if (strcmp(action, "keys") == 0) {
        return subject_keys_are_private(s) ? 0 : 1;
    }
    if (strcmp(action, "files") == 0) {
        return subject_files(s) ? 0 : 1;
    }
    return usage();
}

static bool parse_reported(const char *text, enum subject_end *out)
{
    for (size_t i = 0; i < CLM_ARRAY_LEN(ends); i++) {
        if (text[0] != '\0' && strcmp(text, ends[i]) == 0) {
            *out = (enum subject_end)i;
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"certs", required_argument, NULL, 'c'},
                                            {"reported", required_argument, NULL, 'r'},
                                            {"list", no_argument, NULL, 'l'},
                                            {NULL, 0, NULL, 0}};
    enum subject_end reported = SUBJECT_DIED;
    struct subject subject;
    char certs[PATH_MAX] = "";
    char self[PATH_MAX] = "";
    char child[PATH_MAX];
    int option;
    int status;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'l') {
            return list();
        }
        if (option == 'c') {
            (void)snprintf(certs, sizeof(certs), "%s", optarg);
        } else if (option != 'r' || !parse_reported(optarg, &reported)) {
            return usage();
        }
    }
    if (argc - optind != 3 || argv[optind + 1][0] != '/') {
        return usage();
    }
    scene_must(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0, "/proc/self/exe");
    beside(child, self, "faults_child");
    if (certs[0] == '\0') {
        beside(certs, argv[optind + 1], "certs");
    }
    subject_open(&subject, argv[optind], argv[optind + 1], certs, child);
    status = act(&subject, argv[optind + 2], reported);
    subject_close(&subject);
    return status;
}
