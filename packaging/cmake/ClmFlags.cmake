# Warnings, hardening and feature macros for everything we compile: one INTERFACE target.
add_library(clm_flags INTERFACE)
target_compile_options(clm_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wformat=2 -Wundef
    -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wcast-qual -Wcast-align
    -Wwrite-strings -Wpointer-arith -Wvla -Wswitch-enum -Wnull-dereference -Wdouble-promotion
    $<$<C_COMPILER_ID:GNU>:-Wlogical-op;-Wduplicated-cond;-Wduplicated-branches;-Wjump-misses-init>
    # before 12 it takes a compound literal in a designated initialiser for a missing one
    $<$<AND:$<C_COMPILER_ID:GNU>,$<VERSION_LESS:$<C_COMPILER_VERSION>,12>>:-Wno-missing-field-initializers>
    $<$<BOOL:${CLM_WERROR}>:-Werror>)
# Feature macros once, here. A file that needs a Linux-only call defines _GNU_SOURCE itself and then
# must not use strerror_r, whose GNU form differs.
target_compile_definitions(clm_flags INTERFACE
    _POSIX_C_SOURCE=200809L _DEFAULT_SOURCE _FILE_OFFSET_BITS=64
    CLM_VERSION="${PROJECT_VERSION}")
target_include_directories(clm_flags INTERFACE ${PROJECT_SOURCE_DIR})

# Crash points and failing operations (agent/base/fs.h): for tests, never in what is packaged.
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
    option(CLM_TEST_HOOKS "Let tests stop or fail any durable operation" ON)
else()
    option(CLM_TEST_HOOKS "Let tests stop or fail any durable operation" OFF)
endif()
if(CLM_TEST_HOOKS)
    target_compile_definitions(clm_flags INTERFACE CLM_TEST_HOOKS)
endif()

option(CLM_COVERAGE "Count which lines and branches run (gcc)" OFF)
if(CLM_COVERAGE)
    include(tests/coverage/coverage.cmake)
endif()

# Asserts stay in what is packaged: they guard invariants, never input (docs/STYLE.md).
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
set(CMAKE_C_FLAGS_RELEASE "-O2")

# What is packaged is hardened; sanitizers do not go with these flags.
if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
    target_compile_options(clm_flags INTERFACE
        -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection
        -fcf-protection -fPIE -ffunction-sections -fdata-sections)
    target_link_options(clm_flags INTERFACE
        -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--gc-sections -Wl,--as-needed)
endif()
