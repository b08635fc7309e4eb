/* SPDX-License-Identifier: Apache-2.0 */
/* Edits of an XML file that leave all other bytes alone. */
#include <stdlib.h>
#include <string.h>

#include "agent/base/buf.h"
#include "agent/base/str.h"
#include "agent/formats/xml.h"

#define EDIT_MAX   ((size_t)64 * 1024)
#define INDENT_MAX 256u
#define STEP       "    "

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Appends a value so that every accepted encoding can hold it. */
static enum clm_code add_escaped(struct clm_buf *out, const char *value, char quote,
                                 struct clm_err *err)
{
    size_t len = strlen(value);
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < len && code == CLM_OK;) {
        size_t n = clm_str_utf8_len(value + i, len - i);
        unsigned char c = (unsigned char)value[i];

        if (n == 0 || c < 0x20 || c == 0x7f) {
            return clm_err_set(err, CLM_E_INVAL,
                               "a value for XML holds a control character or "
                               "bytes that are not UTF-8");
        }
        if (n > 1) {
            uint32_t point = (uint32_t)c & (0x7fu >> n);

            for (size_t k = 1; k < n; k++) {
                point = (point << 6) | ((unsigned char)value[i + k] & 0x3fu);
            }
            code = clm_buf_addf(out, err, "&#x%X;", (unsigned)point);
        } else if (c == '&' || c == '<' || c == '>' || c == (unsigned char)quote) {
            code = clm_buf_addf(out, err, "&#x%X;", c);
        } else {
            code = clm_buf_add(out, value + i, 1, err);
        }
        i += n;
    }
    return code;
}

static enum clm_code add_pair(struct clm_buf *out, const char *name, const char *value,
                              struct clm_err *err)
{
    enum clm_code code = clm_buf_addf(out, err, " %s=\"", name);

    if (code == CLM_OK) {
        code = add_escaped(out, value, '"', err);
    }
    return code == CLM_OK ? clm_buf_add_str(out, "\"", err) : code;
}

static enum clm_code finish(struct clm_buf *text, uint64_t offset, uint64_t len,
                            struct clm_text_edit *out, struct clm_err *err)
{
    out->text = strdup(clm_buf_str(text));
    if (out->text == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "edit");
    }
    out->offset = offset;
    out->len = len;
    return CLM_OK;
}

static enum clm_code check_editable(const struct clm_xml_node *node, bool can_edit,
                                    struct clm_err *err)
{
    return can_edit ? CLM_OK
                    : clm_err_set(err, CLM_E_UNSUPPORTED,
                                  "element '%s' at line %u comes from an entity: it cannot be "
                                  "edited in place",
                                  node->name, node->line);
}

enum clm_code clm_xml_set(const struct clm_xml_node *node, const char *name, const char *value,
                          struct clm_text_edit *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(EDIT_MAX);
    const struct clm_xml_attr *attr = clm_xml_attr(node, name);
    enum clm_code code =
        check_editable(node, node->can_edit && (attr == NULL || attr->can_edit), err);

    if (code != CLM_OK) {
        return code;
    }
    if (attr == NULL) {
        code = add_pair(&text, name, value, err);
        return code == CLM_OK ? finish(&text, node->attrs_end, 0, out, err) : code;
    }
    code = add_escaped(&text, value, attr->quote, err);
    return code == CLM_OK ? finish(&text, attr->offset, attr->len, out, err) : code;
}

/* The white space that stands before offset on its line; if anything else does, only the white
 * space the line begins with. */
static enum clm_code add_indent(const struct clm_xml *xml, uint64_t offset, struct clm_buf *out,
                                struct clm_err *err)
{
    uint64_t from = offset;
    uint64_t end;

    while (from > 0 && xml->text[from - 1] != '\n') {
        from--;
    }
    for (end = from; end < offset && (xml->text[end] == ' ' || xml->text[end] == '\t') &&
                     end - from < INDENT_MAX;) {
        end++;
    }
    return clm_buf_add(out, xml->text + from, end - from, err);
}

/* newline, indentation, "<name a="b"/>" */
static enum clm_code add_element(const struct clm_xml *xml, const struct clm_xml_node *node,
                                 const char *name, const char *const *attrs, struct clm_buf *out,
                                 struct clm_err *err)
{
    bool beside = node->last != NULL && node->last->can_edit;
    enum clm_code code = clm_buf_add_str(out, xml->newline, err);

    if (code == CLM_OK) {
        code = add_indent(xml, beside ? node->last->offset : node->offset, out, err);
    }
    if (code == CLM_OK && !beside) {
        code = clm_buf_add_str(out, STEP, err);
    }
    if (code == CLM_OK) {
        code = clm_buf_addf(out, err, "<%s", name);
    }
    for (size_t i = 0; code == CLM_OK && attrs[i] != NULL; i += 2) {
        code = add_pair(out, attrs[i], attrs[i + 1], err);
    }
    return code == CLM_OK ? clm_buf_add_str(out, "/>", err) : code;
}

/* With the name's own bytes: the file may not be in UTF-8. */
static enum clm_code add_end_tag(const struct clm_xml *xml, const struct clm_xml_node *node,
                                 struct clm_buf *out, struct clm_err *err)
{
    const char *name = xml->text + node->offset + 1;
    size_t len = 0;
    enum clm_code code = clm_buf_add_str(out, "</", err);

    while (node->offset + 1 + len < node->attrs_end && !is_space(name[len])) {
        len++;
    }
    if (code == CLM_OK) {
        code = clm_buf_add(out, name, len, err);
    }
    return code == CLM_OK ? clm_buf_add_str(out, ">", err) : code;
}

/* Where the white space before the end tag begins: it goes on to indent the end tag. */
static uint64_t before_close(const struct clm_xml *xml, const struct clm_xml_node *node)
{
    uint64_t at = node->close;

    while (at > node->tag_end && is_space(xml->text[at - 1])) {
        at--;
    }
    return at;
}

enum clm_code clm_xml_add(const struct clm_xml *xml, const struct clm_xml_node *node,
                          const char *name, const char *const *attrs, struct clm_text_edit *out,
                          struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(EDIT_MAX);
    uint64_t at = node->is_empty ? node->attrs_end : before_close(xml, node);
    bool on_one_line = !node->is_empty && memchr(xml->text + at, '\n', node->close - at) == NULL;
    enum clm_code code = check_editable(node, node->can_edit, err);

    if (code == CLM_OK && node->is_empty) {
        code = clm_buf_add_str(&text, ">", err);
    }
    if (code == CLM_OK) {
        code = add_element(xml, node, name, attrs, &text, err);
    }
    if (code == CLM_OK && (node->is_empty || on_one_line)) {
        code = clm_buf_add_str(&text, xml->newline, err);
        if (code == CLM_OK) {
            code = add_indent(xml, node->offset, &text, err);
        }
    }
    if (code == CLM_OK && node->is_empty) {
        code = add_end_tag(xml, node, &text, err);
    }
    return code == CLM_OK ? finish(&text, at, node->is_empty ? node->tag_end - at : 0, out, err)
                          : code;
}
