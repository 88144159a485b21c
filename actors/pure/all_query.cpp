#include "actors/pure/all_query.hpp"

#include "base/codec.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace banyan {
namespace {

constexpr unsigned depth_max = 16;

const char* name_of(reader::kind k) {
  switch (k) {
  case reader::kind::boolean:
    return "a boolean";
  case reader::kind::text:
    return "text";
  case reader::kind::blob:
    return "bytes";
  case reader::kind::array:
    return "a list";
  default:
    return "no value";
  }
}

} // namespace

bool answer_sum::add(const_bytes value, std::string& why) {
  reader in{value};
  if (!add(root_, in, why, 0))
    return false;
  if (!in.done())
    why = "an answer is not one msgpack value in its shortest form";
  return in.done();
}

bool answer_sum::add(node& to, reader& in, std::string& why, unsigned depth) {
  using kind = node::kind;
  const auto mixed = [&] {
    why = "answers of different kinds can't be added up; ?fold=list shows them";
    return false;
  };
  const auto what = in.peek();
  switch (what) {
  case reader::kind::nil:
    in.nil();
    return true;
  case reader::kind::uint:
  case reader::kind::sint:
    if (to.what == kind::map)
      return mixed();
    to.sum += what == reader::kind::uint ? static_cast<wide>(in.uint())
                                         : static_cast<wide>(in.sint());
    to.what = to.what == kind::nothing ? kind::integer : to.what;
    return true;
  case reader::kind::number:
    if (to.what == kind::map)
      return mixed();
    to.real += in.number();
    to.what = kind::real;
    return true;
  case reader::kind::map: {
    if (to.what != kind::nothing && to.what != kind::map)
      return mixed();
    if (depth >= depth_max) {
      why = "an answer is nested too deeply to be added up";
      return false;
    }
    to.what = kind::map;
    for (auto n = in.map(entries_max); n > 0 && in.ok(); --n) {
      if (in.peek() != reader::kind::text) {
        why = "a map whose keys are no text can't be added up";
        return false;
      }
      auto [at, fresh] =
          to.entries.try_emplace(std::string{in.text(argument_bytes_max)});
      if (fresh && ++entries_ > entries_max) {
        why =
            "the sum has more than " + std::to_string(entries_max) + " entries";
        return false;
      }
      key_bytes_ += fresh ? at->first.size() : 0;
      if (key_bytes_ > key_bytes_max) {
        why = "the keys of the sum's maps have more than 1 MiB";
        return false;
      }
      if (!add(at->second, in, why, depth + 1))
        return false;
    }
    return true;
  }
  default:
    why = std::string{name_of(what)}
          + " can't be added up; ?fold=list shows the answers";
    return false;
  }
}

bool answer_sum::write(bytes& out, std::string& why) const {
  writer w{out};
  return write(root_, w, why);
}

bool answer_sum::write(const node& n, writer& w, std::string& why) const {
  switch (n.what) {
  case node::kind::nothing:
    w.nil();
    return true;
  case node::kind::integer:
    if (n.sum > static_cast<wide>(UINT64_MAX)
        || n.sum < static_cast<wide>(INT64_MIN)) {
      why = "the sum is beyond 64 bits";
      return false;
    }
    if (n.sum < 0)
      w.sint(static_cast<std::int64_t>(n.sum));
    else
      w.uint(static_cast<std::uint64_t>(n.sum));
    return true;
  case node::kind::real: {
    const auto sum = n.real + static_cast<double>(n.sum);
    if (!std::isfinite(sum)) {
      why = "the sum is no finite number";
      return false;
    }
    w.number(sum);
    return true;
  }
  case node::kind::map:
    w.map(n.entries.size());
    for (const auto& [key, entry] : n.entries) {
      w.text(key);
      if (!write(entry, w, why))
        return false;
    }
    return true;
  }
  return false;
}

// ---- asking
// ------------------------------------------------------------------

all_query::all_query(std::uint32_t shards, bool as_list,
                     std::size_t argument_bytes)
    : as_list_{as_list}, at_once_{std::clamp<std::size_t>(
                             asked_bytes_max
                                 / std::max<std::size_t>(argument_bytes, 1),
                             1, asked_at_once)},
      shards_(shards) {
}

std::size_t all_query::pending() const {
  auto n = lists_ + asks_;
  for (const auto& s : shards_)
    n += s.keys.size() + (s.more ? 1 : 0);
  return n;
}

std::optional<all_query::step> all_query::next() {
  if (failed_)
    return std::nullopt;
  for (std::size_t n = 0; n < shards_.size(); ++n) {
    const auto number =
        static_cast<std::uint32_t>((turn_ + n) % shards_.size());
    auto& s = shards_[number];
    if (!s.keys.empty() && asks_ < at_once_) {
      ask a{number, std::move(s.keys.front())};
      s.keys.pop_front();
      --keys_;
      ++asks_;
      turn_ = number + 1;
      return a;
    }
    if (s.keys.empty() && s.more && !s.listing
        && keys_ + (lists_ + 1) * page <= lists_at_once * page) {
      s.listing = true;
      ++lists_;
      return list{number, s.after};
    }
  }
  return std::nullopt;
}

void all_query::fail(reply_status s, std::string message) {
  if (std::exchange(failed_, true))
    return;
  why_.status = s;
  why_.message = std::move(message);
}

void all_query::fail(const reply& r, const std::string& whose) {
  if (failed_)
    return;
  failed_ = true;
  why_ = r;
  why_.result.clear();
  why_.message =
      whose + ": " + (r.message.empty() ? to_string(r.status) : r.message);
}

void all_query::listed(std::uint32_t number, const reply& r) {
  auto& s = shards_.at(number);
  --lists_;
  s.listing = false;
  if (r.status != reply_status::ok)
    return fail(r, "shard " + std::to_string(number));
  reader in{r.result};
  in.require(in.array(2) == 2);
  for (auto n = in.array(page); n > 0 && in.ok(); --n) {
    s.keys.emplace_back(in.text(actor_key_bytes_max));
    ++keys_;
  }
  s.more = in.boolean();
  if (!in.done() || (s.more && s.keys.empty()))
    return fail(reply_status::app_failed,
                "shard " + std::to_string(number)
                    + " lists its actors in a way that this peer doesn't "
                      "understand: is it of another version?");
  if (!s.keys.empty())
    s.after = s.keys.back();
  actors_ += s.keys.size();
  if (actors_ > actors_max)
    fail(reply_status::too_large,
         "the app has more than " + std::to_string(actors_max)
             + " actors: keep the total in an actor of its own");
}

void all_query::answered(const ask& a, const reply& r) {
  auto& s = shards_.at(a.shard);
  --asks_;
  if (r.status != reply_status::ok)
    return fail(r, a.key);
  ++s.actors;
  s.from = s.actors == 1 ? r.index : std::min(s.from, r.index);
  s.to = std::max(s.to, r.index);
  if (r.result.empty() && !as_list_)
    return;
  if (std::string why; !as_list_ && !sum_.add(r.result, why))
    return fail(reply_status::invalid_argument, a.key + ": " + why);
  if (!as_list_)
    return;
  listed_bytes_ += a.key.size() + r.result.size() + 8;
  if (listed_bytes_ > listed_bytes_max)
    return fail(reply_status::too_large,
                "the answers have more than 1 MiB in all");
  answers_[a.key] = r.result;
}

std::optional<bytes> all_query::result(bool stale, reply& why) const {
  BANYAN_ASSERT(over());
  why = why_;
  if (failed_)
    return std::nullopt;
  bytes out;
  writer w{out};
  w.map(4).text("result");
  if (as_list_) {
    w.array(answers_.size());
    for (const auto& [key, value] : answers_) {
      w.array(2).text(key);
      if (value.empty())
        w.nil();
      else
        w.raw(value);
    }
  } else {
    bytes sum;
    if (!sum_.write(sum, why.message)) {
      why.status = reply_status::app_failed;
      return std::nullopt;
    }
    w.raw(sum);
  }
  w.text("actors").uint(actors_);
  w.text("consistency")
      .text(stale ? "stale" : "linearizable per actor, no cut");
  w.text("shards").array(shards_.size());
  for (std::size_t n = 0; n < shards_.size(); ++n) {
    const auto& s = shards_[n];
    w.map(4).text("shard").uint(n).text("actors").uint(s.actors);
    w.text("from").id(s.from).text("to").id(s.to);
  }
  return out;
}

} // namespace banyan
