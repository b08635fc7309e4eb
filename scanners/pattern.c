/* SPDX-License-Identifier: Apache-2.0 */
#include "scanners/pattern.h"

#include <regex.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/attr.h"

#define PATTERN_MAX 1024 /* bytes of a translated expression */

/* What PCRE writes and POSIX writes otherwise; inside: between "[" and "]". NULL: no such thing. */
static const struct {
    const char *pcre;
    const char *posix;
    const char *inside;
} spellings[] = {
    {"(?:", "(", NULL},
    {"\\d", "[0-9]", "0-9"},
    {"\\w", "[[:alnum:]_]", "[:alnum:]_"},
    {"\\/", "/", "/"},
    {"\\s", "[[:space:]]", "[:space:]"},
    {"\\-", "[-]", NULL},
    {"\\_", "_", "_"},
    {"*?", "*", NULL},
    {"+?", "+", NULL},
    {"\\A", "^", NULL},
    {"\\z", "$", NULL},
    {"\\Z", "$", NULL},
    {"\\.", "[.]", "."},
};

/* The spelling that begins text; NULL if it is the same in both. */
static const char *respell(const char *text, bool inside, size_t *out_step)
{
    for (size_t i = 0; i < CLM_ARRAY_LEN(spellings); i++) {
        const char *posix = inside ? spellings[i].inside : spellings[i].posix;
        size_t n = strlen(spellings[i].pcre);

        if (posix != NULL && strncmp(text, spellings[i].pcre, n) == 0) {
            *out_step = n;
            return posix;
        }
    }
    if (inside && strncmp(text, "\\-]", 3) == 0) {
        *out_step = 2;
        return "-"; /* at the end it stands for itself */
    }
    return NULL;
}

/* False if it does not fit or has something POSIX lacks. */
static bool translate(const char *from, char *dst, size_t size)
{
    bool inside = false;
    size_t len = 0;

    while (*from != '\0') {
        char one[3] = {from[0], '\0', '\0'};
        size_t step = 1;
        const char *text = respell(from, inside, &step);

        if (text == NULL) {
            if ((!inside && strncmp(from, "(?", 2) == 0) || (inside && from[0] == '\\')) {
                return false;
            }
            text = one;
            if (from[0] == '\\' && from[1] != '\0') {
                one[1] = from[1];
                step = 2;
            } else if (from[0] == '[' || from[0] == ']') {
                inside = from[0] == '[';
            }
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
