#pragma once
#include "actors/pure/uptime/archive.hpp"

#include <optional>
#include <vector>

/// What nodes tell each other of uptime: control frames 45 to 47
/// (docs/wire-groups.md, section 8). Plain data with canonical codecs.
namespace banyan {

/// Please send the documents of the days of which you hold others than I.
struct days_wanted {
  std::optional<node_id> about; ///< none: all that you keep
  day_archive::fingerprints have;
  std::optional<day_archive::place> after; ///< where the last answer ended
};
/// The answer, or what the sender signed just now.
struct days_given {
  static constexpr std::size_t documents_max =
      day_archive::answer_documents_max;
  static constexpr std::size_t bytes_most = std::size_t{256} << 10;

  std::optional<node_id> about; ///< of the question
  bool more = false;            ///< ask again, for what is behind the last
  std::vector<signed_document> documents;
};
/// A policy that an owner signed, for whoever doesn't hold it yet.
struct policy_told {
  signed_document document;
};

/// The bodies of the frames: what follows the kind. The readers fail their
/// reader on anything that isn't within the bounds above.
void write_body(writer& w, const days_wanted& f); // 3 elements
void write_body(writer& w, const days_given& f);  // 3
void write_body(writer& w, const policy_told& f); // 1
void read_body(reader& r, days_wanted& f);
void read_body(reader& r, days_given& f);
void read_body(reader& r, policy_told& f);

} // namespace banyan
