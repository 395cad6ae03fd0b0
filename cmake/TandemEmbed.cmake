# tandem_embed(TARGET tandem_config NAME kConfigDescriptor FILE /path/to/file NAMESPACE tandem::config)
# adds a source to TARGET that holds the bytes of FILE as
#   namespace tandem::config { extern const std::string_view kConfigDescriptor; }
# FILE may be made by the build.
set(TANDEM_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})

function(tandem_embed)
  cmake_parse_arguments(arg "" "TARGET;NAME;FILE;NAMESPACE" "" ${ARGN})
  set(out ${CMAKE_CURRENT_BINARY_DIR}/embedded_${arg_NAME}.cc)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DIN=${arg_FILE} -DOUT=${out} -DNAME=${arg_NAME}
      -DNAMESPACE=${arg_NAMESPACE} -P ${TANDEM_EMBED_SCRIPT}
    DEPENDS ${arg_FILE} ${TANDEM_EMBED_SCRIPT})
  target_sources(${arg_TARGET} PRIVATE ${out})
endfunction()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  file(READ ${IN} hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n" bytes "${bytes}")
  file(WRITE ${OUT} "// Made from ${IN} by cmake/TandemEmbed.cmake.
#include <string_view>
namespace ${NAMESPACE} {
static const unsigned char kBytes[] = {
${bytes}0};
extern const std::string_view ${NAME};
const std::string_view ${NAME}(reinterpret_cast<const char*>(kBytes), sizeof(kBytes) - 1);
}  // namespace ${NAMESPACE}
")
endif()
