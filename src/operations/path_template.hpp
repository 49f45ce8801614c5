// Path templates: "/api/v1/sessions/{id}". A segment is a literal or one whole parameter.
#pragma once

#include <string_view>
#include <vector>

namespace redoubt::operations {

// The segments of "/a/{b}": "a", "{b}". REQUIRES: path begins with '/'.
std::vector<std::string_view> template_segments(std::string_view path);

// "id" of "{id}"; "" of a literal.
std::string_view parameter_name(std::string_view segment);

// Do they match the same requests, whatever their parameters are called?
bool same_shape(std::string_view a, std::string_view b);

}  // namespace redoubt::operations
