/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration of nginx that may include itself. */
#include "agent/formats/nginx_conf.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct one_file files;
    struct clm_conf_tree tree = {0};

    one_file_init(&files, data, len);
    clm_ignore(clm_nginx_conf_load(&files.io, INPUT_PATH, &tree, NULL));
    clm_conf_tree_done(&tree);
    return 0;
}
