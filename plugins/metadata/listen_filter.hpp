// Lets a listening socket overlook requests for new connections, without a refusal: the client tries again a second
// later. What is connected, or connecting, goes on; so do connections from ::1, by which the service asks itself.
#pragma once

namespace nett::metadata {

// Any thread. A kernel that takes no filter (all do) goes on heeding them: what begins then may be lost.
void overlook_new_connections(int listening_socket);
void heed_new_connections(int listening_socket);

}  // namespace nett::metadata
