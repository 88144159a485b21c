#include "actors/pure/scrub_core.hpp"

#include <algorithm>

namespace banyan {
namespace {

std::string name_of(const group_id& g) {
  return short_string(g.app) + "/" + std::to_string(g.shard);
}

} // namespace

scrub_core::scrub_core(scrub_config config, time_point now, std::uint64_t seed)
    : config_{config} {
  const auto steps = static_cast<std::int64_t>(seed % 1024);
  config_.interval += config.interval / 8 * steps / 1024;
  due_ = next_pass_ = now + config_.interval;
}

void scrub_core::ask(time_point now) {
  if (report_.now == scrub_report::phase::reading)
    return;
  wanted_ = true;
  due_ = now;
}

void scrub_core::on_tick(const std::vector<group_id>& groups, time_point now,
                         scrub_effects& out) {
  if (now < due_)
    return;
  switch (report_.now) {
  case scrub_report::phase::idle:
  case scrub_report::phase::done:
    if (wanted_ || now >= next_pass_)
      begin(groups, now, out);
    else
      due_ = next_pass_;
    return;
  case scrub_report::phase::reading:
    if (out_)
      due_ = now + config_.look_interval;
    else
      read_next(now, out);
    return;
  case scrub_report::phase::mending:
    return wanted_ ? begin(groups, now, out) : watch(now, out);
  }
}

void scrub_core::begin(const std::vector<group_id>& groups, time_point now,
                       scrub_effects& out) {
  wanted_ = false;
  const auto pass = report_.pass + 1;
  report_ = {};
  report_.now = scrub_report::phase::reading;
  report_.pass = pass;
  report_.began = now;
  report_.groups = groups.size();
  next_pass_ = now + config_.interval;
  targets_.clear();
  order_ = groups;
  for (const auto& g : groups)
    targets_.emplace(g, target{});
  at_ = 0;
  from_.clear();
  log_from_ = {};
  log_read_ = false;
  out_ = false;
  out.emplace_back(scrub_look{groups});
  read_next(now, out);
}

void scrub_core::read_next(time_point now, scrub_effects& out) {
  due_ = now + config_.look_interval;
  if (at_ < order_.size()) {
    out_ = true;
    out.emplace_back(
        scrub_state_piece{++number_, order_[at_], from_, config_.piece_bytes});
    return;
  }
  if (!log_read_) {
    out_ = true;
    out.emplace_back(
        scrub_log_piece{++number_, log_from_, config_.piece_bytes});
    return;
  }
  report_.now = scrub_report::phase::mending;
  progress_ = now;
  watch(now, out);
}

void scrub_core::wait_for(std::uint64_t read, time_point now) {
  out_ = false;
  const auto rate = std::max<std::uint64_t>(config_.bytes_per_second, 1);
  due_ = now
         + std::chrono::duration_cast<duration>(std::chrono::duration<double>{
             static_cast<double>(read) / static_cast<double>(rate)});
}

void scrub_core::on_state_piece(
    std::uint64_t number,
    const result<store::scrub_page, store::store_errc>& page, time_point now,
    scrub_effects& out) {
  if (!out_ || number != number_ || at_ >= order_.size())
    return;
  const auto group = order_[at_];
  auto& t = targets_.at(group);
  std::uint64_t bytes_read = 0;
  bool over = true;
  if (page.ok()) {
    bytes_read = page->bytes_read;
    report_.rows += page->rows;
    report_.state_bytes += page->bytes_read;
    for (const auto& key : page->damaged) {
      ++t.rows_damaged;
      ++report_.rows_damaged;
      note(name_of(group) + ": row " + to_hex(key) + " is damaged");
      out.emplace_back(scrub_row_damaged{group, key});
    }
    if (page->digest_matches && !*page->digest_matches) {
      state_is_wrong(group, t, "its rows don't add up to their digest");
      out.emplace_back(scrub_state_wrong{group});
    }
    from_ = page->next;
    over = from_.empty();
  } else if (page.error() == store::store_errc::damaged) {
    state_is_wrong(group, t, "its rows can't be walked: a page is damaged");
    out.emplace_back(scrub_state_wrong{group});
  } else if (page.error() == store::store_errc::io) {
    note(name_of(group) + ": the state can't be read");
  }
  if (over) {
    ++report_.groups_read;
    t.asked = true;
    t.asked_at = now;
    out.emplace_back(scrub_compare{group});
    ++at_;
    from_.clear();
  }
  wait_for(bytes_read, now);
}

void scrub_core::on_log_piece(std::uint64_t number,
                              const store::log_scrub& piece, time_point now,
                              scrub_effects& out) {
  if (!out_ || number != number_ || at_ < order_.size())
    return;
  report_.log_bytes += piece.bytes_read;
  for (const auto& where : piece.damage)
    note("log: " + where);
  for (const auto& g : piece.groups) {
    auto& t = targets_[g];
    if (std::exchange(t.log_damaged, true))
      continue;
    ++report_.logs_damaged;
    note(name_of(g) + ": its log is damaged");
    out.emplace_back(
        scrub_log_damaged{g, t.first ? t.first->id : replica_id{}});
  }
  if (piece.next)
    log_from_ = *piece.next;
  else
    log_read_ = true;
  wait_for(piece.bytes_read, now);
}

void scrub_core::on_replica(const group_id& group,
                            const std::optional<scrubbed_replica>& r,
                            time_point now) {
  const auto at = targets_.find(group);
  if (at == targets_.end())
    return;
  auto& t = at->second;
  t.last = r;
  if (!r) {
    t.asked = false; // there is nothing here to compare; what comes is new
    return;
  }
  if (!t.first) {
    t.first = r;
    return;
  }
  const bool other = r->id != t.first->id;
  if (!other && r->lost > t.first->lost)
    state_is_wrong(group, t, "its state is not that of the others");
  if (!t.compared && t.asked
      && (other || t.first->checkpoint < r->checkpoint)) {
    t.compared = true;
    ++report_.digests_compared;
    progress_ = now;
  }
  const auto left = std::min<std::uint64_t>(
      r->whole ? r->rows_damaged : t.rows_damaged, t.rows_damaged);
  if (const auto mended = t.rows_damaged - left; mended > t.rows_mended) {
    report_.rows_mended += mended - t.rows_mended;
    t.rows_mended = mended;
    progress_ = now;
  }
  if (!r->whole)
    return;
  if (t.state_wrong && !t.rebuilt && (other || r->rebuilt > t.first->rebuilt)) {
    t.rebuilt = true;
    ++report_.states_rebuilt;
    progress_ = now;
  }
  if (t.log_damaged && !t.replaced && other) {
    t.replaced = true;
    ++report_.logs_replaced;
    progress_ = now;
  }
}

void scrub_core::on_moved(const group_id& group, time_point now) {
  const auto at = targets_.find(group);
  if (at == targets_.end())
    return;
  auto& t = at->second;
  const auto mend = [&](bool is, bool& done, auto& count) {
    if (!is || std::exchange(done, true))
      return;
    ++count;
    progress_ = now;
  };
  t.compared = t.compared || t.asked;
  report_.rows_mended += t.rows_damaged - t.rows_mended;
  t.rows_mended = t.rows_damaged;
  mend(t.state_wrong, t.rebuilt, report_.states_rebuilt);
  mend(t.log_damaged, t.replaced, report_.logs_replaced);
}

void scrub_core::state_is_wrong(const group_id& group, target& t,
                                const std::string& why) {
  if (std::exchange(t.state_wrong, true))
    return;
  ++report_.states_wrong;
  note(name_of(group) + ": " + why);
}

bool scrub_core::mended() const {
  return std::all_of(targets_.begin(), targets_.end(), [](const auto& p) {
    const auto& t = p.second;
    return t.rows_mended == t.rows_damaged && t.rebuilt == t.state_wrong
           && t.replaced == t.log_damaged;
  });
}

bool scrub_core::compared() const {
  return std::all_of(targets_.begin(), targets_.end(), [](const auto& p) {
    return p.second.compared || !p.second.asked;
  });
}

void scrub_core::watch(time_point now, scrub_effects& out) {
  const auto patience =
      mended() ? config_.compare_patience : config_.mend_patience;
  if ((mended() && compared()) || now - progress_ > patience) {
    report_.now = scrub_report::phase::done;
    report_.ended = now;
    due_ = wanted_ ? now : next_pass_;
    return;
  }
  scrub_look look;
  for (auto& [g, t] : targets_) {
    look.groups.push_back(g);
    if (t.asked && !t.compared && now - t.asked_at >= config_.compare_again) {
      t.asked_at = now;
      out.emplace_back(scrub_compare{g});
    }
    if (t.log_damaged && !t.replaced && t.first)
      out.emplace_back(scrub_log_damaged{g, t.first->id});
  }
  out.emplace_back(std::move(look));
  due_ = now + config_.look_interval;
}

void scrub_core::note(std::string finding) {
  if (report_.findings.size() < scrub_report::findings_max)
    report_.findings.push_back(std::move(finding));
}

} // namespace banyan
