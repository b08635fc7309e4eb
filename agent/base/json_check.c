/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/json_check.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/buf.h"
#include "agent/base/json.h"
#include "agent/base/str.h"

#define EXPONENT_MAX 308 /* a double ends at 1.79e308 */

struct key {
    size_t at;   /* of its quote in the text */
    size_t from; /* of its decoded bytes in the arena */
    size_t len;
};

struct check {
    const char *text;
    size_t len;
    size_t at;
    int depth;
    struct clm_buf arena; /* decoded keys of the open objects */
    struct key *keys;     /* the same keys, innermost object last */
    size_t n_keys;
    size_t cap_keys;
    struct clm_err *err;
};

static enum clm_code value(struct check *c); /* nesting: bounded by CLM_JSON_DEPTH_MAX */

/* Lines are counted only here, so that good text costs nothing. */
static enum clm_code refuse(struct check *c, enum clm_code code, size_t at, const char *why)
{
    size_t line = 1;
    size_t start = 0;

    for (size_t i = 0; i < at && i < c->len; i++) {
        if (c->text[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    return clm_err_set(c->err, code, "line %zu column %zu: %s", line, at - start + 1, why);
}

static enum clm_code bad(struct check *c, const char *why)
{
    return refuse(c, CLM_E_PARSE, c->at, c->at >= c->len ? "unexpected end" : why);
}

/* The byte here, or NUL at the end: NUL is legal nowhere, so both are refused alike. */
static char peek(const struct check *c)
{
    if (c->at >= c->len) {
        return '\0';
    }
    return c->text[c->at];
}

static bool eat(struct check *c, char ch)
{
    if (c->at >= c->len || c->text[c->at] != ch) {
        return false;
    }
    c->at++;
    return true;
}

static void skip_space(struct check *c)
{
    while (peek(c) == ' ' || peek(c) == '\t' || peek(c) == '\r' || peek(c) == '\n') {
        c->at++;
    }
}

/* ---- strings ---- */

static bool hex4(struct check *c, uint32_t *out)
{
    uint8_t bytes[2];
    char digits[5] = {0};

    if (c->len - c->at < 4) {
        return false;
    }
    memcpy(digits, c->text + c->at, 4);
    if (clm_hex_decode(digits, bytes, sizeof(bytes), NULL) != CLM_OK) {
        return false;
    }
    *out = (uint32_t)bytes[0] << 8 | bytes[1];
    c->at += 4;
    return true;
}

static size_t utf8_encode(uint32_t rune, char dst[4])
{
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t len = rune < 0x80 ? 1 : rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;

    for (size_t i = len - 1; i > 0; i--) {
        dst[i] = (char)(0x80 | (rune & 0x3f));
        rune >>= 6;
    }
    dst[0] = (char)(lead[len] | rune);
    return len;
}

/* Behind "\u". A high surrogate must be followed by a low one. */
static enum clm_code unicode(struct check *c, uint32_t *out)
{
    size_t at = c->at - 2;
    uint32_t low = 0;

    if (!hex4(c, out)) {
        return refuse(c, CLM_E_PARSE, at, "'\\u' is not followed by four hexadecimal digits");
    }
    if (*out == 0) {
        return refuse(c, CLM_E_PARSE, at, "'\\u0000' is not allowed");
    }
    if (*out < 0xd800 || *out > 0xdfff) {
        return CLM_OK;
    }
    if (*out > 0xdbff || !eat(c, '\\') || !eat(c, 'u') || !hex4(c, &low) || low < 0xdc00 ||
        low > 0xdfff) {
        return refuse(c, CLM_E_PARSE, at, "lone surrogate");
    }
    *out = 0x10000 + ((*out - 0xd800) << 10) + (low - 0xdc00);
    return CLM_OK;
}

/* At a backslash; decodes into dst of 4 bytes. */
static enum clm_code escape(struct check *c, char dst[4], size_t *out_len)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const char *hit;
    uint32_t rune = 0;
    enum clm_code code;

    c->at++;
    if (eat(c, 'u')) {
        code = unicode(c, &rune);
        if (code == CLM_OK) {
            *out_len = utf8_encode(rune, dst);
        }
        return code;
    }
    hit = c->at < c->len ? memchr(from, c->text[c->at], sizeof(from) - 1) : NULL;
    if (hit == NULL) {
        return bad(c, "unknown escape in a string");
    }
    c->at++;
    dst[0] = to[hit - from];
    *out_len = 1;
    return CLM_OK;
}

/* One character of a string into dst of 4 bytes. */
static enum clm_code character(struct check *c, char dst[4], size_t *out_len)
{
    uint8_t byte;

    if (c->at >= c->len) {
        return bad(c, "");
    }
    byte = (uint8_t)c->text[c->at];
    if (byte == '\\') {
        return escape(c, dst, out_len);
    }
    if (byte < 0x20) {
        return bad(c, "control character in a string");
    }
    *out_len = clm_str_utf8_len(c->text + c->at, c->len - c->at);
    if (*out_len == 0) {
        return refuse(c, CLM_E_PARSE, c->at, "not UTF-8");
    }
    memcpy(dst, c->text + c->at, *out_len);
    c->at += *out_len;
    return CLM_OK;
}

/* At the opening quote. With is_key the decoded text goes to the arena. */
static enum clm_code string(struct check *c, bool is_key)
{
    c->at++;
    while (!eat(c, '"')) {
        char dst[4];
        size_t len = 0;
        enum clm_code code = character(c, dst, &len);

        if (code == CLM_OK && is_key) {
            code = clm_buf_add(&c->arena, dst, len, c->err);
        }
        if (code != CLM_OK) {
            return code;
        }
    }
    return CLM_OK;
}

/* ---- numbers ---- */

static bool is_digit(char ch)
{
    return ch >= '0' && ch <= '9';
}

/* Reads digits; *io_value keeps their value, stopping below 2^60. Returns how many there were. */
static size_t digits(struct check *c, int64_t *io_value)
{
    size_t start = c->at;

    for (; is_digit(peek(c)); c->at++) {
        if (*io_value < (1LL << 56)) {
            *io_value = *io_value * 10 + (c->text[c->at] - '0');
        }
    }
    return c->at - start;
}

/* The exponent behind 'e'; clipped, which cannot make a number finite. */
static bool exponent(struct check *c, int64_t *out)
{
    bool is_negative = peek(c) == '-';

    if (is_negative || peek(c) == '+') {
        c->at++;
    }
    if (digits(c, out) == 0) {
        return false;
    }
    *out = is_negative ? -*out : *out;
    return true;
}

/* Power of ten of the first digit that is not zero in "digits.digits"; false if all are zero. */
static bool magnitude(const char *p, size_t len, int64_t *out)
{
    const char *point = memchr(p, '.', len);
    size_t n_int = point != NULL ? (size_t)(point - p) : len;

    for (size_t i = 0; i < len; i++) {
        if (p[i] >= '1') { /* digits and a point are all there is */
            *out = i < n_int ? (int64_t)(n_int - i) - 1 : (int64_t)n_int - (int64_t)i;
            return true;
        }
    }
    return false;
}

static enum clm_code number(struct check *c)
{
    size_t start = c->at;
    size_t first;
    size_t n_mantissa;
    int64_t whole = 0;
    int64_t fraction = 0;
    int64_t power = 0;
    int64_t size = 0;
    bool is_integer = true;

    (void)eat(c, '-');
    first = c->at;
    if (digits(c, &whole) == 0) {
        return bad(c, "unexpected character");
    }
    if (c->text[first] == '0' && c->at - first > 1) {
        return refuse(c, CLM_E_PARSE, first, "leading zero in a number");
    }
    if (eat(c, '.')) {
        is_integer = false;
        if (digits(c, &fraction) == 0) {
            return bad(c, "no digit behind the decimal point");
        }
    }
    n_mantissa = c->at - first;
    if (eat(c, 'e') || eat(c, 'E')) {
        is_integer = false;
        if (!exponent(c, &power)) {
            return bad(c, "no digit in the exponent");
        }
    }
    if (is_integer && whole > CLM_JSON_INT_MAX) {
        return refuse(c, CLM_E_PARSE, start, "integer is beyond 9007199254740991");
    }
    if (magnitude(c->text + first, n_mantissa, &size) && size + power >= EXPONENT_MAX) {
        return refuse(c, CLM_E_PARSE, start, "number is too large");
    }
    return CLM_OK;
}

/* ---- containers ---- */

static enum clm_code add_key(struct check *c, size_t at, size_t from)
{
    if (c->n_keys == c->cap_keys) {
        size_t cap = c->cap_keys == 0 ? 32 : 2 * c->cap_keys;
        struct key *keys = realloc(c->keys, cap * sizeof(*keys));

        if (keys == NULL) {
            return clm_err_set(c->err, CLM_E_NOMEM, "out of memory for JSON keys");
        }
        c->keys = keys;
        c->cap_keys = cap;
    }
    c->keys[c->n_keys++] = (struct key){.at = at, .from = from, .len = c->arena.len - from};
    return CLM_OK;
}

static int compare_bytes(const uint8_t *arena, const struct key *a, const struct key *b)
{
    size_t len = a->len < b->len ? a->len : b->len;
    int order = len == 0 ? 0 : memcmp(arena + a->from, arena + b->from, len);

    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

/* Heap sort: in place, no allocation, and no input makes it slow. qsort(3) lacks the context. */
static void sift_down(const uint8_t *arena, struct key *keys, size_t root, size_t n)
{
    for (size_t child = 2 * root + 1; child < n; child = 2 * root + 1) {
        struct key swap = keys[root];

        if (child + 1 < n && compare_bytes(arena, &keys[child], &keys[child + 1]) < 0) {
            child++;
        }
        if (compare_bytes(arena, &swap, &keys[child]) >= 0) {
            return;
        }
        keys[root] = keys[child];
        keys[child] = swap;
        root = child;
    }
}

static void sort_keys(const uint8_t *arena, struct key *keys, size_t n)
{
    for (size_t i = n / 2; i > 0; i--) {
        sift_down(arena, keys, i - 1, n);
    }
    for (size_t end = n; end > 1; end--) {
        struct key last = keys[end - 1];

        keys[end - 1] = keys[0];
        keys[0] = last;
        sift_down(arena, keys, 0, end - 1);
    }
}

static enum clm_code no_duplicates(struct check *c, size_t first_key)
{
    size_t n = c->n_keys - first_key;

    if (n < 2) { /* there may be no array yet */
        return CLM_OK;
    }
    struct key *keys = c->keys + first_key;
    sort_keys(c->arena.data, keys, n);
    for (size_t i = 1; i < n; i++) {
        if (compare_bytes(c->arena.data, &keys[i - 1], &keys[i]) == 0) {
            size_t at = keys[i].at > keys[i - 1].at ? keys[i].at : keys[i - 1].at;

            return refuse(c, CLM_E_PARSE, at, "duplicate key");
        }
    }
    return CLM_OK;
}

/* Key, colon, value. */
static enum clm_code member(struct check *c)
{
    size_t at = c->at;
    size_t from = c->arena.len;
    enum clm_code code;

    if (peek(c) != '"') {
        return bad(c, "expected a key in quotes");
    }
    code = string(c, true);
    if (code == CLM_OK) {
        code = add_key(c, at, from);
    }
    if (code != CLM_OK) {
        return code;
    }
    skip_space(c);
    if (!eat(c, ':')) {
        return bad(c, "expected ':'");
    }
    return value(c);
}

/* At '{' or '['. */
static enum clm_code container(struct check *c, bool is_object)
{
    char end = is_object ? '}' : ']';
    size_t max = is_object ? CLM_JSON_MEMBERS_MAX : CLM_JSON_ELEMENTS_MAX;

    if (c->depth >= CLM_JSON_DEPTH_MAX) {
        return refuse(c, CLM_E_LIMIT, c->at, "nested too deeply");
    }
    c->depth++;
    c->at++;
    skip_space(c);
    if (eat(c, end)) {
        c->depth--;
        return CLM_OK;
    }
    for (size_t n = 0;; n++) {
        enum clm_code code;

        if (n == max) {
            return refuse(c, CLM_E_LIMIT, c->at,
                          is_object ? "more than 1000 members" : "more than 10000 elements");
        }
        skip_space(c);
        code = is_object ? member(c) : value(c);
        if (code != CLM_OK) {
            return code;
        }
        skip_space(c);
        if (eat(c, end)) {
            c->depth--;
            return CLM_OK;
        }
        if (!eat(c, ',')) {
            return bad(c, is_object ? "expected ',' or '}'" : "expected ',' or ']'");
        }
    }
}

static enum clm_code object(struct check *c)
{
    size_t first_key = c->n_keys;
    size_t arena_len = c->arena.len;
    enum clm_code code = container(c, true);

    if (code == CLM_OK) {
        code = no_duplicates(c, first_key);
    }
    c->n_keys = first_key;
    c->arena.len = arena_len;
    return code;
}

static enum clm_code literal(struct check *c, const char *word)
{
    size_t len = strlen(word);

    if (c->len - c->at < len || memcmp(c->text + c->at, word, len) != 0) {
        return refuse(c, CLM_E_PARSE, c->at, "unexpected character");
    }
    c->at += len;
    return CLM_OK;
}

static enum clm_code value(struct check *c)
{
    skip_space(c);
    switch (peek(c)) {
    case '{':
        return object(c);
    case '[':
        return container(c, false);
    case '"':
        return string(c, false);
    case 't':
        return literal(c, "true");
    case 'f':
        return literal(c, "false");
    case 'n':
        return literal(c, "null");
    default:
        return number(c);
    }
}

enum clm_code clm_json_check(const char *text, size_t len, struct clm_err *err)
{
    struct check c = {.text = text, .len = len, .arena = CLM_BUF_INIT(len), .err = err};
    enum clm_code code;

    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        return refuse(&c, CLM_E_PARSE, 0, "byte order mark");
    }
    code = value(&c);
    if (code == CLM_OK) {
        skip_space(&c);
        if (c.at < len) {
            code = refuse(&c, CLM_E_PARSE, c.at, "unexpected text behind the value");
        }
    }
    free(c.keys);
    clm_buf_done(&c.arena);
    return code;
}
