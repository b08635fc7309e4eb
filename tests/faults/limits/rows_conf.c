/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations of servers. They are root's own, so the cap of all files together has a budget of
 * its own. */
#include <limits.h>
#include <string.h>

#include "agent/formats/apache_conf.h"
#include "agent/formats/nginx_conf.h"
#include "agent/formats/server_xml.h"
#include "tests/faults/limits/limits.h"
#include "tests/fuzz/target.h"

#define MIB ((size_t)1024 * 1024)

static enum clm_code nginx(const uint8_t *data, size_t len, struct clm_err *err)
{
    struct one_file files;
    struct clm_conf_tree tree = {0};
    enum clm_code code;

    one_file_init(&files, data, len);
    code = clm_nginx_conf_load(&files.io, INPUT_PATH, &tree, err);
    clm_conf_tree_done(&tree);
    return code;
}

static enum clm_code apache(const uint8_t *data, size_t len, struct clm_err *err)
{
    struct one_file files;
    struct clm_conf_tree tree = {0};
    char root[PATH_MAX];
    const struct clm_apache_source source = {
        .path = INPUT_PATH, .server_root = "/", .version = "2.4.57"};
    enum clm_code code;

    one_file_init(&files, data, len);
    code = clm_apache_conf_load(&files.io, &source, &tree, root, err);
    clm_conf_tree_done(&tree);
    return code;
}

static enum clm_code server_xml(const uint8_t *data, size_t len, struct clm_err *err)
{
    struct one_file files;
    struct clm_tomcat tomcat = {0};
    struct clm_tomcat_args args = {.base = "/", .home = "/", .config = INPUT_PATH};
    enum clm_code code;

    one_file_init(&files, data, len);
    code = clm_tomcat_load(&files.io, &args, &tomcat, err);
    clm_tomcat_done(&tomcat);
    return code;
}

#define FLOOD(name, text)                                                                          \
    static void name(struct clm_buf *out, size_t size)                                             \
    {                                                                                              \
        put_flood(out, text, size);                                                                \
    }
#define WRAPPED(name, begin, text, end)                                                            \
    static void name(struct clm_buf *out, size_t size)                                             \
    {                                                                                              \
        put(out, begin);                                                                           \
        put_flood(out, text, size - sizeof(end));                                                  \
        put(out, end);                                                                             \
    }

FLOOD(directives, "a;")
FLOOD(blocks, "a{")
FLOOD(closings, "}")
FLOOD(block_pairs, "a{}")
FLOOD(comments, "#\n")
FLOOD(quotes, "\"")
FLOOD(backslashes, "\\")
FLOOD(newlines, "\n")
FLOOD(word, "a")
FLOOD(includes_all, "include /*;")
FLOOD(includes_itself, "include /input;")
FLOOD(includes_nothing, "include /none/*;")
FLOOD(globs, "include /*?*?*?*?*?*?*?*?*?*?*?*?*?*?;")
WRAPPED(arguments, "server_name", " a", ";")
WRAPPED(quoted, "a \"", "\\n", "\";")
WRAPPED(variables, "a ", "${b}", ";")

FLOOD(apache_lines, "A b\n")
FLOOD(apache_sections, "<A>\n")
FLOOD(apache_pairs, "<A>\n</A>\n")
FLOOD(apache_conditions, "<IfDefine x>\n")
FLOOD(apache_includes, "Include /*\n")
FLOOD(apache_itself, "Include /input\n")
FLOOD(apache_continued, "A \\\n")
FLOOD(apache_closings, "</A>\n")
WRAPPED(apache_arguments, "ServerAlias", " a", "\n")

/* A variable of two of the one before, and so on: 2^40 bytes if nobody stopped it. */
static void apache_doubling(struct clm_buf *out, size_t size)
{
    (void)size;
    put(out, "Define v0 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n");
    for (int i = 1; i < 40; i++) {
        putf(out, "Define v%d ${v%d}${v%d}\n", i, i - 1, i - 1);
    }
    put(out, "ServerName ${v39}\n");
}

/* A large value, used again and again. */
static void apache_large_value(struct clm_buf *out, size_t size)
{
    put(out, "Define v ");
    put_flood(out, "x", 60000);
    put(out, "\n");
    put_flood(out, "ServerName ${v}\n", size);
}

static void apache_defines(struct clm_buf *out, size_t size)
{
    put_counted(out, "Define v%d ${v0}\n", size);
}

FLOOD(xml_open, "<a>")
FLOOD(xml_pairs, "<a/>")
FLOOD(xml_comments, "<!---->")
FLOOD(xml_angle, "<")
WRAPPED(xml_nodes, "<Server>", "<a b='c'/>", "</Server>")
WRAPPED(xml_text, "<Server>", "text ", "</Server>")
WRAPPED(xml_cdata, "<Server><![CDATA[", "]] >", "]]></Server>")
WRAPPED(xml_value, "<Server a='", "x", "'/>")
WRAPPED(xml_references, "<Server a='", "&amp;", "'/>")
WRAPPED(xml_connectors, "<Server><Service>", "<Connector SSLEnabled='true' port='1'/>",
        "</Service></Server>")
WRAPPED(xml_properties, "<Server><Service>", "<Connector port='${a}${b}'/>", "</Service></Server>")
WRAPPED(xml_hosts, "<Server><Service><Connector SSLEnabled='true'>",
        "<SSLHostConfig><Certificate/></SSLHostConfig>", "</Connector></Service></Server>")

static void xml_attributes(struct clm_buf *out, size_t size)
{
    put(out, "<Server");
    put_counted(out, " a%d='b'", size);
    put(out, "/>");
}

/* Elements of 250 attributes each. */
static void xml_wide(struct clm_buf *out, size_t size)
{
    put(out, "<Server>");
    while (out->len + 4000 < size) {
        put(out, "<a");
        for (int i = 0; i < 250; i++) {
            putf(out, " a%d=''", i);
        }
        put(out, "/>");
    }
    put(out, "</Server>");
}

static void xml_laughs(struct clm_buf *out, size_t size)
{
    (void)size;
    put(out, "<!DOCTYPE Server [<!ENTITY e0 'lollollol'>");
    for (int i = 1; i < 30; i++) {
        putf(out, "<!ENTITY e%d '&e%d;&e%d;&e%d;&e%d;'>", i, i - 1, i - 1, i - 1, i - 1);
    }
    put(out, "]><Server a='&e29;'>&e29;</Server>");
}

/* One entity of the largest size that is taken, used as often as fits. */
static void xml_quadratic(struct clm_buf *out, size_t size)
{
    put(out, "<!DOCTYPE Server [<!ENTITY e '");
    put_flood(out, "x", 4000);
    put(out, "'>]><Server>");
    put_flood(out, "&e;", size - 20);
    put(out, "</Server>");
}

static void xml_quadratic_values(struct clm_buf *out, size_t size)
{
    put(out, "<!DOCTYPE Server [<!ENTITY e '");
    put_flood(out, "x", 4000);
    put(out, "'>]><Server>");
    put_flood(out, "<a b='&e;&e;&e;&e;&e;&e;&e;&e;'/>", size - 20);
    put(out, "</Server>");
}

static void xml_external(struct clm_buf *out, size_t size)
{
    put(out, "<!DOCTYPE Server [");
    put_counted(out, "<!ENTITY e%d SYSTEM 'file:///etc/passwd'>", size - 40);
    put(out, "]><Server>&e0;</Server>");
}

/* The same form for 1 MiB, which is far beyond any real configuration. */
#define NGINX(shape, make, verdict)                                                                \
    {                                                                                              \
        "nginx.conf", shape, nginx, make, MIB, verdict, 0, 0, NULL                                 \
    }
#define APACHE(shape, make, verdict)                                                               \
    {                                                                                              \
        "httpd.conf", shape, apache, make, MIB, verdict, 0, 0, NULL                                \
    }
#define XML(shape, make, verdict)                                                                  \
    {                                                                                              \
        "server.xml", shape, server_xml, make, MIB - 64, verdict, 0, 0, NULL                       \
    }

static const char of_root[] = "design.md 11: 64 MiB over all includes, and the tree of half a "
                              "million directives; root's own file";
static const char large_tree[] = "a tree of as many directives as may be; root's own file, and no "
                                 "real one has a hundredth of them";

static const char one_tag[] =
    "expat reads a tag of 1 MiB to its end before it tells of it, and compares all its names";

#define TREE(parser, shape, parse, make, verdict)                                                  \
    {                                                                                              \
        parser, shape, parse, make, MIB, verdict, 400, 131072, large_tree                          \
    }
#define HUGE(parser, shape, parse, make, verdict)                                                  \
    {                                                                                              \
        parser, shape, parse, make, 64 * MIB, verdict, 3000, 262144, of_root                       \
    }

const struct limits_row limits_conf_rows[] = {
    TREE("nginx.conf", "directives", nginx, directives, LIMITS_ANY),
    NGINX("nested blocks", blocks, LIMITS_REFUSED),
    NGINX("closing brackets", closings, LIMITS_REFUSED),
    TREE("nginx.conf", "empty blocks", nginx, block_pairs, LIMITS_ANY),
    NGINX("comments", comments, LIMITS_READ),
    NGINX("quotes", quotes, LIMITS_REFUSED),
    NGINX("backslashes", backslashes, LIMITS_REFUSED),
    NGINX("newlines", newlines, LIMITS_READ),
    NGINX("one word", word, LIMITS_REFUSED),
    NGINX("includes of everything", includes_all, LIMITS_REFUSED),
    NGINX("includes of itself", includes_itself, LIMITS_REFUSED),
    TREE("nginx.conf", "includes of nothing", nginx, includes_nothing, LIMITS_ANY),
    NGINX("patterns", globs, LIMITS_ANY),
    TREE("nginx.conf", "arguments", nginx, arguments, LIMITS_ANY),
    NGINX("one quoted word", quoted, LIMITS_ANY),
    NGINX("variables", variables, LIMITS_ANY),
    HUGE("nginx.conf", "directives, 64 MiB", nginx, directives, LIMITS_REFUSED),
    HUGE("nginx.conf", "one word, 64 MiB", nginx, word, LIMITS_REFUSED),
    TREE("httpd.conf", "lines", apache, apache_lines, LIMITS_ANY),
    APACHE("nested sections", apache_sections, LIMITS_REFUSED),
    TREE("httpd.conf", "empty sections", apache, apache_pairs, LIMITS_ANY),
    APACHE("nested conditions", apache_conditions, LIMITS_REFUSED),
    APACHE("includes of everything", apache_includes, LIMITS_REFUSED),
    APACHE("includes of itself", apache_itself, LIMITS_REFUSED),
    APACHE("one line, continued", apache_continued, LIMITS_ANY),
    APACHE("closings", apache_closings, LIMITS_REFUSED),
    TREE("httpd.conf", "arguments", apache, apache_arguments, LIMITS_ANY),
    APACHE("comments", comments, LIMITS_READ),
    APACHE("variables that double", apache_doubling, LIMITS_ANY),
    TREE("httpd.conf", "a large variable", apache, apache_large_value, LIMITS_REFUSED),
    APACHE("variables", apache_defines, LIMITS_ANY),
    HUGE("httpd.conf", "lines, 64 MiB", apache, apache_lines, LIMITS_REFUSED),
    XML("nested elements", xml_open, LIMITS_REFUSED),
    XML("roots", xml_pairs, LIMITS_REFUSED),
    XML("comments", xml_comments, LIMITS_REFUSED),
    XML("brackets", xml_angle, LIMITS_REFUSED),
    XML("elements", xml_nodes, LIMITS_REFUSED),
    XML("text", xml_text, LIMITS_ANY),
    XML("character data", xml_cdata, LIMITS_ANY),
    XML("one value", xml_value, LIMITS_ANY),
    XML("references", xml_references, LIMITS_ANY),
    XML("connectors", xml_connectors, LIMITS_ANY),
    XML("properties", xml_properties, LIMITS_ANY),
    XML("hosts", xml_hosts, LIMITS_ANY),
    {"server.xml", "attributes", server_xml, xml_attributes, MIB - 64, LIMITS_REFUSED, 150, 0,
     one_tag},
    XML("elements of many attributes", xml_wide, LIMITS_REFUSED),
    XML("a billion laughs", xml_laughs, LIMITS_REFUSED),
    XML("one entity in text", xml_quadratic, LIMITS_ANY),
    XML("one entity in values", xml_quadratic_values, LIMITS_ANY),
    XML("external entities", xml_external, LIMITS_ANY),
    {.parser = NULL},
};
