/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration of httpd that may include itself and define variables. */
#include <limits.h>

#include "agent/formats/apache_conf.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct one_file files;
    struct clm_conf_tree tree = {0};
    char root[PATH_MAX];
    const struct clm_apache_source source = {
        .path = INPUT_PATH, .server_root = "/", .envvars = INPUT_PATH, .version = "2.4.57"};

    one_file_init(&files, data, len);
    clm_ignore(clm_apache_conf_load(&files.io, &source, &tree, root, NULL));
    clm_conf_tree_done(&tree);
    return 0;
}
