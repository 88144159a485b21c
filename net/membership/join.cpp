#include "net/membership/join.hpp"

#include <algorithm>

namespace banyan::net {

namespace {

constexpr std::size_t sources_max = 8; ///< a bit each in one byte
constexpr std::uint8_t giver_bit = 1;
/// Those that were found already cost little: so many more per step.
constexpr std::size_t looked_at = 64;

std::uint8_t bit(std::size_t source) {
  return static_cast<std::uint8_t>(1U << source);
}

bool two_or_more(unsigned bits) {
  return (bits & (bits - 1)) != 0;
}

std::size_t range_of(const node_id& node) {
  return node.array()[0];
}

bool same(const member_document& a, const member_document& b) {
  return a.by == b.by && a.body == b.body
         && a.admitted.has_value() == b.admitted.has_value()
         && (!a.admitted
             || (a.admitted->sponsor == b.admitted->sponsor
                 && a.admitted->by == b.admitted->by));
}

bool contains(const std::vector<node_id>& sorted, const node_id& node) {
  return std::binary_search(sorted.begin(), sorted.end(), node);
}

} // namespace

void roll_hash::add(const node_id& node) noexcept {
  auto h = salt_;
  const auto& id = node.array();
  for (std::size_t i = 0; i < id.size(); i += 8) {
    std::uint64_t v = 0;
    for (std::size_t j = i; j < i + 8; ++j)
      v = v << 8U | id[j];
    h = (h ^ v) * 0xff51afd7ed558ccdULL;
    h = (h ^ h >> 32U) + salt_;
    h *= 0xc4ceb9fe1a85ec53ULL;
    h ^= h >> 29U;
  }
  ranges_[range_of(node)] += h;
}

joiner::joiner(const node_id& self, const mesh_id& mesh, verifier& verify,
               random_source& random, limits l)
    : self_{self}, mesh_{mesh}, verify_{verify}, random_{random}, limits_{l} {
}

join_progress_view joiner::progress() const noexcept {
  join_progress_view v;
  if (!active())
    return v;
  v.have = order_.size();
  v.total = sources_.empty() ? 0 : sources_[0].total.value_or(0);
  v.total = std::max(v.total, v.have);
  return v;
}

const node_id& joiner::giver() const noexcept {
  static const node_id nobody;
  return active() && !sources_.empty() ? sources_[0].node : nobody;
}

void joiner::reset() {
  sources_.clear();
  queue_.clear();
  found_.clear();
  order_.clear();
  reports_.clear();
  rolls_asked_.clear();
  at_ = 0;
  result_ = {};
}

void joiner::begin(const node_id& giver, std::size_t members, time_point now,
                   join_orders& out) {
  if (active())
    return;
  reset();
  refused_.clear();
  unconfirmed_.clear();
  dials_ = 0;
  dial_at_ = now + limits_.dial_interval / 2;
  phase_ = phase::paging;
  sources_.emplace_back(giver,
                        static_cast<std::uint32_t>(std::clamp<std::size_t>(
                            members, 1, limits_.members_max)),
                        now);
  ask_on(sources_[0], now, out);
}

/// Until then at most it has time for all that it was asked for.
time_point joiner::patient_until(const teller& s) const {
  const auto pages = s.total.value_or(s.expected) / page_records_max;
  return std::min(s.heard_at + limits_.patience,
                  s.begun_at + limits_.patience_in_all
                      + int(pages) * limits_.patience_per_page);
}

time_point joiner::again_at(const teller& s) const {
  return s.again ? never : s.heard_at + limits_.patience / 2;
}

/// A giver whom too many ask drops questions.
void joiner::ask_again(teller& s, join_orders& out) {
  s.again = true;
  for (const auto first : s.asked) {
    s.twice.insert(first);
    out.emplace_back(join_ask{s.node, page_wanted_message{first, s.ranges}});
  }
}

/// For as many as may be on their way.
void joiner::ask_on(teller& s, time_point now, join_orders& out) {
  const auto until = std::max(s.total.value_or(s.expected), 1U);
  if (s.next == 0)
    s.begun_at = now;
  while (s.asked.size() < limits_.pages_ahead && s.next < until) {
    if (s.asked.empty())
      s.heard_at = now;
    s.asked.insert(s.next);
    out.emplace_back(join_ask{s.node, page_wanted_message{s.next, s.ranges}});
    s.next += page_records_max;
  }
}

/// Without its giver a joining begins anew. What a witness said in earnest
/// stays said when it falls silent; all is compared again when one lied.
void joiner::give_up(std::size_t source, const char* why, join_orders& out) {
  auto& s = sources_[source];
  if (why != nullptr)
    out.emplace_back(join_blame{s.node, why});
  refused_.insert(s.node);
  if (source == 0) {
    reset();
    phase_ = phase::paging;
    return;
  }
  s.asked.clear();
  if (why == nullptr)
    return;
  queue_.erase(
      std::remove_if(queue_.begin(), queue_.end(),
                     [source](const auto& u) { return u.source == source; }),
      queue_.end());
  for (auto& [node, c] : found_)
    c.named &= giver_bit;
  for (auto& other : sources_)
    other.roll.reset();
}

void joiner::begin_comparing(time_point now) {
  phase_ = phase::comparing;
  salt_ = random_.next();
  comparing_since_ = now;
  rolls_asked_.clear();
}

void joiner::on_page(const node_id& from, const page_message& m, time_point now,
                     join_orders& out) {
  const auto s = std::find_if(sources_.begin(), sources_.end(),
                              [&](const teller& x) { return x.node == from; });
  if (s == sources_.end() || s->asked.erase(m.first) == 0) {
    const bool other_copy = s != sources_.end() && s->twice.erase(m.first) > 0;
    if (!other_copy && refused_.count(from) == 0)
      out.emplace_back(join_blame{from, "a page that nobody asked for"});
    return;
  }
  const auto index = std::size_t(s - sources_.begin());
  if (m.total > limits_.members_max)
    return give_up(index, "pages of more members than there may be", out);
  // It may come to know more meanwhile; what is behind the first count comes
  // as news.
  if (!s->total)
    s->total = m.total;
  const auto due = m.first < m.total ? std::min<std::size_t>(page_records_max,
                                                             m.total - m.first)
                                     : 0;
  if (m.total < *s->total || m.records.size() != due)
    return give_up(index, "a page that isn't whole", out);
  s->heard_at = now;
  s->again = false;
  for (const auto& d : m.records) {
    if (s->ranges) {
      const auto range = range_of(d.record.node);
      if (((*s->ranges)[range / 8] >> (range % 8) & 1U) == 0)
        return give_up(index, "a page of other members than asked for", out);
    }
    queue_.push_back({d, static_cast<std::uint8_t>(index)});
  }
  reports_.insert(reports_.end(), m.reports.begin(), m.reports.end());
  ask_on(*s, now, out);
}

void joiner::verify_some(join_orders& out) {
  std::size_t verified = 0;
  for (std::size_t n = 0;
       n < looked_at && !queue_.empty() && verified < limits_.verified_at_once;
       ++n) {
    auto [document, source] = std::move(queue_.front());
    queue_.pop_front();
    const auto node = document.record.node;
    const auto known = found_.find(node);
    if (known != found_.end() && same(known->second.document, document)) {
      known->second.named |= bit(source);
      continue;
    }
    ++verified;
    if (!verify_.genuine(document, mesh_)
        || (document.admitted
            && !verify_.genuine(*document.admitted, mesh_, node)))
      return give_up(source, "a record with a bad signature in a page", out);
    auto& c = found_[node];
    if (c.named == 0)
      order_.push_back(node);
    if (c.named == 0 || document.record.newer_than(c.document.record))
      c.document = std::move(document);
    c.named |= bit(source);
  }
}

bool joiner::pages_complete() const {
  return queue_.empty()
         && std::all_of(sources_.begin(), sources_.end(),
                        [](const auto& s) { return s.asked.empty(); });
}

std::size_t joiner::rolls() const {
  return std::size_t(
      std::count_if(sources_.begin(), sources_.end(),
                    [](const auto& s) { return s.roll.has_value(); }));
}

void joiner::on_roll(const node_id& from, const roll_message& m, time_point now,
                     join_orders& out) {
  if (phase_ != phase::comparing || !m.hashes || m.salt != salt_
      || rolls_asked_.erase(from) == 0 || sources_.size() >= sources_max
      || refused_.count(from) > 0)
    return;
  sources_.emplace_back(from, 1, now).roll = *m.hashes;
  if (rolls() >= witnesses_wanted)
    compare(now, out);
}

/// Which ranges the giver stands alone in; those are fetched again.
void joiner::compare(time_point now, join_orders& out) {
  roll_hash mine{salt_};
  for (const auto& [node, c] : found_)
    if ((c.named & giver_bit) != 0)
      mine.add(node);
  std::array<std::uint8_t, range_hashes{}.size()> agreed{};
  range_set alone{};
  bool any_alone = false;
  for (std::size_t r = 0; r < agreed.size(); ++r) {
    for (std::size_t w = 1; w < sources_.size(); ++w)
      if (sources_[w].roll && (*sources_[w].roll)[r] == mine.ranges()[r])
        agreed[r] |= bit(w);
    if (agreed[r] == 0) {
      any_alone = true;
      alone[r / 8] |= static_cast<std::uint8_t>(1U << (r % 8));
    }
  }
  for (auto& [node, c] : found_)
    if ((c.named & giver_bit) != 0)
      c.named |= agreed[range_of(node)];
  result_.witnesses = static_cast<unsigned>(rolls());
  phase_ = phase::again;
  if (!any_alone || result_.witnesses == 0)
    return;
  for (std::size_t w = 1; w < sources_.size(); ++w)
    if (auto& s = sources_[w]; s.roll) {
      s.ranges = alone;
      s.next = 0;
      s.total.reset();
      ask_on(s, now, out);
    }
}

void joiner::choose_giver(const std::vector<node_id>& linked, time_point now,
                          join_orders& out) {
  std::vector<node_id> others;
  std::copy_if(linked.begin(), linked.end(), std::back_inserter(others),
               [this](const node_id& n) { return refused_.count(n) == 0; });
  if (others.empty()) {
    reset();
    phase_ = phase::idle;
    return;
  }
  sources_.emplace_back(others[random_.below(others.size())], 1, now);
  ask_on(sources_[0], now, out);
}

/// Asks those that are linked, and has some of those that the giver named
/// dialled while there are too few.
void joiner::look_for_witnesses(const std::vector<node_id>& linked,
                                time_point now, join_orders& out) {
  const bool comparing = phase_ == phase::comparing;
  std::vector<node_id> others;
  for (const auto& node : linked)
    if (node != sources_[0].node && refused_.count(node) == 0)
      others.push_back(node);
  if (comparing) {
    const auto waited = now - comparing_since_;
    const auto asks = limits_.dials_at_once
                      * (1 + std::size_t(waited / limits_.dial_interval));
    std::size_t asked = rolls_asked_.size() + sources_.size() - 1;
    for (std::size_t i = 0; i < others.size() && asked < asks; ++i) {
      std::swap(others[i], others[i + random_.below(others.size() - i)]);
      const bool source =
          std::any_of(sources_.begin(), sources_.end(),
                      [&](const auto& s) { return s.node == others[i]; });
      if (source || !rolls_asked_.emplace(others[i], now).second)
        continue;
      ++asked;
      out.emplace_back(join_ask{others[i], roll_message{salt_, {}}});
    }
  }
  if (now < dial_at_)
    return;
  dial_at_ = now + limits_.dial_interval;
  const bool few =
      comparing ? rolls() < witnesses_wanted : others.size() < witnesses_wanted;
  if (!few || order_.size() <= limits_.believed_max)
    return;
  for (std::size_t n = 0;
       n < limits_.dials_at_once && dials_ < limits_.dials_max; ++n) {
    const auto& node = order_[random_.below(order_.size())];
    const auto& d = found_.at(node).document;
    if (node == self_ || contains(linked, node) || d.record.address.empty())
      continue;
    ++dials_;
    out.emplace_back(join_dial{d});
  }
}

void joiner::begin_taking() {
  phase_ = phase::taking;
  at_ = 0;
  result_.giver = sources_[0].node;
}

void joiner::take_some(time_point now, join_orders& out) {
  const bool believed =
      result_.witnesses == 0; // few they are, or nobody else is there
  for (std::size_t n = 0; n < limits_.taken_at_once && at_ < order_.size();
       ++n) {
    const auto& node = order_[at_++];
    auto& c = found_.at(node);
    if (!believed && !two_or_more(c.named)) {
      if (c.named != 0)
        for (std::size_t s = 0; s < sources_.size(); ++s)
          if ((c.named & bit(s)) != 0)
            unconfirmed_[node] = {sources_[s].node};
      continue;
    }
    ++result_.taken;
    result_.withheld += (c.named & giver_bit) == 0 ? 1U : 0U;
    out.emplace_back(join_take{std::move(c.document)});
  }
  if (at_ < order_.size() || !out.empty())
    return; // the rest in a turn of its own
  const auto n = std::min(limits_.reports_at_once, reports_.size());
  for (auto i = reports_.size() - n; i < reports_.size(); ++i)
    out.emplace_back(join_take_report{reports_[i]});
  reports_.resize(reports_.size() - n);
  if (!reports_.empty())
    return;
  result_.unconfirmed = unconfirmed_.size();
  unconfirmed_until_ = now + limits_.unconfirmed_for;
  out.emplace_back(result_);
  reset();
  phase_ = phase::idle;
}

void joiner::step(const std::vector<node_id>& linked, time_point now,
                  join_orders& out) {
  if (!active())
    return;
  if (phase_ == phase::taking)
    return take_some(now, out);
  if (sources_.empty())
    return choose_giver(linked, now, out);
  for (std::size_t i = sources_.size(); i-- > 0;) {
    auto& s = sources_[i];
    if (!s.asked.empty()
        && (patient_until(s) <= now || !contains(linked, s.node))) {
      give_up(i, nullptr, out);
      if (i == 0)
        return choose_giver(linked, now, out);
    } else if (!s.asked.empty() && again_at(s) <= now) {
      ask_again(s, out);
    }
  }
  verify_some(out);
  if (sources_.empty())
    return choose_giver(linked, now, out);
  if (phase_ == phase::paging && sources_[0].complete() && pages_complete()) {
    if (order_.size() <= limits_.believed_max)
      return begin_taking();
    begin_comparing(now);
  }
  if (phase_ == phase::paging || phase_ == phase::comparing)
    look_for_witnesses(linked, now, out);
  if (phase_ == phase::comparing) {
    const auto waited = now - comparing_since_;
    if ((rolls() > 0 && limits_.one_witness <= waited)
        || limits_.no_witness <= waited)
      compare(now, out);
  }
  if (phase_ == phase::again && pages_complete()) {
    if (rolls() > 0 || result_.witnesses == 0)
      return begin_taking();
    begin_comparing(now); // one lied: others, then
  }
}

time_point joiner::deadline() const noexcept {
  if (!active())
    return never;
  if (phase_ == phase::taking || !queue_.empty() || sources_.empty())
    return {};
  if (phase_ != phase::comparing && pages_complete()
      && (phase_ == phase::again || sources_[0].complete()))
    return {};
  auto due = never;
  for (const auto& s : sources_)
    if (!s.asked.empty())
      due = std::min({due, patient_until(s), again_at(s)});
  if (phase_ == phase::comparing) {
    const auto waits = rolls() > 0 ? limits_.one_witness : limits_.no_witness;
    due = std::min({due, comparing_since_ + waits, dial_at_});
  }
  return due;
}

bool joiner::second_names(const node_id& by, const node_id& member,
                          time_point now) const {
  if (unconfirmed_until_ <= now)
    return false;
  const auto i = unconfirmed_.find(member);
  return i != unconfirmed_.end() && i->second.by != by;
}

void joiner::counts(const node_id& member, time_point now) {
  if (unconfirmed_until_ <= now)
    unconfirmed_.clear();
  else
    unconfirmed_.erase(member);
}

} // namespace banyan::net
