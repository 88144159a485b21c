#include "actors/node/hardware.hpp"

#include "actors/loop/coordinator.hpp"
#include "actors/node/names.hpp"
#include "actors/node/node.hpp"
#include "actors/node/uptime.hpp"
#include "actors/pure/admission.hpp"
#include "actors/pure/features.hpp"
#include "actors/pure/hardware/tiers.hpp"

#include <caf/all.hpp>

#include <algorithm>

namespace banyan::actors {
namespace {

/// After the start, or a part of it more: what starts with it comes first.
constexpr duration measure_after = 5s;
/// Then it is measured, though something else has the machine.
constexpr duration measure_patience = 2min;
constexpr duration measure_retry = 10min; ///< what failed
constexpr duration measure_look = 24h;    ///< whether the figures are too old
constexpr std::uint16_t busy_permille = 300;

template <class Records>
const std::string& host_of(const Records& hosts, const node_id& node) {
  static const std::string none;
  const auto at = hosts.find(node);
  return at == hosts.end() ? none : at->second;
}

std::string figures_text(const hardware_figures& f) {
  return std::to_string(f.machine.cores) + " cores, "
         + std::to_string(f.machine.memory_mib) + " MiB, fsync p99 "
         + std::to_string(f.fsync_p99_us) + " us, disk "
         + std::to_string(f.disk_write_mb_s) + " MB/s, crypto "
         + std::to_string(f.crypto_mb_s) + " MB/s";
}

} // namespace

hardware_shell::hardware_shell(node_context& ctx,
                               std::shared_ptr<hardware_probe> probe)
    : ctx_{ctx}, probe_{std::move(probe)},
      challenger_{probe_ ? probe_->rhythm() : challenge_rhythm{}, ctx.random},
      challenged_{probe_ ? probe_->rhythm() : challenge_rhythm{}} {
}

mesh_policy hardware_shell::policy() const {
  return ctx_.uptime == nullptr ? mesh_policy{} : ctx_.uptime->policy();
}

/// Calls are under way here, or a group of this node elects.
bool hardware_shell::busy() const {
  if (ctx_.door != nullptr && ctx_.door->under_way() > 0)
    return true;
  const auto load = ctx_.loads.find(ctx_.self());
  if (load != ctx_.loads.end() && load->second.busy > busy_permille)
    return true;
  return std::any_of(ctx_.replicas.begin(), ctx_.replicas.end(),
                     [&](const auto& r) {
                       const auto* v = ctx_.known.view(r.first);
                       return v == nullptr || v->leader.node.is_none();
                     });
}

void hardware_shell::load() {
  if (!probe_)
    return;
  measure_again_ = ctx_.loop.now() + measure_after
                   + ctx_.random.between(duration{0}, measure_after);
  const auto kept = ctx_.disk.documents->find(
      static_cast<std::uint8_t>(document_kind::hardware), const_bytes{});
  hardware_figures f;
  if (kept && decode(kept->view(), f))
    figures_ = f; // claimed until the machine is looked at
}

void hardware_shell::look() {
  if (ctx_.members == nullptr)
    return;
  const auto now = ctx_.loop.now();
  measure(now);
  claim();
  observe(now);
  tell_doubts();
  count_doubts();
  say_why();
}

void hardware_shell::measure(time_point now) {
  if (!probe_ || measuring_ || now < measure_again_)
    return;
  if (!wanted_since_)
    wanted_since_ = now;
  if ((busy() || probe_->busy()) && now - *wanted_since_ < measure_patience)
    return;
  wanted_since_.reset();
  measure_again_ = now + measure_look;
  measuring_ = true;
  const auto before = figures_;
  probe_->measure(figures_, [weak = weak_from_this(), before](const auto& f) {
    const auto self = weak.lock();
    if (self == nullptr)
      return;
    auto& ctx = self->ctx_;
    self->measuring_ = false;
    if (!f.ok()) {
      self->measure_again_ = ctx.loop.now() + measure_retry;
      ctx.log(log_level::warning,
              "this machine can't be measured: " + f.error());
      return;
    }
    self->figures_ = *f;
    if (before && before->at_unix_ms == f->at_unix_ms)
      return; // those that were kept
    ctx.log(log_level::info, "measured this machine: " + figures_text(*f));
    ctx.disk.documents->put({document(document_kind::hardware, {}, encode(*f))},
                            [](const result<void, store::store_error>&) {});
    self->claim();
  });
}

/// The tier that the figures are worth, in this node's own record.
void hardware_shell::claim() {
  if (!figures_)
    return;
  const auto& is = ctx_.members->own();
  const auto tier = banyan::tier_of(*figures_, policy()).tier;
  auto capacity = is.capacity;
  capacity.cores = figures_->machine.cores;
  capacity.memory_mib = figures_->machine.memory_mib;
  if (is.tier != tier || !(is.capacity == capacity))
    caf::anon_send(ctx_.node, own_hardware_in{tier, capacity, std::nullopt});
}

void hardware_shell::observe(time_point now) {
  if (!probe_)
    return;
  auto& members = *ctx_.members;
  const auto& self = ctx_.self();
  const auto own_host = members.own().address.host;
  std::vector<challenge_subject> subjects;
  const auto add = [&](const node_id& node) {
    if (node == self)
      return;
    const auto m = members.find(node);
    // On this machine there is nothing to be learnt that isn't known.
    if (!m || m->record.word != net::member_word::normal
        || m->state == net::member_state::left
        || m->record.address.host == own_host)
      return;
    const auto all = members.observers(node);
    if (!std::binary_search(all.begin(), all.end(), self))
      return;
    challenge_subject s;
    s.node = node;
    s.claim = m->record.tier;
    s.heard = m->linked && m->heard;
    s.answers = knows(m->record.features, feature::hardware);
    const auto load = ctx_.loads.find(node);
    s.busy = load != ctx_.loads.end() && load->second.busy > busy_permille;
    s.round_trip = m->round_trip;
    s.fsync_age = s.heard ? members.fsync_age(node) : duration{};
    subjects.push_back(s);
  };
  if (members.full()) {
    std::vector<node_id> all;
    members.each([&](const net::member_record& r, net::member_state) {
      all.push_back(r.node);
    });
    std::for_each(all.begin(), all.end(), add);
  } else { // those on the rings are linked
    const auto all = members.linked();
    std::for_each(all.begin(), all.end(), add);
  }
  challenge_effects out;
  challenger_.on_look(subjects, policy(), busy(), now, out);
  carry_out(std::move(out));
}

void hardware_shell::carry_out(challenge_effects effects) {
  for (auto& e : effects)
    if (const auto* work = std::get_if<solve_challenge>(&e)) {
      const auto begun = ctx_.loop.now();
      probe_->solve(work->what, [weak = weak_from_this(), begun,
                                 number = work->what.number](auto answer) {
        const auto self = weak.lock();
        if (self == nullptr)
          return;
        const auto now = self->ctx_.loop.now();
        challenge_effects more;
        self->challenger_.on_solved(number, answer, now - begun, now, more);
        self->carry_out(std::move(more));
      });
    } else if (const auto* send = std::get_if<send_challenge>(&e)) {
      ctx_.send(send->to, net::channel::group, encoded_control(send->what));
    } else {
      const auto& f = std::get<finding_made>(e);
      const bool holds = f.found >= f.claim;
      const auto text = "tier " + std::to_string(f.claim) + " of "
                        + short_string(f.subject)
                        + (holds ? " holds"
                                 : " doesn't hold here, tier "
                                       + std::to_string(f.found) + " does")
                        + ": " + f.why;
      ctx_.log(holds ? log_level::info : log_level::warning, text);
    }
}

/// Whom this node doubts stands in its own record.
void hardware_shell::tell_doubts() {
  own_hardware_in own;
  own.doubts.emplace();
  for (const auto& [node, tier] : challenger_.doubts())
    if (own.doubts->size() < net::member_record::doubts_max)
      own.doubts->push_back({net::member_doubt::start_of(node), tier});
  if (*own.doubts != ctx_.members->own().doubts)
    caf::anon_send(ctx_.node, std::move(own));
}

/// What other members' records say of each other.
void hardware_shell::count_doubts() {
  std::map<net::member_doubt::start,
           std::vector<std::pair<node_id, std::uint8_t>>>
      said;
  std::map<node_id, std::string> hosts;
  std::map<node_id, std::uint8_t> claims;
  ctx_.members->each([&](const net::member_record& r, net::member_state) {
    for (const auto& d : r.doubts)
      said[d.node].emplace_back(r.node, d.tier);
  });
  doubted_.clear();
  doubts_.clear();
  if (said.empty())
    return;
  ctx_.members->each([&](const net::member_record& r, net::member_state) {
    hosts.emplace(r.node, r.address.host);
    if (said.count(net::member_doubt::start_of(r.node)) != 0)
      claims.emplace(r.node, r.tier);
  });
  for (const auto& [node, tier] : claims) {
    // Who shares its machine can't judge it.
    auto observers = ctx_.members->observers(node);
    const auto& host = host_of(hosts, node);
    observers.erase(std::remove_if(observers.begin(), observers.end(),
                                   [&](const node_id& o) {
                                     return host_of(hosts, o) == host;
                                   }),
                    observers.end());
    std::vector<std::uint8_t> found;
    for (const auto& [by, value] : said[net::member_doubt::start_of(node)])
      if (value < tier
          && std::binary_search(observers.begin(), observers.end(), by))
        found.push_back(value);
    if (!found.empty())
      doubts_[node] = found.size();
    const auto proven = proven_tier(tier, observers.size(), found);
    if (proven < tier)
      doubted_[node] = {proven, found.size()};
  }
}

std::size_t hardware_shell::doubted_by(const node_id& node) const {
  const auto at = doubts_.find(node);
  return at == doubts_.end() ? 0 : at->second;
}

std::uint8_t hardware_shell::tier_of(const net::member_record& m) const {
  const auto at = doubted_.find(m.node);
  return at == doubted_.end() ? m.tier : std::min(m.tier, at->second.tier);
}

bool hardware_shell::held(const net::member_record& m) const {
  const auto p = policy();
  return p.enforce && (tier_of(m) < m.tier || tier_of(m) < p.min_tier);
}

std::string hardware_shell::why_held() const {
  if (ctx_.members == nullptr)
    return {};
  const auto& own = ctx_.members->own();
  if (!held(own))
    return {};
  const auto p = policy();
  const auto tier = tier_of(own);
  if (tier < own.tier)
    return "its claim of tier " + std::to_string(own.tier)
           + " doesn't hold: its observers found tier " + std::to_string(tier);
  std::string out = "its tier is " + std::to_string(tier)
                    + ", the mesh's policy wants " + std::to_string(p.min_tier);
  if (!figures_)
    return out + " (it is not measured yet)";
  for (const auto& gap : banyan::tier_of(*figures_, p).missing)
    out += "; " + gap.what + " is " + gap.has + ", wanted " + gap.wants;
  return out;
}

void hardware_shell::say_why() {
  const auto why = why_held();
  if (why == why_said_)
    return;
  why_said_ = why;
  ctx_.log(why.empty() ? log_level::info : log_level::warning,
           why.empty() ? std::string{"this node takes new replicas again"}
                       : "this node takes no new replicas: " + why);
}

bool hardware_shell::on_control(const node_id& from, const control_frame& f) {
  const auto now = ctx_.loop.now();
  if (const auto* a = std::get_if<hardware_answer>(&f)) {
    challenge_effects out;
    challenger_.on_answer(from, *a, now, out);
    carry_out(std::move(out));
    return true;
  }
  const auto* c = std::get_if<hardware_challenge>(&f);
  if (c == nullptr)
    return false;
  const auto observers = ctx_.members->observers(ctx_.self());
  hardware_answer none;
  none.number = c->number;
  none.outcome = challenge_outcome::later;
  if (!probe_
      || !challenged_.take(
          from, std::binary_search(observers.begin(), observers.end(), from),
          busy(), now)) {
    answer(from, none, false);
    return true;
  }
  probe_->solve(*c, [weak = weak_from_this(), from, none,
                     bulk = c->kind == challenge_kind::bandwidth](auto done) {
    const auto self = weak.lock();
    if (self == nullptr)
      return;
    self->challenged_.done();
    auto unable = none;
    unable.outcome = challenge_outcome::unable;
    self->answer(from, done ? *done : unable, bulk && done);
  });
  return true;
}

void hardware_shell::answer(const node_id& to, const hardware_answer& a,
                            bool bulk) {
  ctx_.send(to, bulk ? net::channel::bulk : net::channel::group,
            encoded_control(a));
}

namespace {

void arm(io::timer* timer, node_context* ctx,
         const std::shared_ptr<hardware_shell>& shell, duration after) {
  timer->arm(
      ctx->loop.now() + after,
      [=] {
        shell->look();
        arm(timer, ctx, shell, challenge_rhythm::look_every);
      },
      "hardware");
}

} // namespace

caf::behavior hardware_actor(caf::stateful_actor<hardware_actor_state>* self,
                             std::shared_ptr<hardware_shell> shell,
                             node_context* ctx) {
  quiet(self);
  auto& s = self->state;
  s.shell = std::move(shell);
  s.timer = std::make_unique<io::timer>(ctx->loop);
  s.shell->load();
  arm(s.timer.get(), ctx, s.shell, 1s);
  // Its timer and what calls it directly are all that it hears.
  return {[](caf::unit_t) {}};
}

} // namespace banyan::actors
