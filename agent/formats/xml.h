/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xml - elements and attributes of an XML file, with the places where they stand
 *
 * For server configurations in XML that are read and edited in place: an edit is a struct
 * clm_text_edit for the bytes of one attribute or one new child, so comments, white space, order,
 * entities and line ends of all else stay as they are. Nothing outside the file is ever fetched.
 * The only user of expat.
 */
#ifndef CLM_FORMATS_XML_H
#define CLM_FORMATS_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/model/plan.h"

#define CLM_XML_MAX           ((size_t)1024 * 1024) /* bytes of a file; reliability.md 10 */
#define CLM_XML_DEPTH_MAX     64
#define CLM_XML_ATTRS_MAX     256   /* of one element */
#define CLM_XML_NODES_MAX     20000 /* a server.xml has about a hundred */
#define CLM_XML_ALL_ATTRS_MAX 50000 /* of all elements; it has about three hundred */
#define CLM_XML_TEXT_MAX      1024  /* bytes kept of the text in an element */
#define CLM_XML_ENTITIES_MAX  32    /* declared in the file */
#define CLM_XML_ENTITY_MAX    4096  /* bytes of one; it may hold no other entity */

struct clm_xml_attr {
    char *name;
    char *value;     /* UTF-8, entities replaced, white space as XML normalises it */
    uint64_t offset; /* of the raw value, behind the opening quote; 0 if !can_edit */
    uint64_t len;    /* bytes of the raw value */
    char quote;
    bool can_edit; /* it stands in this file's text, not in an entity or a default of the DTD */
};

struct clm_xml_node {
    char *name; /* with a prefix, if it has one */
    struct clm_xml_attr *attrs;
    size_t n_attrs;
    char *text; /* directly in it, the first CLM_XML_TEXT_MAX bytes of UTF-8; NULL: none */
    struct clm_xml_node *parent;
    struct clm_xml_node *first; /* child */
    struct clm_xml_node *last;
    struct clm_xml_node *next;  /* sibling */
    struct clm_xml_node *older; /* the one that began before it in the file; owns the list */
    unsigned line;              /* from 1 */
    bool can_edit;              /* it stands in this file's text */
    bool is_empty;              /* "<x/>" */
    uint64_t offset;            /* of '<' */
    uint64_t attrs_end;         /* behind the last attribute, or behind the name */
    uint64_t tag_end;           /* behind '>' of the start tag */
    uint64_t close;             /* '<' of the end tag; tag_end if is_empty */
};

struct clm_xml {
    struct clm_xml_node *root;
    struct clm_xml_node *newest;
    const char *text; /* borrowed from the caller of clm_xml_parse() */
    size_t len;
    const char *newline; /* "\n" or "\r\n": that of the first line */
    char external[256];  /* what the file takes from elsewhere, for a person; "" nothing */
};

/*
 * clm_xml_parse() - reads one document
 *
 * In      text  len bytes in UTF-8, ISO-8859-1 or US-ASCII; borrowed as long as out is used
 * Out     out   zero-initialised; for clm_xml_done(), also after an error. Elements that would come
 *               from another file are missing: out->external then says so.
 * Errors  PARSE with line and column; LIMIT; UNSUPPORTED encoding, parameter entities; NOMEM
 */
CLM_MUST_USE enum clm_code clm_xml_parse(const void *text, size_t len, struct clm_xml *out,
                                         struct clm_err *err);
void clm_xml_done(struct clm_xml *xml); /* for CLM_CLEANUP */

/* The value of an attribute; NULL if the element has none of that name. */
const char *clm_xml_value(const struct clm_xml_node *node, const char *name);
const struct clm_xml_attr *clm_xml_attr(const struct clm_xml_node *node, const char *name);
/* The first child of that name behind after, or of all if after is NULL. NULL: there is none. */
const struct clm_xml_node *clm_xml_child(const struct clm_xml_node *node, const char *name,
                                         const struct clm_xml_node *after);

/*
 * clm_xml_set() - an edit that gives an element's attribute this value, or adds it behind the others
 *
 * In      value  UTF-8; what XML forbids in a value is escaped
 * Out     out    text is for free(); zero-initialised by the caller
 * Errors  UNSUPPORTED it stands in an entity; INVAL no UTF-8, control characters; NOMEM
 */
CLM_MUST_USE enum clm_code clm_xml_set(const struct clm_xml_node *node, const char *name,
                                       const char *value, struct clm_text_edit *out,
                                       struct clm_err *err);

/*
 * clm_xml_add() - an edit that adds a last child, on a line of its own
 *
 * In      name   of the child
 *         attrs  name, value, name, value ...; NULL ends
 * Out     out    as above. Indented as the other children; if there are none, four blanks more
 *                than the element.
 * Errors  as above
 */
CLM_MUST_USE enum clm_code clm_xml_add(const struct clm_xml *xml, const struct clm_xml_node *node,
                                       const char *name, const char *const *attrs,
                                       struct clm_text_edit *out, struct clm_err *err);

#endif
