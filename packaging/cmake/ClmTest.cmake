# clm_test(LABEL NAME SOURCES f... DEPS t...): one test binary, run by ctest under LABEL.
# cmocka does not discover tests: -Werror=unused-function makes an unregistered one not compile.
if(BUILD_TESTING)
    clm_find_library(cmocka cmocka cmocka.h libcmocka-dev)
endif()
function(clm_test label name)
    cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
    add_executable(${name} ${A_SOURCES})
    target_link_libraries(${name} PRIVATE ${A_DEPS} clm_flags cmocka)
    target_compile_options(${name} PRIVATE -Werror=unused-function)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    add_test(NAME ${label}.${name} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    set_tests_properties(${label}.${name} PROPERTIES LABELS ${label} TIMEOUT 120)
endfunction()
