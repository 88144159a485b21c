#include "actors/pure/control_wire.hpp"

#include "base/codec.hpp"

#include <algorithm>
#include <cmath>

namespace banyan {
namespace {

constexpr std::size_t elements_max = 8; ///< of a frame, its kind too
constexpr double no_reply = -1.0;

bool is_control(char c) noexcept {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

std::string one_line(std::string text) {
  text.resize(std::min(text.size(), control_error_bytes_max));
  std::replace_if(text.begin(), text.end(), is_control, '?');
  return text;
}

writer& head(writer& w, control_kind k, std::size_t elements) {
  return w.array(elements + 1).uint(static_cast<std::uint64_t>(k));
}

// ---- writing

struct frame_writer {
  bytes& out;
  writer w{out};

  void operator()(const unknown_control&) { BANYAN_ASSERT(false); }
  void operator()(const secret_proof& f) {
    head(w, control_kind::proof, 3).id(f.group.app).uint(f.group.shard);
    w.id(f.proof);
  }
  void operator()(const group_view& f) {
    head(w, control_kind::view, 1);
    encode(f, out);
  }
  void operator()(const documents_held& f) {
    head(w, control_kind::documents, 1).array(f.apps.size());
    for (const auto& [id, item] : f.apps)
      w.array(3).id(id).uint(item.number).boolean(item.deleted);
  }
  void operator()(const app_papers& f) {
    head(w, control_kind::document, 1).raw(f.encode());
  }
  void operator()(const make_replicas& f) {
    head(w, control_kind::make_replica, 5).uint(f.token).id(f.app);
    w.blob(f.nonce).array(f.shards.size());
    for (const auto s : f.shards)
      w.uint(s);
    w.blob(f.secret ? f.secret->view() : const_bytes{});
  }
  void operator()(const replicas_made& f) {
    head(w, control_kind::replica_made, 3).uint(f.token).array(f.made.size());
    for (const auto& [shard, id] : f.made)
      w.array(2).uint(shard).id(id);
    w.text(one_line(f.error));
  }
  void operator()(const failover_record& f) {
    head(w, control_kind::failover, 1).array(10).text(f.app);
    w.id(f.group.app).uint(f.group.shard).id(f.term).id(f.leader);
    w.blob(f.old_leader ? f.old_leader->view() : const_bytes{});
    w.number(f.elected_ms).number(f.first_commit_ms);
    w.number(f.first_reply_ms.value_or(no_reply)).sint(f.at_unix_ms);
  }
  void operator()(const host_state& f) {
    head(w, control_kind::host_state, 2).text(f.app).boolean(f.exhausted);
  }
  void operator()(const host_wear& f) {
    head(w, control_kind::host_wear, 2).text(f.app).boolean(f.worn);
  }
  void operator()(const unready_replicas& f) {
    head(w, control_kind::states, 1).array(f.replicas.size());
    for (const auto& i : f.replicas)
      w.array(4)
          .id(i.group.app)
          .uint(i.group.shard)
          .id(i.replica)
          .uint(static_cast<std::uint64_t>(i.phase));
  }
  void operator()(const compare_wanted& f) {
    head(w, control_kind::compare, 2).id(f.group.app).uint(f.group.shard);
  }
  void operator()(const stay_wanted& f) {
    head(w, control_kind::stay, 4).id(f.group.app).uint(f.group.shard);
    w.id(f.asker).uint(f.round);
  }
  void operator()(const stay_promised& f) {
    head(w, control_kind::staying, 5).id(f.group.app).uint(f.group.shard);
    w.id(f.who).id(f.asker).uint(f.round);
  }
  void operator()(const drain_notice& f) {
    write(head(w, control_kind::draining, drain_notice_elements), f);
  }
  void operator()(const operator_order& f) {
    write(head(w, control_kind::order, operator_order_elements), f);
  }
  void operator()(const operator_answer& f) {
    write(head(w, control_kind::order_answer, operator_answer_elements), f);
  }
  void operator()(const logs_wanted& f) {
    write_body(head(w, control_kind::logs_wanted, 4), f);
  }
  void operator()(const logs_held& f) {
    write_body(head(w, control_kind::logs, 3), f);
  }
  void operator()(const event_told& f) {
    write_body(head(w, control_kind::event, 1), f);
  }
  void operator()(const secret_wanted& f) {
    write_body(head(w, control_kind::secret_wanted, 2), f);
  }
  void operator()(const secret_key& f) {
    write_body(head(w, control_kind::secret_key, 3), f);
  }
  void operator()(const modules_held& f) {
    head(w, control_kind::modules, 1).array(f.modules.size());
    for (const auto& m : f.modules)
      w.array(2).id(m.hash).uint(m.permille);
  }
  void operator()(const module_wanted& f) {
    head(w, control_kind::module_wanted, 3).id(f.hash).uint(f.offset);
    w.uint(f.size);
  }
  void operator()(const module_refused& f) {
    head(w, control_kind::module_refused, 3).id(f.hash).uint(f.offset);
    w.uint(static_cast<std::uint64_t>(f.why));
  }
  void operator()(const owners_trusted& f) {
    head(w, control_kind::trust, 1).array(f.owners.size());
    for (const auto& o : f.owners)
      w.id(o);
  }
  void operator()(const backup_wanted& f) {
    head(w, control_kind::backup_wanted, 6).uint(f.token).id(f.group.app);
    w.uint(f.group.shard).uint(static_cast<std::uint64_t>(f.what));
    w.uint(f.number).blob(f.file);
  }
  void operator()(const backup_given& f) {
    head(w, control_kind::backup_given, 6).uint(f.token).uint(f.number);
    w.uint(static_cast<std::uint64_t>(f.what)).boolean(f.last).blob(f.data);
    w.text(one_line(f.error));
  }
  void operator()(const version_ready& f) {
    write_body(head(w, control_kind::version_ready, 3), f);
  }
  void operator()(const version_word& f) {
    write_body(head(w, control_kind::version_word, 5), f);
  }
  void operator()(const instance_word& f) {
    write_body(head(w, control_kind::instance, 3), f);
  }
  void operator()(const node_load& f) {
    write_body(head(w, control_kind::load, 3), f);
  }
  void operator()(const distances_told& f) {
    write_body(head(w, control_kind::distances, 1), f);
  }
  void operator()(const view_wanted& f) {
    write_body(head(w, control_kind::view_wanted, 2), f);
  }
  void operator()(const view_told& f) {
    head(w, control_kind::view_told, 1);
    encode(f.view, out);
  }
  void operator()(const instances_told& f) {
    write_body(head(w, control_kind::instances, 2), f);
  }
  void operator()(const documents_sum& f) {
    write_body(head(w, control_kind::documents_sum, 2), f);
  }
  void operator()(const days_wanted& f) {
    write_body(head(w, control_kind::days_wanted, 3), f);
  }
  void operator()(const days_given& f) {
    write_body(head(w, control_kind::days, 3), f);
  }
  void operator()(const policy_told& f) {
    write_body(head(w, control_kind::policy, 1), f);
  }
  void operator()(const pinned_replicas& f) {
    write_body(head(w, control_kind::pinned, 1), f);
  }
  void operator()(const pin_wanted& f) {
    write_body(head(w, control_kind::pin_wanted, 3), f);
  }
  void operator()(const hardware_challenge& f) {
    write_body(head(w, control_kind::challenge, 4), f);
  }
  void operator()(const hardware_answer& f) {
    write_body(head(w, control_kind::challenge_answer, 4), f);
  }
  void operator()(const recovery_told& f) {
    head(w, control_kind::recovery, 1).blob(f.document.encode());
  }
  void operator()(const standings_told& f) {
    head(w, control_kind::standings, 4).uint(f.token).id(f.app);
    w.boolean(f.answer).array(f.replicas.size());
    for (const auto& s : f.replicas) {
      w.array(11).uint(s.group.shard).id(s.who.replica).id(s.lineage);
      w.id(s.term).id(s.last).id(s.committed).boolean(s.whole);
      w.boolean(s.serving).boolean(s.pending);
      for (const auto* list : {&s.voters, &s.outgoing}) {
        w.array(list->size());
        for (const auto& v : *list)
          w.array(2).id(v.node).id(v.replica);
      }
    }
  }
};

// ---- reading: what follows the kind

std::uint32_t read_shard(reader& r) {
  return static_cast<std::uint32_t>(r.uint(shards_max - 1));
}

void read_group(reader& r, group_id& out) {
  r.id(out.app);
  out.shard = read_shard(r);
}

std::string read_app_name(reader& r) {
  const auto name = r.text(app_name_bytes_max);
  r.require(is_app_name(name));
  return std::string{name};
}

double read_ms(reader& r) {
  const auto ms = r.number();
  r.require(std::isfinite(ms));
  return ms;
}

/// Nothing, or an id.
template <class Id>
void read_optional(reader& r, std::optional<Id>& out) {
  const auto b = r.blob(Id::size);
  Id id;
  if (!b.empty() && r.require(Id::from(b, id)))
    out = id;
}

void read(reader& r, secret_proof& f) {
  read_group(r, f.group);
  r.id(f.proof);
}

void read(reader& r, documents_held& f) {
  const auto n = r.array(control_list_max);
  for (std::size_t i = 0; i < n && r.ok(); ++i) {
    r.require(r.array(3) == 3);
    app_id id;
    r.id(id);
    r.require(f.apps.empty() || f.apps.rbegin()->first < id);
    auto& item = f.apps[id];
    item.number = r.uint();
    item.deleted = r.boolean();
  }
}

void read(reader& r, make_replicas& f) {
  f.token = r.uint();
  r.id(f.app);
  const auto nonce = r.blob(f.nonce.size());
  if (r.require(nonce.size() == f.nonce.size()))
    std::copy(nonce.begin(), nonce.end(), f.nonce.begin());
  const auto n = r.array(shards_max);
  r.require(n > 0);
  for (std::size_t i = 0; i < n && r.ok(); ++i) {
    const auto s = read_shard(r);
    r.require(f.shards.empty() || f.shards.back() < s);
    f.shards.push_back(s);
  }
  read_optional(r, f.secret);
}

void read(reader& r, replicas_made& f) {
  f.token = r.uint();
  const auto n = r.array(shards_max);
  for (std::size_t i = 0; i < n && r.ok(); ++i) {
    r.require(r.array(2) == 2);
    const auto s = read_shard(r);
    r.require(f.made.empty() || f.made.rbegin()->first < s);
    r.id(f.made[s]);
  }
  f.error = r.text(control_error_bytes_max);
  r.require(std::none_of(f.error.begin(), f.error.end(), is_control));
}

void read(reader& r, failover_record& f) {
  r.require(r.array(10) == 10);
  f.app = read_app_name(r);
  read_group(r, f.group);
  r.id(f.term);
  r.id(f.leader);
  read_optional(r, f.old_leader);
  f.elected_ms = read_ms(r);
  f.first_commit_ms = read_ms(r);
  const auto reply = read_ms(r);
  if (reply >= 0)
    f.first_reply_ms = reply;
  else
    r.require(reply == no_reply);
  f.at_unix_ms = r.sint();
}

void read(reader& r, host_state& f) {
  f.app = read_app_name(r);
  f.exhausted = r.boolean();
}

void read(reader& r, host_wear& f) {
  f.app = read_app_name(r);
  f.worn = r.boolean();
}

void read(reader& r, unready_replicas& f) {
  const auto n = r.array(control_list_max);
  for (std::size_t i = 0; i < n && r.ok(); ++i) {
    unready_replicas::item item;
    r.require(r.array(4) == 4);
    read_group(r, item.group);
    r.id(item.replica);
    item.phase = static_cast<state_phase>(
        r.uint(static_cast<std::uint64_t>(state_phase::lost)));
    r.require(item.phase != state_phase::whole);
    f.replicas.push_back(item);
  }
}

void read(reader& r, compare_wanted& f) {
  read_group(r, f.group);
}

void read(reader& r, stay_wanted& f) {
  read_group(r, f.group);
  r.id(f.asker);
  f.round = r.uint();
}

void read(reader& r, stay_promised& f) {
  read_group(r, f.group);
  r.id(f.who);
  r.id(f.asker);
  f.round = r.uint();
}

backup_wanted::step read_step(reader& r) {
  return static_cast<backup_wanted::step>(
      r.uint(static_cast<std::uint64_t>(backup_wanted::step::end)));
}

void read(reader& r, backup_wanted& f) {
  f.token = r.uint();
  read_group(r, f.group);
  f.what = read_step(r);
  f.number = r.uint();
  const auto file = r.blob(f.file.size());
  if (r.require(file.size() == f.file.size()))
    std::copy(file.begin(), file.end(), f.file.begin());
}

void read(reader& r, backup_given& f) {
  f.token = r.uint();
  f.number = r.uint();
  f.what = read_step(r);
  f.last = r.boolean();
  f.data = r.blob(backup_part_bytes_max).copy();
  f.error = r.text(control_error_bytes_max);
  r.require(std::none_of(f.error.begin(), f.error.end(), is_control));
}

void read(reader& r, recovery_told& f) {
  r.require(signed_document::decode(
      r.blob(signed_document::body_bytes_max + 1024), f.document));
}

void read(reader& r, standings_told& f) {
  f.token = r.uint();
  r.id(f.app);
  f.answer = r.boolean();
  f.replicas.resize(r.array(shards_max));
  for (auto& s : f.replicas) {
    r.require(r.array(11) == 11);
    s.group = {f.app, read_shard(r)};
    r.id(s.who.replica); // its node is the link's
    r.id(s.lineage);
    r.id(s.term);
    r.id(s.last);
    r.id(s.committed);
    s.whole = r.boolean();
    s.serving = r.boolean();
    s.pending = r.boolean();
    for (auto* list : {&s.voters, &s.outgoing}) {
      list->resize(r.array(app_recovery::replicas_listed_max));
      for (auto& v : *list) {
        r.require(r.array(2) == 2);
        r.id(v.node);
        r.id(v.replica);
      }
    }
  }
}

/// What another file knows how to read.
template <class T>
auto read(reader& r, T& f) -> decltype(read_body(r, f)) {
  read_body(r, f);
}

void read(reader& r, modules_held& f) {
  const auto n = r.array(control_list_max);
  for (std::size_t i = 0; i < n && r.ok(); ++i) {
    modules_held::item m;
    r.require(r.array(2) == 2);
    r.id(m.hash);
    m.permille = static_cast<std::uint16_t>(r.uint(1000));
    r.require(f.modules.empty() || f.modules.back().hash < m.hash);
    f.modules.push_back(m);
  }
}

void read(reader& r, module_wanted& f) {
  r.id(f.hash);
  f.offset = r.uint(module_bytes_max);
  f.size = r.uint(module_piece_bytes_max);
  r.require(f.size > 0);
}

void read(reader& r, module_refused& f) {
  r.id(f.hash);
  f.offset = r.uint(module_bytes_max);
  f.why = static_cast<module_refused::reason>(
      r.uint(static_cast<std::uint64_t>(module_refused::reason::not_here)));
}

void read(reader& r, owners_trusted& f) {
  const auto n = r.array(owners_trusted_max);
  for (std::size_t i = 0; i < n && r.ok(); ++i) {
    owner_id o;
    r.id(o);
    r.require(f.owners.empty() || f.owners.back() < o);
    f.owners.push_back(o);
  }
}

/// The rest of `r` is one frame of type T, `elements` beside its kind.
template <class T>
bool take(reader& r, std::size_t elements, std::size_t count,
          control_frame& out) {
  auto& f = out.emplace<T>();
  r.require(count == elements + 1);
  read(r, f);
  return r.done();
}

} // namespace

void encode(const control_frame& f, bytes& out) {
  std::visit(frame_writer{out}, f);
}

bytes encoded_control(const control_frame& f) {
  bytes out;
  encode(f, out);
  return out;
}

bool decode(const_bytes in, control_frame& out) {
  out.emplace<unknown_control>();
  reader r{in};
  const auto count = r.array(elements_max);
  r.require(count > 0);
  const auto kind = r.uint(UINT8_MAX);
  if (!r.ok())
    return false;
  const auto body = in.from(in.size() - r.left());
  switch (static_cast<control_kind>(kind)) {
  case control_kind::proof:
    return take<secret_proof>(r, 3, count, out);
  case control_kind::view:
    return count == 2 && decode(body, out.emplace<group_view>());
  case control_kind::view_told:
    return count == 2 && decode(body, out.emplace<view_told>().view);
  case control_kind::documents:
    return take<documents_held>(r, 1, count, out);
  case control_kind::document:
    return count == 2 && app_papers::decode(body, out.emplace<app_papers>());
  case control_kind::make_replica:
    return take<make_replicas>(r, 5, count, out);
  case control_kind::replica_made:
    return take<replicas_made>(r, 3, count, out);
  case control_kind::failover:
    return take<failover_record>(r, 1, count, out);
  case control_kind::host_state:
    return take<host_state>(r, 2, count, out);
  case control_kind::host_wear:
    return take<host_wear>(r, 2, count, out);
  case control_kind::states:
    return take<unready_replicas>(r, 1, count, out);
  case control_kind::compare:
    return take<compare_wanted>(r, 2, count, out);
  case control_kind::stay:
    return take<stay_wanted>(r, 4, count, out);
  case control_kind::staying:
    return take<stay_promised>(r, 5, count, out);
  case control_kind::draining:
    return take<drain_notice>(r, drain_notice_elements, count, out);
  case control_kind::order:
    return take<operator_order>(r, operator_order_elements, count, out);
  case control_kind::order_answer:
    return take<operator_answer>(r, operator_answer_elements, count, out);
  case control_kind::logs_wanted:
    return take<logs_wanted>(r, 4, count, out);
  case control_kind::logs:
    return take<logs_held>(r, 3, count, out);
  case control_kind::event:
    return take<event_told>(r, 1, count, out);
  case control_kind::secret_wanted:
    return take<secret_wanted>(r, 2, count, out);
  case control_kind::secret_key:
    return take<secret_key>(r, 3, count, out);
  case control_kind::modules:
    return take<modules_held>(r, 1, count, out);
  case control_kind::module_wanted:
    return take<module_wanted>(r, 3, count, out);
  case control_kind::module_refused:
    return take<module_refused>(r, 3, count, out);
  case control_kind::trust:
    return take<owners_trusted>(r, 1, count, out);
  case control_kind::backup_wanted:
    return take<backup_wanted>(r, 6, count, out);
  case control_kind::backup_given:
    return take<backup_given>(r, 6, count, out);
  case control_kind::version_ready:
    return take<version_ready>(r, 3, count, out);
  case control_kind::version_word:
    return take<version_word>(r, 5, count, out);
  case control_kind::instance:
    return take<instance_word>(r, 3, count, out);
  case control_kind::load:
    return take<node_load>(r, 3, count, out);
  case control_kind::distances:
    return take<distances_told>(r, 1, count, out);
  case control_kind::view_wanted:
    return take<view_wanted>(r, 2, count, out);
  case control_kind::instances:
    return take<instances_told>(r, 2, count, out);
  case control_kind::documents_sum:
    return take<documents_sum>(r, 2, count, out);
  case control_kind::days_wanted:
    return take<days_wanted>(r, 3, count, out);
  case control_kind::days:
    return take<days_given>(r, 3, count, out);
  case control_kind::policy:
    return take<policy_told>(r, 1, count, out);
  case control_kind::pinned:
    return take<pinned_replicas>(r, 1, count, out);
  case control_kind::pin_wanted:
    return take<pin_wanted>(r, 3, count, out);
  case control_kind::challenge:
    return take<hardware_challenge>(r, 4, count, out);
  case control_kind::challenge_answer:
    return take<hardware_answer>(r, 4, count, out);
  case control_kind::recovery:
    return take<recovery_told>(r, 1, count, out);
  case control_kind::standings:
    return take<standings_told>(r, 4, count, out);
  }
  return true;
}

bytes encode(const backup_begun& b) {
  bytes out;
  writer{out}.array(3).id(b.lineage).boolean(b.led).id(b.key);
  return out;
}
bool decode(const_bytes in, backup_begun& b) {
  reader r{in};
  r.require(r.array(3) == 3);
  r.id(b.lineage);
  b.led = r.boolean();
  r.id(b.key);
  return r.done();
}

} // namespace banyan
