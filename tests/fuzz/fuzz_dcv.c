/* SPDX-License-Identifier: Apache-2.0 */
/* Path and content of a validation file: what is accepted stays below the web root. */
#include <limits.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/host/dcv.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct clm_dcv_root root = {.dir = "/nowhere"};
    struct clm_strs made = {0};
    char file[PATH_MAX];
    char text[2048];
    size_t cut = len > 0 ? data[0] : 0;

    if (len < 1 || len > sizeof(text) - 1 || cut >= len) {
        return 0;
    }
    memcpy(text, data + 1, len - 1);
    text[len - 1] = '\0';
    const char *content = text + cut;
    char path[256];
    if (memchr(text, '\0', len - 1) != NULL || cut >= sizeof(path)) {
        return 0;
    }
    memcpy(path, text, cut);
    path[cut] = '\0';
    if (clm_dcv_check(path, content, NULL) == CLM_OK) {
        MUST(strstr(path, "..") == NULL && strncmp(path, "/.well-known/", 13) == 0);
        if (clm_dcv_plan(&root, path, &made, file, sizeof(file), NULL) == CLM_OK) {
            MUST(strncmp(file, "/nowhere/.well-known/", 21) == 0);
        }
    }
    clm_strs_done(&made);
    return 0;
}
