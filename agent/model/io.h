/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io - everything a scanner, deployer or issuer may do to the world, as a table of functions
 *
 * Drivers call nothing else, so each can be tested with a scripted table (tests/support/fake_io).
 * A member that a process half does not lend is set to a function that returns UNSUPPORTED: the
 * host half has no http, the network half no files. All paths are absolute.
 */
#ifndef CLM_MODEL_IO_H
#define CLM_MODEL_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/str.h"
#include "agent/model/probe.h"

enum clm_file_kind {
    CLM_FILE_REGULAR,
    CLM_FILE_DIRECTORY,
    CLM_FILE_SYMLINK,
    CLM_FILE_OTHER
};

struct clm_stat {
    enum clm_file_kind kind;
    uint32_t mode; /* permission bits, 07777 */
    uint32_t uid;
    uint32_t gid;
    uint64_t size_bytes;
    uint64_t dev;
    uint64_t ino;
    uint32_t nlink;
    int64_t mtime_s;
};

/* name: one directory entry, never "." or "..". Anything but CLM_OK ends the walk. */
typedef enum clm_code (*clm_io_dir_fn)(void *arg, const char *name, struct clm_err *err);

struct clm_http_request {
    const char *method; /* "GET", "POST", "PUT", "HEAD" */
    const char *url;
    const char *const *headers; /* "Name: value", NULL-ended; may be NULL */
    const void *body;           /* body_len bytes; NULL: none */
    size_t body_len;
    size_t response_max;    /* bytes; a longer body is LIMIT. Never 0 */
    uint32_t timeout_ms;    /* for the whole exchange */
    const char *ca_pem;     /* sole trust anchors; NULL: the system's */
    const char *connect_to; /* "addr:port" to connect to whatever the URL's host says; NULL */
    void (*on_idle)(void);  /* called once if the peer lets us wait for long; NULL: nothing */
};

#define CLM_HTTP_HEADER_MAX 512 /* bytes kept of one header's value, NUL included */

struct clm_http_response {
    int status;          /* 3xx is returned, never followed */
    struct clm_buf body; /* max is set by the callee to response_max; freed by the caller */
    char content_type[CLM_HTTP_HEADER_MAX]; /* without parameters, lower case */
    char location[CLM_HTTP_HEADER_MAX];
    char replay_nonce[CLM_HTTP_HEADER_MAX];
    char link_up[CLM_HTTP_HEADER_MAX]; /* target of Link rel="up" */
    char etag[CLM_HTTP_HEADER_MAX];    /* with its quotes */
    char request_id[64];               /* Clm-Request-Id */
    char job_state[32];                /* Clm-Job-State */
    bool has_next_poll;                /* Clm-Next-Poll was sent */
    uint32_t next_poll_s;
    uint32_t retry_after_s; /* 0: not said */
    int64_t date_s;         /* Date, unix time; 0: not said */
};

enum clm_unit_state {
    CLM_UNIT_UNKNOWN,
    CLM_UNIT_ACTIVE,
    CLM_UNIT_INACTIVE,
    CLM_UNIT_FAILED
};

struct clm_unit {
    char name[256]; /* "nginx.service" */
    enum clm_unit_state state;
    int32_t main_pid; /* 0: none */
    char fragment_path[256];
};
typedef enum clm_code (*clm_io_unit_fn)(void *arg, const struct clm_unit *unit,
                                        struct clm_err *err);

/* A listening TCP socket. */
struct clm_listening {
    char addr[CLM_ADDR_SIZE]; /* inet_ntop(3); v4-mapped ones as IPv4 */
    uint16_t port;
    uint64_t inode;
    uint64_t cgroup; /* that it was made in: inode of its directory; 0: the kernel does not say */
};
typedef enum clm_code (*clm_io_listening_fn)(void *arg, const struct clm_listening *socket,
                                             struct clm_err *err);

struct clm_program {
    const char *const *argv; /* NULL-ended; argv[0] absolute */
    const char *const *env;  /* NULL-ended "K=V" */
    uint32_t timeout_ms;
};

struct clm_policy; /* agent/model/policy.h */

struct clm_io {
    void *ctx;
    const struct clm_policy *policy; /* what root of this host allows and declared; NULL: nothing */

    /* Files, for reading only. NOTFOUND, PERM, IO; read_file: LIMIT beyond max. */
    enum clm_code (*read_file)(void *ctx, const char *path, size_t max, struct clm_buf *out,
                               struct clm_err *err);
    enum clm_code (*stat)(void *ctx, const char *path, bool follow, struct clm_stat *out,
                          struct clm_err *err);
    enum clm_code (*read_link)(void *ctx, const char *path, char *dst, size_t size,
                               struct clm_err *err);
    enum clm_code (*list_dir)(void *ctx, const char *path, clm_io_dir_fn visit, void *arg,
                              struct clm_err *err);

    /* A server's program asked for its version, within the rights of this process: see
     * agent/base/proc.h. */
    enum clm_code (*ask)(void *ctx, const char *const *argv, uint32_t timeout_ms, int *out_status,
                         struct clm_buf *output, struct clm_err *err);
    /* A server's own configuration test, with all of root's rights: as a unit of its own where this
     * process has them not. */
    enum clm_code (*run)(void *ctx, const char *const *argv, uint32_t timeout_ms, int *out_status,
                         struct clm_buf *output, struct clm_err *err);
    /* The same with an environment of its own: a hook of root's. */
    enum clm_code (*run_env)(void *ctx, const struct clm_program *program, int *out_status,
                             struct clm_buf *output, struct clm_err *err);
    /* Signals the process only if its start time (field 22 of /proc/PID/stat) is still this. */
    enum clm_code (*signal)(void *ctx, int32_t pid, uint64_t start_ticks, int signo,
                            struct clm_err *err);

    /* systemd. UNSUPPORTED where it does not run. unit_reload waits for the job's result. */
    enum clm_code (*unit_list)(void *ctx, clm_io_unit_fn visit, void *arg, struct clm_err *err);
    enum clm_code (*unit_state)(void *ctx, const char *name, struct clm_unit *out,
                                struct clm_err *err);
    enum clm_code (*unit_reload)(void *ctx, const char *name, uint32_t timeout_ms,
                                 struct clm_err *err);
    /* Ends connections: for units that clm_policy_check_restart() allows. */
    enum clm_code (*unit_restart)(void *ctx, const char *name, uint32_t timeout_ms,
                                  struct clm_err *err);

    /* Every listening TCP socket of this host's network, by sock_diag(7): who holds them need not be
     * visible. UNSUPPORTED. */
    enum clm_code (*listening)(void *ctx, clm_io_listening_fn visit, void *arg,
                               struct clm_err *err);

    /* Network. In the host half only to numeric addresses of this host (clm_url_check_loopback()),
     * whoever answers there, and without a proxy. A response with any status is CLM_OK; NET,
     * TIMEOUT, LIMIT otherwise. */
    enum clm_code (*http)(void *ctx, const struct clm_http_request *request,
                          struct clm_http_response *out, struct clm_err *err);
    /* One TLS handshake. See agent/model/probe.h: a peer that fails is a result, not an error. */
    enum clm_code (*probe)(void *ctx, const struct clm_endpoint *endpoint,
                           struct clm_observation *out, struct clm_err *err);

    int64_t (*now_s)(void *ctx);
    int64_t (*mono_ms)(void *ctx);
    void (*sleep_ms)(void *ctx, int64_t ms);
};

#endif
