/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "agent/base/term.h"
#include "agent/main/cmds.h"

int main(int argc, char **argv)
{
    clm_term_init();
    return clm_cli_main(&clm_cmd_app, argc, argv, NULL);
}
