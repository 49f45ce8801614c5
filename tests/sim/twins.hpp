// Our Lua scripts in C++, for the model Redis. Each is the twin of one text, known by its SHA-1: a
// script that was changed has no twin until its twin was changed as well, and the tests of the twins
// say so. That a twin answers as its script does is tested against a real Redis (twins_test.cpp).
#pragma once

#include "tests/sim/keyspace.hpp"
#include "wire/resp.hpp"

#include <cstdint>
#include <span>
#include <string_view>

namespace redoubt::sim {

struct ScriptCall {
  Keyspace& keyspace;
  std::int64_t now_us;  // Of the server's clock.
  std::span<const std::string_view> keys;
  std::span<const std::string_view> arguments;

  std::int64_t now_ms() const { return now_us / 1000; }
};

struct Twin {
  std::string_view name;  // The file of the script.
  std::string_view sha;
  wire::resp::Value (*run)(ScriptCall&);
};

std::span<const Twin> twins();
const Twin* twin_of(std::string_view sha);  // Null: there is none.

}  // namespace redoubt::sim
