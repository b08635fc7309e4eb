/* SPDX-License-Identifier: Apache-2.0 */
/* inventory - pieces of the JSON form of what a scan found */
#ifndef CLM_TESTS_MAIN_INVENTORY_H
#define CLM_TESTS_MAIN_INVENTORY_H

#define HASH  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define LATER "2027-04-15T08:00:00Z" /* 90 days from STAGE_NOW_S */
#define SOON  "2027-01-25T08:00:00Z" /* 10 days */
#define GONE  "2027-01-14T08:00:00Z"

#define CERT(subject, sans, not_after)                                                             \
    ",\"certificate\":{\"sha256\":\"" HASH "\",\"subject\":\"" subject "\",\"sans\":[" sans        \
    "],\"not_after\":\"" not_after "\",\"issuer\":\"CN=CA\",\"key\":\"ec-p256\"}"
/* One endpoint, and what it showed. */
#define ENDPOINT     "{\"addr\":\"127.0.0.1\",\"port\":443,\"sni\":\"a.example\",\"timeout_ms\":200}"
#define SERVED(hash) "{\"result\":\"served\",\"leaf_sha256\":\"" hash "\"}"
#define SHOWS(endpoints, observations)                                                             \
    ",\"endpoints\":[" endpoints "],\"observations\":[" observations "]"
#define TARGET(id, more) "{\"target\":\"" id "\"" more "}"
#define SERVICE(kind, more, targets)                                                               \
    "{\"service_id\":\"" kind "@/etc\",\"kind\":\"" kind "\"" more ",\"targets\":[" targets "]}"
#define INVENTORY(services, more)                                                                  \
    "{\"schema\":1,\"started_at\":\"2027-01-15T08:00:00Z\",\"duration_ms\":12,\"services\":"       \
    "[" services "]" more "}"

#endif
