/* SPDX-License-Identifier: Apache-2.0 */
/* Documents made from the table of commands. */
#include <stdio.h>

#include "controlplane/client.h"

#define DOC_MAX 262144u

/* What could not be written clm_cli_main() tells. */
static int print(const struct clm_buf *text, enum clm_code code, const struct clm_err *err)
{
    if (code != CLM_OK) {
        return clm_cp_fail(err);
    }
    (void)fputs(clm_buf_str(text), stdout);
    return CLM_CP_EXIT_OK;
}

int clm_cp_cmd_mdoc(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(DOC_MAX);
    struct clm_err err = {.code = CLM_OK};

    (void)ctx;
    return print(&text, clm_cli_mdoc(args->app, &text, &err), &err);
}

int clm_cp_cmd_completion(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(DOC_MAX);
    struct clm_err err = {.code = CLM_OK};

    (void)ctx;
    return print(&text, clm_cli_completion(args->app, &text, &err), &err);
}
