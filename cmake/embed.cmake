# Writes OUT: the text of each of FILES (below BASE) as a constexpr std::string_view in NAMESPACE (f_<name>),
# and `all`: name and text of each.
set(body "// Generated from text files; edit those.\n#pragma once\n#include <array>\n#include <string_view>\n\nnamespace ${NAMESPACE} {\n")
set(index "")
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME)
  string(REGEX REPLACE "[^A-Za-z0-9]" "_" id "f_${name}")
  file(READ ${BASE}/${file} text HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${text}")
  string(APPEND body "inline constexpr char ${id}_bytes[] = {${bytes}'\\0'};\n"
                     "inline constexpr std::string_view ${id}{${id}_bytes, sizeof ${id}_bytes - 1};\n")
  string(APPEND index "    File{\"${name}\", ${id}},\n")
endforeach()
list(LENGTH FILES count)
string(APPEND body "struct File {\n  std::string_view name;\n  std::string_view text;\n};\n"
                   "inline constexpr std::array<File, ${count}> all{{\n${index}}};\n")
string(APPEND body "}  // namespace ${NAMESPACE}\n")
file(WRITE ${OUT} "${body}")
