/* SPDX-License-Identifier: Apache-2.0 */
/* server.xml of Tomcat, with its properties from the same bytes. */
#include "agent/formats/server_xml.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct one_file files;
    struct clm_tomcat tomcat = {0};
    struct clm_tomcat_args args = {.base = "/", .home = "/", .config = INPUT_PATH};

    one_file_init(&files, data, len);
    clm_ignore(clm_tomcat_load(&files.io, &args, &tomcat, NULL));
    clm_tomcat_done(&tomcat);
    return 0;
}
