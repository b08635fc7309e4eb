/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/case_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static int hex_digit(char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

static size_t unescape(const char *from, char *to)
{
    static const char letters[] = "nrt\\";
    static const char bytes[] = "\n\r\t\\";
    size_t len = 0;

    while (*from != '\0') {
        if (*from != '\\') {
            to[len++] = *from++;
        } else if (from[1] == 'x') {
            to[len++] = (char)(hex_digit(from[2]) << 4 | hex_digit(from[3]));
            from += 4;
        } else {
            const char *hit = strchr(letters, from[1]);

            assert_true(hit != NULL && from[1] != '\0');
            to[len++] = bytes[hit - letters];
            from += 2;
        }
    }
    return len;
}

bool case_read(FILE *file, struct case_line *out)
{
    char line[CASE_LINE_MAX];

    while (fgets(line, sizeof(line), file) != NULL) {
        char *name;
        char *text;

        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#' || line[0] == '\0') {
            continue;
        }
        name = strchr(line, ' ');
        assert_non_null(name);
        *name++ = '\0';
        text = name + strcspn(name, " ");
        if (*text != '\0') { /* else the text is empty */
            *text++ = '\0';
        }
        (void)snprintf(out->kind, sizeof(out->kind), "%.3s", line);
        (void)snprintf(out->name, sizeof(out->name), "%.79s", name);
        out->len = unescape(text, out->text);
        return true;
    }
    return false;
}

char *case_copy(const struct case_line *one)
{
    char *block = malloc(one->len + 1); /* never 0 bytes */

    assert_non_null(block);
    memcpy(block + 1, one->text, one->len);
    return block + 1;
}

void case_free(char *copy)
{
    free(copy - 1);
}
