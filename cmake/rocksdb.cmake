# The target `rocksdb`: its archive, with all that it needs, or else the shared library.
#
# Linked into the program RocksDB takes 8 % less CPU for a Query or PutItem: calls within it need no table of addresses,
# and thread-local variables, which it looks at in each step of an iterator, no call. Builds with sanitizers take the
# shared library: their suppressions tell it from our code by its name (tests/sanitizers).

option(STATOR_SHARED_ROCKSDB "link RocksDB's shared library even where its archive would do" OFF)

add_library(rocksdb INTERFACE)

find_library(ROCKSDB_ARCHIVE librocksdb.a)
if(ROCKSDB_ARCHIVE AND NOT STATOR_SANITIZE AND NOT STATOR_SHARED_ROCKSDB)
  # What it was built with differs from release to release; of those named here only what is used is linked.
  set(rocksdb_needs)
  foreach(name snappy bz2 z lz4 zstd gflags uring tbb numa)
    find_library(ROCKSDB_NEEDS_${name} ${name})
    mark_as_advanced(ROCKSDB_NEEDS_${name})
    if(ROCKSDB_NEEDS_${name})
      list(APPEND rocksdb_needs ${ROCKSDB_NEEDS_${name}})
    endif()
  endforeach()
  list(APPEND rocksdb_needs stdc++ Threads::Threads ${CMAKE_DL_LIBS} m)

  include(CheckCSourceCompiles)
  include(CMakePushCheckState)
  cmake_push_check_state(RESET)
  set(CMAKE_REQUIRED_INCLUDES ${ROCKSDB_INCLUDE})
  set(CMAKE_REQUIRED_LIBRARIES ${ROCKSDB_ARCHIVE} ${rocksdb_needs})
  check_c_source_compiles("
    #include <rocksdb/c.h>
    int main(void)
    {
      char *message = 0;
      rocksdb_options_t *options = rocksdb_options_create();
      return rocksdb_open(options, \"x\", &message) == 0;
    }" ROCKSDB_ARCHIVE_LINKS)
  cmake_pop_check_state()
endif()

if(ROCKSDB_ARCHIVE_LINKS AND NOT STATOR_SANITIZE AND NOT STATOR_SHARED_ROCKSDB)
  target_link_options(rocksdb INTERFACE -Wl,--as-needed)
  target_compile_definitions(rocksdb INTERFACE ROCKSDB_ARCHIVE)
  target_link_libraries(rocksdb INTERFACE ${ROCKSDB_ARCHIVE} ${rocksdb_needs})
else()
  find_library(ROCKSDB rocksdb REQUIRED)
  target_link_libraries(rocksdb INTERFACE ${ROCKSDB})
endif()
