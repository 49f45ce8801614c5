// Names of invalidations by tenant, each with a value, and whether an entry answers to one of them.
//
// Bounded: more globs of a tenant than its generations have room for, which an entry would have to
// be matched with one by one, are everything of it. And where there is no room for one more name,
// the names of the tenant that has the most become one, everything of that tenant. Only a tenant
// that has none yet, beside as many as there is room for with one each, finds no room.
//
// Value: absorb() makes of two of a tenant the one of everything.
//
// Threads: one at a time.
#pragma once

#include "base/text.hpp"
#include "services/cache/generations.hpp"
#include "services/cache/names.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <ranges>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace redoubt::cache {

template <class Value>
class HeldNames {
 public:
  // In byte order: "" comes first, and globs stand together.
  using Names = std::map<std::string, Value, std::less<>>;
  using Tenants = std::map<std::string, Names, std::less<>>;

  explicit HeldNames(std::size_t max) : max_(max) {}

  // What stands for the name is held with this value from now on: the name, or everything of the
  // tenant. Null: no room.
  Value* put(std::string_view tenant, std::string_view name, Value value) {
    if (!make_room(tenant, name)) return nullptr;
    Names& names = of(tenant);
    const bool is_one_more = name.starts_with(kGlobName) && !names.contains(name);
    const bool too_many = is_one_more && globs_of(names) >= Generations::kGlobsMax;
    if (name.empty() || too_many || names.contains(std::string_view())) {
      return &become_everything(names, std::move(value));
    }
    const auto [at, added] = names.insert_or_assign(std::string(name), std::move(value));
    size_ += added ? 1 : 0;
    return &at->second;
  }

  Value* find(std::string_view tenant, std::string_view name) {
    const auto names = tenants_.find(tenant);
    if (names == tenants_.end()) return nullptr;
    const auto held = names->second.find(name);
    return held == names->second.end() ? nullptr : &held->second;
  }

  // If it is held and `may_go` says so of it.
  template <class MayGo>
  void erase(std::string_view tenant, std::string_view name, MayGo&& may_go) {
    const auto names = tenants_.find(tenant);
    if (names == tenants_.end()) return;
    const auto held = names->second.find(name);
    if (held == names->second.end() || !may_go(std::as_const(held->second))) return;
    names->second.erase(held);
    --size_;
    if (names->second.empty()) tenants_.erase(names);
  }

  // All that `may_go` says so of.
  template <class MayGo>
  void erase_if(MayGo&& may_go) {
    for (auto names = tenants_.begin(); names != tenants_.end();) {
      const auto gone = [&](const auto& held) { return may_go(held.second); };
      size_ -= std::erase_if(names->second, gone);
      names = names->second.empty() ? tenants_.erase(names) : std::next(names);
    }
  }

  // Whether `counts` says so of a name that an entry answers to.
  template <class Counts>
  bool any(std::string_view tenant, std::string_view key, const std::vector<std::string>& tags,
           Counts&& counts) const {
    const auto found = tenants_.find(tenant);
    if (found == tenants_.end()) return false;
    const Names& names = found->second;
    const auto holds = [&](std::string_view name) {
      const auto held = names.find(name);
      return held != names.end() && counts(held->second);
    };
    if (holds(std::string_view()) || any_name_of(key, tags, holds)) return true;
    const std::string_view first_glob(&kGlobName, 1);
    for (auto glob = names.lower_bound(first_glob); glob != names.end(); ++glob) {
      if (glob->first.front() != kGlobName) break;
      const std::string_view pattern = std::string_view(glob->first).substr(1);
      if (counts(glob->second) && glob_match(pattern, key)) return true;
    }
    return false;
  }

  std::size_t size() const { return size_; }
  Tenants& tenants() { return tenants_; }

 private:
  static std::size_t globs_of(const Names& names) {
    const auto is_glob = [](const auto& held) { return held.first.starts_with(kGlobName); };
    const auto first = names.lower_bound(std::string_view(&kGlobName, 1));
    return static_cast<std::size_t>(
        std::ranges::distance(std::ranges::subrange(first, names.end()) |
                              std::views::take_while(is_glob)));
  }
  Names& of(std::string_view tenant) {
    const auto known = tenants_.find(tenant);
    return known != tenants_.end() ? known->second : tenants_[std::string(tenant)];
  }

  Value& become_everything(Names& names, Value value) {
    size_ -= names.size();
    names.clear();
    ++size_;
    return names.emplace(std::string(), std::move(value)).first->second;
  }

  bool make_room(std::string_view tenant, std::string_view name) {
    if (size_ < max_) return true;
    const auto known = tenants_.find(tenant);
    const bool has_some = known != tenants_.end();
    if (has_some && (name.empty() || known->second.contains(name) ||
                     known->second.contains(std::string_view()))) {
      return true;
    }
    const auto by_size = [](const auto& held) { return held.second.size(); };
    auto most = std::ranges::max_element(tenants_, {}, by_size);
    if (most == tenants_.end() || most->second.size() < 2) most = known;
    if (most == tenants_.end()) return false;
    Value all;
    for (auto& [_, value] : most->second) all.absorb(std::move(value));
    become_everything(most->second, std::move(all));
    return true;
  }

  const std::size_t max_;
  Tenants tenants_;
  std::size_t size_ = 0;
};

}  // namespace redoubt::cache
