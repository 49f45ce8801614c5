// Result<T>: a value or an Error. Task<T>: a coroutine that yields one.
//
// RD_TRY(name, expression)     declares `name` with the value, or returns the error.
// RD_CHECK(expression)         the same without a value.
// RD_CO_TRY / RD_CO_CHECK      the same inside a coroutine; the co_await stays visible at the call.
#pragma once

#include <redoubt/error.hpp>

#include <boost/asio/awaitable.hpp>

#include <expected>
#include <utility>

namespace redoubt {

template <class T>
using Result = std::expected<T, Error>;

using Unexpected = std::unexpected<Error>;

template <class T>
using Task = boost::asio::awaitable<Result<T>>;

inline Unexpected fail(Error error) { return Unexpected(std::move(error)); }

}  // namespace redoubt

#define RD_CONCAT_(a, b) a##b
#define RD_CONCAT(a, b) RD_CONCAT_(a, b)
#define RD_TRY_(tmp, ret, name, ...)                      \
  auto tmp = __VA_ARGS__;                                 \
  if (!tmp) ret ::redoubt::fail(std::move(tmp).error());  \
  auto name = std::move(*tmp)
#define RD_CHECK_(tmp, ret, ...) \
  auto tmp = __VA_ARGS__;        \
  if (!tmp) ret ::redoubt::fail(std::move(tmp).error())
#define RD_TRY(name, ...) RD_TRY_(RD_CONCAT(rd_try_, __LINE__), return, name, __VA_ARGS__)
#define RD_CO_TRY(name, ...) RD_TRY_(RD_CONCAT(rd_try_, __LINE__), co_return, name, __VA_ARGS__)
#define RD_CHECK(...) RD_CHECK_(RD_CONCAT(rd_check_, __LINE__), return, __VA_ARGS__)
#define RD_CO_CHECK(...) RD_CHECK_(RD_CONCAT(rd_check_, __LINE__), co_return, __VA_ARGS__)
