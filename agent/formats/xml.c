/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expat tells where a tag begins and how long it is, but not where its attributes stand. It has
 * checked the tag, so a plain scan of its bytes finds them: in the encodings that are accepted,
 * quotes and white space are the bytes of ASCII. What comes out of an entity has the position of
 * the reference, where the text has '&' instead of '<': so it is known that it cannot be edited.
 */
#include "agent/formats/xml.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <expat.h>

#define AMPLIFICATION_MAX   8.0f /* output of entities for one byte of the file */
#define AMPLIFICATION_AFTER ((unsigned long long)CLM_XML_MAX) /* bytes from which it counts */

/* Values may be passwords: whatever expat gives back is wiped first. */
static void wipe_free(void *block)
{
    if (block != NULL) {
        explicit_bzero(block, malloc_usable_size(block));
        free(block);
    }
}

static void *wipe_realloc(void *block, size_t size)
{
    size_t old = block == NULL ? 0 : malloc_usable_size(block);
    void *moved = malloc(size);

    if (moved != NULL && block != NULL) {
        memcpy(moved, block, old < size ? old : size);
        wipe_free(block);
    }
    return moved;
}

struct reader {
    XML_Parser parser;
    struct clm_xml *xml;
    struct clm_xml_node *open; /* innermost element */
    size_t depth;
    size_t nodes;
    size_t attrs;
    size_t entities;
    enum clm_code code; /* why we stopped */
    struct clm_err why;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void stop(struct reader *reader, enum clm_code code, const char *what)
{
    if (reader->code == CLM_OK) {
        reader->code = clm_err_set(&reader->why, code, "line %lu: %s",
                                   (unsigned long)XML_GetCurrentLineNumber(reader->parser), what);
    }
    (void)XML_StopParser(reader->parser, XML_FALSE);
}

/* Behind the name that stands at from. */
static uint64_t skip_name(const char *text, uint64_t from, uint64_t end)
{
    while (from < end && !is_space(text[from]) && strchr("=/>", text[from]) == NULL) {
        from++;
    }
    return from;
}

static uint64_t skip_space(const char *text, uint64_t from, uint64_t end)
{
    while (from < end && is_space(text[from])) {
        from++;
    }
    return from;
}

/* Attribute `guess` mostly is it: they stand in the order in which expat names them. */
static struct clm_xml_attr *attr_named(const struct clm_xml_node *node, size_t guess,
                                       const char *name, size_t len)
{
    for (size_t i = 0; i < node->n_attrs; i++) {
        struct clm_xml_attr *attr = &node->attrs[(guess + i) % node->n_attrs];

        if (strncmp(attr->name, name, len) == 0 && attr->name[len] == '\0') {
            return attr;
        }
    }
    return NULL;
}

/* Finds the attributes in the bytes of a start tag that expat found well-formed. */
static void locate(const struct clm_xml *xml, struct clm_xml_node *node)
{
    const char *text = xml->text;
    uint64_t end = node->tag_end - 1; /* '>' */
    uint64_t at = skip_name(text, node->offset + 1, end);

    node->attrs_end = at;
    for (size_t nth = 0;; nth++) {
        uint64_t name = skip_space(text, at, end);
        uint64_t name_end = skip_name(text, name, end);
        struct clm_xml_attr *attr;
        const char *close;

        at = skip_space(text, name_end, end) + 1; /* '=' */
        at = skip_space(text, at, end);
        close =
            name == name_end || at >= end ? NULL : memchr(text + at + 1, text[at], end - at - 1);
        if (close == NULL) {
            return;
        }
        attr = attr_named(node, nth, text + name, name_end - name);
        if (attr != NULL) {
            attr->offset = at + 1;
            attr->len = (uint64_t)(close - text) - attr->offset;
            attr->quote = text[at];
            attr->can_edit = true;
        }
        at = (uint64_t)(close - text) + 1;
        node->attrs_end = at;
    }
}

static bool copy_attrs(struct reader *reader, struct clm_xml_node *node, const XML_Char **attrs)
{
    size_t n = 0;

    while (attrs[2 * n] != NULL) {
        n++;
    }
    reader->attrs += n;
    if (n > CLM_XML_ATTRS_MAX || reader->attrs > CLM_XML_ALL_ATTRS_MAX) {
        stop(reader, CLM_E_LIMIT,
             n > CLM_XML_ATTRS_MAX ? "an element has too many attributes" : "too many attributes");
        return false;
    }
    node->attrs = calloc(n + 1, sizeof(*node->attrs));
    if (node->attrs == NULL) {
        return false;
    }
    for (; node->n_attrs < n; node->n_attrs++) {
        struct clm_xml_attr *attr = &node->attrs[node->n_attrs];

        attr->name = strdup(attrs[2 * node->n_attrs]);
        attr->value = strdup(attrs[2 * node->n_attrs + 1]);
        if (attr->name == NULL || attr->value == NULL) {
            node->n_attrs++; /* freed with the node */
            return false;
        }
    }
    return true;
}

static struct clm_xml_node *new_node(struct reader *reader, const XML_Char *name,
                                     const XML_Char **attrs)
{
    struct clm_xml_node *node = calloc(1, sizeof(*node));

    if (node == NULL) {
        return NULL;
    }
    node->older = reader->xml->newest;
    reader->xml->newest = node;
    node->parent = reader->open;
    node->name = strdup(name);
    return node->name != NULL && copy_attrs(reader, node, attrs) ? node : NULL;
}

static void link_node(struct reader *reader, struct clm_xml_node *node)
{
    if (node->parent == NULL) {
        reader->xml->root = node;
    } else if (node->parent->last == NULL) {
        node->parent->first = node;
        node->parent->last = node;
    } else {
        node->parent->last->next = node;
        node->parent->last = node;
    }
}

static void XMLCALL on_start(void *arg, const XML_Char *name, const XML_Char **attrs)
{
    struct reader *reader = arg;
    const struct clm_xml *xml = reader->xml;
    XML_Index offset = XML_GetCurrentByteIndex(reader->parser);
    int count = XML_GetCurrentByteCount(reader->parser);
    struct clm_xml_node *node;

    if (++reader->depth > CLM_XML_DEPTH_MAX) {
        stop(reader, CLM_E_LIMIT, "elements are nested too deep");
        return;
    }
    if (++reader->nodes > CLM_XML_NODES_MAX) {
        stop(reader, CLM_E_LIMIT, "too many elements");
        return;
    }
    node = new_node(reader, name, attrs);
    if (node == NULL) {
        stop(reader, CLM_E_NOMEM, "element");
        return;
    }
    node->line = (unsigned)XML_GetCurrentLineNumber(reader->parser);
    if (offset >= 0 && count > 2 && (size_t)offset + (size_t)count <= xml->len &&
        xml->text[offset] == '<' && xml->text[offset + count - 1] == '>') {
        node->can_edit = true;
        node->offset = (uint64_t)offset;
        node->tag_end = (uint64_t)offset + (uint64_t)count;
        node->is_empty = xml->text[node->tag_end - 2] == '/';
        locate(xml, node);
    }
    link_node(reader, node);
    reader->open = node;
}

static void XMLCALL on_end(void *arg, const XML_Char *name)
{
    struct reader *reader = arg;
    XML_Index offset = XML_GetCurrentByteIndex(reader->parser);

    (void)name;
    if (reader->code != CLM_OK) {
        return; /* of an element that on_start() did not take */
    }
    reader->open->close =
        reader->open->is_empty || offset < 0 ? reader->open->tag_end : (uint64_t)offset;
    reader->open = reader->open->parent;
    reader->depth--;
}

static void XMLCALL on_text(void *arg, const XML_Char *text, int len)
{
    struct reader *reader = arg;
    struct clm_xml_node *node = reader->open;
    size_t had = node->text == NULL ? 0 : strlen(node->text);
    char *grown;

    if (had + (size_t)len > CLM_XML_TEXT_MAX || (had == 0 && is_space(text[0]) && len == 1)) {
        return; /* a line's end is handed over alone: most elements have nothing else */
    }
    grown = wipe_realloc(node->text, had + (size_t)len + 1);
    if (grown == NULL) {
        stop(reader, CLM_E_NOMEM, "text");
        return;
    }
    memcpy(grown + had, text, (size_t)len);
    grown[had + (size_t)len] = '\0';
    node->text = grown;
}

static void note_external(struct reader *reader, const char *kind, const char *name,
                          const char *where)
{
    if (reader->xml->external[0] == '\0') {
        (void)snprintf(reader->xml->external, sizeof(reader->xml->external),
                       "%s '%.60s' is read from '%.150s'", kind, name, where);
    }
}

static void XMLCALL on_doctype(void *arg, const XML_Char *name, const XML_Char *system_id,
                               const XML_Char *public_id, int has_subset)
{
    (void)public_id;
    (void)has_subset;
    if (system_id != NULL) {
        note_external(arg, "the document type", name, system_id);
    }
}

/* NOLINTNEXTLINE(readability-function-size): the signature is expat's */
static void XMLCALL on_entity(void *arg, const XML_Char *name, int is_parameter,
                              const XML_Char *value, int value_len, const XML_Char *base,
                              const XML_Char *system_id, const XML_Char *public_id,
                              const XML_Char *notation)
{
    struct reader *reader = arg;

    (void)base;
    (void)public_id;
    (void)notation;
    if (is_parameter) {
        stop(reader, CLM_E_UNSUPPORTED, "parameter entities are not read");
    } else if (++reader->entities > CLM_XML_ENTITIES_MAX) {
        stop(reader, CLM_E_LIMIT, "too many entities");
    } else if (value == NULL) {
        note_external(reader, "the entity", name, system_id != NULL ? system_id : "elsewhere");
    } else if ((size_t)value_len > CLM_XML_ENTITY_MAX) {
        stop(reader, CLM_E_LIMIT, "an entity is too long");
    } else if (memchr(value, '&', (size_t)value_len) != NULL ||
               memchr(value, '%', (size_t)value_len) != NULL) {
        stop(reader, CLM_E_UNSUPPORTED, "an entity holds other entities");
    }
}

/* Never fetched; expat goes on as if the entity were empty. */
static int XMLCALL on_external(XML_Parser parser, const XML_Char *context, const XML_Char *base,
                               const XML_Char *system_id, const XML_Char *public_id)
{
    (void)parser;
    (void)context;
    (void)base;
    (void)system_id;
    (void)public_id;
    return XML_STATUS_OK;
}

static void XMLCALL on_declaration(void *arg, const XML_Char *version, const XML_Char *encoding,
                                   int standalone)
{
    struct reader *reader = arg;

    (void)version;
    (void)standalone;
    if (encoding != NULL && strcasecmp(encoding, "UTF-8") != 0 &&
        strcasecmp(encoding, "ISO-8859-1") != 0 && strcasecmp(encoding, "US-ASCII") != 0) {
        stop(reader, CLM_E_UNSUPPORTED,
             "its encoding is none of UTF-8, ISO-8859-1 and US-ASCII: convert the file to UTF-8");
    }
}

static enum clm_code check_start(const char *text, size_t len, struct clm_err *err)
{
    if (len == 0) {
        return clm_err_set(err, CLM_E_PARSE, "the file is empty");
    }
    if (len > CLM_XML_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "more than %zu bytes of XML", CLM_XML_MAX);
    }
    if (memchr(text, '\0', len) != NULL) { /* every UTF-16 file has them */
        return clm_err_set(err, CLM_E_UNSUPPORTED,
                           "zero bytes: no text, or UTF-16: convert the file to UTF-8");
    }
    return CLM_OK;
}

static void set_handlers(struct reader *reader)
{
    XML_Parser parser = reader->parser;

    XML_SetUserData(parser, reader);
    XML_SetElementHandler(parser, on_start, on_end);
    XML_SetCharacterDataHandler(parser, on_text);
    XML_SetXmlDeclHandler(parser, on_declaration);
    XML_SetStartDoctypeDeclHandler(parser, on_doctype);
    XML_SetEntityDeclHandler(parser, on_entity);
    XML_SetExternalEntityRefHandler(parser, on_external);
    (void)XML_SetParamEntityParsing(parser, XML_PARAM_ENTITY_PARSING_NEVER);
#if defined(XML_DTD) || (defined(XML_GE) && XML_GE == 1)
    (void)XML_SetBillionLaughsAttackProtectionMaximumAmplification(parser, AMPLIFICATION_MAX);
    (void)XML_SetBillionLaughsAttackProtectionActivationThreshold(parser, AMPLIFICATION_AFTER);
#endif
}

enum clm_code clm_xml_parse(const void *text, size_t len, struct clm_xml *out, struct clm_err *err)
{
    static const XML_Memory_Handling_Suite memory = {malloc, wipe_realloc, wipe_free};
    struct reader reader = {.xml = out};
    const char *nl;
    enum clm_code code = check_start(text, len, err);

    if (code != CLM_OK) {
        return code;
    }
    out->text = text;
    out->len = len;
    nl = memchr(text, '\n', len);
    out->newline = nl != NULL && nl > out->text && nl[-1] == '\r' ? "\r\n" : "\n";
    reader.parser = XML_ParserCreate_MM(NULL, &memory, NULL);
    if (reader.parser == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "XML parser");
    }
    set_handlers(&reader);
    if (XML_Parse(reader.parser, text, (int)len, XML_TRUE) != XML_STATUS_OK) {
        enum XML_Error what = XML_GetErrorCode(reader.parser);

        if (reader.code != CLM_OK) {
            code = clm_err_set(err, reader.code, "%s", reader.why.msg);
        } else {
            code = clm_err_set(
                err, what == XML_ERROR_NO_MEMORY ? CLM_E_NOMEM : CLM_E_PARSE,
                "line %lu, column %lu: %s", (unsigned long)XML_GetCurrentLineNumber(reader.parser),
                (unsigned long)XML_GetCurrentColumnNumber(reader.parser), XML_ErrorString(what));
        }
    }
    XML_ParserFree(reader.parser);
    return code;
}

void clm_xml_done(struct clm_xml *xml)
{
    while (xml->newest != NULL) {
        struct clm_xml_node *node = xml->newest;

        xml->newest = node->older;
        for (size_t i = 0; i < node->n_attrs; i++) {
            wipe_free(node->attrs[i].name);
            wipe_free(node->attrs[i].value);
        }
        free(node->attrs);
        wipe_free(node->text);
        free(node->name);
        free(node);
    }
    *xml = (struct clm_xml){.root = NULL};
}

const struct clm_xml_attr *clm_xml_attr(const struct clm_xml_node *node, const char *name)
{
    return attr_named(node, 0, name, strlen(name));
}

const char *clm_xml_value(const struct clm_xml_node *node, const char *name)
{
    const struct clm_xml_attr *attr = clm_xml_attr(node, name);

    return attr == NULL ? NULL : attr->value;
}

const struct clm_xml_node *clm_xml_child(const struct clm_xml_node *node, const char *name,
                                         const struct clm_xml_node *after)
{
    const struct clm_xml_node *child = after != NULL ? after->next : node->first;

    while (child != NULL && strcmp(child->name, name) != 0) {
        child = child->next;
    }
    return child;
}
