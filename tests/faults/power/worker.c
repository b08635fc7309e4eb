/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faults_power SCENARIO ROOT CERTS CHILD - recovers and looks, once for each line it is given
 *
 * A line of standard input says how the deployment ended ("ok", "failed", "blocked", "human",
 * "died"). The answer is what the subject has to say, and then "= old", "= new" or "= bad". What is
 * mounted at ROOT may change between the lines. Each is a process of its own.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/faults/subject/subject.h"

static const struct {
    const char *name;
    enum subject_end end;
} ends[] = {
    {"ok", SUBJECT_OK},       {"failed", SUBJECT_FAILED}, {"blocked", SUBJECT_BLOCKED},
    {"human", SUBJECT_HUMAN}, {"died", SUBJECT_DIED},
};

static enum subject_end end_of(const char *name)
{
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (strcmp(ends[i].name, name) == 0) {
            return ends[i].end;
        }
    }
    (void)fprintf(stderr, "no end '%s'\n", name);
    exit(2);
}

/* The machine boots: its memory is gone, recovery comes first, then the server starts. */
static void boot(struct subject *s, enum subject_end reported)
{
    char is = '\0';

    (void)unlink(s->scene.server.served_path);
    if (subject_recover(s, true) == SUBJECT_OK) {
        is = subject_check(s, reported);
    }
    (void)printf("= %s\n", is == 'O' ? "old" : is == 'N' ? "new" : "bad");
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct subject subject;
    char line[64];

    if (argc != 5) {
        (void)fprintf(stderr, "usage: faults_power SCENARIO ROOT CERTS CHILD\n");
        return 2;
    }
    subject_open(&subject, argv[1], argv[2], argv[3], argv[4]);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        enum subject_end reported;
        pid_t pid;
        int status = 0;

        line[strcspn(line, "\n")] = '\0';
        reported = end_of(line);
        pid = fork();
        if (pid == 0) {
            boot(&subject, reported);
            _exit(0);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
            (void)printf("recovery ended with wait status %d\n= bad\n", status);
            (void)fflush(stdout);
        }
    }
    subject_close(&subject);
    return 0;
}
