#include "services/cache/told_message.hpp"

#include "base/json.hpp"
#include "services/cache/names.hpp"

#include <utility>

namespace redoubt::cache {
namespace {

constexpr std::size_t kTenantMax = 256;
// A literal prefix is a glob with each of its characters escaped.
constexpr std::size_t kNameMax = 2 + 2 * kCachePatternMax;

bool is_name(std::string_view name) {
  if (name.empty()) return true;
  const bool known = std::string_view("tpkg").contains(name.front());
  return known && name.size() <= kNameMax;
}

std::string to_text(const ToldInvalidations& told) {
  json::array names;
  for (const std::string& name : told.names) names.emplace_back(name);
  json::object out;
  out["tenant"] = told.tenant;
  out["names"] = std::move(names);
  out["again"] = told.again;
  return to_json(json::value(std::move(out)));
}

}  // namespace

std::string write_told(const ToldInvalidations& told, std::size_t bytes_max) {
  std::string text = to_text(told);
  if (text.size() <= bytes_max) return text;
  return to_text({told.tenant, {std::string()}, told.again});
}

std::optional<ToldInvalidations> read_told(std::string_view text, std::size_t bytes_max) {
  const auto value = parse_json(text, bytes_max);
  if (!value || !value->is_object()) return std::nullopt;
  const json::object& object = value->get_object();
  const json::value* const tenant = object.if_contains("tenant");
  const json::value* const names = object.if_contains("names");
  const json::value* const again = object.if_contains("again");
  const bool whole = tenant != nullptr && tenant->is_string() && names != nullptr &&
                     names->is_array() && again != nullptr && again->is_bool();
  if (!whole) return std::nullopt;
  ToldInvalidations told{std::string(tenant->get_string()), {}, again->get_bool()};
  if (told.tenant.empty() || told.tenant.size() > kTenantMax) return std::nullopt;
  for (const json::value& name : names->get_array()) {
    if (!name.is_string() || !is_name(name.get_string())) return std::nullopt;
    told.names.emplace_back(name.get_string());
  }
  return told;
}

}  // namespace redoubt::cache
