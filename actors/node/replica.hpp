#pragma once
#include "actors/node/context.hpp"

#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>

namespace banyan::actors {

/// What a replica begins with: the log that was found, or nothing.
struct replica_start {
  replica_config config;
  std::string app;
  std::uint32_t voters_wanted = 3;
  std::optional<store::recovered_log> log;
  /// Made just now: it has no state. Otherwise a `state_in` tells of it.
  bool fresh = false;
};

/// The shell around one `replica_core`: messages in, effects out. Votes and
/// appends at once; once it is told of its state it reads the group's small
/// rows and hands both over.
class replica_shell : public std::enable_shared_from_this<replica_shell> {
public:
  replica_shell(node_context& ctx, replica_start start);

  void start();
  template <class F>
  void input(F f) {
    if (!started_)
      return;
    f(core_, ctx_.loop.now(), effects_);
    carry_out();
    flush_later();
  }
  void on_state(state_in& in);
  void on_page(page_in& in);
  void on_request(request_in& in);
  void on_row_damaged(bytes key);
  void on_report(const report_in& in) const;
  void on_health(const health_in& in) const;
  void on_order(const group_order& o);
  void on_stop();
  void on_standing(const standing_in& in) const;
  void on_closing(const closing_in& in);

private:
  void scan_next(bytes from);
  void hand_over_state();
  void flush_later();
  void flush();
  void arm();
  void carry_out();
  void publish_later();
  void publish_now();
  [[nodiscard]] group_view view() const;

  void carry(send_group_frame& e);
  void carry(order_log& e);
  void carry(order_log_cut& e);
  void carry(order_commit& e);
  void carry(order_read& e);
  void carry(order_scan& e);
  void carry(order_stage& e);
  void carry(order_turns& e);
  void carry(answer_call& e);
  void carry(send_stream& e);
  void carry(app_log& e);
  void carry(probe_node& e);
  void carry(role_changed& e);
  void carry(configuration_changed& e);
  void carry(state_phase_changed& e);
  void carry(checkpoint_judged& e);
  void carry(copy_given& e);
  template <class T>
  void carry(T& news) {
    caf::anon_send(ctx_.supervisor, replica_news{group_, std::move(news)});
  }

  struct caller {
    node_id node;
    std::uint64_t call = 0;
  };
  node_context& ctx_;
  group_id group_;
  replica_start start_;
  replica_core core_;
  bool started_ = false;
  bool flush_asked_ = false;
  bool parked_ = false;
  bool conflict_ = false;               ///< as last told
  bool loading_ = false;                ///< the small rows are being read
  bool state_known_ = false;            ///< the core has been told of its state
  std::optional<recovered_rows> state_; ///< what was read of it so far
  std::vector<bytes> suspects_;         ///< damaged rows, told before that
  std::uint64_t lost_ = 0;              ///< times that the state was lost
  std::uint64_t rebuilt_ = 0;
  replica_effects effects_;
  io::timer timer_;
  io::timer publish_timer_;
  bool publish_armed_ = false;
  std::uint64_t view_number_ = 0;
  std::optional<group_view> published_;
  std::uint64_t next_call_ = 0;
  std::unordered_map<std::uint64_t, caller> calls_;
};

struct replica_actor_state {
  static inline const char* name = "replica";
  std::shared_ptr<replica_shell> shell;
};
caf::behavior replica_actor(caf::stateful_actor<replica_actor_state>* self,
                            node_context* ctx, replica_start start);

} // namespace banyan::actors
