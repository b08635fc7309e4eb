# clm_test_sabotage(NAME): lets the test NAME use tests/support/sabotage.h. The names are those of sabotage.c.
function(clm_test_sabotage name)
    target_sources(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/sabotage.c)
    foreach(symbol IN ITEMS malloc calloc realloc strdup open64 openat64 fdopen fdopendir opendir readdir64
            fstat64 fstatat64 stat64 lstat64 statx read pread64 write pwrite64 fsync fdatasync ftruncate64 flock
            fchmod fchown lchown fgetxattr flistxattr fsetxattr fremovexattr fstatvfs64 fstatfs64 readlink readlinkat realpath
            getcwd mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 linkat pipe2 dup2 fork waitpid
            socket socketpair connect bind listen accept4 getsockopt setsockopt getsockname send recv poll ppoll signalfd getrandom)
        target_link_options(${name} PRIVATE -Wl,--wrap=${symbol})
    endforeach()
endfunction()
