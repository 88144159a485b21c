#include "crypto/signing.hpp"

#include "base/codec.hpp"
#include "crypto/detail/sodium.hpp"
#include "crypto/identity.hpp"

namespace banyan {
namespace {

constexpr std::string_view signing_context = "banyan 1";

bytes versioned(std::uint64_t version, const_bytes body) {
  bytes out;
  out.reserve(8 + body.size());
  for (int shift = 56; shift >= 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(version >> shift));
  append(out, body);
  return out;
}

bool verify_raw(const_bytes who, sign_kind kind, const mesh_id& mesh,
                const_bytes body, const signature& by) {
  if (context_of(kind).empty())
    return false;
  const bytes message = signed_bytes(kind, mesh, body);
  return crypto_sign_verify_detached(by.view().data(), message.data(),
                                     message.size(), who.data())
         == 0;
}

} // namespace

std::string_view context_of(sign_kind kind) noexcept {
  switch (kind) {
  case sign_kind::link:
    return "link 1";
  case sign_kind::member:
    return "member 1";
  case sign_kind::countersignature:
    return "countersignature 1";
  case sign_kind::report:
    return "report 1";
  case sign_kind::genesis:
    return "genesis 1";
  case sign_kind::spec:
    return "spec 1";
  case sign_kind::deletion:
    return "delete 1";
  case sign_kind::recovery:
    return "recovery 1";
  case sign_kind::policy:
    return "policy 1";
  case sign_kind::allowed_nodes:
    return "allowed 1";
  case sign_kind::observation:
    return "observation 1";
  case sign_kind::name:
    return "name 1";
  }
  return {};
}

bytes signed_bytes(sign_kind kind, const mesh_id& mesh, const_bytes body) {
  const auto context = context_of(kind);
  BANYAN_ASSERT(!context.empty());
  bytes out;
  out.reserve(signing_context.size() + 1 + context.size() + mesh_id::size
              + body.size());
  append(out, as_bytes(signing_context));
  out.push_back(static_cast<std::uint8_t>(context.size()));
  append(out, as_bytes(context));
  append(out, mesh.view());
  append(out, body);
  return out;
}

bool verify(const node_id& who, sign_kind kind, const mesh_id& mesh,
            const_bytes body, const signature& by) {
  return verify_raw(who.view(), kind, mesh, body, by);
}

bool verify(const owner_id& who, sign_kind kind, const mesh_id& mesh,
            const_bytes body, const signature& by) {
  return verify_raw(who.view(), kind, mesh, body, by);
}

signed_document signed_document::make(const identity& signer, sign_kind kind,
                                      const mesh_id& mesh,
                                      std::uint64_t version, bytes body) {
  BANYAN_ASSERT(body.size() <= body_bytes_max);
  signed_document out;
  out.kind = kind;
  out.version = version;
  out.signer = signer.owner();
  out.by = signer.sign(kind, mesh, versioned(version, body));
  out.body = std::move(body);
  return out;
}

bool signed_document::verify(const mesh_id& mesh) const {
  return banyan::verify(signer, kind, mesh, versioned(version, body), by);
}

bytes signed_document::encode() const {
  bytes out;
  out.reserve(body.size() + 128);
  writer{out}
      .array(5)
      .uint(static_cast<std::uint8_t>(kind))
      .uint(version)
      .id(signer)
      .blob(body)
      .id(by);
  return out;
}

bool signed_document::decode(const_bytes in, signed_document& out) {
  reader r{in};
  r.require(r.array(5) == 5);
  out.kind = static_cast<sign_kind>(r.uint(sign_kind_max));
  out.version = r.uint();
  r.id(out.signer);
  out.body = r.blob(body_bytes_max).copy();
  r.id(out.by);
  return r.done() && !context_of(out.kind).empty();
}

} // namespace banyan
