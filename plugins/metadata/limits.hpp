// Everything a peer can make this plugin use up, bounded by name.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace nett::metadata {

using namespace std::chrono_literals;

// Request line and header fields together. iPXE sends under 300 bytes, curl under 400.
inline constexpr std::uint32_t kMaxHeaderBytes = 8 * 1024;
// A UUID has 36 characters, a set's or file's name rarely more than 80.
inline constexpr std::size_t kMaxSegmentBytes = 128;
// The buffer of an io thread for what it reads or sends now: four full TLS records, and it stays in the L2 cache.
inline constexpr std::size_t kFileBufferBytes = 64 * 1024;
// One connection's bytes before another one of the thread has its turn: about half a millisecond of encryption.
inline constexpr std::uint64_t kTurnBytes = 1024 * 1024;

inline constexpr auto kHandshakeTimeout = 10s;  // iPXE under TCG needs 1.5 s for its part of a P-256 handshake
inline constexpr auto kIdleTimeout = 30s;       // between two requests of a connection, and for one whole header
inline constexpr auto kWriteTimeout = 30s;      // the socket takes nothing
inline constexpr auto kLingerTimeout = 2s;      // for the peer to read the last answer and close
// While an anycast address is handed over: for a slow peer to take its last answer. As long as a handover may last.
inline constexpr auto kHandoverLingerTimeout = 10s;
inline constexpr std::size_t kLingerBytes = 256 * 1024;  // of a refused request's rest, dropped meanwhile
inline constexpr auto kSweepInterval = 500ms;            // how late a deadline may be noticed

inline constexpr int kDefaultMaxConnections = 4096;
// Counted by /64, because a host may take any address of its link's prefix. With prefix-per-port that is one machine.
inline constexpr int kDefaultMaxConnectionsPerSource = 64;
inline constexpr unsigned kSourcePrefixLength = 64;
// Above max-connections this share more is still let in to be told 503; what comes above that is closed unheard.
inline constexpr int kShedShareDivisor = 8;
inline constexpr int kRetryAfterSeconds = 3;  // below the script's fetch timeout, so that iPXE is still waiting then

// Kernels of x86 and arm64 take 2048 bytes with the final NUL; iPXE appends " initrd=initrd.magic" for EFI.
inline constexpr std::size_t kMaxKernelCommandLine = 2048 - 1 - 64;
inline constexpr int kDefaultFetchTimeoutMs = 15000;

// A boot token: 256 bits, in hex on the kernel command line. Good for as long as an installer may take to come up.
inline constexpr std::size_t kTokenBytes = 32;
inline constexpr int kDefaultTokenLifetimeSeconds = 900;
inline constexpr int kMaxTokenLifetimeSeconds = 86400;
inline constexpr std::size_t kExpiredTokensAtOnce = 8;

// Unknown machines: kept per tenant, so that one tenant's requests do not push out another's.
inline constexpr std::size_t kMaxUnknownPerTenant = 256;
inline constexpr std::size_t kMaxPendingUnknown = 256;
inline constexpr std::size_t kMaxMacsOfUnknown = 8;  // a server has two to six NICs
inline constexpr std::size_t kMaxPendingBoots = 4096;
// Which set a source's last script named, for flat artifact names; an installer has fetched its files by then.
inline constexpr std::size_t kMaxRecentBoots = 4096;
inline constexpr auto kRecentBootAge = std::chrono::minutes(15);
// Script requests closer together than this are one boot: two NICs, retries. No machine gets round faster.
inline constexpr auto kSameBoot = 10s;
// Lines in the log about the files of one boot: a script names two or three.
inline constexpr unsigned kMaxReportedArtifacts = 4;
// Boot decisions that are remembered: a KiB or two each. Not longer than kRecordInterval, for which a boot is logged
// once.
inline constexpr std::size_t kMaxKnownBoots = 4096;
inline constexpr auto kKnownBootAge = 1s;
// Histories in one transaction: etcd takes 128 operations in one, and the store's own records come with them.
inline constexpr std::size_t kBootsAtOnce = 50;
// Machines whose order to wipe is in doubt; more in one loss of a quorum would be a site at once. Those beyond it stay
// as they are.
inline constexpr std::size_t kMaxLateWipes = 1024;
inline constexpr auto kRecordInterval = 1s;  // at most one round of counter writes in this time

// Hashing an artifact lets others run after each slice: 1 MiB takes a core one to three milliseconds.
inline constexpr std::size_t kHashSliceBytes = 1024 * 1024;
// What the background re-hash reads on average: 1 % of a disk, and 350 GB a day.
inline constexpr std::uint64_t kRehashBytesPerSecond = 4ULL * 1024 * 1024;
inline constexpr auto kRehashPause = std::chrono::hours(1);  // between two passes over all files

inline constexpr std::size_t kSquashfsCacheBytes = 16 * 1024 * 1024;
inline constexpr std::size_t kMaxPemBytes = 1024 * 1024;
// Client certificates verified lately: half a KiB each, and more than the tenants of a fabric have images.
inline constexpr std::size_t kMaxKnownClients = 4096;
// Different reasons of refused handshakes that are counted apart; OpenSSL knows a few hundred, a peer meets a dozen.
inline constexpr std::size_t kMaxRefusalReasons = 32;

// The media listener. A BMC reads an image over one to four connections; a rack's worth may do so at once.
inline constexpr int kMediaMaxConnections = 512;
inline constexpr int kMediaMaxConnectionsPerSource = 64;
// Pieces of an image that are remembered as sent: a mount reads some 3,000 ranges, which soon join.
inline constexpr std::size_t kMaxMediaGaps = 4096;
inline constexpr auto kMediaDigestAge = std::chrono::hours(1);  // then an image is read again before it is served
inline constexpr std::size_t kMediaDigestChunk = 1024 * 1024;   // a few milliseconds of an io thread
inline constexpr auto kMediaSweepInterval = 60s;                // how long an expired grant may stay in the state file

// The homelab listener: some dozens of machines at once.
inline constexpr int kHomelabMaxConnections = 256;
inline constexpr int kHomelabMaxConnectionsPerSource = 64;
inline constexpr auto kHomelabAskTimeout = std::chrono::milliseconds(5000);  // for the decision, on a home's network

// NetBox. A page of 250 addresses has some 400 kB; 100,000 objects are 400 pages.
inline constexpr std::size_t kNetboxPageSize = 250;
inline constexpr std::size_t kNetboxMaxObjects = 100'000;
inline constexpr std::size_t kNetboxMaxBody = 8 * 1024 * 1024;
inline constexpr std::size_t kNetboxMaxToken = 4096;
inline constexpr auto kNetboxTimeout = 30s;  // of one page, all in all; NetBox takes seconds for a large one
inline constexpr auto kNetboxDefaultRefresh = std::chrono::seconds(300);
inline constexpr auto kNetboxFirstRetry = 5s;
inline constexpr auto kNetboxMaxRetryAfter = std::chrono::seconds(3600);

inline constexpr auto kHealthInterval = 5s;
inline constexpr auto kTlsSettling = 100ms;  // between the first change of a certificate's files and reading them
inline constexpr auto kCertificateWarning = std::chrono::hours(7 * 24);
inline constexpr auto kRevocationListWarning = std::chrono::hours(24);  // lists are renewed daily or weekly

}  // namespace nett::metadata
