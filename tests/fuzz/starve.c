/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over its corpus, each input again and again with another allocation failing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/fuzz/target.h"
#include "tests/support/torture.h"

#define FILE_MAX  ((size_t)64 * 1024)
#define FAILS_MAX 600
#define CPU_MS    300 /* of one input: key derivation takes its time */

struct input {
    uint8_t data[FILE_MAX];
    size_t len;
};

static const char *corpus;

bool clm_fuzz_is_starved(void)
{
    return clm_torture_has_failed();
}

static enum clm_code run(void *arg, struct clm_err *err)
{
    const struct input *input = arg;

    (void)err;
    (void)LLVMFuzzerTestOneInput(input->data, input->len);
    return CLM_OK;
}

static size_t starve_file(const char *path)
{
    static struct input input;
    FILE *file = fopen(path, "rb");

    assert_non_null(file);
    input.len = fread(input.data, 1, sizeof(input.data), file);
    (void)fclose(file);
    clock_t start = clock();
    clm_ignore(run(&input, NULL));
    clock_t ms = (clock() - start) / (CLOCKS_PER_SEC / 1000) + 1;
    return clm_torture_any(run, &input,
                           ms * FAILS_MAX > CPU_MS ? CPU_MS / (size_t)ms + 1 : FAILS_MAX);
}

static void no_input_leaks_or_crashes_when_memory_is_short(void **state)
{
    DIR *dir = opendir(corpus);
    struct dirent *entry;
    size_t files = 0;
    size_t failed = 0;

    (void)state;
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        char path[4096];

        if (entry->d_name[0] != '.') {
            (void)snprintf(path, sizeof(path), "%.3000s/%.1000s", corpus, entry->d_name);
            failed += starve_file(path);
            files++;
        }
    }
    (void)closedir(dir);
    print_message("%zu inputs, %zu failing allocations\n", files, failed);
    assert_true(files > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_input_leaks_or_crashes_when_memory_is_short),
    };

    cJSON_Hooks hooks = {clm_torture_malloc, clm_torture_free};

    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
        return 2;
    }
    corpus = argv[1];
    cJSON_InitHooks(&hooks);
    return cmocka_run_group_tests_name("starve", tests, NULL, NULL);
}
