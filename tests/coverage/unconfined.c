/* SPDX-License-Identifier: Apache-2.0 */
/* unconfined - in a coverage build, a process that restricts itself may still write what it counted */
#include <stdlib.h>
#include <string.h>

#include "agent/base/landlock.h"

#define PATHS_MAX 64

enum clm_code __real_clm_landlock_restrict(const struct clm_landlock_path *paths, size_t n,
                                           int *out_abi, struct clm_err *err);
enum clm_code __wrap_clm_landlock_restrict(const struct clm_landlock_path *paths, size_t n,
                                           int *out_abi, struct clm_err *err);

enum clm_code __wrap_clm_landlock_restrict(const struct clm_landlock_path *paths, size_t n,
                                           int *out_abi, struct clm_err *err)
{
    struct clm_landlock_path more[PATHS_MAX];

    if (n >= PATHS_MAX) {
        abort();
    }
    memcpy(more, paths, n * sizeof(*paths));
    more[n] = (struct clm_landlock_path){CLM_COVERAGE_DIR, CLM_LANDLOCK_WRITE};
    return __real_clm_landlock_restrict(more, n + 1, out_abi, err);
}
