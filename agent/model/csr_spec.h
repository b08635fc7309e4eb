/* SPDX-License-Identifier: Apache-2.0 */
/*
 * csr_spec - what somebody may say about a certificate request: the member "csr"
 *
 * The same object stands in a managed certificate and a provisioning configuration of the control
 * plane, in the spec of an order job, and, without its names, as a template in clmbot.yaml. It is
 * read here, strictly, by all of them. docs/csr.md explains the modes; docs/schema/csr.md lists the
 * members. What a member may be, not whether the policy of a host allows it, is checked here.
 */
#ifndef CLM_MODEL_CSR_SPEC_H
#define CLM_MODEL_CSR_SPEC_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/str.h"
#include "agent/model/names.h"

#define CLM_CSR_OUS_MAX   8      /* organizational units */
#define CLM_CSR_URI_MAX   2048   /* bytes of one URI */
#define CLM_CSR_EMAIL_MAX 254    /* bytes of one address; RFC 5321 4.5.3.1.3 */
#define CLM_CSR_PEM_MAX   16384u /* bytes of an uploaded request; ours have 600 to 2,000 */

enum clm_csr_mode {
    CLM_CSR_MODE_TEMPLATE,  /* everything is said, here or in a template on the host */
    CLM_CSR_MODE_INSTALLED, /* the identity of the certificate installed at the target */
    CLM_CSR_MODE_OVERRIDE,  /* the same, with some members replaced */
    CLM_CSR_MODE_UPLOADED,  /* csr_pem as it is; its key is elsewhere */
    CLM_CSR_MODE_REUSE,     /* the request of the last order again */
    CLM_CSR_MODE__COUNT
};
/* "template", "installed", "override", "uploaded", "reuse_csr" */
const char *clm_csr_mode_name(enum clm_csr_mode mode);

/* Members of a distinguished name. */
enum clm_subject_field {
    CLM_SUBJECT_CN,
    CLM_SUBJECT_O,
    CLM_SUBJECT_OU, /* the only one that may have several values */
    CLM_SUBJECT_L,
    CLM_SUBJECT_ST,
    CLM_SUBJECT_C,
    CLM_SUBJECT_EMAIL,
    CLM_SUBJECT__COUNT
};
/* "cn", "o", "ou", "l", "st", "c", "email" */
const char *clm_subject_field_name(enum clm_subject_field field);

struct clm_subject {
    struct clm_strs field[CLM_SUBJECT__COUNT]; /* UTF-8; empty: not there */
};
void clm_subject_done(struct clm_subject *subject); /* for CLM_CLEANUP */
/* The (first) value; NULL if there is none. */
const char *clm_subject_value(const struct clm_subject *subject, enum clm_subject_field field);
/* Length, characters and form of one value. Errors: INVAL with the field's name. */
CLM_MUST_USE enum clm_code clm_subject_check(enum clm_subject_field field, const char *value,
                                             struct clm_err *err);
/* dst becomes a copy of src for one field. Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_subject_copy(struct clm_subject *dst, const struct clm_subject *src,
                                            enum clm_subject_field field, struct clm_err *err);

/* Kinds of subject alternative names. */
enum clm_san_kind {
    CLM_SAN_DNS,
    CLM_SAN_IP,
    CLM_SAN_EMAIL,
    CLM_SAN_URI,
    CLM_SAN__COUNT
};
/* "dns", "ip", "email", "uri" */
const char *clm_san_kind_name(enum clm_san_kind kind);

struct clm_sans {
    struct clm_names names;
    struct clm_strs emails; /* the part behind '@' in lower case */
    struct clm_strs uris;
};
void clm_sans_done(struct clm_sans *sans); /* for CLM_CLEANUP */
/* The list of one kind; borrowed. */
const struct clm_strs *clm_sans_list(const struct clm_sans *sans, enum clm_san_kind kind);
size_t clm_sans_count(const struct clm_sans *sans);
/* Normalises and adds, once. Errors: INVAL, LIMIT (CLM_NAMES_MAX of a kind), NOMEM. */
CLM_MUST_USE enum clm_code clm_sans_add(struct clm_sans *sans, enum clm_san_kind kind,
                                        const char *text, struct clm_err *err);
/* {"dns": [], "ip": [], "email": [], "uri": []}; members that are missing are empty. Errors: PARSE,
 * INVAL, LIMIT, NOMEM. */
CLM_MUST_USE enum clm_code clm_sans_from_json(const struct clm_json *obj, struct clm_sans *out,
                                              struct clm_err *err);

/* Texts are borrowed from the JSON and NULL if they are not given; lists are owned. */
struct clm_csr_spec {
    enum clm_csr_mode mode;
    const char *template_name; /* of policy.csr_templates on the host */
    struct clm_subject subject;
    bool has_subject[CLM_SUBJECT__COUNT]; /* given; an empty one takes the field away */
    struct clm_sans sans;
    bool has_san[CLM_SAN__COUNT];
    const char *key_type; /* one of clm_key_type_names() */
    const char *hash;     /* "sha256", "sha384", "sha512" */
    bool has_must_staple;
    bool must_staple;
    bool has_eku;
    bool eku_server;
    bool eku_client;
    const char *challenge_ref; /* name in policy.secrets on the host */
    const char *csr_pem;
    bool has_key;
    bool reuse_key;
};
void clm_csr_spec_done(struct clm_csr_spec *spec); /* for CLM_CLEANUP */

/*
 * clm_csr_spec_read() - the member "csr"
 *
 * In      obj  an object; lives longer than out
 * Out     out  overwritten; for clm_csr_spec_done(), also after an error
 * Errors  PARSE unknown member or wrong type; INVAL value, or a member that the mode does not
 *         have; LIMIT; NOMEM. The message starts with the member.
 */
CLM_MUST_USE enum clm_code clm_csr_spec_read(const struct clm_json *obj, struct clm_csr_spec *out,
                                             struct clm_err *err);
/* The same for a template in clmbot.yaml: no mode, no names, no common name, no csr_pem. */
CLM_MUST_USE enum clm_code clm_csr_template_read(const struct clm_json *obj,
                                                 struct clm_csr_spec *out, struct clm_err *err);

/* True if what the spec leaves open is that of the installed certificate. */
bool clm_csr_spec_is_of_installed(const struct clm_csr_spec *spec);

/* True if the names of the request are not known from the spec alone: they are those of the
 * installed certificate. */
bool clm_csr_spec_takes_installed_names(const struct clm_csr_spec *spec);

#endif
