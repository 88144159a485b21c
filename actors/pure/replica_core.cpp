#include "actors/pure/replica_core.hpp"

#include "actors/pure/replica/impl.hpp"

namespace banyan {

replica_core::replica_core(replica_config config, random_source& random,
                           const app_directory& apps)
    : impl_{std::make_unique<impl>(std::move(config), random, apps)} {
}
replica_core::~replica_core() = default;

bool replica_core::start(recovered_replica recovered, time_point now,
                         replica_effects& out) {
  const bool started = impl_->start(std::move(recovered), now);
  impl_->hand_out(out);
  return started;
}
void replica_core::on_group_frame(const node_id& from, const_bytes frame,
                                  time_point now, replica_effects& out) {
  impl_->on_group_frame(from, frame, now);
  impl_->hand_out(out);
}
void replica_core::on_stream(const stream_frame& frame, time_point now,
                             replica_effects& out) {
  impl_->on_stream(frame, now);
  impl_->hand_out(out);
}
void replica_core::on_answers(const stream_frame& frame, time_point /*now*/,
                              replica_effects& out) {
  impl_->on_answers(frame);
  impl_->hand_out(out);
}
void replica_core::on_evidence(const node_id& node, node_evidence what,
                               time_point now, replica_effects& out) {
  impl_->on_evidence(node, what, now);
  impl_->hand_out(out);
}
void replica_core::on_node_seen(const node_id& node, incarnation seen,
                                time_point now, replica_effects& out) {
  impl_->on_node_seen(node, seen, now);
  impl_->hand_out(out);
}
void replica_core::wake(time_point now, replica_effects& out) {
  impl_->wake(now);
  impl_->hand_out(out);
}
void replica_core::on_log_done(const store::log_done& done, time_point now,
                               replica_effects& out) {
  impl_->on_log_done(done, now);
  impl_->hand_out(out);
}
void replica_core::on_state_recovered(recovered_rows state, time_point now,
                                      replica_effects& out) {
  impl_->on_state_recovered(std::move(state), now);
  impl_->hand_out(out);
}
void replica_core::on_state_committed(
    const store::order_id& order,
    result<store::digest_at, store::store_errc> done, time_point now,
    replica_effects& out) {
  impl_->on_state_committed(order, done, now);
  impl_->hand_out(out);
}
void replica_core::on_row_damaged(bytes key, time_point now,
                                  replica_effects& out) {
  impl_->on_row_damaged(std::move(key), now);
  impl_->hand_out(out);
}
void replica_core::on_state_inconsistent(time_point now, replica_effects& out) {
  impl_->on_state_inconsistent(now);
  impl_->hand_out(out);
}
void replica_core::on_state_read(
    const store::order_id& order,
    result<std::optional<store::row>, store::store_errc> row, time_point now,
    replica_effects& out) {
  impl_->on_state_read(order, std::move(row), now);
  impl_->hand_out(out);
}
void replica_core::on_state_scanned(
    const store::order_id& order,
    result<store::scan_page, store::store_errc> page, time_point now,
    replica_effects& out) {
  impl_->on_state_scanned(order, std::move(page), now);
  impl_->hand_out(out);
}
void replica_core::on_staged(const store::order_id& order,
                             order_stage::step step,
                             result<store::digest_at, store::store_errc> done,
                             time_point now, replica_effects& out) {
  impl_->on_staged(order, step, done, now);
  impl_->hand_out(out);
}
void replica_core::on_turn_results(std::vector<turn_result> results,
                                   time_point now, replica_effects& out) {
  impl_->on_turn_results(std::move(results), now);
  impl_->hand_out(out);
}
void replica_core::on_host_up(time_point now, replica_effects& out,
                              std::uint64_t version) {
  impl_->on_host_up(version, now);
  impl_->hand_out(out);
}
void replica_core::on_host_down(const turn_suspects& died_of, time_point now,
                                replica_effects& out, std::uint64_t version) {
  impl_->on_host_down(version, died_of, now);
  impl_->hand_out(out);
}
void replica_core::on_request(std::uint64_t call, request_frame request,
                              time_point now, replica_effects& out) {
  impl_->on_request(call, std::move(request), now);
  impl_->hand_out(out);
}
void replica_core::forget_call(std::uint64_t call) {
  impl_->forget_call(call);
}
void replica_core::on_copy(std::uint64_t token, copy_step step, time_point now,
                           replica_effects& out) {
  impl_->on_copy(token, step, now);
  impl_->hand_out(out);
}
void replica_core::transfer_leadership(std::uint64_t number,
                                       std::optional<replica_ref> to,
                                       time_point now, replica_effects& out) {
  impl_->transfer_leadership(number, to, now);
  impl_->hand_out(out);
}
void replica_core::add_learner(std::uint64_t number, const replica_ref& who,
                               time_point now, replica_effects& out) {
  impl_->order_change({number, {who}, {}, {}, {}}, now);
  impl_->hand_out(out);
}
void replica_core::change_voters(std::uint64_t number,
                                 std::vector<replica_ref> in,
                                 std::vector<replica_ref> leaving,
                                 time_point now, replica_effects& out) {
  impl_->order_change({number, {}, std::move(in), std::move(leaving), {}}, now);
  impl_->hand_out(out);
}
void replica_core::shrink_voters(std::uint64_t number,
                                 std::vector<replica_ref> leaving,
                                 std::vector<replica_ref> demoted,
                                 time_point now, replica_effects& out) {
  impl_->order_change({number, {}, {}, std::move(leaving), std::move(demoted)},
                      now);
  impl_->hand_out(out);
}
void replica_core::remove_learner(std::uint64_t number, const replica_ref& who,
                                  time_point now, replica_effects& out) {
  impl_->order_change({number, {}, {}, {who}, {}}, now);
  impl_->hand_out(out);
}
void replica_core::set_stopped(std::uint64_t number, bool stopped,
                               time_point now, replica_effects& out) {
  impl_->set_stopped(number, stopped, now);
  impl_->hand_out(out);
}
void replica_core::checkpoint(std::uint64_t number, time_point now,
                              replica_effects& out) {
  impl_->checkpoint(number, now);
  impl_->hand_out(out);
}
void replica_core::set_features(std::uint64_t number, feature_bits bits,
                                time_point now, replica_effects& out) {
  impl_->set_features(number, bits, now);
  impl_->hand_out(out);
}
void replica_core::set_version(std::uint64_t number, version_order order,
                               time_point now, replica_effects& out) {
  impl_->set_version(number, std::move(order), now);
  impl_->hand_out(out);
}
void replica_core::set_parked(bool parked, time_point now,
                              replica_effects& out) {
  impl_->set_parked(parked, now);
  impl_->hand_out(out);
}
void replica_core::set_closed(bool closed, time_point now,
                              replica_effects& out) {
  impl_->set_closed(closed, now);
  impl_->hand_out(out);
}
void replica_core::recover(const lineage_id& lineage, time_point now,
                           replica_effects& out) {
  impl_->recover(lineage, now);
  impl_->hand_out(out);
}
void replica_core::on_tick(time_point now, replica_effects& out) {
  impl_->on_tick(now);
  impl_->hand_out(out);
}
void replica_core::flush(time_point now, replica_effects& out) {
  impl_->flush(now);
  impl_->hand_out(out);
}
time_point replica_core::deadline() const {
  return impl_->deadline();
}
replica_status replica_core::status() const {
  return impl_->status();
}
version_health replica_core::health(time_point now) const {
  return impl_->health(now);
}
const replica_config& replica_core::config() const noexcept {
  return impl_->config();
}

} // namespace banyan
