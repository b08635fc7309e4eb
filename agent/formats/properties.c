/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/formats/properties.h"

#include <string.h>

#define KEY_MAX 1024 /* a longer key is cut: no name that is asked for is that long */

struct cursor {
    const unsigned char *at;
    const unsigned char *end;
};

static bool is_blank(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\f';
}

static bool is_newline(unsigned char c)
{
    return c == '\n' || c == '\r';
}

static void skip_blanks(struct cursor *c)
{
    while (c->at < c->end && is_blank(*c->at)) {
        c->at++;
    }
}

/* A backslash before a line's end joins the next line, without the blanks it begins with; one that
 * ends the file is nothing. */
static bool skip_joint(struct cursor *c)
{
    if (c->end - c->at == 1 && c->at[0] == '\\') {
        c->at++;
        return true;
    }
    if (c->end - c->at < 2 || c->at[0] != '\\' || !is_newline(c->at[1])) {
        return false;
    }
    c->at += c->at[1] == '\r' && c->end - c->at > 2 && c->at[2] == '\n' ? 3 : 2;
    skip_blanks(c);
    return true;
}

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four digits behind "\u"; false if they are none, and nothing is consumed. */
static bool take_unit(struct cursor *c, uint32_t *out)
{
    uint32_t value = 0;

    if (c->end - c->at < 6 || c->at[0] != '\\' || c->at[1] != 'u') {
        return false;
    }
    for (int i = 2; i < 6; i++) {
        int digit = hex_digit(c->at[i]);

        if (digit < 0) {
            return false;
        }
        value = value << 4 | (uint32_t)digit;
    }
    *out = value;
    c->at += 6;
    return true;
}

/* One character of a key or value; is_escaped tells a literal "=" from one that ends a key. */
static uint32_t take(struct cursor *c, bool *is_escaped)
{
    uint32_t unit = 0;
    uint32_t low = 0;

    *is_escaped = true;
    if (take_unit(c, &unit)) {
        if (unit >= 0xd800 && unit < 0xdc00 && take_unit(c, &low)) {
            return low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((unit - 0xd800) << 10) + low - 0xdc00
                                                 : low;
        }
        return unit;
    }
    if (*c->at == '\\' && c->end - c->at > 1) {
        static const char from[] = "tnrf";
        static const char to[] = "\t\n\r\f";
        const char *known;

        c->at++;
        known = memchr(from, *c->at, sizeof(from) - 1);
        c->at++;
        return known != NULL ? (unsigned char)to[known - from] : c->at[-1];
    }
    *is_escaped = false;
    return *c->at++;
}

static enum clm_code add_point(struct clm_buf *out, uint32_t point, struct clm_err *err)
{
    unsigned char bytes[4];
    size_t n;

    if (point < 0x80) {
        bytes[0] = (unsigned char)point;
        n = 1;
    } else if (point < 0x800) {
        bytes[0] = (unsigned char)(0xc0 | point >> 6);
        n = 2;
    } else if (point < 0x10000) {
        bytes[0] = (unsigned char)(0xe0 | point >> 12);
        n = 3;
    } else {
        bytes[0] = (unsigned char)(0xf0 | point >> 18);
        n = 4;
    }
    for (size_t i = 1; i < n; i++) {
        bytes[i] = (unsigned char)(0x80 | (point >> (6 * (n - 1 - i)) & 0x3f));
    }
    return clm_buf_add(out, bytes, n, err);
}

/* To the first '=', ':' or blank that is not escaped, or the end of the line. */
static void take_key(struct cursor *c, char *key)
{
    size_t len = 0;

    while (c->at < c->end && !is_newline(*c->at)) {
        const unsigned char *before = c->at;
        bool is_escaped;
        uint32_t point;

        if (skip_joint(c)) {
            continue;
        }
        point = take(c, &is_escaped);
        if (!is_escaped && (point == '=' || point == ':' || is_blank((unsigned char)point))) {
            c->at = before;
            break;
        }
        if (point >= 0x80) {
            point = '?'; /* in no name that is asked for */
        }
        if (len < KEY_MAX - 1) {
            key[len++] = (char)point;
        }
    }
    key[len] = '\0';
    skip_blanks(c);
    if (c->at < c->end && (*c->at == '=' || *c->at == ':')) {
        c->at++;
        skip_blanks(c);
    }
}

static enum clm_code take_value(struct cursor *c, struct clm_buf *out, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    while (c->at < c->end && !is_newline(*c->at) && code == CLM_OK) {
        bool is_escaped;

        if (!skip_joint(c)) {
            uint32_t point = take(c, &is_escaped);

            code = out == NULL ? CLM_OK : add_point(out, point, err);
        }
    }
    return code;
}

static void skip_line(struct cursor *c)
{
    while (c->at < c->end && !is_newline(*c->at)) {
        c->at++;
    }
}

enum clm_code clm_properties_find(const void *text, size_t len, const char *name,
                                  struct clm_buf *value, bool *found, struct clm_err *err)
{
    struct cursor c = {.at = text};
    enum clm_code code = CLM_OK;

    *found = false;
    clm_buf_reset(value);
    if (len == 0) {
        return CLM_OK;
    }
    c.end = c.at + len;
    while (c.at < c.end && code == CLM_OK) {
        char key[KEY_MAX];
        bool is_it;

        skip_blanks(&c);
        if (c.at == c.end) {
            break;
        }
        if (is_newline(*c.at)) {
            c.at++;
            continue;
        }
        if (*c.at == '#' || *c.at == '!') {
            skip_line(&c);
            continue;
        }
        if (skip_joint(&c)) {
            continue;
        }
        take_key(&c, key);
        is_it = strcmp(key, name) == 0;
        if (is_it) {
            *found = true;
            clm_buf_reset(value);
        }
        code = take_value(&c, is_it ? value : NULL, err);
    }
    return code;
}
