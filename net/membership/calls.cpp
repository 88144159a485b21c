// The calls from outside. Each begins and ends in the same way: see
// `state::begin` and `state::finish`.
#include "net/membership/detail/state.hpp"
#include "net/membership/membership.hpp"

namespace banyan::net {

membership::membership(membership_config config, random_source& random,
                       time_point now)
    : s_{std::make_unique<state>(std::move(config), random, now)} {
}
membership::~membership() = default;

void membership::start(time_point now, membership_effects& out) {
  s_->start(now, out);
  s_->finish(now, out);
}

void membership::on_incarnation_persisted(incarnation value, time_point now,
                                          membership_effects& out) {
  s_->begin(now);
  s_->incarnation_persisted(value, now, out);
  s_->finish(now, out);
}

void membership::on_link_up(const link_info& link, time_point now,
                            membership_effects& out) {
  s_->begin(now);
  s_->link_up(link, now, out);
  s_->finish(now, out);
}

void membership::on_link_down(const link_info& link, link_end why,
                              time_point now, membership_effects& out) {
  s_->begin(now);
  s_->link_down(link, why, now, out);
  s_->finish(now, out);
}

void membership::on_dial_failed(const node_id& node, dial_error why,
                                time_point now, membership_effects& out) {
  s_->begin(now);
  s_->dial_failed(node, why, now, out);
  s_->finish(now, out);
}

void membership::on_frame(const node_id& from, channel on, const_bytes payload,
                          time_point now, membership_effects& out) {
  s_->begin(now);
  if (s_->frame(from, on, payload, now, out))
    s_->finish(now, out);
}

void membership::on_message(const node_id& from, const membership_message& m,
                            time_point now, membership_effects& out) {
  s_->begin(now);
  s_->message(from, m, now, out);
  s_->finish(now, out);
}

void membership::on_beat(const node_id& from, const beat_message& m,
                         time_point now, membership_effects& out) {
  s_->begin(now);
  if (s_->beat(from, m, now, out))
    s_->finish(now, out);
}

void membership::on_heard(const node_id& from, time_point now,
                          membership_effects& out) {
  s_->begin(now);
  if (s_->heard(from, now, out))
    s_->finish(now, out);
}

void membership::on_probed(std::uint64_t token,
                           const result<probe_answer, dial_error>& answer,
                           time_point now, membership_effects& out) {
  s_->begin(now);
  s_->probed(token, answer, out);
  s_->finish(now, out);
}

void membership::on_own_key_met(const boot_id& boot, const address& at,
                                time_point now, membership_effects& out) {
  s_->begin(now);
  s_->own_key_met(boot, at, out);
  s_->finish(now, out);
}

void membership::use_link(const node_id& node, time_point now,
                          membership_effects& out) {
  s_->begin(now);
  s_->use_link(node, now, out);
  s_->finish(now, out);
}

bool membership::release_link(const node_id& node, time_point now,
                              membership_effects& out) {
  s_->begin(now);
  const bool released = s_->release_link(node, now, out);
  s_->finish(now, out);
  return released;
}

void membership::set_shares_group(const node_id& node, bool shares) {
  s_->set_shares_group(node, shares);
}

void membership::set_leads(const node_id& node, std::uint64_t hash) {
  s_->set_leads(node, hash);
}

void membership::set_oldest_fsync(std::optional<time_point> since) {
  s_->set_oldest_fsync(since);
}

void membership::set_own(std::uint8_t tier, const node_capacity& capacity,
                         time_point now, membership_effects& out) {
  s_->begin(now);
  s_->set_own(tier, capacity);
  s_->finish(now, out);
}

void membership::set_allowed(std::function<bool(const node_id&)> may) {
  s_->allowed_ = std::move(may);
}

void membership::set_doubts(std::vector<member_doubt> doubts, time_point now,
                            membership_effects& out) {
  s_->begin(now);
  s_->set_doubts(std::move(doubts));
  s_->finish(now, out);
}

std::vector<node_id> membership::observers(const node_id& node) const {
  return s_->observers(node);
}

void membership::leave(time_point now, membership_effects& out) {
  s_->begin(now);
  s_->leave(now, out);
  s_->finish(now, out);
}

time_point membership::deadline() const {
  return s_->due();
}

void membership::on_tick(time_point now, membership_effects& out) {
  s_->begin(now);
  s_->tick(now, out);
  s_->finish(now, out);
}

const node_id& membership::self() const noexcept {
  return s_->own().node;
}

const member_record& membership::own() const noexcept {
  return s_->own();
}

std::vector<member_view> membership::members() const {
  return s_->views();
}

std::optional<member_view> membership::find(const node_id& node) const {
  return s_->view(node);
}

void membership::each(
    const std::function<void(const member_record&, member_state)>& f) const {
  s_->book().each(
      [&](const node_id&, const auto& m) { f(m.record(), m.state); });
}

std::shared_ptr<const settled_members> membership::settled() const {
  return s_->settled();
}

std::optional<join_progress> membership::joining() const {
  return s_->joining();
}

std::vector<node_id> membership::linked() const {
  return s_->linked();
}

bool membership::full() const {
  return s_->full();
}

std::optional<member_state> membership::state_of(const node_id& n) const {
  const auto* m = s_->book().find(n);
  return m != nullptr ? std::optional{m->state} : std::nullopt;
}

bool membership::hears(const node_id& node) const {
  return s_->hears(node);
}

bool membership::hears(const node_id& observer, const node_id& subject) const {
  return s_->hears(observer, subject);
}

duration membership::fsync_age(const node_id& node) const {
  return s_->fsync_age(node);
}

const membership_counters& membership::counters() const noexcept {
  return s_->counters();
}

} // namespace banyan::net
