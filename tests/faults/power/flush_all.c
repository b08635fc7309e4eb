/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faults_flush_all N NAME - run by the tracer while system call N waits
 *
 * Lets the file system at $FAULTS_ROOT write all that it holds back, and notes the call in
 * $FAULTS_MARK: a power cut now finds everything up to here.
 */
#define _GNU_SOURCE /* syncfs */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const char *root = getenv("FAULTS_ROOT");
    const char *mark = getenv("FAULTS_MARK");
    char text[128];
    int fd;

    if (argc != 3 || root == NULL || mark == NULL) {
        return 2;
    }
    fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) != 0 || close(fd) != 0) {
        perror(root);
        return 1;
    }
    (void)snprintf(text, sizeof(text), "call %s %s", argv[1], argv[2]);
    fd = open(mark, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd) != 0) {
        perror(mark);
        return 1;
    }
    return 0;
}
