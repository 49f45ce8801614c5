// What the load programs share: a request made from a template, and connections that know where an
// answer ends.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::bench {

// A raw HTTP request; each "{value}" becomes the value given. Values of one length keep its
// Content-Length right.
class Template {
 public:
  static Template from_file(const std::string& path);

  void write(std::string& out, std::string_view value) const;

 private:
  // What stands before, between and after the places of the value.
  std::vector<std::string> parts_;
};

// The lines of a file, or with "#N" the numbers below N, in eight digits.
class Values {
 public:
  static Values from(const std::string& what);

  std::size_t size() const { return count_; }
  std::string_view at(std::size_t i);

 private:
  std::vector<std::string> lines_;
  std::size_t count_ = 0;
  std::string number_;
};

struct Answer {
  int status = 0;
  std::string_view body;
};

// One keep-alive connection to 127.0.0.1 with at most one request in flight.
class Connection {
 public:
  explicit Connection(int port);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  int fd() const { return fd_; }
  void send(std::string_view request);
  // Takes what has arrived; true when the answer is whole. It is valid until the next send.
  bool receive(Answer& answer);

  double due = 0;

 private:
  int fd_ = -1;
  std::string in_;
};

// Seconds on a clock that no one sets.
double now_seconds();
[[noreturn]] void give_up(const std::string& why);

}  // namespace redoubt::bench
