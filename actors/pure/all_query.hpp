#pragma once
#include "actors/pure/replica_wire.hpp"

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace banyan {

/// Answers of many actors, added up: integers and floats to their sum (a float
/// among them makes it one), maps key by key; nil is nothing.
class answer_sum {
public:
  static constexpr std::size_t entries_max = 16'384; ///< of maps, in all
  static constexpr std::size_t key_bytes_max = std::size_t{1} << 20; ///< theirs

  /// False: it can't be added; `why` says it, and the sum is of no more use.
  bool add(const_bytes value, std::string& why);
  /// As msgpack; nil when nothing was added.
  bool write(bytes& out, std::string& why) const;

private:
  __extension__ typedef __int128 wide;
  struct node {
    enum class kind : std::uint8_t { nothing, integer, real, map };
    kind what = kind::nothing;
    wide sum = 0;
    double real = 0;
    std::map<std::string, node> entries;
  };
  bool add(node& to, reader& in, std::string& why, unsigned depth);
  bool write(const node& n, writer& w, std::string& why) const;

  node root_;
  std::size_t entries_ = 0;
  std::size_t key_bytes_ = 0;
};

/// One query for every actor of an app: pages through the keys of all shards,
/// asks each actor, and adds the answers up, or lists them. Each answer stands
/// for itself: there is no cut through all actors, a sum may hold one side of a
/// transfer without the other.
///
/// Memory: no more keys than `lists_at_once` pages, the sum or the list, and
/// `asked_bytes_max` for the arguments of what is asked at once.
///
/// Pure; the shell asks what `next` says and brings the answers.
class all_query {
public:
  static constexpr std::size_t asked_at_once = 64;
  static constexpr std::size_t lists_at_once = 4;
  static constexpr std::uint64_t page = 1000; ///< keys
  static constexpr std::size_t actors_max = 100'000;
  static constexpr std::size_t listed_bytes_max = std::size_t{1} << 20;
  static constexpr std::size_t asked_bytes_max = std::size_t{4} << 20;

  /// The keys of `shard` behind `after`, `page` of them.
  struct list {
    std::uint32_t shard = 0;
    std::string after;
  };
  struct ask {
    std::uint32_t shard = 0;
    std::string key;
  };
  using step = std::variant<list, ask>;

  /// `argument_bytes`: of the argument, which each of what is asked bears.
  all_query(std::uint32_t shards, bool as_list, std::size_t argument_bytes = 0);

  /// What to ask now; nothing: wait for an answer, or it is over.
  std::optional<step> next();
  void listed(std::uint32_t shard, const reply& r);
  void answered(const ask& a, const reply& r);

  [[nodiscard]] bool over() const { return failed_ || pending() == 0; }
  /// Once over: `{result, actors, consistency, shards: [{shard, actors, from,
  /// to}]}`, `from` and `to` being the lowest and highest index of the answers;
  /// or the reason why not.
  [[nodiscard]] std::optional<bytes> result(bool stale, reply& why) const;

private:
  struct shard {
    std::deque<std::string> keys; ///< to be asked
    std::string after;
    bool more = true;
    bool listing = false;
    std::uint64_t actors = 0;
    log_index from;
    log_index to;
  };
  [[nodiscard]] std::size_t pending() const;
  void fail(reply_status s, std::string message);
  void fail(const reply& r, const std::string& whose);

  bool as_list_;
  std::size_t at_once_;
  std::vector<shard> shards_;
  std::size_t keys_ = 0; ///< to be asked, of all shards
  std::size_t lists_ = 0;
  std::size_t asks_ = 0;
  std::size_t actors_ = 0;
  std::uint32_t turn_ = 0; ///< the shard that is looked at next
  answer_sum sum_;
  std::map<std::string, bytes> answers_; ///< by key, if they are listed
  std::size_t listed_bytes_ = 0;
  bool failed_ = false;
  reply why_;
};

} // namespace banyan
