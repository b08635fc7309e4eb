/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/model/job.h"

#include <string.h>

#include "agent/model/spec_fields.h"

#define HOLD_MIN_S  60
#define HOLD_MAX_S  604800
#define SCAN_MAX_S  3600
#define CONTENT_MAX 4096 /* protocol.md 8.3 */

static const char *const id_ord[] = {"ord", NULL};
static const char *const id_chl[] = {"chl", NULL};
static const char *const only_full[] = {"full", NULL};
static const char *const only_after_issue[] = {"after_issue", NULL};
static const char *const only_mode_644[] = {"0644", NULL};

/* ---- scan ---- */

static const struct clm_spec_field scan_fields[] = {
    CLM_SPEC_ROW(CLM_SPEC_U32, "max_s", false, struct clm_spec_scan, max_s, 1, SCAN_MAX_S, NULL),
    CLM_SPEC_ROW(CLM_SPEC_BOOL, "nice", false, struct clm_spec_scan, nice, 0, 0, NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_ONLY, "scope", only_full),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "services", NULL),
    CLM_SPEC_END,
};

static enum clm_code read_kind(const struct clm_json *node, void *arg, struct clm_err *err)
{
    struct clm_spec_scan *scan = arg;
    const char *text = clm_json_text(node);
    size_t len = text == NULL ? 0 : strlen(text);

    if (len < 1 || len > 24 || strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") != len) {
        return clm_err_set(err, CLM_E_INVAL, "not the name of a kind of service");
    }
    scan->services[scan->n_services++] = text;
    return CLM_OK;
}

static enum clm_code read_scan(const struct clm_job_envelope *job, struct clm_job_spec *out,
                               struct clm_err *err)
{
    struct clm_spec_scan *scan = &out->u.scan;
    enum clm_code code;

    scan->max_s = 120;
    scan->nice = true;
    code = clm_spec_fields_read(scan_fields, job->spec, job, scan, err);
    return code == CLM_OK ? clm_spec_elements_read(job->spec, "services", CLM_SPEC_SERVICES_MAX,
                                                   read_kind, scan, err)
                          : code;
}

/* ---- get_dcv, dcv_write, dcv_cleanup ---- */

#define DCV_ORDER                                                                                  \
    CLM_SPEC_ROW(CLM_SPEC_ID, "order_id", true, struct clm_spec_dcv, order_id, 0, 0, id_ord)
#define DCV_CHECK                                                                                  \
    CLM_SPEC_ROW(CLM_SPEC_BOOL, "self_check", false, struct clm_spec_dcv, self_check, 0, 0, NULL)
#define DCV_ROOT(required)                                                                         \
    CLM_SPEC_ROW(CLM_SPEC_NAME, "webroot_ref", required, struct clm_spec_dcv, webroot_ref, 0, 0,   \
                 NULL)

static const struct clm_spec_field get_dcv_fields[] = {
    DCV_ORDER,
    DCV_ROOT(false),
    DCV_CHECK,
    CLM_SPEC_ROW(CLM_SPEC_U32, "hold_s", false, struct clm_spec_dcv, hold_s, HOLD_MIN_S, HOLD_MAX_S,
                 NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_ONLY, "cleanup", only_after_issue),
    CLM_SPEC_END,
};

static const struct clm_spec_field dcv_write_fields[] = {
    DCV_ORDER,
    DCV_ROOT(true),
    DCV_CHECK,
    CLM_SPEC_ROW(CLM_SPEC_TIME, "remove_at", false, struct clm_spec_dcv, remove_at_s, 0, 0, NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "files", NULL),
    CLM_SPEC_END,
};

static const struct clm_spec_field dcv_cleanup_fields[] = {DCV_ORDER, CLM_SPEC_END};

static const struct clm_spec_field file_fields[] = {
    CLM_SPEC_ROW(CLM_SPEC_ID, "challenge_id", true, struct clm_spec_dcv_file, challenge_id, 0, 0,
                 id_chl),
    CLM_SPEC_ROW(CLM_SPEC_PATH, "path", true, struct clm_spec_dcv_file, path, 0, 256, NULL),
    CLM_SPEC_ROW(CLM_SPEC_RAW, "content", true, struct clm_spec_dcv_file, content, 0, CONTENT_MAX,
                 NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_ONLY, "mode", only_mode_644),
    CLM_SPEC_END,
};

static enum clm_code read_file(const struct clm_json *node, void *arg, struct clm_err *err)
{
    struct clm_spec_dcv *dcv = arg;
    enum clm_code code;

    if (clm_json_kind(node) != CLM_JSON_OBJECT) {
        return clm_err_set(err, CLM_E_PARSE, "not an object");
    }
    code = clm_spec_fields_read(file_fields, node, NULL, &dcv->files[dcv->n_files], err);
    if (code == CLM_OK) {
        dcv->n_files++;
    }
    return code;
}

static void dcv_defaults(struct clm_spec_dcv *dcv)
{
    dcv->self_check = true;
    dcv->hold_s = 3600;
}

static enum clm_code read_get_dcv(const struct clm_job_envelope *job, struct clm_job_spec *out,
                                  struct clm_err *err)
{
    dcv_defaults(&out->u.dcv);
    return clm_spec_fields_read(get_dcv_fields, job->spec, job, &out->u.dcv, err);
}

static enum clm_code read_dcv_write(const struct clm_job_envelope *job, struct clm_job_spec *out,
                                    struct clm_err *err)
{
    struct clm_spec_dcv *dcv = &out->u.dcv;
    enum clm_code code;

    dcv_defaults(dcv);
    code = clm_spec_fields_read(dcv_write_fields, job->spec, job, dcv, err);
    if (code == CLM_OK) {
        code = clm_spec_elements_read(job->spec, "files", CLM_SPEC_FILES_MAX, read_file, dcv, err);
    }
    if (code == CLM_OK && dcv->n_files == 0) {
        code = clm_err_set(err, CLM_E_INVAL, "'files': no file is given");
    }
    return code;
}

static enum clm_code read_dcv_cleanup(const struct clm_job_envelope *job, struct clm_job_spec *out,
                                      struct clm_err *err)
{
    return clm_spec_fields_read(dcv_cleanup_fields, job->spec, job, &out->u.dcv, err);
}

/* ---- the whole ---- */

typedef enum clm_code (*spec_fn)(const struct clm_job_envelope *job, struct clm_job_spec *out,
                                 struct clm_err *err);

static const spec_fn readers[CLM_JOB_TYPE__COUNT] = {
    [CLM_JOB_TYPE_ORDER] = clm_spec_order_read,
    [CLM_JOB_TYPE_GET_DCV] = read_get_dcv,
    [CLM_JOB_TYPE_DCV_WRITE] = read_dcv_write,
    [CLM_JOB_TYPE_DCV_CLEANUP] = read_dcv_cleanup,
    [CLM_JOB_TYPE_DEPLOY] = clm_spec_deploy_read,
    [CLM_JOB_TYPE_ROLLBACK] = clm_spec_rollback_read,
    [CLM_JOB_TYPE_RECHECK_PINNING] = clm_spec_recheck_read,
    [CLM_JOB_TYPE_SCAN] = read_scan,
};

enum clm_code clm_job_spec_parse(const struct clm_job_envelope *job, struct clm_job_spec *out,
                                 struct clm_err *err)
{
    enum clm_code code;

    memset(out, 0, sizeof(*out));
    out->type = job->type;
    if (readers[job->type] == NULL) {
        return clm_err_set(err, CLM_E_UNSUPPORTED,
                           "jobs of type '%s' are not supported by this version",
                           clm_job_type_name(job->type));
    }
    code = readers[job->type](job, out, err);
    if (code != CLM_OK) {
        clm_job_spec_done(out);
        return clm_err_wrap(err, code, "spec");
    }
    return CLM_OK;
}

void clm_job_spec_done(struct clm_job_spec *spec)
{
    if (spec != NULL) {
        if (spec->type == CLM_JOB_TYPE_ORDER) {
            clm_spec_order_done(&spec->u.order);
        }
        memset(spec, 0, sizeof(*spec));
    }
}
