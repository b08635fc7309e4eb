/* SPDX-License-Identifier: Apache-2.0 */
/* The P-256 key of RFC 7515 A.3: published, so that vectors can be computed by others. */
#ifndef CLM_TESTS_RFC7515_KEY_H
#define CLM_TESTS_RFC7515_KEY_H

#define RFC7515_PEM                                                                                \
    "-----BEGIN PRIVATE KEY-----\n"                                                                \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjpsQnnGQmL+YBIff\n"                           \
    "H1136cspYG6+0iY7X1fCE9+E9LKhRANCAAR/zc4ncPbEXUGDy+5v20t7WAczNXvp\n"                           \
    "7xO6z248e9FURcfxRM0bvZt+hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt\n"                                   \
    "-----END PRIVATE KEY-----\n"
#define RFC7515_X    "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define RFC7515_Y    "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define RFC7515_SPKI "2bd1bb0c44a897c30a7aa0991cde38d8062fe441de50da0f46825344f602e827"

#endif
