# clm_library(NAME SOURCES f... [DEPS t...] [PRIVATE_DEPS t...]): one static library per folder.
# PRIVATE_DEPS: third-party libraries this folder owns; their headers are for its own files only.
function(clm_library name)
    cmake_parse_arguments(A "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
    add_library(${name} STATIC ${A_SOURCES})
    target_link_libraries(${name} PUBLIC clm_flags ${A_DEPS} PRIVATE ${A_PRIVATE_DEPS})
endfunction()

# clm_find_library(VAR NAME HEADER PACKAGE): a third-party library that ships no CMake or pkg-config
# file everywhere; PACKAGE is what to install, for the error message.
function(clm_find_library target name header package)
    find_library(${target}_LIBRARY ${name})
    find_path(${target}_INCLUDE ${header})
    if(NOT ${target}_LIBRARY OR NOT ${target}_INCLUDE)
        message(FATAL_ERROR "lib${name} (${header}) is missing: install ${package}, or run packaging/install-deps")
    endif()
    add_library(${target} INTERFACE IMPORTED GLOBAL)
    set_target_properties(${target} PROPERTIES
        INTERFACE_LINK_LIBRARIES "${${target}_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${${target}_INCLUDE}")
endfunction()
