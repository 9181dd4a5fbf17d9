// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/archive.hpp"

#include "support/fake_ports.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace weave::sim {
namespace {

std::size_t hash_of(ByteView raw) {
    return std::hash<std::string_view>{}({reinterpret_cast<const char*>(raw.data()), raw.size()});
}

} // namespace

/** A record that leaves the table when nobody holds it any more. */
struct Archive::Held : std::enable_shared_from_this<Held> {
    Held(wire::Record decoded, std::shared_ptr<Table> in);
    ~Held();
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

    const wire::Record record;
    const std::size_t hash;
    std::optional<bool> authentic;
    std::shared_ptr<Table> table;
};

struct Archive::Table {
    struct Hash {
        using is_transparent = void;

        std::size_t operator()(const Held* held) const { return held->hash; }

        std::size_t operator()(ByteView raw) const { return hash_of(raw); }
    };

    struct Equal {
        using is_transparent = void;

        bool operator()(const Held* a, const Held* b) const { return a == b; }

        bool operator()(ByteView raw, const Held* held) const {
            return std::ranges::equal(raw, held->record.raw);
        }

        bool operator()(const Held* held, ByteView raw) const { return (*this)(raw, held); }
    };

    std::unordered_set<Held*, Hash, Equal> by_bytes;
    std::unordered_map<const wire::Record*, Held*> by_address;
};

Archive::Held::Held(wire::Record decoded, std::shared_ptr<Table> in)
    : record(std::move(decoded))
    , hash(hash_of(record.raw))
    , table(std::move(in)) {
    table->by_bytes.insert(this);
    table->by_address.emplace(&record, this);
}

Archive::Held::~Held() {
    table->by_bytes.erase(this);
    table->by_address.erase(&record);
}

Archive::Archive()
    : table_(std::make_shared<Table>()) {}

Result<wire::RecordPtr> Archive::decode(ByteView raw) {
    const auto known = table_->by_bytes.find(raw);
    if (known != table_->by_bytes.end()) {
        return wire::RecordPtr((*known)->shared_from_this(), &(*known)->record);
    }
    auto decoded = wire::decode_record(raw, test::fake_identify);
    if (!decoded) {
        return decoded.error();
    }
    const auto held = std::make_shared<Held>(std::move(*decoded), table_);
    return wire::RecordPtr(held, &held->record);
}

bool Archive::verify(const wire::Record& record) {
    const auto holds = [&] {
        ++verified_;
        return test::fake_sign(record.key, record.signed_part()) == record.signature();
    };
    const auto known = table_->by_address.find(&record);
    if (known == table_->by_address.end()) {
        return holds();
    }
    std::optional<bool>& authentic = known->second->authentic;
    if (!authentic) {
        authentic = holds();
    }
    return *authentic;
}

std::size_t Archive::size() const {
    return table_->by_bytes.size();
}

} // namespace weave::sim
