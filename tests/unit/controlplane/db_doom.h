/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db_doom - a database, or a thread that is to start, that fails when a test says so
 *
 * Works by the linker, as sabotage does, with which it can be used together: a test that uses it is
 * linked with clm_test_db_doom(NAME), which wraps the calls of db_doom.c. They fail in whatever thread
 * they are made.
 */
#ifndef CLM_TESTS_UNIT_CONTROLPLANE_DB_DOOM_H
#define CLM_TESTS_UNIT_CONTROLPLANE_DB_DOOM_H

#include <stdbool.h>

/* Call n (from 1) fails, until db_doom_off(). */
void db_doom_on(unsigned n);
/* True if so many calls were made, and the last of them failed. */
bool db_doom_off(void);
/* Calls made since db_doom_on(). */
unsigned db_doom_calls(void);

#endif
