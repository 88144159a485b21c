#pragma once
#include "actors/sim/hostile.hpp"
#include "base/random.hpp"

#include <deque>
#include <map>
#include <vector>

namespace banyan::sim {

/// The hostile members of a swarm, acting together. They hold their own keys
/// and the mesh's, and what any member can know.
class liars {
public:
  /// `mesh` outlives this.
  liars(swarm& mesh, std::vector<index> who, std::uint64_t seed);

  /// From now on, every `beat`, until `end`.
  void begin(lie what);
  void end();
  [[nodiscard]] const std::vector<index>& who() const noexcept { return who_; }

private:
  static constexpr duration beat = 500ms;
  static constexpr std::size_t victims = 48;
  static constexpr std::size_t invented_burst = 64;
  static constexpr std::size_t frames_kept = 32;

  void act(std::uint64_t turn);
  void say(index liar, const net::membership_message& m);
  void say_bytes(index liar, net::channel on, const bytes& payload);
  /// As the liar's own word, or that of one whom it invented.
  net::report accuse(const identity& by, incarnation of_its, index subject,
                     bool down = true);
  net::member_document record_of(const identity& key, const node_id& node,
                                 std::uint64_t incarnation,
                                 net::member_word word);
  void choose_victims();
  void accuse_all(index liar);
  void claim_incarnations(index liar);
  void forge_leaves(index liar);
  void flood(index liar);
  void invent(index liar);
  /// Between a liar's own core and its links.
  bool mangle(index liar, index to, net::channel on, bytes& payload);
  bool falsify_pages(index liar, bytes& payload);

  swarm& mesh_;
  std::vector<index> who_;
  seeded_random random_;
  lie what_ = lie::none;
  std::uint64_t turns_ = 0; ///< a timer of an earlier lie does nothing
  std::uint64_t number_ = 1'000'000;
  std::vector<index> victims_;
  std::map<index, std::vector<index>> subjects_; ///< by liar: its own to watch
  struct frame {
    index to;
    net::channel on;
    bytes payload;
  };
  std::map<index, std::deque<frame>> said_; ///< by liar
  std::map<index, std::vector<identity>> invented_;
};

} // namespace banyan::sim
