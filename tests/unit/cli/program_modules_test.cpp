// `banyan deploy` of a spec with module files, against a peer that is played:
// what is refused before anything is sent, and how files reach the peer.
#include "actors/docs/app_documents.hpp"
#include "actors/docs/key_files.hpp"
#include "base/codec.hpp"
#include "crypto/hash.hpp"
#include "papers.hpp"
#include "played_peer.hpp"

#include <filesystem>

namespace banyan::cli {
namespace {

using banyan::test::contains;
using banyan::test::put;

constexpr std::uint8_t x86_64 = 62;
constexpr std::uint8_t aarch64 = 183;

/// What passes for a library, of so many bytes.
std::string library(std::uint8_t machine, std::size_t size) {
  std::string b{"\x7f\x45\x4c\x46\x02\x01\x01", 7};
  b.resize(16);
  b += std::string{"\x03\x00", 2} + static_cast<char>(machine) + '\0';
  seeded_random random{7};
  bytes rest(size - b.size());
  random.fill(rest.data(), rest.size());
  return b + to_text(rest);
}

class ProgramModules : public test::played_peer {
protected:
  ProgramModules() {
    put(dir / "ledger.toml", "name = \"ledger\"\n[module]\n"
                             "x86_64-linux = \"lib/ledger.so\"\n");
    std::filesystem::create_directory(dir / "lib");
    EXPECT_TRUE((owner_file{"orchard", world.mesh, world.owner.clone()}
                     .save(dir / "orchard.owner")
                     .ok()));
  }

  /// A peer that takes pieces and then has no more to say.
  void begin() {
    play([this](const io::http_request& q, io::http_responder& r) {
      answer(q, r);
    });
  }
  test::run_result deploy() {
    return banyan({"deploy", "ledger.toml", "--owner", "orchard.owner"});
  }
  void put_library(std::uint8_t machine, std::size_t size) {
    file = library(machine, size);
    put(dir / "lib/ledger.so", file);
  }
  [[nodiscard]] std::vector<std::string> puts() {
    std::vector<std::string> out;
    for (const auto& q : seen())
      if (q.method == "PUT")
        out.push_back(q.target);
    return out;
  }

  test::orchard world;
  std::string file;    ///< as it was written
  std::string had;     ///< by the peer
  int refuse_busy = 0; ///< so many pieces
  std::string refuse;  ///< the last piece, with this code

private:
  void answer(const io::http_request& q, io::http_responder& r) {
    const auto status = [&] {
      bytes b;
      writer{b}.map(1).text("mesh").text("orchard");
      return b;
    };
    if (q.target == "/v1/status")
      return void(r.send({200, to_text(status()), "application/msgpack"}));
    if (q.path.size() != 3 || q.path[1] != "modules")
      return void(r.send(io::http_error(403, "forbidden", "no further")));
    EXPECT_EQ(q.path[2], to_hex(hash(as_bytes(file)).view()));
    if (q.method == "GET") {
      if (had.empty())
        return void(r.send(io::http_error(404, "not_found", "not here")));
      return tell(r);
    }
    EXPECT_EQ(*q.parameter("size"), std::to_string(file.size()));
    if (refuse_busy-- > 0)
      return void(r.send(io::http_error(429, "overloaded", "later")));
    if (*q.parameter("offset") != std::to_string(had.size()))
      return void(r.send(io::http_error(409, "conflict", "elsewhere")));
    had += q.body;
    if (had.size() >= file.size() && !refuse.empty())
      return void(r.send(io::http_error(400, refuse, "not these bytes")));
    tell(r);
  }
  void tell(io::http_responder& r) {
    bytes b;
    writer w{b};
    w.map(2).text("have").uint(had.size());
    w.text("complete").boolean(had == file);
    r.send({200, to_text(b), "application/msgpack"});
  }
};

TEST_F(ProgramModules, AModuleOfAnotherTargetIsRefusedBeforeAnythingIsSent) {
  begin();
  put_library(aarch64, 5000);
  const auto a = deploy();
  EXPECT_EQ(a.code, 2);
  EXPECT_TRUE(contains(a.err, "lib/ledger.so: is a library for aarch64-linux, "
                              "the spec says x86_64-linux"))
      << a.err;
  EXPECT_TRUE(seen().empty());
}

TEST_F(ProgramModules, AModuleOf600MBIsRefusedBeforeAnythingIsSent) {
  begin();
  put_library(x86_64, 5000);
  std::filesystem::resize_file(dir / "lib/ledger.so", 600'000'000); // sparse
  const auto a = deploy();
  EXPECT_EQ(a.code, 2);
  EXPECT_TRUE(contains(a.err, "573 MiB")) << a.err;
  EXPECT_TRUE(contains(a.err, "at most 512 MiB")) << a.err;
  EXPECT_TRUE(seen().empty());
}

TEST_F(ProgramModules, WhatIsNoLibraryIsRefusedBeforeAnythingIsSent) {
  begin();
  EXPECT_TRUE(contains(deploy().err, "no such file"));
  put(dir / "lib/ledger.so", "#!/bin/sh\nexit 0\n");
  const auto a = deploy();
  EXPECT_EQ(a.code, 2);
  EXPECT_TRUE(contains(a.err, "no shared library")) << a.err;
  put(dir / "lib/ledger.so", "");
  EXPECT_TRUE(contains(deploy().err, "at least one byte"));
  EXPECT_TRUE(seen().empty());
}

TEST_F(ProgramModules, WithoutAnOwnerItSaysWhoMayBringCode) {
  begin();
  put_library(x86_64, 5000);
  const auto a = banyan({"deploy", "ledger.toml"});
  EXPECT_EQ(a.code, 1);
  EXPECT_TRUE(contains(a.err, "--owner NAME.owner")) << a.err;
  EXPECT_TRUE(seen().empty());
}

TEST_F(ProgramModules, ThePeerGetsTheWholeFileInPieces) {
  begin();
  put_library(x86_64, 1'200'000);
  const auto a = deploy();
  EXPECT_EQ(a.code, 1); // what comes after it, this peer refuses
  EXPECT_TRUE(contains(a.err, "no further")) << a.err;
  EXPECT_TRUE(contains(a.err, "(x86_64-linux): 100 % of 2 MiB")) << a.err;
  EXPECT_EQ(puts().size(), 3U);
  EXPECT_TRUE(had == file);
  forget();
  deploy();
  EXPECT_TRUE(puts().empty()); // it has it
}

TEST_F(ProgramModules, AnUploadGoesOnWhereItEnded) {
  begin();
  put_library(x86_64, 1'200'000);
  had = file.substr(0, 1'000'000);
  deploy();
  ASSERT_EQ(puts().size(), 1U);
  EXPECT_TRUE(contains(puts()[0], "?offset=1000000&size=1200000"));
  EXPECT_TRUE(had == file);
}

TEST_F(ProgramModules, ABusyPeerIsAskedAgain) {
  begin();
  put_library(x86_64, 5000);
  refuse_busy = 3;
  deploy();
  EXPECT_EQ(puts().size(), 4U);
  EXPECT_TRUE(had == file);
}

TEST_F(ProgramModules, BytesThatThePeerRefusesAreExit1) {
  begin();
  put_library(x86_64, 5000);
  refuse = "invalid_argument";
  const auto a = deploy();
  EXPECT_EQ(a.code, 1);
  EXPECT_TRUE(contains(a.err, "not these bytes")) << a.err;
}

} // namespace
} // namespace banyan::cli
