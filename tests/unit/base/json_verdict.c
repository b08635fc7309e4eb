/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Says of texts on standard input whether they are JSON: for json_oracle.py.
 *
 * In: length in four bytes, little end first, then the text; again and again. Out: a line each, empty
 * if it is refused, else what was read, written again.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/base/json.h"

int main(void)
{
    static char text[CLM_JSON_TEXT_MAX];
    uint8_t head[4];

    while (fread(head, 1, sizeof(head), stdin) == sizeof(head)) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(CLM_JSON_TEXT_MAX * 8u);
        CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;
        size_t len = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;

        if (len > sizeof(text) || fread(text, 1, len, stdin) != len) {
            return 2;
        }
        if (clm_json_parse(text, len, sizeof(text), &root, NULL) == CLM_OK &&
            clm_json_print(root, false, &out, NULL) != CLM_OK) {
            return 2;
        }
        (void)fwrite(clm_buf_str(&out), 1, out.len, stdout);
        (void)putchar('\n');
    }
    return fflush(stdout) == 0 ? 0 : 2;
}
