/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum clm_code clm_str_copy(char *dst, size_t size, const char *text, struct clm_err *err)
{
    size_t len = strlen(text);

    if (len >= size) {
        if (size > 0) {
            dst[0] = '\0';
        }
        return clm_err_set(err, CLM_E_LIMIT, "text of %zu bytes does not fit into %zu", len, size);
    }
    memcpy(dst, text, len + 1);
    return CLM_OK;
}

enum clm_code clm_str_fmt(char *dst, size_t size, struct clm_err *err, const char *fmt, ...)
{
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(dst, size, fmt, ap);
    va_end(ap);
    if (len < 0 || (size_t)len >= size) {
        if (size > 0) {
            dst[0] = '\0';
        }
        return clm_err_set(err, CLM_E_LIMIT, "text of %d bytes does not fit into %zu", len, size);
    }
    return CLM_OK;
}

enum clm_code clm_str_to_int(const char *text, int64_t min, int64_t max, int64_t *out_value,
                             struct clm_err *err)
{
    int64_t value = 0;

    if (*text == '\0') {
        return clm_err_set(err, CLM_E_PARSE, "number is empty");
    }
    for (const char *p = text; *p != '\0'; p++) {
        int digit = *p - '0';

        if (digit < 0 || digit > 9) {
            return clm_err_set(err, CLM_E_PARSE, "not a decimal number");
        }
        if (value > (INT64_MAX - digit) / 10) {
            return clm_err_set(err, CLM_E_PARSE, "number is not between %lld and %lld",
                               (long long)min, (long long)max);
        }
        value = value * 10 + digit;
    }
    if (value < min || value > max) {
        return clm_err_set(err, CLM_E_PARSE, "number is not between %lld and %lld", (long long)min,
                           (long long)max);
    }
    *out_value = value;
    return CLM_OK;
}

bool clm_str_starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool clm_str_ends(const char *text, const char *suffix)
{
    size_t text_len = strlen(text);
    size_t suffix_len = strlen(suffix);

    return text_len >= suffix_len && strcmp(text + text_len - suffix_len, suffix) == 0;
}

/* Only the last '*' is ever tried again, so the worst case is the product of the lengths. */
bool clm_str_glob(const char *pattern, const char *text)
{
    const char *star = NULL;
    const char *star_text = NULL;

    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            star_text = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++star_text;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

bool clm_str_is_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < 0x20 || *text > 0x7e) {
            return false;
        }
    }
    return true;
}

/* Bytes of the well-formed character at p, of which left bytes exist; 0 if it is none. */
static size_t utf8_char(const uint8_t *p, size_t left)
{
    uint8_t low = 0x80; /* range of the second byte: Unicode table 3-7 */
    uint8_t high = 0xbf;
    size_t len;

    if (p[0] < 0x80) {
        return p[0] == 0 ? 0 : 1;
    }
    if (p[0] < 0xc2 || p[0] > 0xf4) {
        return 0;
    }
    len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (left < len) {
        return 0;
    }
    switch (p[0]) {
    case 0xe0:
        low = 0xa0;
        break;
    case 0xed:
        high = 0x9f;
        break;
    case 0xf0:
        low = 0x90;
        break;
    case 0xf4:
        high = 0x8f;
        break;
    default:
        break;
    }
    if (p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return len;
}

size_t clm_str_utf8_len(const void *data, size_t len)
{
    return len == 0 ? 0 : utf8_char(data, len);
}

bool clm_str_is_steering(const void *data, size_t len)
{
    const unsigned char *p = data;

    if (len == 1) {
        return p[0] < 0x20 || p[0] == 0x7f;
    }
    if (len == 2) { /* C1; U+061C */
        return (p[0] == 0xc2 && p[1] < 0xa0) || (p[0] == 0xd8 && p[1] == 0x9c);
    }
    /* U+200E, U+200F, U+2028 and U+2029 (line, paragraph), U+202A..U+202E, U+2066..U+2069 */
    return len == 3 && p[0] == 0xe2 &&
           ((p[1] == 0x80 && (p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xa8 && p[2] <= 0xae))) ||
            (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
}

void clm_str_make_plain(char *text)
{
    size_t left = strlen(text);
    char *to = text;

    while (left > 0) {
        size_t n = clm_str_utf8_len(text, left);
        bool is_good = n > 0 && !clm_str_is_steering(text, n);

        n = n == 0 ? 1 : n;
        if (is_good) {
            memmove(to, text, n);
            to += n;
        } else {
            *to++ = '?';
        }
        text += n;
        left -= n;
    }
    *to = '\0';
}

bool clm_str_is_utf8(const void *data, size_t len)
{
    const uint8_t *p = data;
    size_t step;

    for (size_t i = 0; i < len; i += step) {
        step = utf8_char(p + i, len - i);
        if (step == 0) {
            return false;
        }
    }
    return true;
}

void clm_strs_done(struct clm_strs *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->v[i]);
    }
    free(list->v);
    *list = (struct clm_strs){0};
}

enum clm_code clm_strs_add(struct clm_strs *list, const char *text, struct clm_err *err)
{
    char **v = realloc(list->v, (list->n + 1) * sizeof(*v));

    if (v == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "out of memory for a list of strings");
    }
    list->v = v;
    v[list->n] = strdup(text);
    if (v[list->n] == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "out of memory for a list of strings");
    }
    list->n++;
    return CLM_OK;
}

enum clm_code clm_strs_add_once(struct clm_strs *list, const char *text, struct clm_err *err)
{
    return clm_strs_has(list, text) ? CLM_OK : clm_strs_add(list, text, err);
}

bool clm_strs_has(const struct clm_strs *list, const char *text)
{
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->v[i], text) == 0) {
            return true;
        }
    }
    return false;
}

enum clm_code clm_strs_copy(struct clm_strs *dst, const struct clm_strs *src, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs copy = {0};

    for (size_t i = 0; i < src->n; i++) {
        enum clm_code code = clm_strs_add(&copy, src->v[i], err);

        if (code != CLM_OK) {
            return code;
        }
    }
    clm_strs_done(dst);
    *dst = copy;
    copy = (struct clm_strs){0};
    return CLM_OK;
}
