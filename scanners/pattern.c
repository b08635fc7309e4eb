/* SPDX-License-Identifier: Apache-2.0 */
#include "scanners/pattern.h"

#include <regex.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/attr.h"

#define PATTERN_MAX 1024 /* bytes of a translated expression */

/* What PCRE writes and POSIX writes otherwise. */
static const struct {
    const char *pcre;
    const char *posix;
} spellings[] = {
    {"(?:", "("},           {"\\d", "[0-9]"}, {"\\w", "[[:alnum:]_]"},
    {"\\s", "[[:space:]]"}, {"\\/", "/"},     {"\\-", "[-]"},
    {"\\_", "_"},           {"*?", "*"},      {"+?", "+"},
    {"\\A", "^"},           {"\\z", "$"},     {"\\Z", "$"},
    {"\\\\", "\\\\"},
};

/* False if it does not fit or has something POSIX lacks. */
static bool translate(const char *from, char *dst, size_t size)
{
    size_t len = 0;

    while (*from != '\0') {
        char one[3] = {from[0], '\0', '\0'};
        const char *text = one;
        size_t step = 1;

        for (size_t i = 0; i < CLM_ARRAY_LEN(spellings); i++) {
            size_t n = strlen(spellings[i].pcre);

            if (strncmp(from, spellings[i].pcre, n) == 0) {
                text = spellings[i].posix;
                step = n;
                break;
            }
        }
        if (text == one && strncmp(from, "(?", 2) == 0) {
            return false;
        }
        if (text == one && from[0] == '\\' && from[1] != '\0') {
            one[1] = from[1];
            step = 2;
        }
        if (len + strlen(text) >= size) {
            return false;
        }
        memcpy(dst + len, text, strlen(text) + 1);
        len += strlen(text);
        from += step;
    }
    dst[len] = '\0';
    return true;
}

enum clm_pattern clm_pattern_match(const char *pattern, bool ignore_case, const char *text)
{
    const char *ahead = strstr(pattern, "(?!");
    char posix[PATTERN_MAX];
    regex_t regex;
    bool hit;

    if (ahead != NULL && strstr(ahead, "well-known") != NULL) {
        return CLM_PATTERN_NO;
    }
    if (strncmp(pattern, "(?i)", 4) == 0) {
        ignore_case = true;
        pattern += 4;
    }
    if (!translate(pattern, posix, sizeof(posix)) ||
        regcomp(&regex, posix, REG_EXTENDED | REG_NOSUB | (ignore_case ? REG_ICASE : 0)) != 0) {
        return CLM_PATTERN_UNKNOWN;
    }
    hit = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return hit ? CLM_PATTERN_YES : CLM_PATTERN_NO;
}
