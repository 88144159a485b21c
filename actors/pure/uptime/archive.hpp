#pragma once
#include "actors/pure/uptime/score.hpp"
#include "base/random.hpp"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace banyan {

/// The observers' documents that a node keeps, and what they say of each node.
/// Pure; documents come in verified (`open_observation`).
///
/// An observer signs one document a day. Of one that signed two both are kept,
/// so that everybody who has them sees it, and neither counts: its word for
/// that day is void.
class day_archive {
public:
  /// Of these documents: 30 days of a full mesh are 500.
  static constexpr std::size_t documents_max = 8192;
  /// Of one answer of `differing`.
  static constexpr std::size_t answer_documents_max = 64;
  /// Whether a node's word about another counts: whether it is a member that
  /// would observe it (DESIGN section 5).
  using counts =
      std::function<bool(const node_id& observer, const node_id& subject)>;
  /// Of a day's documents, whatever their order: differs when they do.
  using fingerprints = std::map<std::uint32_t, std::uint64_t>;

  enum class outcome : std::uint8_t {
    kept,
    known, ///< it, or two others of that observer and day
    full   ///< `documents_max`
  };
  outcome put(const signed_document& d, observation o);

  /// Drops what is more than `days_kept` days old. @returns the names of the
  /// dropped.
  std::vector<bytes> forget_before(std::uint32_t day);
  /// Where a document stands on disk: day (4 bytes, big endian) ‖ observer ‖
  /// the first 8 bytes of its hash.
  [[nodiscard]] static bytes name_of(const signed_document& d);

  /// @name Of all documents, or of those about one node
  /// @{
  [[nodiscard]] fingerprints
  fingerprints_of(const std::optional<node_id>& about) const;
  /// Where an answer ended: the next one goes on behind it.
  struct place {
    std::uint32_t day = 0;
    node_id observer;
  };
  /// The documents of days of which `theirs` says otherwise, by day and
  /// observer, behind `after`, as many as fit into `bytes_most`; `more`: not
  /// all did.
  [[nodiscard]] std::vector<signed_document>
  differing(const std::optional<node_id>& about, const fingerprints& theirs,
            const std::optional<place>& after, std::size_t bytes_most,
            bool& more) const;
  /// @}

  /// What was put or forgotten since, and all of it after `recount`.
  void refresh(const counts& who);
  void recount();
  /// As of the last `refresh`; null: nothing is known of it.
  [[nodiscard]] const day_results* results(const node_id& node) const;
  [[nodiscard]] bool stale() const noexcept { return !stale_.empty(); }
  /// Observers that signed two documents for one day.
  [[nodiscard]] std::set<node_id> two_faced() const;
  /// This very document.
  [[nodiscard]] bool holds(const signed_document& d) const;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
  struct kept {
    signed_document document;
    observation content;
    digest hash;
    std::size_t bytes = 0;
  };
  /// One, or two that contradict each other.
  using of_observer = std::vector<kept>;
  using of_day = std::map<node_id, of_observer>;

  std::map<std::uint32_t, of_day> days_;
  std::map<node_id, day_results> results_;
  std::set<std::uint32_t> stale_;
  std::size_t size_ = 0;
};

/// One question for documents, asked page by page. Whatever the other end says,
/// it is over after as many pages as an archive has, and each page ends behind
/// the one before it.
class day_pages {
public:
  static constexpr std::size_t pages_max =
      day_archive::documents_max / day_archive::answer_documents_max;

  /// A page ended there, and there is more: whether to ask for it.
  [[nodiscard]] bool goes_on(const day_archive::place& end);
  /// What the next page begins behind; none: it is the first.
  [[nodiscard]] const std::optional<day_archive::place>&
  after() const noexcept {
    return after_;
  }

private:
  std::optional<day_archive::place> after_;
  std::size_t pages_ = 0;
};

/// Whom a node asks for the days that it lacks, and until when: each member
/// once it has a link, and every ten minutes one of those that have. One at a
/// time, so that each is asked only for what those before it lacked. Pure.
class day_questions {
public:
  static constexpr duration answer_within = std::chrono::seconds{10};
  static constexpr std::uint32_t ask_every = 10; ///< minutes

  /// It has a link now.
  void on_link(const node_id& node) { to_ask_.insert(node); }
  /// At each look, when nobody owes an answer: whom to ask now. `linked`: who
  /// may be asked without a reason.
  std::optional<node_id> on_look(day_time now,
                                 const std::vector<node_id>& linked,
                                 random_source& random, time_point at);
  /// A page came from there, and ended so; true: the next one is asked for.
  bool on_page(const node_id& from, bool more,
               const std::optional<day_archive::place>& end, time_point at);
  /// What the page that is asked for begins behind.
  [[nodiscard]] std::optional<day_archive::place> after() const;

private:
  struct question {
    node_id whom;
    time_point until;
    day_pages pages;
  };
  std::set<node_id> to_ask_;
  std::optional<question> asked_;
  std::uint32_t last_minute_ = 0;
};

/// From the documents alone what counts of a node's days: what `day_archive`
/// comes to, for whoever checks it.
[[nodiscard]] day_results results_from(const std::vector<observation>& days,
                                       const std::vector<node_id>& observers,
                                       const node_id& subject);

} // namespace banyan
