#pragma once
#include "net/link/detail/handshake.hpp"
#include "net/link/detail/lanes.hpp"
#include "net/link/detail/record_reader.hpp"
#include "support.hpp"

#include <gtest/gtest.h>

#include <set>

namespace banyan::net::test {

/// Streams that only write down what a table does with them.
class fake_streams final : public streams {
public:
  void set_events(stream_events& e) override { events = &e; }
  stream_id dial(const address& to) override {
    dialled.push_back(to);
    return stream_id{++last};
  }
  result<address, stream_end> listen(const address& at) override { return at; }
  void stop_listening() override {}
  void write(stream_id id, const_bytes data) override {
    append(written[id], data);
  }
  [[nodiscard]] std::size_t unsent(stream_id) const override { return held; }
  void close(stream_id id) override { ended.insert(id); }
  void reset(stream_id id) override { ended.insert(id); }

  [[nodiscard]] bool is_over(stream_id id) const {
    return ended.count(id) != 0;
  }

  stream_events* events = nullptr;
  std::uint64_t last = 1000;
  std::vector<address> dialled;
  std::map<stream_id, bytes> written;
  std::set<stream_id> ended;
  std::size_t held = 0;
};

/// Counts how often randomness was drawn: an ephemeral key costs one, and no
/// Diffie-Hellman of an answering side comes before its ephemeral key.
class counting_random final : public random_source {
public:
  void fill(std::uint8_t* out, std::size_t size) override {
    ++draws;
    source.fill(out, size);
  }
  seeded_random source{99};
  std::uint64_t draws = 0;
};

/// The keys of one side, as the table would make them.
struct side_keys {
  explicit side_keys(std::uint8_t seed, random_source& random,
                     const std::string& mesh_name = "garden",
                     std::uint8_t mesh_key_fill = 1,
                     link_role role = link_role::peer,
                     std::uint64_t major = wire_version_major)
      : key{identity::from_seed(fixed_secret(seed))},
        static_key{noise::dh_keypair::generate(random)},
        psk{derive_psk(fixed_secret(mesh_key_fill), role)} {
    keys.key = &key;
    keys.static_key = &static_key;
    keys.mesh = test_mesh::mesh_of(mesh_name);
    keys.prologue = make_prologue(mesh_name, major);
    keys.dial_psk = &psk;
    for (const auto r : {link_role::peer, link_role::client})
      keys.accepted.push_back({derive_psk(fixed_secret(mesh_key_fill), r), r});
  }
  side_keys(const side_keys&) = delete;
  side_keys& operator=(const side_keys&) = delete;

  [[nodiscard]] hello say(link_role role = link_role::peer) const {
    hello h;
    h.node = key.id();
    h.role = role;
    h.incarnation = incarnation{5};
    h.boot = boot_id{std::array<std::uint8_t, 16>{1, 2, 3}};
    h.listen = {"10.0.0.9", 7600};
    h.seen = {"10.0.0.8", 33333};
    h.dial = 3;
    return h;
  }

  identity key;
  noise::dh_keypair static_key;
  link_psk psk;
  handshake_keys keys;
};

/// A table on fake streams that answers; time is the test's.
struct answering_table {
  explicit answering_table(link_limits limits = {},
                           std::vector<std::uint8_t> mesh_keys = {1}) {
    link_config config{identity::from_seed(fixed_secret(200)),
                       "garden",
                       test_mesh::mesh_of("garden"),
                       {},
                       std::nullopt,
                       incarnation{1},
                       boot_id{std::array<std::uint8_t, 16>{9}},
                       0,
                       {}};
    for (const auto fill : mesh_keys)
      config.mesh_keys.push_back(fixed_secret(fill));
    table = std::make_unique<link_table>(std::move(config), limits, io, random,
                                         node);
    EXPECT_TRUE(table->listen({"10.0.0.200", 7600}).ok());
    random.draws = 0;
  }
  stream_id open(const std::string& from = "10.0.0.1") {
    const stream_id id{++next};
    table->on_opened(id, {from, 40000}, true, now);
    return id;
  }
  void feed(stream_id id, const_bytes data) {
    table->on_data(id, data, now);
    if (flush_after)
      table->flush(now);
  }
  void pass(duration d) {
    const auto end = now + d;
    while (table->deadline() <= end) {
      now = std::max(now, table->deadline());
      table->on_time(now);
    }
    now = end;
  }

  time_point now{1h};
  fake_streams io;
  counting_random random;
  test_node node;
  std::unique_ptr<link_table> table;
  std::uint64_t next = 0;
  bool flush_after = true;
};

/// A far side that does by hand what a table does, and more.
struct hand_dialler {
  hand_dialler(answering_table& t, const side_keys& keys,
               link_role role = link_role::peer)
      : to{t}, shake{keys.keys, t.random.source}, mine{keys.say(role)},
        id{t.open()} {}

  void first() { to.feed(id, shake.write_first()); }
  bool second() {
    auto& in = to.io.written[id];
    if (in.size() < message_2_bytes)
      return false;
    const auto far = shake.read_second(const_bytes{in}.first(message_2_bytes));
    in.erase(in.begin(), in.begin() + message_2_bytes);
    return far.ok();
  }
  void third() {
    to.feed(id, shake.write_third(mine));
    auto keys = shake.split();
    sealer.emplace(std::move(keys.send));
    reader.emplace(std::move(keys.receive), mine.role);
  }
  bool link() {
    first();
    if (!second())
      return false;
    third();
    return !to.io.is_over(id);
  }
  void send(channel c, const bytes& payload) {
    lanes l{link_limits{}};
    append(l.begin(c), payload);
    EXPECT_TRUE(l.end().ok());
    bytes plain;
    l.take(plain, record_plaintext_max);
    bytes out;
    EXPECT_TRUE(sealer->seal(plain, out).ok());
    to.feed(id, out);
  }
  /// What the table sent on the link so far.
  std::vector<std::pair<channel, bytes>> read() {
    auto& in = to.io.written[id];
    frame_batch batch;
    batch.reset(in.size() + record_plaintext_max);
    EXPECT_TRUE(reader->feed(in, batch).ok());
    in.clear();
    std::vector<std::pair<channel, bytes>> out;
    for (const auto& f : batch.frames())
      out.emplace_back(f.channel, f.payload.copy());
    return out;
  }

  answering_table& to;
  link_handshake shake;
  hello mine;
  stream_id id;
  std::optional<record_sealer> sealer;
  std::optional<record_reader> reader;
};

} // namespace banyan::net::test
