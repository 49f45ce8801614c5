// The twin of Redis for copies: the same answers from a map, under a clock that a test moves. What
// Redis does to copies, a test can do to these: lose them, keep them too long, bring old ones back.
//
// Threads: one.
#pragma once

#include "shared/copies.hpp"

#include <redoubt/clock.hpp>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace redoubt::shared {

class MemoryCopies final : public Copies {
 public:
  MemoryCopies(const Clock& clock, Metrics& metrics) : clock_(clock), metrics_(metrics) {}

  boost::asio::awaitable<std::optional<Copy>> get(CopyName name, View view) override;
  boost::asio::awaitable<std::vector<std::optional<Copy>>> get_all(
      std::vector<CopyName> names) override;
  boost::asio::awaitable<WatchedCopy> watch(CopyName name) override;
  boost::asio::awaitable<std::vector<WatchedCopy>> watch_all(std::vector<CopyName> names) override;
  boost::asio::awaitable<Stored> put(CopyName name, Copy copy, Duration life) override;
  boost::asio::awaitable<Stored> put_if_newer(CopyName name, Copy copy, Duration life) override;
  boost::asio::awaitable<Stored> bury(CopyName name, Duration life) override;

  // Answers nothing and takes nothing.
  void fail(bool failing);
  // As one that takes nothing under that name, whatever the tenant.
  void refuse(std::string id) { refused_ = std::move(id); }

  // Told of every change from now on, whoever has read what.
  void tell(CopyListener& listener) { listeners_.push_back(&listener); }
  void tell_no_more(CopyListener& listener) { std::erase(listeners_, &listener); }

  struct Value {
    std::string text;
    BootTime ends;
  };
  using Values = std::map<std::string, Value>;  // By key.
  // What a snapshot of Redis is made of, and put back with.
  Values values() const { return values_; }
  void restore(Values values);
  std::size_t reads() const { return reads_; }

 private:
  std::optional<Copy> find(const CopyName& name);
  WatchedCopy find_watched(const CopyName& name);
  void unwatch();
  Stored set(const CopyName& name, std::string text, Duration life, bool if_newer);

  const Clock& clock_;
  CopyMetrics metrics_;
  Values values_;
  std::vector<CopyListener*> listeners_;
  std::size_t reads_ = 0;
  bool failing_ = false;
  std::string refused_;
};

}  // namespace redoubt::shared
