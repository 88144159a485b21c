// The table of links under everything that can come down a stream: strangers,
// handshakes that stop or turn bad half way, members and clients that send
// what they like once they are in.
#include "net/link/link_table.hpp"

#include "net/link/detail/handshake.hpp"
#include "tests/fuzz/keys.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>

namespace banyan::fuzz {
namespace {

using namespace net;

const mesh_id mesh{std::array<std::uint8_t, 32>{1}};

/// Streams that only write down what the table does with them.
class written_streams final : public streams {
public:
  void set_events(stream_events&) override {}
  stream_id dial(const address&) override { return stream_id{++dialled_}; }
  result<address, stream_end> listen(const address& at) override { return at; }
  void stop_listening() override {}
  void write(stream_id id, const_bytes data) override {
    append(written[id], data);
  }
  [[nodiscard]] std::size_t unsent(stream_id) const override { return 0; }
  void close(stream_id id) override { over[id] = true; }
  void reset(stream_id id) override { over[id] = true; }

  std::map<stream_id, bytes> written;
  std::map<stream_id, bool> over;

private:
  std::uint64_t dialled_ = 1000;
};

class watcher final : public link_events {
public:
  void on_link_up(const link_info& l, link_id) override {
    ++up;
    roles[l.id] = l.role;
  }
  void on_link_down(const link_info&, link_end) override { ++down; }
  void on_frames(const link_info& l,
                 const std::vector<frame_view>& frames) override {
    for (const auto& f : frames) {
      BANYAN_ASSERT(f.channel != channel::link);
      BANYAN_ASSERT(f.payload.size() <= frame_bytes_max);
      BANYAN_ASSERT(l.role == link_role::peer || client_may_use(f.channel));
    }
  }
  void on_dial_failed(const dial_target&, dial_error, time_point) override {}
  void on_writable(const link_info&, lane) override {}
  void on_probed(std::uint64_t,
                 const result<probe_answer, dial_error>&) override {}
  std::size_t up = 0;
  std::size_t down = 0;
  std::map<link_id, link_role> roles;
};

/// The far side of one stream: honest as far as the input lets it.
struct far_side {
  far_side(std::uint8_t seed, link_role r, random_source& random)
      : role{r}, key{identity::from_seed(filled(seed))},
        static_key{noise::dh_keypair::from_secret(filled(seed))},
        psk{derive_psk(filled(1), r)} {
    keys.key = &key;
    keys.static_key = &static_key;
    keys.mesh = mesh;
    keys.prologue = make_prologue("garden");
    keys.dial_psk = &psk;
    shake = std::make_unique<link_handshake>(keys, random);
  }
  [[nodiscard]] hello say() const {
    hello h;
    h.node = key.id();
    h.role = role;
    h.incarnation = incarnation{2};
    h.boot = boot_id{std::array<std::uint8_t, 16>{1}};
    return h;
  }
  link_role role;
  identity key;
  noise::dh_keypair static_key;
  link_psk psk;
  handshake_keys keys;
  std::unique_ptr<link_handshake> shake;
  stream_id stream;
  int step = 0;
  std::optional<record_sealer> sealer;
};

class scene {
public:
  scene() {
    link_config c{identity::from_seed(filled(200)),
                  "garden",
                  mesh,
                  {},
                  std::nullopt,
                  incarnation{1},
                  boot_id{std::array<std::uint8_t, 16>{9}},
                  0,
                  {}};
    c.mesh_keys.push_back(filled(1));
    table_ = std::make_unique<link_table>(std::move(c), link_limits{}, io_,
                                          random_, events_);
    BANYAN_ASSERT(table_->listen({"10.0.0.200", 7600}).ok());
  }

  void act(input& i) {
    const auto what = i.u8();
    const auto who = std::size_t{i.u8()} % 3;
    auto& f = far_[who];
    switch (what % 8) {
    case 0:
      open(who, i.u8());
      break;
    case 1: // raw bytes, whatever the far side is
      if (f)
        feed(*f, i.piece());
      break;
    case 2:
    case 3:
      if (f)
        advance(*f);
      break;
    case 4: // a sealed record
      if (f && f->sealer) {
        bytes record;
        BANYAN_ASSERT(f->sealer->seal(i.piece(), record).ok());
        feed(*f, record);
      }
      break;
    case 5: // a sealed fragment
      if (f && f->sealer)
        fragment(*f, i);
      break;
    case 6:
      now_ += std::chrono::milliseconds{i.u8() * 40};
      if (table_->deadline() <= now_)
        table_->on_time(now_);
      break;
    default:
      if (f && !io_.over[f->stream]) {
        io_.over[f->stream] = true;
        table_->on_closed(f->stream,
                          i.u8() % 2 == 0 ? stream_end::end_of_stream
                                          : stream_end::reset,
                          now_);
      }
    }
    table_->flush(now_);
    BANYAN_ASSERT(table_->links().size() <= 3);
    BANYAN_ASSERT(events_.down <= events_.up);
    for (const auto& side : far_) // who has proved nothing hears nothing
      BANYAN_ASSERT(!side || side->step > 0
                    || io_.written.count(side->stream) == 0);
  }

private:
  void open(std::size_t who, std::uint8_t how) {
    far_[who] = std::make_unique<far_side>(
        static_cast<std::uint8_t>(2 + how % 3),
        how / 4 % 2 == 0 ? link_role::peer : link_role::client, random_);
    far_[who]->stream = stream_id{++streams_};
    table_->on_opened(far_[who]->stream,
                      {"10.0.0." + std::to_string(who), 40'000}, true, now_);
  }
  void feed(far_side& f, const_bytes data) {
    if (!data.empty() && !io_.over[f.stream])
      table_->on_data(f.stream, data, now_);
  }
  // The next honest step of the handshake, if all before it was honest.
  void advance(far_side& f) {
    if (f.step == 0) {
      f.step = 1;
      feed(f, f.shake->write_first());
    } else if (f.step == 1) {
      const auto& got = io_.written[f.stream];
      if (got.size() != message_2_bytes)
        return;
      f.step = 2;
      if (!f.shake->read_second(got).ok())
        return;
      const auto third = f.shake->write_third(f.say());
      f.sealer.emplace(f.shake->split().send);
      feed(f, third);
    }
  }
  void fragment(far_side& f, input& i) {
    bytes plain{i.u8(), static_cast<std::uint8_t>(i.u8() % 4)};
    const auto content = i.piece();
    plain.push_back(0);
    plain.push_back(static_cast<std::uint8_t>(content.size()));
    append(plain, content);
    bytes record;
    BANYAN_ASSERT(f.sealer->seal(plain, record).ok());
    feed(f, record);
  }

  seeded_random random_{3};
  written_streams io_;
  watcher events_;
  time_point now_{1h};
  std::unique_ptr<link_table> table_;
  std::array<std::unique_ptr<far_side>, 3> far_;
  std::uint64_t streams_ = 0;
};

void run(const_bytes in) {
  input i{in};
  scene s;
  for (int n = 0; n < 60 && !i.empty(); ++n)
    s.act(i);
}

std::vector<bytes> seeds() {
  const bytes link{0, 0, 0, 2, 0, 2, 0};
  auto with = [&](bytes more) {
    bytes out = link;
    append(out, more);
    return out;
  };
  bytes stranger{0, 0, 0, 1, 0, 48};
  stranger.resize(6 + 48, 7);
  return {link,
          stranger,
          with({5, 0, 3, 0, 3, 1, 2, 3, 5, 0, 0, 0, 3, 0x81, 0, 2}),
          with({5, 0, 16, 1, 2, 1, 2, 5, 0, 16, 0, 1, 3, 7, 0, 0}),
          with({4, 0, 5, 16, 0, 0, 1, 9, 6, 0, 250, 6, 0, 250}),
          bytes{0, 1, 4, 2, 1, 2, 1, 5, 1, 16, 0, 2, 1, 2, 5, 1, 3, 0, 1, 1},
          bytes{0, 0, 0, 2, 0, 0, 1, 0, 2, 1, 2, 0, 2, 1, 5, 1, 3, 0, 1, 1}};
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(link_table)
