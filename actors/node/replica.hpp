#pragma once
#include "actors/node/context.hpp"

#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>

namespace banyan::actors {

/// What a replica begins with: what was found on disk, or nothing.
struct replica_start {
  replica_config config;
  std::string app;
  std::uint32_t voters_wanted = 3;
  std::optional<store::recovered_log> log;
  std::optional<store::applied_meta> meta;
};

/// The shell around one `replica_core`: messages in, effects out. Loads the
/// group's small rows first; until then it answers `not_leader`.
class replica_shell : public std::enable_shared_from_this<replica_shell> {
public:
  replica_shell(node_context& ctx, replica_start start);

  void load();
  template <class F>
  void input(F f) {
    if (!started_)
      return;
    f(core_, ctx_.loop.now(), effects_);
    carry_out();
    flush_later();
  }
  void on_page(page_in& in);
  void on_request(request_in& in);
  void on_order(const group_order& o);
  void on_stop();

private:
  void scan_next(bytes from);
  void start_core();
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
  std::uint8_t loading_ = 0; ///< the row kind that is being scanned
  std::vector<store::row> small_rows_;
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
