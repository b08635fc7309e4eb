# clm_test_torture(NAME): lets the test NAME use tests/support/torture.h.
function(clm_test_torture name)
    target_sources(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/torture.c)
    foreach(symbol IN ITEMS malloc calloc realloc strdup free)
        target_link_options(${name} PRIVATE -Wl,--wrap=${symbol})
    endforeach()
endfunction()
