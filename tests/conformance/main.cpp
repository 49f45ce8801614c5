// Ends what the tests have started before the program is torn down.
#include "tests/conformance/backends.hpp"

#include <gtest/gtest.h>

namespace {

class Backends final : public ::testing::Environment {
 public:
  void TearDown() override { redoubt::conformance::stop_backends(); }
};

}  // namespace

int main(int count, char** arguments) {
  ::testing::InitGoogleTest(&count, arguments);
  ::testing::AddGlobalTestEnvironment(new Backends);  // GoogleTest owns it.
  return RUN_ALL_TESTS();
}
