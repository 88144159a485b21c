#pragma once
#include "base/bytes.hpp"

#include <nlohmann/json.hpp>

#include <map>
#include <optional>
#include <string>

namespace banyan::test {

/// A file of published vectors from $BANYAN_VECTORS, or from the folder beside
/// the checkout; nothing if that isn't there. Our own committed vectors run in
/// either case.
std::optional<nlohmann::json> published_vectors(const std::string& file);
/// A file of our own, committed in this folder.
nlohmann::json committed_vectors(const std::string& file);

/// The bytes of a hexadecimal member; empty if there is none.
bytes hex_of(const nlohmann::json& object, const char* member);

/// Counts what ran, by file, and says what did not, by name and reason.
class tally {
public:
  explicit tally(std::string what) : what_{std::move(what)} {}
  tally(const tally&) = delete;
  tally& operator=(const tally&) = delete;
  ~tally(); // prints
  void ran() { ++ran_; }
  void not_applicable(const std::string& name, const std::string& why);
  [[nodiscard]] int count() const { return ran_; }

private:
  std::string what_;
  int ran_ = 0;
  std::map<std::string, std::vector<std::string>> skipped_;
};

} // namespace banyan::test
