/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret - where a password is to be found, never the password itself
 *
 * Targets and plans name passwords by reference, so they can be printed, sent and kept:
 *
 *   ""                 none
 *   "file:/abs/path"   first line of a file of root's that nobody else can read
 *   "known:changeit"   a default everybody knows (Tomcat's, GlassFish's): no secret
 *   "conf:<text>"      in the server's own configuration; the deployer that wrote the reference
 *                      finds it again (deployer.h, secret)
 */
#ifndef CLM_MODEL_SECRET_H
#define CLM_MODEL_SECRET_H

#include <limits.h>

#define CLM_SECRET_REF_SIZE (PATH_MAX + 160)
#define CLM_SECRET_MAX      1024u /* bytes of a password */

#define CLM_SECRET_FILE  "file:"
#define CLM_SECRET_KNOWN "known:"
#define CLM_SECRET_CONF  "conf:"

#endif
