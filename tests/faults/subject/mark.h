/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prctl(2) with this option does nothing but say where the measured part is: argument 1 from here
 * on, 0 no longer. Whatever counts system calls (tests/faults/tracer) goes by it: loading of the
 * program, reading certificates and the scripted server are left out.
 */
#ifndef CLM_TESTS_FAULTS_MARK_H
#define CLM_TESTS_FAULTS_MARK_H

#define SUBJECT_MARK 0x434c4d46

#endif
