/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over files and folders, where there is no libFuzzer: each corpus is a test. After
 * a file come what is left of it when it is cut off, and what it is when single bytes change.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/fuzz/target.h"

#define FILE_MAX   ((size_t)1024 * 1024)
#define CPU_MAX_MS 2000.0 /* of one input under every sanitizer; a release build is held to 50 ms */

#define VARIANTS_CPU_MS 250.0 /* of one file */
#define VARIANTS_MAX    1000  /* places of one file that are changed */

static unsigned variants;

/* A copy of exact size, so that reading beyond its end is seen. */
static double run(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);

    if (copy == NULL) {
        abort();
    }
    memcpy(copy, data, len);
    clock_t start = clock();
    (void)LLVMFuzzerTestOneInput(copy, len);
    free(copy);
    return (double)(clock() - start) * 1000.0 / CLOCKS_PER_SEC;
}

/* Until ms_left of processor time are used up: key derivation takes its time. */
static void run_variants(uint8_t *data, size_t len, double ms_left)
{
    static const uint8_t values[] = {0x00, 0x20, 0x22, 0x30, 0x7f, 0xff};
    size_t step = len / VARIANTS_MAX + 1;

    for (size_t at = 0; at < len && ms_left > 0; at += step) {
        uint8_t was = data[at];

        ms_left -= run(data, at);
        for (size_t i = 0; i < sizeof(values) && ms_left > 0; i++) {
            data[at] = values[i];
            ms_left -= run(data, len);
            variants++;
        }
        for (unsigned bit = 1; bit < 0x100 && ms_left > 0; bit <<= 1) {
            data[at] = (uint8_t)(was ^ bit);
            ms_left -= run(data, len);
            variants++;
        }
        data[at] = was;
    }
}

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
    double ms = run(data, len);
    run_variants(data, len, VARIANTS_CPU_MS);
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
    (void)printf("%u inputs, %u variants\n", n, variants);
    return n == 0 || failed != 0;
}
