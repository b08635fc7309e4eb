/* SPDX-License-Identifier: Apache-2.0 */
/* leak - descriptors, memory and children that are left when a part of the program is over */
#ifndef CLM_TESTS_FAULTS_LEAK_H
#define CLM_TESTS_FAULTS_LEAK_H

#include <stdbool.h>

struct subject_leak {
    int fds;
    long blocks; /* of malloc(), also those of libraries */
};
void subject_leak_begin(struct subject_leak *leak);
/* Prints a line for what was not given back. False if there is something. */
bool subject_leak_end(const struct subject_leak *leak);

#endif
