#include "base/random.hpp"

#include "base/assert.hpp"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <climits>
#include <utility>

namespace redoubt {
namespace {

// splitmix64 (Steele, Lea, Flood 2014; constants of Vigna's reference implementation).
std::uint64_t splitmix64(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

void generate(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    const std::size_t n = std::min<std::size_t>(out.size(), INT_MAX);
    RD_ASSERT(RAND_bytes(out.data(), static_cast<int>(n)) == 1,
              "the system's random generator failed; continuing would make guessable secrets");
    out = out.subspan(n);
  }
}

// Random bytes of one thread that were made ahead: a call of the generator costs as much for ten
// bytes as for a thousand. Each is wiped as it is given out. They lie on a page that a forked
// process finds empty, so that no two processes give out the same.
class RandomStore {
 public:
  RandomStore() {
    void* const at =
        ::mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return;
    if (::madvise(at, sizeof(Page), MADV_WIPEONFORK) == 0) {
      page_ = static_cast<Page*>(at);
    } else {
      ::munmap(at, sizeof(Page));
    }
  }
  ~RandomStore() {
    if (page_ == nullptr) return;
    OPENSSL_cleanse(page_, sizeof(Page));
    ::munmap(std::exchange(page_, nullptr), sizeof(Page));
  }
  RandomStore(const RandomStore&) = delete;
  RandomStore& operator=(const RandomStore&) = delete;

  // False: not from here.
  bool take(std::span<std::uint8_t> out) {
    if (page_ == nullptr || out.size() > kLargest) return false;
    if (page_->left < out.size()) {
      generate(page_->bytes);
      page_->left = page_->bytes.size();
    }
    page_->left -= out.size();
    std::uint8_t* const from = page_->bytes.data() + page_->left;
    std::copy_n(from, out.size(), out.begin());
    OPENSSL_cleanse(from, out.size());
    return true;
  }

 private:
  static constexpr std::size_t kLargest = 64;
  struct Page {
    std::size_t left;  // From the beginning of `bytes`.
    std::array<std::uint8_t, 1024> bytes;
  };
  Page* page_ = nullptr;
};

}  // namespace

void SystemRandom::fill(std::span<std::uint8_t> out) {
  thread_local RandomStore store;
  if (!store.take(out)) generate(out);
}

// Big-endian, so that next_u64() is the generator's own sequence.
void SeededRandom::fill(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    const std::uint64_t word = splitmix64(state_);
    const std::size_t n = std::min<std::size_t>(out.size(), sizeof word);
    for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<std::uint8_t>(word >> (56 - 8 * i));
    out = out.subspan(n);
  }
}

std::uint64_t FastRandom::next() {
  return splitmix64(state_);
}

}  // namespace redoubt
