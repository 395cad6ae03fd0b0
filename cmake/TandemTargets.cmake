# tandem::options carries what every target of ours is compiled with; nothing is set globally.
add_library(tandem_options INTERFACE)
add_library(tandem::options ALIAS tandem_options)
target_compile_options(tandem_options INTERFACE -Wall -Wextra -Wno-unused-parameter
  -Wno-missing-field-initializers $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>)
target_include_directories(tandem_options INTERFACE ${PROJECT_SOURCE_DIR})
if(TANDEM_SANITIZE)
  target_compile_options(tandem_options INTERFACE -fsanitize=${TANDEM_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(tandem_options INTERFACE -fsanitize=${TANDEM_SANITIZE})
endif()

# tandem_library(NAME replay_core SRCS a.cc b.cc DEPS tandem::base PRIVATE_DEPS tandem::torch)
# makes the library tandem_replay_core with the alias tandem::replay_core. DEPS are what its headers
# need; PRIVATE_DEPS what only its sources need.
function(tandem_library)
  cmake_parse_arguments(arg "" "NAME" "SRCS;DEPS;PRIVATE_DEPS" ${ARGN})
  if(arg_SRCS)
    add_library(tandem_${arg_NAME} STATIC ${arg_SRCS})
    target_link_libraries(tandem_${arg_NAME} PUBLIC ${arg_DEPS} PRIVATE tandem::options ${arg_PRIVATE_DEPS})
    target_include_directories(tandem_${arg_NAME} PUBLIC ${PROJECT_SOURCE_DIR})
  else()
    add_library(tandem_${arg_NAME} INTERFACE)
    target_link_libraries(tandem_${arg_NAME} INTERFACE ${arg_DEPS})
    target_include_directories(tandem_${arg_NAME} INTERFACE ${PROJECT_SOURCE_DIR})
  endif()
  add_library(tandem::${arg_NAME} ALIAS tandem_${arg_NAME})
endfunction()

# tandem_binary(NAME tandem_actor SRCS main.cc DEPS ...)
function(tandem_binary)
  cmake_parse_arguments(arg "" "NAME" "SRCS;DEPS" ${ARGN})
  add_executable(${arg_NAME} ${arg_SRCS})
  target_link_libraries(${arg_NAME} PRIVATE tandem::options ${arg_DEPS})
endfunction()

function(tandem_test_properties name labels timeout environment)
  if(NOT timeout)
    set(timeout 60)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${labels}" TIMEOUT ${timeout}
    ENVIRONMENT "TANDEM_SOURCE_DIR=${PROJECT_SOURCE_DIR};TANDEM_BINARY_DIR=${CMAKE_BINARY_DIR};TANDEM_PYTHON=${TANDEM_PYTHON};OMP_WAIT_POLICY=passive;${environment}"
    ENVIRONMENT_MODIFICATION "PATH=path_list_append:${PROJECT_SOURCE_DIR}/.cache/tools/bin")
endfunction()

# tandem_test(NAME replay_core_test SRCS a_test.cc DEPS tandem::replay_core LABELS unit TIMEOUT 60)
# One ctest entry for the whole binary: starting a program that links LibTorch costs 0.3 s.
# LABELS: unit, rpc, torch, integration, system or learning. TIMEOUT [s], default 60.
function(tandem_test)
  cmake_parse_arguments(arg "" "NAME;TIMEOUT" "SRCS;DEPS;LABELS;ENVIRONMENT" ${ARGN})
  if(NOT TANDEM_BUILD_TESTS)
    return()
  endif()
  add_executable(${arg_NAME} ${arg_SRCS})
  target_link_libraries(${arg_NAME} PRIVATE tandem::options ${arg_DEPS} GTest::gmock GTest::gtest_main)
  add_test(NAME ${arg_NAME} COMMAND ${arg_NAME})
  tandem_test_properties(${arg_NAME} "${arg_LABELS}" "${arg_TIMEOUT}" "${arg_ENVIRONMENT}")
endfunction()

# tandem_python_test(NAME arch_test SCRIPT arch_test.py LABELS unit TIMEOUT 60): a test that is a Python
# script; it has the environment of tandem_test.
function(tandem_python_test)
  cmake_parse_arguments(arg "" "NAME;SCRIPT;TIMEOUT" "LABELS;ENVIRONMENT" ${ARGN})
  if(NOT TANDEM_BUILD_TESTS)
    return()
  endif()
  add_test(NAME ${arg_NAME} COMMAND ${TANDEM_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/${arg_SCRIPT})
  tandem_test_properties(${arg_NAME} "${arg_LABELS}" "${arg_TIMEOUT}" "${arg_ENVIRONMENT}")
endfunction()
