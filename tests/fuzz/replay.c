/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over files and folders, where there is no libFuzzer: each corpus is a test. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/fuzz/target.h"

#define FILE_MAX   ((size_t)1024 * 1024)
#define CPU_MAX_MS 2000.0 /* of one input under every sanitizer; a release build is held to 50 ms */

static int replay_file(const char *path)
{
    static uint8_t data[FILE_MAX];
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        perror(path);
        return 1;
    }
    size_t len = fread(data, 1, sizeof(data), file);
    (void)fclose(file);
    /* a copy of exact size, so that reading beyond its end is seen */
    uint8_t *copy = malloc(len > 0 ? len : 1);
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, data, len);
    clock_t start = clock();
    (void)LLVMFuzzerTestOneInput(copy, len);
    double ms = (double)(clock() - start) * 1000.0 / CLOCKS_PER_SEC;
    free(copy);
    if (ms > CPU_MAX_MS) {
        (void)fprintf(stderr, "%s: took %.0f ms\n", path, ms);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    unsigned n = 0;
    int failed = 0;

    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        struct dirent *entry;

        if (dir == NULL) {
            failed += replay_file(argv[i]);
            n++;
            continue;
        }
        while ((entry = readdir(dir)) != NULL) {
            char path[4096];

            if (entry->d_name[0] != '.' &&
                snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name) < (int)sizeof(path)) {
                failed += replay_file(path);
                n++;
            }
        }
        (void)closedir(dir);
    }
    if (n == 0) {
        (void)fprintf(stderr, "nothing to replay\n");
    }
    (void)printf("%u inputs\n", n);
    return n == 0 || failed != 0;
}
