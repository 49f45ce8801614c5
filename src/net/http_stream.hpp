// A response whose body goes on: events, for example. A handler that wants one sets
// HttpResponse::stream; its head leaves at once, chunked to an HTTP/1.1 client, and the body is
// then whatever is sent here until end().
//
//   response.content_type = "text/event-stream";
//   response.stream = [this](std::shared_ptr<ResponseStream> stream) { follow(std::move(stream));
//   };
//
// What the peer has not taken yet waits in a bounded queue. A source that can wait looks at
// queued() and goes on at on_drained; one that cannot lets the stream end when send() says that it
// is full. A peer that takes nothing for the server's write_timeout is cut off.
//
// Whoever ends it (the source, the peer, a drain of the server, a full queue), on_closed is called
// exactly once, and nothing after it. The connection closes with the stream. A response to HEAD has
// no stream.
//
// Threads: the server's.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

namespace redoubt::net {

class ResponseStream {
 public:
  virtual ~ResponseStream() = default;

  // Appends to the body. False: it has ended, now or before, and nothing was sent.
  virtual bool send(std::string_view bytes) = 0;
  // After what was sent. Calls on_closed before it returns.
  virtual void end() = 0;

  virtual bool open() const = 0;
  virtual std::size_t queued() const = 0;  // Bytes that the peer has not taken.

  // Set these in the function that gets the stream. They may end the stream and let go of it.
  std::function<void()> on_closed;
  std::function<void()> on_drained;  // Something was queued, and nothing is any more.
};

using StreamStart = std::function<void(std::shared_ptr<ResponseStream>)>;

}  // namespace redoubt::net
