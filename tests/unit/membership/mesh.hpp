#pragma once
#include "net/membership/membership.hpp"

#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <unordered_map>

namespace banyan::net::testing {

/// Membership cores on a virtual network and clock: links are streams that end
/// with their process, dials are refused or time out, frames take a while. One
/// seed gives one course of events.
class mesh {
public:
  struct event {
    time_point at;
    membership_effect what;
  };

  struct machine {
    explicit machine(identity k) : key{std::move(k)} {}
    identity key;
    std::unique_ptr<membership> core;
    boot_id boot;
    incarnation disk;
    bytes members_on_disk;
    std::shared_ptr<const settled_members> settled; ///< or these
    address at;
    bool frozen = false;
    std::vector<std::function<void()>> held; ///< what arrived meanwhile
    time_point armed = never;
    std::map<node_id, address> wanted;
    std::map<node_id, duration> backoff;
    std::vector<event> log; ///< all effects but frames
    [[nodiscard]] bool up() const { return core != nullptr; }
  };

  explicit mesh(std::uint64_t seed) : random_{seed} {}

  time_point now = time_point{} + 1h;
  /// How long a frame takes.
  duration latency_low = 100us;
  duration latency_high = 600us;
  /// Of a packet to be lost: its stream stands still until it was sent again,
  /// after 200 ms, and twice that when it is lost again.
  double loss = 0;
  /// For every process that starts.
  std::function<void(membership_config&)> every;

  /// A new machine with its own key; not started.
  std::size_t add();
  /// A machine with a copy of another's data directory.
  std::size_t clone_of(std::size_t original, const address& elsewhere);
  /// Starts a process on machine `i`; it joins at machine `seed`.
  void start(std::size_t i, std::optional<std::size_t> seed = {},
             const std::function<void(membership_config&)>& change = {});
  /// `n` machines, all joined at the first; runs until all see all alive.
  void found(std::size_t n);
  /// `n` machines that know each other from before, all started within a
  /// second; runs until each holds all the others' records of this boot.
  void found_again(std::size_t n);
  /// `n` machines that go on with each other, as if they had never stopped.
  void found_settled(std::size_t n);
  /// Each running node holds the present record of each other, as alive.
  bool agreed();
  void run_for(duration d);
  /// @returns how long it took, or nothing after `limit`.
  std::optional<duration> run_until(const std::function<bool()>& done,
                                    duration limit);

  /// The same for what takes long to find out: asks every `step` only.
  std::optional<duration> run_until(const std::function<bool()>& done,
                                    duration limit, duration step);

  void kill(std::size_t i);   ///< kill -9: its streams end, its port is closed
  void unplug(std::size_t i); ///< it is gone and says nothing at all
  void freeze(std::size_t i); ///< SIGSTOP: streams stay, nobody reads
  void thaw(std::size_t i);
  /// Frames between the two go nowhere, and dials time out.
  void sever(std::size_t a, std::size_t b, bool yes = true);
  void split(const std::set<std::size_t>& side, bool yes = true);

  machine& operator[](std::size_t i) { return *machines_[i]; }
  membership& core(std::size_t i) { return *machines_[i]->core; }
  [[nodiscard]] const node_id& id(std::size_t i) const {
    return machines_[i]->key.id();
  }
  [[nodiscard]] std::size_t size() const { return machines_.size(); }
  [[nodiscard]] const mesh_id& mesh_name() const { return mesh_; }
  std::optional<member_state> sees(std::size_t who, std::size_t whom) {
    return core(who).state_of(id(whom));
  }
  /// All running, unfrozen nodes think that of `whom`.
  bool all_see(std::size_t whom, member_state s);
  /// All running nodes see all running nodes alive, and hold the same records.
  bool settled();
  [[nodiscard]] bool linked(std::size_t a, std::size_t b) const;
  /// A report that `observer` signs, in the incarnations that both have now.
  report says(std::size_t observer, std::size_t subject, std::uint64_t number,
              bool down = true);
  /// Machine `i` boots three times more and then from what its disk held
  /// before. @returns its last incarnation before that.
  incarnation boot_from_old_image(std::size_t i);
  /// A frame that `from` never made, on its link to `to`.
  void inject(std::size_t from, std::size_t to, channel on, const bytes& b);
  /// Calls a core directly; its effects are carried out.
  void call(std::size_t i,
            const std::function<void(membership&, membership_effects&)>& f);
  template <class Effect>
  std::vector<std::pair<time_point, Effect>> all(std::size_t i) const {
    std::vector<std::pair<time_point, Effect>> found;
    for (const auto& e : machines_[i]->log)
      if (const auto* x = std::get_if<Effect>(&e.what))
        found.emplace_back(e.at, *x);
    return found;
  }
  std::size_t index_of(const node_id& node, std::size_t from) const;

  std::uint64_t frames = 0;
  std::uint64_t frame_bytes = 0;
  /// The same by kind of frame; beats under 0.
  std::array<std::uint64_t, 24> bytes_by_kind{};
  std::uint64_t trace = 0; ///< a hash of all that happened

private:
  void share_all();
  struct task {
    time_point at;
    std::uint64_t order;
    std::function<void()> run;
    bool operator<(const task& o) const {
      return at != o.at ? o.at < at : o.order < order;
    }
  };
  void enlist(std::size_t i) { by_id_[id(i)].push_back(i); }
  using pair = std::pair<std::size_t, std::size_t>;
  struct stream {
    link_id id;
    boot_id boot_a, boot_b; ///< of the smaller and the larger index
    bool a_dialled = false;
    time_point clear_a{}, clear_b{}; ///< frames keep their order
  };

  static pair key_of(std::size_t a, std::size_t b) {
    return a < b ? pair{a, b} : pair{b, a};
  }
  void at(time_point t, std::function<void()> run);
  duration latency() { return random_.between(latency_low, latency_high); }
  duration transit();
  void carry_out(std::size_t i, membership_effects effects);
  void arm(std::size_t i);
  void dial(std::size_t from, const address& to, const node_id& want);
  void dial_later(std::size_t from, const node_id& to);
  void connect(std::size_t from, std::size_t to);
  /// `why` is what the far ends see; the near end hears nothing by itself.
  void end_links(std::size_t i, link_end why);
  void end_link(const pair& k, link_end seen_by_a, link_end seen_by_b);
  link_info info(const pair& k, const stream& s, std::size_t seen_by) const;
  void deliver(std::size_t to, std::function<void()> what);
  bool cut_between(std::size_t a, std::size_t b) const {
    return severed_.count(key_of(a, b)) > 0;
  }

  seeded_random random_;
  mesh_id mesh_{std::array<std::uint8_t, 32>{7}};
  std::vector<std::unique_ptr<machine>> machines_;
  std::unordered_map<node_id, std::vector<std::size_t>> by_id_;
  std::priority_queue<task> tasks_;
  std::uint64_t order_ = 0;
  std::uint64_t links_made_ = 0;
  std::map<pair, stream> links_;
  std::set<pair> severed_;
};

} // namespace banyan::net::testing
