#include "actors/pure/uptime/day.hpp"

#include "base/codec.hpp"

#include <algorithm>

namespace banyan {
namespace {

constexpr std::size_t blob_bytes = minutes_a_day / 8;
/// Up to so many runs are written as such: never longer than the blob.
constexpr std::size_t runs_max = 48;
constexpr std::uint32_t late_minutes = 15;

unsigned ones(std::uint64_t v) {
  return static_cast<unsigned>(__builtin_popcountll(v));
}

/// What of a word belongs to the day.
std::uint64_t mask_of(std::size_t word) {
  constexpr auto rest = minutes_a_day % 64;
  return word + 1 == minute_bits::words && rest != 0
             ? (std::uint64_t{1} << rest) - 1
             : ~std::uint64_t{0};
}

std::vector<std::uint32_t> runs_of(const minute_bits& b) {
  std::vector<std::uint32_t> out{0};
  bool is = false;
  for (std::size_t i = 0; i < minutes_a_day; ++i) {
    if (b.test(i) != is) {
      is = !is;
      out.push_back(0);
    }
    ++out.back();
  }
  return out;
}

} // namespace

day_time day_time_of(std::int64_t unix_ms, duration minute) {
  const auto ms = std::max<std::int64_t>(
      1, std::chrono::duration_cast<std::chrono::milliseconds>(minute).count());
  const auto minutes =
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, unix_ms) / ms);
  // A clock that is thousands of years ahead stands still there.
  const auto day =
      std::min<std::uint64_t>(minutes / minutes_a_day, UINT32_MAX - 64);
  return {static_cast<std::uint32_t>(day),
          static_cast<std::uint32_t>(minutes % minutes_a_day)};
}

// Civil from days (Hinnant): eras of 400 years that begin on March 1st.
std::string date_text(std::uint32_t day) {
  const auto z = std::uint64_t{day} + 719'468;
  const auto era = z / 146'097;
  const auto of_era = z - era * 146'097;
  const auto year_of_era =
      (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;
  const auto of_year =
      of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const auto month_from_march = (5 * of_year + 2) / 153;
  const auto d = of_year - (153 * month_from_march + 2) / 5 + 1;
  const auto m =
      month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
  const auto y = year_of_era + era * 400 + (m <= 2 ? 1 : 0);
  const auto two = [](std::uint64_t n) {
    return (n < 10 ? "0" : "") + std::to_string(n);
  };
  return std::to_string(y) + "-" + two(m) + "-" + two(d);
}

void minute_bits::set(std::size_t minute) {
  BANYAN_ASSERT(minute < minutes_a_day);
  w_[minute / 64] |= std::uint64_t{1} << (minute % 64);
}

bool minute_bits::test(std::size_t minute) const {
  BANYAN_ASSERT(minute < minutes_a_day);
  return (w_[minute / 64] >> (minute % 64) & 1) != 0;
}

std::uint32_t minute_bits::count() const {
  std::uint32_t n = 0;
  for (const auto w : w_)
    n += ones(w);
  return n;
}

bool minute_bits::any() const {
  return std::any_of(w_.begin(), w_.end(), [](auto w) { return w != 0; });
}

void minute_bits::set_range(std::size_t first, std::size_t end) {
  for (auto i = first; i < end; ++i)
    set(i);
}

void minute_bits::set_word(std::size_t i, std::uint64_t v) {
  w_[i] = v & mask_of(i);
}

minute_bits operator&(const minute_bits& a, const minute_bits& b) {
  minute_bits out;
  for (std::size_t i = 0; i < minute_bits::words; ++i)
    out.w_[i] = a.w_[i] & b.w_[i];
  return out;
}

minute_bits operator^(const minute_bits& a, const minute_bits& b) {
  minute_bits out;
  for (std::size_t i = 0; i < minute_bits::words; ++i)
    out.w_[i] = a.w_[i] ^ b.w_[i];
  return out;
}

void minute_bits::write(writer& w) const {
  const auto runs = runs_of(*this);
  if (runs.size() <= runs_max) {
    w.array(runs.size());
    for (const auto n : runs)
      w.uint(n);
    return;
  }
  bytes blob(blob_bytes, 0);
  for (std::size_t i = 0; i < minutes_a_day; ++i)
    if (test(i))
      blob[i / 8] = static_cast<std::uint8_t>(blob[i / 8] | 0x80U >> (i % 8));
  w.blob(blob);
}

void minute_bits::read(reader& r) {
  w_ = {};
  if (r.peek() == reader::kind::blob) {
    const auto blob = r.blob(blob_bytes);
    if (!r.require(blob.size() == blob_bytes))
      return;
    for (std::size_t i = 0; i < minutes_a_day; ++i)
      if ((blob[i / 8] & 0x80U >> (i % 8)) != 0)
        set(i);
    r.require(runs_of(*this).size() > runs_max); // else it is written as runs
    return;
  }
  const auto n = r.array(runs_max);
  std::size_t at = 0;
  for (std::size_t i = 0; i < n && r.ok(); ++i) {
    const auto run = r.uint(minutes_a_day - at);
    if (!r.require(run > 0 || i == 0))
      return;
    if (i % 2 == 1)
      set_range(at, at + run);
    at += run;
  }
  r.require(at == minutes_a_day);
}

const seen_day* observation::find(const node_id& node) const {
  const auto at = std::lower_bound(
      subjects.begin(), subjects.end(), node,
      [](const subject& s, const node_id& n) { return s.node < n; });
  return at == subjects.end() || at->node != node ? nullptr : &at->seen;
}

bytes observation::encode() const {
  BANYAN_ASSERT(subjects.size() <= subjects_max);
  bytes out;
  writer w{out};
  w.array(2).uint(day).array(subjects.size());
  for (const auto& s : subjects) {
    w.array(3).id(s.node);
    s.seen.observed.write(w);
    s.seen.up.write(w);
  }
  BANYAN_ASSERT(out.size() <= observation_bytes_max);
  return out;
}

bool observation::decode(const_bytes in, observation& out) {
  out = {};
  if (in.size() > observation_bytes_max)
    return false;
  reader r{in};
  r.require(r.array(2) == 2);
  out.day = static_cast<std::uint32_t>(r.uint(UINT32_MAX));
  for (auto n = r.array(subjects_max); n > 0 && r.ok(); --n) {
    subject s;
    r.require(r.array(3) == 3);
    r.id(s.node);
    s.seen.observed.read(r);
    s.seen.up.read(r);
    r.require(s.seen.observed.any()
              && (s.seen.up & s.seen.observed) == s.seen.up
              && (out.subjects.empty() || out.subjects.back().node < s.node));
    out.subjects.push_back(std::move(s));
  }
  return r.done();
}

node_id observer_of(const signed_document& d) {
  return node_id{d.signer.array()};
}

result<observation, day_errc>
open_observation(const signed_document& d, const mesh_id& mesh, day_time now) {
  observation o;
  if (d.kind != sign_kind::observation || !observation::decode(d.body, o)
      || d.version != o.day || o.find(observer_of(d)) != nullptr)
    return failure{day_errc::malformed};
  if (o.day > now.day
      || (o.day == now.day && now.minute + late_minutes < minutes_a_day))
    return failure{day_errc::future};
  if (now.day - o.day > days_kept)
    return failure{day_errc::old};
  if (!d.verify(mesh))
    return failure{day_errc::bad_signature};
  return o;
}

} // namespace banyan
