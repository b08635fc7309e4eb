/* SPDX-License-Identifier: Apache-2.0 */
/* JSON, YAML, properties, headers: text of limited size. */
#include <string.h>

#include "agent/base/json.h"
#include "agent/formats/properties.h"
#include "agent/net/http.h"
#include "agent/net/http_header.h"
#include "config/yaml.h"
#include "tests/faults/limits/limits.h"

#define JSON_SIZE CLM_JSON_TEXT_MAX
#define YAML_SIZE CLM_YAML_TEXT_MAX

/* ---- parsers ---- */

static enum clm_code json(const uint8_t *data, size_t len, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;

    return clm_json_parse((const char *)data, len, CLM_JSON_TEXT_MAX, &root, err);
}

static enum clm_code json_again(const uint8_t *data, size_t len, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT((size_t)8 * CLM_JSON_TEXT_MAX);
    enum clm_code code = clm_json_parse((const char *)data, len, CLM_JSON_TEXT_MAX, &root, err);

    return code == CLM_OK ? clm_json_print(root, true, &out, err) : code;
}

static enum clm_code yaml(const uint8_t *data, size_t len, struct clm_err *err)
{
    CLM_CLEANUP(clm_yaml_free_p) struct clm_yaml *root = NULL;

    return clm_yaml_parse("f", (const char *)data, len, &root, err);
}

static enum clm_code properties(const uint8_t *data, size_t len, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf value = CLM_BUF_INIT(65536);
    bool found = false;

    return clm_properties_find(data, len, "tls.dir", &value, &found, err);
}

static enum clm_code headers(const uint8_t *data, size_t len, struct clm_err *err)
{
    struct clm_http_response response = {.status = 0};
    enum clm_code code = CLM_OK;

    while (len > 0 && code == CLM_OK) {
        const uint8_t *end = memchr(data, '\n', len);
        size_t n = end == NULL ? len : (size_t)(end - data) + 1;

        code = clm_http_header_line(&response, (const char *)data, n, err);
        data += n;
        len -= n;
    }
    return code;
}

/* ---- shapes ---- */

#define FLOOD(name, text)                                                                          \
    static void name(struct clm_buf *out, size_t size)                                             \
    {                                                                                              \
        put_flood(out, text, size);                                                                \
    }
#define COUNTED(name, begin, fmt, end)                                                             \
    static void name(struct clm_buf *out, size_t size)                                             \
    {                                                                                              \
        put(out, begin);                                                                           \
        put_counted(out, fmt, size - 64);                                                          \
        put(out, end);                                                                             \
    }
#define WRAPPED(name, begin, text, end)                                                            \
    static void name(struct clm_buf *out, size_t size)                                             \
    {                                                                                              \
        put(out, begin);                                                                           \
        put_flood(out, text, size - sizeof(end));                                                  \
        put(out, end);                                                                             \
    }

FLOOD(brackets, "[")
FLOOD(braces, "{\"a\":")
FLOOD(mixed, "[{\"\":")
FLOOD(blanks, " ")
FLOOD(newlines, "\n")
FLOOD(digits, "9")
WRAPPED(one_text, "\"", "x", "\"")
WRAPPED(one_text_open, "\"", "x", "")
WRAPPED(escapes, "\"", "\\u00e9", "\"")
WRAPPED(pairs, "\"", "\\ud83d\\ude00", "\"")
WRAPPED(utf8, "\"", "\xf0\x9f\x98\x80", "\"")
WRAPPED(one_key, "{\"", "k", "\":0}")
WRAPPED(long_number, "[0.", "1", "]")
WRAPPED(long_exponent, "[1e-", "9", "]")
WRAPPED(late_error, "[\"", "\\n", "\"\x01]")
COUNTED(keys, "{", "\"%d\":0,", "\"z\":0}")

/* As many values as fit: arrays of 9,000 in an array. */
static void values(struct clm_buf *out, size_t size)
{
    put(out, "[");
    while (out->len + 9000 * 2 + 8 < size) {
        put(out, "[0");
        for (int i = 1; i < 9000; i++) {
            put(out, ",0");
        }
        put(out, "],");
    }
    put(out, "0]");
}

static void containers(struct clm_buf *out, size_t size)
{
    put(out, "[");
    while (out->len + 9000 * 3 + 8 < size) {
        put(out, "[{}");
        for (int i = 1; i < 9000; i++) {
            put(out, ",{}");
        }
        put(out, "],");
    }
    put(out, "0]");
}

/* Objects of 990 keys that differ only at their end. */
static void like_keys(struct clm_buf *out, size_t size)
{
    char stem[201];

    memset(stem, 'k', sizeof(stem) - 1);
    stem[sizeof(stem) - 1] = '\0';
    put(out, "{");
    for (int i = 0; i < 990 && out->len + 300 < size; i++) {
        put(out, "\"");
        put(out, stem);
        putf(out, "%d\":0,", i * 7919 % 990);
    }
    put(out, "\"z\":0}");
}

/* Doubles that are hard to read, more of them than cJSON's own digits. */
static void hard_numbers(struct clm_buf *out, size_t size)
{
    put(out, "[0");
    for (int i = 0; i < 9000 && out->len + 100 < size; i++) {
        put(out, ",2.22507385850720138309023271733240406421921598046233183055332741688720443e-308");
    }
    put(out, "]");
}

COUNTED(yaml_keys, "", "%d:\n", "z: 1\n")
COUNTED(yaml_long_keys, "", "a_key_that_is_like_all_others_for_a_long_time_%05d: 1\n", "z: 1\n")

/* As many keys as a map may have, in as many maps as fit. */
static void yaml_maps(struct clm_buf *out, size_t size)
{
    for (int map = 0; out->len + 7000 < size; map++) {
        putf(out, "m%d:\n", map);
        for (int i = 0; i < 1000; i++) {
            putf(out, " %d:\n", i);
        }
    }
}

COUNTED(yaml_flow_keys, "{", "%d: ,", "z: 1}\n")
FLOOD(yaml_items, "-\n")
FLOOD(yaml_brackets, "[")
FLOOD(yaml_dashes, "- ")
FLOOD(yaml_questions, "? ")
FLOOD(yaml_comments, "#\n")
FLOOD(yaml_anchors, "&a ")
FLOOD(yaml_tags, "!a ")
WRAPPED(yaml_flow_items, "[", "a,", "]")
WRAPPED(yaml_scalar, "a: ", "x", "\n")
WRAPPED(yaml_lines, "a: x\n", "  x\n", "\n")
WRAPPED(yaml_literal, "a: |\n", " \n", "x\n")
WRAPPED(yaml_indent, "", " ", "a: 1\n")
WRAPPED(yaml_quoted, "a: \"", "\\x41", "\"\n")
WRAPPED(yaml_colons, "a", ":", "\n")
WRAPPED(yaml_blanks_in_plain, "a: b", " \n", "c\n")

COUNTED(property_lines, "", "key%d=value\n", "")
FLOOD(property_continued, "a\\\n")
FLOOD(property_unicode, "\\u0041")
FLOOD(property_backslashes, "\\")
FLOOD(property_same_key, "tls.dir=x\n")
FLOOD(property_empty, "=\n")

COUNTED(header_lines, "HTTP/1.1 200 OK\r\n", "X-%d: y\r\n", "\r\n")
WRAPPED(header_long, "HTTP/1.1 200 OK\r\nLocation: ", "x", "\r\n")
WRAPPED(header_link, "HTTP/1.1 200 OK\r\nLink: ", "<a>;rel=\"b\",", "\r\n")
WRAPPED(header_blanks, "HTTP/1.1 200 OK\r\nRetry-After:", " ", "1\r\n")
FLOOD(header_starts, "HTTP/1.1 200 OK\r\n")

#define JSON(shape, make, verdict)                                                                 \
    {                                                                                              \
        "json", shape, json_again, make, JSON_SIZE, verdict, 0, 0, NULL                            \
    }
#define YAML(shape, make, verdict)                                                                 \
    {                                                                                              \
        "yaml", shape, yaml, make, YAML_SIZE, verdict, 0, 0, NULL                                  \
    }
#define PROPERTIES(shape, make)                                                                    \
    {                                                                                              \
        "properties", shape, properties, make, CLM_PROPERTIES_MAX, LIMITS_ANY, 0, 0, NULL          \
    }
#define HEADER(shape, make)                                                                        \
    {                                                                                              \
        "http header", shape, headers, make, CLM_HTTP_HEADERS_MAX, LIMITS_ANY, 0, 0, NULL          \
    }

const struct limits_row limits_text_rows[] = {
    JSON("nested arrays", brackets, LIMITS_REFUSED),
    JSON("nested objects", braces, LIMITS_REFUSED),
    JSON("nested both", mixed, LIMITS_REFUSED),
    JSON("blanks", blanks, LIMITS_REFUSED),
    JSON("newlines", newlines, LIMITS_REFUSED),
    JSON("one number", digits, LIMITS_REFUSED),
    JSON("one text", one_text, LIMITS_READ),
    JSON("one open text", one_text_open, LIMITS_REFUSED),
    JSON("escapes", escapes, LIMITS_READ),
    JSON("surrogate pairs", pairs, LIMITS_READ),
    JSON("long characters", utf8, LIMITS_READ),
    JSON("one key", one_key, LIMITS_READ),
    JSON("many decimals", long_number, LIMITS_READ),
    JSON("many digits of an exponent", long_exponent, LIMITS_READ),
    JSON("error at the end", late_error, LIMITS_REFUSED),
    JSON("more keys than allowed", keys, LIMITS_REFUSED),
    JSON("as many numbers as fit", values, LIMITS_READ),
    JSON("as many objects as fit", containers, LIMITS_READ),
    JSON("keys that are alike", like_keys, LIMITS_READ),
    JSON("numbers that are hard to read", hard_numbers, LIMITS_READ),
    {"json", "far too long", json, one_text, (size_t)4 * JSON_SIZE, LIMITS_REFUSED, 0, 0, NULL},
    YAML("keys", yaml_keys, LIMITS_REFUSED),
    YAML("long keys", yaml_long_keys, LIMITS_REFUSED),
    YAML("keys in braces", yaml_flow_keys, LIMITS_REFUSED),
    YAML("maps of many keys", yaml_maps, LIMITS_READ),
    YAML("items", yaml_items, LIMITS_READ),
    YAML("nested brackets", yaml_brackets, LIMITS_REFUSED),
    YAML("nested items", yaml_dashes, LIMITS_REFUSED),
    YAML("nested keys", yaml_questions, LIMITS_REFUSED),
    YAML("comments", yaml_comments, LIMITS_READ),
    YAML("anchors", yaml_anchors, LIMITS_REFUSED),
    YAML("tags", yaml_tags, LIMITS_REFUSED),
    YAML("items in brackets", yaml_flow_items, LIMITS_READ),
    YAML("one text", yaml_scalar, LIMITS_REFUSED),
    YAML("lines of a text", yaml_lines, LIMITS_REFUSED),
    YAML("literal text", yaml_literal, LIMITS_REFUSED),
    YAML("indentation", yaml_indent, LIMITS_ANY),
    YAML("escapes", yaml_quoted, LIMITS_REFUSED),
    YAML("colons", yaml_colons, LIMITS_ANY),
    YAML("blank lines in a text", yaml_blanks_in_plain, LIMITS_ANY),
    PROPERTIES("lines", property_lines),
    PROPERTIES("one line, continued", property_continued),
    PROPERTIES("escapes", property_unicode),
    PROPERTIES("backslashes", property_backslashes),
    PROPERTIES("the key that is looked for", property_same_key),
    PROPERTIES("empty keys", property_empty),
    HEADER("lines", header_lines),
    HEADER("one line", header_long),
    HEADER("links", header_link),
    HEADER("blanks", header_blanks),
    HEADER("answers", header_starts),
    {.parser = NULL},
};
