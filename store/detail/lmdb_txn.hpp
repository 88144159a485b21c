#pragma once
#include "store/detail/lmdb_store.hpp"

#include <cstring>

namespace banyan::store::detail {

inline MDB_val as_val(const_bytes b) {
  return {b.size(), const_cast<std::uint8_t*>(b.data())};
}
inline const_bytes as_view(const MDB_val& v) {
  return {static_cast<const std::uint8_t*>(v.mv_data), v.mv_size};
}
/// Ends with its scope: values that point into it must be copied before.
class lmdb_store::read_txn {
public:
  explicit read_txn(MDB_env* env)
      : code_{mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn_)} {}
  read_txn(const read_txn&) = delete;
  read_txn& operator=(const read_txn&) = delete;
  ~read_txn() {
    if (code_ == 0)
      mdb_txn_abort(txn_);
  }
  [[nodiscard]] int code() const { return code_; }
  [[nodiscard]] MDB_txn* get() const { return txn_; }

private:
  MDB_txn* txn_ = nullptr;
  int code_;
};

/// Aborted unless committed.
class lmdb_store::write_txn {
public:
  explicit write_txn(MDB_env* env)
      : code_{mdb_txn_begin(env, nullptr, 0, &txn_)} {}
  write_txn(const write_txn&) = delete;
  write_txn& operator=(const write_txn&) = delete;
  ~write_txn() {
    if (code_ == 0 && txn_ != nullptr)
      mdb_txn_abort(txn_);
  }
  [[nodiscard]] int code() const { return code_; }
  [[nodiscard]] MDB_txn* get() const { return txn_; }
  /// Synced when it returns zero.
  int commit() {
    auto* txn = txn_;
    txn_ = nullptr;
    return mdb_txn_commit(txn);
  }

private:
  MDB_txn* txn_ = nullptr;
  int code_;
};

/// Close before its transaction ends.
class cursor {
public:
  /// Does nothing when `code` is an error already; else sets it.
  cursor(MDB_txn* txn, MDB_dbi db, int& code) {
    if (code == 0)
      code = mdb_cursor_open(txn, db, &c_);
  }
  cursor(const cursor&) = delete;
  cursor& operator=(const cursor&) = delete;
  ~cursor() {
    if (c_ != nullptr)
      mdb_cursor_close(c_);
  }
  int get(MDB_val& k, MDB_val& v, MDB_cursor_op op) {
    return mdb_cursor_get(c_, &k, &v, op);
  }
  int erase() { return mdb_cursor_del(c_, 0); }

private:
  MDB_cursor* c_ = nullptr;
};

} // namespace banyan::store::detail
