/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert_file - a file on this host that holds certificates or keys, as the inventory tells of it
 *
 * Made by scanners/cert_files.h from a file's content, sent from the host half in pages, shown by
 * "clmbot certs" and uploaded. Holds no key material: of a private key only what its public half
 * hashes to was ever kept, and that is not here.
 */
#ifndef CLM_MODEL_CERT_FILE_H
#define CLM_MODEL_CERT_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/str.h"
#include "agent/model/cert_info.h"

#define CLM_FOUND_ENTRIES_MAX 16   /* told of one file; beyond that they are only counted */
#define CLM_FOUND_LINKS_MAX   8    /* other names told of one file */
#define CLM_FOUND_PAGE_FILES  100u /* files of one page of an upload */

enum clm_found_format {
    CLM_FOUND_PEM,
    CLM_FOUND_DER,
    CLM_FOUND_PKCS7,
    CLM_FOUND_PKCS12,
    CLM_FOUND_JKS,
    CLM_FOUND_JCEKS,
    CLM_FOUND_FORMAT__COUNT
};

enum clm_found_status {
    CLM_FOUND_MONITORED,
    CLM_FOUND_MANAGED, /* of a target that has a generation of ours */
    CLM_FOUND_IGNORED, /* matches scan.files.ignore */
    CLM_FOUND_STATUS__COUNT
};

enum clm_found_kind {
    CLM_FOUND_CERTIFICATE, /* of a server, a client, a person: no CA */
    CLM_FOUND_KEY,         /* a private key; in a keystore with its certificate */
    CLM_FOUND_TRUSTED,     /* a CA, or a trusted entry of a keystore */
    CLM_FOUND_OTHER,
    CLM_FOUND_KIND__COUNT
};

enum clm_found_answer {
    CLM_FOUND_UNKNOWN,
    CLM_FOUND_NO,
    CLM_FOUND_YES
};

/* Bits of problems; their names in this order are in the JSON form. */
enum clm_found_problem {
    CLM_FOUND_EXPIRED = 1u << 0,
    CLM_FOUND_EXPIRING = 1u << 1,
    CLM_FOUND_NOT_YET_VALID = 1u << 2,
    CLM_FOUND_WEAK_KEY = 1u << 3,
    CLM_FOUND_WEAK_SIGNATURE = 1u << 4,
    CLM_FOUND_KEY_READABLE = 1u << 5,
    CLM_FOUND_KEY_MISMATCH = 1u << 6,
    CLM_FOUND_CHAIN_BROKEN = 1u << 7,
};
#define CLM_FOUND_PROBLEMS 8 /* bits in use */

struct clm_found_entry {
    char alias[128]; /* of a keystore, cut to this; "" none */
    enum clm_found_kind kind;
    bool has_certificate;
    struct clm_cert_info certificate;
    enum clm_found_answer chain_ok;    /* the certificates behind it lead upwards, in order */
    enum clm_found_answer key_matches; /* a key beside it, in it or named by a server is its own */
};

struct clm_found {
    char path[PATH_MAX];   /* without symbolic links */
    struct clm_strs links; /* other names of the same file: links, what a server calls it */
    enum clm_found_format format;
    char perm[64]; /* "0644 root:root" */
    enum clm_found_status status;
    bool in_use;                     /* a running server is configured to read it */
    struct clm_strs used_by;         /* targets that do */
    struct clm_strs served_by;       /* targets that have the same leaf, from this file or a copy */
    char manager[24];                /* another certificate manager it belongs to; "" none */
    bool is_locked;                  /* something in it is behind a password */
    struct clm_found_entry *entries; /* n_entries of them, at most CLM_FOUND_ENTRIES_MAX */
    size_t n_entries;
    size_t n_more;     /* entries that are only counted */
    uint32_t problems; /* bits of enum clm_found_problem */
};

void clm_found_done(struct clm_found *found); /* for CLM_CLEANUP; zeroes it */
/* Appends one zeroed entry, NULL on no memory. Beyond the maximum it is counted and NULL, too:
 * then *out_is_full is true. */
struct clm_found_entry *clm_found_add(struct clm_found *found, bool *out_is_full);

/* "pem" ... "jceks"; "managed" ...; "certificate" ...; "expired" ... of one bit, else "". */
const char *clm_found_format_name(enum clm_found_format format);
const char *clm_found_status_name(enum clm_found_status status);
const char *clm_found_kind_name(enum clm_found_kind kind);
const char *clm_found_problem_name(enum clm_found_problem bit);

/* docs/schema/certs.md. is_upload: only the members that the control plane is sent. */
void clm_found_to_json(const struct clm_found *found, bool is_upload, struct clm_json *obj);
/* Accepts what to_json writes, both forms. out is zeroed by the caller, and is for
 * clm_found_done() also after an error. Errors: PARSE, LIMIT, NOMEM. */
CLM_MUST_USE enum clm_code clm_found_from_json(const struct clm_json *obj, struct clm_found *out,
                                               struct clm_err *err);

#endif
