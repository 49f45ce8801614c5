// Certificates for a test of TLS, made by openssl in a temporary directory: an authority, and
// servers' certificates that it signed, each with another fault.
#pragma once

#include "tests/support/temporary_directory.hpp"

#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>

namespace redoubt::test {

class Certificates {
 public:
  Certificates() {
    run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "
        "/CN=authority"
        " -keyout ca.key -out ca.crt");
    run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "
        "/CN=localhost"
        " -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout self.key -out self.crt");
    sign("good", "DNS:localhost,IP:127.0.0.1", "-days 2");
    sign("other", "DNS:other.example", "-days 2");
    sign("expired", "DNS:localhost,IP:127.0.0.1", "-days -1");
    sign("client", "DNS:client.example", "-days 2");
  }

  std::string file(const std::string& name) const { return directory_.file(name); }

 private:
  void run(const std::string& arguments) const {
    const std::string line = "cd " + directory_.path() + " && openssl " + arguments + " 2>log";
    if (std::system(line.c_str()) != 0) throw std::runtime_error("openssl " + arguments);
  }

  void sign(const std::string& name, const std::string& names, const std::string& days) const {
    std::ofstream(file(name + ".ext")) << "subjectAltName=" << names << "\n";
    run("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=" + name +
        " -keyout " + name + ".key -out " + name + ".csr");
    run("x509 -req -in " + name + ".csr -CA ca.crt -CAkey ca.key -CAcreateserial " + days +
        " -extfile " + name + ".ext -out " + name + ".crt");
  }

  TemporaryDirectory directory_;
};

}  // namespace redoubt::test
