#include "vectors.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>

namespace banyan::test {

std::optional<nlohmann::json> published_vectors(const std::string& file) {
  const char* dir = std::getenv("BANYAN_VECTORS");
  const std::string path =
      std::string{dir != nullptr ? dir : BANYAN_VECTORS_DEFAULT} + "/" + file;
  std::ifstream in{path};
  if (!in) {
    std::cout << "not run: " << file << " (no " << path << ")\n";
    return std::nullopt;
  }
  return nlohmann::json::parse(in);
}

nlohmann::json committed_vectors(const std::string& file) {
  std::ifstream in{std::string{BANYAN_SOURCE_DIR "/tests/unit/crypto/"} + file};
  EXPECT_TRUE(in.good()) << file;
  return nlohmann::json::parse(in);
}

bytes hex_of(const nlohmann::json& object, const char* member) {
  bytes out;
  if (object.contains(member)) {
    EXPECT_TRUE(from_hex(object[member].get<std::string>(), out)) << member;
  }
  return out;
}

void tally::not_applicable(const std::string& name, const std::string& why) {
  skipped_[why].push_back(name);
}

tally::~tally() {
  std::cout << what_ << ": " << ran_ << " cases ran\n";
  for (const auto& [why, names] : skipped_) {
    std::cout << "  not applicable (" << why << "): " << names.size() << ":";
    for (const auto& name : names)
      std::cout << ' ' << name;
    std::cout << '\n';
  }
}

} // namespace banyan::test
