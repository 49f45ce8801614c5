# Compilers, warnings, hardening, and the three functions every module's CMakeLists.txt uses:
# redoubt_module(), redoubt_test() and redoubt_embed().

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  message(FATAL_ERROR
    "GCC ${CMAKE_CXX_COMPILER_VERSION} destroys some temporaries twice in expressions with co_await "
    "(docs/decisions/0002-compilers.md). Use Clang 19 (apt-get install clang-19, then "
    "-DCMAKE_CXX_COMPILER=clang++-19) or GCC 13 or later.")
elseif(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 19)
  message(FATAL_ERROR
    "Clang ${CMAKE_CXX_COMPILER_VERSION} has no std::expected with libstdc++. Use Clang 19 or later.")
endif()

find_program(REDOUBT_CCACHE ccache)
if(REDOUBT_CCACHE)
  # A clone finds what another one has built: paths count from the root of the tree, and a precompiled
  # header, which has its own path in it, is known by what it was made of (redoubt_precompile).
  set(CMAKE_CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND};-E;env;CCACHE_BASEDIR=${CMAKE_SOURCE_DIR};CCACHE_NOHASHDIR=1;CCACHE_PCH_EXTSUM=1;CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime;${REDOUBT_CCACHE}")
endif()

if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # CMake names the header as well, in a way that ccache takes for part of the compilation.
  set(CMAKE_CXX_COMPILE_OPTIONS_USE_PCH -include-pch <PCH_FILE>)
endif()

# redoubt_precompile(target header): what the targets that reuse it share. The header has only others'
# headers in it.
function(redoubt_precompile target header)
  target_precompile_headers(${target} PRIVATE ${header})
  if(NOT REDOUBT_CCACHE OR NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    return()
  endif()
  set_target_properties(${target} PROPERTIES CXX_COMPILER_LAUNCHER "")  # It would come with a path.
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} ${CMAKE_CXX23_STANDARD_COMPILE_OPTION} -M ${header}
                  OUTPUT_VARIABLE made_of COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "/[^ \\\n]+" made_of "${made_of}")
  set(sums "")
  foreach(file IN LISTS made_of)
    file(SHA256 ${file} sum)
    string(APPEND sums ${sum})
  endforeach()
  string(SHA256 sum "${sums}")
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/CMakeFiles/${target}.dir/cmake_pch.hxx.pch.sum
       CONTENT "${sum}\n")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${made_of})
endfunction()

add_library(redoubt_flags INTERFACE)
target_compile_options(redoubt_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast -Werror
  -fstack-protector-strong)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(redoubt_flags INTERFACE -Wthread-safety)
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>")
  add_link_options(-fuse-ld=lld)
endif()
if(REDOUBT_SANITIZE)
  add_compile_options(-fsanitize=${REDOUBT_SANITIZE} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer -g1)  # A report needs lines, not types.
  add_link_options(-fsanitize=${REDOUBT_SANITIZE})
  if(REDOUBT_SANITIZE MATCHES "undefined")
    # Coroutine frames and -fsanitize=function do not link on this Clang.
    add_compile_options(-fno-sanitize=function)
  endif()
endif()
if(REDOUBT_BUILD_FUZZERS)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT REDOUBT_SANITIZE)
  # OpenSSF compiler hardening guide, July 2024.
  add_compile_options(-g1 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -D_GLIBCXX_ASSERTIONS
                      -fstack-clash-protection -fcf-protection)
  add_link_options(-pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--gc-sections)
  add_compile_options(-ffunction-sections -fdata-sections)
  # Where it was built is nobody's business, and two places build the same bytes.
  add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
endif()

if(REDOUBT_PROFILE STREQUAL "collect")
  add_compile_options(-fprofile-generate -fprofile-update=atomic)
  add_link_options(-fprofile-generate)
elseif(REDOUBT_PROFILE)
  # What the profile does not name was never run.
  add_compile_options(-fprofile-use=${REDOUBT_PROFILE} -Wno-profile-instr-unprofiled -flto=thin)
  add_link_options(-flto=thin)
endif()

add_compile_definitions(BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_VISIBILITY)

find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json url)
find_package(OpenSSL 3 REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(PostgreSQL REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(tomlplusplus REQUIRED)

# One precompiled header for everything: the standard library, fmt, and Asio's coroutine vocabulary.
# Beast, TLS and SQLite stay in the files that need them.
add_library(redoubt_pch STATIC ${CMAKE_CURRENT_LIST_DIR}/pch.cpp)
redoubt_precompile(redoubt_pch ${CMAKE_CURRENT_LIST_DIR}/pch.hpp)
target_link_libraries(redoubt_pch PUBLIC redoubt_flags Boost::headers fmt::fmt Threads::Threads)

# redoubt_module(name SOURCES a.cpp ... [DEPS module ...] [LINK target ...])
# A static library redoubt_<name>. Tests beside the sources (*_test.cpp) become <name>_tests.
function(redoubt_module name)
  cmake_parse_arguments(ARG "" "TESTS_IN" "SOURCES;DEPS;LINK" ${ARGN})
  if(ARG_SOURCES)
    set(scope PUBLIC)
    add_library(redoubt_${name} STATIC ${ARG_SOURCES})
    target_precompile_headers(redoubt_${name} REUSE_FROM redoubt_pch)
  else()
    set(scope INTERFACE)  # A module of headers.
    add_library(redoubt_${name} INTERFACE)
  endif()
  target_include_directories(redoubt_${name} ${scope} ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(redoubt_${name} ${scope} redoubt_flags Boost::headers fmt::fmt Threads::Threads)
  foreach(dep IN LISTS ARG_DEPS)
    target_link_libraries(redoubt_${name} ${scope} redoubt_${dep})
  endforeach()
  target_link_libraries(redoubt_${name} ${scope} ${ARG_LINK})
  if(REDOUBT_BUILD_TESTS)
    if(NOT ARG_TESTS_IN)
      set(ARG_TESTS_IN ${CMAKE_CURRENT_SOURCE_DIR})
    endif()
    file(GLOB_RECURSE tests CONFIGURE_DEPENDS ${ARG_TESTS_IN}/*_test.cpp)
    if(tests)
      redoubt_test(${name}_tests SOURCES ${tests} DEPS ${name})
    endif()
  endif()
endfunction()

# What is tested is optimised, its tests need not be. -fPIC as the precompiled headers are made.
set(REDOUBT_TEST_OPTIONS -fPIC $<$<CONFIG:Release>:-O1>)
if(REDOUBT_BUILD_TESTS)
  find_package(GTest REQUIRED)
  # Of test programs, and what is compiled once for all of them.
  add_library(redoubt_test_pch STATIC ${PROJECT_SOURCE_DIR}/tests/support/run.cpp)
  target_compile_options(redoubt_test_pch PRIVATE ${REDOUBT_TEST_OPTIONS})
  redoubt_precompile(redoubt_test_pch ${CMAKE_CURRENT_LIST_DIR}/test_pch.hpp)
  target_include_directories(redoubt_test_pch PUBLIC ${PROJECT_SOURCE_DIR}
                             ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(redoubt_test_pch PUBLIC redoubt_flags Boost::headers fmt::fmt
                        Threads::Threads GTest::gmock)
endif()

# redoubt_test(name SOURCES ... DEPS module ...): a GoogleTest program, one ctest entry per program.
function(redoubt_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_compile_options(${name} PRIVATE ${REDOUBT_TEST_OPTIONS})
  target_precompile_headers(${name} REUSE_FROM redoubt_test_pch)
  # For tests that compare a file of the tree with the code.
  target_compile_definitions(${name} PRIVATE SOURCE_DIRECTORY="${PROJECT_SOURCE_DIR}")
  foreach(dep IN LISTS ARG_DEPS)
    target_link_libraries(${name} PRIVATE redoubt_${dep})
  endforeach()
  target_link_libraries(${name} PRIVATE ${ARG_LINK} redoubt_test_pch GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 900 LABELS unit)
endfunction()

# redoubt_test_on_postgres(name [filter]): the same test program once more, its records on PostgreSQL
# (tests/support/record_home.hpp); where one is installed. Under ASan only the record's own tests, which have
# a filter: what stands on the record handles its memory alike on both engines.
find_program(REDOUBT_INITDB initdb PATHS /usr/lib/postgresql/17/bin /usr/lib/postgresql/16/bin
             /usr/lib/postgresql/15/bin)
function(redoubt_test_on_postgres name)
  target_link_libraries(${name} PRIVATE redoubt_test_record)
  if(REDOUBT_INITDB AND (ARGN OR NOT REDOUBT_SANITIZE MATCHES "address"))
    add_test(NAME ${name}_on_postgresql COMMAND ${name} ${ARGN})
    set_tests_properties(${name}_on_postgresql PROPERTIES
      TIMEOUT 900 LABELS unit ENVIRONMENT REDOUBT_TEST_RECORD=postgresql)
  endif()
endfunction()

# redoubt_embed(target NAMESPACE ns FILES a.sql ...): <target>.hpp with one
# `inline constexpr std::string_view` per file, named after the file ('.', '-' become '_').
function(redoubt_embed target)
  cmake_parse_arguments(ARG "" "NAMESPACE" "FILES" ${ARGN})
  set(header ${CMAKE_CURRENT_BINARY_DIR}/embedded/${target}.hpp)
  add_custom_command(
    OUTPUT ${header}
    COMMAND ${CMAKE_COMMAND} -DOUT=${header} -DNAMESPACE=${ARG_NAMESPACE} "-DFILES=${ARG_FILES}"
            -DBASE=${CMAKE_CURRENT_SOURCE_DIR} -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${ARG_FILES} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    VERBATIM)
  add_custom_target(${target}_generate DEPENDS ${header})
  add_library(${target} INTERFACE)
  add_dependencies(${target} ${target}_generate)
  target_include_directories(${target} INTERFACE ${CMAKE_CURRENT_BINARY_DIR}/embedded)
endfunction()
