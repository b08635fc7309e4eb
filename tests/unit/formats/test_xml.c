/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/formats/xml.h"
#include "tests/support/torture.h"

static struct clm_xml xml;
static struct clm_err err;

static enum clm_code parse_bytes(const char *text, size_t len)
{
    clm_xml_done(&xml);
    err = (struct clm_err){.code = CLM_OK};
    return clm_xml_parse(text, len, &xml, &err);
}

static enum clm_code parse(const char *text)
{
    return parse_bytes(text, strlen(text));
}

static void parse_well(const char *text)
{
    if (parse(text) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
}

static int tear_down(void **state)
{
    (void)state;
    clm_xml_done(&xml);
    return 0;
}

/* What the file is after the edit; for free(). */
static char *edited(const struct clm_text_edit *edit)
{
    char *out = calloc(1, xml.len + strlen(edit->text) + 1);

    assert_non_null(out);
    assert_true(edit->offset + edit->len <= xml.len);
    memcpy(out, xml.text, edit->offset);
    strcat(out, edit->text);
    strncat(out, xml.text + edit->offset + edit->len, xml.len - edit->offset - edit->len);
    return out;
}

static void assert_set(const struct clm_xml_node *node, const char *name, const char *value,
                       const char *want)
{
    struct clm_text_edit edit = {.text = NULL};
    char *text;

    if (clm_xml_set(node, name, value, &edit, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    text = edited(&edit);
    assert_string_equal(text, want);
    free(text);
    free(edit.text);
}

static void assert_add(const struct clm_xml_node *node, const char *want)
{
    static const char *const attrs[] = {"certificateFile", "a & b", "type", "RSA", NULL};
    struct clm_text_edit edit = {.text = NULL};
    char *text;

    if (clm_xml_add(&xml, node, "Certificate", attrs, &edit, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    text = edited(&edit);
    assert_string_equal(text, want);
    free(text);
    free(edit.text);
}

static void elements_are_a_tree_with_lines(void **state)
{
    const struct clm_xml_node *a;

    (void)state;
    parse_well("<?xml version='1.0'?>\n<!-- <no/> -->\n<s>\n <a x='1'/>\n <b><a y=\"2\"/></b>\n"
               " <a x='3'>text</a>\n</s>\n");
    assert_string_equal(xml.root->name, "s");
    assert_int_equal(xml.root->line, 3);
    a = clm_xml_child(xml.root, "a", NULL);
    assert_string_equal(clm_xml_value(a, "x"), "1");
    assert_int_equal(a->line, 4);
    assert_true(a->is_empty);
    a = clm_xml_child(xml.root, "a", a);
    assert_string_equal(clm_xml_value(a, "x"), "3");
    assert_null(clm_xml_child(xml.root, "a", a));
    assert_null(clm_xml_value(a, "y"));
    assert_null(clm_xml_child(xml.root, "c", NULL));
    assert_string_equal(xml.external, "");
}

static void values_are_decoded_and_their_bytes_known(void **state)
{
    static const struct {
        const char *text;
        const char *value;
        const char *raw;
    } cases[] = {
        {"<c a='1' k='v' b='2'/>", "v", "v"},
        {"<c k=\"it's\"/>", "it's", "it's"},
        {"<c k='a&amp;b&#x41;&quot;'/>", "a&bA\"", "a&amp;b&#x41;&quot;"},
        {"<c\n   k =\n 'v'>", "v", "v"},
        {"<c other='k=\"x\"' k='v'/>", "v", "v"},
        {"<c kk='no' k='v'/>", "v", "v"},
        {"<c k=''/>", "", ""},
        {"<c k='a>b/'/>", "a>b/", "a>b/"},
        {"<c k='a\r\n\tb'/>", "a  b", "a\r\n\tb"},
        {"<c k='\xc3\xbc'/>", "\xc3\xbc", "\xc3\xbc"},
        {"\xef\xbb\xbf<c k='v'/>", "v", "v"},
        {"<?xml version='1.0' encoding='ISO-8859-1'?><c k='\xfc'/>", "\xc3\xbc", "\xfc"},
        {"<!DOCTYPE c [<!ENTITY e 'in'>]><c k='v&e;'/>", "vin", "v&e;"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[256];
        const struct clm_xml_attr *attr;

        (void)snprintf(text, sizeof(text), "%s%s", cases[i].text,
                       strstr(cases[i].text, "/>") != NULL ? "" : "</c>");
        parse_well(text);
        attr = clm_xml_attr(xml.root, "k");
        assert_non_null(attr);
        assert_string_equal(attr->value, cases[i].value);
        assert_true(attr->can_edit);
        assert_int_equal(attr->len, strlen(cases[i].raw));
        assert_memory_equal(text + attr->offset, cases[i].raw, attr->len);
    }
}

static void a_value_is_replaced_in_place(void **state)
{
    (void)state;
    parse_well("<!-- k='1' --><c  a='x'\r\n   k = '1'  b=\"&amp;\" /><!-- end -->\r\n");
    assert_set(xml.root, "k", "22",
               "<!-- k='1' --><c  a='x'\r\n   k = '22'  b=\"&amp;\" /><!-- end -->\r\n");
    assert_set(xml.root, "k", "it's <\"&\xc3\xbc>",
               "<!-- k='1' --><c  a='x'\r\n   k = 'it&#x27;s &#x3C;\"&#x26;&#xFC;&#x3E;'  "
               "b=\"&amp;\" /><!-- end -->\r\n");
}

static void a_missing_attribute_is_added_behind_the_last(void **state)
{
    (void)state;
    parse_well("<c a='x' />");
    assert_set(xml.root, "k", "1\"", "<c a='x' k=\"1&#x22;\" />");
    parse_well("<c\n>x</c>");
    assert_set(xml.root, "k", "1", "<c k=\"1\"\n>x</c>");
    parse_well("<c/>");
    assert_set(xml.root, "k", "1", "<c k=\"1\"/>");
}

#define CERT "<Certificate certificateFile=\"a &#x26; b\" type=\"RSA\"/>"

static void a_child_is_added_on_a_line_of_its_own(void **state)
{
    (void)state;
    parse_well("<s>\n  <h a='1'/>\n</s>\n");
    assert_add(xml.root->first, "<s>\n  <h a='1'>\n      " CERT "\n  </h>\n</s>\n");
    assert_add(xml.root, "<s>\n  <h a='1'/>\n  " CERT "\n</s>\n");
    parse_well("<s>\r\n\t<h a='1' />\r\n</s>\r\n");
    assert_add(xml.root->first, "<s>\r\n\t<h a='1'>\r\n\t    " CERT "\r\n\t</h>\r\n</s>\r\n");
    parse_well("<s>\n\t<h>\n\t\t<!-- c -->\n\t</h>\n</s>");
    assert_add(xml.root->first, "<s>\n\t<h>\n\t\t<!-- c -->\n\t    " CERT "\n\t</h>\n</s>");
    parse_well("<?xml version='1.0' encoding='ISO-8859-1'?><s><\xfc\n a='1'/></s>");
    assert_add(xml.root->first,
               "<?xml version='1.0' encoding='ISO-8859-1'?><s><\xfc\n a='1'>\n    " CERT
               "\n</\xfc></s>");
    parse_well("<s><h></h></s>");
    assert_add(xml.root->first, "<s><h>\n    " CERT "\n</h></s>");
}

static void what_was_edited_is_read_again(void **state)
{
    struct clm_text_edit edit = {.text = NULL};
    char *text;

    (void)state;
    parse_well("<?xml version='1.0' encoding='ISO-8859-1'?>\n<c k='\xfc'/>");
    assert_int_equal(clm_xml_set(xml.root, "k", "\xe2\x82\xac'&", &edit, &err), CLM_OK);
    text = edited(&edit);
    parse_well(text);
    assert_string_equal(clm_xml_value(xml.root, "k"), "\xe2\x82\xac'&");
    clm_xml_done(&xml);
    free(text);
    free(edit.text);
}

static void a_value_that_xml_cannot_hold_is_refused(void **state)
{
    static const char *const bad[] = {"a\nb", "\x01", "\x7f", "\xff", "\xc3"};

    (void)state;
    parse_well("<c k='1'/>");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct clm_text_edit edit = {.text = NULL};

        assert_int_equal(clm_xml_set(xml.root, "k", bad[i], &edit, &err), CLM_E_INVAL);
        assert_null(edit.text);
    }
}

static void elements_out_of_an_entity_cannot_be_edited(void **state)
{
    struct clm_text_edit edit = {.text = NULL};
    const struct clm_xml_node *a;

    (void)state;
    parse_well("<!DOCTYPE s [<!ENTITY e \"<a k='1'/>\">\n<!ATTLIST b d CDATA 'x'>]>\n"
               "<s>&e;<b/></s>");
    a = clm_xml_child(xml.root, "a", NULL);
    assert_string_equal(clm_xml_value(a, "k"), "1");
    assert_false(a->can_edit);
    assert_int_equal(clm_xml_set(a, "k", "2", &edit, &err), CLM_E_UNSUPPORTED);
    assert_int_equal(clm_xml_set(clm_xml_child(xml.root, "b", NULL), "d", "2", &edit, &err),
                     CLM_E_UNSUPPORTED);
    assert_set(clm_xml_child(xml.root, "b", NULL), "k", "2",
               "<!DOCTYPE s [<!ENTITY e \"<a k='1'/>\">\n<!ATTLIST b d CDATA 'x'>]>\n"
               "<s>&e;<b k=\"2\"/></s>");
}

static void what_lies_elsewhere_is_told_and_not_fetched(void **state)
{
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {
        {"<!DOCTYPE s [<!ENTITY e SYSTEM '/etc/passwd'>]><s>&e;<a/></s>", "/etc/passwd"},
        {"<!DOCTYPE s [<!ENTITY e SYSTEM 'connectors.xml'>]><s>&e;<a/></s>", "'e'"},
        {"<!DOCTYPE s SYSTEM 'http://127.0.0.1:1/x.dtd'><s><a/></s>", "x.dtd"},
        {"<!DOCTYPE s PUBLIC 'p' 'x.dtd'><s><a/></s>", "x.dtd"},
        {"<!DOCTYPE s SYSTEM 'x.dtd' [<!ENTITY e SYSTEM 'second'>]><s>&e;<a/></s>", "x.dtd"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        parse_well(cases[i].text);
        assert_non_null(strstr(xml.external, cases[i].says));
        assert_ptr_equal(xml.root->first, clm_xml_child(xml.root, "a", NULL));
        assert_null(xml.root->first->next);
    }
}

static void bad_xml_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *text;
        enum clm_code code;
        const char *says;
    } cases[] = {
        {"", CLM_E_PARSE, "empty"},
        {"<a>\n<b></a>", CLM_E_PARSE, "line 2"},
        {"<a>", CLM_E_PARSE, "line 1"},
        {"<a k=1/>", CLM_E_PARSE, "line 1"},
        {"<a k='1' k='2'/>", CLM_E_PARSE, "duplicate"},
        {"<a/><b/>", CLM_E_PARSE, "line 1"},
        {"<a>&nope;</a>", CLM_E_PARSE, "undefined entity"},
        {"<a k='\xff'/>", CLM_E_PARSE, "line 1"},
        {"text", CLM_E_PARSE, "line 1"},
        {"<?xml version='1.0' encoding='windows-1252'?><a/>", CLM_E_UNSUPPORTED, "UTF-8"},
        {"<?xml version='1.0' encoding='UTF-16'?><a/>", CLM_E_UNSUPPORTED, "UTF-8"},
        {"<!DOCTYPE a [<!ENTITY % p 'x'>]><a/>", CLM_E_UNSUPPORTED, "parameter"},
        {"<!DOCTYPE a [<!ENTITY x 'aa'><!ENTITY y '&x;&x;'>]><a k='&y;'/>", CLM_E_UNSUPPORTED,
         "other entities"},
        {"<!DOCTYPE a [<!ENTITY x '&#37;p;'>]><a/>", CLM_E_UNSUPPORTED, "other entities"},
        {"<a><b><c/>text</b", CLM_E_PARSE, "line 1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum clm_code code = parse(cases[i].text);

        if (code != cases[i].code || strstr(err.msg, cases[i].says) == NULL) {
            fail_msg("case %zu: %s: %s", i, clm_code_name(code), err.msg);
        }
    }
    assert_int_equal(parse_bytes("<\0a\0/\0>\0", 8), CLM_E_UNSUPPORTED);
}

static char *many(const char *before, const char *one, size_t n, const char *after)
{
    char *text = malloc(strlen(before) + n * strlen(one) + strlen(after) + 1);
    char *at = text;

    assert_non_null(text);
    at = stpcpy(at, before);
    for (size_t i = 0; i < n; i++) {
        at = stpcpy(at, one);
    }
    strcpy(at, after);
    return text;
}

static void limits_are_kept(void **state)
{
    char *texts[7];
    char *attrs = many("", "", 0, "");

    (void)state;
    free(attrs);
    attrs = malloc(CLM_XML_ATTRS_MAX * 16 + 64);
    assert_non_null(attrs);
    strcpy(attrs, "<a");
    for (int i = 0; i <= CLM_XML_ATTRS_MAX; i++) {
        (void)sprintf(attrs + strlen(attrs), " a%d='1'", i);
    }
    strcat(attrs, "/>");
    texts[0] = many("", "<a>", CLM_XML_DEPTH_MAX + 1, "");
    texts[1] = many("<a>", "<b/>", CLM_XML_NODES_MAX, "</a>");
    texts[2] = many("<a>", " ", CLM_XML_MAX, "</a>");
    texts[3] = attrs;
    texts[5] = malloc(CLM_XML_ENTITIES_MAX * 32 + 64);
    assert_non_null(texts[5]);
    strcpy(texts[5], "<!DOCTYPE a [");
    for (int i = 0; i <= CLM_XML_ENTITIES_MAX; i++) {
        (void)sprintf(texts[5] + strlen(texts[5]), "<!ENTITY e%d ''>", i);
    }
    strcat(texts[5], "]><a/>");
    char *element = many("<b a='' c='' d='' e='' f='' g='' ", "", 0, "h='' i='' j=''/>");
    texts[6] = many("<a>", element, CLM_XML_ALL_ATTRS_MAX / 9 + 1, "</a>");
    free(element);
    texts[4] = many("<!DOCTYPE a [<!ENTITY e '", "x", CLM_XML_ENTITY_MAX + 1, "'>]><a/>");
    for (size_t i = 0; i < 7; i++) {
        enum clm_code code = parse(texts[i]);

        clm_xml_done(&xml);
        free(texts[i]);
        if (code != CLM_E_LIMIT) {
            fail_msg("text %zu: %s %s", i, clm_code_name(code), err.msg);
        }
    }
}

/* Without nesting, entities can still repeat 4 KiB for every three bytes of the file. */
static void entities_cannot_fill_memory(void **state)
{
    char *entity = many("<!DOCTYPE a [<!ENTITY e '", "x", CLM_XML_ENTITY_MAX, "'>]><a k='");
    char *text = many(entity, "&e;", 100000, "'/>");

    (void)state;
    assert_int_equal(parse(text), CLM_E_PARSE);
    assert_non_null(strstr(err.msg, "amplification"));
    clm_xml_done(&xml);
    free(text);
    free(entity);
}

static void text_is_kept_up_to_a_limit(void **state)
{
    char *text = many("<a>\n", "0123456789", CLM_XML_TEXT_MAX / 10, "<b/>too long by far</a>");

    (void)state;
    parse_well(text);
    assert_int_equal(strlen(xml.root->text), CLM_XML_TEXT_MAX / 10 * 10);
    clm_xml_done(&xml);
    free(text);
    parse_well("<?xml version='1.0' encoding='us-ascii'?><a>\n<b/>x\ny</a>");
    assert_string_equal(xml.root->text, "x\ny");
}

/* What is added counts, wherever in it the limit is reached. */
static void an_edit_that_is_too_long_is_refused(void **state)
{
    static const size_t edit_max = (size_t)64 * 1024;
    char *value = many("", "x", edit_max + 1, "");

    (void)state;
    for (int way = 0; way < 3; way++) {
        size_t taken = 0;

        for (size_t len = edit_max + 1; len > edit_max - 100; len--) {
            const char *const attrs[] = {"k", value + edit_max + 1 - len, NULL};
            struct clm_text_edit edit = {.text = NULL};
            enum clm_code code;

            parse_well(way == 1 ? "<s\t><h/></s>" : "<s>\n  <h></h></s>");
            err = (struct clm_err){.code = CLM_OK};
            code = way < 2 ? clm_xml_add(&xml, xml.root->first, "c", attrs, &edit, &err)
                           : clm_xml_set(xml.root, "k", attrs[1], &edit, &err);
            assert_true(code == CLM_OK || (code == CLM_E_LIMIT && err.msg[0] != '\0'));
            assert_true(taken == 0 || code == CLM_OK); /* a shorter one fits, too */
            taken += code == CLM_OK;
            free(edit.text);
        }
        assert_true(taken > 40);
    }
    free(value);
}

static void children_stand_where_the_file_lets_them(void **state)
{
    char *blanks = many("<s>\n", " ", 300, "<h/></s>");
    char *want = many("<s>\n", " ", 300, "<h>\n");
    char *indent = many("", " ", 256, "");
    char *all = malloc(4096);

    (void)state;
    parse_well("<!DOCTYPE s [<!ENTITY e '<a/>'>]><s>&e;</s>"); /* not beside what is an entity's */
    assert_add(xml.root, "<!DOCTYPE s [<!ENTITY e '<a/>'>]><s>&e;\n    " CERT "\n</s>");
    parse_well("\n<s\t></s>");
    assert_add(xml.root, "\n<s\t>\n    " CERT "\n</s>");
    assert_non_null(all);
    (void)snprintf(all, 4096, "%s%s    " CERT "\n%s</h></s>", want, indent, indent);
    parse_well(blanks); /* indented with 256 blanks at most */
    assert_add(xml.root->first, all);
    clm_xml_done(&xml);
    free(all);
    free(indent);
    free(want);
    free(blanks);
}

static enum clm_code read_and_edit(void *arg, struct clm_err *e)
{
    static const char text[] =
        "<?xml version='1.0'?><s>\n <h a='1'>text<b c='2'/></h>\n <h a='&lt;'/></s>";
    static const char *const attrs[] = {"x", "&", NULL};
    struct clm_xml doc = {.root = NULL};
    struct clm_text_edit set = {.text = NULL};
    struct clm_text_edit add = {.text = NULL};
    enum clm_code code = clm_xml_parse(text, sizeof(text) - 1, &doc, e);

    (void)arg;
    if (code == CLM_OK) {
        code = clm_xml_set(doc.root->first, "a", "two", &set, e);
    }
    if (code == CLM_OK) {
        code = clm_xml_add(&doc, doc.root->first, "Certificate", attrs, &add, e);
    }
    free(add.text);
    add.text = NULL;
    if (code == CLM_OK) { /* into an empty one, with room for the first part only */
        code = clm_xml_add(&doc, doc.root->last, "Certificate", attrs, &add, e);
    }
    free(set.text);
    free(add.text);
    clm_xml_done(&doc);
    return code;
}

static void running_out_of_memory_is_told(void **state)
{
    (void)state;
    assert_true(clm_torture(read_and_edit, NULL) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(elements_are_a_tree_with_lines, tear_down),
        cmocka_unit_test_teardown(values_are_decoded_and_their_bytes_known, tear_down),
        cmocka_unit_test_teardown(a_value_is_replaced_in_place, tear_down),
        cmocka_unit_test_teardown(a_missing_attribute_is_added_behind_the_last, tear_down),
        cmocka_unit_test_teardown(a_child_is_added_on_a_line_of_its_own, tear_down),
        cmocka_unit_test_teardown(what_was_edited_is_read_again, tear_down),
        cmocka_unit_test_teardown(a_value_that_xml_cannot_hold_is_refused, tear_down),
        cmocka_unit_test_teardown(elements_out_of_an_entity_cannot_be_edited, tear_down),
        cmocka_unit_test_teardown(what_lies_elsewhere_is_told_and_not_fetched, tear_down),
        cmocka_unit_test_teardown(bad_xml_is_refused_with_its_place, tear_down),
        cmocka_unit_test_teardown(limits_are_kept, tear_down),
        cmocka_unit_test_teardown(entities_cannot_fill_memory, tear_down),
        cmocka_unit_test_teardown(text_is_kept_up_to_a_limit, tear_down),
        cmocka_unit_test_teardown(an_edit_that_is_too_long_is_refused, tear_down),
        cmocka_unit_test_teardown(children_stand_where_the_file_lets_them, tear_down),
        cmocka_unit_test(running_out_of_memory_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
