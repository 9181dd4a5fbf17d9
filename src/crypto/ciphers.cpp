// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/ciphers.hpp"

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "crypto/aead_context.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>

namespace weave::crypto {
namespace {

using Context = std::unique_ptr<AeadContext>;

/** A difference below this is noise. */
constexpr double kTie = 1.1;
/** Short enough not to be interrupted often, and as many as it takes for the quickest not to be. */
constexpr std::size_t kRounds = 15;
constexpr std::size_t kRecordsPerRound = 8;
constexpr std::size_t kHeader = 16;

struct Vector {
    std::string_view key, nonce, associated, text, sealed;
};

/** Test case 16 of "The Galois/Counter Mode of Operation (GCM)", McGrew and Viega. */
constexpr Vector kAes{
    "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
    "cafebabefacedbaddecaf888",
    "feedfacedeadbeeffeedfacedeadbeefabaddad2",
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b5"
    "25b16aedf5aa0de657ba637b39",
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b10568288"
    "38c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"};

/** RFC 8439, 2.8.2. */
constexpr Vector kChaCha{
    "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
    "070000004041424344454647",
    "50515253c0c1c2c3c4c5c6c7",
    "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a204966204920"
    "636f756c64206f6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c207375"
    "6e73637265656e20776f756c642062652069742e",
    "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da9272"
    "8b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831"
    "d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691"};

Bytes bytes_of(std::string_view hex) {
    Bytes out(hex.size() / 2);
    if (!from_hex(hex, out)) {
        throw std::logic_error("a vector is not hexadecimal");
    }
    return out;
}

Bytes some_bytes(std::size_t size) {
    Bytes out(size);
    for (std::size_t i = 0; i < size; ++i) {
        out[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
    }
    return out;
}

Bytes seal(
    AeadContext& context, ByteView nonce, ByteView associated, ByteView text, bool in_place) {
    Bytes out(text.size() + kTagSize);
    if (in_place) {
        std::copy(text.begin(), text.end(), out.begin());
    }
    context.seal(nonce.data(),
                 associated.data(),
                 associated.size(),
                 in_place ? out.data() : text.data(),
                 text.size(),
                 out.data());
    return out;
}

/** With a bit of byte `altered` changed, where there is such a byte. */
bool opens_to(AeadContext& context,
              ByteView nonce,
              ByteView associated,
              Bytes sealed,
              ByteView text,
              std::size_t altered) {
    if (altered < sealed.size()) {
        sealed[altered] ^= 0x10;
    }
    return context.open(nonce.data(),
                        associated.data(),
                        associated.size(),
                        sealed.data(),
                        sealed.size(),
                        sealed.data()) &&
           std::equal(text.begin(), text.end(), sealed.begin());
}

/** It opens what is right, and nothing of which one byte is not: the first one, or the last. */
bool tells_forgeries(
    AeadContext& context, ByteView nonce, ByteView associated, const Bytes& sealed, ByteView text) {
    return opens_to(context, nonce, associated, sealed, text, sealed.size()) &&
           !opens_to(context, nonce, associated, sealed, text, sealed.size() - 1) &&
           !opens_to(context, nonce, associated, sealed, text, 0);
}

bool does_vector(AeadContext& context, const Vector& vector) {
    const Bytes nonce = bytes_of(vector.nonce);
    const Bytes associated = bytes_of(vector.associated);
    const Bytes text = bytes_of(vector.text);
    const Bytes sealed = bytes_of(vector.sealed);
    return seal(context, nonce, associated, text, false) == sealed &&
           tells_forgeries(context, nonce, associated, sealed, text);
}

/** At sizes around those where implementations change from one loop to another. */
bool does_as(AeadContext& reference, AeadContext& context) {
    const Bytes nonce = some_bytes(12);
    for (const std::size_t size :
         {0U,   1U,   15U,  16U,  17U,  63U,  64U,   65U,   127U,  128U,  129U,  255U, 256U,
          257U, 383U, 511U, 513U, 767U, 769U, 1023U, 1025U, 1420U, 2047U, 4097U, 9001U}) {
        const Bytes text = some_bytes(size);
        const Bytes associated = some_bytes(size % 33);
        const Bytes sealed = seal(reference, nonce, associated, text, false);
        if (seal(context, nonce, associated, text, size % 2 == 0) != sealed ||
            !tells_forgeries(context, nonce, associated, sealed, text)) {
            return false;
        }
    }
    return true;
}

bool is_correct(Suite suite, Provider provider, const MakeContext& make) {
    const Vector& vector = suite == Suite::aes256gcm ? kAes : kChaCha;
    std::array<std::uint8_t, 32> key{};
    if (!from_hex(vector.key, key)) {
        throw std::logic_error("a vector's key is not 64 hexadecimal digits");
    }
    const Context context = make(suite, provider, key);
    const Context reference = make(suite, Provider::sodium, key);
    // One that fails its own vector is no reference.
    const bool compare = reference && does_vector(*reference, vector);
    return does_vector(*context, vector) && (!compare || does_as(*reference, *context));
}

/** Seals records, opens them, and says how long one of them took. */
class Stopwatch {
  public:
    Stopwatch(Context context, std::size_t size)
        : context_(std::move(context))
        , record_(kHeader + size + kTagSize) {}

    void round() {
        const TimePoint before = Clock::now();
        for (std::size_t i = 0; i < kRecordsPerRound; ++i) {
            ++nonce_[4];
            std::uint8_t* text = record_.data() + kHeader;
            const std::size_t size = record_.size() - kHeader - kTagSize;
            context_->seal(nonce_.data(), record_.data(), kHeader, text, size, text);
            opened_ &=
                context_->open(nonce_.data(), record_.data(), kHeader, text, size + kTagSize, text);
        }
        const std::chrono::duration<double, std::nano> taken = Clock::now() - before;
        // Interruptions, and the clock of a processor that wakes up, only ever make it longer.
        least_ = std::min(least_, taken.count() / (2 * kRecordsPerRound));
    }

    [[nodiscard]] double ns() const { return least_; }

    [[nodiscard]] bool opened() const { return opened_; }

  private:
    Context context_;
    Bytes record_;
    std::array<std::uint8_t, 12> nonce_{};
    double least_ = std::numeric_limits<double>::max();
    bool opened_ = true;
};

struct Measured {
    Trial* trial;
    Stopwatch large, small;
};

/** All in turn, so that what disturbs one of them disturbs all. */
void measure(std::vector<Trial>& trials, const MakeContext& make) {
    const std::array<std::uint8_t, 32> key{};
    std::vector<Measured> all;
    for (Trial& trial : trials) {
        if (trial.correct) {
            all.push_back({&trial,
                           {make(trial.suite, trial.provider, key), kLargeRecord},
                           {make(trial.suite, trial.provider, key), kSmallRecord}});
        }
    }
    for (std::size_t i = 0; i < kRounds; ++i) {
        for (Measured& one : all) {
            one.large.round();
            one.small.round();
        }
    }
    for (const Measured& one : all) {
        one.trial->correct = one.large.opened() && one.small.opened();
        one.trial->large_ns = one.trial->correct ? one.large.ns() : 0;
        one.trial->small_ns = one.trial->correct ? one.small.ns() : 0;
    }
}

std::size_t rank(Provider provider) {
    return static_cast<std::size_t>(std::find(kProviders.begin(), kProviders.end(), provider) -
                                    kProviders.begin());
}

} // namespace

Ciphers::Ciphers(std::vector<Trial> trials, std::optional<Provider> wanted)
    : trials_(std::move(trials))
    , wanted_(wanted) {}

const Trial* Ciphers::find(Suite suite) const {
    const auto total = [](const Trial& trial) { return trial.large_ns + trial.small_ns; };
    const auto usable = [suite](const Trial& trial) {
        return trial.suite == suite && trial.correct;
    };
    double least = std::numeric_limits<double>::max();
    for (const Trial& trial : trials_) {
        least = usable(trial) ? std::min(least, total(trial)) : least;
    }
    const Trial* found = nullptr;
    for (const Trial& trial : trials_) {
        if (usable(trial) && trial.provider == wanted_) {
            return &trial;
        }
        if (usable(trial) && total(trial) <= least * kTie &&
            (found == nullptr || rank(trial.provider) < rank(found->provider))) {
            found = &trial;
        }
    }
    return found;
}

Provider Ciphers::of(Suite suite) const {
    if (suite == Suite::clear) {
        return Provider::none;
    }
    const Trial* const found = find(suite);
    if (found == nullptr) {
        throw std::invalid_argument(std::string("nothing on this machine can do ") + name(suite));
    }
    return found->provider;
}

Suite Ciphers::preferred() const {
    return has(Suite::aes256gcm) ? Suite::aes256gcm : Suite::chacha20poly1305;
}

bool Ciphers::uses(const Trial& trial) const {
    const Trial* const found = find(trial.suite);
    return found != nullptr && found->provider == trial.provider;
}

Ciphers choose_ciphers(std::optional<Provider> wanted) {
    return choose_ciphers(wanted, make_aead_context);
}

Ciphers choose_ciphers(std::optional<Provider> wanted, const MakeContext& make) {
    std::vector<Trial> trials;
    for (const Suite suite : kSuites) {
        for (const Provider provider : kProviders) {
            if (make(suite, provider, std::array<std::uint8_t, 32>{})) {
                trials.push_back({suite, provider, is_correct(suite, provider, make)});
            }
        }
    }
    measure(trials, make);
    return Ciphers(std::move(trials), wanted);
}

} // namespace weave::crypto
