# What ran is counted, for tests/coverage/run: included where CLM_COVERAGE is ON (preset "coverage").
add_library(clm_flush STATIC ${CMAKE_CURRENT_LIST_DIR}/flush.c ${CMAKE_CURRENT_LIST_DIR}/unconfined.c)
target_include_directories(clm_flush PRIVATE ${PROJECT_SOURCE_DIR})
target_compile_definitions(clm_flush PRIVATE _POSIX_C_SOURCE=200809L CLM_COVERAGE_DIR="${CMAKE_BINARY_DIR}")
target_compile_options(clm_flags INTERFACE --coverage -fprofile-abs-path)
# --undefined: what is asked for too late else, by a static program's libc and by unconfined.c.
# dynamic-undefined-weak: what a preloaded library may have is looked for in it.
target_link_options(clm_flags INTERFACE --coverage
    -Wl,--wrap=_exit,--wrap=execv,--wrap=execve,--undefined=__wrap__exit,-z,dynamic-undefined-weak
    -Wl,--wrap=clm_landlock_restrict,--undefined=clm_landlock_restrict)
target_link_libraries(clm_flags INTERFACE clm_flush)
