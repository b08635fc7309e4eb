/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Built on libyaml's events, not on its documents: depth and everything refused is seen while the
 * text is still being read, so a file of nothing but '[' ends after sixteen of them.
 */
#include "config/yaml.h"

#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "agent/base/crc32c.h"
#include "agent/base/str.h"
#include "config/yaml_node.h"

struct reader {
    yaml_parser_t parser;
    const char *name;
    struct clm_yaml *root;
    struct clm_yaml *open[CLM_YAML_DEPTH_MAX]; /* maps and lists that are not ended */
    size_t depth;
    size_t documents;
    char *key; /* of the entry that comes next in the innermost map */
    uint32_t key_hash;
    size_t key_line;
    size_t key_column;
};

static const char no_anchors[] =
    "anchors and aliases ('&', '*') are not allowed; put quotes around a "
    "value that starts with '*'";

static enum clm_code refuse(const struct reader *reader, yaml_mark_t mark, const char *why,
                            struct clm_err *err)
{
    return clm_err_set(err, CLM_E_CONFIG, "%s:%zu:%zu: %s", reader->name, mark.line + 1,
                       mark.column + 1, why);
}

static enum clm_code no_memory(struct clm_err *err)
{
    return clm_err_set(err, CLM_E_NOMEM, "configuration");
}

/* A scalar as a string of its own. Errors: CONFIG too long or with a NUL; NOMEM. */
static enum clm_code copy_scalar(const struct reader *reader, const yaml_event_t *event, char **out,
                                 struct clm_err *err)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;

    if (len > CLM_YAML_SCALAR_MAX) {
        return refuse(reader, event->start_mark, "text of more than 4096 bytes", err);
    }
    if (memchr(text, '\0', len) != NULL) {
        return refuse(reader, event->start_mark, "text with a NUL", err);
    }
    *out = malloc(len + 1);
    if (*out == NULL) {
        return no_memory(err);
    }
    memcpy(*out, text, len);
    (*out)[len] = '\0';
    return CLM_OK;
}

static enum clm_code take_key(struct reader *reader, const yaml_event_t *event, struct clm_err *err)
{
    const struct clm_yaml *map = reader->open[reader->depth - 1];
    enum clm_code code;

    if (event->type != YAML_SCALAR_EVENT) {
        return refuse(reader, event->start_mark, "a key must be a text", err);
    }
    code = copy_scalar(reader, event, &reader->key, err);
    if (code != CLM_OK) {
        return code;
    }
    reader->key_line = event->start_mark.line + 1;
    reader->key_column = event->start_mark.column + 1;
    if (strcmp(reader->key, "<<") == 0) {
        return refuse(reader, event->start_mark, "merge keys ('<<') are not allowed", err);
    }
    if (map->n_keys >= CLM_YAML_KEYS_MAX) {
        return refuse(reader, event->start_mark, "more than 1000 keys", err);
    }
    reader->key_hash = clm_crc32c(0, reader->key, strlen(reader->key));
    for (const struct clm_yaml *node = map->first; node != NULL; node = node->next) {
        if (node->key_hash == reader->key_hash && strcmp(node->key, reader->key) == 0) {
            return clm_err_set(
                err, CLM_E_CONFIG, "%s:%zu:%zu: key '%.80s' is given twice, first in line %zu",
                reader->name, reader->key_line, reader->key_column, reader->key, node->key_line);
        }
    }
    return CLM_OK;
}

/* Puts a new node where the document is; NULL without memory. */
static struct clm_yaml *add_node(struct reader *reader, const yaml_event_t *event,
                                 enum clm_yaml_kind kind)
{
    struct clm_yaml *parent = reader->depth == 0 ? NULL : reader->open[reader->depth - 1];
    struct clm_yaml *node = calloc(1, sizeof(*node));

    if (node == NULL) {
        return NULL;
    }
    node->kind = kind;
    node->line = event->start_mark.line + 1;
    node->column = event->start_mark.column + 1;
    node->key = CLM_STEAL(reader->key);
    node->key_hash = reader->key_hash;
    node->key_line = reader->key_line;
    node->key_column = reader->key_column;
    if (parent != NULL) {
        parent->n_keys++;
    }
    if (parent == NULL) {
        reader->root = node;
    } else if (parent->last == NULL) {
        parent->first = node;
        parent->last = node;
    } else {
        parent->last->next = node;
        parent->last = node;
    }
    return node;
}

static enum clm_code take_container(struct reader *reader, const yaml_event_t *event,
                                    enum clm_yaml_kind kind, struct clm_err *err)
{
    struct clm_yaml *node;

    if (reader->depth == CLM_YAML_DEPTH_MAX) {
        return refuse(reader, event->start_mark, "nested more than 16 deep", err);
    }
    node = add_node(reader, event, kind);
    if (node == NULL) {
        return no_memory(err);
    }
    reader->open[reader->depth++] = node;
    return CLM_OK;
}

static enum clm_code take_scalar(struct reader *reader, const yaml_event_t *event,
                                 struct clm_err *err)
{
    struct clm_yaml *node = add_node(reader, event, CLM_YAML_SCALAR);

    if (node == NULL) {
        return no_memory(err);
    }
    node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return copy_scalar(reader, event, &node->text, err);
}

/* What this part of YAML leaves out, seen on one event; NULL if nothing. */
static const char *left_out(const struct reader *reader, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;

    if (event->type == YAML_ALIAS_EVENT) {
        return no_anchors;
    }
    if (event->type == YAML_DOCUMENT_START_EVENT) {
        if (event->data.document_start.version_directive != NULL ||
            event->data.document_start.tag_directives.start !=
                event->data.document_start.tag_directives.end) {
            return "directives ('%') are not allowed";
        }
        return reader->documents == 0 ? NULL : "a second document is not allowed";
    }
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    }
    if (anchor != NULL) {
        return no_anchors;
    }
    return tag != NULL ? "tags ('!') are not allowed" : NULL;
}

static bool expects_key(const struct reader *reader)
{
    return reader->depth > 0 && reader->open[reader->depth - 1]->kind == CLM_YAML_MAP &&
           reader->key == NULL;
}

static enum clm_code take_event(struct reader *reader, const yaml_event_t *event,
                                struct clm_err *err)
{
    const char *why = left_out(reader, event);
    yaml_event_type_t type = event->type;

    if (why != NULL) {
        return refuse(reader, event->start_mark, why, err);
    }
    if (type == YAML_DOCUMENT_START_EVENT) {
        reader->documents++;
        return CLM_OK;
    }
    if (type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT) {
        reader->depth--;
        return CLM_OK;
    }
    if (type != YAML_SCALAR_EVENT && type != YAML_MAPPING_START_EVENT &&
        type != YAML_SEQUENCE_START_EVENT) {
        return CLM_OK;
    }
    if (expects_key(reader)) {
        return take_key(reader, event, err);
    }
    if (type == YAML_SCALAR_EVENT) {
        return take_scalar(reader, event, err);
    }
    return take_container(reader, event,
                          type == YAML_MAPPING_START_EVENT ? CLM_YAML_MAP : CLM_YAML_LIST, err);
}

static enum clm_code parser_error(const struct reader *reader, struct clm_err *err)
{
    const yaml_parser_t *parser = &reader->parser;

    if (parser->error == YAML_MEMORY_ERROR) {
        return no_memory(err);
    }
    if (parser->error == YAML_READER_ERROR) {
        return clm_err_set(err, CLM_E_CONFIG, "%s: byte %zu: %s", reader->name,
                           parser->problem_offset + 1,
                           parser->problem == NULL ? "unreadable" : parser->problem);
    }
    /* A wildcard without quotes: libyaml stumbles over the '.' of "*.example.com". */
    if (parser->context != NULL && (strcmp(parser->context, "while scanning an alias") == 0 ||
                                    strcmp(parser->context, "while scanning an anchor") == 0)) {
        return refuse(reader, parser->context_mark, no_anchors, err);
    }
    return refuse(reader, parser->problem_mark,
                  parser->problem == NULL ? "not YAML" : parser->problem, err);
}

static enum clm_code read_events(struct reader *reader, struct clm_err *err)
{
    bool is_end = false;

    while (!is_end) {
        yaml_event_t event;
        enum clm_code code;

        if (yaml_parser_parse(&reader->parser, &event) == 0) {
            return parser_error(reader, err);
        }
        is_end = event.type == YAML_STREAM_END_EVENT;
        code = take_event(reader, &event, err);
        yaml_event_delete(&event);
        if (code != CLM_OK) {
            return code;
        }
    }
    if (reader->root == NULL) {
        reader->root = calloc(1, sizeof(*reader->root));
        if (reader->root == NULL) {
            return no_memory(err);
        }
        reader->root->kind = CLM_YAML_MAP;
        reader->root->line = 1;
        reader->root->column = 1;
    }
    return CLM_OK;
}

enum clm_code clm_yaml_parse(const char *name, const char *text, size_t len, struct clm_yaml **out,
                             struct clm_err *err)
{
    struct reader reader = {.name = name};
    enum clm_code code;

    if (len > CLM_YAML_TEXT_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "%s: larger than 64 KiB", name);
    }
    if (!clm_str_is_utf8(text, len)) {
        return clm_err_set(err, CLM_E_CONFIG, "%s: is not UTF-8 text", name);
    }
    if (yaml_parser_initialize(&reader.parser) == 0) {
        return no_memory(err);
    }
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, len);
    code = read_events(&reader, err);
    yaml_parser_delete(&reader.parser);
    free(reader.key);
    if (code != CLM_OK) {
        clm_yaml_free(reader.root);
        return code;
    }
    *out = reader.root;
    return CLM_OK;
}
