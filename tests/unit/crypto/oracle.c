/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/crypto/oracle.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/proc.h"

static void die(const char *what)
{
    (void)fprintf(stderr, "oracle: %s\n", what);
    abort();
}

void oracle_init(struct oracle *o)
{
    *o = (struct oracle){.dir = "/tmp/clm-oracle-XXXXXX", .out = CLM_BUF_INIT(256 * 1024)};
    if (mkdtemp(o->dir) == NULL) {
        die("mkdtemp");
    }
}

void oracle_done(struct oracle *o)
{
    DIR *dir = opendir(o->dir);
    const struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char path[512];

        (void)snprintf(path, sizeof(path), "%s/%s", o->dir, entry->d_name);
        (void)unlink(path);
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    (void)rmdir(o->dir);
    clm_buf_done(&o->out);
}

const char *oracle_put(struct oracle *o, const char *name, const void *data, size_t len)
{
    char *path = o->path[o->n++ % 8];
    FILE *file;

    (void)snprintf(path, sizeof(o->path[0]), "%s/%s", o->dir, name);
    if (len == 0) {
        return path;
    }
    file = fopen(path, "w");
    if (file == NULL || fwrite(data, 1, len, file) != len || fclose(file) != 0) {
        die(path);
    }
    return path;
}

void oracle_get(struct oracle *o, const char *name, struct clm_buf *buf)
{
    const char *path = oracle_put(o, name, NULL, 0);
    FILE *file = fopen(path, "r");
    char part[4096];
    size_t n;

    clm_buf_reset(buf);
    if (file == NULL) {
        die(path);
    }
    while ((n = fread(part, 1, sizeof(part), file)) > 0) {
        if (clm_buf_add(buf, part, n, NULL) != CLM_OK) {
            die("too much");
        }
    }
    (void)fclose(file);
}

int oracle_run(struct oracle *o, ...)
{
    const char *argv[17] = {"/usr/bin/openssl"};
    struct clm_proc proc = {.argv = argv, .timeout_ms = 60000};
    struct clm_err err = {0};
    int status = -1;
    size_t n = 1;
    va_list ap;

    va_start(ap, o);
    while (n < 16 && (argv[n] = va_arg(ap, const char *)) != NULL) {
        n++;
    }
    va_end(ap);
    clm_buf_reset(&o->out);
    if (clm_proc_run(&proc, &status, &o->out, &err) != CLM_OK) {
        die(err.msg);
    }
    return status;
}
