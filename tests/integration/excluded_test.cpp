// A real peer whose observers signed that it was down too much: it reads that,
// goes, and says so with its exit code, and again whenever it is started.
#include "actors/docs/policy.hpp"
#include "actors/node/names.hpp"
#include "actors/pure/uptime/archive.hpp"
#include "crypto/mesh_key.hpp"
#include "crypto/system_random.hpp"
#include "store/data_dir.hpp"
#include "store/disk.hpp"
#include "tests/integration/integration.hpp"

namespace banyan::test {
namespace {

constexpr int exit_excluded = 4;
constexpr std::uint32_t days = 9; ///< signed, up to yesterday

/// The node that lives in `dir` from now on.
identity born_in(const std::filesystem::path& dir) {
  system_random random;
  auto made = store::data_dir::open(dir);
  if (!made.ok())
    throw std::runtime_error{made.error().message};
  auto key = identity::load_or_create(dir / "node.key", random);
  if (!key.ok())
    throw std::runtime_error{key.error().message};
  return std::move(*key);
}

void keep(const std::filesystem::path& dir,
          const std::vector<signed_document>& all) {
  auto at = store::data_dir::open(dir);
  ASSERT_TRUE(at.ok()) << at.error().message;
  {
    auto disk = store::open_disk(*at, {});
    ASSERT_TRUE(disk.ok()) << disk.error().message;
    std::vector<store::documents::change> changes;
    for (const auto& d : all)
      changes.push_back(actors::document(actors::document_kind::observation,
                                         day_archive::name_of(d), d.encode()));
    ASSERT_TRUE(disk->documents->put_now(std::move(changes)).ok());
  }
  ASSERT_TRUE(at->mark_clean().ok());
}

std::uint32_t today() {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::hours>(
          std::chrono::system_clock::now().time_since_epoch())
          .count()
      / 24);
}

/// A node that was up for four fifths of that day.
observation bad_day(std::uint32_t day, const node_id& who) {
  seen_day seen;
  seen.observed.set_range(0, minutes_a_day);
  seen.up.set_range(minutes_a_day / 5, minutes_a_day);
  observation o;
  o.day = day;
  o.subjects.push_back({who, seen});
  return o;
}

TEST(excluded, a_peer_that_was_down_too_much_goes_and_stays_out) {
  process_mesh mesh{{{}, {}, {}, {}}};
  words_on_failure words{mesh};
  std::vector<identity> keys;
  for (std::size_t i = 0; i < mesh.size(); ++i)
    keys.push_back(born_in(mesh.data(i)));
  // Each of the others observed it, and all have what each of them signed; it
  // has nothing, and asks them.
  constexpr std::size_t bad = 3;
  std::vector<signed_document> signed_days;
  for (std::uint32_t back = 1; back <= days; ++back)
    for (std::size_t by = 0; by < bad; ++by) {
      const auto o = bad_day(today() - back, keys[bad].id());
      signed_days.push_back(
          signed_document::make(keys[by], sign_kind::observation,
                                local_mesh_id(), o.day, o.encode()));
    }
  for (std::size_t by = 0; by < bad; ++by)
    ASSERT_NO_FATAL_FAILURE(keep(mesh.data(by), signed_days));
  mesh.start_all();
  mesh.wait_members(mesh.size());

  mesh_policy p;
  p.enforce = true;
  io::http_call put;
  put.method = "PUT";
  put.target = "/v1/policy";
  const auto body =
      sign_policy(local_mesh_owner(), local_mesh_id(), 1, p).document.encode();
  put.body.assign(body.begin(), body.end());
  ASSERT_EQ(mesh.call(mesh.control(0), put).status, 200);

  ASSERT_TRUE(wait_until([&] { return mesh.ended(bad); }, 120s));
  EXPECT_EQ(mesh.terminate(bad), exit_excluded);
  // Started again it says the same, and joins nobody.
  const auto again =
      run_program({BANYAN_PEER_BINARY, "--data", mesh.data(bad).string(),
                   "--listen", "127.0.0.1:0", "--join", mesh.listening(0)});
  EXPECT_EQ(again.end.code, exit_excluded) << again.out << again.err;
  EXPECT_NE((again.out + again.err).find("80 %"), std::string::npos)
      << again.out << again.err;
  for (std::size_t i = 0; i < bad; ++i)
    EXPECT_TRUE(mesh.running(i));
}

} // namespace
} // namespace banyan::test
