// What hostile members say.
#include "actors/sim/detail/liars.hpp"

#include <algorithm>

namespace banyan::sim {

using namespace net;

liars::liars(swarm& mesh, std::vector<index> who, std::uint64_t seed)
    : mesh_{mesh}, who_{std::move(who)}, random_{seed ^ 0x6c69617273ULL} {
}

void liars::begin(lie what) {
  what_ = what;
  choose_victims();
  for (const auto liar : who_) {
    if (what == lie::mangle)
      mesh_.set_outgoing(liar, [this, liar](index to, channel on, bytes& b) {
        return mangle(liar, to, on, b);
      });
    if (what == lie::pages)
      mesh_.set_outgoing(liar, [this, liar](index, channel on, bytes& b) {
        return on != channel::membership || falsify_pages(liar, b);
      });
  }
  act(++turns_);
}

void liars::end() {
  what_ = lie::none;
  ++turns_;
  for (const auto liar : who_)
    mesh_.set_outgoing(liar, {});
  said_.clear();
}

/// The same for all, so that their words add up: whoever is watched by most of
/// them, and some others.
void liars::choose_victims() {
  std::map<index, unsigned> watched;
  subjects_.clear();
  for (const auto liar : who_)
    mesh_.core(liar).each([&](const member_record& r, member_state) {
      const auto i = mesh_.find(r.node);
      if (!i || !mesh_.running(*i)
          || std::find(who_.begin(), who_.end(), *i) != who_.end())
        return;
      auto& n = watched[*i];
      const auto by = mesh_.core(liar).observers(r.node);
      if (std::find(by.begin(), by.end(), mesh_.id(liar)) == by.end())
        return;
      ++n;
      subjects_[liar].push_back(*i);
    });
  std::vector<std::pair<unsigned, index>> all;
  for (const auto& [i, n] : watched)
    all.emplace_back(n, i);
  std::sort(all.rbegin(), all.rend());
  victims_.clear();
  for (const auto& v : all)
    if (victims_.size() < victims)
      victims_.push_back(v.second);
}

void liars::act(std::uint64_t turn) {
  if (turn != turns_)
    return;
  for (const auto liar : who_) {
    switch (what_) {
    case lie::none:
    case lie::mangle:
    case lie::pages:
      break; // in what its core says
    case lie::accuse:
      accuse_all(liar);
      break;
    case lie::incarnation:
      claim_incarnations(liar);
      break;
    case lie::leave:
      forge_leaves(liar);
      break;
    case lie::flood:
      flood(liar);
      break;
    case lie::invent:
      invent(liar);
      break;
    }
  }
  if (what_ != lie::none)
    mesh_.at(mesh_.now() + beat, [this, turn] { act(turn); });
}

void liars::say(index liar, const membership_message& m) {
  say_bytes(liar, channel::membership, encode(m));
}

void liars::say_bytes(index liar, channel on, const bytes& payload) {
  for (const auto to : mesh_.links(liar))
    mesh_.inject(liar, to, on, payload);
}

report liars::accuse(const identity& by, incarnation of_its, index subject,
                     bool down) {
  report r;
  r.observer = by.id();
  r.subject = mesh_.id(subject);
  r.observer_incarnation = of_its;
  r.subject_incarnation = mesh_.core(subject).own().incarnation;
  r.number = ++number_;
  r.down = down;
  r.sign(by, mesh_.mesh());
  return r;
}

member_document liars::record_of(const identity& key, const node_id& node,
                                 std::uint64_t number, member_word word) {
  member_record r;
  r.node = node;
  r.incarnation = incarnation{number};
  r.number = 1;
  r.word = word;
  r.address = {"192.0.2.9", 7600};
  return member_document::make(key, mesh_.mesh(), r);
}

void liars::accuse_all(index liar) {
  news_message lies;
  const auto& own = mesh_.core(liar).own();
  for (const auto v : victims_)
    if (mesh_.running(v))
      lies.reports.push_back(accuse(mesh_.key(liar), own.incarnation, v));
  say(liar, lies);
}

void liars::claim_incarnations(index liar) {
  constexpr auto huge = UINT64_MAX - 1;
  news_message lies;
  // Of its own; its core knows nothing of it.
  auto own = mesh_.core(liar).own();
  own.incarnation = incarnation{huge};
  own.number = ++number_;
  lies.records.push_back(
      member_document::make(mesh_.key(liar), mesh_.mesh(), own));
  for (std::size_t n = 0; n < 8; ++n) {
    const auto v = victims_[random_.below(victims_.size())];
    if (!mesh_.running(v))
      continue;
    lies.records.push_back(
        record_of(mesh_.key(liar), mesh_.id(v), huge, member_word::normal));
    auto r = accuse(mesh_.key(liar), incarnation{huge}, v);
    r.subject_incarnation = incarnation{huge};
    r.sign(mesh_.key(liar), mesh_.mesh());
    lies.reports.push_back(r);
    r = accuse(mesh_.key(liar), incarnation{huge}, v);
    lies.reports.push_back(r);
  }
  news_message first;
  first.records.push_back(lies.records.front());
  say(liar, first); // else the forged ones end the frame
  say(liar, lies);
  // And to its neighbours: that they are counted dead.
  for (const auto to : mesh_.links(liar))
    if (mesh_.running(to))
      mesh_.inject(liar, to, channel::membership,
                   encode(membership_message{
                       verdict_message{mesh_.core(to).own().incarnation}}));
}

void liars::forge_leaves(index liar) {
  for (std::size_t n = 0; n < 4; ++n) {
    const auto v = victims_[random_.below(victims_.size())];
    if (!mesh_.running(v))
      continue;
    const auto& is = mesh_.core(v).own();
    auto r = is;
    r.number += 1;
    r.word = member_word::left;
    news_message lies;
    lies.records.push_back(
        member_document::make(mesh_.key(liar), mesh_.mesh(), r));
    say(liar, lies);
    // What it once signed itself, under another word.
    lies.records.front().body.back() ^= 1;
    say(liar, lies);
  }
}

void liars::flood(index liar) {
  const auto& own = mesh_.core(liar).own();
  for (int turn = 0; turn < 10; ++turn) {
    news_message lies;
    for (const auto v : subjects_[liar])
      if (mesh_.running(v))
        lies.reports.push_back(
            accuse(mesh_.key(liar), own.incarnation, v, (turn & 1) == 0));
    say(liar, lies);
  }
  bytes rubbish(1024);
  random_.fill(rubbish.data(), rubbish.size());
  for (int n = 0; n < 20; ++n)
    say_bytes(liar, channel::membership, rubbish);
}

void liars::invent(index liar) {
  auto& mine = invented_[liar];
  const auto more = mine.empty() ? invented_burst : 1;
  news_message lies;
  for (std::size_t n = 0; n < more; ++n) {
    mine.push_back(identity::generate(random_));
    const auto& key = mine.back();
    auto d = record_of(key, key.id(), 1, member_word::normal);
    d.admitted = admission::make(mesh_.key(liar), mesh_.mesh(), key.id());
    lies.records.push_back(std::move(d));
    if (lies.records.size() == 16 || n + 1 == more) {
      say(liar, lies);
      lies.records.clear();
    }
  }
  // In turn, those whom it invented accuse the same few.
  for (std::size_t n = 0; n < 8; ++n) {
    const auto& by = mine[random_.below(mine.size())];
    for (std::size_t k = 0; k < 8; ++k)
      if (const auto v = victims_[k % victims_.size()]; mesh_.running(v))
        lies.reports.push_back(accuse(by, incarnation{1}, v));
  }
  say(liar, lies);
}

bool liars::mangle(index liar, index to, channel on, bytes& payload) {
  auto& kept = said_[liar];
  if (kept.size() >= frames_kept)
    kept.pop_front();
  kept.push_back({to, on, payload});
  const auto& old = kept[random_.below(kept.size())];
  switch (random_.below(6)) {
  case 0: // again, to whomever
    mesh_.inject(liar, to, old.on, old.payload);
    return true;
  case 1: // an older one instead; it comes itself later, or never
    payload = old.payload;
    return old.on == on;
  case 2:
    if (!payload.empty())
      payload[random_.below(payload.size())] ^=
          static_cast<std::uint8_t>(1U << random_.below(8));
    return true;
  case 3:
    payload.resize(random_.below(payload.size() + 1));
    return true;
  default:
    return true;
  }
}

/// A page of another mesh: half of the members are missing, and others stand
/// there whom nobody runs.
bool liars::falsify_pages(index liar, bytes& payload) {
  membership_message m;
  if (!decode(payload, m))
    return true;
  auto* page = std::get_if<page_message>(&m);
  if (page == nullptr)
    return true;
  auto& mine = invented_[liar];
  for (std::size_t n = 0; n < page->records.size(); n += 2) {
    mine.push_back(identity::generate(random_));
    const auto& key = mine.back();
    auto d = record_of(key, key.id(), 1, member_word::normal);
    d.admitted = admission::make(mesh_.key(liar), mesh_.mesh(), key.id());
    page->records[n] = std::move(d);
  }
  payload = encode(m);
  return payload.size() <= membership_frame_bytes_max;
}

} // namespace banyan::sim
