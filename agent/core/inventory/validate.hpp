// What a registration may look like, whatever the state. Pure checks; each says what is wrong and what is right.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/sdk/identity.hpp"
#include "agent/sdk/model.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

inline constexpr std::size_t kMaxMacs = 16;          // ports of one machine that may boot
inline constexpr std::size_t kMaxPorts = 8;          // ports that it may stand behind: two ToRs with four links each
inline constexpr unsigned kPortPrefixLength = 64;    // SLAAC needs 64 bits of interface identifier (RFC 4291 2.5.1)
inline constexpr std::size_t kMaxText = 256;         // serials, reasons, user names, URLs' paths: one line for a person
inline constexpr std::size_t kMaxKernelArgs = 1024;  // x86's COMMAND_LINE_SIZE is 2048, shared with the set's own line
inline constexpr std::size_t kMaxConfigSize = 1U << 20U;  // Talos configs are under 100 kB; sealed, it fits a record
inline constexpr std::size_t kMaxSubjects = 64;           // certificate subjects of one tenant
inline constexpr std::size_t kMaxSubject = 253;           // a domain name (RFC 1035 section 3.1)
inline constexpr std::size_t kMaxSetFiles = 32;           // kernel, initramfs and what a script may fetch besides
inline constexpr std::size_t kMaxFileName = 128;          // of a set's file; a part of a URL
inline constexpr std::size_t kMaxPassword = 1024;         // Redfish leaves the limit to the BMC; far above any
inline constexpr std::size_t kMaxParameters = 32;         // of a job
inline constexpr std::size_t kMaxEnrolRules = 64;         // of one tenant: a rule a rack row, or a sort of machine
inline constexpr std::size_t kMaxEnrolValues = 1000;      // UUIDs of a delivery note; a record holds them
inline constexpr std::chrono::hours kMaxDeadline{24 * 365};
inline constexpr std::uint32_t kMaxLoopMinutes = 24 * 60;  // longer ago is no loop

// One printable ASCII line of at most `limit` bytes.
Result<void> check_text(std::string_view what, std::string_view text, std::size_t limit = kMaxText);
// The same, without what iPXE would expand.
Result<void> check_kernel_args(std::string_view what, std::string_view args);

Result<void> check_tenant(const Tenant& tenant);
// Returns the machine with uuid and macs in canonical form. A UUID that many machines share is refused: it finds none.
Result<Machine> check_machine(Machine machine);
// Templates, deadlines, limits.
Result<void> check_profile(const Profile& profile);
Result<void> check_prefix_pool(const PrefixPool& pool);
// Returns the rules with UUIDs and MAC prefixes in canonical form.
Result<std::vector<AutoEnrolRule>> check_auto_enrol(std::vector<AutoEnrolRule> rules);
// Returns the set with digests in lower case.
Result<ArtifactSet> check_artifact_set(ArtifactSet set);
// Returns the BMC with its endpoint as an origin and the pin as 64 hex digits.
Result<Bmc> check_bmc(Bmc bmc);
// 64 hex digits, lower case.
Result<std::string> canonical_sha256(std::string_view text);

}  // namespace nett
